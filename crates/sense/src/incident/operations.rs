//! What is done to an incident: opened by promotion, joined by new evidence,
//! moved by authorised actors at the command's time.

use super::events::{EvidenceJoined, IncidentEvent, MitigationContinued, Moved, Opened, Sighting};
use super::{Incident, IncidentStatus, IncidentTrigger, LIFECYCLE};
use crate::assessment::Assessment;
use crate::signal::Signal;
use crate::watch::{Session, SessionSet, Watch, WatchEvent};
use crate::{authority, investigation};
use kernel::{
    BundleId, CandidateId, DirectiveId, IncidentId, Refusal, Unit, limits as kernel_limits,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Opens the incident of a promoted candidate and its investigation. An
/// incident that exists is left as it is: one authority, one incident.
///
/// # Errors
/// When storage does not answer or a bound is reached.
pub(crate) fn open(
    unit: &mut Unit<'_>,
    candidate: CandidateId,
    bundle: BundleId,
    assessment: &Assessment,
    signals: &[Arc<Signal>],
) -> Result<IncidentId, Refusal> {
    let subject = &assessment.bundle.subject;
    let id = super::incident_id(subject, bundle);
    if unit.find::<Incident>(id)?.is_some() {
        return Ok(id);
    }
    let severity = assessment
        .severity
        .ok_or_else(|| Refusal::integrity("a promoted candidate has no severity"))?;
    let mut explanations = BTreeMap::new();
    for detection in &assessment.detections {
        explanations
            .entry(detection.rule.clone())
            .or_insert_with(|| detection.explanation.clone());
    }
    let opened = Opened {
        id,
        subject: subject.clone(),
        candidate,
        bundle,
        severity,
        title: title(assessment),
        explanations,
        detections: assessment.bundle.detections.clone(),
        confidence: assessment.confidence.value,
        sightings: signals.iter().map(|s| Sighting::of(s)).collect(),
    };
    let (entry, _) = unit.record::<Incident>(id, IncidentEvent::Opened(opened))?;
    let outer = unit.caused_by(Some(entry));
    let begun = investigation::create(unit, id);
    unit.caused_by(outer);
    begun?;
    Ok(id)
}

/// The title of the worst detection, and how many other rules matched.
fn title(assessment: &Assessment) -> String {
    let subject = &assessment.bundle.subject;
    let mut by_rule: BTreeMap<&str, (&str, crate::severity::Severity)> = BTreeMap::new();
    for detection in &assessment.detections {
        by_rule
            .entry(&detection.rule)
            .or_insert((&detection.title, detection.severity));
    }
    // The worst; among equals the first by rule id.
    let mut worst: Option<(&str, crate::severity::Severity)> = None;
    for (title, severity) in by_rule.values() {
        if worst.is_none_or(|(_, held)| *severity > held) {
            worst = Some((title, *severity));
        }
    }
    let first = worst.map_or("detection", |(title, _)| title);
    match by_rule.len().saturating_sub(1) {
        0 => format!("{first} on {subject}"),
        others => format!("{first} on {subject} and {others} more"),
    }
}

/// Adds signals to an incident's timeline.
///
/// # Errors
/// When there is no such incident or a bound is reached.
pub(crate) fn join(
    unit: &mut Unit<'_>,
    id: IncidentId,
    signals: &[Arc<Signal>],
) -> Result<(), Refusal> {
    let sightings = signals.iter().map(|s| Sighting::of(s)).collect();
    let event = IncidentEvent::EvidenceJoined(EvidenceJoined { sightings });
    unit.record::<Incident>(id, event)?;
    Ok(())
}

/// Takes an incident.
///
/// # Errors
/// `forbidden`, `illegal_move`, `not_found`; `limit_exceeded` for a long note.
pub fn acknowledge(
    unit: &mut Unit<'_>,
    id: IncidentId,
    note: &str,
) -> Result<Arc<Incident>, Refusal> {
    let moved = checked(unit, id, IncidentTrigger::Acknowledge, note)?;
    Ok(unit
        .record::<Incident>(id, IncidentEvent::Acknowledged(moved))?
        .1)
}

/// Says that a directive works on an incident. A directive that is known
/// already changes nothing; a further one joins it.
///
/// # Errors
/// As [`acknowledge`].
pub fn mitigate(
    unit: &mut Unit<'_>,
    id: IncidentId,
    directive: DirectiveId,
) -> Result<Arc<Incident>, Refusal> {
    authority::check(unit, "mitigate incidents")?;
    let incident = unit.get::<Incident>(id)?;
    if incident.status == IncidentStatus::Mitigating {
        if incident.directives.contains(&directive) {
            return Ok(incident);
        }
        let event = IncidentEvent::MitigationContinued(MitigationContinued { directive });
        return Ok(unit.record::<Incident>(id, event)?.1);
    }
    let moved = Moved {
        directive: Some(directive),
        ..checked(unit, id, IncidentTrigger::Mitigate, "")?
    };
    Ok(unit
        .record::<Incident>(id, IncidentEvent::Mitigating(moved))?
        .1)
}

/// Says that the cause is gone. What begins from now on is another incident.
///
/// # Errors
/// As [`acknowledge`].
pub fn resolve(unit: &mut Unit<'_>, id: IncidentId, note: &str) -> Result<Arc<Incident>, Refusal> {
    let moved = checked(unit, id, IncidentTrigger::Resolve, note)?;
    let (entry, incident) = unit.record::<Incident>(id, IncidentEvent::Resolved(moved))?;
    let watch = unit.find::<Watch>(&incident.subject)?;
    if let Some(session) = watch.as_ref().and_then(|w| w.of_incident(id)) {
        let set = SessionSet {
            subject: incident.subject.clone(),
            session: Session {
                ended_at: Some(unit.ctx().now),
                ..session.clone()
            },
            absorbed: Vec::new(),
        };
        let outer = unit.caused_by(Some(entry));
        let ended = unit.record::<Watch>(&incident.subject, WatchEvent::SessionSet(set));
        unit.caused_by(outer);
        ended?;
    }
    Ok(incident)
}

/// Makes an incident history, and its investigation with it.
///
/// # Errors
/// As [`acknowledge`].
pub fn close(unit: &mut Unit<'_>, id: IncidentId, note: &str) -> Result<Arc<Incident>, Refusal> {
    let moved = checked(unit, id, IncidentTrigger::Close, note)?;
    let (entry, incident) = unit.record::<Incident>(id, IncidentEvent::Closed(moved))?;
    let outer = unit.caused_by(Some(entry));
    let ended = investigation::close_if_open(unit, id, "the incident was closed");
    unit.caused_by(outer);
    ended?;
    Ok(incident)
}

fn checked(
    unit: &mut Unit<'_>,
    id: IncidentId,
    trigger: IncidentTrigger,
    note: &str,
) -> Result<Moved, Refusal> {
    authority::check(unit, &format!("{trigger} incidents"))?;
    if note.len() > kernel_limits::TEXT_BYTES_MAX {
        return Err(Refusal::limit(format!(
            "the note has {} bytes, allowed are {}",
            note.len(),
            kernel_limits::TEXT_BYTES_MAX
        )));
    }
    LIFECYCLE.next(unit.get::<Incident>(id)?.status, trigger)?;
    Ok(Moved {
        note: note.to_owned(),
        directive: None,
    })
}
