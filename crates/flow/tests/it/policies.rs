//! Sets of policies apart from the pack: in shadow they are asked and count
//! for nothing, promoted they are enforced, and what they would have decided
//! can be asked of the record.

use flow::policies::{Policies, SetStatus, operations};
use gate::directive::Status;
use gate::{Directive, VerdictRecord};
use kernel::{Code, Digest, Span, TenantId, Verdict};
use testkit::alerts::Alert;
use testkit::{Loop, Person, Sample, checks};

const FORBID: &str = "@id(\"no-plans\") forbid (principal, action == Action::\"plan_approval\", \
     resource in SubjectType::\"machine\") when { context.steps > 0 };\n";

fn texts(text: &str) -> flow::policies::Texts {
    [("limits.cedar".to_owned(), text.to_owned())].into()
}

fn ann() -> Person {
    Person::named("ann")
}

async fn shadow(control: &Loop, tenant: TenantId, text: &str) -> Result<Digest, kernel::Refusal> {
    let ctx = control.ctx(tenant, &ann());
    let done = control
        .control
        .shadow_policies(ctx, None, texts(text))
        .await?;
    Ok(done.0)
}

async fn promote(
    control: &Loop,
    tenant: TenantId,
    set: Digest,
) -> Result<Policies, kernel::Refusal> {
    let ctx = control.ctx(tenant, &ann());
    let why = "tried".to_owned();
    control.control.promote_policies(ctx, None, set, why).await
}

/// The verdicts, in the order in which they were given.
async fn verdicts(control: &Loop, tenant: TenantId) -> Vec<VerdictRecord> {
    let mut all: Vec<_> = control.all::<VerdictRecord>(tenant).await;
    all.sort_by_key(|(_, record)| record.given.evaluated_at);
    all.into_iter().map(|(_, record)| record).collect()
}

fn enforced(control: &Loop, tenant: TenantId) -> Vec<String> {
    control
        .control
        .in_force(tenant)
        .unwrap()
        .pack
        .rules
        .policy
        .ids()
}

#[tokio::test]
async fn a_set_in_shadow_is_recorded_and_counts_for_nothing_until_it_is_promoted() {
    let mut control = Loop::start(1, &Sample::default()).await;
    let tenant = control.home();
    let before = control.control.in_force(tenant).unwrap();
    let set = shadow(&control, tenant, FORBID).await.unwrap();
    let in_shadow = control.control.in_force(tenant).unwrap();
    // Who began with the set before sees all of it, and may not end with it.
    assert!(before.pack.rules.shadow.is_none());
    let person = ann();
    let stale = control.run(tenant, &person, move |unit, _| {
        flow::force::still(unit, &before)
    });
    assert_eq!(stale.await.unwrap_err().code, Code::Conflict);
    assert_eq!(enforced(&control, tenant), ["approved-steps", "plans"]);

    control.incident(tenant, "press-1").await;
    let given = verdicts(&control, tenant).await.pop().unwrap().given;
    assert_ne!(
        given.verdict,
        Verdict::Block,
        "the shadow counts for nothing"
    );
    let answer = given.shadow.clone().unwrap();
    assert_eq!(
        (answer.verdict, answer.check.as_str()),
        (Verdict::Block, "policy_shadow")
    );
    assert_eq!(answer.inputs["determining"][0], "no-plans");
    assert!(!given.asked.is_empty());
    assert!(given.results.iter().all(|r| r.check != "policy_shadow"));
    checks::all(&control).await;

    // What a restart puts in force is the same.
    control.crash().await.unwrap();
    let again = control.control.in_force(tenant).unwrap();
    let hash = |f: &flow::InForce| {
        f.pack
            .rules
            .shadow
            .as_ref()
            .map(gate::policy::PolicySet::hash)
    };
    assert_eq!(hash(&again), hash(&in_shadow));

    let state = promote(&control, tenant, set).await.unwrap();
    assert_eq!(state.in_status(SetStatus::Enforced).unwrap().0, set);
    assert_eq!(
        enforced(&control, tenant),
        ["approved-steps", "no-plans", "plans"]
    );
    let rules = control.control.in_force(tenant).unwrap();
    assert_eq!(
        Some(rules.pack.rules.policy.hash()),
        hash(&in_shadow),
        "one hash names it"
    );
    let alerts = Alert::pair("press-2", control.now());
    control.receive(tenant, &alerts).await.unwrap();
    control.pass(Span::from_secs(2)).await.unwrap();
    let given = verdicts(&control, tenant).await.pop().unwrap().given;
    assert_eq!(
        (given.verdict, &given.determining),
        (Verdict::Block, &vec!["no-plans".into()])
    );
    assert!(given.shadow.is_none());
    let blocked = control.all::<Directive>(tenant).await;
    assert!(blocked.iter().any(|(_, d)| d.status == Status::Blocked));
    checks::all(&control).await;

    control.crash().await.unwrap();
    assert_eq!(
        enforced(&control, tenant),
        ["approved-steps", "no-plans", "plans"]
    );
    let ctx = control.ctx(tenant, &ann());
    let withdrawn = control
        .control
        .withdraw_policies(ctx, None, set, "too strict".into());
    assert!(
        withdrawn
            .await
            .unwrap()
            .in_status(SetStatus::Enforced)
            .is_none()
    );
    assert_eq!(enforced(&control, tenant), ["approved-steps", "plans"]);
    checks::all(&control).await;
}

