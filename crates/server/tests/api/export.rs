//! A bundle over HTTP: what is served is verified with the key alone, and says
//! no when a byte of it was changed.

use crate::checkpoints::world;
use kernel::Role;
use ledger::bundle::{self, NotVerified, Trust};
use ledger::note::VerifierKey;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_is_verified_with_the_key_alone() {
    let (world, _keys) = world().await;
    let (admin, viewer) = (
        world.home.token(Role::Admin),
        world.home.token(Role::Viewer),
    );
    let path = "/v1/ledger/export";
    world.get(path, viewer).await.is(404);
    let signed = world.post("/v1/ledger/checkpoint", admin, &json!({})).await;
    let signed = signed.is(200).body;
    let size = signed["size"].as_u64().unwrap();
    let trust = || Trust {
        key: VerifierKey::parse(signed["key"].as_str().unwrap()).unwrap(),
        witnesses: Vec::new(),
        kept: None,
    };
    let rows = [
        (String::new(), 1, size),
        ("?objects=with".to_owned(), 1, size),
        ("?from=2&to=4".to_owned(), 2, 4),
        (format!("?from={size}"), size, size),
    ];
    for (query, first, last) in rows {
        let reply = world.get(&format!("{path}{query}"), viewer).await.is(200);
        assert_eq!(reply.header("content-type"), "application/jsonl");
        let found = bundle::verify(&reply.bytes[..], &trust(), |_| {}).unwrap();
        assert_eq!((found.first, found.last), (first, last), "{query}");

        let text = String::from_utf8(reply.bytes.to_vec()).unwrap();
        let touched = text.replacen("\"at\":\"20", "\"at\":\"21", 1);
        assert_ne!(text, touched);
        let found = bundle::verify(touched.as_bytes(), &trust(), |_| {});
        // The head is line 1, so the first entry is line 2.
        match found.unwrap_err() {
            NotVerified::Fault(fault) => assert_eq!(fault.line, 2, "{query}: {fault}"),
            other => panic!("{query}: {other}"),
        }
    }
    let refused = [
        ("from=0", 400),
        ("from=4&to=2", 400),
        ("to=99999", 404),
        ("from=x", 400),
        ("objects=all", 400),
        ("whose=mine", 400),
    ];
    for (query, status) in refused {
        let reply = world.get(&format!("{path}?{query}"), viewer).await;
        assert_eq!(reply.status, status, "{query}: {}", reply.body);
    }
    // Another tenant gets its own log, which nobody signed.
    let other = world.member.token(Role::Viewer);
    world.get(path, other).await.is(404);
    world.end().await;
}
