//! History-aware policy on the built flow: at most three refunds a day, only
//! if approved within the hour, no message outside after reading customer
//! data; across directives and agents, through edits of the definition,
//! restarts, and a thousand callers on two nodes.

use crate::budgets::{Nodes, ledger};
use act::engine::Creation;
use gate::directive::Status;
use gate::history::{self, Kept, Tally};
use gate::operations::{self, Proposed};
use gate::{Admission, AdmitRequest, ChokePoint, Contract, Directive, GateEnv, VerdictRecord};
use kernel::{
    Actor, Digest, DirectiveId, PrincipalKind, Refusal, Role, Snapshot, Span, Timestamp, Unit,
    Verdict,
};
use ledger::Store;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::Postgres;
use testkit::{Loop, MemoryStore, Person, PostgresServer, Sample, checks};

const FACTS: &str = "facts:
  - name: refunds_today
    title: How many refunds were let through today
    happening: step_permitted
    per: tenant
    within: day
    zone: Europe/Berlin
    measure: count
    only: { directive_types: [machine.refund] }
  - name: since_approval
    happening: approval_given
    per: subject
    within: 1d
    measure: seconds_since
  - name: since_reading
    happening: step_permitted
    per: agent
    within: 30d
    measure: seconds_since
    only: { data_classes: [customer] }
";

const POLICIES: &str = r#"
@id("agents") permit (principal is Agent, action, resource in SubjectType::"machine");
@id("three-refunds")
forbid (principal, action == Action::"step_execution", resource)
when { resource.directive_type == "machine.refund" && context.history.refunds_today >= 3 };
@id("approved-within-the-hour")
forbid (principal, action == Action::"step_execution", resource)
when { resource.directive_type == "machine.reset" }
unless { context.history has since_approval && context.history.since_approval < 3600 };
@id("no-message-after-reading")
forbid (principal, action, resource)
when { context has destination && context.history has since_reading };
"#;

fn sample() -> Sample {
    Sample {
        policies: POLICIES.into(),
        history: FACTS.into(),
        data_classes: "    of: { \"*.customer\": customer }\n    allow: [unclassified, customer]\n"
            .into(),
        timebox: "20h".into(),
        ..Sample::default()
    }
}

fn agent(name: &str) -> Person {
    Person {
        actor: Actor::new(PrincipalKind::Agent, name),
        roles: vec![Role::Agent],
    }
}

/// A contract of one step on the machine of this directive.
fn contract(like: &Contract, issuer: &Person, kind: &str, module: &str, input: Value) -> Contract {
    let mut contract = like.clone();
    contract.issued_by = issuer.actor.clone();
    contract.kind = kind.into();
    contract.action_class = gate::ActionClass::InternalNonDestructive;
    contract.steps.truncate(1);
    let step = contract.steps.first_mut().unwrap();
    step.id = "only".into();
    step.module = module.into();
    step.input = input.as_object().unwrap().clone();
    contract
}

/// The agent proposes it.
async fn propose(
    control: &Loop,
    issuer: &Person,
    like: &Contract,
    (kind, module, input): (&str, &str, Value),
) -> (DirectiveId, Proposed) {
    let contract = contract(like, issuer, kind, module, input);
    let propose = move |unit: &mut Unit<'_>, env: &GateEnv<'_>| {
        let id = operations::draft(unit, contract.clone(), None)?;
        Ok((id, operations::propose(unit, env, id)?))
    };
    control.run(control.home(), issuer, propose).await.unwrap()
}

/// The agent proposes it, it runs, and this is what the gate said of its step:
/// the policies that decided, where it was blocked.
async fn go(
    control: &Loop,
    issuer: &Person,
    like: &Contract,
    what: (&str, &str, Value),
) -> Result<(), Vec<String>> {
    let (id, proposed) = propose(control, issuer, like, what).await;
    assert!(
        matches!(proposed, Proposed::Approved { .. }),
        "{proposed:?}"
    );
    control.pass(Span::from_secs(1)).await.unwrap();
    let all = control.all::<VerdictRecord>(control.home()).await;
    let about = |r: &VerdictRecord| {
        let question = &r.given.question;
        question.directive == id && question.choke_point == ChokePoint::StepExecution
    };
    let record = all.into_iter().map(|(_, r)| r).find(about).unwrap();
    match record.verdict() {
        Verdict::Block => Err(record.given.determining),
        _ => Ok(()),
    }
}

