//! Conflicts over the whole loop: directives on one machine go one after the
//! other, also while the earlier is undone, and on two nodes.

use super::nodes::{self, Node, Place};
use gate::conflict::Claim;
use gate::directive::Status;
use gate::operations::{self, Decided, Proposed};
use gate::{Approval, Contract, Directive, GateEnv};
use kernel::{ApprovalId, DirectiveId, Span, TenantId, Unit};
use std::collections::BTreeSet;
use testkit::{Fate, Loop, MemoryStore, Person, PostgresServer, Sample, World, checks};

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

/// Whether each in the queue waits for the one before it: the earlier first, and
/// then these in some order.
fn in_a_row(claim: &Claim, all: &[Directive], earlier: DirectiveId, made: &BTreeSet<DirectiveId>) {
    let queue: Vec<DirectiveId> = claim.queue.iter().map(|p| p.directive).collect();
    assert_eq!(queue[0], earlier);
    assert_eq!(queue.len(), 1 + made.len(), "nobody stands twice");
    assert_eq!(&queue[1..].iter().copied().collect::<BTreeSet<_>>(), made);
    for pair in queue.windows(2) {
        let waits_for = &all.iter().find(|d| d.id == pair[1]).unwrap().waits_for;
        assert_eq!(waits_for, &BTreeSet::from([pair[0]]));
    }
}

/// Sees that calls of two directives never went beside each other.
fn one_after_the_other(world: &World) {
    let asked = world.http.asked();
    let mut bodies: Vec<String> = asked.iter().map(|a| a.body.to_string()).collect();
    bodies.dedup();
    let all: BTreeSet<&String> = bodies.iter().collect();
    assert_eq!(
        all.len(),
        bodies.len(),
        "the calls of each stand together: {bodies:?}"
    );
}

/// Proposals on the same machine on two nodes at once, and then both carry them
/// out.
async fn two_nodes_take_the_same_order(place: &Place) {
    let world = World::new(43);
    let first = Node::start(&world, place).await;
    let second = Node::start(&world, place).await;
    let tenant = nodes::found(&first, &Sample::default()).await;
    nodes::until(&world, "the second follows the pack", async || {
        second.control.in_force(tenant).is_ok()
    })
    .await;
    first.receive(tenant, "press-1").await;
    nodes::until(&world, "a directive waits", async || {
        first.has(tenant, Status::Proposed).await
    })
    .await;
    let earlier = first.all::<Directive>(tenant).await.remove(0);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..12 {
        let node = [&first, &second][number % 2];
        let bob = Person::named("bob");
        let contract = like(&earlier.contract, &bob, &format!("d{number}"));
        let ctx = node.ctx(tenant, bob.actor, bob.roles);
        let control = node.control.clone();
        tasks.spawn(async move {
            let in_force = control.in_force(tenant).unwrap();
            let capabilities = control.capabilities().clone();
            let work = move |unit: &mut Unit<'_>| {
                let env = GateEnv {
                    rules: &in_force.pack.rules,
                    capabilities: &capabilities,
                    everywhere: None,
                };
                proposed(unit, &env, contract.clone())
            };
            control.ledger().run(ctx, work).await.unwrap().answer.0
        });
    }
    let made: BTreeSet<DirectiveId> = tasks.join_all().await.into_iter().collect();
    assert_eq!(made.len(), 12);
    for node in [&first, &second] {
        let claims = node.all::<Claim>(tenant).await;
        assert_eq!(claims.len(), 1, "one machine");
        let all = node.all::<Directive>(tenant).await;
        in_a_row(&claims[0], &all, earlier.id, &made);
    }
    for number in 0..=made.len() {
        let node = [&first, &second][number % 2];
        assert_eq!(node.approve(tenant).await.unwrap(), Decided::Approved);
    }
    nodes::until(&world, "all are carried out", async || {
        let all = second.all::<Directive>(tenant).await;
        all.iter().all(|d| d.status == Status::Complete)
    })
    .await;
    one_after_the_other(&world);
    assert_eq!(world.http.effects().len(), 2 * 13, "each call once");
    nodes::is_intact(&second, tenant).await;
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_take_the_same_order_in_memory() {
    let place = Place::Memory(MemoryStore::of_several_nodes());
    Box::pin(two_nodes_take_the_same_order(&place)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_take_the_same_order_on_postgresql() {
    let place = Place::Postgres(PostgresServer::shared().database());
    Box::pin(two_nodes_take_the_same_order(&place)).await;
}

#[tokio::test]
async fn the_order_outlives_a_crash() {
    let mut control = Loop::start(42, &Sample::default()).await;
    let tenant = control.home();
    let (earlier, _) = control.incident(tenant, "press-1").await;
    let contract = directive(&control, tenant, earlier).await.contract;
    let mut made = BTreeSet::new();
    let bob = Person::named("bob");
    for number in 0..12 {
        let contract = like(&contract, &bob, &format!("d{number}"));
        let later = control.run(tenant, &bob, move |unit, env| {
            proposed(unit, env, contract.clone())
        });
        made.insert(later.await.unwrap().0);
    }
    control.crash().await.unwrap();
    let claim = control.find::<Claim>(tenant, "machine/press-1").await;
    let all = control.all::<Directive>(tenant).await;
    let all: Vec<Directive> = all.into_iter().map(|(_, directive)| directive).collect();
    in_a_row(&claim.unwrap(), &all, earlier, &made);
    // Each starts when the one before it has ended, and never beside it.
    let ann = Person::named("ann");
    for (approval, _) in control.pending(tenant).await {
        control.approve(tenant, &ann, approval).await.unwrap();
    }
    control.pass(seconds(600)).await.unwrap();
    for (_, directive) in control.all::<Directive>(tenant).await {
        assert_eq!(directive.status, Status::Complete, "{:?}", directive.reason);
    }
    one_after_the_other(&control.world);
    assert!(control.all::<Approval>(tenant).await.len() == 13);
}
