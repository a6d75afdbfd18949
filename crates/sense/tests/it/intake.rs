//! From payloads to candidates and incidents: what is recorded, what is not,
//! what belongs together, and what is kept of what is wrong.

use crate::support::*;
use kernel::{Code, Span};
use sense::{candidate, intake};
use serde_json::{Value, json};

#[test]
fn an_alert_becomes_an_incident_with_everything_behind_it() {
    let (ledger, _, id) = opened();
    let (_, incident) = ledger.one("incident");
    assert_eq!(incident["status"], "OPEN");
    assert_eq!(incident["severity"], "critical");
    assert_eq!(incident["created_at"], "2026-03-01T10:01:00.000000Z");
    assert_eq!(
        incident["title"],
        "Several instances fail on service/checkout and 1 more"
    );
    let (bundle_id, bundle) = ledger.one("bundle");
    assert_eq!(bundle["signals"].as_array().unwrap().len(), 2);
    assert_eq!(bundle["detections"].as_array().unwrap().len(), 2);
    assert_eq!(bundle["evidence"].as_array().unwrap().len(), 1);
    let form = format!("writ.incident.v1\nservice/checkout\n{bundle_id}");
    assert_eq!(
        id.0,
        kernel::Digest::of(form.as_bytes()),
        "the documented bytes"
    );
    let (_, investigation) = ledger.one("investigation");
    assert_eq!(investigation["status"], "CREATED");
    let (_, candidate) = ledger.one("candidate");
    assert_eq!(candidate["status"], "promoted");
    assert_eq!(candidate["decision"]["outcome"], "PROMOTE");
    assert_eq!(candidate["decision"]["incident"], json!(id));
    assert_eq!(ledger.all("detection").len(), 2);
    // The chain of causes leads from the incident to the evidence.
    let mut entry = ledger
        .drafts
        .iter()
        .find(|d| d.kind == "incident.opened")
        .unwrap();
    let mut walk = vec![entry.kind];
    while let Some(before) = entry.causation {
        match ledger.drafts.iter().find(|d| d.id == before) {
            Some(found) => entry = found,
            None => break,
        }
        walk.push(entry.kind);
    }
    assert_eq!(
        walk,
        [
            "incident.opened",
            "candidate.promoted",
            "bundle.sealed",
            "detection.matched",
            "signal.accepted"
        ]
    );
    assert!(
        entry.causation.is_some(),
        "the signal is caused by the evidence's entry"
    );
    ledger.check_replay();
}

#[test]
fn the_same_payload_again_changes_nothing() {
    let (mut ledger, catalog, _) = opened();
    let before = ledger.kinds().len();
    let again = ledger
        .webhook(&catalog, "alertmanager", &payload(&pair()))
        .unwrap();
    assert_eq!((again.signals_new.len(), again.signals_known.len()), (0, 2));
    assert_eq!(ledger.kinds().len(), before);
    // The same alerts in another payload are the same signals with more evidence.
    let alone = ledger
        .webhook(&catalog, "alertmanager", &payload(&pair()[..1]))
        .unwrap();
    assert_eq!(alone.signals_known.len(), 1);
    assert_eq!(ledger.kinds()[before..], ["signal.seen_again"]);
    assert!(alone.facts.is_empty() && alone.candidates.is_empty());
}

#[test]
fn a_repeated_observation_keeps_what_no_order_can_change() {
    let catalog = catalog();
    let mut first = pair()[0].clone();
    first["annotations"]["summary"] = json!("aaa");
    let mut second = pair()[0].clone();
    second["annotations"]["summary"] = json!("zzz");
    second["labels"]["severity"] = json!("warning");
    let play = |order: [&Value; 2]| {
        let mut ledger = Ledger::new();
        for alert in order {
            ledger
                .webhook(
                    &catalog,
                    "alertmanager",
                    &payload(std::slice::from_ref(alert)),
                )
                .unwrap();
        }
        let mut signal = ledger.one("signal").1;
        for volatile in ["received_at", "entry"] {
            signal.as_object_mut().unwrap().remove(volatile);
        }
        for evidence in signal["evidence"].as_array_mut().unwrap() {
            evidence.as_object_mut().unwrap().remove("entry");
        }
        signal
    };
    assert_eq!(play([&first, &second]), play([&second, &first]));
    assert_eq!(play([&first, &second])["attributes"]["summary"], "aaa");
    assert_eq!(play([&first, &second])["severity"], "critical", "the worst");
}