fn refund() -> (&'static str, &'static str, Value) {
    ("machine.refund", "noop", json!({}))
}

fn reset() -> (&'static str, &'static str, Value) {
    ("machine.reset", "noop", json!({}))
}

/// A contract on a machine whose state is known, and its request.
async fn known(control: &Loop) -> (Contract, kernel::ApprovalId) {
    let (id, approval) = control.incident(control.home(), "press-1").await;
    let directive = control.find::<Directive>(control.home(), id).await;
    (directive.unwrap().contract, approval)
}

fn by(policy: &str) -> Result<(), Vec<String>> {
    Err(vec![policy.to_owned()])
}

#[tokio::test]
async fn at_most_three_refunds_a_day_by_whichever_agent_in_whichever_session() {
    let mut control = Loop::start(1, &sample()).await;
    let (like, _) = known(&control).await;
    let (a, b) = (agent("a"), agent("b"));
    for issuer in [&a, &b, &a] {
        assert_eq!(go(&control, issuer, &like, refund()).await, Ok(()));
    }
    for issuer in [&a, &b] {
        let blocked = go(&control, issuer, &like, refund()).await;
        assert_eq!(blocked, by("three-refunds"));
    }
    // Another process knows it as well.
    control.crash().await.unwrap();
    assert_eq!(go(&control, &b, &like, refund()).await, by("three-refunds"));
    let all = control.all::<VerdictRecord>(control.home()).await;
    let last = &all.last().unwrap().1;
    let told = &last.result("policy").unwrap().inputs["history"];
    assert_eq!(told["refunds_today"], 3, "{told}");
    assert_eq!(
        last.given.asked[0].context["history"], *told,
        "kept to ask again"
    );

    // What it would have said is asked of the record.
    let texts = [(
        "two.cedar".to_owned(),
        "@id(\"two\") forbid (principal, action == Action::\"step_execution\", resource) \
         when { context.history.refunds_today == 2 };"
            .to_owned(),
    )];
    let since = Timestamp::EPOCH;
    let simulated = control
        .control
        .simulate_policies(control.home(), &texts.into(), since)
        .await
        .unwrap();
    assert_eq!((simulated.changed, simulated.without_question), (1, 0));
    assert_eq!(simulated.items[0].would_be.determining, ["two"]);

    // It began at 11:00 in Berlin: twelve hours later it is the same day, and
    // after thirteen another.
    control.pass(Span::parse("12h").unwrap()).await.unwrap();
    assert_eq!(go(&control, &a, &like, refund()).await, by("three-refunds"));
    control.pass(Span::parse("1h").unwrap()).await.unwrap();
    assert_eq!(go(&control, &a, &like, refund()).await, Ok(()));
    checks::all(&control).await;
}

#[tokio::test]
async fn only_if_a_person_approved_something_on_the_machine_within_the_hour() {
    let control = Loop::start(1, &sample()).await;
    let (like, approval) = known(&control).await;
    let (a, b) = (agent("a"), agent("b"));
    let blocked = by("approved-within-the-hour");
    assert_eq!(go(&control, &a, &like, reset()).await, blocked);
    let approved = control.now();
    let ann = Person::named("ann");
    control
        .approve(control.home(), &ann, approval)
        .await
        .unwrap();
    for issuer in [&a, &b, &a] {
        assert_eq!(go(&control, issuer, &like, reset()).await, Ok(()));
    }
    let hour = approved.plus(Span::parse("1h").unwrap());
    control
        .run_until(hour.minus(Span::from_secs(1)))
        .await
        .unwrap();
    assert_eq!(go(&control, &b, &like, reset()).await, Ok(()));
    assert_eq!(control.now(), hour);
    for issuer in [&a, &b] {
        assert_eq!(go(&control, issuer, &like, reset()).await, blocked);
    }
    checks::all(&control).await;
}

