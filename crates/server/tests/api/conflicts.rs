//! Conflicts over HTTP: the later directive says whom it waits for.

use crate::harness::World;
use kernel::Role::{Operator, Viewer};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_later_of_two_directives_waits_and_goes_on() {
    let world = World::with_packs().await;
    let side = &world.member;
    let (operator, viewer) = (side.token(Operator), side.token(Viewer));
    world.observe(side, "b", true).await.is(202);
    world.first("/v1/states", viewer).await;
    let path = "/v1/templates/look/directives";
    let mut made = Vec::new();
    for note in ["first", "second"] {
        let asked = json!({"subject": "host/b", "parameters": {"note": note}, "wanted": "propose"});
        let answer = world.post(path, operator, &asked).await.is(201);
        made.push(answer.body);
    }
    let (first, second) = (&made[0]["directive"], &made[1]["directive"]);
    assert_eq!(made[0]["waits_for"], json!([]));
    assert_eq!(made[1]["waits_for"], json!([first]));
    let conflicts = world.get("/v1/conflicts", viewer).await.is(200);
    let found = &conflicts.body["items"][0]["state"];
    assert_eq!(found["subject"], "host/b");
    let queue: Vec<_> = found["queue"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["directive"])
        .collect();
    assert_eq!(queue, [first, second]);
    let page = format!("/directives/{}", second.as_str().unwrap());
    let shown = world.get(&page, viewer).await.is(200);
    assert!(String::from_utf8_lossy(&shown.bytes).contains("It waits for"));

    let block = format!("/v1/directives/{}/block", first.as_str().unwrap());
    let why = json!({"reason": "not now"});
    world.post(&block, operator, &why).await.is(200);
    let none = world.get("/v1/conflicts", viewer).await.is(200);
    assert_eq!(none.body["items"], json!([]));
    let shown = world.get(&page, viewer).await.is(200);
    assert!(!String::from_utf8_lossy(&shown.bytes).contains("It waits for"));
    world.end().await;
}
