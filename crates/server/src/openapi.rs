//! The OpenAPI 3.1 document, made from the table of routes: every row is an
//! operation, and there is no other.

mod forms;

use crate::http::problem::{Kind, Written};
use crate::routes::table::{Facts, Gives, Guard, Matching, Posting, Repeating, Verb};
use crate::routes::{self};
use kernel::names::Name;
use serde_json::{Map, Value, json};
use utoipa::PartialSchema;

/// The document for this version of writ.
#[must_use]
pub fn document(version: &str) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    let mut schemas = shared_schemas();
    for row in routes::rows() {
        let facts = &row.facts;
        if facts.gives == Gives::Html {
            continue;
        }
        if let Some(shape) = facts.body {
            let mut parts = Vec::new();
            (shape.parts)(&mut parts);
            parts.push(((shape.name)().into_owned(), (shape.schema)()));
            for (name, schema) in parts {
                let mut schema = json!(schema);
                forms::shape(&name, &mut schema);
                schemas.insert(name, schema);
            }
        }
        // OpenAPI has no wildcard: `{*id}` is written `{id}`.
        let path = facts.path.replace("{*", "{");
        let item = paths.entry(path).or_insert_with(|| json!({}));
        if let Some(item) = item.as_object_mut() {
            item.insert(facts.verb.name().to_lowercase(), operation(facts));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "writ",
            "version": version,
            "summary": "one control plane for autonomous agents",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {"Problem": {
                "description": "what went wrong (RFC 9457)",
                "content": {"application/problem+json": {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                }},
            }},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "session": {
                    "type": "apiKey", "in": "cookie", "name": crate::auth::COOKIE,
                },
                "source": {
                    "type": "http", "scheme": "bearer",
                    "description": "as the pack defines the source: a bearer secret, a header with HMAC-SHA-256 of the body, or the headers of Standard Webhooks",
                },
            },
        },
    })
}

fn shared_schemas() -> Map<String, Value> {
    let resource = json!({
        "type": "object",
        "description": "a current state with where it stands in the log",
        "required": ["id", "kind", "version", "status", "created_seq", "updated_seq", "state"],
        "properties": {
            "id": {"type": "string"},
            "kind": {"type": "string"},
            "version": {"type": "integer", "minimum": 1},
            "status": {"type": "string"},
            "subject": {"type": "string"},
            "directive": {"type": "string"},
            "created_seq": {"type": "integer", "minimum": 1},
            "updated_seq": {"type": "integer", "minimum": 1},
            "due_at": {"type": "string", "format": "date-time"},
            "state": {"type": "object"},
            "erased": {
                "type": "object",
                "description": "what stands sealed in the state and was erased, by JSON pointer; \
                                when one resource is asked for",
                "additionalProperties": {
                    "type": "object",
                    "properties": {
                        "subject": {"type": "string"},
                        "at": {"type": "string", "format": "date-time"},
                        "by": {"type": "string"},
                        "reason": {"type": "string"},
                    },
                },
            },
        },
    });
    let mut contract = gate::contract::schema();
    forms::relocate(&mut contract, "Contract");
    let page = json!({
        "type": "object",
        "required": ["items"],
        "properties": {
            "items": {"type": "array", "items": {"type": "object"}},
            "next_cursor": {"type": "string", "description": "absent on the last page"},
        },
    });
    let mut schemas = Map::new();
    schemas.insert("Problem".into(), json!(Written::schema()));
    schemas.insert("Resource".into(), resource);
    schemas.insert("Page".into(), page);
    schemas.insert("Contract".into(), contract);
    schemas
}

fn operation(facts: &Facts) -> Value {
    let mut parameters: Vec<Value> = path_names(facts.path)
        .map(|name| {
            json!({
                "name": name, "in": "path", "required": true,
                "schema": forms::of_path(facts.path, name),
            })
        })
        .collect();
    parameters.extend(facts.parameters.iter().map(|p| {
        json!({
            "name": p.name, "in": "query", "required": forms::is_required(facts.path, p.name),
            "description": p.about, "schema": forms::of_query(facts.path, p.name),
        })
    }));
    if is_command(facts) {
        let once = (
            "Idempotency-Key",
            "the request is done once per key, for ever",
        );
        let once = (facts.repeating == Repeating::Once).then_some(once);
        let version = ("If-Match", "the version that the resource must have");
        let version = (facts.matching == Matching::Version).then_some(version);
        for (name, about) in once.into_iter().chain(version) {
            parameters.push(json!({
                "name": name, "in": "header", "required": false,
                "description": about, "schema": forms::of_header(name),
            }));
        }
    }
    if facts.gives == Gives::Events {
        parameters.push(json!({
            "name": "Last-Event-ID", "in": "header", "required": false,
            "description": "goes on after this position, as browsers do; stands above `after`",
            "schema": forms::of_header("Last-Event-ID"),
        }));
    }
    let mut operation = json!({
        "operationId": operation_id(facts),
        "summary": facts.summary,
        "tags": [tag(facts.path)],
        "parameters": parameters,
        "responses": responses(facts),
        "security": security(facts.guard),
    });
    let permission = match facts.guard {
        Guard::Own(permission) | Guard::Installation(permission) => Some(permission),
        Guard::Open | Guard::Source | Guard::SignedIn => None,
    };
    let Some(object) = operation.as_object_mut() else {
        return operation;
    };
    if let Some(permission) = permission {
        object.insert("x-writ-permission".into(), json!(permission));
    }
    if let Some(shape) = facts.body {
        let reference = format!("#/components/schemas/{}", (shape.name)());
        let body = json!({
            "required": true,
            "content": {"application/json": {"schema": {"$ref": reference}}},
        });
        object.insert("requestBody".into(), body);
    } else if facts.guard == Guard::Source {
        let body = json!({
            "required": true,
            "content": {"application/json": {"schema": {}}},
        });
        object.insert("requestBody".into(), body);
    }
    operation
}

