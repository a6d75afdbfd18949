//! The forms of values in the OpenAPI document: what a parameter, a header or
//! a field of a body looks like. They say in JSON Schema what the parsers of
//! the core refuse, so that a client's own tools find a fault first; a test
//! holds the two against each other.

use crate::limits::INTEGER_MAX;
use gate::{ActionClass, CostClass};
use kernel::id::{DERIVED_IDS, UUID_IDS};
use kernel::names::Name;
use kernel::{Category, PrincipalKind, Role, limits};
use serde_json::{Map, Value, json};

/// Text of this pattern.
fn pattern(text: &str) -> Value {
    json!({"type": "string", "pattern": text})
}

/// One of these words.
fn one_of<N: Name + Copy + 'static>() -> Value {
    let names: Vec<_> = N::ALL.iter().map(|n| n.name()).collect();
    json!({"type": "string", "enum": names})
}

/// The same, or nothing at all, as a form of a page sends what was not filled in.
fn or_empty(form: Value) -> Value {
    json!({"anyOf": [{"type": "string", "maxLength": 0}, form]})
}

/// The id with this prefix.
fn id(prefix: &str) -> Value {
    let is = |known: &&(&str, &str)| known.0 == prefix;
    let digits = match (UUID_IDS.iter().find(is), DERIVED_IDS.iter().find(is)) {
        (Some(_), _) => 32,
        (None, Some(_)) => 64,
        (None, None) => return json!({"type": "string"}),
    };
    pattern(&format!("^{prefix}_[0-9a-f]{{{digits}}}$"))
}

fn digest() -> Value {
    pattern("^[0-9a-f]{64}$")
}

fn subject() -> Value {
    let mut form = pattern("^[a-z][a-z0-9_-]*/[^\\s\\u0000-\\u0020\\u007f-\\u00a0\\ufeff]+$");
    longest(&mut form, limits::NAME_BYTES_MAX);
    form
}

fn stream() -> Value {
    pattern("^[a-z_]+/[^\\s\\u0000-\\u0020\\u007f-\\u00a0\\ufeff]+$")
}

fn actor() -> Value {
    pattern("^(human|agent|service|system):[!-~]+$")
}

/// Something to be read by people, not only white space.
fn words(bytes_max: usize) -> Value {
    let mut form = pattern("[!-~]");
    longest(&mut form, bytes_max);
    form
}

/// A name on one line.
fn name() -> Value {
    let mut form = pattern("^[ -~]*[!-~][ -~]*$");
    longest(&mut form, limits::NAME_BYTES_MAX);
    form
}

fn longest(form: &mut Value, bytes_max: usize) {
    if let Some(form) = form.as_object_mut() {
        form.insert("maxLength".into(), json!(bytes_max));
    }
}

/// An instant; whole seconds, so that every tool writes one that is read.
fn instant() -> Value {
    json!({"type": "string", "format": "date-time"})
}

fn number(least: u64, most: u64) -> Value {
    json!({"type": "integer", "minimum": least, "maximum": most})
}

/// A position in a log, or a count of entries.
fn position() -> Value {
    number(0, INTEGER_MAX)
}

/// What stands in a path in this place.
#[must_use]
pub(super) fn of_path(path: &str, parameter: &str) -> Value {
    if parameter == "tenant" {
        return id("ten");
    }
    let noun = path.trim_start_matches("/v1/").split('/').next();
    let prefix = match (noun.unwrap_or_default(), parameter) {
        ("tenants", _) => "ten",
        ("keys", _) => "key",
        ("evidence", _) => "evd",
        ("signals", _) => "sig",
        ("detections", _) => "det",
        ("candidates", _) => "cnd",
        ("bundles", _) => "bun",
        ("incidents", _) => "inc",
        ("snapshots", _) => "snp",
        ("directives", _) => "dir",
        ("verdicts", _) => "vrd",
        ("approvals", _) => "apr",
        ("signing-keys", _) => "sgk",
        ("principals" | "delegations", _) => "prn",
        ("runs", _) => "run",
        ("reservations", _) => "rsv",
        ("ledger", "id") if path.contains("/entries/") => "ent",
        ("sessions", _) => {
            let mut form = pattern("^[A-Za-z0-9_.:-]+$");
            longest(&mut form, flow::session::operations::NAME_BYTES_MAX);
            return form;
        }
        ("ledger", "kind") => return pattern("^[a-z_]+$"),
        _ => return json!({"type": "string", "minLength": 1}),
    };
    id(prefix)
}

