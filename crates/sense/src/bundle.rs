//! Evidence bundles: the sorted, deduplicated detections, signals and evidence
//! behind a candidate, immutable. The id is SHA-256 over `writ.bundle.v1`, a
//! line feed and the canonical JSON of the bundle, so that the same grounds
//! are one bundle.

use crate::detection::Detection;
use crate::signal::Signal;
use kernel::{
    Aggregate, BundleId, DetectionId, Digest, EvidenceId, Impossible, Refs, Refusal, SignalId,
    Stamp, Subject,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The grounds of a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// About what.
    pub subject: Subject,
    /// The detections, sorted.
    pub detections: Vec<DetectionId>,
    /// The signals behind the detections, sorted.
    pub signals: Vec<SignalId>,
    /// The evidence behind the signals, sorted.
    pub evidence: Vec<EvidenceId>,
}

impl Bundle {
    /// The bundle of these detections; `signals` holds at least the signals
    /// that they name.
    #[must_use]
    pub fn of(subject: Subject, detections: &[Detection], signals: &[Arc<Signal>]) -> Self {
        let ids: BTreeSet<DetectionId> = detections.iter().map(|d| d.id).collect();
        let behind: BTreeSet<SignalId> = detections
            .iter()
            .flat_map(|d| d.signals.iter().copied())
            .collect();
        let evidence: BTreeSet<EvidenceId> = signals
            .iter()
            .filter(|s| behind.contains(&s.id))
            .flat_map(|s| s.evidence.iter().map(|e| e.id))
            .collect();
        Self {
            subject,
            detections: ids.into_iter().collect(),
            signals: behind.into_iter().collect(),
            evidence: evidence.into_iter().collect(),
        }
    }

    /// The id.
    ///
    /// # Errors
    /// Never in practice: a bundle always has a canonical form.
    pub fn id(&self) -> Result<BundleId, Refusal> {
        Ok(BundleId(Digest::of_value("writ.bundle.v1", self)?))
    }

    /// What is lacking; empty when the bundle is complete.
    #[must_use]
    pub fn lacks(&self) -> Vec<&'static str> {
        let parts = [
            ("detections", self.detections.is_empty()),
            ("signals", self.signals.is_empty()),
            ("evidence", self.evidence.is_empty()),
        ];
        let empty = parts.into_iter().filter(|(_, empty)| *empty);
        empty.map(|(name, _)| name).collect()
    }
}

kernel::events! {
    /// What happens to a bundle: it is sealed, once.
    pub enum BundleEvent {
        /// It was sealed.
        Sealed(Bundle) = "bundle.sealed" in Evidence,
    }
}

impl Aggregate for Bundle {
    const KIND: &'static str = "bundle";
    type Event = BundleEvent;

    fn evolve(state: Option<Self>, event: &BundleEvent, _: &Stamp) -> Result<Self, Impossible> {
        let BundleEvent::Sealed(bundle) = event;
        match state {
            None => Ok(bundle.clone()),
            Some(_) => Err(Impossible::new("a bundle is sealed once")),
        }
    }
    fn status(&self) -> &'static str {
        "sealed"
    }
    fn refs(&self) -> Refs {
        Refs {
            subject: Some(self.subject.clone()),
            ..Refs::default()
        }
    }
}
