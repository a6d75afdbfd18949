//! Detections: rules that matched, recorded. The id is SHA-256 over
//! `writ.detection.v1`, a line feed and the canonical JSON of `{group, rule,
//! signals, window_start}`, where `rule` is the hash of the rule's content:
//! the same rule over the same signals is one detection.

use crate::definition::Quantity;
use crate::severity::Severity;
use kernel::{
    Aggregate, DetectionId, Digest, Impossible, Refs, Refusal, SignalId, Stamp, Subject, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A rule that matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detection {
    /// By rule version and inputs.
    pub id: DetectionId,
    /// The rule.
    pub rule: String,
    /// SHA-256 of the rule's content.
    pub rule_version: Digest,
    /// What people call the rule.
    pub title: String,
    /// About what.
    pub subject: Subject,
    /// The group within the subject, by key; empty when there is only one.
    pub group: BTreeMap<String, String>,
    /// The window's first instant.
    pub window_start: Timestamp,
    /// The first instant after the window.
    pub window_end: Timestamp,
    /// What was measured.
    pub value: Quantity,
    /// What it had to reach.
    pub threshold: Quantity,
    /// The rule's severity.
    pub severity: Severity,
    /// The signals that were measured, sorted.
    pub signals: Vec<SignalId>,
    /// What that means.
    pub explanation: String,
}

#[derive(Serialize)]
struct Identity<'a> {
    rule: Digest,
    group: BTreeMap<&'a str, String>,
    window_start: Timestamp,
    signals: &'a [SignalId],
}

/// The id of a detection.
///
/// # Errors
/// Never in practice: the identity always has a canonical form.
pub fn detection_id(
    rule_version: Digest,
    subject: &Subject,
    group: &BTreeMap<String, String>,
    window_start: Timestamp,
    signals: &[SignalId],
) -> Result<DetectionId, Refusal> {
    let mut keyed: BTreeMap<&str, String> = group
        .iter()
        .map(|(key, value)| (key.as_str(), value.clone()))
        .collect();
    keyed.insert("subject", subject.to_string());
    let identity = Identity {
        rule: rule_version,
        group: keyed,
        window_start,
        signals,
    };
    Ok(DetectionId(Digest::of_value(
        "writ.detection.v1",
        &identity,
    )?))
}

kernel::events! {
    /// What happens to a detection: it is made, once.
    pub enum DetectionEvent {
        /// A rule matched.
        Matched(Detection) = "detection.matched" in Decision,
    }
}

impl Aggregate for Detection {
    const KIND: &'static str = "detection";
    type Event = DetectionEvent;

    fn evolve(state: Option<Self>, event: &DetectionEvent, _: &Stamp) -> Result<Self, Impossible> {
        let DetectionEvent::Matched(detection) = event;
        match state {
            None => Ok(detection.clone()),
            Some(_) => Err(Impossible::new("a detection is made once")),
        }
    }
    fn status(&self) -> &'static str {
        "matched"
    }
    fn refs(&self) -> Refs {
        Refs {
            subject: Some(self.subject.clone()),
            ..Refs::default()
        }
    }
}
