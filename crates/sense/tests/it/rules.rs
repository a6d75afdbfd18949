//! Rules: windows, aggregates, thresholds, groups, explanations, and that only
//! the set of signals counts.

use crate::support::*;
use kernel::{Span, Timestamp};
use proptest::prelude::*;
use sense::rules::{RuleReport, Rules};
use sense::signal::{Observation, accept};
use sense::{Severity, Signal, SignalStatus};
use serde_json::{Value, json};
use std::sync::Arc;

struct Given {
    at: &'static str,
    attributes: Value,
}

fn given(at: &'static str, attributes: Value) -> Given {
    Given { at, attributes }
}

fn signal(
    when: Timestamp,
    kind: &str,
    attributes: &Value,
    number: usize,
    received: Timestamp,
) -> Arc<Signal> {
    let observation = Observation {
        signal_type: kind.to_owned(),
        subject: "service/checkout".parse().unwrap(),
        fingerprint: format!("f{number}"),
        status: SignalStatus::Firing,
        severity: Severity::High,
        observed_at: when,
        began_at: when,
        ttl: Span::from_secs(60),
        attributes: attributes.as_object().unwrap().clone(),
    };
    let mut ledger = Ledger::new();
    ledger.now = received;
    let evidence = sense::EvidenceRef {
        id: kernel::EvidenceId(kernel::Digest::ZERO),
        entry: uuid_of(3),
    };
    ledger
        .run(|unit| accept(unit, "s", kernel::Trust::Verified, observation, evidence))
        .unwrap()
        .signal
}

fn rule(change: Value) -> Rules {
    let mut rule = json!({
        "id": "r", "title": "R", "signal_types": ["T"], "window": { "length": "10m" },
        "threshold": 2, "severity": "high", "explanation": "{value} of {threshold} on {group} in {window}, {signals}"
    });
    for (name, value) in change.as_object().unwrap() {
        rule[name] = value.clone();
    }
    Rules::compile(&[serde_json::from_value(rule).unwrap()]).unwrap()
}

fn report(rules: &Rules, given: &[Given]) -> RuleReport {
    let signals: Vec<_> = given
        .iter()
        .enumerate()
        .map(|(n, g)| signal(at(g.at), "T", &g.attributes, n, at("2026-03-01T11:00:00Z")))
        .collect();
    rules.explain(&signals).unwrap().remove(0)
}

fn check(change: Value, given: &[Given], values: &[&str], why: &str) {
    let report = report(&rule(change), given);
    let found: Vec<_> = report
        .detections
        .iter()
        .map(|d| d.value.to_string())
        .collect();
    assert_eq!(found, values, "{}", report.why);
    assert!(report.why.contains(why), "{}", report.why);
}

#[test]
fn windows_thresholds_and_aggregates() {
    let none = || json!({});
    let two = || {
        [
            given("2026-03-01T10:01:00Z", none()),
            given("2026-03-01T10:09:59.999999Z", none()),
        ]
    };
    check(
        json!({}),
        &two(),
        &["2"],
        "2 of 2 on service/checkout in 10m, 2",
    );
    check(
        json!({ "threshold": 2.000001 }),
        &two(),
        &[],
        "highest measure of any 10m window is 2",
    );
    // Tumbling: the window's end is not in it.
    let across = || {
        [
            given("2026-03-01T10:09:59Z", none()),
            given("2026-03-01T10:10:00Z", none()),
        ]
    };
    check(json!({}), &across(), &[], "is 1, the threshold is 2");
    // Sliding sees both, once, though several windows hold them.
    check(
        json!({ "window": { "length": "10m", "slide": "1m" } }),
        &across(),
        &["2"],
        "",
    );
    // Distinct.
    let pods = |a, b| {
        [
            given("2026-03-01T10:01:00Z", json!({ "p": a })),
            given("2026-03-01T10:02:00Z", json!({ "p": b })),
        ]
    };
    check(
        json!({ "aggregate": { "distinct": "p" } }),
        &pods("a", "b"),
        &["2"],
        "",
    );
    check(
        json!({ "aggregate": { "distinct": "p" } }),
        &pods("a", "a"),
        &[],
        "is 1",
    );
    check(
        json!({ "aggregate": { "distinct": "q" } }),
        &pods("a", "b"),
        &[],
        "is 0",
    );
    // Sum, exact.
    let sums = || {
        [
            given("2026-03-01T10:01:00Z", json!({ "v": 0.1 })),
            given("2026-03-01T10:02:00Z", json!({ "v": 0.2 })),
        ]
    };
    check(
        json!({ "aggregate": { "sum": "v" }, "threshold": 0.3 }),
        &sums(),
        &["0.3"],
        "",
    );
    check(
        json!({ "aggregate": { "sum": "v" }, "threshold": 0.300001 }),
        &sums(),
        &[],
        "is 0.3",
    );
    check(
        json!({ "aggregate": { "sum": "w" } }),
        &sums(),
        &[],
        "none of 2 signals could be measured",
    );
    // Rate: 2 in 10 minutes are 0.2 a minute.
    check(
        json!({ "aggregate": { "rate": "1m" }, "threshold": 0.2 }),
        &two(),
        &["0.2"],
        "",
    );
    check(
        json!({ "aggregate": { "rate": "1m" }, "threshold": 0.21 }),
        &two(),
        &[],
        "is 0.2",
    );
    // Groups.
    check(
        json!({ "group_by": ["attributes.p"], "threshold": 1 }),
        &pods("a", "b"),
        &["1", "1"],
        "",
    );
    check(
        json!({ "group_by": ["attributes.p"] }),
        &pods("a", "b"),
        &[],
        "is 1",
    );
    check(
        json!({ "group_by": ["attributes.q"], "threshold": 1 }),
        &pods("a", "b"),
        &[],
        "lacks an attribute",
    );
    check(
        json!({ "group_by": ["subject", "type", "source"] }),
        &two(),
        &["2"],
        "source=s, type=T",
    );
}

