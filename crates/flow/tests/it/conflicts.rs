//! Conflicts over the whole loop: directives on one machine go one after the
//! other, also while the earlier is undone, and on two nodes.

use gate::conflict::Claim;
use gate::directive::Status;
use gate::operations::{self, Proposed};
use gate::{Approval, Contract, Directive, GateEnv};
use kernel::{ApprovalId, DirectiveId, Span, TenantId, Unit};
use std::collections::BTreeSet;
use std::sync::Arc;
use testkit::{Fate, Loop, Person, Sample, checks};

fn seconds(count: u32) -> Span {
    Span::from_secs(count)
}

async fn directive(control: &Loop, tenant: TenantId, id: DirectiveId) -> Directive {
    control.find::<Directive>(tenant, id).await.unwrap()
}

/// A contract like this one, of a person, that tells of itself in its calls.
fn like(contract: &Contract, person: &Person, name: &str) -> Contract {
    let mut contract = contract.clone();
    contract.issued_by = person.actor.clone();
    contract.objective = name.to_owned();
    for step in &mut contract.steps {
        step.input
            .insert("json".to_owned(), serde_json::json!({ "of": name }));
        step.input.remove("compensate");
    }
    contract
}

fn proposed(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    contract: Contract,
) -> Result<(DirectiveId, ApprovalId), kernel::Refusal> {
    let id = operations::draft(unit, contract, None)?;
    match operations::propose(unit, env, id)? {
        Proposed::Waiting { approval } => Ok((id, approval)),
        other => Err(kernel::Refusal::integrity(format!("{other:?}"))),
    }
}

#[tokio::test]
async fn the_later_goes_on_by_itself_when_the_earlier_was_undone() {
    let control = Loop::start(41, &Sample::default()).await;
    let (tenant, ann, bob) = (control.home(), Person::named("ann"), Person::named("bob"));
    let (earlier, approval) = control.incident(tenant, "press-1").await;
    let contract = directive(&control, tenant, earlier).await.contract;
    let contract = like(&contract, &bob, "later");
    let later = control.run(tenant, &bob, move |unit, env| {
        proposed(unit, env, contract.clone())
    });
    let (later, second) = later.await.unwrap();
    assert_eq!(
        directive(&control, tenant, later).await.waits_for,
        BTreeSet::from([earlier])
    );
    control.approve(tenant, &ann, second).await.unwrap();
    control.pass(seconds(60)).await.unwrap();
    checks::all(&control).await;
    assert_eq!(
        directive(&control, tenant, later).await.status,
        Status::Approved
    );
    assert!(control.world.http.asked().is_empty(), "it waits");

    control.approve(tenant, &ann, approval).await.unwrap();
    // Its second step fails, and what undoes the first is kept waiting.
    let fates = [Fate::Answer, Fate::Refuse, Fate::Busy];
    control.world.http.script(&fates);
    control.tick().await.unwrap();
    assert_eq!(
        directive(&control, tenant, earlier).await.status,
        Status::Aborted
    );
    let waiting = directive(&control, tenant, later).await;
    assert_eq!(waiting.status, Status::Approved);
    assert_eq!(
        waiting.waits_for,
        BTreeSet::from([earlier]),
        "it is undone still"
    );
    control.pass(seconds(60)).await.unwrap();
    checks::all(&control).await;
    assert_eq!(
        directive(&control, tenant, later).await.status,
        Status::Complete
    );
    let bodies: Vec<String> = control
        .world
        .http
        .asked()
        .iter()
        .map(|asked| asked.body.to_string())
        .collect();
    let first_of_later = bodies.iter().position(|b| b.contains("later")).unwrap();
    assert!(
        bodies[..first_of_later]
            .iter()
            .any(|b| b.contains("normal")),
        "undone first: {bodies:?}"
    );
    assert!(
        bodies[first_of_later..].iter().all(|b| b.contains("later")),
        "and then only the later: {bodies:?}"
    );
    let claim = control
        .find::<Claim>(tenant, "machine/press-1")
        .await
        .unwrap();
    assert!(claim.queue.is_empty());
}

#[tokio::test]
async fn two_nodes_take_the_same_order() {
    let mut control = Loop::start(42, &Sample::default()).await;
    let tenant = control.home();
    let (earlier, _) = control.incident(tenant, "press-1").await;
    let contract = directive(&control, tenant, earlier).await.contract;
    let mut nodes = Vec::new();
    for _ in 0..2 {
        let node = control.world.control(control.store.beside()).await;
        nodes.push(Arc::new(node.unwrap()));
    }
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..12 {
        let (node, bob) = (nodes[number % 2].clone(), Person::named("bob"));
        let contract = like(&contract, &bob, &format!("d{number}"));
        let ctx = control.ctx(tenant, &bob);
        tasks.spawn(async move {
            let in_force = node.in_force(tenant).unwrap();
            let capabilities = node.capabilities().clone();
            let work = move |unit: &mut Unit<'_>| {
                let env = GateEnv {
                    rules: &in_force.pack.rules,
                    capabilities: &capabilities,
                    everywhere: None,
                };
                proposed(unit, &env, contract.clone())
            };
            node.ledger().run(ctx, work).await.unwrap().answer.0
        });
    }
    let made: BTreeSet<DirectiveId> = tasks.join_all().await.into_iter().collect();
    let claim = control
        .find::<Claim>(tenant, "machine/press-1")
        .await
        .unwrap();
    let queue: Vec<DirectiveId> = claim.queue.iter().map(|p| p.directive).collect();
    assert_eq!(queue[0], earlier);
    assert_eq!(queue[1..].iter().copied().collect::<BTreeSet<_>>(), made);
    for pair in queue.windows(2) {
        let waits_for = directive(&control, tenant, pair[1]).await.waits_for;
        assert_eq!(waits_for, BTreeSet::from([pair[0]]));
    }
    control.crash().await.unwrap();
    // Each starts when the one before it has ended, and never beside it.
    let ann = Person::named("ann");
    for (approval, _) in control.pending(tenant).await {
        control.approve(tenant, &ann, approval).await.unwrap();
    }
    control.pass(seconds(600)).await.unwrap();
    for (_, directive) in control.all::<Directive>(tenant).await {
        assert_eq!(directive.status, Status::Complete, "{:?}", directive.reason);
    }
    let asked = control.world.http.asked();
    let mut bodies: Vec<String> = asked.iter().map(|a| a.body.to_string()).collect();
    bodies.dedup();
    let all: BTreeSet<&String> = bodies.iter().collect();
    assert_eq!(
        all.len(),
        bodies.len(),
        "the calls of each stand together: {bodies:?}"
    );
    assert!(control.all::<Approval>(tenant).await.len() == 13);
}
