//! Data residency over HTTP.

use crate::harness::World;
use kernel::Role::{Agent, Source, Viewer};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_counts_calls_and_a_strange_provider_is_refused() {
    let world = World::with_packs().await;
    let side = &world.member;
    let call = |provider: &str| {
        json!({"amount": "1 EUR", "cost_class": "CHEAP", "tool": "chat", "lease": "1m",
            "model": {"provider": provider, "name": "large"}})
    };
    let agent = side.token(Agent);
    world
        .post("/v1/reservations", agent, &call("acme"))
        .await
        .is(201);
    let refused = world
        .post("/v1/reservations", agent, &call("elsewhere"))
        .await
        .is(409);
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(
        detail.contains("provider `elsewhere` has no entry"),
        "{detail}"
    );

    let report = world
        .get("/v1/residency", side.token(Viewer))
        .await
        .is(200)
        .body;
    assert_eq!(
        (&report["attested"], &report["total"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(report["faults"], json!([]));
    assert_eq!(report["endpoints"][0]["endpoint"], "providers/acme");
    assert_eq!(report["endpoints"][0]["money"], json!(["1.00 EUR"]));
    assert_eq!(report["distribution"][0]["calls"], 1);
    // The other tenant sees nothing of it.
    let other = world
        .get("/v1/residency", world.home.token(Viewer))
        .await
        .is(200)
        .body;
    assert_eq!(other["distribution"][0]["calls"], 0);
    for bad in ["0", "93", "x"] {
        let path = format!("/v1/residency?days={bad}");
        world.get(&path, side.token(Viewer)).await.is(400);
    }
    world.get("/v1/residency", side.token(Source)).await.is(403);
    let page = world.get("/packs", side.token(Viewer)).await.is(200);
    let page = String::from_utf8_lossy(&page.bytes).into_owned();
    for part in ["Where data may be", "providers/acme", "1 of 1 endpoints"] {
        assert!(page.contains(part), "{part}");
    }
    world.end().await;
}
