//! Beyond capacity: requests are shed at once, what is urgent still answers,
//! and a panic is a problem like any other.

use crate::harness::{World, request};
use crate::wire::Served;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use kernel::Role::{Admin, Viewer};
use kernel::{Haste, Refusal, Unit};
use ledger::room::Room;
use serde_json::{Value, json};
use server::App;
use server::auth::Caller;
use server::http::Trace;
use server::lanes::Lane;
use server::routes::{Guard, Route, mount};
use std::future::Future as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use tower::ServiceExt as _;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_sheds_and_keeps_what_is_urgent() {
    let world = World::new().await;
    let taken: Vec<_> = (0..server::limits::ORDINARY_REQUESTS_MAX)
        .map(|_| world.app.lanes().enter(Lane::Ordinary).unwrap())
        .collect();
    let viewer = world.member.token(Viewer);
    let shed = world.get("/v1/incidents", viewer).await.is(503);
    assert_eq!(shed.header("retry-after"), "1");
    assert_eq!(shed.body["type"], "/problems/unavailable");
    world.get("/healthz", viewer).await.is(200);
    world.get("/v1/approvals", viewer).await.is(200);
    world.get("/v1/kill-switch", viewer).await.is(200);
    let stop = json!({"scope": "tenant", "reason": "flood"});
    let engaged = world.post("/v1/kill-switch/engage", world.member.token(Admin), &stop);
    engaged.await.is(200);
    drop(taken);
    world.get("/v1/incidents", viewer).await.is(200);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_asks_too_fast_is_slowed_down() {
    let world = World::new().await;
    let viewer = world.member.token(Viewer);
    let me = world.get("/v1/me", viewer).await.is(200);
    let key = me.body["key"].as_str().unwrap().parse().unwrap();
    let now = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    // Its requests of the coming minute, all at once.
    while world.app.rates().take(key, now) {}
    let slowed = world.get("/v1/me", viewer).await.is(429);
    assert_eq!(slowed.header("retry-after"), "1");
    world.get("/v1/me", world.home.token(Viewer)).await.is(200);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_a_problem_that_tells_nothing() {
    let world = World::new().await;
    let routes: Router<App> = Router::new().route("/panic", get(panics));
    let router = server::dressed(world.app.clone(), routes);
    let asked = request("GET", "/panic", None).body(Body::empty()).unwrap();
    let response = router.oneshot(asked).await.unwrap();
    assert_eq!(response.status(), 500);
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await;
    let body: Value = serde_json::from_slice(&bytes.unwrap()).unwrap();
    assert_eq!(body["type"], "/problems/internal");
    assert_eq!(body["instance"], "/panic");
    assert!(!body.to_string().contains("canary"));
    world.end().await;
}

async fn panics() -> String {
    panic!("canary")
}

/// A key that floods, or is slow, leaves room for the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_has_its_share_of_the_requests() {
    let world = World::new().await;
    let viewer = world.member.token(Viewer);
    let me = world.get("/v1/me", viewer).await.is(200);
    let key = me.body["key"].as_str().unwrap().parse().unwrap();
    let shares = world.app.under_way();
    let taken: Vec<_> = (0..server::limits::KEY_REQUESTS_MAX)
        .map(|_| shares.take(key).unwrap())
        .collect();
    let slowed = world.get("/v1/me", viewer).await.is(429);
    assert_eq!(slowed.header("retry-after"), "1");
    world.get("/v1/approvals", viewer).await.is(200);
    world.get("/v1/me", world.home.token(Viewer)).await.is(200);
    drop(taken);
    world.get("/v1/me", viewer).await.is(200);
    world.end().await;
}

/// With every ordinary place taken, a webhook is shed before its body is read,
/// and a person's yes goes through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_is_shed_and_an_approval_passes() {
    let world = World::with_packs().await;
    world.observe(&world.home, "a", false).await.is(202);
    let path = "/v1/approvals?status=pending";
    let waiting = world.first(path, world.home.token(Viewer)).await;
    let id = waiting["id"].as_str().unwrap();
    let directive = waiting["directive"].as_str().unwrap();
    let directive = format!("/v1/directives/{directive}");
    let seen = world
        .get(&directive, world.home.token(Viewer))
        .await
        .is(200);
    let yes = json!({"digest": seen.body["state"]["digest"]});
    let taken: Vec<_> = (0..server::limits::ORDINARY_REQUESTS_MAX)
        .map(|_| world.app.lanes().enter(Lane::Ordinary).unwrap())
        .collect();
    let shed = world.observe(&world.home, "b", false).await.is(503);
    assert_eq!(shed.header("retry-after"), "1");
    let path = format!("/v1/approvals/{id}/approve");
    let approver = world.home.token(kernel::Role::Approver);
    world.post(&path, approver, &yes).await.is(200);
    drop(taken);
    world.observe(&world.home, "b", false).await.is(202);
    world.end().await;
}

