//! The OpenAPI document: 3.1, whole, and consistent in itself.

use crate::harness::{World, request};
use axum::body::Body;
use serde_json::Value;
use server::routes::{Gives, Guard, Verb};
use std::collections::BTreeSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_has_every_route_and_no_other() {
    let world = World::new().await;
    let request = request("GET", "/openapi.json", None);
    let document = world
        .send(request.body(Body::empty()).unwrap())
        .await
        .is(200)
        .body;
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
    // The one command that refuses the header is the one that does not list it.
    let posts = rows.iter().filter(|row| {
        let source = matches!(row.facts.guard, Guard::Source | Guard::Open);
        row.facts.verb == Verb::Post && row.facts.gives != Gives::Html && !source
    });
    let unlisted = posts.filter(|row| {
        let operation = &document["paths"][&row.facts.path.replace("{*", "{")]["post"];
        !operation["parameters"]
            .to_string()
            .contains("Idempotency-Key")
    });
    let unlisted: Vec<&str> = unlisted.map(|row| row.facts.path).collect();
    assert_eq!(unlisted, ["/v1/personal/open"]);
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
        assert_eq!(parameter["required"] == true, place == "path", "{path}");
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
