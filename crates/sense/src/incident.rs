//! Incidents: promoted candidates. The id is SHA-256 over the bytes of
//!
//! ```text
//! writ.incident.v1 LF <service> LF <bundle id>
//! ```
//!
//! where the service is the subject's text (`service/checkout`), the bundle id
//! its text (`bun_…`), LF a line feed, and nothing follows. Neither part can
//! hold a line feed, so the form is unambiguous (SEN-13).
//!
//! The lifecycle is OPEN → ACKNOWLEDGED → MITIGATING → RESOLVED → CLOSED
//! (SEN-14). Beside the chain, an incident can be resolved while it is OPEN or
//! ACKNOWLEDGED, because the cause can go away by itself. Nothing opens it
//! again: what begins later is another incident.

mod events;
mod operations;

pub(crate) use events::alert_key;
pub use events::{
    AlertState, EvidenceJoined, IncidentEvent, MitigationContinued, Moved, Note, Opened, Sighting,
};
pub use operations::{acknowledge, close, mitigate, resolve};
pub(crate) use operations::{join, open};

use crate::severity::Severity;
use kernel::names::Name;
use kernel::{
    Aggregate, BundleId, CandidateId, DetectionId, Digest, DirectiveId, Impossible, IncidentId,
    Lifecycle, Ratio, Refs, Stamp, Subject, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

kernel::names! {
    /// Where an incident stands.
    pub enum IncidentStatus {
        /// Nobody has taken it yet.
        Open = "OPEN",
        /// Someone has.
        Acknowledged = "ACKNOWLEDGED",
        /// A directive works on it.
        Mitigating = "MITIGATING",
        /// The cause is gone.
        Resolved = "RESOLVED",
        /// It is history.
        Closed = "CLOSED",
    }
}
kernel::names! {
    /// What moves an incident.
    pub enum IncidentTrigger {
        /// Someone takes it.
        Acknowledge = "acknowledge",
        /// A directive begins to work on it.
        Mitigate = "mitigate",
        /// The cause is gone.
        Resolve = "resolve",
        /// It becomes history.
        Close = "close",
    }
}

/// The lifecycle of an incident.
pub const LIFECYCLE: Lifecycle<IncidentStatus, IncidentTrigger> = {
    use IncidentStatus as S;
    use IncidentTrigger as T;
    Lifecycle {
        noun: "an incident",
        rows: &[
            (S::Open, T::Acknowledge, S::Acknowledged),
            (S::Open, T::Resolve, S::Resolved),
            (S::Acknowledged, T::Mitigate, S::Mitigating),
            (S::Acknowledged, T::Resolve, S::Resolved),
            (S::Mitigating, T::Resolve, S::Resolved),
            (S::Resolved, T::Close, S::Closed),
        ],
    }
};

/// The id of the incident that this bundle makes of this subject.
#[must_use]
pub fn incident_id(subject: &Subject, bundle: BundleId) -> IncidentId {
    let form = format!("writ.incident.v1\n{subject}\n{bundle}");
    IncidentId(Digest::of(form.as_bytes()))
}

/// An incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    /// By subject and bundle.
    pub id: IncidentId,
    /// Of what.
    pub subject: Subject,
    /// Where it stands.
    pub status: IncidentStatus,
    /// The worst in the evidence.
    pub severity: Severity,
    /// What it is, in a line.
    pub title: String,
    /// The candidate that it was.
    pub candidate: CandidateId,
    /// Its grounds.
    pub bundle: BundleId,
    /// What was detected, by rule: the first explanation of each.
    pub explanations: BTreeMap<String, String>,
    /// The detections.
    pub detections: Vec<DetectionId>,
    /// How sure that was.
    pub confidence: Ratio,
    /// When the promotion was evaluated.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When and by whom each move was made, by trigger.
    pub moves: BTreeMap<IncidentTrigger, Note>,
    /// The directives that work or worked on it.
    pub directives: Vec<DirectiveId>,
    /// The alerts behind it, by `source/fingerprint`.
    pub alerts: BTreeMap<String, AlertState>,
    /// Signals of alerts that are too many to follow.
    pub alerts_uncounted: u64,
    /// What happened, in order; the newest.
    pub timeline: Vec<Note>,
    /// Notes that the timeline no longer shows; the ledger has them.
    pub timeline_dropped: u64,
}

impl Incident {
    /// Whether every alert behind it has ended. Alerts that are too many to
    /// follow count as not ended.
    #[must_use]
    pub fn all_resolved(&self) -> bool {
        !self.alerts.is_empty()
            && self.alerts_uncounted == 0
            && self.alerts.values().all(AlertState::is_resolved)
    }

    /// Whether work on it is still possible.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(
            self.status,
            IncidentStatus::Resolved | IncidentStatus::Closed
        )
    }
}

impl Aggregate for Incident {
    const KIND: &'static str = "incident";
    type Event = IncidentEvent;

    fn evolve(
        state: Option<Self>,
        event: &IncidentEvent,
        stamp: &Stamp,
    ) -> Result<Self, Impossible> {
        events::evolve(state, event, stamp)
    }
    fn status(&self) -> &str {
        self.status.name()
    }
    fn refs(&self) -> Refs {
        Refs {
            subject: Some(self.subject.clone()),
            directive: self.directives.last().copied(),
            snapshot: None,
        }
    }
    /// At once when every alert has ended: then it can be resolved.
    fn due(&self) -> Option<Timestamp> {
        (self.is_open() && self.all_resolved()).then_some(self.updated_at)
    }
}
