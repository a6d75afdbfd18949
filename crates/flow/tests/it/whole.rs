//! From webhooks to a closed incident, and the ways in which it goes no
//! further.

use act::{Run, RunStatus};
use gate::directive::Status;
use gate::kill::{self, Scope};
use gate::operations::{self, Decided, EditAndApprove, Proposed};
use gate::{Approval, Directive, VerdictRecord, approval};
use kernel::{Code, DirectiveId, Span, TenantId};
use sense::incident::{self, Incident, IncidentStatus};
use sense::investigation::{Investigation, InvestigationStatus};
use testkit::alerts::Alert;
use testkit::{Fate, Loop, Person, Sample, checks};

async fn directive(control: &Loop, tenant: TenantId, id: DirectiveId) -> Directive {
    let found = control.find::<Directive>(tenant, id).await;
    found.expect("the directive stands")
}

async fn status(control: &Loop, tenant: TenantId, id: DirectiveId) -> Status {
    directive(control, tenant, id).await.status
}

#[tokio::test]
async fn alerts_become_an_approved_act_and_a_closed_incident() {
    let control = Loop::start(1, &Sample::default()).await;
    let (tenant, ann) = (control.home(), Person::named("ann"));
    let alerts = Alert::pair("press-1", control.now());
    for alert in &alerts {
        let got = control.receive(tenant, std::slice::from_ref(alert)).await;
        let got = got.unwrap();
        assert_eq!((got.signals_new.len(), got.dead_letters), (1, 0));
        assert!(got.facts_refused.is_empty(), "{:?}", got.facts_refused);
        checks::all(&control).await;
    }
    // The same again is known.
    let again = control.receive(tenant, &alerts[..1]).await.unwrap();
    assert_eq!((again.signals_new.len(), again.signals_known), (0, 1));
    assert!(control.all::<Incident>(tenant).await.is_empty());

    control.pass(Span::from_secs(2)).await.unwrap();
    checks::all(&control).await;
    let (_, found) = control.only::<Incident>(tenant).await;
    assert_eq!(found.status, IncidentStatus::Open);
    let (_, investigation) = control.only::<Investigation>(tenant).await;
    assert_eq!(
        investigation.status,
        InvestigationStatus::WaitingForHuman,
        "{investigation:?}"
    );
    let (id, proposed) = control.only::<Directive>(tenant).await;
    assert_eq!(proposed.status, Status::Proposed);
    let id: DirectiveId = id.parse().unwrap();

    // Nothing happens before a person says so, however long it takes.
    control.pass(Span::from_secs(600)).await.unwrap();
    assert!(control.world.http.asked().is_empty());
    let (approval, _) = control.pending(tenant).await.pop().unwrap();
    let decided = control.approve(tenant, &ann, approval).await.unwrap();
    assert_eq!(decided, Decided::Approved);
    checks::all(&control).await;

    assert!(control.tick().await.unwrap().is_empty());
    checks::all(&control).await;
    assert_eq!(status(&control, tenant, id).await, Status::Complete);
    let (_, run) = control.only::<Run>(tenant).await;
    assert_eq!(run.status, RunStatus::Completed);
    let effects = control.world.http.effects();
    let urls: Vec<_> = effects.iter().map(|e| e.url.as_str()).collect();
    assert_eq!(
        urls,
        [
            "http://plant.example/machines/press-1/mode",
            "http://plant.example/notes"
        ]
    );
    assert_eq!(effects[0].body["mode"], "cool");
    let (_, found) = control.only::<Incident>(tenant).await;
    assert_eq!(found.status, IncidentStatus::Mitigating);
    assert_eq!(found.directives, [id]);

    let now = control.now();
    let ended: Vec<_> = alerts.iter().map(|a| a.ended(now)).collect();
    control.receive(tenant, &ended[..1]).await.unwrap();
    control.pass(Span::from_secs(5)).await.unwrap();
    let (_, found) = control.only::<Incident>(tenant).await;
    assert_eq!(found.status, IncidentStatus::Mitigating, "one still fires");
    control.receive(tenant, &ended[1..]).await.unwrap();
    control.pass(Span::from_secs(5)).await.unwrap();
    let (_, found) = control.only::<Incident>(tenant).await;
    assert_eq!(found.status, IncidentStatus::Resolved);
    checks::all(&control).await;

    let incident = found.id;
    control
        .run(tenant, &ann, move |unit, _| {
            incident::close(unit, incident, "over")
        })
        .await
        .unwrap();
    let (_, found) = control.only::<Incident>(tenant).await;
    assert_eq!(found.status, IncidentStatus::Closed);
    control.pass(Span::from_secs(3 * 60 * 60)).await.unwrap();
    checks::all(&control).await;
    assert_eq!(control.world.http.asked().len(), 2);
}

