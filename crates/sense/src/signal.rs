//! Signals: normalised observations. The id is SHA-256 over `writ.signal.v1`,
//! a line feed and the canonical JSON of the identity `{fingerprint,
//! observed_at, source, status, subject, type}`: the same observation twice is
//! one signal, whenever and in whatever company it comes.
//!
//! A repeated observation may differ in what is not identity. So that the order
//! of arrival does not matter, a signal keeps the worst severity, the
//! attributes whose canonical JSON is least, the earliest beginning, and of the
//! evidence the least ids.

use crate::limits;
use crate::severity::{Severity, SignalStatus};
use kernel::{
    Aggregate, Digest, EntryId, EvidenceId, Impossible, Ratio, Refs, Refusal, SignalId, Span,
    Stamp, Subject, TenantId, Timestamp, Trust, Unit, sealed,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;

/// A record of evidence and the entry that filed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceRef {
    /// The record.
    pub id: EvidenceId,
    /// The entry.
    pub entry: EntryId,
}

/// What a source said, in writ's terms.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// The signal type.
    pub signal_type: String,
    /// About what.
    pub subject: Subject,
    /// What tells one observed thing from another within the source.
    pub fingerprint: String,
    /// Whether it holds or has ended.
    pub status: SignalStatus,
    /// How bad it is.
    pub severity: Severity,
    /// When it was so: the beginning of what holds, the end of what has ended.
    pub observed_at: Timestamp,
    /// When it began; the same as `observed_at` for what holds.
    pub began_at: Timestamp,
    /// How long it holds when nothing more is heard.
    pub ttl: Span,
    /// Everything else.
    pub attributes: Map<String, Value>,
}

/// A signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// By identity.
    pub id: SignalId,
    /// The signal type.
    #[serde(rename = "type")]
    pub signal_type: String,
    /// Whose it is.
    pub tenant: TenantId,
    /// About what.
    pub subject: Subject,
    /// Who said it.
    pub source: String,
    /// Whether it holds or has ended.
    pub status: SignalStatus,
    /// How bad it is.
    pub severity: Severity,
    /// How far the source is trusted, as a share.
    pub confidence: Ratio,
    /// The records that say it, sorted.
    pub evidence: Vec<EvidenceRef>,
    /// When it was so.
    pub observed_at: Timestamp,
    /// When it began.
    pub began_at: Timestamp,
    /// When writ first heard of it.
    pub received_at: Timestamp,
    /// How long it holds when nothing more is heard.
    pub ttl: Span,
    /// What tells one observed thing from another within the source.
    pub fingerprint: String,
    /// Everything else.
    pub attributes: Map<String, Value>,
    /// The entry that accepted it; absent in the entry itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<EntryId>,
}

impl Signal {
    /// When the signal stops to hold unless it is heard again.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.observed_at.plus(self.ttl)
    }
}

/// A known signal was observed again with something new.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenAgain {
    /// The record that says so.
    pub evidence: EvidenceRef,
    /// The severity this time.
    pub severity: Severity,
    /// The beginning this time.
    pub began_at: Timestamp,
    /// The attributes this time.
    pub attributes: Map<String, Value>,
}

kernel::events! {
    /// What happens to a signal.
    pub enum SignalEvent {
        /// It was accepted.
        Accepted(Signal) = "signal.accepted" in Signal,
        /// It was observed again with something new.
        SeenAgain(SeenAgain) = "signal.seen_again" in Signal,
    }
}

impl Aggregate for Signal {
    const KIND: &'static str = "signal";
    type Event = SignalEvent;

    fn evolve(state: Option<Self>, event: &SignalEvent, stamp: &Stamp) -> Result<Self, Impossible> {
        match (state, event) {
            (None, SignalEvent::Accepted(signal)) => Ok(Self {
                entry: Some(stamp.entry),
                ..signal.clone()
            }),
            (Some(signal), SignalEvent::SeenAgain(again)) => signal.with(again),
            (Some(_), SignalEvent::Accepted(_)) => {
                Err(Impossible::new("a signal is accepted once"))
            }
            (None, SignalEvent::SeenAgain(_)) => Err(Impossible::new("no such signal")),
        }
    }
    fn status(&self) -> &str {
        kernel::names::Name::name(self.status)
    }
    fn refs(&self) -> Refs {
        Refs {
            subject: Some(self.subject.clone()),
            ..Refs::default()
        }
    }
}

