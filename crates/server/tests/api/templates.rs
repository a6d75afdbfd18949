//! Directives from templates over HTTP, and what their versions differ in.

use crate::harness::World;
use kernel::Role::{Agent, Operator, Viewer};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directive_is_drafted_from_a_template_edited_and_compared() {
    let world = World::with_packs().await;
    let side = &world.member;
    let (operator, viewer) = (side.token(Operator), side.token(Viewer));
    world.observe(side, "b", true).await.is(202);
    world.first("/v1/states", viewer).await;
    let listed = world.get("/v1/templates", viewer).await.is(200);
    assert_eq!(listed.body["items"][0]["name"], "look");
    let one = world.get("/v1/templates/look", viewer).await.is(200);
    assert_eq!(one.body["parameters"]["times"]["default"], 1);
    world.get("/v1/templates/other", viewer).await.is(404);

    let path = "/v1/templates/look/directives";
    let wrong = json!({"subject": "host/b", "parameters": {"nots": 1, "times": "x"}});
    let refused = world.post(path, operator, &wrong).await.is(400);
    let detail = refused.body["detail"].as_str().unwrap();
    for part in [
        "parameter `note` is missing",
        "no parameter `nots`",
        "field `times`",
    ] {
        assert!(detail.contains(part), "{detail}");
    }
    let asked = json!({"subject": "host/b", "parameters": {"note": "is it on?"}});
    world.post(path, viewer, &asked).await.is(403);
    let made = world.post(path, side.token(Agent), &asked).await.is(201);
    assert_eq!(made.body["status"], "draft");
    let id = made.body["directive"].as_str().unwrap().to_owned();
    let found = world
        .get(&format!("/v1/directives/{id}"), viewer)
        .await
        .is(200);
    let mut contract = found.body["state"]["contract"].clone();
    assert_eq!(contract["objective"], "look at b: is it on?");

    contract["objective"] = json!("look again");
    contract["steps"][0]["input"]["note"] = json!("twice");
    let edit = json!({"contract": contract});
    world
        .post(&format!("/v1/directives/{id}/edit"), operator, &edit)
        .await
        .is(200);
    let path = |query: &str| format!("/v1/directives/{id}/diff{query}");
    let differs = world.get(&path(""), viewer).await.is(200);
    let expected = json!([
        {"path": "objective", "before": "look at b: is it on?", "after": "look again"},
        {"path": "steps.look.input.note", "before": "is it on?", "after": "twice"},
    ]);
    assert_eq!(differs.body["changes"], expected);
    assert_eq!(differs.body["from"]["revision"], 1);
    let back = world.get(&path("?from=2&to=1"), viewer).await.is(200);
    assert_eq!(back.body["changes"][0]["before"], "look again");
    let none = world.get(&path("?from=2&to=2"), viewer).await.is(200);
    assert_eq!(none.body["changes"], json!([]));
    world.get(&path("?from=3"), viewer).await.is(404);
    world.get(&path("?from=x"), viewer).await.is(400);
    let versions = world
        .get(&format!("/v1/directives/{id}/versions"), viewer)
        .await
        .is(200);
    assert_eq!(versions.body["items"].as_array().unwrap().len(), 2);
    // Another tenant has no such directive.
    world.get(&path(""), world.home.token(Viewer)).await.is(404);
    let page = world
        .get(&format!("/directives/{id}/diff?from=1"), viewer)
        .await
        .is(200);
    let page = String::from_utf8_lossy(&page.bytes).into_owned();
    for part in ["Version 1 and version 2", "steps.look.input.note", "twice"] {
        assert!(page.contains(part), "{part}");
    }
    world.end().await;
}