#[tokio::test]
async fn a_rejected_directive_does_nothing() {
    let control = Loop::start(2, &Sample::default()).await;
    let (tenant, ann) = (control.home(), Person::named("ann"));
    let (id, approval) = control.incident(tenant, "press-1").await;
    let seen = directive(&control, tenant, id).await.digest;
    let no = control
        .run(tenant, &ann, move |unit, _| {
            operations::reject(
                unit,
                &operations::Reject::of(approval, seen, "too early in the shift"),
            )
        })
        .await;
    no.unwrap();
    control.pass(Span::from_secs(3 * 60 * 60)).await.unwrap();
    checks::all(&control).await;
    assert_eq!(status(&control, tenant, id).await, Status::Expired);
    let late = control.approve(tenant, &ann, approval).await;
    assert!(late.is_err(), "{late:?}");
    assert!(control.world.http.asked().is_empty());
    assert!(control.all::<Run>(tenant).await.is_empty());
}

/// Two people let go what was stopped.
async fn release(control: &Loop, tenant: TenantId, scope: &Scope) {
    let (first, second) = (Person::named("ann"), Person::named("bob"));
    let wanted = scope.clone();
    let asked = control
        .run(tenant, &first, move |unit, _| {
            kill::request_release(unit, &wanted, "the cause is gone")
        })
        .await;
    asked.unwrap();
    let wanted = scope.clone();
    let done = control
        .run(tenant, &second, move |unit, _| {
            kill::confirm_release(unit, &wanted)
        })
        .await;
    done.unwrap();
}

async fn engage(control: &Loop, tenant: TenantId, scope: Scope) {
    let eve = Person::named("eve");
    let done = control
        .run(tenant, &eve, move |unit, _| {
            kill::engage(unit, scope.clone(), "stop")
        })
        .await;
    done.unwrap();
}

#[tokio::test]
async fn the_kill_switch_between_approval_and_start_holds_it_back() {
    for scope in ["global", "tenant", "tool:http.request", "agent:runbooks"] {
        let scope: Scope = scope.parse().unwrap();
        let control = Loop::start(3, &Sample::default()).await;
        let (tenant, ann) = (control.home(), Person::named("ann"));
        let (id, approval) = control.incident(tenant, "press-1").await;
        control.approve(tenant, &ann, approval).await.unwrap();
        engage(&control, tenant, scope.clone()).await;
        control.pass(Span::from_secs(60)).await.unwrap();
        checks::all(&control).await;
        assert!(control.world.http.asked().is_empty(), "{scope}");
        assert_eq!(status(&control, tenant, id).await, Status::Approved);
        release(&control, tenant, &scope).await;
        control.pass(Span::from_secs(60)).await.unwrap();
        checks::all(&control).await;
        assert_eq!(status(&control, tenant, id).await, Status::Complete);
        assert_eq!(control.world.http.effects().len(), 2, "{scope}");
    }
}

