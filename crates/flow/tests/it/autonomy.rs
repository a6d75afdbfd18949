//! Earned autonomy over the whole loop: fifty approved runs, a drill and a
//! sign-off; then a run without a person, and back to a person after the
//! first that fails.

use act::engine;
use gate::autonomy::{self, Rung, Standing};
use gate::directive::Status;
use gate::kill::Scope;
use gate::operations::{self, Proposed};
use gate::{Contract, Directive};
use kernel::{DirectiveId, Role, Span, TenantId};
use testkit::{Fate, Loop, Person, Sample, checks};

const KIND: &str = "machine.cool_down";

fn sample() -> Sample {
    Sample {
        autonomous: format!("autonomous: {{ {KIND}: {{ confidence_min: 0.3 }} }}\n"),
        policies:
            "@id(\"earned\") permit (principal, action, resource in SubjectType::\"machine\") \
                   when { context.autonomous };\n"
                .to_owned(),
        machine_hard: "1000 EUR".to_owned(),
        ..Sample::default()
    }
}

/// The first step of the runbook's directive, asked for by a person.
async fn contract(control: &Loop, tenant: TenantId, by: &Person) -> Contract {
    let (id, _) = control.incident(tenant, "press-1").await;
    let found = control.find::<Directive>(tenant, id).await.unwrap();
    // The runbook's own would come first.
    let aside = control.run(tenant, by, move |unit, _| {
        operations::block(unit, id, "not this one")
    });
    aside.await.unwrap();
    let mut contract = found.contract;
    contract.steps.truncate(1);
    contract.issued_by = by.actor.clone();
    contract
}

async fn propose(
    control: &Loop,
    tenant: TenantId,
    by: &Person,
    contract: &Contract,
) -> (DirectiveId, Proposed) {
    let mut contract = contract.clone();
    // Each asks for something else, so that none is taken for a repetition.
    let count = control.all::<Directive>(tenant).await.len();
    contract.steps[0].input["json"]["count"] = count.into();
    let asked = control.run(tenant, by, move |unit, env| {
        let id = operations::draft(unit, contract.clone(), None)?;
        Ok((id, operations::propose(unit, env, id)?))
    });
    asked.await.unwrap()
}

async fn status(control: &Loop, tenant: TenantId, id: DirectiveId) -> Status {
    let found = control.find::<Directive>(tenant, id).await;
    found.unwrap().status
}

async fn standing(control: &Loop, tenant: TenantId) -> Standing {
    let ladder = control.control.ladder(tenant).await.unwrap();
    ladder.into_iter().next().unwrap()
}

#[tokio::test]
async fn it_is_earned_used_and_lost() {
    let mut control = Loop::start(31, &sample()).await;
    let tenant = control.home();
    let (olga, ann) = (Person::named("olga"), Person::named("ann"));
    let mut root = Person::named("root");
    root.roles.push(Role::Admin);
    let contract = contract(&control, tenant, &olga).await;
    for _ in 0..50 {
        let (id, proposed) = propose(&control, tenant, &olga, &contract).await;
        let Proposed::Waiting { approval } = proposed else {
            panic!("{proposed:?}");
        };
        control.approve(tenant, &ann, approval).await.unwrap();
        assert!(control.tick().await.unwrap().is_empty());
        assert_eq!(status(&control, tenant, id).await, Status::Complete);
    }
    let ctx = control.ctx(tenant, &ann);
    let drill = control.control.drill(ctx, Scope::Tenant, "monthly".into());
    assert!(drill.await.unwrap().passed);
    assert_eq!(standing(&control, tenant).await.rung, Rung::Eligible);
    let granted = control.run(tenant, &root, |unit, env| {
        autonomy::grant(unit, env, KIND, "fifty went well").map(drop)
    });
    granted.await.unwrap();

    // It survives a crash, because it is on the ledger.
    control.crash().await.unwrap();
    let (id, proposed) = propose(&control, tenant, &olga, &contract).await;
    assert!(
        matches!(proposed, Proposed::Approved { .. }),
        "{proposed:?}"
    );
    assert!(control.tick().await.unwrap().is_empty());
    assert_eq!(status(&control, tenant, id).await, Status::Complete);
    assert_eq!(standing(&control, tenant).await.record.unwrap().alone, 1);
    checks::all(&control).await;

    control.world.http.script(&[Fate::Refuse]);
    let (id, _) = propose(&control, tenant, &olga, &contract).await;
    control.pass(Span::from_secs(600)).await.unwrap();
    assert_eq!(status(&control, tenant, id).await, Status::Aborted);
    let standing = standing(&control, tenant).await;
    assert_eq!(
        (standing.rung, standing.record.unwrap().runs),
        (Rung::Supervised, 0)
    );
    let (_, proposed) = propose(&control, tenant, &olga, &contract).await;
    assert!(matches!(proposed, Proposed::Waiting { .. }), "{proposed:?}");
    checks::all(&control).await;
}

#[tokio::test]
async fn what_a_person_takes_back_counts_against_it() {
    let control = Loop::start(32, &sample()).await;
    let tenant = control.home();
    let (olga, ann) = (Person::named("olga"), Person::named("ann"));
    let contract = contract(&control, tenant, &olga).await;
    let (id, proposed) = propose(&control, tenant, &olga, &contract).await;
    let Proposed::Waiting { approval } = proposed else {
        panic!("{proposed:?}");
    };
    control.approve(tenant, &ann, approval).await.unwrap();
    assert!(control.tick().await.unwrap().is_empty());
    let record = standing(&control, tenant).await.record.unwrap();
    assert_eq!((record.runs, record.setbacks.len()), (1, 0));

    let run = control
        .find::<Directive>(tenant, id)
        .await
        .unwrap()
        .run
        .unwrap();
    let window = Span::from_secs(3600);
    let back = control.run(tenant, &ann, move |unit, _| {
        engine::rollback(unit, run, "it was the wrong machine", window).map(drop)
    });
    back.await.unwrap();
    let record = standing(&control, tenant).await.record.unwrap();
    assert_eq!(record.runs, 0);
    assert_eq!(
        record.setbacks[0].what.reason,
        "a person took it back: it was the wrong machine"
    );
    checks::all(&control).await;
}
