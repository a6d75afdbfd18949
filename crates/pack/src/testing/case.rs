//! What a test of a pack says: what is played, and what must come of it.

use kernel::{Subject, Timestamp, Verdict};
use sense::Severity;
use sense::confidence::Band;
use sense::incident::IncidentStatus;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A test, one file of `tests/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Its name, unique in the pack.
    pub name: String,
    /// What it shows, in a sentence.
    pub title: String,
    /// The recorded bodies, in the order in which they came.
    pub play: Vec<Played>,
    /// The time at which the test ends: everything that is due by then is
    /// done.
    pub settle_at: Timestamp,
    /// What must come of it.
    pub expect: Expectation,
}

/// A recorded body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Played {
    /// The source that sent it.
    pub source: String,
    /// The file, from the root of the pack.
    pub fixture: String,
    /// When it was received.
    pub at: Timestamp,
}

/// What must come of a test. All of it must be stated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// How many different signals there are.
    pub signals: usize,
    /// How many items were no valid signals.
    pub dead_letters: usize,
    /// How many detections each rule made.
    pub detections: BTreeMap<String, usize>,
    /// The incidents, in the order of their subjects.
    pub incidents: Vec<ExpectedIncident>,
    /// Subjects whose candidates were not enough.
    pub rejected: BTreeSet<Subject>,
}

/// An incident that must be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedIncident {
    /// Of what.
    pub subject: Subject,
    /// Where it stands at the end.
    pub status: IncidentStatus,
    /// How bad it is.
    pub severity: Severity,
    /// How sure it was.
    pub band: Band,
    /// The rules that matched.
    pub rules: BTreeSet<String>,
    /// Whether every alert behind it has ended.
    pub all_resolved: bool,
    /// What was proposed when it was promoted; `null` for nothing.
    pub proposes: Option<ExpectedProposal>,
}

/// A directive that must be proposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedProposal {
    /// By which runbook.
    pub runbook: String,
    /// Of which type.
    #[serde(rename = "type")]
    pub directive_type: String,
    /// What the pack's own validators say of it when it is proposed, where
    /// that is not ALLOW.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub validators: BTreeMap<String, Verdict>,
}