impl Signal {
    fn with(mut self, again: &SeenAgain) -> Result<Self, Impossible> {
        let text = |attributes: &Map<String, Value>| {
            sealed::sameness_of_members(attributes).map_err(|e| Impossible::new(e.to_string()))
        };
        self.severity = self.severity.max(again.severity);
        self.began_at = self.began_at.min(again.began_at);
        if text(&again.attributes)? < text(&self.attributes)? {
            self.attributes = again.attributes.clone();
        }
        self.evidence.push(again.evidence);
        self.evidence.sort();
        self.evidence.dedup_by_key(|e| e.id);
        self.evidence.truncate(limits::SIGNAL_EVIDENCE_MAX);
        Ok(self)
    }
}

#[derive(Serialize)]
struct Identity<'a> {
    source: &'a str,
    #[serde(rename = "type")]
    signal_type: &'a str,
    subject: &'a Subject,
    fingerprint: &'a str,
    status: SignalStatus,
    observed_at: Timestamp,
}

/// The id of an observation of this source.
///
/// # Errors
/// Never in practice: the identity always has a canonical form.
pub fn signal_id(source: &str, observation: &Observation) -> Result<SignalId, Refusal> {
    let identity = Identity {
        source,
        signal_type: &observation.signal_type,
        subject: &observation.subject,
        fingerprint: &observation.fingerprint,
        status: observation.status,
        observed_at: observation.observed_at,
    };
    Ok(SignalId(Digest::of_value("writ.signal.v1", &identity)?))
}

/// How far a source of this trust class is believed.
#[must_use]
pub fn confidence_of(trust: Trust) -> Ratio {
    Ratio::from_ppm(match trust {
        Trust::SystemOfRecord => 1_000_000,
        Trust::Verified => 900_000,
        Trust::Reported => 700_000,
        Trust::Inferred => 500_000,
    })
}

/// The outcome of accepting an observation.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// The signal as it now stands.
    pub signal: Arc<Signal>,
    /// Whether it was not known before.
    pub new: bool,
}

/// Accepts an observation. One that is known and brings nothing new records
/// nothing.
///
/// # Errors
/// When storage does not answer or the signal has no canonical form.
pub fn accept(
    unit: &mut Unit<'_>,
    source: &str,
    trust: Trust,
    observation: Observation,
    evidence: EvidenceRef,
) -> Result<Accepted, Refusal> {
    let id = signal_id(source, &observation)?;
    if let Some(known) = unit.find::<Signal>(id)? {
        let again = SeenAgain {
            evidence,
            severity: observation.severity,
            began_at: observation.began_at,
            attributes: observation.attributes,
        };
        let signal = if known.as_ref().clone().with(&again)? == *known {
            known
        } else {
            unit.record::<Signal>(id, SignalEvent::SeenAgain(again))?.1
        };
        return Ok(Accepted { signal, new: false });
    }
    let signal = Signal {
        id,
        signal_type: observation.signal_type,
        tenant: unit.ctx().tenant,
        subject: observation.subject,
        source: source.to_owned(),
        status: observation.status,
        severity: observation.severity,
        confidence: confidence_of(trust),
        evidence: vec![evidence],
        observed_at: observation.observed_at,
        began_at: observation.began_at,
        received_at: unit.ctx().now,
        ttl: observation.ttl,
        fingerprint: observation.fingerprint,
        attributes: observation.attributes,
        entry: None,
    };
    let (_, signal) = unit.record::<Signal>(id, SignalEvent::Accepted(signal))?;
    Ok(Accepted { signal, new: true })
}
