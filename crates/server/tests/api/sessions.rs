//! Session state over HTTP: versions, idempotency, and what each action
//! leaves on the ledger.

use crate::harness::World;
use kernel::Role::{Admin, Agent, Viewer};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_keeps_its_state_and_a_lost_update_is_refused() {
    let world = World::new().await;
    let (agent, viewer) = (world.member.token(Agent), world.member.token(Viewer));
    let save = "/v1/sessions/plan-1/save";
    world.get("/v1/sessions/plan-1", agent).await.is(404);
    let first = json!({"state": {"turn": 1}});
    let key = [("idempotency-key", "s-1")];
    let saved = world.post_with(save, agent, &first, &key).await.is(200);
    assert_eq!(saved.header("etag"), "\"1\"");
    let again = world.post_with(save, agent, &first, &key).await.is(200);
    assert_eq!(again.body, saved.body, "saved once");
    let second = json!({"state": {"turn": 2}});
    let tag = [("if-match", "\"1\"")];
    world.post_with(save, agent, &second, &tag).await.is(200);
    let lost = world.post_with(save, agent, &first, &tag).await.is(412);
    assert_eq!(lost.header("etag"), "\"2\"");
    let held = world.get("/v1/sessions/plan-1", viewer).await.is(200);
    assert_eq!(held.body["state"], json!({"turn": 2}));
    assert_eq!(held.header("etag"), "\"2\"", "a reading is no change");
    world.post_with(save, viewer, &second, &[]).await.is(403);
    let elsewhere = world.home.token(Admin);
    world.get("/v1/sessions/plan-1", elsewhere).await.is(404);
    let verified = world
        .post_with("/v1/sessions/plan-1/verify", agent, &json!({}), &[])
        .await
        .is(200);
    assert_eq!(verified.body["intact"], true);
    let listed = world.get("/v1/sessions", agent).await.is(200);
    assert_eq!(listed.body["items"][0]["id"], "plan-1");
    let counts = world.get("/v1/session-cache", agent).await.is(200);
    assert_eq!(counts.body["hit_ratio"], 1.0);
    let gone = json!({"reason": "done"});
    world
        .post_with("/v1/sessions/plan-1/delete", agent, &gone, &[])
        .await
        .is(200);
    world.get("/v1/sessions/plan-1", agent).await.is(404);
    let metrics = world.get("/metrics", elsewhere).await.is(200);
    let text = String::from_utf8_lossy(&metrics.bytes);
    assert!(text.contains("session_cache_requests_total{outcome=\"hit\"} 1"));
    world.end().await;
}
