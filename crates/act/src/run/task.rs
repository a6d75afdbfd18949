//! A task of a run, one step or what undoes it: its state and its fold.

use super::events::{AttemptEnded, AttemptStarted, Ending, Kept};
use super::lifecycle::{TASK, TaskStatus, TaskTrigger};
use kernel::{EntryId, Impossible, PermitId, ReservationId, Stamp, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The attempt that is on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InFlight {
    /// The permit that it consumed.
    pub permit: PermitId,
    /// The reservation that pays.
    pub reservation: ReservationId,
    /// When it started.
    pub started_at: Timestamp,
    /// From this instant on it counts as interrupted.
    pub lease_until: Timestamp,
    /// The entry that recorded its start.
    pub entry: EntryId,
}

/// One thing to do with one module: a step, or what undoes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The module.
    pub module: String,
    /// Its input.
    pub input: Map<String, Value>,
    /// Where it stands.
    pub status: TaskStatus,
    /// The number of the latest attempt; 0 before the first.
    pub attempt: u32,
    /// How often an attempt was interrupted.
    pub interruptions: u32,
    /// Whether the latest attempt was interrupted, or kept from beginning, and
    /// keeps its number.
    pub interrupted: bool,
    /// Whether an attempt went unanswered and none since was answered.
    pub in_doubt: bool,
    /// Whether the other side honours the idempotency key.
    pub idempotent: bool,
    /// The attempt that is on its way, or whose result is unknown.
    pub in_flight: Option<InFlight>,
    /// When the next attempt may start.
    pub retry_at: Option<Timestamp>,
    /// What the latest attempt answered, bounded.
    pub output: Value,
    /// What a read after the write showed.
    pub proof: Option<Value>,
    /// Why the latest attempt did not succeed.
    pub reason: Option<String>,
    /// Bodies that were kept.
    pub artifacts: Vec<Kept>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl Task {
    pub(super) fn new(module: String, input: Map<String, Value>) -> Self {
        Self {
            module,
            input,
            status: TaskStatus::Pending,
            attempt: 0,
            interruptions: 0,
            interrupted: false,
            in_doubt: false,
            idempotent: false,
            in_flight: None,
            retry_at: None,
            output: Value::Null,
            proof: None,
            reason: None,
            artifacts: Vec::new(),
            ended_at: None,
        }
    }

    /// The number that the next attempt has.
    #[must_use]
    pub fn next_attempt(&self) -> u32 {
        if self.interrupted {
            self.attempt
        } else {
            self.attempt + 1
        }
    }

    pub(super) fn go(&mut self, trigger: TaskTrigger) -> Result<(), Impossible> {
        self.status = TASK.next(self.status, trigger)?;
        Ok(())
    }

    pub(super) fn start(
        &mut self,
        started: &AttemptStarted,
        stamp: &Stamp,
    ) -> Result<(), Impossible> {
        if started.attempt != self.next_attempt() {
            return Err(Impossible::new(format!(
                "attempt {} of `{}` after attempt {}",
                started.attempt, started.step, self.attempt
            )));
        }
        self.go(TaskTrigger::Start)?;
        self.attempt = started.attempt;
        self.interrupted = false;
        self.idempotent = started.idempotent;
        self.retry_at = None;
        self.in_flight = Some(InFlight {
            permit: started.permit,
            reservation: started.reservation,
            started_at: stamp.at,
            lease_until: started.lease_until,
            entry: stamp.entry,
        });
        Ok(())
    }

    pub(super) fn end(
        &mut self,
        trigger: TaskTrigger,
        ended: &AttemptEnded,
        stamp: &Stamp,
    ) -> Result<(), Impossible> {
        if ended.attempt != self.attempt {
            return Err(Impossible::new(format!(
                "the end of attempt {} of `{}` in attempt {}",
                ended.attempt, ended.step, self.attempt
            )));
        }
        self.go(trigger)?;
        self.output.clone_from(&ended.output);
        self.proof.clone_from(&ended.proof);
        self.reason.clone_from(&ended.reason);
        self.artifacts.clone_from(&ended.artifacts);
        self.retry_at = ended.retry_at;
        match ended.ending {
            Ending::Success | Ending::Failure => self.in_doubt = false,
            Ending::Error => {}
            // An attempt before it may still be in doubt.
            Ending::NotBegun => self.interrupted = true,
            Ending::Unknown | Ending::CutOff => self.in_doubt = true,
            Ending::Interrupted => {
                self.in_doubt = true;
                self.interrupted = true;
                self.interruptions += 1;
            }
        }
        if self.status != TaskStatus::Unknown {
            self.in_flight = None;
        }
        if self.status != TaskStatus::Pending {
            self.ended_at = Some(stamp.at);
        }
        Ok(())
    }

    /// Not to be started any more. A task whose earlier attempt went
    /// unanswered cannot be called skipped: its effect may stand.
    pub(super) fn give_up(&mut self) -> Result<(), Impossible> {
        if self.status != TaskStatus::Pending {
            return Ok(());
        }
        self.retry_at = None;
        if self.in_doubt {
            self.go(TaskTrigger::Lose)
        } else if self.attempt > 0 {
            self.go(TaskTrigger::Fail)
        } else {
            self.go(TaskTrigger::Skip)
        }
    }
}