#[tokio::test]
async fn the_kill_switch_between_two_steps_stops_the_second() {
    let control = Loop::start(4, &Sample::default()).await;
    let (tenant, ann) = (control.home(), Person::named("ann"));
    let (id, approval) = control.incident(tenant, "press-1").await;
    // The first step is asked to come again, so that the run waits between.
    control.world.http.script(&[Fate::Answer, Fate::Busy]);
    control.approve(tenant, &ann, approval).await.unwrap();
    control.tick().await.unwrap();
    assert_eq!(control.world.http.effects().len(), 1);
    engage(&control, tenant, Scope::Tenant).await;
    control.pass(Span::from_secs(600)).await.unwrap();
    checks::all(&control).await;
    assert_eq!(
        control.world.http.asked().len(),
        2,
        "nothing after the stop"
    );
    assert_eq!(status(&control, tenant, id).await, Status::Paused);

    release(&control, tenant, &Scope::Tenant).await;
    let (run, _) = control.only::<Run>(tenant).await;
    let run: kernel::RunId = run.parse().unwrap();
    let resumed = control
        .run(tenant, &ann, move |unit, _| {
            act::engine::resume(unit, run, "go on")
        })
        .await;
    resumed.unwrap();
    control.pass(Span::from_secs(60)).await.unwrap();
    checks::all(&control).await;
    assert_eq!(status(&control, tenant, id).await, Status::Complete);
    assert_eq!(control.world.http.effects().len(), 2);
}

#[tokio::test]
async fn what_was_edited_is_what_runs() {
    let control = Loop::start(5, &Sample::default()).await;
    let tenant = control.home();
    let (ann, bob) = (Person::named("ann"), Person::named("bob"));
    let (id, old) = control.incident(tenant, "press-1").await;
    let before = directive(&control, tenant, id).await;
    let mut contract = before.contract.clone();
    contract.steps.truncate(1);
    contract.steps[0].input["json"]["mode"] = "slow".into();
    let edited = control
        .run(tenant, &ann, move |unit, env| {
            let asked = EditAndApprove {
                approval: old,
                seen: before.digest,
                contract: contract.clone(),
                reason: None,
            };
            operations::edit_and_approve(unit, env, asked)
        })
        .await
        .unwrap();
    // Separation of duties: the editor's word is not enough.
    assert_eq!(edited.decided, None);
    let Proposed::Waiting { approval: new } = edited.proposed else {
        panic!("{:?}", edited.proposed);
    };
    control.pass(Span::from_secs(10)).await.unwrap();
    assert!(control.world.http.asked().is_empty());
    for (person, approval) in [(&bob, old), (&ann, new)] {
        let refused = control.approve(tenant, person, approval).await;
        assert!(refused.is_err(), "{refused:?}");
    }
    control.approve(tenant, &bob, new).await.unwrap();
    control.pass(Span::from_secs(10)).await.unwrap();
    checks::all(&control).await;
    assert_eq!(status(&control, tenant, id).await, Status::Complete);
    let effects = control.world.http.effects();
    assert_eq!(effects.len(), 1);
    assert_eq!(effects[0].body["mode"], "slow");
}

#[tokio::test]
async fn silence_is_a_refusal() {
    let sample = Sample {
        approval_expires: "5m".into(),
        ..Sample::default()
    };
    let control = Loop::start(6, &sample).await;
    let (tenant, ann) = (control.home(), Person::named("ann"));
    let (id, approval) = control.incident(tenant, "press-1").await;
    control.pass(Span::from_secs(5 * 60)).await.unwrap();
    checks::all(&control).await;
    let found = control.find::<Approval>(tenant, approval).await.unwrap();
    assert_eq!(found.status, approval::Status::Expired);
    assert_eq!(status(&control, tenant, id).await, Status::Blocked);
    assert!(control.approve(tenant, &ann, approval).await.is_err());
    // Tried again it asks again, and then it may run.
    let retried = control
        .run(tenant, &ann, move |unit, env| {
            operations::retry(unit, env, id)
        })
        .await
        .unwrap();
    let Proposed::Waiting { approval } = retried else {
        panic!("{retried:?}");
    };
    control.approve(tenant, &ann, approval).await.unwrap();
    control.pass(Span::from_secs(1)).await.unwrap();
    checks::all(&control).await;
    assert_eq!(status(&control, tenant, id).await, Status::Complete);
}

