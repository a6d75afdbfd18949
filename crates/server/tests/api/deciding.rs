//! The inbox over HTTP: filters, deciding in another's place, and deciding on
//! several at once.

use crate::harness::{World, eventually};
use kernel::Role::{self, Admin, Approver, Operator, Viewer};
use kernel::Span;
use serde_json::{Value, json};

/// Lets these hosts fail, and waits until as many requests wait.
async fn waiting(world: &World, hosts: &[&str]) -> Vec<Value> {
    let side = &world.member;
    for host in hosts {
        world.observe(side, host, false).await.is(202);
    }
    eventually("requests", || async {
        let page = world
            .get("/v1/approvals?status=pending&order=asc", side.token(Viewer))
            .await
            .is(200);
        let items = page.body["items"].as_array().unwrap().clone();
        (items.len() == hosts.len()).then_some(items)
    })
    .await
}

fn decision(waiting: &Value, decision: &str) -> Value {
    json!({
        "approval": waiting["id"],
        "digest": waiting["state"]["request"]["binding"]["digest"],
        "decision": decision,
    })
}

const BULK: &str = "bulk: { max: 4, of: { directive_types: [host.look] } }\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_several_is_decided_on_its_own() {
    let world = World::with_approvals(BULK).await;
    let side = &world.member;
    let all = waiting(&world, &["a", "b", "c", "d"]).await;
    let mut unseen = decision(&all[1], "approve");
    unseen["digest"] = json!("0".repeat(64));
    let mut no = decision(&all[3], "reject");
    no["reason"] = json!("not now");
    let body = json!({"decisions": [
        decision(&all[0], "approve"), unseen, decision(&all[2], "reject"), no,
    ]});
    let path = "/v1/approvals/decide";
    let done = world.post(path, side.token(Approver), &body).await.is(200);
    let results = done.body["results"].as_array().unwrap();
    let told: Vec<_> = results
        .iter()
        .map(|r| (r["result"].as_str().unwrap(), r["code"].as_str()))
        .collect();
    let refused = |code| ("refused", Some(code));
    let expected = [
        ("approved", None),
        refused("conflict"),
        refused("invalid"),
        ("rejected", None),
    ];
    assert_eq!(told, expected, "{results:?}");
    for (result, asked) in results.iter().zip(&all) {
        assert_eq!(result["approval"], asked["id"]);
    }
    // What was refused waits as before.
    let left = world
        .get("/v1/approvals?status=pending", side.token(Viewer))
        .await;
    assert_eq!(left.body["items"].as_array().unwrap().len(), 2);
    let viewer = world.post(path, side.token(Viewer), &body).await;
    assert_eq!(viewer.status, 403);
    // By an operator, whom no request asks, each is refused by itself.
    let body = json!({"decisions": [decision(&all[1], "approve")]});
    let done = world.post(path, side.token(Operator), &body).await.is(200);
    assert_eq!(done.body["results"][0]["code"], "forbidden");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_are_decided_on_only_where_policy_allows() {
    let path = "/v1/approvals/decide";
    for (rules, status, refused) in [
        ("", 403, None),
        (BULK, 200, None),
        (
            "bulk: { max: 4, of: { action_classes: [external_human_touch] } }\n",
            200,
            Some("decided on alone"),
        ),
        (
            "bulk: { max: 4, of: { directive_types: [host.look] } }\n\
             signatures: { directive_types: [host.look] }\n",
            200,
            Some("must be signed"),
        ),
    ] {
        let world = World::with_approvals(rules).await;
        let all = waiting(&world, &["a"]).await;
        let body = json!({"decisions": [decision(&all[0], "approve")]});
        let approver = world.member.token(Approver);
        let done = world.post(path, approver, &body).await.is(status);
        let result = &done.body["results"][0];
        match refused {
            _ if status != 200 => {}
            None => assert_eq!(result["result"], "approved"),
            Some(why) => {
                let detail = result["detail"].as_str().unwrap();
                assert!(detail.contains(why), "{rules}: {detail}");
            }
        }
        if rules == BULK {
            let none = json!({"decisions": []});
            world.post(path, approver, &none).await.is(400);
            let one = decision(&all[0], "approve");
            let twice = json!({"decisions": [one, one]});
            world.post(path, approver, &twice).await.is(400);
            let many: Vec<_> = (1..=5)
                .map(|n| {
                    let mut one = one.clone();
                    one["approval"] = json!(format!("apr_{n:032x}"));
                    one
                })
                .collect();
            let refused = world
                .post(path, approver, &json!({"decisions": many}))
                .await;
            let detail = refused.body["detail"].as_str().unwrap();
            assert!(detail.contains("allowed are 4"), "{detail}");
        }
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_inbox_is_filtered() {
    let world = World::with_packs().await;
    let side = &world.member;
    let all = waiting(&world, &["a", "b", "c"]).await;
    let issuer = all[0]["state"]["request"]["about"]["issued_by"]
        .as_str()
        .unwrap();
    let issuer = issuer.replace(':', "%3A");
    let found = async |role: Role, query: &str| {
        let path = format!("/v1/approvals?{query}");
        let page = world.get(&path, side.token(role)).await.is(200);
        page.body["items"].as_array().unwrap().len()
    };
    for (query, expected) in [
        ("type=host.look", 3),
        ("type=host.break", 0),
        ("class=internal_mutation", 3),
        ("class=external_human_touch", 0),
        (&format!("issuer={issuer}"), 3),
        ("issuer=human%3Aprn_1", 0),
        ("subject=host%2Fb&type=host.look", 1),
        ("status=approved&type=host.look", 0),
        ("overdue=true", 0),
        ("overdue=false", 3),
        ("decidable=true", 3),
        ("type=&class=&issuer=", 3),
    ] {
        assert_eq!(found(Approver, query).await, expected, "{query}");
    }
    let directive = all[1]["directive"].as_str().unwrap();
    let of_one = format!("directive={directive}&type=host.look");
    assert_eq!(found(Viewer, &of_one).await, 1, "{of_one}");
    for role in [Viewer, Operator, Admin] {
        assert_eq!(found(role, "decidable=true").await, 0, "{role}");
    }
    for query in ["class=loud", "decidable=yes", "issuer=nobody"] {
        let path = format!("/v1/approvals?{query}");
        world.get(&path, side.token(Viewer)).await.is(400);
    }
    // The page filters as the API does.
    for (query, shown) in [
        ("subject=host%2Fb", [false, true, false]),
        ("subject=&type=host.look", [true, true, true]),
        ("type=host.break", [false, false, false]),
    ] {
        let path = format!("/approvals?{query}");
        let page = world.get(&path, side.token(Viewer)).await.is(200);
        let text = String::from_utf8_lossy(&page.bytes).into_owned();
        let found = ["a", "b", "c"].map(|host| text.contains(&format!("look at {host}<")));
        assert_eq!(found, shown, "{query}: {text}");
    }
    // A filtered listing goes on where its page ended.
    let mut seen = Vec::new();
    let mut path = "/v1/approvals?type=host.look&limit=2".to_owned();
    loop {
        let page = world.get(&path, side.token(Viewer)).await.is(200);
        let items = page.body["items"].as_array().unwrap();
        assert!(items.len() <= 2, "a page is as long as was asked");
        seen.extend(items.iter().map(|i| i["id"].as_str().unwrap().to_owned()));
        match page.body["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/approvals?type=host.look&limit=2&cursor={cursor}"),
            None => break,
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 3);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delegate_decides_until_the_giver_is_gone() {
    let world = World::with_packs().await;
    let side = &world.member;
    let all = waiting(&world, &["a", "b"]).await;
    let (giver, delegate) = (side.principals[&Approver], side.principals[&Operator]);
    let until = world.control.now().plus(Span::from_secs(3600));
    let grant = json!({"to": delegate, "until": until, "reason": "on leave"});
    let path = "/v1/delegations";
    let nobody =
        json!({"to": "prn_00000000000000000000000000000001", "until": until, "reason": "x"});
    world
        .post(path, side.token(Approver), &nobody)
        .await
        .is(404);
    let robot = json!({"to": side.principals[&Role::Agent], "until": until, "reason": "x"});
    world.post(path, side.token(Approver), &robot).await.is(400);
    world.post(path, side.token(Operator), &grant).await.is(403);
    world.post(path, side.token(Approver), &grant).await.is(201);

    let mut yes = json!({"digest": all[0]["state"]["request"]["binding"]["digest"]});
    let approve = |at: usize| format!("/v1/approvals/{}/approve", all[at]["id"].as_str().unwrap());
    let operator = side.token(Operator);
    world.post(&approve(0), operator, &yes).await.is(403);
    let decidable = "/v1/approvals?decidable=true";
    let mine = world.get(decidable, operator).await.is(200);
    assert_eq!(mine.body["items"].as_array().unwrap().len(), 2);
    yes["on_behalf_of"] = json!(format!("human:{giver}"));
    let done = world.post(&approve(0), operator, &yes).await.is(200);
    assert_eq!(done.body["decision"]["result"], "approved");
    let path = format!("/v1/approvals/{}", all[0]["id"].as_str().unwrap());
    let approval = world.get(&path, operator).await.is(200);
    let vote = &approval.body["state"]["votes"][0];
    assert_eq!(vote["by"], format!("human:{delegate}"));
    assert_eq!(vote["on_behalf_of"]["principal"], format!("human:{giver}"));

    // Whoever may decide no more has given nothing.
    let path = format!("/v1/principals/{giver}/roles");
    let roles = json!({"roles": ["viewer"]});
    world.post(&path, side.token(Admin), &roles).await.is(200);
    yes["digest"] = all[1]["state"]["request"]["binding"]["digest"].clone();
    world.post(&approve(1), operator, &yes).await.is(403);
    let path = format!("/v1/delegations/{giver}");
    let given = world.get(&path, operator).await.is(200);
    assert_eq!(given.body["status"], "revoked");
    world.end().await;
}