#[tokio::test]
async fn no_message_outside_by_who_has_read_customer_data_in_any_session() {
    let control = Loop::start(1, &sample()).await;
    let (like, _) = known(&control).await;
    let (a, b) = (agent("a"), agent("b"));
    let message = || {
        let url = "http://plant.example/notes";
        (
            "machine.tell",
            "http.request",
            json!({ "method": "POST", "url": url }),
        )
    };
    let said = |proposed: &Proposed| match proposed {
        Proposed::Blocked { reasons, .. } => reasons.join("; "),
        other => format!("{other:?}"),
    };
    let before = propose(&control, &a, &like, message()).await.1;
    assert!(
        matches!(before, Proposed::Waiting { .. }),
        "{}",
        said(&before)
    );
    let plain = ("machine.look", "echo", json!({ "message": "hello" }));
    assert_eq!(go(&control, &a, &like, plain).await, Ok(()));
    let before = propose(&control, &a, &like, message()).await.1;
    assert!(
        matches!(before, Proposed::Waiting { .. }),
        "{}",
        said(&before)
    );

    let read = (
        "machine.look",
        "echo",
        json!({ "message": { "customer": "c-7" } }),
    );
    assert_eq!(go(&control, &a, &like, read).await, Ok(()));
    for _ in 0..2 {
        let after = propose(&control, &a, &like, message()).await.1;
        let said = said(&after);
        assert!(said.contains("no-message-after-reading"), "{said}");
    }
    let other = propose(&control, &b, &like, message()).await.1;
    assert!(
        matches!(other, Proposed::Waiting { .. }),
        "{}",
        said(&other)
    );
    checks::all(&control).await;
}

/// The facts that are kept, and whether they are counted back.
async fn kept(control: &Loop) -> Kept {
    let found = control.find::<Kept>(control.home(), history::ID).await;
    found.unwrap()
}

#[tokio::test]
async fn an_edited_definition_is_counted_back_and_forgets_nothing() {
    let without = Sample {
        policies: POLICIES.lines().take(2).collect(),
        history: String::new(),
        ..sample()
    };
    let mut control = Loop::start(1, &without).await;
    let tenant = control.home();
    let (like, approval) = known(&control).await;
    let (a, b) = (agent("a"), agent("b"));
    for issuer in [&a, &b, &a] {
        assert_eq!(go(&control, issuer, &like, refund()).await, Ok(()));
    }
    let ann = Person::named("ann");
    control.approve(tenant, &ann, approval).await.unwrap();
    let read = (
        "machine.look",
        "echo",
        json!({ "message": { "customer": "c-7" } }),
    );
    assert_eq!(go(&control, &a, &like, read).await, Ok(()));
    assert!(control.find::<Kept>(tenant, history::ID).await.is_none());
    assert!(
        control.all::<Tally>(tenant).await.is_empty(),
        "nothing is paid for"
    );

    // Facts over what happened before anything was counted.
    control.load(tenant, &sample()).await.unwrap();
    assert_eq!(kept(&control).await.pending().count(), 0);
    assert_eq!(go(&control, &b, &like, refund()).await, by("three-refunds"));
    assert_eq!(go(&control, &b, &like, reset()).await, Ok(()));
    let url = "http://plant.example/notes";
    let message = (
        "machine.tell",
        "http.request",
        json!({ "method": "POST", "url": url }),
    );
    let blocked = propose(&control, &a, &like, message.clone()).await.1;
    assert!(matches!(blocked, Proposed::Blocked { .. }), "{blocked:?}");
    let other = propose(&control, &b, &like, message).await.1;
    assert!(matches!(other, Proposed::Waiting { .. }), "{other:?}");

    // Verdicts of before anything was counted are not asked what was.
    let set = "@id(\"few\") forbid (principal, action, resource) \
               when { context.history.refunds_today < 3 };";
    let texts = [("few.cedar".to_owned(), set.to_owned())];
    let since = Timestamp::EPOCH;
    let simulated = control
        .control
        .simulate_policies(tenant, &texts.into(), since)
        .await
        .unwrap();
    assert!(simulated.without_question > 8, "{simulated:?}");
    assert_eq!(simulated.changed, 0, "{simulated:?}");
    assert!(simulated.asked >= 6, "{simulated:?}");

    // Another window, another zone, another name: the past stays.
    for (from, to) in [
        ("within: day\n    zone: Europe/Berlin", "within: 25h"),
        ("Europe/Berlin", "UTC"),
        (
            "only: { directive_types",
            "only: { modules: [noop], directive_types",
        ),
    ] {
        let edited = Sample {
            history: FACTS.replacen(from, to, 1),
            ..sample()
        };
        assert_ne!(edited.history, FACTS, "{from}");
        control.load(tenant, &edited).await.unwrap();
        assert_eq!(kept(&control).await.pending().count(), 0, "{to}");
        let blocked = go(&control, &a, &like, refund()).await;
        assert_eq!(blocked, by("three-refunds"), "{to}");
    }
    let before = kept(&control).await;
    let renamed = Sample {
        history: FACTS
            .replacen("only: {", "only: { modules: [noop],", 1)
            .replace("name: refunds_today", "name: refunds"),
        policies: POLICIES.replace("refunds_today", "refunds"),
        ..sample()
    };
    control.load(tenant, &renamed).await.unwrap();
    assert_eq!(
        kept(&control).await,
        before,
        "a name is not what is counted"
    );
    assert_eq!(go(&control, &b, &like, refund()).await, by("three-refunds"));
    // A policy that names a fact that is gone does not load.
    let gone = Sample {
        history: FACTS.replace("refunds_today", "refunds_now"),
        ..sample()
    };
    let refusal = control.load(tenant, &gone).await.unwrap_err();
    assert!(refusal.message.contains("refunds_today"), "{refusal}");
    checks::all(&control).await;
    control.crash().await.unwrap();
    assert_eq!(go(&control, &b, &like, refund()).await, by("three-refunds"));
    checks::all(&control).await;
}

