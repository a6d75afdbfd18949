//! Replay of a thing with what belongs to it, and states as they were.

use crate::harness::World;
use kernel::Role::{Approver, Viewer};
use serde_json::{Value, json};

/// An incident that was acted on, and the run that did.
async fn acted(world: &World) -> (Value, Value) {
    let side = &world.member;
    world.observe(side, "a", false).await.is(202);
    let (viewer, approver) = (side.token(Viewer), side.token(Approver));
    let approval = world.first("/v1/approvals?status=pending", viewer).await;
    let digest = &approval["state"]["request"]["binding"]["digest"];
    let path = format!("/v1/approvals/{}/approve", approval["id"].as_str().unwrap());
    let yes = json!({"digest": digest, "reason": "go"});
    world.post(&path, approver, &yes).await.is(200);
    let run = world.first("/v1/runs?status=completed", viewer).await;
    let incident = world.first("/v1/incidents", viewer).await;
    (incident, run)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn things_are_replayed_with_what_belongs_to_them_and_shown_as_they_were() {
    let world = World::with_packs().await;
    let (incident, run) = acted(&world).await;
    let viewer = world.member.token(Viewer);
    let id = |of: &Value| of["id"].as_str().unwrap().to_owned();
    let directive = run["directive"].as_str().unwrap().to_owned();
    // What belongs to a thing, at least: (what is asked for, states built).
    let asks = [
        (format!("of={}", id(&incident)), 10),
        (format!("of={directive}"), 6),
        (format!("stream=run%2F{}", id(&run)), 1),
    ];
    for (ask, states_min) in asks {
        let path = format!("/v1/ledger/replay?{ask}");
        let reply = world.get(&path, viewer).await.is(200);
        assert_eq!(reply.body["equal"], true, "{ask}: {:?}", reply.body);
        let states = reply.body["report"]["states"].as_u64().unwrap();
        assert!(states >= states_min, "{ask}: {:?}", reply.body);
    }
    let created = run["created_seq"].as_u64().unwrap();
    let path = format!("/v1/ledger/streams/run/{}", id(&run));
    let now = world.get(&path, viewer).await.is(200);
    assert_eq!(now.body["resource"]["status"], "completed");
    let then = world
        .get(&format!("{path}?as_of={created}"), viewer)
        .await
        .is(200);
    assert_eq!(then.body["as_of_seq"], created);
    assert_eq!(then.body["resource"]["version"], 1);
    assert_ne!(then.body["resource"]["status"], "completed");
    let whole = world
        .get(&format!("/v1/ledger/replay?as_of={created}"), viewer)
        .await
        .is(200);
    assert_eq!(whole.body["report"]["entries"], created);
    for (query, status, says) in [
        (format!("?as_of={}", created - 1), 404, "no entry yet"),
        (
            "?as_of=yesterday".to_owned(),
            400,
            "no position and no instant",
        ),
        ("?as_of=999999999".to_owned(), 400, "the log ends at"),
        (
            "?as_of=1970-01-01T00:00:00Z".to_owned(),
            404,
            "no entry yet",
        ),
    ] {
        let reply = world
            .get(&format!("{path}{query}"), viewer)
            .await
            .is(status);
        assert!(
            reply.body.to_string().contains(says),
            "{query}: {:?}",
            reply.body
        );
    }
    let both = format!("/v1/ledger/replay?of={directive}&stream=run%2Fx");
    world.get(&both, viewer).await.is(400);
    world
        .get("/v1/ledger/replay?stream=run%2Fx", viewer)
        .await
        .is(404);
    world.end().await;
}
