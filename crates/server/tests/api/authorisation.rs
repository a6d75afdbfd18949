//! What is another tenant's does not exist, and what was taken back opens
//! nothing. Who may ask for which route is in `matrix`.

use crate::harness::{World, request};
use crate::matrix::table::holders;
use axum::body::Body;
use axum::http::header;
use base64::Engine as _;
use ed25519_dalek::Signer as _;
use gate::access::Permission::*;
use gate::signing_key::{Possession, PublicKey};
use kernel::Role::{self, *};
use kernel::names::Name;
use kernel::{Actor, PrincipalKind};
use serde_json::{Value, json};
use server::routes::{Facts, Guard, Verb};
use std::collections::BTreeMap;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ingest_by_key_needs_the_permission_in_that_tenant() {
    let world = World::with_packs().await;
    let body = json!({"items": []});
    for role in Role::ALL {
        for (side, own) in [(&world.member, true), (&world.home, false)] {
            let path = format!("/v1/ingest/{}/probe", world.member.tenant);
            let reply = world.post(&path, side.token(*role), &body).await;
            let allowed = own && holders(SignalIngest).contains(role);
            assert_eq!(
                reply.status == 403,
                !allowed,
                "{role} {own}: {}",
                reply.status
            );
        }
    }
    world.end().await;
}

/// One of each kind of thing in a tenant, by the noun in the path.
pub(crate) async fn things(world: &World) -> BTreeMap<&'static str, String> {
    let side = &world.member;
    world.observe(side, "a", false).await.is(202);
    let admin = side.token(Admin);
    let approval = world.first("/v1/approvals", admin).await;
    let digest = approval["state"]["request"]["binding"]["digest"].clone();
    let path = format!("/v1/approvals/{}/approve", approval["id"].as_str().unwrap());
    let yes = json!({"digest": digest});
    world.post(&path, side.token(Approver), &yes).await.is(200);
    world.first("/v1/runs?status=completed", admin).await;
    register_key(world).await;
    delegate(world).await;
    let mut things = BTreeMap::new();
    for noun in [
        "signing-keys",
        "delegations",
        "principals",
        "keys",
        "evidence",
        "signals",
        "detections",
        "candidates",
        "bundles",
        "incidents",
        "investigations",
        "states",
        "snapshots",
        "directives",
        "verdicts",
        "approvals",
        "runs",
        "budget-counters",
        "reservations",
    ] {
        let item = world.first(&format!("/v1/{noun}"), admin).await;
        things.insert(noun, item["id"].as_str().unwrap().to_owned());
    }
    let entries = world.get("/v1/ledger/entries?limit=1", admin).await.is(200);
    let entry = entries.body["items"][0]["id"].as_str().unwrap().to_owned();
    things.insert("ledger", entry);
    things.insert("tenants", side.tenant.to_string());
    things
}

/// The approver of the member lets the operator decide.
async fn delegate(world: &World) {
    let side = &world.member;
    let until = world.control.now().plus(kernel::Span::from_secs(3600));
    let body = json!({"to": side.principals[&Operator], "until": until, "reason": "away"});
    let path = "/v1/delegations";
    world.post(path, side.token(Approver), &body).await.is(201);
}

/// The approver of the member registers a key.
async fn register_key(world: &World) {
    let side = &world.member;
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let public = PublicKey::ed25519(key.verifying_key().as_bytes());
    let possession = Possession {
        key: public.id().unwrap(),
        principal: Actor::new(PrincipalKind::Human, side.principals[&Approver]),
        tenant: side.tenant,
    };
    let proof = key.sign(&possession.message().unwrap()).to_bytes();
    let body = json!({
        "algorithm": public.algorithm,
        "public_key": public.public_key,
        "name": "laptop",
        "proof": base64::engine::general_purpose::STANDARD.encode(proof),
    });
    let path = "/v1/signing-keys";
    world.post(path, side.token(Approver), &body).await.is(201);
}