#[tokio::test]
async fn sets_move_only_along_their_life() {
    let control = Loop::start(2, &Sample::default()).await;
    let tenant = control.home();
    let set = shadow(&control, tenant, FORBID).await.unwrap();
    assert_eq!(
        shadow(&control, tenant, FORBID).await.unwrap(),
        set,
        "again is fine"
    );
    let other = FORBID.replace("> 0", "> 1");
    let refused = shadow(&control, tenant, &other).await.unwrap_err();
    assert_eq!(refused.code, Code::Conflict);
    promote(&control, tenant, set).await.unwrap();
    let refused = promote(&control, tenant, set).await.unwrap_err();
    assert_eq!(refused.code, Code::IllegalMove);
    let refused = promote(&control, tenant, Digest::of(b"none"))
        .await
        .unwrap_err();
    assert_eq!(refused.code, Code::NotFound);
    // Another takes the place of what is enforced.
    let second = shadow(&control, tenant, &other).await.unwrap();
    let state = promote(&control, tenant, second).await.unwrap();
    assert_eq!(state.sets[&set].status, SetStatus::Withdrawn);
    assert_eq!(state.sets[&second].status, SetStatus::Enforced);
    // What was withdrawn can be tried again.
    assert_eq!(shadow(&control, tenant, FORBID).await.unwrap(), set);
    let refused = control
        .run(tenant, &ann(), move |unit, _| {
            operations::withdraw(unit, set, " ")
        })
        .await
        .unwrap_err();
    assert_eq!(refused.code, Code::Invalid);
    checks::all(&control).await;
}

#[tokio::test]
async fn what_cannot_stand_beside_the_pack_is_refused() {
    let control = Loop::start(3, &Sample::default()).await;
    let tenant = control.home();
    for (text, says) in [
        ("permit(", "promoted/limits.cedar:1:"),
        (
            "@id(\"plans\") forbid (principal is Agent, action, resource);",
            "the id `plans` stands twice",
        ),
        (
            "@id(\"x\") forbid (principal, action, resource in SubjectType::\"machin\");",
            "the nearest is `machine`",
        ),
        (
            "@id(\"x\") forbid (principal, action, resource) unless { context has ticket };",
            "forbids everything",
        ),
    ] {
        let refused = shadow(&control, tenant, text).await.unwrap_err();
        assert!(
            refused.message.contains(says),
            "{says}: {}",
            refused.message
        );
    }
    let ctx = control.ctx(tenant, &ann());
    let named = [("../x.cedar".to_owned(), FORBID.to_owned())].into();
    let refused = control.control.shadow_policies(ctx, None, named).await;
    assert_eq!(refused.unwrap_err().code, Code::Invalid);
    assert!(control.all::<Policies>(tenant).await.is_empty());
    // Nor is a pack taken that cannot stand beside what is enforced.
    let set = shadow(&control, tenant, FORBID).await.unwrap();
    promote(&control, tenant, set).await.unwrap();
    let clash = Sample {
        policies: FORBID.replace("> 0", "> 7"),
        ..Sample::default()
    };
    let refused = control.load(tenant, &clash).await.unwrap_err();
    assert!(
        refused.message.contains("`no-plans` stands twice"),
        "{}",
        refused.message
    );
    assert_eq!(
        enforced(&control, tenant),
        ["approved-steps", "no-plans", "plans"]
    );
}

#[tokio::test]
async fn the_record_is_asked_what_another_set_would_have_decided() {
    let control = Loop::start(4, &Sample::default()).await;
    let tenant = control.home();
    let began = control.now();
    let (_, approval) = control.incident(tenant, "press-1").await;
    control.approve(tenant, &ann(), approval).await.unwrap();
    control.tick().await.unwrap();
    let given = verdicts(&control, tenant).await;
    let plans = given
        .iter()
        .filter(|v| v.given.question.target == "plan")
        .count();
    assert!(plans > 0 && plans < given.len());
    let head = control.all::<Policies>(tenant).await.len();
    let ask = async |text: &str, since| {
        let texts = texts(text);
        let asked = control.control.simulate_policies(tenant, &texts, since);
        asked.await.unwrap()
    };
    let same = ask(
        "@id(\"x\") forbid (principal is Agent, action, resource);",
        began,
    )
    .await;
    assert_eq!(
        (same.asked, same.changed, same.without_question),
        (given.len(), 0, 0)
    );
    let other = ask(FORBID, began).await;
    assert_eq!(
        (other.asked, other.changed, other.items.len()),
        (given.len(), plans, plans)
    );
    assert_eq!(other.items[0].would_be.determining, ["no-plans"]);
    assert_eq!(other.items[0].would_be.verdict, Verdict::Block);
    let later = ask(FORBID, control.now().plus(Span::from_secs(1))).await;
    assert_eq!(later.asked, 0);
    assert_eq!(
        control.all::<Policies>(tenant).await.len(),
        head,
        "nothing is recorded"
    );
}