#[tokio::test]
async fn until_it_is_counted_back_a_policy_that_names_it_blocks_and_a_tick_counts() {
    let control = Loop::start(1, &sample()).await;
    let (tenant, a) = (control.home(), agent("a"));
    let (like, _) = known(&control).await;
    for _ in 0..3 {
        assert_eq!(go(&control, &a, &like, refund()).await, Ok(()));
    }
    // Declared, and the process dies before anything is counted back: the
    // facts of a pack, as they stand after they were dropped once.
    let facts = control.control.in_force(tenant).unwrap();
    let setup = Person::named("ann");
    let declare = move |unit: &mut Unit<'_>, _: &GateEnv<'_>| {
        history::declare(unit, &history::FactSet::default(), false)?;
        history::declare(unit, &facts.pack.rules.history, false)
    };
    control.run(tenant, &setup, declare).await.unwrap();
    assert_eq!(kept(&control).await.pending().count(), 3);
    let other = propose(&control, &a, &like, ("machine.look", "noop", json!({})))
        .await
        .1;
    assert!(matches!(other, Proposed::Approved { .. }), "{other:?}");
    let directive = contract(&like, &a, "machine.refund", "noop", json!({}));
    let admitted = move |unit: &mut Unit<'_>, env: &GateEnv<'_>| admit(unit, env, &directive);
    let reasons = control
        .run(tenant, &a, admitted)
        .await
        .unwrap()
        .unwrap_err();
    assert!(
        reasons
            .contains("`refunds_today`, `since_approval`, `since_reading` is still counted back"),
        "{reasons}"
    );
    control.pass(Span::from_secs(1)).await.unwrap();
    assert_eq!(kept(&control).await.pending().count(), 0);
    assert_eq!(go(&control, &a, &like, refund()).await, by("three-refunds"));
    checks::all(&control).await;
}

/// A fact for each thing that can be counted, and some with filters.
fn every_happening() -> String {
    use kernel::names::Name;
    let mut facts = "facts:\n".to_owned();
    let mut add = |name: &str, happening: &str, only: &str| {
        facts.push_str(&format!(
            "  - {{ name: {name}, happening: {happening}, per: subject_and_agent, within: 2d, \
             measure: count, only: {{ {only} }} }}\n"
        ));
    };
    for happening in history::Happening::ALL {
        add(happening.name(), happening.name(), "");
    }
    add(
        "outside",
        "step_permitted",
        "destinations: [\"*\"], cost_classes: [CHEAP]",
    );
    add("noops", "step_completed", "modules: [noop]");
    facts
}

/// What is counted, for whom, and when it happened.
type Counted = (
    Digest,
    String,
    Vec<Timestamp>,
    Vec<history::Slice>,
    Timestamp,
);

