//! Beyond capacity: requests are shed at once, what is urgent still answers,
//! and a panic is a problem like any other.

use crate::harness::{World, request};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use kernel::Role::{Admin, Viewer};
use serde_json::{Value, json};
use server::App;
use server::lanes::Lane;
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