#[tokio::test]
async fn an_approved_directive_does_not_outlive_its_timebox() {
    let sample = Sample {
        timebox: "10m".into(),
        ..Sample::default()
    };
    let control = Loop::start(7, &sample).await;
    let (tenant, ann) = (control.home(), Person::named("ann"));
    let (id, approval) = control.incident(tenant, "press-1").await;
    control.approve(tenant, &ann, approval).await.unwrap();
    engage(&control, tenant, Scope::Tenant).await;
    control.pass(Span::from_secs(11 * 60)).await.unwrap();
    release(&control, tenant, &Scope::Tenant).await;
    control.pass(Span::from_secs(60)).await.unwrap();
    checks::all(&control).await;
    assert_eq!(status(&control, tenant, id).await, Status::Expired);
    assert!(control.world.http.asked().is_empty());
}

#[tokio::test]
async fn a_run_that_outlives_its_timebox_is_undone() {
    let sample = Sample {
        timebox: "10m".into(),
        note_idempotency: "ignored".into(),
        ..Sample::default()
    };
    let control = Loop::start(8, &sample).await;
    let (tenant, ann) = (control.home(), Person::named("ann"));
    let (id, approval) = control.incident(tenant, "press-1").await;
    control
        .world
        .http
        .script(&[Fate::Answer, Fate::LoseRequest]);
    control.approve(tenant, &ann, approval).await.unwrap();
    control.pass(Span::from_secs(60)).await.unwrap();
    checks::all(&control).await;
    // The second step's result is unknown, and nobody says what came of it.
    assert_eq!(control.world.http.asked().len(), 2);
    control.pass(Span::from_secs(20 * 60)).await.unwrap();
    checks::all(&control).await;
    assert_eq!(status(&control, tenant, id).await, Status::Aborted);
    let (run, found) = control.only::<Run>(tenant).await;
    assert!(!found.is_over(), "it waits for a person's word: {found:?}");
    let run: kernel::RunId = run.parse().unwrap();
    let modules = control.control.modules().clone();
    let said = control
        .run(tenant, &ann, move |unit, _| {
            let phase = act::Phase::Step;
            let resolution = act::run::Resolution::Failed;
            act::engine::resolve_unknown(unit, &modules, run, phase, "note", resolution, "I looked")
        })
        .await;
    said.unwrap();
    control.pass(Span::from_secs(60)).await.unwrap();
    checks::all(&control).await;
    let (_, found) = control.only::<Run>(tenant).await;
    assert_eq!(found.status, RunStatus::Canceled);
    assert_eq!(found.undone, ["cool"]);
}

#[tokio::test]
async fn a_failed_step_undoes_what_was_done() {
    let control = Loop::start(9, &Sample::default()).await;
    let (tenant, ann) = (control.home(), Person::named("ann"));
    let (id, approval) = control.incident(tenant, "press-1").await;
    control.world.http.script(&[Fate::Answer, Fate::Refuse]);
    control.approve(tenant, &ann, approval).await.unwrap();
    control.pass(Span::from_secs(60)).await.unwrap();
    checks::all(&control).await;
    assert_eq!(status(&control, tenant, id).await, Status::Aborted);
    let (_, run) = control.only::<Run>(tenant).await;
    assert_eq!(
        (run.status, run.undone.as_slice()),
        (RunStatus::Failed, &["cool".to_owned()][..])
    );
    let modes: Vec<_> = control.world.http.effects();
    let modes: Vec<_> = modes
        .iter()
        .filter_map(|e| e.body["mode"].as_str())
        .collect();
    assert_eq!(modes, ["cool", "normal"]);
}

