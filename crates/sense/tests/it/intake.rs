//! From payloads to incidents: what is recorded, what is not, who may move
//! what, and what joins what.

use crate::support::*;
use kernel::{Code, IncidentId, PrincipalKind, Role, Span};
use sense::{candidate, incident, intake, investigation};
use serde_json::{Value, json};

fn pair() -> [Value; 2] {
    [
        alert(
            "HighErrorRate",
            "checkout",
            "a",
            "2026-03-01T10:00:00Z",
            "critical",
        ),
        alert(
            "HighErrorRate",
            "checkout",
            "b",
            "2026-03-01T10:01:00Z",
            "warning",
        ),
    ]
}

fn opened() -> (Ledger, sense::Catalog, IncidentId) {
    let (mut ledger, catalog) = (Ledger::new(), catalog());
    ledger
        .webhook(&catalog, "alertmanager", &payload(&pair()))
        .unwrap();
    ledger.later(Span::from_secs(30));
    ledger.tick(&catalog);
    let (id, _) = ledger.one("incident");
    (ledger, catalog, id.parse().unwrap())
}

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
fn new_evidence_joins_an_open_incident() {
    let (mut ledger, catalog, id) = opened();
    let late = alert(
        "HighLatency",
        "checkout",
        "c",
        "2026-03-01T14:00:00Z",
        "warning",
    );
    ledger.now = at("2026-03-01T14:00:05Z");
    let taken = ledger
        .webhook(&catalog, "alertmanager", &payload(&[late]))
        .unwrap();
    assert!(taken.incidents_joined.contains(&id) && taken.candidates.is_empty());
    let (_, incident) = ledger.one("incident");
    let last = incident["timeline"].as_array().unwrap().last().unwrap();
    assert!(
        last["text"]
            .as_str()
            .unwrap()
            .starts_with("LATENCY_HIGH firing (medium)")
    );
    assert_eq!(incident["alerts"].as_object().unwrap().len(), 3);
    // Another subject does not join.
    let other = alert(
        "HighLatency",
        "search",
        "c",
        "2026-03-01T14:00:00Z",
        "warning",
    );
    ledger
        .webhook(&catalog, "alertmanager", &payload(&[other]))
        .unwrap();
    assert_eq!(ledger.all("candidate").len(), 2);
    ledger.check_replay();
}

#[test]
fn resolved_alerts_are_followed_until_all_are() {
    let (mut ledger, catalog, id) = opened();
    let all = |ledger: &mut Ledger| {
        ledger
            .run(|unit| unit.get::<incident::Incident>(id))
            .unwrap()
            .all_resolved()
    };
    assert!(!all(&mut ledger));
    for (alert, last) in pair().into_iter().zip([false, true]) {
        let ended = resolved(alert, "2026-03-01T10:30:00Z");
        ledger
            .webhook(&catalog, "alertmanager", &payload(&[ended]))
            .unwrap();
        assert_eq!(all(&mut ledger), last);
    }
    // The same alert fires again while the incident is open.
    let mut again = pair()[0].clone();
    again["startsAt"] = json!("2026-03-01T10:40:00Z");
    ledger
        .webhook(&catalog, "alertmanager", &payload(&[again]))
        .unwrap();
    assert!(!all(&mut ledger));
    assert_eq!(ledger.all("incident").len(), 1);
}

#[test]
fn the_end_of_an_alert_may_come_before_its_beginning() {
    let (mut ledger, catalog) = (Ledger::new(), catalog());
    for alert in pair() {
        let ended = resolved(alert, "2026-03-01T10:30:00Z");
        ledger
            .webhook(&catalog, "alertmanager", &payload(&[ended]))
            .unwrap();
    }
    ledger
        .webhook(&catalog, "alertmanager", &payload(&pair()))
        .unwrap();
    ledger.later(Span::from_secs(30));
    ledger.tick(&catalog);
    let (_, incident) = ledger.one("incident");
    for state in incident["alerts"].as_object().unwrap().values() {
        assert_eq!(state["resolved_at"], "2026-03-01T10:30:00.000000Z");
        assert_ne!(state["firing_at"], Value::Null);
    }
}

