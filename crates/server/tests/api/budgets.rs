//! Calls outside of writ, paid for over HTTP.

use crate::harness::World;
use kernel::Role::{Agent, Operator, Viewer};
use serde_json::{Value, json};

fn call(amount: &str) -> Value {
    json!({"amount": amount, "cost_class": "CHEAP", "tool": "chat", "lease": "1m",
        "model": {"provider": "acme", "name": "large"}, "tokens": 100})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_set_aside_settled_released_and_extended() {
    let world = World::with_packs().await;
    let side = &world.member;
    let (agent, viewer) = (side.token(Agent), side.token(Viewer));
    let held = world
        .post("/v1/reservations", agent, &call("1 EUR"))
        .await
        .is(201);
    assert_eq!(held.body["verdict"], "ALLOW");
    let id = held.body["reservation"].as_str().unwrap().to_owned();
    let path = |what: &str| format!("/v1/reservations/{id}/{what}");
    world
        .post(&path("extend"), agent, &json!({"lease": "5m"}))
        .await
        .is(200);
    world
        .post(&path("extend"), agent, &json!({"lease": "2h"}))
        .await
        .is(400);
    world
        .post(&path("settle"), viewer, &json!({}))
        .await
        .is(403);
    let cost = json!({"cost": "0.40 EUR", "tokens": 80});
    let settled = world.post(&path("settle"), agent, &cost).await.is(200);
    assert_eq!(settled.body["status"], "settled");
    assert_eq!(settled.body["charge"]["amount"], "0.40 EUR");
    assert_eq!(settled.body["charge"]["tokens"], 80);
    // What was accounted for first stands.
    let again = world
        .post(&path("release"), agent, &json!({}))
        .await
        .is(200);
    assert_eq!(again.body["status"], "settled");

    let second = world
        .post("/v1/reservations", agent, &call("1 EUR"))
        .await
        .is(201);
    let second = second.body["reservation"].as_str().unwrap();
    let release = format!("/v1/reservations/{second}/release");
    let released = world
        .post(&release, side.token(Operator), &json!({}))
        .await
        .is(200);
    assert_eq!(released.body["status"], "released");
    let counters = world.get("/v1/budget-counters", viewer).await.is(200);
    let money: Vec<_> = counters.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["state"]["scope"] == "tenant" && c["state"]["terms"]["unit"] == "money")
        .map(|c| {
            (
                c["state"]["consumed"].clone(),
                c["state"]["reserved"].clone(),
            )
        })
        .collect();
    assert!(!money.is_empty());
    let report = world
        .get("/v1/budgets/variance?days=2", viewer)
        .await
        .is(200);
    let days = report.body["items"].as_array().unwrap();
    let last = days.last().unwrap();
    assert_eq!(last["consumed"], "0.40 EUR");
    assert_eq!(days[days.len() - 2]["consumed"], "0.00 EUR");
    for bad in ["0", "93", "x"] {
        let path = format!("/v1/budgets/variance?days={bad}");
        world.get(&path, viewer).await.is(400);
    }
    let forecast = world.get("/v1/budgets/forecast", viewer).await.is(200);
    let found = forecast.body["items"].as_array().unwrap();
    assert!(!found.is_empty());
    // A minute of spend is too little to say anything.
    assert!(found.iter().all(|f| f["forecast"].is_null()), "{found:?}");
    for found in money {
        assert_eq!(found, (json!("0.40 EUR"), json!("0.00 EUR")));
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_budget_pays_for_is_an_error_and_on_the_ledger() {
    let world = World::with_packs().await;
    let side = &world.member;
    let (agent, viewer) = (side.token(Agent), side.token(Viewer));
    let refused = world
        .post("/v1/reservations", agent, &call("999999 EUR"))
        .await
        .is(409);
    assert_eq!(refused.body["type"], "/problems/blocked");
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("hard cap"), "{detail}");
    let kinds = "/v1/ledger/entries?kind=reservation.refused";
    let entries = world.get(kinds, viewer).await.is(200);
    assert_eq!(entries.body["items"].as_array().unwrap().len(), 1);
    let costly =
        json!({"amount": "1 EUR", "cost_class": "EXPENSIVE", "tool": "chat", "lease": "1m"});
    let refused = world.post("/v1/reservations", agent, &costly).await.is(409);
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("justification"), "{detail}");
    // A kill switch stops callers outside too.
    let stop = json!({"scope": "tool:chat", "reason": "it misbehaves"});
    let engage = "/v1/kill-switch/engage";
    world
        .post(engage, side.token(Operator), &stop)
        .await
        .is(200);
    let stopped = world
        .post("/v1/reservations", agent, &call("1 EUR"))
        .await
        .is(409);
    let detail = stopped.body["detail"].as_str().unwrap();
    assert!(detail.contains("it misbehaves"), "{detail}");
    world.end().await;
}
