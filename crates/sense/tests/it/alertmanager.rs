//! Alertmanager's payload: real shapes, and each thing that can be wrong.

use crate::support::*;
use sense::{Severity, SignalStatus, normalise};
use serde_json::{Value, json};

fn fixture() -> Value {
    serde_json::from_str(include_str!("fixtures/firing.json")).unwrap()
}

#[test]
fn a_real_payload_is_read_alert_by_alert() {
    let parsed = normalise::read(&catalog(), "alertmanager", &fixture()).unwrap();
    assert_eq!(parsed.truncated, 3, "what Alertmanager left out is noticed");
    let [errors, latency] = parsed.observations.as_slice() else {
        panic!("{:?}", parsed.observations);
    };
    assert_eq!(errors.signal_type, "ERROR_RATE_HIGH");
    assert_eq!(errors.subject.to_string(), "service/checkout");
    assert_eq!(errors.severity, Severity::Critical);
    assert_eq!(errors.status, SignalStatus::Firing);
    assert_eq!(errors.fingerprint, "9d4b1e3f5c7a8b20");
    assert_eq!(errors.observed_at, at("2026-03-01T10:00:12.331Z"));
    assert_eq!(errors.began_at, errors.observed_at);
    assert_eq!(errors.attributes["ratio"], json!(0.124));
    assert_eq!(errors.attributes["instance"], json!("10.42.3.17:8080"));
    assert_eq!(latency.status, SignalStatus::Resolved);
    assert_eq!(latency.began_at, at("2026-03-01T09:41:02.5Z"));
    assert_eq!(latency.observed_at, at("2026-03-01T09:58:47.123456Z"));
    assert_eq!(latency.severity, Severity::Medium);
    let [watchdog] = parsed.rejected.as_slice() else {
        panic!("{:?}", parsed.rejected);
    };
    assert_eq!(watchdog.path, "/alerts/2/labels");
    assert!(
        watchdog.reason.contains("`service`, `job`"),
        "{}",
        watchdog.reason
    );
}

#[test]
fn a_payload_of_another_form_is_refused_as_a_whole() {
    let check = |change: fn(&mut Value), place: &str| {
        let mut payload = fixture();
        change(&mut payload);
        let refusal = normalise::read(&catalog(), "alertmanager", &payload).unwrap_err();
        assert!(refusal.message.starts_with(place), "{refusal}");
    };
    check(|p| p["version"] = json!("3"), "/version");
    check(|p| p["version"] = json!(4), "/version");
    check(|p| *p = json!([]), "/version");
    check(|p| p["alerts"] = json!({}), "/alerts");
    check(|p| p["truncatedAlerts"] = json!(-1), "/truncatedAlerts");
    check(
        |p| p["alerts"] = Value::Array(vec![json!({}); 1_001]),
        "the payload holds 1001 items",
    );
    let refusal = normalise::read(&catalog(), "nobody", &fixture()).unwrap_err();
    assert_eq!(refusal.code, kernel::Code::NotFound);
}

#[test]
fn a_bad_alert_is_rejected_with_its_field_and_the_others_go_on() {
    let check = |change: fn(&mut Value), path: &str| {
        let mut payload = fixture();
        change(&mut payload["alerts"][0]);
        let before = payload["alerts"][0].clone();
        let parsed = normalise::read(&catalog(), "alertmanager", &payload).unwrap();
        assert_eq!(parsed.observations.len(), 1, "the other goes on");
        assert_eq!(parsed.rejected[0].path, format!("/alerts/0{path}"));
        assert_eq!(parsed.rejected[0].item, before, "nothing is lost");
    };
    check(|a| *a = json!("x"), "");
    check(|a| a["status"] = json!("pending"), "/status");
    check(|a| a["status"] = Value::Null, "/status");
    check(|a| a["startsAt"] = json!("yesterday"), "/startsAt");
    check(|a| a["startsAt"] = json!(12), "/startsAt");
    check(|a| a["labels"] = json!([]), "/labels");
    check(|a| a["labels"]["pod"] = json!(7), "/labels/pod");
    check(|a| a["annotations"] = json!("x"), "/annotations");
    check(
        |a| a["annotations"]["value"] = json!("lots"),
        "/annotations/value",
    );
    check(
        |a| a["annotations"]["value"] = json!("NaN"),
        "/annotations/value",
    );
    check(|a| a["fingerprint"] = json!(5), "/fingerprint");
    check(
        |a| a["labels"]["alertname"] = json!("Unheard"),
        "/labels/alertname",
    );
    check(
        |a| a["labels"]["severity"] = json!("none"),
        "/labels/severity",
    );
    check(
        |a| a["labels"]["service"] = json!("two words"),
        "/labels/service",
    );
    // Attributes that the signal type's schema refuses.
    check(|a| a["annotations"]["value"] = json!("-1"), "");
    check(|a| a["annotations"]["summary"] = json!("x".repeat(201)), "");
    // The end before the beginning.
    check(
        |a| {
            a["status"] = json!("resolved");
            a["endsAt"] = json!("2026-03-01T10:00:12.330Z");
        },
        "/endsAt",
    );
}

#[test]
fn what_is_not_needed_may_be_missing() {
    let mut payload = fixture();
    let alert = payload["alerts"][0].as_object_mut().unwrap();
    for field in ["annotations", "endsAt", "generatorURL", "fingerprint"] {
        alert.remove(field);
    }
    let parsed = normalise::read(&catalog(), "alertmanager", &payload).unwrap();
    let first = &parsed.observations[0];
    assert_eq!(first.fingerprint.len(), 64, "made of the labels");
    assert!(!first.attributes.contains_key("ratio"));
    // The same labels give the same fingerprint in any order.
    let again = normalise::read(&catalog(), "alertmanager", &payload).unwrap();
    assert_eq!(again.observations[0].fingerprint, first.fingerprint);
}

#[test]
fn numbers_without_a_fraction_are_integers_before_and_after_the_ledger() {
    let mut payload = fixture();
    payload["alerts"][0]["annotations"]["value"] = json!("3.0");
    let parsed = normalise::read(&catalog(), "alertmanager", &payload).unwrap();
    assert!(parsed.observations[0].attributes["ratio"].is_i64());
}
