//! A request that nobody answers, as the scheduler drives it: further roles are
//! asked when it is due, and silence to the end is a refusal.

use gate::Approval;
use gate::approval::Status;
use gate::operations::Decided;
use kernel::{Code, Role, Span, TenantId};
use testkit::{Loop, Person, Sample, checks};

fn sample() -> Sample {
    Sample {
        approval_expires: "30m\nescalation: [{ after: 10m, to: [operator] }]".into(),
        ..Sample::default()
    }
}

fn operator() -> Person {
    Person {
        roles: vec![Role::Operator],
        ..Person::named("oda")
    }
}

async fn pass(control: &Loop, minutes: u32) {
    control.pass(Span::from_secs(minutes * 60)).await.unwrap();
}

async fn escalated(control: &Loop, tenant: TenantId) -> (Status, Vec<Role>) {
    let (_, approval) = control.only::<Approval>(tenant).await;
    (approval.status, approval.escalated_to)
}

#[tokio::test]
async fn when_nobody_answers_the_operator_is_asked_and_may() {
    let control = Loop::start(31, &sample()).await;
    let tenant = control.home();
    let (_, approval) = control.incident(tenant, "press-1").await;
    pass(&control, 9).await;
    assert_eq!(escalated(&control, tenant).await, (Status::Pending, vec![]));
    let early = control.approve(tenant, &operator(), approval).await;
    assert_eq!(early.unwrap_err().code, Code::Forbidden);
    pass(&control, 1).await;
    let asked = (Status::Pending, vec![Role::Operator]);
    assert_eq!(escalated(&control, tenant).await, asked);
    let decided = control.approve(tenant, &operator(), approval).await;
    assert_eq!(decided.unwrap(), Decided::Approved);
    pass(&control, 1).await;
    assert_eq!(escalated(&control, tenant).await.0, Status::Used);
    checks::all(&control).await;
}

#[tokio::test]
async fn silence_after_the_escalation_is_a_refusal_still() {
    let control = Loop::start(32, &sample()).await;
    let tenant = control.home();
    let (_, approval) = control.incident(tenant, "press-1").await;
    pass(&control, 31).await;
    let ended = (Status::Expired, vec![Role::Operator]);
    assert_eq!(escalated(&control, tenant).await, ended);
    let late = control.approve(tenant, &operator(), approval).await;
    assert!(late.is_err(), "{late:?}");
    checks::all(&control).await;
}
