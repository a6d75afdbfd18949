//! Malformed, oversized, deep, repeated, foreign and unknown input on every
//! POST: a 4xx problem that names the fault.

use crate::harness::{Reply, World, request};
use axum::body::Body;
use axum::http::header;
use kernel::Role;
use server::routes::{Facts, Guard, Posting, Verb};

const JSON: &str = "application/json";

fn posts() -> Vec<Facts> {
    let rows = server::routes::rows().into_iter().map(|r| r.facts);
    rows.filter(|f| f.verb == Verb::Post && f.posting == Posting::Header)
        .collect()
}

async fn send(world: &World, facts: &Facts, content_type: &str, body: Vec<u8>) -> Reply {
    let path = facts
        .path
        .replace("{tenant}", &world.home.tenant.to_string())
        .replace("{source}", "probe")
        .replace("{id}", "dir_00000000000070008000000000000001");
    let token = match facts.guard {
        Guard::Source => crate::harness::PROBE_TOKEN,
        Guard::Own(gate::access::Permission::ApprovalDecide) => world.home.token(Role::Approver),
        _ => world.home.token(Role::Admin),
    };
    let request = request("POST", &path, Some(token)).header(header::CONTENT_TYPE, content_type);
    world.send(request.body(Body::from(body)).unwrap()).await
}

