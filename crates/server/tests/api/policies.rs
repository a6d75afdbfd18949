//! Sets of policies through the API.

use crate::harness::World;
use kernel::Role::{Admin, Operator};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_is_shadowed_promoted_and_withdrawn() {
    let world = World::new().await;
    let (admin, operator) = (world.member.token(Admin), world.member.token(Operator));
    world
        .post("/v1/packs/load", admin, &crate::pack::body())
        .await
        .is(200);
    let text = "@id(\"no-agents\") forbid (principal is Agent, action, resource);";
    let files = json!({"files": {"agents.cedar": text}});
    world
        .post("/v1/policy/shadow", operator, &files)
        .await
        .is(403);
    let broken = json!({"files": {"agents.cedar": "permit("}});
    world
        .post("/v1/policy/shadow", admin, &broken)
        .await
        .is(400);
    let shadowed = world.post("/v1/policy/shadow", admin, &files).await.is(200);
    let set = shadowed.body["set"].as_str().unwrap().to_owned();
    let listed = world.get("/v1/policy", operator).await.is(200);
    assert_eq!(listed.body["state"]["sets"][&set]["status"], "shadow");
    let would_be = listed.body["shadow"].clone();
    assert_ne!(listed.body["enforced"], would_be);

    let moved = json!({"set": set, "reason": "tried for a week"});
    world
        .post("/v1/policy/promote", operator, &moved)
        .await
        .is(403);
    world
        .post("/v1/policy/promote", admin, &moved)
        .await
        .is(200);
    let listed = world.get("/v1/policy", operator).await.is(200);
    assert_eq!(listed.body["enforced"], would_be, "one hash names it");
    assert!(listed.body["shadow"].is_null());
    world
        .post("/v1/policy/promote", admin, &moved)
        .await
        .is(409);

    let since = json!({"files": {"b.cedar": text.replace("no-agents", "x")}, "since": "2026-01-01T00:00:00Z"});
    let simulated = world
        .post("/v1/policy/simulate", admin, &since)
        .await
        .is(200);
    assert_eq!(simulated.body["simulation"]["changed"], 0);

    // What could not be uploaded is not simulated either.
    for name in ["", ".cedar", "a/b.cedar", "a\u{7}.cedar", "a.txt"] {
        let files = json!({"files": {name: text}, "since": "2026-01-01T00:00:00Z"});
        let refused = world.post("/v1/policy/simulate", admin, &files).await;
        let detail = refused.is(400).body["detail"].as_str().map(str::to_owned);
        assert!(detail.unwrap().contains("no name of a file"), "{name:?}");
    }
    world
        .post("/v1/policy/withdraw", admin, &moved)
        .await
        .is(200);
    let listed = world.get("/v1/policy", operator).await.is(200);
    assert_eq!(listed.body["state"]["sets"][&set]["status"], "withdrawn");
    assert_ne!(listed.body["enforced"], would_be);
    world.end().await;
}
