//! What happens to a run, as it stands in the ledger. Outputs are bounded and
//! never hold a secret; larger bodies stand beside the ledger by their digest.

use super::Phase;
use crate::module::{Compensation, OutcomeStatus};
use kernel::{Digest, DirectiveId, PermitId, ReservationId, RunId, SnapshotId, Subject, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A step as the run will do it: taken from the contract that was approved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// The step's id in the contract.
    pub step: String,
    /// The module.
    pub module: String,
    /// Its input.
    pub input: Map<String, Value>,
}

/// A run was made for a directive.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Created {
    /// The run.
    pub run: RunId,
    /// The directive.
    pub directive: DirectiveId,
    /// The version of the contract that was approved.
    pub digest: Digest,
    /// What it is about.
    pub subject: Option<Subject>,
    /// The snapshot that it was decided on.
    pub snapshot: SnapshotId,
    /// The steps in order.
    pub steps: Vec<Planned>,
    /// When the timebox ends.
    pub expires_at: Timestamp,
}

/// The run goes on to its first step.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Started {
    /// How many steps it has.
    pub steps: usize,
}

/// An attempt started: from here on it may have reached the outside.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptStarted {
    /// Doing or undoing.
    pub phase: Phase,
    /// The step.
    pub step: String,
    /// Which attempt, from 1. An interrupted attempt keeps its number.
    pub attempt: u32,
    /// The module.
    pub module: String,
    /// Its version.
    pub version: String,
    /// The digest of its input.
    pub arguments: Digest,
    /// The key under which every attempt goes out.
    pub idempotency_key: String,
    /// Whether the other side honours that key.
    pub idempotent: bool,
    /// The permit that was consumed.
    pub permit: PermitId,
    /// The reservation that pays.
    pub reservation: ReservationId,
    /// By then the attempt must have ended.
    pub deadline: Timestamp,
    /// From this instant on, an attempt without a result counts as
    /// interrupted.
    pub lease_until: Timestamp,
}

kernel::names! {
    /// How an attempt ended, in the record.
    pub enum Ending {
        /// The effect happened.
        Success = "success",
        /// The other side said no.
        Failure = "failure",
        /// Nothing left, or the other side asked to come again.
        Error = "error",
        /// Sent, and no complete answer came.
        Unknown = "unknown",
        /// No result was recorded: the process died or the lease ran out.
        Interrupted = "interrupted",
        /// The permit was not honoured at its use: no call left.
        NotBegun = "not_begun",
        /// It was cut off after a call had left; it is not made again.
        CutOff = "cut_off",
    }
}

impl From<OutcomeStatus> for Ending {
    fn from(status: OutcomeStatus) -> Self {
        match status {
            OutcomeStatus::Success => Self::Success,
            OutcomeStatus::Failure => Self::Failure,
            OutcomeStatus::Error => Self::Error,
            OutcomeStatus::Unknown => Self::Unknown,
            OutcomeStatus::NotBegun => Self::NotBegun,
            OutcomeStatus::CutOff => Self::CutOff,
        }
    }
}

/// A body that was kept beside the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub bytes: usize,
}

/// What came of an attempt.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptEnded {
    /// Doing or undoing.
    pub phase: Phase,
    /// The step.
    pub step: String,
    /// Which attempt.
    pub attempt: u32,
    /// How it ended.
    pub ending: Ending,
    /// The output, bounded.
    pub output: Value,
    /// What a read after the write showed.
    pub proof: Option<Value>,
    /// Why it did not succeed.
    pub reason: Option<String>,
    /// Bodies that were kept.
    pub artifacts: Vec<Kept>,
    /// When the next attempt may start, where one follows.
    pub retry_at: Option<Timestamp>,
    /// What undoes the step, where it succeeded and can be undone.
    pub compensation: Option<Compensation>,
}

/// The gate did not let a step start; the run waits for a person.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// Doing or undoing.
    pub phase: Phase,
    /// The step.
    pub step: String,
    /// Why.
    pub reasons: Vec<String>,
}

kernel::names! {
    /// What a person says of a step whose result is unknown.
    pub enum Resolution {
        /// The effect happened.
        Succeeded = "succeeded",
        /// It did not.
        Failed = "failed",
    }
}

/// A person said what came of a step whose result was unknown.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolved {
    /// Doing or undoing.
    pub phase: Phase,
    /// The step.
    pub step: String,
    /// What they say.
    pub resolution: Resolution,
    /// How they know.
    pub reason: String,
    /// What undoes the step, where it succeeded and can be undone.
    pub compensation: Option<Compensation>,
}

kernel::names! {
    /// Why a run goes no further.
    pub enum StopCause {
        /// A step failed.
        Failed = "failed",
        /// A person or the gate gave it up.
        Aborted = "aborted",
        /// The timebox ended.
        Expired = "expired",
        /// It was completed and is taken back.
        RolledBack = "rolled_back",
    }
}

/// No further step starts; what succeeded is undone in reverse order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stopped {
    /// Why.
    pub cause: StopCause,
    /// Why, in words.
    pub reason: String,
}

/// Halted or let go on, for this reason.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Because {
    /// Why.
    pub reason: String,
}

/// The run ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// Why it ended so.
    pub reason: String,
    /// Steps that were undone, in the order in which they were.
    pub undone: Vec<String>,
    /// Steps whose effect stands because undoing them failed or was not
    /// possible.
    pub standing: Vec<String>,
}

kernel::events! {
    /// What happens to a run.
    pub enum RunEvent {
        /// It was made.
        Created(Created) = "run.created" in Action,
        /// It goes on to its first step.
        Started(Started) = "run.started" in Action,
        /// An attempt started.
        AttemptStarted(AttemptStarted) = "run.step_started" in Action,
        /// The effect happened.
        Succeeded(AttemptEnded) = "run.step_succeeded" in Action,
        /// The effect did not happen, and no attempt is left.
        Failed(AttemptEnded) = "run.step_failed" in Action,
        /// Another attempt follows.
        RetryScheduled(AttemptEnded) = "run.step_retry_scheduled" in Action,
        /// Whether the effect happened is unknown; the run is parked.
        Unknown(AttemptEnded) = "run.step_unknown" in Action,
        /// The gate did not let a step start; the run is parked.
        Held(Held) = "run.step_held" in Action,
        /// A person said what came of it.
        Resolved(Resolved) = "run.step_resolved" in Action,
        /// No further step starts.
        Stopped(Stopped) = "run.stopped" in Action,
        /// Halted between two steps.
        Paused(Because) = "run.paused" in Action,
        /// It goes on.
        Resumed(Because) = "run.resumed" in Action,
        /// Every step succeeded.
        Completed(Ended) = "run.completed" in Outcome,
        /// A step failed.
        RunFailed(Ended) = "run.failed" in Outcome,
        /// It was given up.
        Canceled(Ended) = "run.canceled" in Outcome,
        /// What a completed run did was taken back.
        RolledBack(Ended) = "run.rolled_back" in Outcome,
    }
}
