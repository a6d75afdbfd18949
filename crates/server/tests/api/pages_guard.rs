//! Sessions: signing in and out, and posts that other sites cannot forge.

use crate::harness::{Reply, World, request};
use axum::body::Body;
use axum::http::header;
use kernel::Role::{Admin, Approver, Operator, Viewer};
use serde_json::json;

const FORM: &str = "application/x-www-form-urlencoded";

async fn sign_in(world: &World, form: &str, headers: &[(&str, &str)]) -> Reply {
    let request = request("POST", "/login", None).header(header::CONTENT_TYPE, FORM);
    let request = headers.iter().fold(request, |r, (n, v)| r.header(*n, *v));
    world
        .send(request.body(Body::from(form.to_owned())).unwrap())
        .await
}

fn cookie(reply: &Reply) -> String {
    let text = reply.header("set-cookie");
    text.split(';').next().unwrap().to_owned()
}

async fn by_session(
    world: &World,
    method: &str,
    path: &str,
    cookie: &str,
    csrf: Option<&str>,
) -> Reply {
    let request = request(method, path, None)
        .header(header::COOKIE, cookie)
        .header(header::CONTENT_TYPE, "application/json");
    let request = match csrf {
        Some(csrf) => request.header("x-csrf-token", csrf),
        None => request,
    };
    let body = json!({"kind": "human", "name": "Ada", "roles": ["viewer"]});
    let body = if method == "GET" {
        Body::empty()
    } else {
        Body::from(body.to_string())
    };
    world.send(request.body(body).unwrap()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_reads_and_posts_only_with_its_own_token() {
    let world = World::new().await;
    let form = format!("token={}&next=/incidents", world.member.token(Admin));
    let reply = sign_in(&world, &form, &[]).await.is(303);
    assert_eq!(reply.header("location"), "/incidents");
    let set = reply.header("set-cookie");
    assert!(
        set.contains("HttpOnly") && set.contains("SameSite=Strict"),
        "{set}"
    );
    let (one, other) = (cookie(&reply), cookie(&sign_in(&world, &form, &[]).await));
    assert_ne!(one, other, "every session has a name of its own");
    let me = by_session(&world, "GET", "/v1/me", &one, None)
        .await
        .is(200);
    let csrf = me.body["csrf"].as_str().unwrap().to_owned();
    let theirs = by_session(&world, "GET", "/v1/me", &other, None)
        .await
        .is(200);
    let theirs = theirs.body["csrf"].as_str().unwrap().to_owned();
    let path = "/v1/principals";
    for bad in [None, Some(""), Some(theirs.as_str()), Some("0")] {
        by_session(&world, "POST", path, &one, bad).await.is(403);
    }
    by_session(&world, "POST", path, &one, Some(&csrf))
        .await
        .is(201);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_in_refuses_other_sites_foreign_targets_and_false_tokens() {
    let world = World::new().await;
    let token = world.member.token(Viewer);
    let good = format!("token={token}");
    sign_in(&world, &good, &[("sec-fetch-site", "cross-site")])
        .await
        .is(403);
    sign_in(&world, &good, &[("sec-fetch-site", "same-origin")])
        .await
        .is(303);
    for next in ["https://evil", "//evil", "/%0d%0ax"] {
        sign_in(&world, &format!("{good}&next={next}"), &[])
            .await
            .is(400);
    }
    let reply = sign_in(&world, "token=writ_x", &[]).await.is(303);
    assert!(reply.header("location").starts_with("/login"));
    assert!(reply.header("set-cookie").is_empty());
    // A revoked key ends its sessions.
    let session = cookie(&sign_in(&world, &good, &[]).await);
    let me = by_session(&world, "GET", "/v1/me", &session, None)
        .await
        .is(200);
    let key = me.body["key"].as_str().unwrap();
    let path = format!("/v1/keys/{key}/revoke");
    let reason = json!({"reason": "lost"});
    world
        .post(&path, world.member.token(Admin), &reason)
        .await
        .is(200);
    by_session(&world, "GET", "/v1/me", &session, None)
        .await
        .is(401);
    world.end().await;
}

/// Whoever knew the cookie from before the signing in knows nothing after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_somebody_chose_is_never_opened() {
    let world = World::new().await;
    let form = format!("token={}", world.member.token(Viewer));
    let chosen = format!("writ_session={}", "a".repeat(64));
    let reply = sign_in(&world, &form, &[("cookie", &chosen)]).await.is(303);
    let first = cookie(&reply);
    assert_ne!(first, chosen);
    by_session(&world, "GET", "/v1/me", &chosen, None)
        .await
        .is(401);
    // A session that was good before ends where another one begins.
    let again = sign_in(&world, &form, &[("cookie", &first)]).await.is(303);
    assert_ne!(cookie(&again), first);
    by_session(&world, "GET", "/v1/me", &first, None)
        .await
        .is(401);
    // Of two cookies of the name, one that was set beside it opens nothing.
    let two = format!("{chosen}; {}", cookie(&again));
    by_session(&world, "GET", "/v1/me", &two, None)
        .await
        .is(401);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_out_ends_the_session() {
    let world = World::new().await;
    let form = format!("token={}", world.member.token(Viewer));
    let session = cookie(&sign_in(&world, &form, &[]).await);
    let me = by_session(&world, "GET", "/v1/me", &session, None)
        .await
        .is(200);
    let out = |csrf: String| {
        let request = request("POST", "/logout", None)
            .header(header::COOKIE, &session)
            .header(header::CONTENT_TYPE, FORM);
        world.send(request.body(Body::from(format!("csrf={csrf}"))).unwrap())
    };
    out("0".repeat(64)).await.is(403);
    out(me.body["csrf"].as_str().unwrap().to_owned())
        .await
        .is(303);
    by_session(&world, "GET", "/v1/me", &session, None)
        .await
        .is(401);
    world.end().await;
}

/// The gate was asked anew about the same contract: a page that still shows
/// the former verdict decides nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_counts_for_the_request_that_was_on_the_page() {
    let world = World::with_packs().await;
    let side = &world.member;
    let approver = side.token(Approver);
    world.observe(side, "a", false).await.is(202);
    let first = world.first("/v1/approvals?status=pending", approver).await;
    let binding = &first["state"]["request"]["binding"];
    let directive = binding["directive"].as_str().unwrap();
    let digest = binding["digest"].as_str().unwrap();
    let reject = format!("/v1/approvals/{}/reject", first["id"].as_str().unwrap());
    let no = json!({"digest": digest, "reason": "not now"});
    world.post(&reject, approver, &no).await.is(200);
    let retry = format!("/v1/directives/{directive}/retry");
    let operator = side.token(Operator);
    world.post(&retry, operator, &json!({})).await.is(200);
    let second = world.first("/v1/approvals?status=pending", approver).await;
    assert_ne!(first["id"], second["id"]);
    assert_eq!(second["state"]["request"]["binding"]["digest"], digest);

    let session = cookie(&sign_in(&world, &format!("token={approver}"), &[]).await);
    let me = by_session(&world, "GET", "/v1/me", &session, None).await;
    let csrf = me.body["csrf"].as_str().unwrap();
    let decide = |verb: &str, approval: &str| {
        let form = format!("csrf={csrf}&approval={approval}&seen={digest}&reason=fine");
        let path = format!("/directives/{directive}/{verb}");
        let request = request("POST", &path, None)
            .header(header::COOKIE, &session)
            .header(header::CONTENT_TYPE, FORM);
        world.send(request.body(Body::from(form)).unwrap())
    };
    for verb in ["approve", "reject"] {
        decide(verb, first["id"].as_str().unwrap()).await.is(409);
    }
    let id = second["id"].as_str().unwrap();
    let still = world.get(&format!("/v1/approvals/{id}"), approver).await;
    assert_eq!(still.body["state"]["status"], "pending");
    decide("approve", id).await.is(303);
    let given = world.get(&format!("/v1/approvals/{id}"), approver).await;
    assert_ne!(given.body["state"]["status"], "pending");
    world.end().await;
}
