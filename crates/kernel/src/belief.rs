//! What is believed of a subject and on what grounds: the vocabulary that
//! `world` writes and `gate` checks. A snapshot is a frozen world state; every
//! decision is bound to one.

use crate::unit::Refs;
use crate::{
    Aggregate, Digest, EntryId, EvidenceId, Impossible, Ratio, Refusal, SnapshotId, Stamp, Subject,
    Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

crate::names! {
    /// How far a source is trusted, most first.
    pub enum Trust {
        /// The system that owns the fact.
        SystemOfRecord = "system_of_record",
        /// Checked by someone or something.
        Verified = "verified",
        /// Said by a source that was not checked.
        Reported = "reported",
        /// Concluded by an agent.
        Inferred = "inferred",
    }
}

crate::names! {
    /// What kind of source a record of evidence comes from (WOR-1).
    pub enum EvidenceType {
        /// A customer system of record.
        Crm = "crm",
        /// A page or API that was read.
        Scrape = "scrape",
        /// What was said in a meeting.
        Transcript = "transcript",
        /// A support case.
        Support = "support",
        /// Measurements and events of running systems.
        Telemetry = "telemetry",
        /// What an agent concluded.
        AgentInference = "agent_inference",
        /// What a person entered.
        UserInput = "user_input",
        /// What a monitoring system raised.
        Alert = "alert",
    }
}

/// What one source says of one field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// What it says.
    pub value: Value,
    /// The source, for example `alertmanager`.
    pub source: String,
    /// How far the source is trusted.
    pub trust: Trust,
    /// When it was so.
    pub observed_at: Timestamp,
    /// The record that says so.
    pub evidence: EvidenceId,
}

/// What is believed of one field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Belief {
    /// The claim that won.
    pub claim: Claim,
    /// How sure that is.
    pub confidence: Ratio,
    /// Live claims of other sources with another value; empty when none
    /// contradicts.
    pub contradictions: Vec<Claim>,
}

/// A record of evidence that a snapshot rests on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ground {
    /// The record.
    pub evidence: EvidenceId,
    /// The ledger entry that filed it.
    pub entry: EntryId,
    /// The kind of source, for example `alert`.
    pub source_type: String,
    /// The source's own id for it.
    pub source_id: String,
    /// Where it can be read, for example a URL; empty when unknown.
    pub locator: String,
    /// When it was observed.
    pub observed_at: Timestamp,
}

/// The schema that a state was checked against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaRef {
    /// The entity type, for example `service`.
    pub entity: String,
    /// Its version.
    pub version: u32,
    /// SHA-256 of the schema's canonical JSON.
    pub hash: Digest,
}

/// A frozen world state, immutable, named by its content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Of what.
    pub subject: Subject,
    /// Checked against this schema.
    pub schema: SchemaRef,
    /// The version of the world state that was frozen.
    pub state_version: u64,
    /// Field by field.
    pub fields: BTreeMap<String, Belief>,
    /// The evidence behind it, sorted and without repetition.
    pub grounds: Vec<Ground>,
}

impl Snapshot {
    /// SHA-256 over `writ.snapshot.v1`, a line feed and the canonical JSON.
    ///
    /// # Errors
    /// When the content has no canonical form.
    pub fn id(&self) -> Result<SnapshotId, Refusal> {
        Ok(SnapshotId(Digest::of_value("writ.snapshot.v1", self)?))
    }
}

crate::events! {
    /// What happens to a snapshot: it is taken, once.
    pub enum SnapshotEvent {
        /// It was taken.
        Taken(Snapshot) = "snapshot.taken" in Decision,
    }
}

impl Aggregate for Snapshot {
    const KIND: &'static str = "snapshot";
    type Event = SnapshotEvent;

    fn evolve(state: Option<Self>, event: &SnapshotEvent, _: &Stamp) -> Result<Self, Impossible> {
        let SnapshotEvent::Taken(snapshot) = event;
        match state {
            None => Ok(snapshot.clone()),
            Some(_) => Err(Impossible::new("a snapshot is taken once")),
        }
    }
    fn status(&self) -> &'static str {
        "taken"
    }
    fn refs(&self) -> Refs {
        Refs {
            subject: Some(self.subject.clone()),
            directive: None,
            snapshot: self.id().ok(),
        }
    }
}
