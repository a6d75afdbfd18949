//! History-aware policy on the built flow: at most three refunds a day, only
//! if approved within the hour, no message outside after reading customer
//! data; across directives and agents. Further down the edits of a definition,
//! restarts, and a thousand callers on two nodes.

mod counting_back;
mod stampede;

use act::engine::Creation;
use gate::operations::{self, Proposed};
use gate::{Admission, AdmitRequest, ChokePoint, Contract, Directive, GateEnv, VerdictRecord};
use kernel::{Actor, DirectiveId, PrincipalKind, Refusal, Role, Span, Timestamp, Unit, Verdict};
use serde_json::{Value, json};
use testkit::{Loop, Person, Sample, checks};

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
        Verdict::Block => Err(record.given.determining.clone()),
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
