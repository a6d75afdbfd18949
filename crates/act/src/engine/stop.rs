//! What people may do to a run on its way: halt it, let it go on, give it up,
//! and take back what it did.

use super::advance::{advance, stop};
use super::{because_of, given};
use crate::plan::Next;
use crate::run::events::{Because, RunEvent};
use crate::run::{Run, RunStatus, StopCause};
use gate::Directive;
use gate::directive::Status;
use kernel::{Code, Refusal, RunId, Span, Unit};

fn over(run: &Run) -> Refusal {
    Refusal::illegal_move(format!("the run `{}` is {}", run.id, run.status))
}

/// Gives a run up: no further step starts, what succeeded is undone in reverse
/// order, and the run ends as canceled. An attempt on its way is drained: its
/// result is recorded, and undone if it succeeded.
///
/// # Errors
/// When the run has ended or is stopped already, or no reason is given.
pub fn abort(unit: &mut Unit<'_>, id: RunId, reason: &str) -> Result<Next, Refusal> {
    let reason = given(reason)?;
    let run = unit.get::<Run>(id)?;
    if run.is_over() || run.status == RunStatus::Completed {
        return Err(over(&run).hint("a completed run can be rolled back"));
    }
    if let Some(stopped) = &run.stop {
        return Err(Refusal::illegal_move(format!(
            "the run `{id}` is stopped already: {}",
            stopped.reason
        )));
    }
    stop(unit, id, StopCause::Aborted, reason)?;
    advance(unit, id)
}

/// Halts a run, and its directive, between two steps.
///
/// # Errors
/// When the directive is not executing, the run is stopped, or no reason is
/// given.
pub fn pause(unit: &mut Unit<'_>, id: RunId, reason: &str) -> Result<(), Refusal> {
    let reason = given(reason)?;
    let run = unit.get::<Run>(id)?;
    if run.is_over() || run.stop.is_some() {
        return Err(over(&run).hint("only a run that goes through its steps can be halted"));
    }
    gate::operations::pause(unit, run.directive, &reason)?;
    unit.record::<Run>(id, RunEvent::Paused(Because { reason }))?;
    Ok(())
}

/// Lets a halted run go on, or one that the gate held back; the gate is asked
/// afresh. What waits for a person's word on an unknown result goes on
/// waiting.
///
/// # Errors
/// When the run neither is halted nor was held back, or its timebox has ended.
pub fn resume(unit: &mut Unit<'_>, id: RunId, reason: &str) -> Result<Next, Refusal> {
    let reason = given(reason)?;
    let run = unit.get::<Run>(id)?;
    let held = run.parked.as_ref().is_some_and(|p| p.held);
    if run.is_over() || (run.paused.is_none() && !held) {
        return Err(Refusal::illegal_move(format!(
            "the run `{id}` is neither halted nor held back"
        ))
        .hint("an unknown result is resolved, not resumed"));
    }
    if unit.get::<Directive>(run.directive)?.status == Status::Paused {
        gate::operations::resume(unit, run.directive)?;
    }
    unit.record::<Run>(id, RunEvent::Resumed(Because { reason }))?;
    advance(unit, id)
}

/// Takes back what a completed run did: its compensations run in reverse
/// order. Allowed until `window` after its end, the instant itself included.
///
/// # Errors
/// When the run is not completed, was taken back already, its window has
/// passed, none of its steps can be undone, or (`blocked`) another directive
/// has begun to change what it changed.
pub fn rollback(
    unit: &mut Unit<'_>,
    id: RunId,
    reason: &str,
    window: Span,
) -> Result<Next, Refusal> {
    let reason = given(reason)?;
    let run = unit.get::<Run>(id)?;
    let (RunStatus::Completed, Some(ended_at)) = (run.status, run.ended_at) else {
        return Err(over(&run).hint("only a completed run can be rolled back; abort this one"));
    };
    if run.stop.is_some() {
        return Err(Refusal::illegal_move(format!(
            "the run `{id}` is rolled back already"
        )));
    }
    if unit.ctx().now > ended_at.plus(window) {
        return Err(Refusal {
            code: Code::IllegalMove,
            message: format!(
                "the window for a rollback ended at {}",
                ended_at.plus(window)
            ),
            hint: Some("propose a directive that undoes it".to_owned()),
        });
    }
    if run.steps.iter().all(|s| s.compensation.is_none()) {
        return Err(Refusal::illegal_move(format!(
            "no step of the run `{id}` declares how it is undone"
        )));
    }
    because_of(unit, run.entry, |unit| {
        gate::conflict::reclaim(unit, run.directive)?;
        let why = format!("a person took it back: {reason}");
        gate::autonomy::setback(unit, run.directive, &why)?;
        stop(unit, id, StopCause::RolledBack, reason)
    })?;
    advance(unit, id)
}
