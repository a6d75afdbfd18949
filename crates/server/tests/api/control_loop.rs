//! The whole loop over HTTP: a delivery becomes an incident, a directive, an
//! approval, a run; and the proofs hold. Then: edit, reject, kill switch.

use crate::harness::{World, eventually};
use kernel::Role::{Admin, Approver, Operator, Viewer};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_a_delivery_to_a_proved_action() {
    let world = World::with_packs().await;
    let side = &world.member;
    world.observe(side, "a", false).await.is(202);
    let (viewer, approver) = (side.token(Viewer), side.token(Approver));
    let incident = world.first("/v1/incidents", viewer).await;
    assert_eq!(incident["subject"], "host/a");
    let approval = world.first("/v1/approvals?status=pending", viewer).await;
    let binding = &approval["state"]["request"]["binding"];
    let path = format!("/v1/approvals/{}/approve", approval["id"].as_str().unwrap());
    let unseen = json!({"digest": "0".repeat(64)});
    world.post(&path, approver, &unseen).await.is(409);
    let yes = json!({"digest": binding["digest"], "reason": "go"});
    let done = world.post(&path, approver, &yes).await.is(200);
    assert_eq!(done.body["decision"]["result"], "approved");
    world.post(&path, approver, &yes).await.is(409);
    let run = world.first("/v1/runs?status=completed", viewer).await;
    let why = format!("/v1/ledger/why/{}", run["id"].as_str().unwrap());
    let why = world.get(&why, viewer).await.is(200);
    let kinds: Vec<_> = why.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["kind"].as_str().unwrap())
        .collect();
    for kind in ["approval.approved", "gate.verdict_given", "evidence.filed"] {
        assert!(kinds.contains(&kind), "no `{kind}` in {kinds:?}");
    }
    let timeline = format!(
        "/v1/incidents/{}/timeline",
        incident["id"].as_str().unwrap()
    );
    let timeline = world.get(&timeline, viewer).await.is(200);
    let items = timeline.body["items"].as_array().unwrap();
    assert!(items.iter().any(|e| e["kind"] == "incident.opened"));
    assert!(items.iter().any(|e| e["kind"] == "run.completed"));
    assert!(
        items
            .windows(2)
            .all(|w| w[0]["seq"].as_u64() < w[1]["seq"].as_u64())
    );
    let counter = world.first("/v1/budget-counters", viewer).await;
    let id = counter["id"].as_str().unwrap();
    world
        .get(&format!("/v1/budget-counters/{id}"), viewer)
        .await
        .is(200);
    let state = world.get("/v1/states/host/a", viewer).await.is(200);
    assert_eq!(state.body["id"], "host/a");
    let verify = world.get("/v1/ledger/verify", viewer).await.is(200);
    assert_eq!(verify.body["intact"], true);
    let replay = eventually("a quiet log", || async {
        let reply = world.get("/v1/ledger/replay", viewer).await;
        (reply.status == 200).then_some(reply)
    })
    .await;
    assert_eq!(replay.body["equal"], true, "{:?}", replay.body);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_may_refuse_retry_edit_and_control() {
    let world = World::with_packs().await;
    let side = &world.member;
    let (operator, approver) = (side.token(Operator), side.token(Approver));
    world.observe(side, "a", false).await.is(202);
    let approval = world.first("/v1/approvals?status=pending", operator).await;
    let digest = &approval["state"]["request"]["binding"]["digest"];
    let reject = format!("/v1/approvals/{}/reject", approval["id"].as_str().unwrap());
    world
        .post(&reject, approver, &json!({"digest": digest}))
        .await
        .is(400);
    let no = json!({"digest": digest, "reason": "not now"});
    world.post(&reject, approver, &no).await.is(200);
    let directive = world.first("/v1/directives?status=blocked", operator).await;
    let path = format!("/v1/directives/{}", directive["id"].as_str().unwrap());
    let retry = world
        .post(&format!("{path}/retry"), operator, &json!({}))
        .await
        .is(200);
    assert_eq!(retry.body["outcome"]["result"], "waiting");
    let mut contract: Value = directive["state"]["contract"].clone();
    contract["objective"] = json!("look harder");
    let edit = format!(
        "/v1/approvals/{}/edit",
        retry.body["outcome"]["approval"].as_str().unwrap()
    );
    let changed = json!({"digest": digest, "contract": contract});
    let edited = world.post(&edit, approver, &changed).await.is(200);
    assert_ne!(&edited.body["digest"], digest);
    let abort = json!({"reason": "enough"});
    let aborted = world.post(&format!("{path}/abort"), operator, &abort).await;
    assert!([200, 409].contains(&aborted.status), "{:?}", aborted.body);
    let ended = world
        .post(&format!("{path}/pause"), operator, &json!({"reason": "x"}))
        .await;
    assert_eq!(ended.status, 409, "{:?}", ended.body);
    assert!(ended.body["hint"].is_string());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kill_switch_stops_and_takes_two_people_to_release() {
    let world = World::with_packs().await;
    let side = &world.member;
    let (admin, operator) = (side.token(Admin), side.token(Operator));
    let stop = json!({"scope": "tenant", "reason": "smoke"});
    world
        .post("/v1/kill-switch/engage", operator, &stop)
        .await
        .is(200);
    let state = world.get("/v1/kill-switch", operator).await.is(200);
    assert!(state.body.to_string().contains("smoke"));
    world
        .post("/v1/kill-switch/request-release", operator, &stop)
        .await
        .is(403);
    world
        .post("/v1/kill-switch/request-release", admin, &stop)
        .await
        .is(200);
    let scope = json!({"scope": "tenant"});
    let alone = world
        .post("/v1/kill-switch/confirm-release", admin, &scope)
        .await;
    assert!([403, 409].contains(&alone.status), "{:?}", alone.body);
    let drill = json!({"scope": "tool:noop", "note": "friday"});
    world
        .post("/v1/kill-switch/drill", operator, &drill)
        .await
        .is(200);
    let global = json!({"scope": "global", "reason": "all"});
    world
        .post("/v1/kill-switch/engage", operator, &global)
        .await
        .is(403);
    world
        .post(
            "/v1/kill-switch/engage",
            world.home.token(Operator),
            &global,
        )
        .await
        .is(200);
    let state = world.get("/v1/kill-switch", operator).await.is(200);
    assert_eq!(
        state.body["everywhere"]["scope"], "global",
        "{:?}",
        state.body
    );
    assert!(state.body["state"]["engaged"]["global"].is_null());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packs_are_checked_compared_and_loaded() {
    let world = World::new().await;
    let admin = world.member.token(Admin);
    world.get("/v1/packs/active", admin).await.is(503);
    let whole = crate::pack::body();
    let check = world.post("/v1/packs/check", admin, &whole).await.is(200);
    assert_eq!(check.body["sound"], true, "{:?}", check.body);
    let mut broken = whole.clone();
    broken["files"]["budgets.yaml"] = json!({"text": "- name: 7\n"});
    let check = world.post("/v1/packs/check", admin, &broken).await.is(200);
    assert_eq!(check.body["sound"], false);
    assert_eq!(check.body["faults"][0]["file"], "budgets.yaml");
    world.post("/v1/packs/load", admin, &broken).await.is(400);
    let diff = world.post("/v1/packs/diff", admin, &whole).await.is(200);
    assert_eq!(diff.body["diff"]["files"]["pack.yaml"], "added");
    let key = [("idempotency-key", "load-1")];
    let first = world
        .post_with("/v1/packs/load", admin, &whole, &key)
        .await
        .is(200);
    let again = world
        .post_with("/v1/packs/load", admin, &whole, &key)
        .await
        .is(200);
    assert_eq!(first.body, again.body);
    let active = world.get("/v1/packs/active", admin).await.is(200);
    assert_eq!(active.body["manifest"]["name"], "small");
    let diff = world.post("/v1/packs/diff", admin, &whole).await.is(200);
    assert_eq!(diff.body["diff"]["files"], json!({}));
    world.end().await;
}
