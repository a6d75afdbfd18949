//! The same alerts in any order, duplicated or not, in any company, arriving
//! before the candidates settle, give the same bundles and incidents (SEN-8,
//! SEN-15).

use crate::support::*;
use kernel::{Span, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
struct Play {
    payloads: Vec<Value>,
    order: Vec<usize>,
    steps: Vec<u32>,
}

fn an_alert() -> impl Strategy<Value = Value> {
    let which = (0_usize..3, 0_usize..2, 0_u8..4, 0_i64..60, any::<bool>());
    // What a repetition may change without being another signal.
    let besides = (0_u8..3, any::<bool>());
    (which, besides).prop_map(
        |((name, service, instance, minute, ended), (value, worse))| {
            let name = ["HighErrorRate", "HighLatency", "PodCrashLooping"][name];
            let service = ["checkout", "search"][service];
            let base = at("2026-03-01T09:00:00Z").as_micros();
            let minutes = |m: i64| Timestamp::from_micros(base + m * 60_000_000).to_string();
            let instance = format!("i{instance}");
            let mut one = alert(name, service, &instance, &minutes(minute), "critical");
            one["annotations"]["value"] = json!(format!("0.1{value}"));
            one["labels"]["severity"] = json!(if worse { "critical" } else { "warning" });
            if ended {
                resolved(one, &minutes(minute + 7))
            } else {
                one
            }
        },
    )
}

fn a_play() -> impl Strategy<Value = Play> {
    proptest::collection::vec(proptest::collection::vec(an_alert(), 1..5), 1..7).prop_flat_map(
        |groups| {
            let payloads: Vec<Value> = groups.iter().map(|g| payload(g)).collect();
            let count = payloads.len();
            let twice: Vec<usize> = (0..count).chain(0..count / 2).collect();
            let steps = proptest::collection::vec(0_u32..2_000, twice.len());
            (Just(payloads), Just(twice).prop_shuffle(), steps).prop_map(
                |(payloads, order, steps)| Play {
                    payloads,
                    order,
                    steps,
                },
            )
        },
    )
}

/// What must not depend on the order.
fn essence(ledger: &Ledger) -> Value {
    let mut incidents = BTreeMap::new();
    for (id, mut incident) in ledger.all("incident") {
        // When and as which candidate differs; all else may not.
        for volatile in ["candidate", "created_at", "updated_at", "timeline"] {
            incident.as_object_mut().unwrap().remove(volatile);
        }
        incidents.insert(id, incident);
    }
    let mut decisions: Vec<Value> = ledger
        .all("candidate")
        .into_values()
        .filter(|c| c["status"] != "merged")
        .map(|c| json!([c["subject"], c["status"], c["members"], c["decision"]]))
        .collect();
    decisions.sort_by_key(ToString::to_string);
    json!({
        "incidents": incidents,
        "bundles": ledger.all("bundle"),
        "detections": ledger.all("detection"),
        "decisions": decisions,
    })
}

fn run(catalog: &sense::Catalog, payloads: &[Value], order: &[usize], steps: &[u32]) -> Ledger {
    let mut ledger = Ledger::new();
    for (index, step) in order.iter().zip(steps) {
        ledger
            .webhook(catalog, "alertmanager", &payloads[*index])
            .unwrap();
        ledger.later(Span::from_millis(*step));
        ledger.tick(catalog);
    }
    ledger.later(Span::from_secs(60));
    ledger.tick(catalog);
    ledger
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_gives_the_same_incidents(play in a_play()) {
        let catalog = catalog();
        let count = play.payloads.len();
        let plain: Vec<usize> = (0..count).collect();
        let expected = run(&catalog, &play.payloads, &plain, &vec![0; count]);
        let found = run(&catalog, &play.payloads, &play.order, &play.steps);
        prop_assert_eq!(essence(&expected), essence(&found));
        found.check_replay();
    }

    #[test]
    fn a_bounded_candidate_keeps_the_same_signals_in_any_order(play in a_play()) {
        let catalog = catalog_with(|d| {
            d["correlation"]["max_signals"] = json!(3);
        });
        let count = play.payloads.len();
        let plain: Vec<usize> = (0..count).collect();
        let expected = run(&catalog, &play.payloads, &plain, &vec![0; count]);
        let found = run(&catalog, &play.payloads, &play.order, &play.steps);
        prop_assert_eq!(essence(&expected), essence(&found));
    }

    #[test]
    fn one_alert_at_a_time_finds_the_same_detections(play in a_play()) {
        let catalog = catalog();
        let count = play.payloads.len();
        let plain: Vec<usize> = (0..count).collect();
        let whole = run(&catalog, &play.payloads, &plain, &vec![0; count]);
        let single: Vec<Value> = play
            .payloads
            .iter()
            .flat_map(|p| p["alerts"].as_array().unwrap().clone())
            .map(|alert| payload(&[alert]))
            .collect();
        let order: Vec<usize> = (0..single.len()).rev().collect();
        let split = run(&catalog, &single, &order, &vec![0; single.len()]);
        // Other payloads are other evidence, so bundles differ; detections do not.
        prop_assert_eq!(whole.all("detection"), split.all("detection"));
        prop_assert_eq!(whole.all("incident").len(), split.all("incident").len());
    }
}