#[test]
fn conditions_that_fail_are_no_match_and_are_told() {
    let some = [
        given("2026-03-01T10:01:00Z", json!({ "v": 1 })),
        given("2026-03-01T10:02:00Z", json!({})),
    ];
    let report = report(
        &rule(json!({ "condition": "signal.attributes.v > 0", "threshold": 1 })),
        &some,
    );
    assert_eq!(report.detections.len(), 1);
    assert_eq!(
        (report.considered, report.met, report.faults.len()),
        (2, 1, 1)
    );
    assert!(
        report.why.contains("the condition failed on 1 signals"),
        "{}",
        report.why
    );
    check(
        json!({ "condition": "signal.severity == 'low'" }),
        &some,
        &[],
        "none of 2 signals met",
    );
    check(
        json!({ "signal_types": ["U"] }),
        &some,
        &[],
        "no firing signal of type U",
    );
    check(
        json!({ "statuses": ["resolved"] }),
        &some,
        &[],
        "no resolved signal of type T",
    );
}

#[test]
fn lateness_counts_only_where_it_is_bounded() {
    let rules = |lateness: Value| {
        let mut window = json!({ "length": "10m" });
        if !lateness.is_null() {
            window["allowed_lateness"] = lateness;
        }
        rule(json!({ "window": window, "threshold": 1 }))
    };
    let one = |received| {
        [signal(
            at("2026-03-01T10:01:00Z"),
            "T",
            &json!({}),
            0,
            at(received),
        )]
    };
    let matched = |rules: &Rules, received| rules.explain(&one(received)).unwrap().remove(0);
    assert!(matched(&rules(Value::Null), "2030-01-01T00:00:00Z").matched());
    assert!(matched(&rules(json!("5m")), "2026-03-01T10:15:00Z").matched());
    let late = matched(&rules(json!("5m")), "2026-03-01T10:15:00.000001Z");
    assert!(!late.matched());
    assert!(late.why.contains("1 came too late"), "{}", late.why);
}

#[test]
fn why_not_is_answered() {
    let rules = rule(json!({}));
    let one = [signal(
        at("2026-03-01T10:01:00Z"),
        "T",
        &json!({}),
        0,
        at("2026-03-01T10:01:00Z"),
    )];
    assert!(
        rules
            .why_not("r", &one)
            .unwrap()
            .unwrap()
            .contains("threshold is 2")
    );
    let two = [
        one[0].clone(),
        signal(
            at("2026-03-01T10:01:00Z"),
            "T",
            &json!({}),
            1,
            at("2026-03-01T10:01:00Z"),
        ),
    ];
    assert_eq!(rules.why_not("r", &two).unwrap(), None);
    assert_eq!(
        rules.why_not("x", &two).unwrap_err().code,
        kernel::Code::NotFound
    );
}

#[test]
fn the_version_is_the_content_and_the_id_follows_it() {
    let some = || {
        [
            given("2026-03-01T10:01:00Z", json!({})),
            given("2026-03-01T10:02:00Z", json!({})),
        ]
    };
    let a = report(&rule(json!({})), &some());
    let b = report(&rule(json!({ "title": "another" })), &some());
    assert_eq!(a.version, report(&rule(json!({})), &some()).version);
    assert_ne!(a.version, b.version);
    assert_ne!(a.detections[0].id, b.detections[0].id);
}

#[test]
fn values_with_braces_are_not_filled_again() {
    let some = [given("2026-03-01T10:01:00Z", json!({ "p": "{value}" }))];
    check(
        json!({ "group_by": ["attributes.p"], "threshold": 1, "explanation": "{group}!" }),
        &some,
        &["1"],
        "attributes.p={value}!",
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn only_the_set_counts(
        minutes in proptest::collection::vec((0_i64..40, 0_u8..3), 0..14),
        seed in any::<u64>(),
        slide in proptest::option::of(1_u32..6),
        threshold in 1_u8..4,
    ) {
        let mut window = json!({ "length": "6m" });
        if let Some(slide) = slide {
            window["slide"] = json!(format!("{slide}m"));
        }
        let rules = rule(json!({ "window": window, "threshold": threshold, "group_by": ["attributes.p"] }));
        let base = at("2026-03-01T10:00:00Z");
        let signals: Vec<_> = minutes.iter().enumerate().map(|(n, (minute, pod))| {
            let when = Timestamp::from_micros(base.as_micros() + minute * 60_000_000);
            signal(when, "T", &json!({ "p": pod.to_string() }), n, base)
        }).collect();
        let ordered = rules.evaluate(&signals).unwrap();
        let mut mixed = signals.clone();
        mixed.extend(signals.iter().take(3).cloned());
        mixed.sort_by_key(|s| kernel::Digest::of(format!("{seed}{}", s.id).as_bytes()));
        prop_assert_eq!(&ordered, &rules.evaluate(&mixed).unwrap());
        // The aggregate is what the explanation says, recomputed plainly.
        for detection in &ordered {
            let inside = signals.iter().filter(|s| {
                detection.window_start <= s.observed_at && s.observed_at < detection.window_end
                    && s.attributes["p"] == json!(detection.group["attributes.p"])
            }).count();
            prop_assert_eq!(inside, detection.signals.len());
            prop_assert!(inside >= usize::from(threshold));
        }
    }
}