#[test]
fn facts_are_handed_back_for_new_signals() {
    let (mut ledger, catalog) = (Ledger::new(), catalog());
    let taken = ledger
        .webhook(&catalog, "alertmanager", &payload(&pair()[..1]))
        .unwrap();
    let facts: Vec<_> = taken
        .facts
        .iter()
        .map(|f| (f.field.as_str(), &f.value))
        .collect();
    assert_eq!(
        facts,
        [
            ("errors", &json!("elevated")),
            ("error_ratio", &json!(0.12))
        ]
    );
    let ended = resolved(pair()[0].clone(), "2026-03-01T10:05:00Z");
    let taken = ledger
        .webhook(&catalog, "alertmanager", &payload(&[ended]))
        .unwrap();
    let facts: Vec<_> = taken
        .facts
        .iter()
        .map(|f| (f.field.as_str(), &f.value))
        .collect();
    assert_eq!(facts, [("errors", &json!("normal"))]);
    assert_eq!(taken.facts[0].observed_at, at("2026-03-01T10:05:00Z"));
}

#[test]
fn a_candidate_is_visible_while_it_collects() {
    let (mut ledger, catalog) = (Ledger::new(), catalog());
    ledger
        .webhook(&catalog, "alertmanager", &payload(&pair()[..1]))
        .unwrap();
    let (id, candidate) = ledger.one("candidate");
    assert_eq!(candidate["status"], "collecting");
    assert_eq!(candidate["provisional"]["rules"], json!(["error-rate"]));
    assert_eq!(candidate["settles_at"], "2026-03-01T10:01:00.000000Z");
    let id = id.parse().unwrap();
    ledger.later(Span::from_micros(29_999_999));
    let early = ledger
        .run(|unit| candidate::settle(unit, &catalog, id))
        .unwrap();
    assert_eq!(
        early,
        candidate::Settled::NotDue(at("2026-03-01T10:01:00Z"))
    );
    // Another signal moves the moment.
    ledger
        .webhook(&catalog, "alertmanager", &payload(&pair()[1..]))
        .unwrap();
    assert_eq!(
        ledger.one("candidate").1["settles_at"],
        "2026-03-01T10:01:29.999999Z"
    );
    ledger.later(Span::from_secs(30));
    ledger.tick(&catalog);
    assert_eq!(ledger.all("incident").len(), 1);
    let again = ledger
        .run(|unit| candidate::settle(unit, &catalog, id))
        .unwrap();
    assert_eq!(again, candidate::Settled::Idle);
    ledger.check_replay();
}

#[test]
fn too_little_is_rejected_with_its_reasons_and_may_grow() {
    let (mut ledger, catalog) = (Ledger::new(), catalog());
    ledger
        .webhook(&catalog, "alertmanager", &payload(&pair()[..1]))
        .unwrap();
    ledger.later(Span::from_secs(30));
    ledger.tick(&catalog);
    let (_, candidate) = ledger.one("candidate");
    assert_eq!(candidate["status"], "rejected");
    assert_eq!(
        candidate["decision"]["reasons"],
        json!([
            "1 different rules matched, needed are 2",
            "1 signals stand behind the detections, needed are 2",
            "confidence 0.5675 (MEDIUM) is below 0.6"
        ])
    );
    assert!(ledger.all("incident").is_empty());
    ledger
        .webhook(&catalog, "alertmanager", &payload(&pair()[1..]))
        .unwrap();
    assert_eq!(ledger.one("candidate").1["status"], "collecting");
    ledger.later(Span::from_secs(30));
    ledger.tick(&catalog);
    assert_eq!(ledger.one("candidate").1["status"], "promoted");
    ledger.check_replay();
}

#[test]
fn no_rule_is_a_reason_too() {
    let (mut ledger, catalog) = (Ledger::new(), catalog());
    let ended = resolved(pair()[0].clone(), "2026-03-01T10:05:00Z");
    ledger
        .webhook(&catalog, "alertmanager", &payload(&[ended]))
        .unwrap();
    ledger.later(Span::from_secs(30));
    ledger.tick(&catalog);
    let (_, candidate) = ledger.one("candidate");
    assert_eq!(candidate["decision"]["reasons"], json!(["no rule matched"]));
    assert_eq!(candidate["decision"]["bundle"], Value::Null);
    assert!(ledger.all("bundle").is_empty());
}

#[test]
fn without_settling_the_incident_is_there_at_once() {
    let mut ledger = Ledger::new();
    let catalog = catalog_with(|d| d["correlation"]["settle"] = json!("0s"));
    let taken = ledger
        .webhook(&catalog, "alertmanager", &payload(&pair()))
        .unwrap();
    assert_eq!(taken.incidents_opened.len(), 1);
    assert_eq!(
        ledger.one("incident").1["created_at"],
        "2026-03-01T10:00:30.000000Z"
    );
}