#[tokio::test]
async fn the_policy_blocks() {
    let sample = Sample {
        policies: "@id(\"never\") forbid (principal, action == Action::\"plan_approval\", resource)
             when { context.steps > 0 };"
            .into(),
        ..Sample::default()
    };
    let control = Loop::start(10, &sample).await;
    let tenant = control.home();
    control
        .receive(tenant, &Alert::pair("press-1", control.now()))
        .await
        .unwrap();
    control.pass(Span::from_secs(5)).await.unwrap();
    checks::all(&control).await;
    let (_, found) = control.only::<Directive>(tenant).await;
    assert_eq!(found.status, Status::Blocked);
    assert!(found.reason.unwrap().contains("never"));
    assert!(control.pending(tenant).await.is_empty());
    // All validators ran and are recorded, although the policy said no.
    let (_, verdict) = control.only::<VerdictRecord>(tenant).await;
    let checks: Vec<_> = verdict
        .given
        .results
        .iter()
        .map(|r| r.check.as_str())
        .collect();
    let first = [
        "freshness",
        "grounding",
        "contradiction",
        "compliance",
        "residency",
    ];
    assert_eq!(checks[..5], first);
    assert!(
        checks.contains(&"policy") && checks.contains(&"budget"),
        "{checks:?}"
    );
}

#[tokio::test]
async fn a_policy_on_steps_blocks_what_was_approved() {
    let sample = Sample {
        policies: "@id(\"no-notes\") forbid (principal, action == Action::\"external_write\", \
                   resource) when { context.cost.lessThan(decimal(\"0.5\")) };"
            .into(),
        ..Sample::default()
    };
    let control = Loop::start(11, &sample).await;
    let (tenant, ann) = (control.home(), Person::named("ann"));
    let (id, approval) = control.incident(tenant, "press-1").await;
    control.approve(tenant, &ann, approval).await.unwrap();
    control.pass(Span::from_secs(60)).await.unwrap();
    checks::all(&control).await;
    assert_eq!(control.world.http.asked().len(), 1, "only the first step");
    assert_eq!(status(&control, tenant, id).await, Status::Paused);
}

#[tokio::test]
async fn the_hard_cap_blocks() {
    // Each directive costs 1.10 EUR: the fourth would make it 4.40 EUR.
    let sample = Sample {
        tenant_hard: "4 EUR".into(),
        ..Sample::default()
    };
    let control = Loop::start(12, &sample).await;
    let (tenant, ann) = (control.home(), Person::named("ann"));
    let mut ends = Vec::new();
    for machine in ["press-1", "press-2", "press-3", "press-4"] {
        let alerts = Alert::pair(machine, control.now());
        control.receive(tenant, &alerts).await.unwrap();
        control.pass(Span::from_secs(2)).await.unwrap();
        for (approval, _) in control.pending(tenant).await {
            control.approve(tenant, &ann, approval).await.unwrap();
        }
        control.pass(Span::from_secs(2)).await.unwrap();
        checks::all(&control).await;
        let all = control.all::<Directive>(tenant).await;
        ends.push(all.last().unwrap().1.status);
    }
    use Status::{Blocked, Complete};
    assert_eq!(ends, [Complete, Complete, Complete, Blocked]);
    assert_eq!(control.world.http.effects().len(), 6);
    // The next day the budget starts anew.
    control.pass(Span::from_secs(24 * 60 * 60)).await.unwrap();
    let (id, approval) = control.incident(tenant, "press-5").await;
    control.approve(tenant, &ann, approval).await.unwrap();
    control.pass(Span::from_secs(2)).await.unwrap();
    checks::all(&control).await;
    assert_eq!(status(&control, tenant, id).await, Complete);
}

#[tokio::test]
async fn who_may_not_decide_does_not() {
    let control = Loop::start(13, &Sample::default()).await;
    let tenant = control.home();
    let (id, approval) = control.incident(tenant, "press-1").await;
    let mut operator = Person::named("ann");
    operator.roles = vec![kernel::Role::Operator];
    let agent = Person {
        actor: kernel::Actor::new(kernel::PrincipalKind::Agent, "scout"),
        roles: vec![kernel::Role::Approver],
    };
    for person in [operator, agent] {
        let refused = control.approve(tenant, &person, approval).await;
        assert_eq!(refused.unwrap_err().code, Code::Forbidden, "{person:?}");
    }
    control.pass(Span::from_secs(60)).await.unwrap();
    checks::all(&control).await;
    assert_eq!(status(&control, tenant, id).await, Status::Proposed);
    assert!(control.world.http.asked().is_empty());
}
