//! Definitions: every fault is found and named, and unknown fields are none.

use crate::support::*;
use sense::{Catalog, Definitions};
use serde_json::{Value, json};

fn check(change: impl FnOnce(&mut Value), part: &str, name: &str, message: &str) {
    let mut value = definitions();
    change(&mut value);
    let faults = Catalog::compile(&typed(&value)).unwrap_err();
    let hit = faults
        .iter()
        .find(|f| f.part == part && f.name == name && f.to_string().contains(message));
    assert!(hit.is_some(), "{part} {name} {message}: {faults:?}");
}

#[test]
fn the_hash_is_of_the_content() {
    assert_eq!(catalog().hash(), catalog().hash());
    let other = catalog_with(|d| d["rules"][0]["title"] = json!("another"));
    assert_ne!(catalog().hash(), other.hash());
}

#[test]
fn unknown_fields_are_refused_everywhere() {
    for pointer in [
        "",
        "/sources/0",
        "/sources/0/mapping/alertmanager_v4",
        "/sources/0/mapping/alertmanager_v4/severity",
        "/sources/0/authentication/bearer",
        "/sources/0/facts/0",
        "/sources/1/mapping/json",
        "/signal_types/0",
        "/rules/0",
        "/rules/0/window",
        "/correlation",
    ] {
        let mut value = definitions();
        value.pointer_mut(pointer).unwrap()["surprise"] = json!(1);
        let fault = serde_json::from_value::<Definitions>(value).unwrap_err();
        assert!(fault.to_string().contains("surprise"), "{pointer}: {fault}");
    }
}

