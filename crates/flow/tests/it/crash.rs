//! Death of the process at every append of a run, on both sides of the commit,
//! and while the request is on its way: afterwards the next process finishes
//! the run, and what it was to do happened once.

use act::{Run, RunStatus};
use gate::Directive;
use gate::directive::Status;
use kernel::{Span, TenantId};
use testkit::{Death, Fate, Loop, Person, Sample, checks};

/// From an approval on: ticks until storage dies, the next process comes up,
/// and the run goes on for a while.
async fn survive(control: &mut Loop) {
    if control.pass(Span::from_secs(1)).await.is_err() || control.store.is_dead() {
        assert!(control.store.is_dead());
        checks::all(control).await;
        control.crash().await.expect("the next process comes up");
        checks::all(control).await;
    }
    control
        .pass(Span::from_secs(10 * 60))
        .await
        .expect("storage works");
    checks::all(control).await;
}

async fn expect_done(control: &Loop, tenant: TenantId, case: &str) {
    let (_, directive) = control.only::<Directive>(tenant).await;
    assert_eq!(directive.status, Status::Complete, "{case}");
    let (_, run) = control.only::<Run>(tenant).await;
    assert_eq!(run.status, RunStatus::Completed, "{case}");
    assert_eq!(control.world.http.effects().len(), 2, "{case}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_survives_death_at_every_append() {
    let sample = Sample::default();
    let ann = Person::named("ann");
    let mut died = 0;
    for side in [Death::Before, Death::After] {
        for after in 1.. {
            let case = format!("death {side:?} append {after} of the run");
            let mut control = Loop::start(after, &sample).await;
            let tenant = control.home();
            let (_, approval) = control.incident(tenant, "press-1").await;
            control.approve(tenant, &ann, approval).await.unwrap();
            let appends = control.store.appends();
            control.store.die_at(appends + after, side);
            let first = control.store.clone();
            survive(&mut control).await;
            expect_done(&control, tenant, &case).await;
            if !first.is_dead() {
                break;
            }
            died += 1;
        }
    }
    // Start, two steps begun and finished: at least five appends to die at.
    assert!(died >= 10, "only {died} deaths");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_deaths_in_one_run_change_nothing() {
    let sample = Sample::default();
    let ann = Person::named("ann");
    for first in 1..=5 {
        for second in [1, 4] {
            let case = format!("deaths at {first} and {second}");
            let mut control = Loop::start(first * 10 + second, &sample).await;
            let tenant = control.home();
            let (_, approval) = control.incident(tenant, "press-1").await;
            control.approve(tenant, &ann, approval).await.unwrap();
            control
                .store
                .die_at(control.store.appends() + first, Death::After);
            let died = control.pass(Span::from_secs(1)).await;
            assert!(died.is_err(), "{case}");
            control.crash().await.unwrap();
            let appends = control.store.appends();
            control.store.die_at(appends + second, Death::Before);
            survive(&mut control).await;
            expect_done(&control, tenant, &case).await;
        }
    }
}

/// The process dies while a request is under way that was done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_with_a_request_under_way_sends_it_again_under_the_same_key() {
    for before in 0..2 {
        let mut control = Loop::start(before, &Sample::default()).await;
        let (tenant, ann) = (control.home(), Person::named("ann"));
        let (_, approval) = control.incident(tenant, "press-1").await;
        let mut script = vec![Fate::Answer; usize::try_from(before).unwrap()];
        script.push(Fate::Hang);
        control.world.http.script(&script);
        control.approve(tenant, &ann, approval).await.unwrap();
        hang(&control).await;
        control.crash().await.unwrap();
        survive(&mut control).await;
        expect_done(&control, tenant, &format!("hang after {before}")).await;
        let asked = control.world.http.asked();
        assert_eq!(asked.len(), 3);
        let at = usize::try_from(before).unwrap();
        assert_eq!(asked[at].key, asked[at + 1].key);
    }
}

/// Where the other side does not honour the key, nothing is sent twice: a
/// person says what came of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_honours_is_not_sent_again() {
    let sample = Sample {
        note_idempotency: "ignored".into(),
        ..Sample::default()
    };
    let mut control = Loop::start(1, &sample).await;
    let (tenant, ann) = (control.home(), Person::named("ann"));
    let (_, approval) = control.incident(tenant, "press-1").await;
    control.world.http.script(&[Fate::Answer, Fate::Hang]);
    control.approve(tenant, &ann, approval).await.unwrap();
    hang(&control).await;
    control.crash().await.unwrap();
    survive(&mut control).await;
    assert_eq!(control.world.http.asked().len(), 2);
    let (run, found) = control.only::<Run>(tenant).await;
    assert!(found.parked.is_some(), "{found:?}");
    let run: kernel::RunId = run.parse().unwrap();
    let modules = control.control.modules().clone();
    let said = control
        .run(tenant, &ann, move |unit, _| {
            let (phase, yes) = (act::Phase::Step, act::run::Resolution::Succeeded);
            act::engine::resolve_unknown(unit, &modules, run, phase, "note", yes, "it is there")
        })
        .await;
    said.unwrap();
    survive(&mut control).await;
    expect_done(&control, tenant, "resolved").await;
    assert_eq!(control.world.http.asked().len(), 2);
}

/// Ticks until the request hangs; the tick is then given up with its process.
async fn hang(control: &Loop) {
    let short = std::time::Duration::from_millis(300);
    let ticked = tokio::time::timeout(short, control.tick()).await;
    assert!(ticked.is_err(), "the request hangs");
}