/// What a parameter of a query of this route takes.
#[must_use]
pub(super) fn of_query(path: &str, parameter: &str) -> Value {
    match (path, parameter) {
        (_, "limit") => number(1, limits::PAGE_ROWS_MAX as u64),
        (_, "order") => json!({"type": "string", "enum": ["asc", "desc"]}),
        (_, "days") => number(1, 92),
        ("/v1/history", "subject") => or_empty(subject()),
        ("/v1/history", "agent") => or_empty(actor()),
        (_, "subject") => subject(),
        (_, "directive") => id("dir"),
        (_, "entry") => id("ent"),
        (_, "trace") => pattern("^(?!0{32}$)[0-9a-f]{32}$"),
        (_, "category") => one_of::<Category>(),
        (_, "class") => or_empty(one_of::<ActionClass>()),
        (_, "issuer") => or_empty(actor()),
        (_, "actor" | "agent") => actor(),
        (_, "decidable" | "overdue") => json!({"type": "string", "enum": ["true", "false", ""]}),
        (_, "objects") => json!({"type": "string", "enum": ["with"]}),
        (_, "as_of") => json!({"oneOf": [number(0, INTEGER_MAX), instant()]}),
        (_, "after" | "before" | "seq" | "size") => position(),
        ("/v1/directives/{id}/diff", "from" | "to") => number(1, u32::MAX.into()),
        ("/v1/ledger/export", "from" | "to") => number(1, INTEGER_MAX),
        ("/v1/ledger/proofs/consistency", "from" | "to") => position(),
        (_, "from" | "until" | "to") => instant(),
        (_, "stream") => stream(),
        (_, "of") => pattern("^[a-z]{3}_[0-9a-f]+$"),
        _ => json!({"type": "string"}),
    }
}

/// Whether a query of this route must have this parameter.
#[must_use]
pub(super) fn is_required(path: &str, parameter: &str) -> bool {
    [
        ("/v1/ledger/proofs/consistency", "from"),
        ("/v1/personal/preview", "subject"),
    ]
    .contains(&(path, parameter))
}

/// What a header of a command holds.
#[must_use]
pub(super) fn of_header(header: &str) -> Value {
    match header {
        "Idempotency-Key" => {
            let mut form = pattern("^[!-~]+$");
            longest(&mut form, limits::IDEMPOTENCY_KEY_BYTES_MAX);
            form
        }
        "Last-Event-ID" => position(),
        "If-Match" => pattern("^(\\*|\"[0-9]{1,19}\")$"),
        _ => json!({"type": "string"}),
    }
}

