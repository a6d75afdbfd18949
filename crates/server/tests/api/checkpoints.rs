//! Checkpoints, proofs and tiles over HTTP: a client that has nothing but a
//! key and what is served verifies them.

use crate::harness::World;
use kernel::{Digest, Role, Span};
use ledger::checkpoint::{Consistency, Inclusion, LogName, Signer, kept, parse_proof};
use ledger::merkle::{TilePath, leaf, root, verify_inclusion};
use ledger::note::VerifierKey;
use serde_json::json;
use std::sync::Arc;

pub(crate) async fn world() -> (World, tempfile::TempDir) {
    let (signing, keys) = signing();
    (World::signing(signing).await, keys)
}

/// Signs on demand only, with keys in this folder.
pub(crate) fn signing() -> (flow::checkpoints::Signing, tempfile::TempDir) {
    let keys = tempfile::tempdir().unwrap();
    let files = connect::PrivateFolder::open(keys.path()).unwrap();
    let entropy = connect::OsEntropy::new().unwrap();
    let signing = flow::checkpoints::Signing {
        signer: Signer::new(Arc::new(files), Arc::new(entropy), LogName::default()),
        witnesses: Vec::new(),
        entries_max: 1_000_000,
        every: Span::from_secs(1_000_000),
    };
    (signing, keys)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_is_proven_with_the_key_alone() {
    let (world, _keys) = world().await;
    let (admin, viewer) = (
        world.home.token(Role::Admin),
        world.home.token(Role::Viewer),
    );
    let path = "/v1/ledger/checkpoint";
    world.get(path, viewer).await.is(404);
    world.post(path, viewer, &json!({})).await.is(403);
    let signed = world.post(path, admin, &json!({})).await.is(200).body;
    let again = world.post(path, admin, &json!({})).await.is(200).body;
    assert_eq!(again, signed, "nothing new");
    assert_eq!(world.get(path, viewer).await.is(200).body, signed);
    let key = VerifierKey::parse(signed["key"].as_str().unwrap()).unwrap();
    let note = signed["note"].as_str().unwrap();
    let checkpoint = kept(note.as_bytes(), std::slice::from_ref(&key)).unwrap();
    assert_eq!(checkpoint.size, signed["size"].as_u64().unwrap());

    for seq in 1..=checkpoint.size {
        let path = format!("/v1/ledger/proofs/inclusion?seq={seq}");
        let body = world.get(&path, viewer).await.is(200).body;
        let (index, proof, note) = parse_proof(body["text"].as_str().unwrap()).unwrap();
        note.verify([&key]).unwrap();
        let proven: Inclusion = serde_json::from_value(body).unwrap();
        assert_eq!((index, &proof), (seq - 1, &proven.proof));
        let tree = (checkpoint.size, checkpoint.root);
        verify_inclusion(leaf(proven.entry_hash), index, tree, &proof).unwrap();
    }
    let beyond = checkpoint.size + 1;
    for (query, status) in [
        (format!("seq={beyond}&size={}", checkpoint.size), 404),
        (format!("seq={beyond}"), 404),
        ("seq=0".to_owned(), 404),
        ("seq=1&size=99999".to_owned(), 404),
        ("seq=x".to_owned(), 400),
        (String::new(), 400),
    ] {
        let path = format!("/v1/ledger/proofs/inclusion?{query}");
        world.get(&path, viewer).await.is(status);
    }
    let path = "/v1/ledger/proofs/consistency?from=3";
    let proven: Consistency =
        serde_json::from_value(world.get(path, viewer).await.is(200).body).unwrap();
    proven.check().unwrap();
    assert_eq!(
        (proven.to, proven.to_root),
        (checkpoint.size, checkpoint.root)
    );

    let body = json!({"reason": "a drill"});
    let rotated = world.post("/v1/ledger/keys/rotate", admin, &body).await;
    let rotated = rotated.is(200).body["key"].clone();
    let keys = world.get("/v1/ledger/keys", viewer).await.is(200).body;
    assert_eq!(keys["items"][1]["key"], rotated);
    assert_eq!(keys["items"][0]["status"], "retired");
    let verified = world.get("/v1/ledger/verify", viewer).await.is(200).body;
    assert_eq!(verified["intact"], true, "{verified}");
    assert_eq!(verified["tree"]["checkpoints"], 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tiles_lead_from_the_checkpoint_to_every_entry() {
    let (world, _keys) = world().await;
    let (admin, viewer) = (
        world.home.token(Role::Admin),
        world.home.token(Role::Viewer),
    );
    let prefix = format!("/v1/tlog/{}", world.home.tenant);
    let note = format!("{prefix}/checkpoint");
    world.get(&note, viewer).await.is(404);
    let signed = world.post("/v1/ledger/checkpoint", admin, &json!({})).await;
    let key = VerifierKey::parse(signed.is(200).body["key"].as_str().unwrap()).unwrap();
    let served = world.get(&note, viewer).await.is(200);
    assert_eq!(served.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(served.header("cache-control"), "private, no-cache");
    let checkpoint = kept(&served.bytes, &[key]).unwrap();
    let path = |level| TilePath {
        level,
        index: 0,
        width: checkpoint.size,
    };
    let tile = format!("{prefix}/tile/{}", path(Some(0)));
    let tile = world.get(&tile, viewer).await.is(200);
    assert_eq!(tile.header("content-type"), "application/octet-stream");
    assert!(tile.header("cache-control").contains("immutable"));
    let hashes: Vec<Digest> = tile
        .bytes
        .as_chunks::<32>()
        .0
        .iter()
        .map(|hash| Digest(*hash))
        .collect();
    assert_eq!(root(&hashes), checkpoint.root);
    let entries = format!("{prefix}/tile/{}", path(None));
    let entries = world.get(&entries, viewer).await.is(200).bytes;
    assert_eq!(entries.len() as u64, 34 * checkpoint.size);
    for (entry, hash) in entries.chunks(34).zip(&hashes) {
        assert_eq!(entry[..2], [0, 32]);
        assert_eq!(leaf(Digest(entry[2..].try_into().unwrap())), *hash);
    }
    for missing in ["0/000", "1/000.p/1", "0/001.p/1", "0/0", "x", "entries/000"] {
        let path = format!("{prefix}/tile/{missing}");
        world.get(&path, viewer).await.is(404);
    }
    // Another tenant's log is not there for the caller.
    let other = format!("/v1/tlog/{}/checkpoint", world.member.tenant);
    world.get(&other, viewer).await.is(404);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_and_rotating_are_done_once_per_key() {
    let (world, keys) = world().await;
    let (admin, tenant) = (world.home.token(Role::Admin), world.home.tenant);
    let files = || std::fs::read_dir(keys.path()).unwrap().count();
    let head = async || {
        let store = world.control.ledger().store();
        store.head(tenant).await.unwrap().seq
    };
    let rows = [
        (
            "/v1/ledger/checkpoint",
            "sign-1",
            json!({}),
            json!({"x": 1}),
            400,
        ),
        (
            "/v1/ledger/keys/rotate",
            "rotate-1",
            json!({"reason": "every year"}),
            json!({"reason": "another"}),
            409,
        ),
    ];
    for (path, key, body, other, status) in rows {
        let key = [("idempotency-key", key)];
        let post = async |body| world.post_with(path, admin, body, &key).await;
        let first = post(&body).await.is(200).body;
        let left = (head().await, files());
        assert_eq!(post(&body).await.is(200).body, first, "{path}");
        assert_eq!((head().await, files()), left, "{path}");
        post(&other).await.is(status);
        assert_eq!((head().await, files()), left, "{path}");
    }
    // Without the key, each is done anew.
    let body = json!({"reason": "every year"});
    let before = files();
    let path = "/v1/ledger/keys/rotate";
    world.post(path, admin, &body).await.is(200);
    assert_eq!(files(), before + 1);
}
