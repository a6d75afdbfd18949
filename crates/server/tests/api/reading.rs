//! Pages that do not move under writes, probes, metrics.

use crate::harness::{World, request};
use axum::body::Body;
use kernel::Role::{Admin, Auditor, Viewer};
use serde_json::json;
use std::collections::BTreeSet;

async fn create(world: &World, name: &str) {
    let body = json!({"kind": "human", "name": name, "roles": ["viewer"]});
    let reply = world
        .post("/v1/principals", world.member.token(Admin), &body)
        .await;
    reply.is(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_stable_under_writes_in_both_directions() {
    let world = World::new().await;
    let token = world.member.token(Admin);
    for n in 0..10 {
        create(&world, &format!("before {n}")).await;
    }
    let whole = world.get("/v1/principals?limit=200", token).await.is(200);
    let before: BTreeSet<String> = ids(&whole.body);
    for order in ["asc", "desc"] {
        let mut seen = Vec::new();
        let mut path = format!("/v1/principals?limit=3&order={order}");
        let mut n = 0;
        loop {
            let page = world.get(&path, token).await.is(200);
            seen.extend(
                page.body["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|i| i["id"].as_str().unwrap().to_owned()),
            );
            // Something is written between every two pages.
            if n < 5 {
                create(&world, &format!("meanwhile {order} {n}")).await;
                n += 1;
            }
            match page.body["next_cursor"].as_str() {
                Some(cursor) => {
                    path = format!("/v1/principals?limit=3&order={order}&cursor={cursor}")
                }
                None => break,
            }
        }
        let set: BTreeSet<String> = seen.iter().cloned().collect();
        assert_eq!(set.len(), seen.len(), "nothing stands twice");
        assert!(before.is_subset(&set), "nothing is left out");
    }
    // A cursor belongs to its listing.
    let page = world.get("/v1/principals?limit=3", token).await.is(200);
    let cursor = page.body["next_cursor"].as_str().unwrap();
    for path in [
        "/v1/keys?cursor=",
        "/v1/principals?status=active&cursor=",
        "/v1/principals?order=asc&cursor=",
    ] {
        world.get(&format!("{path}{cursor}"), token).await.is(400);
    }
    let foreign = format!("/v1/principals?cursor={cursor}");
    world.get(&foreign, world.home.token(Admin)).await.is(400);
    world.end().await;
}

fn ids(page: &serde_json::Value) -> BTreeSet<String> {
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|i| i["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_say_what_is_missing() {
    let world = World::new().await;
    let get = |path: &str| request("GET", path, None).body(Body::empty()).unwrap();
    world.send(get("/healthz")).await.is(200);
    world.send(get("/readyz")).await.is(200);
    let version = world.send(get("/v1/version")).await.is(200);
    assert_eq!(version.body["version"], "0.0.0-test");
    world.send(get("/problems/blocked")).await.is(200);
    world.send(get("/problems/unheard")).await.is(404);
    world.app.stop();
    let stopping = world.send(get("/readyz")).await.is(503);
    assert_eq!(stopping.header("retry-after"), "1");
    world.send(get("/healthz")).await.is(200);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_carry_guarding_headers() {
    let world = World::new().await;
    let reply = world
        .get("/v1/me", world.member.token(Viewer))
        .await
        .is(200);
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert_eq!(reply.header("x-frame-options"), "DENY");
    assert_eq!(reply.header("cache-control"), "no-store");
    assert!(
        reply
            .header("content-security-policy")
            .contains("default-src 'none'")
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_count_what_happened() {
    let world = World::with_packs().await;
    world.observe(&world.member, "a", false).await.is(202);
    world
        .first("/v1/approvals", world.member.token(Viewer))
        .await;
    let reply = world
        .get("/metrics", world.home.token(Auditor))
        .await
        .is(200);
    let text = String::from_utf8_lossy(&reply.bytes);
    let tenant = world.member.tenant;
    for line in [
        format!("directives_total{{event=\"proposed\",tenant=\"{tenant}\"}} 1"),
        format!("approvals_total{{event=\"requested\",tenant=\"{tenant}\"}} 1"),
        format!("policy_evaluations_total{{choke_point=\"plan_approval\",tenant=\"{tenant}\",verdict=\"ALLOW\"}} 1"),
        format!("sense_events_total{{event=\"incident.opened\",tenant=\"{tenant}\"}} 1"),
        "http_requests_total{method=\"POST\",route=\"/v1/ingest/{tenant}/{source}\",status=\"202\"} 1".to_owned(),
    ] {
        assert!(text.contains(&line), "no `{line}` in\n{text}");
    }
    assert!(!text.contains("canary"));
    // Reading again counts nothing twice.
    let again = world
        .get("/metrics", world.home.token(Auditor))
        .await
        .is(200);
    let again = String::from_utf8_lossy(&again.bytes).into_owned();
    assert!(again.contains(&format!(
        "directives_total{{event=\"proposed\",tenant=\"{tenant}\"}} 1"
    )));
    world.end().await;
}
