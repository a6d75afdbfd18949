//! What follows by itself: stops and ends, in the unit of what led to them.

use super::because_of;
use crate::plan::{self, Next};
use crate::run::events::{Because, Ended, RunEvent, Stopped};
use crate::run::{Run, RunStatus, StopCause, TaskStatus};
use gate::Directive;
use gate::directive::Status;
use kernel::{DirectiveId, Refusal, RunId, Unit};

/// Does what follows by itself until the run waits, can start a step, or is
/// over. Returns which.
pub(super) fn advance(unit: &mut Unit<'_>, id: RunId) -> Result<Next, Refusal> {
    follow_directive(unit, id)?;
    // A stop, then an end: nothing else follows by itself.
    for _ in 0..3 {
        let run = unit.get::<Run>(id)?;
        match plan::next(&run, unit.ctx().now) {
            Next::Stop(cause) => stop(unit, id, cause, because(&run, cause))?,
            Next::Finish(status) => finish(unit, id, status)?,
            Next::FinishRollback => finish_rollback(unit, id)?,
            other => return Ok(other),
        }
    }
    Err(Refusal::integrity(format!(
        "the run `{id}` does not settle"
    )))
}

fn because(run: &Run, cause: StopCause) -> String {
    let failed = run
        .steps
        .iter()
        .find(|s| s.task.status == TaskStatus::Failed);
    match (cause, failed) {
        (StopCause::Failed, Some(step)) => {
            let why = step.task.reason.as_deref().unwrap_or("no reason was given");
            format!("step `{}` failed: {why}", step.id)
        }
        (StopCause::Expired, _) => format!("the timebox ended at {}", run.expires_at),
        (cause, _) => cause.to_string(),
    }
}

/// The directive may have been halted, let go on or ended without the run:
/// what it says counts.
fn follow_directive(unit: &mut Unit<'_>, id: RunId) -> Result<(), Refusal> {
    let run = unit.get::<Run>(id)?;
    if run.is_over() || run.stop.is_some() {
        return Ok(());
    }
    let directive = unit.get::<Directive>(run.directive)?;
    let reason = directive.reason.clone().unwrap_or_default();
    // A step that was held back halted the directive: the run knows.
    let held = run.parked.as_ref().is_some_and(|p| p.held);
    let halted = held || run.paused.is_some();
    let event = match (directive.status, halted) {
        (Status::Aborted, _) => return record_stop(unit, id, StopCause::Aborted, reason),
        (Status::Expired, _) => return record_stop(unit, id, StopCause::Expired, reason),
        (Status::Paused, false) => RunEvent::Paused(Because { reason }),
        (Status::Executing, true) => RunEvent::Resumed(Because { reason }),
        _ => return Ok(()),
    };
    because_of(unit, directive.entry, |unit| unit.record::<Run>(id, event))?;
    Ok(())
}

fn record_stop(
    unit: &mut Unit<'_>,
    id: RunId,
    cause: StopCause,
    reason: String,
) -> Result<(), Refusal> {
    unit.record::<Run>(id, RunEvent::Stopped(Stopped { cause, reason }))?;
    Ok(())
}

/// Stops the run, and with it the directive: no further step starts.
pub(super) fn stop(
    unit: &mut Unit<'_>,
    id: RunId,
    cause: StopCause,
    reason: String,
) -> Result<(), Refusal> {
    let run = unit.get::<Run>(id)?;
    because_of(unit, run.entry, |unit| {
        record_stop(unit, id, cause, reason.clone())?;
        end_directive(unit, run.directive, &reason)
    })
}

fn end_directive(unit: &mut Unit<'_>, id: DirectiveId, reason: &str) -> Result<(), Refusal> {
    match unit.get::<Directive>(id)?.status {
        Status::Executing | Status::Paused => gate::operations::abort(unit, id, reason),
        _ => Ok(()),
    }
}

fn finish(unit: &mut Unit<'_>, id: RunId, status: RunStatus) -> Result<(), Refusal> {
    let run = unit.get::<Run>(id)?;
    let stopped = run.stop.as_ref().map(|s| s.reason.clone());
    let ended = Ended {
        reason: stopped.unwrap_or_else(|| "every step succeeded".to_owned()),
        undone: run.undone.clone(),
        standing: run.standing(),
    };
    let event = match status {
        RunStatus::Completed => RunEvent::Completed(ended),
        RunStatus::Failed => RunEvent::RunFailed(ended),
        RunStatus::Canceled => RunEvent::Canceled(ended),
        RunStatus::Pending | RunStatus::Running => {
            return Err(Refusal::integrity(format!("`{status}` is no end of a run")));
        }
    };
    because_of(unit, run.entry, |unit| {
        let (entry, _) = unit.record::<Run>(id, event)?;
        match status {
            RunStatus::Completed => because_of(unit, entry, |unit| {
                gate::operations::complete(unit, run.directive)
            }),
            // Nothing of it is done or undone any more.
            _ => gate::conflict::let_go(unit, run.directive),
        }
    })
}

fn finish_rollback(unit: &mut Unit<'_>, id: RunId) -> Result<(), Refusal> {
    let run = unit.get::<Run>(id)?;
    let reason = run.stop.as_ref().map(|s| s.reason.clone());
    let ended = Ended {
        reason: reason.unwrap_or_default(),
        undone: run.undone.clone(),
        standing: run.standing(),
    };
    because_of(unit, run.entry, |unit| {
        unit.record::<Run>(id, RunEvent::RolledBack(ended))?;
        gate::conflict::let_go(unit, run.directive)
    })
}