/// Whether somebody who is known changes state with it.
fn is_command(facts: &Facts) -> bool {
    facts.verb == Verb::Post
        && facts.posting == Posting::Header
        && !matches!(facts.guard, Guard::Source | Guard::Open)
}

/// The names of what varies in a path.
fn path_names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        Some(name.trim_start_matches('*'))
    })
}

fn tag(path: &str) -> &str {
    let mut parts = path.split('/').filter(|p| !p.is_empty() && *p != "v1");
    match path.starts_with("/v1/") {
        true => parts.next().unwrap_or("system"),
        false => "system",
    }
}

/// The method and the path in words: unique, because the pair is.
fn operation_id(facts: &Facts) -> String {
    let words = facts.path.split(['/', '{', '}', '.', '*', '-', '_']);
    let mut id = facts.verb.name().to_lowercase();
    for word in words.filter(|w| !w.is_empty() && *w != "v1") {
        id.push('_');
        id.push_str(word);
    }
    id
}

fn security(guard: Guard) -> Value {
    match guard {
        Guard::Open => json!([]),
        Guard::Source => json!([{"source": []}]),
        Guard::SignedIn | Guard::Own(_) | Guard::Installation(_) => {
            json!([{"bearer": []}, {"session": []}])
        }
    }
}

fn responses(facts: &Facts) -> Value {
    let content = match facts.gives {
        Gives::Page => {
            json!({"application/json": {"schema": {"$ref": "#/components/schemas/Page"}}})
        }
        Gives::Resource => {
            json!({"application/json": {"schema": {"$ref": "#/components/schemas/Resource"}}})
        }
        Gives::Object => json!({"application/json": {"schema": {"type": "object"}}}),
        Gives::Events => json!({"text/event-stream": {"schema": event()}}),
        Gives::Text => json!({"text/plain": {"schema": {"type": "string"}}}),
        Gives::Lines => json!({"application/jsonl": {"schema": {"type": "string"}}}),
        Gives::AsTaken => json!({"*/*": {"schema": {}}}),
        Gives::Raw => json!({"application/octet-stream": {"schema": {"type": "string"}}}),
        Gives::Html => json!({"text/html": {"schema": {"type": "string"}}}),
    };
    let mut responses = Map::new();
    responses.insert(
        facts.status.to_string(),
        json!({"description": facts.summary, "content": content}),
    );
    if facts.gives == Gives::Resource {
        let held = json!({"description": "the caller has this version already"});
        responses.insert("304".into(), held);
    }
    for kind in problems(facts) {
        let status = kind.meaning().0.as_u16().to_string();
        responses.insert(status, json!({"$ref": "#/components/responses/Problem"}));
    }
    Value::Object(responses)
}

/// An event of a stream, field by field.
fn event() -> Value {
    json!({
        "type": "object",
        "required": ["id", "data"],
        "properties": {
            "id": {"type": "string", "pattern": "^[0-9]+$", "description": "its position in the log"},
            "data": {"type": "string", "description": "the entry as a CloudEvent, in JSON"},
        },
    })
}

/// The problems that a route may answer with.
fn problems(facts: &Facts) -> Vec<Kind> {
    let mut kinds = vec![
        Kind::Invalid,
        Kind::Internal,
        Kind::Unavailable,
        Kind::LimitExceeded,
    ];
    if facts.guard != Guard::Open {
        kinds.push(Kind::Unauthenticated);
    }
    if !matches!(facts.guard, Guard::Open | Guard::SignedIn) {
        kinds.push(Kind::Forbidden);
    }
    if facts.path.contains('{') || facts.seeks {
        kinds.push(Kind::NotFound);
    }
    if facts.verb == Verb::Post {
        kinds.extend([Kind::Conflict, Kind::TooLong, Kind::UnsupportedMediaType]);
    }
    if is_command(facts) && facts.matching == Matching::Version {
        kinds.push(Kind::PreconditionFailed);
    }
    kinds
}