/// What a field of a body holds, where its type says less.
fn of_field(schema: &str, field: &str) -> Option<Value> {
    Some(match (schema, field) {
        ("CreatePrincipal", "kind") => {
            let kinds = PrincipalKind::ALL.iter();
            let made = kinds.filter(|kind| **kind != PrincipalKind::System);
            let names: Vec<_> = made.map(|kind| kind.name()).collect();
            json!({"type": "string", "enum": names})
        }
        (_, "roles") => one_of::<Role>(),
        ("IssueKey", "principal") => id("prn"),
        (_, "digest" | "set") => digest(),
        (_, "approval") => id("apr"),
        (_, "delegation") => id("dlg"),
        (_, "directive") => id("dir"),
        (_, "signed") => json!({
            "required": ["statement", "signature"],
            "properties": {
                "statement": {"type": "object"},
                "signature": {"type": "string", "description": "in base64"},
                "passkey": {"type": ["object", "null"]},
            },
            "additionalProperties": false,
        }),
        ("Delegate", "to") => id("prn"),
        ("Delegate", "directive_types") => pattern("^[a-z][a-z0-9_.]*$"),
        ("Open", "id") => json!({"minLength": 1}),
        (_, "contract") => json!({"$ref": "#/components/schemas/Contract"}),
        (_, "on_behalf_of") => pattern("^human:prn_[0-9a-f]{32}$"),
        (_, "decision") => json!({"type": "string", "enum": ["approve", "reject"]}),
        (_, "wanted") => json!({"type": "string", "enum": ["draft", "propose"]}),
        ("RegisterKey", "algorithm") => {
            json!({"type": "string", "enum": ["ed25519", "passkey-es256", "passkey-ed25519"]})
        }
        (_, "action_classes") => one_of::<ActionClass>(),
        (_, "cost_class") => one_of::<CostClass>(),
        (_, "phase") => json!({"type": "string", "enum": ["step", "compensation"]}),
        (_, "resolution") => json!({"type": "string", "enum": ["succeeded", "failed"]}),
        (_, "amount" | "cost") => pattern("^[0-9]{1,9}(\\.[0-9]{1,6})? [A-Z]{3}$"),
        (_, "lease") => pattern("^([1-9]|[1-5][0-9]|60)m$"),
        (_, "tokens") => json!({"maximum": INTEGER_MAX}),
        (_, "scope") => pattern("^(tenant|global|(tool|agent):[!-~]{1,200})$"),
        (_, "subject" | "confirm") => subject(),
        (_, "since" | "until" | "expires_at") => instant(),
        ("Open", "kind") => json!({
            "type": "string",
            "enum": ["evidence", "signal", "state", "snapshot", "dead_letter"],
        }),
        (_, "reason" | "note" | "justification") => words(limits::TEXT_BYTES_MAX),
        (_, "name" | "admin" | "tool" | "provider" | "step" | "origin") => name(),
        _ => return None,
    })
}

/// How many a list or a map holds.
fn bounds_of(schema: &str, field: &str) -> Option<Value> {
    Some(match (schema, field) {
        (_, "roles" | "decisions") => json!({"minItems": 1}),
        ("SetFiles" | "SimulatedSet", "files") => json!({
            "minProperties": 1,
            "maxProperties": 50,
            "propertyNames": {"pattern": "^[A-Za-z0-9_.-]+\\.cedar$"},
        }),
        _ => return None,
    })
}