#[tokio::test]
async fn what_is_counted_back_is_what_was_counted() {
    use testkit::Fate;
    let sample = Sample {
        history: every_happening(),
        ..sample()
    };
    let sample = Sample {
        policies: POLICIES.lines().take(2).collect(),
        ..sample
    };
    let control = Loop::start(3, &sample).await;
    let (tenant, ann) = (control.home(), Person::named("ann"));
    // One directive that is done, one whose second step fails and whose first
    // is undone, and one that a person refuses.
    for fates in [
        &[Fate::Answer, Fate::Answer][..],
        &[Fate::Answer, Fate::Refuse],
    ] {
        let machine = format!(
            "press-{}",
            fates.iter().filter(|f| **f == Fate::Answer).count()
        );
        let (_, approval) = control.incident(tenant, &machine).await;
        control.world.http.script(fates);
        control.approve(tenant, &ann, approval).await.unwrap();
        control.pass(Span::from_secs(60)).await.unwrap();
    }
    let (id, _) = control.incident(tenant, "press-7").await;
    let like = control
        .find::<Directive>(tenant, id)
        .await
        .unwrap()
        .contract;
    let a = agent("a");
    for what in [
        refund(),
        ("machine.look", "echo", json!({ "message": "x" })),
        refund(),
    ] {
        assert_eq!(go(&control, &a, &like, what).await, Ok(()));
    }
    // A tool that compliance does not know is blocked at the plan.
    let stopped = propose(
        &control,
        &a,
        &like,
        ("machine.tell", "webhook.send", json!({})),
    )
    .await
    .1;
    assert!(matches!(stopped, Proposed::Blocked { .. }), "{stopped:?}");
    let counted = |tallies: Vec<(String, Tally)>, number: u64| {
        let mut counted: Vec<Counted> = tallies
            .into_iter()
            .filter(|(id, _)| {
                id.split('@')
                    .next()
                    .unwrap()
                    .ends_with(&format!(".{number}"))
            })
            .map(|(_, t)| (t.counts, t.value, t.at, t.before, t.latest))
            .collect();
        counted.sort();
        counted
    };
    let live = counted(control.all::<Tally>(tenant).await, 1);
    let in_force = control.control.in_force(tenant).unwrap();
    let definitions = in_force.pack.rules.history.definitions();
    let of = |tallies: &[Counted], what: &str| {
        let is = |d: &history::Definition| match what {
            "outside" => !d.only.destinations.is_empty(),
            "noops" => !d.only.modules.is_empty(),
            what => d.happening.to_string() == what && d.only == history::Filter::default(),
        };
        let (digest, _) = definitions.iter().find(|(_, d)| is(d)).unwrap();
        let all = tallies.iter().filter(|(counts, ..)| counts == digest);
        all.map(|(_, _, at, ..)| at.len()).sum::<usize>()
    };
    // And what a refund adds that is let through between the declaration and
    // the counting.
    let expected = [
        ("step_permitted", 7, 8),
        ("step_completed", 6, 7),
        ("step_failed", 1, 1),
        ("approval_given", 2, 2),
        ("directive_completed", 4, 5),
        ("directive_aborted", 1, 1),
        ("verdict_blocked", 1, 1),
        ("outside", 4, 4),
        ("noops", 2, 3),
    ];
    for (what, times, _) in expected {
        assert_eq!(of(&live, what), times, "{what}");
    }
    let again = |between: Option<Contract>| {
        let facts = in_force.clone();
        move |unit: &mut Unit<'_>, env: &GateEnv<'_>| {
            history::declare(unit, &history::FactSet::default(), false)?;
            history::declare(unit, &facts.pack.rules.history, false)?;
            match &between {
                Some(contract) => admit(unit, env, contract).map(|found| found.unwrap()),
                None => Ok(()),
            }
        }
    };
    control.run(tenant, &a, again(None)).await.unwrap();
    control.pass(Span::from_secs(1)).await.unwrap();
    assert_eq!(kept(&control).await.pending().count(), 0);
    assert_eq!(counted(control.all::<Tally>(tenant).await, 3), live);
    let between = contract(&like, &a, "machine.refund", "noop", json!({}));
    control.run(tenant, &a, again(Some(between))).await.unwrap();
    control.pass(Span::from_secs(120)).await.unwrap();
    let back = counted(control.all::<Tally>(tenant).await, 6);
    for (what, _, times) in expected {
        assert_eq!(of(&back, what), times, "{what}");
    }
    checks::all(&control).await;
}

/// Drafts, proposes, begins and asks for its step, in one unit: why not, where
/// it is not let through.
fn admit(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    contract: &Contract,
) -> Result<Result<(), String>, Refusal> {
    let directive = operations::draft(unit, contract.clone(), None)?;
    if let Proposed::Blocked { reasons, .. } = operations::propose(unit, env, directive)? {
        return Ok(Err(reasons.join("; ")));
    }
    let Creation::Created(run) = act::engine::create_run(unit, env, directive)? else {
        return Ok(Err("its approval lapsed".to_owned()));
    };
    let request = AdmitRequest {
        directive,
        step: "only".to_owned(),
        run,
        attempt: 1,
    };
    Ok(match gate::admit(unit, env, &request)? {
        Admission::Permitted(_) => Ok(()),
        Admission::Blocked { reasons, .. } => Err(reasons.join("; ")),
    })
}

