//! Webhooks prove where they come from before anything of them is read.

use crate::harness::{GAUGE_KEY, HOOK_KEY, PROBE_TOKEN, Reply, World, request};
use axum::body::Body;
use hmac::{Hmac, KeyInit as _, Mac as _};
use kernel::Role::{Admin, Viewer};
use server::{App, Cookies, Settings};
use sha2::Sha256;
use std::sync::Arc;
use testkit::alerts::Alert;
use testkit::{MemoryStore, Sample, sample};
use tower::ServiceExt as _;

fn sign(body: &str, key: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

async fn deliver(world: &World, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let request = request("POST", path, None).header("content-type", "application/json");
    let request = headers.iter().fold(request, |r, (n, v)| r.header(*n, *v));
    world
        .send(request.body(Body::from(body.to_owned())).unwrap())
        .await
}

fn body(world: &World) -> String {
    let now = world.control.now();
    format!("{{\"items\":[{{\"id\":\"1\",\"host\":\"a\",\"at\":\"{now}\",\"up\":false}}]}}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bearer_secret_is_compared_whole() {
    let world = World::with_packs().await;
    let (tenant, body) = (world.member.tenant, body(&world));
    let path = format!("/v1/ingest/{tenant}/probe");
    let good = format!("Bearer {PROBE_TOKEN}");
    let first = deliver(&world, &path, &[("authorization", &good)], &body)
        .await
        .is(202);
    assert_eq!(first.body["signals_new"].as_array().unwrap().len(), 1);
    let again = deliver(&world, &path, &[("authorization", &good)], &body)
        .await
        .is(202);
    assert!(again.body["signals_new"].as_array().unwrap().is_empty());
    let shorter = format!("Bearer {}", &PROBE_TOKEN[..PROBE_TOKEN.len() - 1]);
    let longer = format!("Bearer {PROBE_TOKEN}x");
    for bad in ["", "Bearer", "Bearer ", &shorter, &longer, PROBE_TOKEN] {
        // Not even a body that no parser accepts says more than "unproved".
        let reply = deliver(&world, &path, &[("authorization", bad)], "{")
            .await
            .is(401);
        assert!(
            reply.body["detail"].as_str().unwrap().contains("no source"),
            "{bad}"
        );
    }
    deliver(&world, &path, &[], &body).await.is(401);
    let twice = [
        ("authorization", good.as_str()),
        ("authorization", good.as_str()),
    ];
    deliver(&world, &path, &twice, &body).await.is(401);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_covers_every_byte_of_the_raw_body() {
    let world = World::with_packs().await;
    let (tenant, body) = (world.member.tenant, body(&world));
    let path = format!("/v1/ingest/{tenant}/gauge");
    let good = sign(&body, GAUGE_KEY);
    let spaced = format!("{body} ");
    deliver(&world, &path, &[("x-signature", &good)], &spaced)
        .await
        .is(401);
    let other_key = sign(&body, "another");
    let bare = good.strip_prefix("sha256=").unwrap();
    for bad in [
        "",
        "sha256=",
        "sha256=zz",
        &other_key,
        bare,
        &good[..good.len() - 2],
    ] {
        deliver(&world, &path, &[("x-signature", bad)], &body)
            .await
            .is(401);
    }
    let bearer = format!("Bearer {GAUGE_KEY}");
    deliver(&world, &path, &[("authorization", &bearer)], &body)
        .await
        .is(401);
    deliver(&world, &path, &[("x-signature", &good)], &body)
        .await
        .is(202);
    world.end().await;
}

/// A delivery signed as Standard Webhooks says, at this second.
async fn hook(world: &World, id: &str, at: &str, body: &str, signature: &str) -> Reply {
    let path = format!("/v1/ingest/{}/hook", world.member.tenant);
    let headers = [
        ("webhook-id", id),
        ("webhook-timestamp", at),
        ("webhook-signature", signature),
    ];
    deliver(world, &path, &headers, body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_signed_long_ago_or_for_later_is_refused() {
    let world = World::with_packs().await;
    let body = body(&world);
    let now = world.control.now().as_micros() / 1_000_000;
    let sign = |id: &str, at: i64| {
        act::builtin::signature(HOOK_KEY.as_bytes(), id, at, body.as_bytes()).unwrap()
    };
    // The tolerance is five minutes; a minute is left for the test itself.
    for (away, status) in [
        (-240, 202),
        (240, 202),
        (-301, 401),
        (360, 401),
        (-86_400, 401),
    ] {
        let at = now + away;
        let reply = hook(&world, "msg_1", &at.to_string(), &body, &sign("msg_1", at)).await;
        assert_eq!(reply.status, status, "{away}: {:?}", reply.body);
    }
    // The same delivery again, within the window, is known and changes nothing.
    let (at, good) = (now.to_string(), sign("msg_1", now));
    let again = hook(&world, "msg_1", &at, &body, &good).await.is(202);
    assert!(again.body["signals_new"].as_array().unwrap().is_empty());
    // The instant and the id are signed: another of either is another delivery.
    let later = (now + 1).to_string();
    hook(&world, "msg_1", &later, &body, &good).await.is(401);
    hook(&world, "msg_2", &at, &body, &good).await.is(401);
    let other = format!("{body} ");
    hook(&world, "msg_1", &at, &other, &good).await.is(401);
    // A sender that changes its secret offers two signatures.
    let two = format!("v1,AAAA v1a,BBBB {good}");
    hook(&world, "msg_1", &at, &body, &two).await.is(202);
    let many = format!("{} {good}", "v1,AAAA ".repeat(8).trim());
    hook(&world, "msg_1", &at, &body, &many).await.is(401);
    for bad in ["", "v1,", "v1", "v2,x", &good[3..], &good[..good.len() - 1]] {
        hook(&world, "msg_1", &at, &body, bad).await.is(401);
    }
    for (id, stamp) in [
        ("msg.1", at.clone()),
        ("", at.clone()),
        ("msg_1", format!("+{now}")),
        ("msg_1", format!("-{now}")),
        ("msg_1", format!(" {now}.0")),
        ("msg_1", format!("{now}000")),
        ("msg_1", "9".repeat(30)),
        ("msg_1", String::new()),
    ] {
        let good = sign(id, now);
        let reply = hook(&world, id, &stamp, &body, &good).await;
        assert_eq!(reply.status, 401, "{id} {stamp}");
    }
    let path = format!("/v1/ingest/{}/hook", world.member.tenant);
    let twice = [
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", &at),
        ("webhook-timestamp", &at),
        ("webhook-signature", &good),
    ];
    deliver(&world, &path, &twice, &body).await.is(401);
    world.end().await;
}

/// What fired and resolved does not fire again because somebody sends the
/// first delivery once more, however it is signed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_comes_again_later_undoes_nothing() {
    let world = World::with_packs().await;
    let path = format!("/v1/ingest/{}/gauge", world.member.tenant);
    let item = |up: bool, second: i64| {
        let at = world.control.now().plus(kernel::Span::from_micros(second));
        format!("{{\"items\":[{{\"id\":\"1\",\"host\":\"a\",\"at\":\"{at}\",\"up\":{up}}}]}}")
    };
    let (down, up) = (item(false, 0), item(true, 1_000));
    for (body, new) in [(&down, 1), (&up, 1), (&down, 0), (&up, 0), (&down, 0)] {
        let signature = sign(body, GAUGE_KEY);
        let reply = deliver(&world, &path, &[("x-signature", &signature)], body).await;
        let reply = reply.is(202);
        let found = reply.body["signals_new"].as_array().unwrap().len();
        assert_eq!(found, new, "{:?}", reply.body);
    }
    let viewer = world.member.token(Viewer);
    let signals = world.get("/v1/signals", viewer).await.is(200);
    assert_eq!(signals.body["items"].as_array().unwrap().len(), 2);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_learn_nothing_of_tenants_sources_and_secrets() {
    let world = World::with_packs().await;
    let (tenant, body) = (world.member.tenant, body(&world));
    let good = format!("Bearer {PROBE_TOKEN}");
    let known = format!("/v1/ingest/{tenant}/probe");
    let expected = deliver(&world, &known, &[], &body).await.is(401);
    let nowhere = "ten_00000000000070008000000000000001";
    for path in [
        format!("/v1/ingest/{nowhere}/probe"),
        format!("/v1/ingest/{tenant}/unheard"),
        "/v1/ingest/x/probe".to_owned(),
    ] {
        let reply = deliver(&world, &path, &[("authorization", &good)], &body)
            .await
            .is(401);
        assert_eq!(reply.body["detail"], expected.body["detail"]);
        assert_eq!(reply.body["hint"], expected.body["hint"]);
    }
    let mute = format!("/v1/ingest/{tenant}/mute");
    let reply = deliver(&world, &mute, &[("authorization", &good)], &body)
        .await
        .is(503);
    assert!(!reply.body.to_string().contains("NOT_SET"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_stand_nowhere_and_raw_bodies_come_back_as_they_came() {
    let world = World::with_packs().await;
    let (tenant, body) = (world.member.tenant, body(&world));
    let path = format!("/v1/ingest/{tenant}/probe");
    let good = format!("Bearer {PROBE_TOKEN}");
    let reply = deliver(&world, &path, &[("authorization", &good)], &body)
        .await
        .is(202);
    let evidence = reply.body["evidence"].as_str().unwrap();
    let raw = format!("/v1/evidence/{evidence}/body");
    let raw = world.get(&raw, world.member.token(Viewer)).await.is(200);
    assert_eq!(raw.bytes, body.as_bytes());
    assert_eq!(raw.header("content-type"), "application/json");
    assert_eq!(raw.header("x-content-type-options"), "nosniff");
    assert!(raw.header("content-disposition").starts_with("attachment"));
    let admin = world.member.token(Admin);
    for path in [
        "/v1/ledger/entries?limit=200",
        "/v1/packs/active",
        "/v1/evidence",
    ] {
        let reply = world.get(path, admin).await.is(200);
        assert!(
            !String::from_utf8_lossy(&reply.bytes).contains("canary"),
            "{path}"
        );
    }
    world.end().await;
}

/// Two nodes on one store, of which the second never hears of the first: what
/// it has in force is always of yesterday.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_is_taken_in_by_the_pack_that_another_node_loaded() {
    let (world, store) = (testkit::World::new(1), MemoryStore::of_several_nodes());
    let first = world.control(store.beside()).await.unwrap();
    let tenant = first.first_start().await.unwrap().unwrap().tenant;
    let second = Arc::new(world.control(store.beside()).await.unwrap());
    let settings = Settings {
        cookies: Cookies::Plain,
        version: "0.0.0-test",
        ordinary: tokio::runtime::Handle::current(),
    };
    let router = server::router(App::new(second.clone(), settings).unwrap());
    let deliver = async |source: &str| {
        let path = format!("/v1/ingest/{tenant}/{source}");
        let body = testkit::alerts::webhook(&Alert::pair("press-1", first.now()));
        let request = request("POST", &path, Some("secret"))
            .header("content-type", "application/json")
            .body(Body::from(body));
        let answer = router.clone().oneshot(request.unwrap()).await.unwrap();
        answer.status().as_u16()
    };
    assert_eq!(deliver(sample::SOURCE).await, 401);
    let first_pack = Sample::default();
    let next_pack = Sample {
        settle: "7s".into(),
        ..Sample::default()
    };
    for (round, pack) in [first_pack, next_pack].iter().enumerate() {
        let ctx = first.system_ctx(tenant, "setup");
        first.load_pack(ctx, None, pack.files()).await.unwrap();
        // The source is unknown in the first round, the pack outdated in the
        // second.
        assert_eq!(deliver(sample::SOURCE).await, 202, "round {round}");
        assert_eq!(deliver("nobody").await, 401, "round {round}");
    }
}
