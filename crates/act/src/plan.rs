//! What a run does next: a pure reading of its state and the time. Steps go
//! in order, one at a time; after a stop, what succeeded is undone in reverse
//! order of its success.
//!
//! | decided here (pure)                | done by the shell                    |
//! |------------------------------------|--------------------------------------|
//! | which task starts, which attempt   | calls the module with the permit     |
//! | how long to wait                   | polls for what is due                |
//! | that an attempt was interrupted    | nothing: it only notices the time    |
//! | that the run ends, and how         | nothing                              |

use crate::run::{Phase, Run, RunStatus, StopCause, Task, TaskStatus};
use kernel::Timestamp;

/// What a run does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Start this attempt of this task.
    Start {
        /// Doing or undoing.
        phase: Phase,
        /// The step.
        step: String,
        /// Which attempt, from 1.
        attempt: u32,
    },
    /// Nothing before this instant.
    Wait(Timestamp),
    /// An attempt is on its way; it counts as interrupted from this instant.
    InFlight(Timestamp),
    /// An attempt is on its way and its lease has run out.
    Interrupted {
        /// Doing or undoing.
        phase: Phase,
        /// The step.
        step: String,
    },
    /// Stop it, for this cause, before any further step.
    Stop(StopCause),
    /// End it so.
    Finish(RunStatus),
    /// End its rollback.
    FinishRollback,
    /// It waits for a person.
    Parked,
    /// It is halted.
    Paused,
    /// It has ended.
    Over,
}

/// What the run does next at `now`.
#[must_use]
pub fn next(run: &Run, now: Timestamp) -> Next {
    if run.is_over() {
        return Next::Over;
    }
    if let Some((phase, step, task)) = run.started() {
        return in_flight(phase, step, task, now);
    }
    match &run.stop {
        None => forward(run, now),
        Some(stop) => backward(run, stop.cause, now),
    }
}

fn in_flight(phase: Phase, step: &str, task: &Task, now: Timestamp) -> Next {
    match task.in_flight.as_ref().map(|f| f.lease_until) {
        Some(until) if now < until => Next::InFlight(until),
        _ => Next::Interrupted {
            phase,
            step: step.to_owned(),
        },
    }
}

fn start(phase: Phase, step: &str, task: &Task, now: Timestamp) -> Next {
    match task.retry_at {
        Some(at) if now < at => Next::Wait(at),
        _ => Next::Start {
            phase,
            step: step.to_owned(),
            attempt: task.next_attempt(),
        },
    }
}

fn forward(run: &Run, now: Timestamp) -> Next {
    let steps = &run.steps;
    if steps.iter().any(|s| s.task.status == TaskStatus::Failed) {
        return Next::Stop(StopCause::Failed);
    }
    let open = steps
        .iter()
        .find(|s| s.task.status != TaskStatus::Succeeded);
    if open.is_some() && now >= run.expires_at {
        return Next::Stop(StopCause::Expired);
    }
    if run.parked.is_some() {
        return Next::Parked;
    }
    if run.paused.is_some() {
        return Next::Paused;
    }
    let Some(open) = open else {
        return Next::Finish(RunStatus::Completed);
    };
    match start(Phase::Step, &open.id, &open.task, now) {
        // The timebox may end before the wait does.
        Next::Wait(at) => Next::Wait(at.min(run.expires_at)),
        other => other,
    }
}

fn backward(run: &Run, cause: StopCause, now: Timestamp) -> Next {
    // Whether a lost effect stands must be known before anything is undone.
    let lost = |task: &Task| task.status == TaskStatus::Unknown;
    if run.parked.is_some() || run.tasks().any(|(_, _, task)| lost(task)) {
        return Next::Parked;
    }
    let pending = run.steps.iter().filter_map(|step| {
        let task = step.compensation.as_ref()?;
        let open = task.status == TaskStatus::Pending;
        open.then_some((step.succeeded_as, step, task))
    });
    match pending.max_by_key(|(order, _, _)| *order) {
        Some((_, step, task)) => start(Phase::Compensation, &step.id, task, now),
        None => match cause {
            StopCause::RolledBack => Next::FinishRollback,
            StopCause::Failed => Next::Finish(RunStatus::Failed),
            StopCause::Aborted | StopCause::Expired => Next::Finish(RunStatus::Canceled),
        },
    }
}

/// When the shell must look at the run again: at once for what can start, at
/// the end of a wait, a lease or the timebox; never for what waits for a
/// person or has ended.
#[must_use]
pub fn due(run: &Run) -> Option<Timestamp> {
    match next(run, run.created_at) {
        Next::Over => None,
        Next::Wait(at) | Next::InFlight(at) => Some(at),
        Next::Parked | Next::Paused => run.stop.is_none().then_some(run.expires_at),
        Next::Start { .. }
        | Next::Interrupted { .. }
        | Next::Stop(_)
        | Next::Finish(_)
        | Next::FinishRollback => Some(run.created_at),
    }
}
