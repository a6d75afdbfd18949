//! The archive over HTTP: a run seals, stores and reads back what is new in the
//! caller's own log, and a fault of the object store loses nothing.

use crate::checkpoints::signing;
use crate::harness::World;
use kernel::port::ObjectFault;
use kernel::{Role, Span};
use ledger::archive::{self, Archive, Settings, Trust};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use testkit::TwinObjects;

const RUN: &str = "/v1/archive/run";

async fn world() -> (World, Arc<TwinObjects>, tempfile::TempDir) {
    let objects = Arc::new(TwinObjects::default());
    let settings = Settings {
        entries: 4,
        keep: Span::from_secs(3600),
        tries: 1,
        pause: Duration::ZERO,
    };
    let archive = Archive::new(objects.clone(), settings).unwrap();
    let (signing, keys) = signing();
    (World::archiving(signing, archive).await, objects, keys)
}

fn firsts(body: &Value) -> Vec<u64> {
    let items = body["items"].as_array().unwrap().iter();
    items.map(|item| item["first"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_seals_what_is_new_of_the_callers_own_log() {
    let (world, objects, _keys) = world().await;
    let (admin, viewer) = (
        world.home.token(Role::Admin),
        world.home.token(Role::Viewer),
    );
    world.post(RUN, viewer, &json!({})).await.is(403);
    world.post(RUN, admin, &json!({"all": true})).await.is(400);
    let tags = [("if-match", "\"1\"")];
    let refused = world.post_with(RUN, admin, &json!({}), &tags).await;
    refused.is(400);
    assert_eq!(objects.names(), Vec::<String>::new());

    let done = world.post(RUN, admin, &json!({})).await.is(200).body;
    assert!(firsts(&done).len() > 2, "{done}");
    for item in done["items"].as_array().unwrap() {
        assert_eq!(item["status"], "verified");
        assert_eq!(item["stored"]["lock"], "compliance");
        assert!(item["checkpoint"].as_str().unwrap().contains("writ/ten_"));
    }
    let listed = world.get("/v1/archive", viewer).await.is(200).body;
    assert_eq!(firsts(&listed), firsts(&done));
    let nothing = world.post(RUN, admin, &json!({})).await.is(200).body;
    assert_eq!(nothing, json!({"items": []}));

    // The other tenant's log is archived by its own admin, and seen by nobody
    // else.
    let other = world.member.token(Role::Admin);
    let theirs = world.get("/v1/archive", other).await.is(200).body;
    assert_eq!(firsts(&theirs), Vec::<u64>::new());
    world.post(RUN, other, &json!({})).await.is(200);
    assert_eq!(world.get("/v1/archive", viewer).await.body, listed);
    for tenant in [world.home.tenant, world.member.tenant] {
        let trust = Trust::default();
        let report = archive::verify(objects.as_ref(), tenant, &trust, &mut |_| ())
            .await
            .unwrap();
        assert!(report.is_intact(), "{report:?}");
        assert_eq!(report.covered, report.entries);
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_without_a_place_or_with_one_that_fails_says_so() {
    let bare = World::new().await;
    let admin = bare.home.token(Role::Admin).to_owned();
    // It does not come by waiting, so nobody is told to try again.
    let refused = bare.post(RUN, &admin, &json!({})).await.is(404);
    assert_eq!(refused.header("retry-after"), "");
    let refused = refused.body;
    assert!(refused.to_string().contains("WRIT_ARCHIVE"), "{refused}");
    bare.end().await;

    let (world, objects, _keys) = world().await;
    let admin = world.home.token(Role::Admin);
    objects.fail_from(3, ObjectFault::Unavailable("no route".into()));
    let refused = world.post(RUN, admin, &json!({})).await.is(503).body;
    assert!(refused.to_string().contains("no route"), "{refused}");
    let listed = world.get("/v1/archive", admin).await.is(200).body;
    assert_eq!(listed["items"][0]["status"], "sealed", "{listed}");
    objects.recover();
    let done = world.post(RUN, admin, &json!({})).await.is(200).body;
    assert_eq!(firsts(&done)[0], 1, "it goes on from the record");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_run_is_answered_and_not_run_again() {
    let (world, objects, _keys) = world().await;
    let admin = world.home.token(Role::Admin);
    let key = [("idempotency-key", "archive-1")];
    let run = async |body: &Value| world.post_with(RUN, admin, body, &key).await;
    let done = run(&json!({})).await.is(200).body;
    assert!(!firsts(&done).is_empty());
    let (names, head) = (objects.names(), head(&world).await);
    assert_eq!(run(&json!({})).await.is(200).body, done);
    assert_eq!((objects.names(), self::head(&world).await), (names, head));
    let (path, none) = ("/v1/ledger/checkpoint", json!({}));
    world.post_with(path, admin, &none, &key).await.is(409);
    world.end().await;
}

async fn head(world: &World) -> u64 {
    let store = world.control.ledger().store();
    store.head(world.home.tenant).await.unwrap().seq
}