/// Points the references of a schema that stands by itself to where it stands
/// in the document.
pub(super) fn relocate(schema: &mut Value, name: &str) {
    match schema {
        Value::Object(members) => {
            members.remove("$schema");
            for (key, value) in members {
                match value {
                    Value::String(text) if key == "$ref" => {
                        let there = format!("#/components/schemas/{name}/");
                        *text = text.replacen("#/", &there, 1);
                    }
                    other => relocate(other, name),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| relocate(item, name)),
        _ => {}
    }
}

/// Says in a body's schema what its fields look like.
pub(super) fn shape(schema: &str, value: &mut Value) {
    let Some(fields) = value.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    for (field, shown) in fields {
        if let (Some(bounds), Some(shown)) = (bounds_of(schema, field), shown.as_object_mut()) {
            merge(shown, bounds);
        }
        if let (Some(form), Some(shown)) = (of_field(schema, field), shown.as_object_mut()) {
            match shown.get_mut("items").and_then(Value::as_object_mut) {
                Some(each) => merge(each, form),
                None => merge(shown, form),
            }
        }
    }
}

/// Adds a form to a schema that is already there; one that may be null still
/// may.
fn merge(shown: &mut Map<String, Value>, form: Value) {
    let Value::Object(form) = form else {
        return;
    };
    let is_null = |kind: &Value| {
        kind.as_array()
            .is_some_and(|all| all.contains(&json!("null")))
    };
    let nullable = shown.get("type").is_some_and(is_null);
    for (key, mut value) in form {
        match key.as_str() {
            "type" => continue,
            "enum" if nullable => {
                if let Some(all) = value.as_array_mut() {
                    all.push(Value::Null);
                }
            }
            _ => {}
        }
        shown.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gate::kill::Scope;
    use kernel::{Actor, Digest, DirectiveId, IncidentId, Money, Span, Subject, TraceId};
    use std::str::FromStr;

    /// The form takes what the parser takes, and refuses what it refuses.
    #[track_caller]
    fn check(form: &Value, parses: impl Fn(&str) -> bool, fine: &[&str], bad: &[&str]) {
        let validator = jsonschema::validator_for(form).unwrap();
        for (texts, expected) in [(fine, true), (bad, false)] {
            for text in texts {
                assert_eq!(parses(text), expected, "parser: {text:?}");
                assert_eq!(
                    validator.is_valid(&json!(text)),
                    expected,
                    "{form}: {text:?}"
                );
            }
        }
    }

    fn is<T: FromStr>(text: &str) -> bool {
        text.parse::<T>().is_ok()
    }

    #[test]
    fn forms_say_what_the_parsers_refuse() {
        let (hex, zeros) = ("0123456789abcdef".repeat(2), "0".repeat(32));
        let (long, upper) = (hex.repeat(2), hex.to_uppercase());
        let dir = |digits: &str| format!("dir_{digits}");
        let (good, bad) = (dir(&hex), [dir(&upper), dir(&long), dir("")]);
        let bad = [&bad[0], &bad[1], &bad[2], &hex].map(String::as_str);
        check(&id("dir"), is::<DirectiveId>, &[&good], &bad);
        let good = format!("inc_{long}");
        check(&id("inc"), is::<IncidentId>, &[&good], &[&dir(&long), &hex]);
        let is_digest = |text: &str| Digest::parse(text).is_some();
        check(
            &digest(),
            is_digest,
            &[&long],
            &[&hex, &upper.repeat(2), ""],
        );
        let fine = ["service/a", "repository/org/name", "a-b_9/ü"];
        let bad = [
            "",
            "/",
            "service",
            "service/",
            "Service/a",
            "a/b c",
            "a/\u{0}",
            "9/a",
        ];
        check(&subject(), is::<Subject>, &fine, &bad);
        let fine = ["human:prn_1", "system:setup"];
        check(
            &actor(),
            is::<Actor>,
            &fine,
            &["", "human:", "boss:1", "human"],
        );
        let is_stream = |text: &str| {
            let uri = format!("/?stream={text}").parse().unwrap();
            let query = crate::http::Query::read(&uri).unwrap();
            query.stream("stream").is_ok()
        };
        let bad = ["", "directive", "/a", "directive/", "Directive/a"];
        check(&stream(), is_stream, &["dead_letter/a", "state/a/b"], &bad);
        let trace = of_query("", "trace");
        let is_trace = |text: &str| TraceId::parse(text).is_some();
        check(&trace, is_trace, &[&hex], &[&zeros, &long, "x"]);
        let amount = of_field("NewReservation", "amount").unwrap();
        let is_money = |text: &str| Money::parse(text, None).is_ok();
        let bad = ["-1 EUR", "1,5 EUR", "1", "EUR", "1. EUR", "1e3 EUR", ""];
        check(&amount, is_money, &["1 EUR", "0.000001 USD"], &bad);
        let lease = of_field("Extend", "lease").unwrap();
        let is_span = |text: &str| Span::parse(text).is_ok();
        check(
            &lease,
            is_span,
            &["1m", "60m"],
            &["", "m", "1", "1x", "-1m"],
        );
        let scope = of_field("Stop", "scope").unwrap();
        let fine = ["tenant", "global", "tool:http.request", "agent:prn_1"];
        check(
            &scope,
            is::<Scope>,
            &fine,
            &["", "tool:", "everything", "tool"],
        );
    }

    #[test]
    fn a_nullable_field_stays_nullable() {
        let mut schema = json!({"properties": {
            "wanted": {"type": ["string", "null"]},
            "roles": {"type": "array", "items": {"type": "string"}},
        }});
        shape("x", &mut schema);
        let fine = jsonschema::validator_for(&schema["properties"]["wanted"]).unwrap();
        for (value, expected) in [
            (json!(null), true),
            (json!("draft"), true),
            (json!("x"), false),
        ] {
            assert_eq!(fine.is_valid(&value), expected, "{value}");
        }
        let roles = jsonschema::validator_for(&schema["properties"]["roles"]).unwrap();
        for (value, expected) in [
            (json!(["admin"]), true),
            (json!(["boss"]), false),
            (json!([]), false),
        ] {
            assert_eq!(roles.is_valid(&value), expected, "{value}");
        }
    }
}
