//! The events of an incident and their fold.

use super::{Incident, IncidentStatus, IncidentTrigger, LIFECYCLE};
use crate::limits;
use crate::severity::{Severity, SignalStatus};
use crate::signal::Signal;
use kernel::{
    Actor, BundleId, CandidateId, DetectionId, DirectiveId, EntryId, Impossible, IncidentId, Ratio,
    SignalId, Stamp, Subject, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A note in an incident's timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// When it was recorded.
    pub at: Timestamp,
    /// By whom.
    pub actor: Actor,
    /// The entry.
    pub entry: EntryId,
    /// What happened.
    pub text: String,
}

/// What is known of one alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertState {
    /// The signal type.
    pub signal_type: String,
    /// The last beginning.
    pub firing_at: Option<Timestamp>,
    /// The last end.
    pub resolved_at: Option<Timestamp>,
}

impl AlertState {
    /// Whether its last beginning has an end.
    #[must_use]
    pub fn is_resolved(&self) -> bool {
        self.resolved_at.is_some() && self.resolved_at >= self.firing_at
    }
}

/// A signal as the timeline needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sighting {
    /// The signal.
    pub signal: SignalId,
    /// The alert: `source/fingerprint`.
    pub alert: String,
    /// The signal type.
    pub signal_type: String,
    /// Whether it holds or has ended.
    pub status: SignalStatus,
    /// How bad it is.
    pub severity: Severity,
    /// When it was so.
    pub observed_at: Timestamp,
}

impl Sighting {
    pub(crate) fn of(signal: &Signal) -> Self {
        Self {
            signal: signal.id,
            alert: alert_key(signal),
            signal_type: signal.signal_type.clone(),
            status: signal.status,
            severity: signal.severity,
            observed_at: signal.observed_at,
        }
    }
}

/// The name of the alert behind a signal.
pub(crate) fn alert_key(signal: &Signal) -> String {
    format!("{}/{}", signal.source, signal.fingerprint)
}

/// A candidate was promoted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// By subject and bundle.
    pub id: IncidentId,
    /// Of what.
    pub subject: Subject,
    /// The candidate.
    pub candidate: CandidateId,
    /// Its grounds.
    pub bundle: BundleId,
    /// The worst in the evidence.
    pub severity: Severity,
    /// What it is, in a line.
    pub title: String,
    /// What was detected, by rule.
    pub explanations: BTreeMap<String, String>,
    /// The detections.
    pub detections: Vec<DetectionId>,
    /// How sure that is.
    pub confidence: Ratio,
    /// The signals that the candidate collected.
    pub sightings: Vec<Sighting>,
}

/// New evidence came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceJoined {
    /// The signals that came.
    pub sightings: Vec<Sighting>,
}

/// The incident was moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    /// Why, in the actor's words.
    pub note: String,
    /// The directive that works on it, for mitigation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directive: Option<DirectiveId>,
}

/// A further directive works on an incident that is being mitigated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MitigationContinued {
    /// The directive.
    pub directive: DirectiveId,
}

kernel::events! {
    /// What happens to an incident.
    pub enum IncidentEvent {
        /// A candidate was promoted.
        Opened(Opened) = "incident.opened" in Decision,
        /// New evidence came.
        EvidenceJoined(EvidenceJoined) = "incident.evidence_joined" in Evidence,
        /// Someone took it.
        Acknowledged(Moved) = "incident.acknowledged" in Action,
        /// A directive began to work on it.
        Mitigating(Moved) = "incident.mitigating" in Action,
        /// A further directive works on it.
        MitigationContinued(MitigationContinued) = "incident.mitigation_continued" in Action,
        /// The cause is gone.
        Resolved(Moved) = "incident.resolved" in Outcome,
        /// It became history.
        Closed(Moved) = "incident.closed" in Outcome,
    }
}

