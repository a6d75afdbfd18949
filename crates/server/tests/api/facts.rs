//! Facts of history over HTTP and on their page.

use crate::harness::{World, request};
use axum::body::Body;
use kernel::Role::{Admin, Operator, Source, Viewer};
use serde_json::{Value, json};

const FACTS: &str = "facts:
  - { name: looks_today, title: Looks today, happening: step_permitted, per: tenant, within: day, measure: count }
  - { name: since_look, happening: step_permitted, per: subject, within: 1h, measure: seconds_since }
  - { name: blocks, happening: verdict_blocked, per: subject_and_agent, within: month, measure: count }
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_policies_may_ask_of_the_past_is_read_by_people() {
    let world = World::new().await;
    let side = &world.member;
    let viewer = side.token(Viewer);
    let page = async |path: &str| {
        let asked = request("GET", path, Some(viewer)).body(Body::empty());
        let reply = world.send(asked.unwrap()).await;
        let text = String::from_utf8_lossy(&reply.bytes).into_owned();
        (reply.status, text)
    };
    world.get("/v1/history", viewer).await.is(503);
    let (_, text) = page("/history").await;
    assert!(text.contains("No pack is loaded"), "{text}");

    let mut body = crate::pack::body();
    world
        .post("/v1/packs/load", side.token(Admin), &body)
        .await
        .is(200);
    let none = world.get("/v1/history", viewer).await.is(200);
    assert_eq!(none.body["items"], json!([]));
    let (_, text) = page("/history").await;
    assert!(text.contains("No facts are declared"), "{text}");

    body["files"]["history.yaml"] = json!({"text": FACTS});
    world
        .post("/v1/packs/load", side.token(Admin), &body)
        .await
        .is(200);
    let row = |fact: &Value| {
        let of = |name: &str| fact[name].clone();
        [of("name"), of("key"), of("value"), of("status")]
    };
    let found = world.get("/v1/history", viewer).await.is(200);
    let items = found.body["items"].as_array().unwrap();
    assert!(items[0]["counted_since"].is_string() && items[0]["window_from"].is_string());
    let rows: Vec<_> = items.iter().map(row).collect();
    let ready = || json!("ready");
    assert_eq!(
        rows,
        [
            [json!("looks_today"), json!("tenant"), json!(0), ready()],
            [json!("since_look"), Value::Null, Value::Null, ready()],
            [json!("blocks"), Value::Null, Value::Null, ready()],
        ]
    );
    let of = "/v1/history?subject=host/a&agent=agent:x";
    let found = world.get(of, viewer).await.is(200);
    let rows: Vec<_> = found.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(row)
        .collect();
    assert_eq!(
        rows[1..],
        [
            [json!("since_look"), json!("host/a"), Value::Null, ready()],
            [json!("blocks"), json!("host/a@agent:x"), json!(0), ready()],
        ]
    );
    for wrong in ["subject=nothing", "agent=nobody"] {
        let path = format!("/v1/history?{wrong}");
        world.get(&path, viewer).await.is(400);
    }
    world.get("/v1/history", side.token(Source)).await.is(403);
    world.get("/v1/history", side.token(Operator)).await.is(200);

    let (status, text) = page("/history?subject=host/a&agent=").await;
    assert_eq!(status, 200);
    for says in [
        "Looks today",
        "0 times",
        "never within the window",
        "give a subject and an agent",
        "value=\"host/a\"",
        "ready",
    ] {
        assert!(text.contains(says), "no `{says}` in {text}");
    }
    let (_, text) = page("/policies").await;
    assert!(text.contains("href=\"/history\""), "{text}");
    world.end().await;
}
