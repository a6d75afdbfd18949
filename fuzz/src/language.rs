//! The two languages that a pack is written in: CEL and Cedar.

use gate::history::FactSet;
use gate::policy::{self, Case, Known, PolicySet};
use sense::Expression;
use serde_json::{Value, json};
use std::sync::OnceLock;

/// An expression, and after an empty line what it is asked about: it is refused
/// or compiled, compiles again to the same, and gives the same answer twice.
///
/// # Panics
/// When that does not hold.
pub fn cel(bytes: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(bytes) else {
        return false;
    };
    let (text, about) = text.split_once("\n\n").unwrap_or((text, ""));
    let Ok(expression) = Expression::compile(text, &["event", "items"]) else {
        return false;
    };
    let again =
        Expression::compile(expression.text(), &["event", "items"]).expect("compiles again");
    assert_eq!(expression.paths(), again.paths());
    let event: Value = serde_json::from_str(about).unwrap_or_else(|_| sample());
    let items = json!([1, -2.5, "three", null, {"four": [4]}]);
    let variables = [("event", &event), ("items", &items)];
    let (first, second) = (expression.value(&variables), again.value(&variables));
    assert_eq!(first, second, "the same question has the same answer");
    let _ = expression.test(&variables);
    true
}

fn sample() -> Value {
    json!({
        "name": "checkout", "count": 3, "ratio": 0.5, "tags": ["a", "b"], "gone": null,
        "labels": {"severity": "critical"}, "at": "2026-03-01T04:05:06Z", "firing": true,
    })
}

/// A file of policies: it is refused, each fault with its place, or it loads;
/// then it answers every question of the incident pack's tests, twice the same.
///
/// # Panics
/// When that does not hold.
pub fn cedar(bytes: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(bytes) else {
        return false;
    };
    let files = [("fuzz.cedar".to_owned(), text.to_owned())];
    let history = FactSet::default();
    let _ = policy::lint(&files, &Known::default());
    match PolicySet::with_history(&history, &files) {
        Err(faults) => {
            assert!(!faults.is_empty(), "a refusal says why");
            for fault in faults {
                assert!(!fault.message.is_empty(), "{fault:?}");
            }
            false
        }
        Ok(set) => {
            let again = PolicySet::with_history(&history, &files).expect("loads again");
            assert_eq!(set.hash(), again.hash());
            for case in cases() {
                let request = case.request();
                let (first, second) = (set.decide(&request), again.decide(&request));
                assert_eq!(first, second, "the same question has the same answer");
            }
            for id in set.ids() {
                assert!(set.written(&id).is_some(), "`{id}` stands somewhere");
            }
            true
        }
    }
}

fn cases() -> &'static [Case] {
    static CASES: OnceLock<Vec<Case>> = OnceLock::new();
    CASES.get_or_init(|| crate::definitions::incident().policy_tests.clone())
}