#[test]
fn what_begins_after_an_incident_is_another() {
    let (mut ledger, catalog, id) = opened();
    ledger
        .run(|unit| incident::resolve(unit, id, "gone"))
        .unwrap();
    // The same alert ends: it joins what is over.
    let ended = resolved(pair()[0].clone(), "2026-03-01T10:02:00Z");
    let taken = ledger
        .webhook(&catalog, "alertmanager", &payload(&[ended]))
        .unwrap();
    assert!(taken.incidents_joined.contains(&id));
    // A late beginning whose end is known joins too.
    let mut early = pair()[0].clone();
    early["startsAt"] = json!("2026-03-01T09:59:00Z");
    let taken = ledger
        .webhook(&catalog, "alertmanager", &payload(&[early]))
        .unwrap();
    assert!(taken.incidents_joined.contains(&id));
    // What fires and is not known to have ended is never swallowed, even when
    // it began before.
    let fresh = alert(
        "HighErrorRate",
        "checkout",
        "z",
        "2026-03-01T10:00:30Z",
        "critical",
    );
    let taken = ledger
        .webhook(&catalog, "alertmanager", &payload(&[fresh]))
        .unwrap();
    assert_eq!(taken.candidates.len(), 1);
    let mut again = pair()[0].clone();
    again["startsAt"] = json!("2026-03-01T10:03:00Z");
    ledger
        .webhook(&catalog, "alertmanager", &payload(&[again]))
        .unwrap();
    ledger.later(Span::from_secs(30));
    ledger.tick(&catalog);
    assert_eq!(ledger.all("incident").len(), 2);
    assert_eq!(
        ledger.one("watch").1["sessions"].as_array().unwrap().len(),
        2
    );
    ledger.check_replay();
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

#[test]
fn only_authorised_actors_move_incidents() {
    let (mut ledger, _, id) = opened();
    let check = |ledger: &mut Ledger, kind, roles: &[Role], fine: bool| {
        ledger.act_as(kind, roles);
        let before = ledger.kinds().len();
        let outcome = ledger.run(|unit| {
            incident::acknowledge(unit, id, "mine")?;
            // Nothing of it is kept: the table goes on from OPEN.
            Err::<(), _>(kernel::Refusal::conflict("undone"))
        });
        let wanted = if fine {
            Code::Conflict
        } else {
            Code::Forbidden
        };
        assert_eq!(outcome.unwrap_err().code, wanted, "{kind:?} {roles:?}");
        assert_eq!(ledger.kinds().len(), before);
    };
    for kind in [PrincipalKind::Human, PrincipalKind::Service] {
        check(&mut ledger, kind, &[], false);
        for role in [Role::Viewer, Role::Approver, Role::Auditor, Role::Agent] {
            check(&mut ledger, kind, &[role], false);
        }
        check(&mut ledger, kind, &[Role::Operator], true);
        check(&mut ledger, kind, &[Role::Viewer, Role::Admin], true);
    }
    check(
        &mut ledger,
        PrincipalKind::Agent,
        &[Role::Operator, Role::Admin],
        false,
    );
    check(&mut ledger, PrincipalKind::System, &[], true);
}

#[test]
fn an_incident_lives_its_life() {
    let (mut ledger, _, id) = opened();
    ledger.act_as(PrincipalKind::Human, &[Role::Operator]);
    let directive = uuid_of(9);
    let early = ledger
        .run(|unit| incident::mitigate(unit, id, directive))
        .unwrap_err();
    assert_eq!(early.code, Code::IllegalMove);
    assert_eq!(
        early.hint.unwrap(),
        "allowed from here: acknowledge, resolve"
    );
    ledger
        .run(|unit| incident::acknowledge(unit, id, "on it"))
        .unwrap();
    ledger
        .run(|unit| incident::mitigate(unit, id, directive))
        .unwrap();
    let before = ledger.kinds().len();
    ledger
        .run(|unit| incident::mitigate(unit, id, directive))
        .unwrap();
    assert_eq!(ledger.kinds().len(), before, "known already");
    ledger
        .run(|unit| incident::mitigate(unit, id, uuid_of(10)))
        .unwrap();
    ledger.later(Span::from_secs(60));
    ledger
        .run(|unit| incident::resolve(unit, id, "healed"))
        .unwrap();
    let wrong = ledger
        .run(|unit| incident::acknowledge(unit, id, ""))
        .unwrap_err();
    assert_eq!(wrong.hint.unwrap(), "allowed from here: close");
    ledger
        .run(|unit| incident::close(unit, id, "done"))
        .unwrap();
    let (_, state) = ledger.one("incident");
    assert_eq!(state["status"], "CLOSED");
    assert_eq!(state["directives"].as_array().unwrap().len(), 2);
    assert_eq!(
        state["moves"]["resolve"]["at"],
        "2026-03-01T10:02:00.000000Z"
    );
    assert_eq!(state["moves"]["acknowledge"]["actor"], "human:someone");
    assert_eq!(ledger.one("investigation").1["status"], "CLOSED");
    let session = &ledger.one("watch").1["sessions"][0];
    assert_eq!(session["ended_at"], "2026-03-01T10:02:00.000000Z");
    let long = "x".repeat(4_097);
    let fault = ledger
        .run(|unit| incident::close(unit, id, &long))
        .unwrap_err();
    assert_eq!(fault.code, Code::LimitExceeded);
    ledger.check_replay();
}

#[test]
fn an_investigation_lives_its_life() {
    let (mut ledger, _, id) = opened();
    ledger.run(|unit| investigation::analyze(unit, id)).unwrap();
    let skipped = ledger.run(|unit| investigation::wait_for_human(unit, id, uuid_of(5)));
    assert_eq!(
        skipped.unwrap_err().hint.unwrap(),
        "allowed from here: decide, close"
    );
    ledger
        .run(|unit| investigation::decide(unit, id, Some(uuid_of(4)), "restart it"))
        .unwrap();
    ledger
        .run(|unit| investigation::wait_for_human(unit, id, uuid_of(5)))
        .unwrap();
    ledger
        .run(|unit| investigation::close(unit, id, "approved"))
        .unwrap();
    let (_, state) = ledger.one("investigation");
    assert_eq!(state["status"], "CLOSED");
    assert_eq!(state["summary"], "restart it");
    ledger.act_as(PrincipalKind::Agent, &[Role::Agent]);
    let fault = ledger
        .run(|unit| investigation::analyze(unit, id))
        .unwrap_err();
    assert_eq!(fault.code, Code::Forbidden);
    ledger.check_replay();
}