#[test]
fn sessions_further_apart_than_the_gap_stay_apart_until_something_connects_them() {
    let (mut ledger, catalog) = (Ledger::new(), catalog());
    let sent = |starts: &str, instance: &str| {
        payload(&[alert(
            "HighErrorRate",
            "checkout",
            instance,
            starts,
            "critical",
        )])
    };
    ledger
        .webhook(&catalog, "alertmanager", &sent("2026-03-01T10:00:00Z", "a"))
        .unwrap();
    ledger
        .webhook(&catalog, "alertmanager", &sent("2026-03-01T10:15:00Z", "b"))
        .unwrap();
    assert_eq!(
        ledger.all("candidate").len(),
        1,
        "the gap itself is still together"
    );
    ledger
        .webhook(
            &catalog,
            "alertmanager",
            &sent("2026-03-01T10:30:00.000001Z", "c"),
        )
        .unwrap();
    assert_eq!(ledger.all("candidate").len(), 2);
    ledger
        .webhook(&catalog, "alertmanager", &sent("2026-03-01T10:20:00Z", "d"))
        .unwrap();
    let of_status = |status: &str| -> Vec<Value> {
        let all = ledger.all("candidate").into_values();
        all.filter(|c| c["status"] == status).collect()
    };
    assert_eq!(of_status("merged").len(), 1);
    let [one] = of_status("collecting").try_into().unwrap();
    assert_eq!(
        ledger.one("watch").1["sessions"].as_array().unwrap().len(),
        1
    );
    assert_eq!(one["members"].as_array().unwrap().len(), 4);
    assert_eq!(one["signals_total"], 4);
    ledger.check_replay();
}

#[test]
fn a_storm_folds_into_one_candidate_that_stays_bounded() {
    let (mut ledger, catalog) = (Ledger::new(), catalog());
    for group in 0..3 {
        let alerts: Vec<_> = (0..40)
            .map(|n| {
                let starts = format!("2026-03-01T10:{:02}:{:02}Z", 5 - group, n);
                alert(
                    "HighErrorRate",
                    "checkout",
                    &format!("{group}-{n}"),
                    &starts,
                    "critical",
                )
            })
            .collect();
        ledger
            .webhook(&catalog, "alertmanager", &payload(&alerts))
            .unwrap();
    }
    let (_, candidate) = ledger.one("candidate");
    assert_eq!(candidate["members"].as_array().unwrap().len(), 64);
    assert_eq!(candidate["signals_total"], 120);
    assert_eq!(
        candidate["members"][0]["began_at"],
        "2026-03-01T10:03:00.000000Z"
    );
    ledger.later(Span::from_secs(30));
    ledger.tick(&catalog);
    assert_eq!(ledger.all("incident").len(), 1);
    ledger.check_replay();
}

#[test]
fn bad_items_are_kept_and_can_be_driven_again() {
    let (mut ledger, before) = (Ledger::new(), catalog());
    let unheard = alert(
        "Unheard",
        "checkout",
        "a",
        "2026-03-01T10:00:00Z",
        "critical",
    );
    let both = payload(&[unheard, pair()[0].clone()]);
    let taken = ledger.webhook(&before, "alertmanager", &both).unwrap();
    assert_eq!((taken.signals_new.len(), taken.dead_letters.len()), (1, 1));
    let (id, letter) = ledger.one("dead_letter");
    assert_eq!(letter["path"], "/alerts/0/labels/alertname");
    assert_eq!(letter["item"]["labels"]["alertname"], "Unheard");
    let id = kernel::Digest::parse(&id).unwrap();
    ledger.webhook(&before, "alertmanager", &both).unwrap();
    assert_eq!(ledger.all("dead_letter").len(), 1, "once");
    let fault = ledger
        .run(|unit| intake::redrive(unit, &before, id))
        .unwrap_err();
    assert_eq!(fault.code, Code::Invalid);
    let mended = catalog_with(|d| {
        d["sources"][0]["mapping"]["alertmanager_v4"]["type"]["map"]["Unheard"] =
            json!("CRASH_LOOP");
    });
    let taken = ledger
        .run(|unit| intake::redrive(unit, &mended, id))
        .unwrap();
    assert_eq!(taken.signals_new.len(), 1);
    assert_eq!(ledger.one("dead_letter").1["status"], "redriven");
    let fault = ledger
        .run(|unit| intake::redrive(unit, &mended, id))
        .unwrap_err();
    assert_eq!(fault.code, Code::IllegalMove);
    ledger.check_replay();
}
