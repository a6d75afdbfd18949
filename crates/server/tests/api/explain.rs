//! A verdict explained over HTTP and on its page, the runbooks, and the
//! ladder of autonomy.

use crate::harness::{World, request};
use axum::body::Body;
use kernel::Role::{Admin, Operator, Source, Viewer};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_says_what_would_have_to_change() {
    let world = World::with_packs().await;
    let side = &world.member;
    let (operator, viewer) = (side.token(Operator), side.token(Viewer));
    world.observe(side, "a", false).await.is(202);
    let found = world.first("/v1/directives", viewer).await;
    let mut contract = found["state"]["contract"].clone();
    contract["budget"] = json!("100000 EUR");
    contract["steps"][0]["evidence"] = json!([{"locator": "nowhere"}]);
    contract["issued_by"] = json!(format!("human:{}", side.principals[&Operator]));
    let drafted = world
        .post("/v1/directives", operator, &json!({"contract": contract}))
        .await
        .is(201);
    let result = &drafted.body["outcome"];
    assert_eq!(result["result"], "blocked", "{:?}", drafted.body);
    let verdict = result["verdict"].as_str().unwrap().to_owned();

    let path = format!("/v1/verdicts/{verdict}/explain");
    let explained = world.get(&path, viewer).await.is(200);
    let explanation = &explained.body["explanation"];
    assert_eq!(explanation["verdict"], "BLOCK");
    assert_eq!(explanation["who"]["issued_by"], contract["issued_by"]);
    assert_eq!(explanation["under"]["policy_in_force"], true);
    let checks = explanation["checks"].as_array().unwrap();
    let grounding = checks.iter().find(|c| c["check"] == "grounding").unwrap();
    let remedy = grounding["remedies"][0].as_str().unwrap();
    assert!(remedy.contains("must cite evidence"), "{remedy}");
    world.get(&path, side.token(Source)).await.is(403);
    world.get(&path, world.home.token(Admin)).await.is(404);

    for (page, says) in [
        (format!("/verdicts/{verdict}"), "What would have to change"),
        ("/runbooks/grounding".to_owned(), "Blocked by grounding"),
        ("/autonomy".to_owned(), "Nothing is on the ladder"),
    ] {
        let asked = request("GET", &page, Some(viewer)).body(Body::empty());
        let reply = world.send(asked.unwrap()).await.is(200);
        let text = String::from_utf8_lossy(&reply.bytes).into_owned();
        assert!(text.contains(says), "{page}: {text}");
    }
    let runbook = grounding["runbook"].as_str().unwrap();
    world.get(runbook, viewer).await.is(200);
    world.get("/runbooks/none", viewer).await.is(404);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ladder_is_read_and_refuses_what_is_not_proved() {
    let world = World::new().await;
    let side = &world.member;
    let (admin, operator) = (side.token(Admin), side.token(Operator));
    let mut body = crate::pack::body();
    let approvals = "expires_after: 1h\nautonomous: { host.mend: { confidence_min: 0.5 } }\n";
    body["files"]["approvals.yaml"] = json!({"text": approvals});
    world.post("/v1/packs/load", admin, &body).await.is(200);
    let ladder = world.first("/v1/autonomy", operator).await;
    assert_eq!(
        (&ladder["kind"], &ladder["rung"]),
        (&json!("host.mend"), &json!("supervised"))
    );
    let proofs = ladder["proofs"].as_array().unwrap();
    let names: Vec<_> = proofs.iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "approved_runs",
            "confidence",
            "kill_switch_drill",
            "sign_off"
        ]
    );

    let why = json!({"reason": "it went well"});
    let grant = "/v1/autonomy/host.mend/grant";
    world.post(grant, operator, &why).await.is(403);
    let refused = world.post(grant, admin, &why).await.is(409);
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(
        detail.contains("0 of 50 approved runs succeeded"),
        "{detail}"
    );
    let withdraw = "/v1/autonomy/host.mend/withdraw";
    world.post(withdraw, operator, &why).await.is(409);
    world.get("/v1/autonomy/host.mend", operator).await.is(200);
    world.get("/v1/autonomy/none", operator).await.is(404);
    world.end().await;
}