/// A client that was told to wait and asks again at once is refused again when
/// the time is over, and not before; one that asks for what is urgent is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_wait_as_it_was_told_is_made_to() {
    let world = World::new().await;
    let served = Served::start(&world).await;
    let viewer = world.member.token(Viewer);
    let ask = |path: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: writ\r\nauthorization: Bearer {viewer}\r\n\r\n")
    };
    let taken: Vec<_> = (0..server::limits::ORDINARY_REQUESTS_MAX)
        .map(|_| world.app.lanes().enter(Lane::Ordinary).unwrap())
        .collect();
    let (impatient, urgent) = (
        ask("/v1/incidents").repeat(2),
        ask("/v1/incidents") + &ask("/v1/kill-switch"),
    );
    // What `said` sends last is refused like the rest.
    let began = tokio::time::Instant::now();
    let mut impatient = Box::pin(served.said(impatient.as_bytes()));
    tokio::select! {
        biased;
        (statuses, _) = &mut impatient => panic!("it was not made to wait: {statuses:?}"),
        (statuses, _) = served.said(urgent.as_bytes()) => assert_eq!(statuses, [503, 200, 503]),
    }
    let (statuses, _) = impatient.await;
    assert_eq!(statuses, [503, 503, 503]);
    assert!(began.elapsed().as_millis() >= 990, "{:?}", began.elapsed());
    drop(taken);
    let (statuses, _) = served.said(ask("/v1/incidents").repeat(3).as_bytes()).await;
    assert_eq!(statuses, [200, 200, 200]);
    served.end().await;
    world.end().await;
}

type Decide = Box<dyn Fn(&mut Unit<'_>) -> Result<(), Refusal> + Send>;

fn boxed(decide: impl Fn(&mut Unit<'_>) -> Result<(), Refusal> + Send + 'static) -> Decide {
    Box::new(decide)
}

/// The committer is busy and thousands of commands wait for it: whoever is in
/// haste is decided before all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_in_haste_is_decided_before_what_waits() {
    const WAITING: usize = 2_000;
    let world = World::new().await;
    let (ledger, tenant) = (world.control.ledger(), world.member.tenant);
    let ctx = || world.control.system_ctx(tenant, "test");
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let hold = move |_: &mut Unit<'_>| {
        gate.lock().unwrap().recv().unwrap();
        Ok(())
    };
    let decided = Arc::new(AtomicUsize::new(0));
    let mut waiting: Vec<_> = vec![Box::pin(ledger.run(ctx(), boxed(hold)))];
    for _ in 0..WAITING {
        let decided = decided.clone();
        let count = move |_: &mut Unit<'_>| {
            decided.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        waiting.push(Box::pin(ledger.run(ctx(), boxed(count))));
    }
    let (before, seen) = (decided.clone(), Arc::new(AtomicUsize::new(usize::MAX)));
    let found = seen.clone();
    let look = move |_: &mut Unit<'_>| {
        found.store(before.load(Ordering::SeqCst), Ordering::SeqCst);
        Ok(())
    };
    let hasty = ctx().with_haste(Haste::Urgent);
    waiting.push(Box::pin(ledger.run(hasty, boxed(look))));
    // Asked once, each stands in its queue; only then the committer goes on.
    let mut cx = Context::from_waker(Waker::noop());
    for each in &mut waiting {
        assert!(each.as_mut().poll(&mut cx).is_pending());
    }
    open.send(()).unwrap();
    for each in waiting {
        each.await.unwrap();
    }
    assert_eq!(seen.load(Ordering::SeqCst), 0);
    assert_eq!(decided.load(Ordering::SeqCst), WAITING);
    world.end().await;
}

/// The haste of a command is that of its route, and all but urgent ones leave
/// room for others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_of_urgent_routes_are_in_haste() {
    async fn tell(State(app): State<App>, trace: Trace, caller: Caller) -> String {
        let leaves_room = Room::new(1).enter().await.is_some();
        format!("{:?} {leaves_room}", app.ctx(&caller, trace).haste)
    }
    let world = World::new().await;
    let of = |path, lane| Route::get(path, Guard::SignedIn, "tells its haste", tell).lane(lane);
    let rows = vec![
        of("/urgent", Lane::Urgent),
        of("/ordinary", Lane::Ordinary),
        of("/slow", Lane::Slow),
    ];
    let router = server::dressed(world.app.clone(), mount(&world.app, rows));
    for (path, expected) in [
        ("/urgent", "Urgent false"),
        ("/ordinary", "None true"),
        ("/slow", "None true"),
    ] {
        let asked = request("GET", path, Some(world.member.token(Viewer)));
        let asked = asked.body(Body::empty()).unwrap();
        let response = router.clone().oneshot(asked).await.unwrap();
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await;
        assert_eq!(bytes.unwrap(), expected.as_bytes(), "{path}");
    }
    let urgent: Vec<&str> = server::routes::rows()
        .iter()
        .filter(|row| row.facts.lane == Lane::Urgent)
        .map(|row| row.facts.path)
        .collect();
    for path in [
        "/healthz",
        "/readyz",
        "/v1/approvals/{id}/approve",
        "/v1/approvals/{id}/reject",
        "/v1/kill-switch/engage",
        "/v1/kill-switch/request-release",
        "/v1/kill-switch/confirm-release",
    ] {
        assert!(urgent.contains(&path), "{path}");
    }
    world.end().await;
}