#[track_caller]
fn is_problem(facts: &Facts, reply: &Reply, status: u16, says: &str) {
    let path = facts.path;
    assert_eq!(reply.status, status, "{path}: {:?}", reply.body);
    assert_eq!(
        reply.header("content-type"),
        "application/problem+json",
        "{path}"
    );
    let detail = reply.body["detail"].as_str().unwrap();
    assert!(
        detail.contains(says),
        "{path}: `{detail}` does not say `{says}`"
    );
    assert_eq!(reply.body["status"], status, "{path}");
    assert_eq!(reply.body["trace_id"].as_str().unwrap().len(), 32, "{path}");
    assert!(reply.body["instance"].as_str().unwrap().starts_with("/v1/"));
    assert!(
        reply.body["type"]
            .as_str()
            .unwrap()
            .starts_with("/problems/")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_post_refuses_hostile_bodies() {
    let world = World::with_packs().await;
    let too_long = vec![b' '; server::limits::BODY_BYTES_MAX + 1];
    for facts in posts() {
        // Paths with an id are read after the body, so the body's fault shows.
        let cases: [(&str, Vec<u8>, u16, &str); 8] = [
            (JSON, b"{\"reason\":".to_vec(), 400, "line 1"),
            (JSON, b"{\"a\":1,\"a\":2}".to_vec(), 400, "stands twice"),
            (JSON, b"{\"a\":\"\xff\"}".to_vec(), 400, "not UTF-8"),
            (JSON, "[".repeat(4_000).into_bytes(), 400, "nested deeper"),
            (
                JSON,
                b"{\"n\":9007199254740993}".to_vec(),
                400,
                "no exact form",
            ),
            (JSON, b"{} {}".to_vec(), 400, "trailing"),
            ("text/plain", b"{}".to_vec(), 415, "text/plain"),
            (JSON, too_long.clone(), 413, "bytes"),
        ];
        for (content_type, body, status, says) in cases {
            let reply = send(&world, &facts, content_type, body).await;
            is_problem(&facts, &reply, status, says);
        }
        if facts.guard == Guard::Source {
            continue;
        }
        let reply = send(&world, &facts, JSON, b"{\"unheard_of\":1}".to_vec()).await;
        is_problem(&facts, &reply, 400, "unheard_of");
        let reply = send(&world, &facts, JSON, b"[]".to_vec()).await;
        assert_eq!(reply.status, 400, "{}: {:?}", facts.path, reply.body);
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_queries_and_headers_are_checked_too() {
    let world = World::new().await;
    let token = world.home.token(Role::Admin);
    let cases = [
        ("/v1/nothing", 404, "nothing is at"),
        ("/v1/incidents?limit=0", 400, "limit"),
        ("/v1/incidents?limit=201", 400, "limit"),
        ("/v1/incidents?cursor=x", 400, "cursor"),
        ("/v1/incidents?order=up", 400, "order"),
        ("/v1/incidents?unheard=1", 400, "unheard"),
        ("/v1/incidents?limit=1&limit=2", 400, "limit"),
        ("/v1/incidents?subject=x", 400, "subject"),
        ("/v1/incidents/nothing", 404, "nothing"),
        ("/v1/ledger/entries?stream=", 400, "stream"),
        ("/v1/events?stream=directive/", 400, "stream"),
        ("/v1/ledger/replay?stream=%20/a", 400, "stream"),
        ("/v1/ledger/entries?trace=x", 400, "trace"),
        ("/v1/ledger/entries?category=x", 400, "category"),
        ("/v1/ledger/entries?from=x", 400, "from"),
        ("/v1/ledger/entries/ent_1", 400, "ent_1"),
        ("/v1/events?after=x", 400, "after"),
        ("/v1/events?after=9007199254740991", 400, "the log ends at"),
        ("/v1/events?after=9007199254740992", 400, "after"),
        ("/v1/evidence/%FF", 400, "path"),
    ];
    for (path, status, says) in cases {
        let reply = world.get(path, token).await;
        assert_eq!(reply.status, status, "{path}: {:?}", reply.body);
        let detail = reply.body["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{path}: `{detail}`");
    }
    let wrong = request("DELETE", "/v1/incidents", Some(token));
    let reply = world.send(wrong.body(Body::empty()).unwrap()).await.is(405);
    assert_eq!(reply.header("allow"), "GET,HEAD");
    assert_eq!(reply.body["type"], "/problems/method_not_allowed");
    let long = request("GET", "/v1/me", Some(token)).header("x-long", "x".repeat(20_000));
    world.send(long.body(Body::empty()).unwrap()).await.is(431);
    let long = format!("/v1/incidents?subject={}", "x".repeat(5_000));
    world.get(&long, token).await.is(431);
    world.end().await;
}

/// What nobody should send in a path or a query.
const HOSTILE: &[&str] = &[
    "%FF%FE",
    "%00",
    "%ED%A0%80",
    "%C0%AF",
    "%",
    "%zz",
    "..%2F..%2Fetc%2Fpasswd",
    "%E2%80%AE%F0%9F%92%A9",
    "-1",
    "99999999999999999999999999",
    "1e308",
    "%0d%0aset-cookie:%20a=b",
    "'%20or%20'1'='1",
];

/// Every route, each part of its path and each parameter of its query, with each
/// hostile value and one that is too long: never more than a 4xx.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_part_of_every_path_and_query_takes_hostile_text() {
    let world = World::with_packs().await;
    let token = world.home.token(Role::Admin);
    let long = "x".repeat(3_000);
    let texts: Vec<&str> = HOSTILE.iter().copied().chain([long.as_str()]).collect();
    let mut asked = 0;
    for facts in server::routes::rows().into_iter().map(|row| row.facts) {
        if facts.gives == server::routes::table::Gives::Events {
            continue;
        }
        let plain = facts.path.replace("{*", "{");
        let parts: Vec<&str> = plain.split('/').filter(|p| p.starts_with('{')).collect();
        let paths = parts.iter().flat_map(|part| {
            let (plain, part) = (plain.clone(), *part);
            texts.iter().map(move |text| plain.replace(part, text))
        });
        let filled = plain.replace(['{', '}'], "");
        let queries = facts.parameters.iter().flat_map(|parameter| {
            let filled = filled.clone();
            texts
                .iter()
                .map(move |text| format!("{filled}?{}={text}", parameter.name))
        });
        for path in paths.chain(queries) {
            let path = path.replace(['{', '}'], "");
            let verb = facts.verb.to_string();
            let request = request(&verb, &path, Some(token));
            let request = request.header(header::CONTENT_TYPE, JSON);
            let Ok(request) = request.body(Body::from("{}")) else {
                continue;
            };
            let reply = world.send(request).await;
            asked += 1;
            let fine = reply.status < 500;
            assert!(fine, "{verb} {path}: {} {:?}", reply.status, reply.body);
            assert!(reply.headers.get("set-cookie").is_none(), "{path}");
        }
    }
    assert!(asked > 2_000, "{asked}");
    world.end().await;
}