#[test]
fn every_fault_is_named() {
    check(
        |d| d["sources"][0]["name"] = json!("a b"),
        "sources",
        "a b",
        "is no name",
    );
    check(
        |d| d["sources"][1]["name"] = json!("alertmanager"),
        "sources",
        "alertmanager",
        "stands twice",
    );
    check(
        |d| d["sources"][0]["authentication"]["bearer"]["secret"] = json!("hunter2"),
        "sources",
        "alertmanager",
        "not a reference",
    );
    check(
        |d| d["sources"][1]["authentication"]["hmac"]["header"] = json!("X-Sig"),
        "sources",
        "probe",
        "no header name",
    );
    for tolerance in ["0s", "61m"] {
        check(
            |d| {
                d["sources"][1]["authentication"] = json!({
                    "standard_webhooks": { "secret": "env:PROBE_KEY", "tolerance": tolerance },
                });
            },
            "sources",
            "probe",
            "more than `0s`",
        );
    }
    check(
        |d| d["sources"][0]["mapping"]["alertmanager_v4"]["type"]["map"]["X"] = json!("NOPE"),
        "sources",
        "alertmanager",
        "unknown signal type `NOPE`",
    );
    check(
        |d| {
            d["sources"][0]["mapping"]["alertmanager_v4"]["attributes"]["x"] =
                json!({ "from": "startsAt" });
        },
        "sources",
        "alertmanager",
        "no part of an alert",
    );
    check(
        |d| d["sources"][0]["mapping"]["alertmanager_v4"]["subject"]["labels"] = json!([]),
        "sources",
        "alertmanager",
        "no label names the subject",
    );
    check(
        |d| d["sources"][0]["facts"][0]["signal_types"] = json!(["NOPE"]),
        "sources",
        "alertmanager",
        "unknown signal type",
    );
    check(
        |d| d["sources"][0]["facts"][0] = json!({ "field": "errors" }),
        "sources",
        "alertmanager",
        "never says anything",
    );
    check(
        |d| d["sources"][1]["mapping"]["json"]["id"] = json!({ "cel": "itme.x" }),
        "sources",
        "probe",
        "unknown variable `itme`",
    );
    check(
        |d| d["sources"][1]["mapping"]["json"]["items"] = json!("results"),
        "sources",
        "probe",
        "no JSON Pointer",
    );
    check(
        |d| d["signal_types"][0]["attributes"] = json!({ "type": "objekt" }),
        "signal_types",
        "ERROR_RATE_HIGH",
        "no JSON Schema",
    );
    check(
        |d| d["signal_types"][0]["attributes"] = json!({ "$ref": "https://example.com/x.json" }),
        "signal_types",
        "ERROR_RATE_HIGH",
        "no JSON Schema",
    );
    check(
        |d| d["signal_types"][0]["ttl"] = json!("0s"),
        "signal_types",
        "ERROR_RATE_HIGH",
        "hold for some time",
    );
    check(
        |d| d["signal_types"][1]["name"] = json!("ERROR_RATE_HIGH"),
        "signal_types",
        "ERROR_RATE_HIGH",
        "stands twice",
    );
    check(
        |d| d["rules"][1]["id"] = json!("error-rate"),
        "rules",
        "error-rate",
        "stands twice",
    );
    check(
        |d| d["rules"][0]["condition"] = json!("sig.x"),
        "rules",
        "error-rate",
        "condition",
    );
    check(
        |d| d["rules"][0]["signal_types"] = json!([]),
        "rules",
        "error-rate",
        "no signals",
    );
    check(
        |d| d["rules"][0]["signal_types"] = json!(["NOPE"]),
        "rules",
        "error-rate",
        "`NOPE`",
    );
    check(
        |d| d["rules"][0]["statuses"] = json!([]),
        "rules",
        "error-rate",
        "no signals",
    );
    check(
        |d| d["rules"][0]["window"]["length"] = json!("0s"),
        "rules",
        "error-rate",
        "empty",
    );
    check(
        |d| d["rules"][0]["window"]["slide"] = json!("11m"),
        "rules",
        "error-rate",
        "lost",
    );
    check(
        |d| d["rules"][0]["window"]["slide"] = json!("0s"),
        "rules",
        "error-rate",
        "more than 64",
    );
    check(
        |d| d["rules"][0]["window"]["slide"] = json!("9s"),
        "rules",
        "error-rate",
        "more than 64",
    );
    check(
        |d| d["rules"][0]["group_by"] = json!(["pod"]),
        "rules",
        "error-rate",
        "makes no group",
    );
    check(
        |d| d["rules"][0]["aggregate"] = json!({ "sum": "" }),
        "rules",
        "error-rate",
        "no attribute",
    );
    check(
        |d| d["rules"][0]["aggregate"] = json!({ "rate": "0s" }),
        "rules",
        "error-rate",
        "no time",
    );
    check(
        |d| d["rules"][0]["explanation"] = json!("{x}"),
        "rules",
        "error-rate",
        "`{x}`",
    );
    check(
        |d| d["correlation"]["min_rules"] = json!(0),
        "correlation",
        "",
        "1 or more",
    );
    check(
        |d| d["correlation"]["min_signals"] = json!(0),
        "correlation",
        "",
        "1 or more",
    );
    check(
        |d| d["correlation"]["max_signals"] = json!(257),
        "correlation",
        "",
        "257",
    );
    check(
        |d| d["correlation"]["max_signals"] = json!(1),
        "correlation",
        "",
        "`1`",
    );
    check(
        |d| d["correlation"]["gap"] = json!("0s"),
        "correlation",
        "",
        "gap",
    );
    let tables = || serde_json::to_value(sense::definition::ConfidenceTables::default()).unwrap();
    let table = |change: fn(&mut Value), message: &str| {
        let mut value = tables();
        change(&mut value);
        check(|d| d["confidence"] = value, "confidence", "", message);
    };
    table(
        |t| t["weights"]["rule_agreement"] = json!(0.26),
        "add up to 1",
    );
    table(|t| t["strengths"]["low"] = json!(0.9), "weaker");
    table(|t| t["bands"]["high"] = json!(0.9), "do not rise");
    table(|t| t["rules_saturation"] = json!(0), "at least 1");
    table(|t| t["density_window"] = json!("0s"), "longer than nothing");
    table(
        |t| t["precisions"]["nope"] = json!(0.9),
        "unknown rule `nope`",
    );
    table(|t| t["version"] = json!("2.0.0"), "unknown version");
    check(
        |d| d["promotion"] = json!({ "version": "1.0.1", "min_confidence": 0.6 }),
        "promotion",
        "",
        "unknown version",
    );
}

#[test]
fn all_faults_come_at_once() {
    let mut value = definitions();
    value["rules"][0]["condition"] = json!("sig.x");
    value["rules"][1]["threshold"] = json!(1);
    value["rules"][1]["window"]["length"] = json!("0s");
    value["sources"][0]["name"] = json!("");
    assert!(Catalog::compile(&typed(&value)).unwrap_err().len() >= 3);
}

#[test]
fn quantities_are_exact_and_written_plainly() {
    use sense::definition::Quantity;
    let check = |number: f64, text: &str| {
        let quantity = Quantity::from_f64(number).unwrap();
        assert_eq!(quantity.to_string(), text);
        let written = serde_json::to_value(quantity).unwrap();
        assert_eq!(
            serde_json::from_value::<Quantity>(written).unwrap(),
            quantity
        );
    };
    check(0.0, "0");
    check(0.05, "0.05");
    check(-1.5, "-1.5");
    check(-0.25, "-0.25");
    check(12.0, "12");
    check(0.000_001, "0.000001");
    check(9.0e12, "9000000000000");
    assert_eq!(Quantity::from_f64(9.1e12), None);
    assert_eq!(Quantity::from_f64(f64::NAN), None);
    assert_eq!(
        Quantity::from_f64(0.1)
            .unwrap()
            .plus(Quantity::from_f64(0.2).unwrap()),
        Quantity::from_f64(0.3).unwrap()
    );
}