pub(super) fn evolve(
    state: Option<Incident>,
    event: &IncidentEvent,
    stamp: &Stamp,
) -> Result<Incident, Impossible> {
    use IncidentTrigger as T;
    match (state, event) {
        (None, IncidentEvent::Opened(opened)) => Ok(begun(opened, stamp)),
        (Some(_), IncidentEvent::Opened(_)) => Err(Impossible::new("an incident opens once")),
        (None, _) => Err(Impossible::new("no such incident")),
        (Some(incident), IncidentEvent::EvidenceJoined(joined)) => {
            Ok(incident.joined(joined, stamp))
        }
        (Some(incident), IncidentEvent::Acknowledged(moved)) => {
            incident.moved(T::Acknowledge, moved, stamp)
        }
        (Some(incident), IncidentEvent::Mitigating(moved)) => {
            incident.moved(T::Mitigate, moved, stamp)
        }
        (Some(incident), IncidentEvent::Resolved(moved)) => {
            incident.moved(T::Resolve, moved, stamp)
        }
        (Some(incident), IncidentEvent::Closed(moved)) => incident.moved(T::Close, moved, stamp),
        (Some(mut incident), IncidentEvent::MitigationContinued(more)) => {
            if incident.status != IncidentStatus::Mitigating {
                return Err(Impossible::new("nothing is being mitigated"));
            }
            incident.directives.push(more.directive);
            incident.note(format!("`{}` works on it too", more.directive), stamp);
            Ok(incident)
        }
    }
}

fn begun(opened: &Opened, stamp: &Stamp) -> Incident {
    let mut incident = Incident {
        id: opened.id,
        subject: opened.subject.clone(),
        status: IncidentStatus::Open,
        severity: opened.severity,
        title: opened.title.clone(),
        candidate: opened.candidate,
        bundle: opened.bundle,
        explanations: opened.explanations.clone(),
        detections: opened.detections.clone(),
        confidence: opened.confidence,
        created_at: stamp.at,
        updated_at: stamp.at,
        moves: BTreeMap::new(),
        directives: Vec::new(),
        alerts: BTreeMap::new(),
        alerts_uncounted: 0,
        timeline: Vec::new(),
        timeline_dropped: 0,
    };
    for sighting in &opened.sightings {
        incident.sight(sighting);
    }
    incident.note(
        format!(
            "opened with confidence {} on {} signals",
            opened.confidence,
            opened.sightings.len()
        ),
        stamp,
    );
    for text in opened.explanations.values() {
        incident.note(text.clone(), stamp);
    }
    incident
}

impl Incident {
    fn moved(
        mut self,
        trigger: IncidentTrigger,
        moved: &Moved,
        stamp: &Stamp,
    ) -> Result<Self, Impossible> {
        self.status = LIFECYCLE.next(self.status, trigger)?;
        self.directives.extend(moved.directive);
        let mut text = self.status.to_string().to_lowercase();
        if let Some(directive) = moved.directive {
            text.push_str(&format!(" by `{directive}`"));
        }
        if !moved.note.is_empty() {
            text.push_str(": ");
            text.push_str(&moved.note);
        }
        self.note(text, stamp);
        if let Some(note) = self.timeline.last() {
            self.moves.insert(trigger, note.clone());
        }
        Ok(self)
    }

    fn joined(mut self, joined: &EvidenceJoined, stamp: &Stamp) -> Self {
        for sighting in &joined.sightings {
            self.sight(sighting);
            let text = format!(
                "{} {} ({}) of {}",
                sighting.signal_type, sighting.status, sighting.severity, sighting.alert
            );
            self.note(text, stamp);
        }
        self
    }

    fn sight(&mut self, sighting: &Sighting) {
        self.severity = self.severity.max(sighting.severity);
        let full = self.alerts.len() >= limits::ALERTS_MAX;
        if full && !self.alerts.contains_key(&sighting.alert) {
            self.alerts_uncounted += 1;
            return;
        }
        let alert = self
            .alerts
            .entry(sighting.alert.clone())
            .or_insert_with(|| AlertState {
                signal_type: sighting.signal_type.clone(),
                firing_at: None,
                resolved_at: None,
            });
        let at = match sighting.status {
            SignalStatus::Firing => &mut alert.firing_at,
            SignalStatus::Resolved => &mut alert.resolved_at,
        };
        *at = (*at).max(Some(sighting.observed_at));
    }

    fn note(&mut self, text: String, stamp: &Stamp) {
        self.updated_at = stamp.at;
        self.timeline.push(Note {
            at: stamp.at,
            actor: stamp.actor.clone(),
            entry: stamp.entry,
            text,
        });
        while self.timeline.len() > limits::NOTES_MAX {
            self.timeline.remove(0);
            self.timeline_dropped += 1;
        }
    }
}
