//! What joins an incident, who may move it, and how it and its investigation
//! end.

use crate::support::*;
use kernel::{Code, PrincipalKind, Role, Span};
use sense::{incident, investigation};
use serde_json::{Value, json};

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
