//! Any JSON by the pack's mapping.

use crate::support::*;
use sense::{Severity, SignalStatus, normalise};
use serde_json::{Value, json};

fn item() -> Value {
    json!({ "check": "c-1", "kind": "latency", "target": { "name": "search" },
            "level": "bad", "ts": 1_772_359_200, "ok": false, "score": 0.5 })
}

#[test]
fn items_are_read_by_pointers_and_expressions() {
    let mut fine = item();
    fine["ok"] = json!(true);
    let payload = json!({ "results": [item(), fine] });
    let parsed = normalise::read(&catalog(), "probe", &payload).unwrap();
    assert_eq!(parsed.rejected, []);
    let first = &parsed.observations[0];
    assert_eq!(first.signal_type, "LATENCY_HIGH");
    assert_eq!(first.subject.to_string(), "service/search");
    assert_eq!(first.fingerprint, "c-1");
    assert_eq!(first.severity, Severity::High);
    assert_eq!(first.observed_at, at("2026-03-01T10:00:00Z"));
    assert_eq!(first.status, SignalStatus::Firing);
    assert_eq!(first.attributes["ratio"], json!(0.5));
    assert_eq!(parsed.observations[1].status, SignalStatus::Resolved);
}

#[test]
fn one_item_need_not_be_a_list_and_none_is_refused() {
    let parsed = normalise::read(&catalog(), "probe", &json!({ "results": item() })).unwrap();
    assert_eq!(parsed.observations.len(), 1);
    let refusal = normalise::read(&catalog(), "probe", &json!({ "other": [] })).unwrap_err();
    assert!(refusal.message.contains("`/results`"), "{refusal}");
}

#[test]
fn severity_comes_from_the_tables_or_the_type() {
    let check = |level: Value, expected: Severity| {
        let mut one = item();
        one["level"] = level;
        let payload = json!({ "results": [one] });
        let parsed = normalise::read(&catalog(), "probe", &payload).unwrap();
        assert_eq!(parsed.observations[0].severity, expected);
    };
    check(json!("bad"), Severity::High);
    check(json!("unheard"), Severity::Medium);
    check(Value::Null, Severity::Medium);
}

#[test]
fn a_bad_item_is_rejected_with_its_field() {
    let check = |change: fn(&mut Value), path: &str, reason: &str| {
        let mut one = item();
        change(&mut one);
        let payload = json!({ "results": [one, item()] });
        let parsed = normalise::read(&catalog(), "probe", &payload).unwrap();
        assert_eq!(parsed.observations.len(), 1);
        let rejected = &parsed.rejected[0];
        assert_eq!(rejected.path, format!("/results/0{path}"));
        assert!(rejected.reason.contains(reason), "{}", rejected.reason);
    };
    check(|i| i["check"] = Value::Null, "/check", "missing");
    check(|i| i["check"] = json!(1.5), "/check", "neither text");
    check(|i| i["check"] = json!(""), "", "fingerprint");
    check(
        |i| i["kind"] = json!("zzz"),
        "/kind",
        "unknown signal type `zzz`",
    );
    check(|i| i["ts"] = json!("now"), "/ts", "whole number");
    check(|i| i["ts"] = json!(i64::MAX), "/ts", "whole number");
    check(|i| i["target"] = json!({}), "", "no field `name`");
    check(|i| i["score"] = json!(-1), "", "attributes/ratio");
    check(|i| *i = json!(3), "/kind", "missing");
}