/// A body that each command takes which is about a thing, a scope or a subject,
/// with what it needs of this directive.
pub(crate) fn body_for(facts: &Facts, directive: &Value) -> Value {
    let (contract, digest) = (&directive["contract"], &directive["digest"]);
    let subject = "person/nobody";
    match facts.body.map(|b| (b.name)().into_owned()).as_deref() {
        Some("Because" | "Delete") => json!({"reason": "to see"}),
        Some("SetRoles") => json!({"roles": ["viewer"]}),
        Some("Yes") => json!({"digest": digest}),
        Some("No") => json!({"digest": digest, "reason": "to see"}),
        Some("Changed") => json!({"digest": digest, "contract": contract}),
        Some("RegisterKey") => json!({
            "algorithm": "ed25519", "public_key": "", "name": "to see", "proof": "",
        }),
        Some("Decisions") => json!({"decisions": []}),
        Some("Delegate") => json!({
            "to": "prn_00000000000070008000000000000001", "until": "2026-01-01T00:00:00Z",
            "reason": "to see",
        }),
        Some("TakeBack") => json!({
            "delegation": "dlg_00000000000070008000000000000001", "reason": "to see",
        }),
        Some("Edit") => json!({"contract": contract}),
        Some("Resolve") => json!({
            "step": "look", "phase": "step", "resolution": "failed", "reason": "to see",
        }),
        Some("Stop") => json!({"scope": "tenant", "reason": "to see"}),
        Some("Scoped") => json!({"scope": "tenant"}),
        Some("SetFiles") => json!({"files": {"a.cedar": ""}}),
        Some("SetMove") => json!({"set": digest, "reason": "to see"}),
        Some("SimulatedSet") => json!({"files": {}, "since": "2026-01-01T00:00:00Z"}),
        Some("Drill") => json!({"scope": "tenant", "note": "to see"}),
        Some("Whom") => json!({"subject": subject, "reason": "to see"}),
        Some("Erase") => json!({"subject": subject, "confirm": subject, "reason": "to see"}),
        Some("Save") => json!({"state": {}}),
        Some("NewReservation") => json!({
            "amount": "1 EUR", "cost_class": "CHEAP", "tool": "chat", "lease": "1m",
        }),
        Some("FromTemplate") => json!({"subject": subject}),
        Some("Extend") => json!({"lease": "1m"}),
        Some("Note" | "Nothing" | "Settle" | "Release") => json!({}),
        Some(other) => panic!("no body for {other}"),
        None => Value::Null,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_another_tenants_does_not_exist() {
    let world = World::with_packs().await;
    let things = things(&world).await;
    let directive = format!("/v1/directives/{}", things["directives"]);
    let member = world.get(&directive, world.member.token(Admin)).await;
    let member = member.is(200);
    let mut tried = 0;
    for facts in server::rows().into_iter().map(|row| row.facts) {
        let noun = facts.path.split('/').nth(2).unwrap_or_default();
        let varies = facts.path.starts_with("/v1/") && facts.path.contains("{id}")
            || facts.path.contains("{*id}");
        let Some(id) = things.get(noun).filter(|_| varies) else {
            continue;
        };
        let path = facts.path.replace("{id}", id).replace("{*id}", id);
        let body = body_for(&facts, &member.body["state"]);
        let role = match facts.guard {
            Guard::Own(ApprovalDecide) => Approver,
            _ => Admin,
        };
        // The home tenant's admins may see every tenant; so ask from the
        // member about the home, and about everything else from the home.
        let reply = match (noun, facts.verb) {
            ("tenants", _) => {
                let path = path.replace(id, &world.home.tenant.to_string());
                world.get(&path, world.member.token(role)).await
            }
            (_, Verb::Get) => world.get(&path, world.home.token(role)).await,
            (_, Verb::Post) => world.post(&path, world.home.token(role), &body).await,
        };
        assert_eq!(reply.status, 404, "{} {path}: {:?}", facts.verb, reply.body);
        tried += 1;
    }
    assert!(tried > 35, "only {tried} routes were tried");
    let verify = world
        .get("/v1/ledger/verify", world.member.token(Auditor))
        .await
        .is(200);
    assert_eq!(verify.body["intact"], true);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_and_a_disabled_principal_open_nothing() {
    let world = World::new().await;
    let admin = world.member.token(Admin);
    let viewer = world.member.token(Viewer);
    let me = world.get("/v1/me", viewer).await.is(200);
    let key = me.body["key"].as_str().unwrap().to_owned();
    let reason = json!({"reason": "lost"});
    world
        .post(&format!("/v1/keys/{key}/revoke"), admin, &reason)
        .await
        .is(200);
    world.get("/v1/me", viewer).await.is(401);
    let operator = world.member.principals[&Operator];
    world
        .post(
            &format!("/v1/principals/{operator}/disable"),
            admin,
            &reason,
        )
        .await
        .is(200);
    world
        .get("/v1/me", world.member.token(Operator))
        .await
        .is(401);
    let auditor = world.member.principals[&Auditor];
    let roles = json!({"roles": ["source"]});
    world
        .post(&format!("/v1/principals/{auditor}/roles"), admin, &roles)
        .await
        .is(200);
    world
        .get("/v1/principals", world.member.token(Auditor))
        .await
        .is(403);
    world.end().await;
}

/// As a form encodes it.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// The fields that the form at this path posts.
fn form_for(path: &str, things: &BTreeMap<&'static str, String>, directive: &Value) -> String {
    let digest = directive["digest"].as_str().unwrap();
    let contract = encoded(&directive["contract"].to_string());
    let is = |end: &str| path.ends_with(end);
    let decides = is("/approve") || is("/reject");
    if decides && path.starts_with("/directives/") {
        return format!("approval={}&seen={digest}&reason=x", things["approvals"]);
    }
    if path.starts_with("/delegations/") {
        return "delegation=dlg_00000000000070008000000000000001&reason=x".to_owned();
    }
    match () {
        () if is("/edit") => format!("seen={digest}&contract={contract}"),
        () if is("/edit/confirm") => {
            format!("seen={digest}&contract={contract}&then=propose&reason=x")
        }
        () if is("/steps/look/resolve") => "phase=step&outcome=failed&reason=x".to_owned(),
        () if is("/retry") || is("/confirm") => String::new(),
        () => "reason=x".to_owned(),
    }
}

/// Pages and their forms look where their person may, and nowhere else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_another_tenants_has_no_page_and_no_form() {
    let world = World::with_packs().await;
    let mut things = things(&world).await;
    let path = format!("/v1/directives/{}", things["directives"]);
    let directive = world.get(&path, world.member.token(Admin)).await.is(200);
    let directive = &directive.body["state"];
    things.insert("why", things["directives"].clone());
    let mut tried = 0;
    for facts in server::pages::rows().into_iter().map(|row| row.facts) {
        let noun = facts.path.split('/').nth(1).unwrap_or_default();
        let Some(id) = things.get(noun).filter(|_| facts.path.contains("{id}")) else {
            continue;
        };
        let path = facts.path.replace("{id}", id);
        let path = path.replace("{step}", "look").replace("{move}", "close");
        let page = |side: &crate::harness::Side| {
            let request = request(facts.verb.name(), &path, Some(side.token(Admin)));
            let request = match facts.verb {
                Verb::Get => request.body(Body::empty()),
                Verb::Post => request
                    .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(Body::from(form_for(&path, &things, directive))),
            };
            request.unwrap()
        };
        // Who may see it is shown it: the page is not missing for all.
        if facts.verb == Verb::Get {
            let own = world.send(page(&world.member)).await;
            assert!([200, 409].contains(&own.status), "{path}: {}", own.status);
        }
        let other = world.send(page(&world.home)).await;
        assert_eq!(other.status, 404, "{} {path}", facts.verb);
        let text = String::from_utf8_lossy(&other.bytes).into_owned();
        for word in ["look at", "host/a", "it is up"] {
            assert!(!text.contains(word), "{path} tells `{word}`");
        }
        tried += 1;
    }
    assert!(tried > 15, "only {tried} pages were tried");
    let verify = world.get("/v1/ledger/verify", world.member.token(Auditor));
    assert_eq!(verify.await.is(200).body["intact"], true);
    world.end().await;
}
