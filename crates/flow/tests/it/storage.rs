//! Storage that fails: the command is refused as unavailable, nothing of it is
//! recorded, and the loop goes on when storage does.

use gate::Directive;
use gate::directive::Status;
use kernel::{Code, Span};
use sense::Signal;
use std::time::Duration;
use testkit::alerts::Alert;
use testkit::{Loop, Person, Sample, checks};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_cannot_be_kept_is_refused_and_leaves_nothing() {
    let control = Loop::start(1, &Sample::default()).await;
    let tenant = control.home();
    let alerts = Alert::pair("press-1", control.now());
    let before = control.store.appends();
    control.store.fail_appends(1);
    let refused = control.receive(tenant, &alerts).await.unwrap_err();
    assert_eq!(refused.code, Code::Unavailable);
    assert_eq!(control.store.appends(), before);
    assert!(control.all::<Signal>(tenant).await.is_empty());
    checks::all(&control).await;
    // The same again, when storage works, is new.
    let got = control.receive(tenant, &alerts).await.unwrap();
    assert_eq!(got.signals_new.len(), 2);
    checks::all(&control).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_whose_reply_is_lost_is_known_when_it_comes_again() {
    let control = Loop::start(2, &Sample::default()).await;
    let tenant = control.home();
    let alerts = Alert::pair("press-1", control.now());
    control.store.lose_replies(1);
    let refused = control.receive(tenant, &alerts).await.unwrap_err();
    assert_eq!(refused.code, Code::Unavailable);
    let got = control.receive(tenant, &alerts).await.unwrap();
    assert_eq!((got.signals_new.len(), got.signals_known), (0, 2));
    assert_eq!(control.all::<Signal>(tenant).await.len(), 2);
    checks::all(&control).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_loop_goes_on_after_an_outage_at_every_stage() {
    let ann = Person::named("ann");
    // Before the alerts, the promotion, the approval, the run.
    for stage in 0..4 {
        let control = Loop::start(stage, &Sample::default()).await;
        let tenant = control.home();
        let outage = async |now: u64| {
            if now == stage {
                control.store.go_down();
                let refused = control.receive(tenant, &[]).await.unwrap_err();
                assert_eq!(refused.code, Code::Unavailable, "{refused}");
                let ticked = control.pass(Span::from_secs(3)).await;
                assert_eq!(ticked.unwrap_err().code, Code::Unavailable);
                checks::all(&control).await;
                control.store.recover();
            }
        };
        outage(0).await;
        let alerts = Alert::pair("press-1", control.now());
        control.receive(tenant, &alerts).await.unwrap();
        outage(1).await;
        control.pass(Span::from_secs(2)).await.unwrap();
        let (approval, _) = control.pending(tenant).await.pop().unwrap();
        outage(2).await;
        control.approve(tenant, &ann, approval).await.unwrap();
        outage(3).await;
        control.pass(Span::from_secs(60)).await.unwrap();
        checks::all(&control).await;
        let (_, directive) = control.only::<Directive>(tenant).await;
        assert_eq!(directive.status, Status::Complete, "stage {stage}");
        assert_eq!(control.world.http.effects().len(), 2, "stage {stage}");
    }
}

/// Storage fails for a moment, at any append of a run: what came of a step is
/// recorded afterwards, and nothing is sent again to find it out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_of_a_step_survives_a_moment_without_storage() {
    let ann = Person::named("ann");
    let mut failed = 0;
    for after in 0.. {
        let control = Loop::start(after, &Sample::default()).await;
        let tenant = control.home();
        let (_, approval) = control.incident(tenant, "press-1").await;
        control.approve(tenant, &ann, approval).await.unwrap();
        let before = control.store.appends();
        control.store.fail_after(before + after);
        control.pass(Span::from_secs(120)).await.unwrap();
        checks::all(&control).await;
        let (_, directive) = control.only::<Directive>(tenant).await;
        assert_eq!(directive.status, Status::Complete, "append {after}");
        assert_eq!(control.world.http.asked().len(), 2, "append {after}");
        if control.store.appends() - before <= after {
            break;
        }
        failed += 1;
    }
    assert!(failed >= 5, "only {failed} appends failed");
}

/// Commands of one group share their fate: none is answered before the group
/// is kept, and when it is not, none of it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_commands_on_slow_storage_are_all_or_nothing() {
    let control = Loop::start(3, &Sample::default()).await;
    let tenant = control.home();
    control.store.be_slow(Duration::from_millis(20));
    control.store.fail_appends(1);
    let mut machines: Vec<String> = (0..16).map(|n| format!("press-{n}")).collect();
    let mut tries = 0;
    while !machines.is_empty() {
        tries += 1;
        assert!(tries < 5, "{machines:?} never come in");
        let sent = machines.iter().map(|machine| {
            let alerts = Alert::pair(machine, control.now());
            let control = &control;
            async move { control.receive(tenant, &alerts).await }
        });
        let answers = join(sent).await;
        let mut left = Vec::new();
        for (machine, answer) in machines.into_iter().zip(answers) {
            let known = control.all::<Signal>(tenant).await;
            let subject = format!("machine/{machine}");
            let known = known
                .iter()
                .filter(|(_, s)| s.subject.to_string() == subject);
            match answer {
                Ok(got) => {
                    assert_eq!((got.signals_new.len(), known.count()), (2, 2));
                }
                Err(refusal) => {
                    assert_eq!(refusal.code, Code::Unavailable);
                    assert_eq!(known.count(), 0, "refused and yet recorded");
                    left.push(machine);
                }
            }
        }
        machines = left;
    }
    assert!(tries > 1, "the fault was met");
    checks::all(&control).await;
}

/// Polls all futures together until each has its value.
async fn join<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut open: Vec<_> = futures.map(|f| (Box::pin(f), None)).collect();
    std::future::poll_fn(move |context| {
        let mut waiting = false;
        for (future, value) in &mut open {
            if value.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(done) => *value = Some(done),
                    std::task::Poll::Pending => waiting = true,
                }
            }
        }
        if waiting {
            return std::task::Poll::Pending;
        }
        let done = open.iter_mut().filter_map(|(_, value)| value.take());
        std::task::Poll::Ready(done.collect())
    })
    .await
}