/// A thousand callers at once, of whom three are let through.
async fn stampede(nodes: Nodes, store: Arc<dyn Store>) {
    const CALLERS: u64 = 1_000;
    // What a snapshot and a contract on it look like, from a loop of its own.
    let control = Loop::start(1, &sample()).await;
    let (like, _) = known(&control).await;
    let tenant = control.home();
    let snapshot = control
        .find::<Snapshot>(tenant, like.snapshot)
        .await
        .unwrap();
    let in_force = control.control.in_force(tenant).unwrap();
    let capabilities = control.control.capabilities().clone();
    let (taken, id, facts) = (snapshot, like.snapshot, in_force.clone());
    nodes
        .run(0, &Actor::system("setup"), move |unit| {
            let event = kernel::belief::SnapshotEvent::Taken(taken.clone());
            unit.record::<Snapshot>(id, event)?;
            history::declare(unit, &facts.pack.rules.history, true)
        })
        .await
        .unwrap();
    let start = control.now();
    nodes.set(start);
    let nodes = Arc::new(nodes);
    let through = Arc::new(AtomicU64::new(0));
    let mut callers = tokio::task::JoinSet::new();
    for nth in 0..CALLERS {
        let issuer = agent(&format!("a{}", nth % 7));
        let contract = contract(&like, &issuer, "machine.refund", "noop", json!({}));
        let (nodes, through) = (nodes.clone(), through.clone());
        let (in_force, capabilities) = (in_force.clone(), capabilities.clone());
        callers.spawn(async move {
            let work = move |unit: &mut Unit<'_>| {
                let env = GateEnv {
                    rules: &in_force.pack.rules,
                    capabilities: &capabilities,
                    everywhere: None,
                };
                admit(unit, &env, &contract)
            };
            // A full queue is a refusal; the caller asks again.
            for node in nth.. {
                match nodes.run(node, &issuer.actor, work.clone()).await {
                    Ok(Ok(())) => {
                        through.fetch_add(1, Ordering::Relaxed);
                        return;
                    }
                    Ok(Err(reasons)) => {
                        assert!(reasons.contains("three-refunds"), "{reasons}");
                        return;
                    }
                    Err(refusal) => {
                        assert!(node < nth + 1_000, "{refusal}");
                        tokio::task::yield_now().await;
                    }
                }
            }
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    assert_eq!(through.load(Ordering::Relaxed), 3);
    let tallies = checks::all_in::<Tally>(store.as_ref(), crate::budgets::TENANT).await;
    let refunds = tallies.iter().find(|(_, tally)| tally.value == "tenant");
    assert_eq!(refunds.unwrap().1.in_period, 3);
    let executing = checks::all_in::<Directive>(store.as_ref(), crate::budgets::TENANT).await;
    assert_eq!(executing.len(), 1_000);
    assert!(executing.iter().all(|(_, d)| d.status == Status::Executing));
    let registry = flow::registry();
    let replayed = ledger::replay::log(store.as_ref(), &registry, crate::budgets::TENANT, |_| ());
    assert!(replayed.await.unwrap().is_equal());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_callers_on_two_nodes_in_memory_and_three_are_let_through() {
    let store = MemoryStore::new();
    let place = store.clone();
    let nodes = Nodes::new(move || ledger(place.beside()));
    Box::pin(stampede(nodes, store.beside())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_callers_on_two_nodes_on_postgres_and_three_are_let_through() {
    let database = PostgresServer::shared().database();
    let store: Arc<dyn Store> = Arc::new(Postgres::open(&database.url()).await.unwrap());
    let other: Arc<dyn Store> = Arc::new(Postgres::open(&database.url()).await.unwrap());
    let (turn, places) = (AtomicU64::new(0), [store.clone(), other]);
    let nodes = Nodes::new(move || {
        let nth = turn.fetch_add(1, Ordering::Relaxed) % 2;
        ledger(places[usize::try_from(nth).unwrap()].clone())
    });
    Box::pin(stampede(nodes, store)).await;
}
