//! Idempotency keys, preconditions, tokens that are shown once, traces.

use crate::harness::{World, request};
use axum::body::Body;
use kernel::Role::Admin;
use serde_json::json;

const PRINCIPALS: &str = "/v1/principals";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_does_a_request_once() {
    let world = World::new().await;
    let token = world.member.token(Admin);
    let body = json!({"kind": "human", "name": "Ada", "roles": ["viewer"]});
    let key = [("idempotency-key", "k-1")];
    let first = world
        .post_with(PRINCIPALS, token, &body, &key)
        .await
        .is(201);
    let again = world
        .post_with(PRINCIPALS, token, &body, &key)
        .await
        .is(201);
    assert_eq!(first.body, again.body);
    // The members in another order are the same request.
    let reordered = "{\"roles\":[\"viewer\"],\"name\":\"Ada\",\"kind\":\"human\"}";
    let same = request("POST", PRINCIPALS, Some(token))
        .header("content-type", "application/json")
        .header("idempotency-key", "k-1");
    let same = world
        .send(same.body(Body::from(reordered)).unwrap())
        .await
        .is(201);
    assert_eq!(first.body, same.body);
    let other = json!({"kind": "human", "name": "Bob", "roles": ["viewer"]});
    let conflict = world
        .post_with(PRINCIPALS, token, &other, &key)
        .await
        .is(409);
    assert!(conflict.body["detail"].as_str().unwrap().contains("k-1"));
    // Another principal's key of the same text is another key.
    let elsewhere = world
        .post_with(PRINCIPALS, world.home.token(Admin), &other, &key)
        .await;
    elsewhere.is(201);
    let long = "x".repeat(129);
    for bad in ["", "with space", &long] {
        let key = [("idempotency-key", bad)];
        world
            .post_with(PRINCIPALS, token, &body, &key)
            .await
            .is(400);
    }
    let all = world.get("/v1/principals?limit=200", token).await.is(200);
    let named = |name: &str| {
        let items = all.body["items"].as_array().unwrap();
        items.iter().filter(|i| i["state"]["name"] == name).count()
    };
    assert_eq!((named("Ada"), named("Bob")), (1, 0));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_moved_on_is_a_failed_precondition() {
    let world = World::new().await;
    let token = world.member.token(Admin);
    let id = world.member.principals[&kernel::Role::Viewer];
    let path = format!("{PRINCIPALS}/{id}");
    let read = world.get(&path, token).await.is(200);
    assert_eq!(read.header("etag"), "\"1\"");
    let held = request("GET", &path, Some(token)).header("if-none-match", "\"1\"");
    world.send(held.body(Body::empty()).unwrap()).await.is(304);
    let roles = format!("{path}/roles");
    let operator = json!({"roles": ["operator"]});
    let set = |body, tag| {
        let (world, roles) = (&world, &roles);
        async move {
            world
                .post_with(roles, token, body, &[("if-match", tag)])
                .await
        }
    };
    let done = set(&operator, "\"1\"").await.is(200);
    assert_eq!(done.header("etag"), "\"2\"");
    let viewer = json!({"roles": ["viewer"]});
    let stale = set(&viewer, "\"1\"").await.is(412);
    assert_eq!(stale.header("etag"), "\"2\"");
    assert_eq!(stale.body["type"], "/problems/precondition_failed");
    set(&viewer, "*").await.is(200);
    set(&viewer, "3").await.is(400);
    // Where no resource is meant, a precondition is a fault, not ignored.
    let new = json!({"kind": "human", "name": "Ada", "roles": ["viewer"]});
    world
        .post_with(PRINCIPALS, token, &new, &[("if-match", "\"1\"")])
        .await
        .is(400);
    // What happened once is answered again, whatever the version is now.
    let tags = [("if-match", "\"3\""), ("idempotency-key", "r-1")];
    let first = world
        .post_with(&roles, token, &operator, &tags)
        .await
        .is(200);
    let again = world
        .post_with(&roles, token, &operator, &tags)
        .await
        .is(200);
    assert_eq!(
        (first.body, first.headers.get("etag")),
        (again.body, again.headers.get("etag"))
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_shown_once_and_never_recorded() {
    let world = World::new().await;
    let token = world.member.token(Admin);
    let principal = world.member.principals[&kernel::Role::Viewer];
    let body = json!({"principal": principal, "name": "laptop"});
    let key = [("idempotency-key", "issue-1")];
    let first = world
        .post_with("/v1/keys", token, &body, &key)
        .await
        .is(201);
    let issued = first.body["token"].as_str().unwrap().to_owned();
    world.get("/v1/me", &issued).await.is(200);
    let again = world
        .post_with("/v1/keys", token, &body, &key)
        .await
        .is(201);
    assert_eq!(again.body["key"], first.body["key"]);
    assert!(again.body["token"].is_null());
    let secret = issued.rsplit('_').next().unwrap();
    let entries = world
        .get("/v1/ledger/entries?limit=200", token)
        .await
        .is(200);
    assert!(!entries.body.to_string().contains(secret));
    let keys = world.get("/v1/keys?limit=200", token).await.is(200);
    assert!(!keys.body.to_string().contains("secret"));

    let found = json!({"name": "third", "admin": "Grace"});
    let key = [("idempotency-key", "found-1")];
    let home = world.home.token(Admin);
    let first = world
        .post_with("/v1/tenants", home, &found, &key)
        .await
        .is(201);
    let admin = first.body["admin"]["token"].as_str().unwrap();
    let me = world.get("/v1/me", admin).await.is(200);
    assert_eq!(me.body["tenant"], first.body["tenant"]);
    let again = world
        .post_with("/v1/tenants", home, &found, &key)
        .await
        .is(201);
    assert_eq!(again.body["tenant"], first.body["tenant"]);
    assert!(again.body["admin"].is_null());
    let all = world.get("/v1/tenants", home).await.is(200);
    assert_eq!(all.body["items"].as_array().unwrap().len(), 3);
    let own = world.get("/v1/tenants", admin).await.is(200);
    assert_eq!(own.body["items"].as_array().unwrap().len(), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_goes_in_and_comes_out_and_stands_in_the_ledger() {
    let world = World::new().await;
    let token = world.member.token(Admin);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    let body = json!({"kind": "human", "name": "Ada", "roles": ["viewer"]});
    let headers = [("traceparent", parent.as_str())];
    let reply = world
        .post_with(PRINCIPALS, token, &body, &headers)
        .await
        .is(201);
    let out = reply.header("traceparent");
    assert!(
        out.starts_with(&format!("00-{trace}-")) && out.ends_with("-01"),
        "{out}"
    );
    assert_ne!(out, parent, "the span is our own");
    let entries = world
        .get(&format!("/v1/ledger/entries?trace={trace}"), token)
        .await
        .is(200);
    assert_eq!(entries.body["items"][0]["kind"], "principal.created");
    let refused = world
        .post_with(PRINCIPALS, token, &json!({}), &headers)
        .await
        .is(400);
    assert_eq!(refused.body["trace_id"], trace);
    let fresh = world.get("/v1/me", token).await.is(200);
    assert_eq!(fresh.header("traceparent").len(), 55);
    world.end().await;
}
