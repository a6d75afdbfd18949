//! The OpenAPI document: 3.1, whole, and consistent in itself.

use crate::authorisation::{body_for, things};
use crate::harness::{Reply, World, request};
use axum::body::Body;
use kernel::Role::Admin;
use serde_json::{Value, json};
use server::routes::{Facts, Gives, Guard, Verb};
use std::collections::BTreeSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_has_every_route_and_no_other() {
    let world = World::new().await;
    let document = document(&world).await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut listed = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (verb, operation) in item.as_object().unwrap() {
            listed.insert(format!("{} {path}", verb.to_uppercase()));
            check(path, operation);
        }
    }
    let rows = server::routes::rows();
    let expected: BTreeSet<String> = rows
        .iter()
        .filter(|r| r.facts.gives != Gives::Html)
        .map(|r| format!("{} {}", r.facts.verb, r.facts.path.replace("{*", "{")))
        .collect();
    assert_eq!(listed, expected);
    for row in &rows {
        let path = row.facts.path.replace("{*", "{");
        let verb = row.facts.verb.to_string().to_lowercase();
        let operation = &document["paths"][&path][&verb];
        match row.facts.guard {
            Guard::Own(permission) | Guard::Installation(permission) => {
                assert_eq!(operation["x-writ-permission"], permission.to_string());
                assert!(operation["responses"]["403"].is_object(), "{path}");
            }
            Guard::Open => assert_eq!(operation["security"], serde_json::json!([]), "{path}"),
            Guard::Source | Guard::SignedIn => {
                assert!(operation["responses"]["401"].is_object(), "{path}");
            }
        }
    }
    // The commands that refuse the header are those that do not list it.
    let unlisted = commands().into_iter().map(|facts| facts.path);
    let unlisted: Vec<&str> = unlisted
        .filter(|path| !lists(&document, path, "Idempotency-Key"))
        .collect();
    assert_eq!(
        unlisted,
        [
            "/v1/packs/check",
            "/v1/packs/diff",
            "/v1/policy/simulate",
            "/v1/personal/open"
        ]
    );
    for path in unlisted {
        let token = world.home.token(Admin);
        let once = [("idempotency-key", "k")];
        let reply = world.post_with(path, token, &json!({}), &once).await;
        let detail = reply.is(400).body["detail"].as_str().map(str::to_owned);
        let expected = "`Idempotency-Key` has no meaning on this route";
        assert_eq!(detail.as_deref(), Some(expected), "{path}");
    }
    let mut ids = BTreeSet::new();
    walk(&document, &mut |value| {
        if let Some(id) = value.get("operationId").and_then(Value::as_str) {
            assert!(ids.insert(id.to_owned()), "`{id}` stands twice");
        }
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#').expect("a local reference");
            assert!(
                document.pointer(pointer).is_some(),
                "`{reference}` leads nowhere"
            );
        }
    });
    world.end().await;
}

/// The document, as everybody gets it.
async fn document(world: &World) -> Value {
    let request = request("GET", "/openapi.json", None);
    let request = request.body(Body::empty()).unwrap();
    world.send(request).await.is(200).body
}

/// The routes by which somebody who is known changes state.
fn commands() -> Vec<Facts> {
    let facts = server::routes::rows().into_iter().map(|row| row.facts);
    let posts = facts.filter(|facts| {
        let is_known = !matches!(facts.guard, Guard::Source | Guard::Open);
        facts.verb == Verb::Post && facts.gives != Gives::Html && is_known
    });
    posts.collect()
}

/// Whether the document lists this header for a posted command.
fn lists(document: &Value, path: &str, header: &str) -> bool {
    let parameters = &document["paths"][path]["post"]["parameters"];
    let parameters = parameters.as_array().unwrap().iter();
    let mut headers = parameters.filter(|parameter| parameter["in"] == "header");
    headers.any(|parameter| parameter["name"] == header)
}

/// A version to match is listed by the commands that heed it, and the others
/// refuse it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_to_match_is_listed_where_it_has_a_meaning() {
    let world = World::with_packs().await;
    let document = document(&world).await;
    let things = things(&world).await;
    let admin = world.member.token(Admin);
    let directive = format!("/v1/directives/{}", things["directives"]);
    let directive = world.get(&directive, admin).await.is(200);
    let post = async |token, path: &str, body: &Value| {
        let wrong = [("if-match", "\"999\"")];
        world.post_with(path, token, body, &wrong).await
    };
    let is_refused = |reply: &Reply| {
        let detail = reply.body["detail"].as_str().unwrap_or_default();
        reply.status == 400 && detail == "`If-Match` has no meaning on this route"
    };
    let mut heeded = Vec::new();
    for facts in commands() {
        let noun = facts.path.split('/').nth(2).unwrap_or_default();
        let id = things.get(noun).map_or("nothing", String::as_str);
        let path = facts.path.replace("{id}", id).replace("{name}", id);
        let may_fail = document["paths"][facts.path]["post"]["responses"]["412"].is_object();
        let listed = lists(&document, facts.path, "If-Match");
        assert_eq!(may_fail, listed, "{path}");
        if !listed {
            let reply = post(world.home.token(Admin), &path, &json!({})).await;
            assert!(is_refused(&reply), "{path}: {reply:?}");
            continue;
        }
        let body = body_for(&facts, &directive.body["state"]);
        let reply = post(admin, &path, &body).await;
        // What there is has another version. What there is not can be made.
        assert!([200, 404, 412].contains(&reply.status), "{path}: {reply:?}");
        if reply.status == 412 {
            heeded.push(facts.path);
        }
    }
    assert!(heeded.len() > 20, "{heeded:?}");
    world.end().await;
}

/// What OpenAPI 3.1 asks of an operation.
fn check(path: &str, operation: &Value) {
    let responses = operation["responses"].as_object().unwrap();
    assert!(responses.keys().any(|s| s.starts_with('2')), "{path}");
    assert!(responses.keys().all(|s| s.parse::<u16>().is_ok()), "{path}");
    for response in responses.values() {
        assert!(response["description"].is_string() || response["$ref"].is_string());
    }
    let mut named = BTreeSet::new();
    for parameter in operation["parameters"].as_array().unwrap() {
        let place = parameter["in"].as_str().unwrap();
        let name = parameter["name"].as_str().unwrap();
        assert!(["path", "query", "header"].contains(&place), "{path}");
        assert!(named.insert((place, name)), "{path}: `{name}` stands twice");
        let wanted = [
            ("/v1/ledger/proofs/consistency", "from"),
            ("/v1/personal/preview", "subject"),
        ];
        let required = place == "path" || wanted.contains(&(path, name));
        assert_eq!(parameter["required"] == true, required, "{path}: {name}");
        assert!(parameter["schema"].is_object(), "{path}");
    }
    let in_path = path
        .split('/')
        .filter_map(|p| p.strip_prefix('{')?.strip_suffix('}'));
    for name in in_path {
        assert!(
            named.contains(&("path", name)),
            "{path}: `{name}` is not described"
        );
    }
    for requirement in operation["security"].as_array().unwrap() {
        for scheme in requirement.as_object().unwrap().keys() {
            assert!(["bearer", "session", "source"].contains(&scheme.as_str()));
        }
    }
}

fn walk(value: &Value, visit: &mut impl FnMut(&Value)) {
    visit(value);
    match value {
        Value::Array(items) => items.iter().for_each(|v| walk(v, visit)),
        Value::Object(members) => members.values().for_each(|v| walk(v, visit)),
        _ => {}
    }
}
