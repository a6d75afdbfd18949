//! What came of an attempt: its result, its cost, and what follows from it.

use super::advance::advance;
use super::{because_of, given};
use crate::limits;
use crate::module::{Artifact, Compensation, Outcome, OutcomeStatus, bounded_reason};
use crate::plan::{self, Next};
use crate::registry::Registry;
use crate::retry::RetryPolicy;
use crate::run::events::{AttemptEnded, Ending, Kept, Resolution, Resolved, RunEvent};
use crate::run::{InFlight, Phase, Run, Task, TaskStatus};
use gate::budget::{self, Actual};
use gate::history::{self, Happening};
use kernel::{Code, PermitId, PrincipalKind, Refusal, RunId, Timestamp, Unit};
use serde_json::{Value, json};

/// Which attempt a result belongs to: taken from its assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The run.
    pub run: RunId,
    /// Doing or undoing.
    pub phase: Phase,
    /// The step.
    pub step: String,
    /// Which attempt.
    pub attempt: u32,
    /// The permit that it consumed.
    pub permit: PermitId,
}

/// What an ending means for the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Succeed,
    Fail,
    Retry,
    Lose,
}

/// The one table of what follows an ending. `open` says whether another
/// attempt may follow at all.
fn meaning(task: &Task, ending: Ending, open: bool) -> Meaning {
    match ending {
        Ending::Success => Meaning::Succeed,
        Ending::Failure => Meaning::Fail,
        Ending::Error if open => Meaning::Retry,
        // An earlier attempt may have done it.
        Ending::Error if task.in_doubt => Meaning::Lose,
        Ending::Error => Meaning::Fail,
        Ending::NotBegun if open => Meaning::Retry,
        Ending::NotBegun if task.in_doubt => Meaning::Lose,
        Ending::NotBegun => Meaning::Fail,
        Ending::Unknown | Ending::Interrupted if task.idempotent && open => Meaning::Retry,
        Ending::Unknown | Ending::Interrupted | Ending::CutOff => Meaning::Lose,
    }
}

fn in_flight(run: &Run, report: &Report) -> Result<(Task, InFlight), Refusal> {
    let late = || {
        Refusal::conflict(format!(
            "attempt {} of {} `{}` is not on its way",
            report.attempt, report.phase, report.step
        ))
        .hint("its result was recorded, or it was given up as interrupted")
    };
    let task = run
        .task(report.phase, &report.step)
        .ok_or_else(|| Refusal::not_found(format!("no {} `{}`", report.phase, report.step)))?;
    let flight = task.in_flight.as_ref().ok_or_else(late)?;
    if flight.permit != report.permit || task.attempt != report.attempt {
        return Err(late());
    }
    Ok((task.clone(), flight.clone()))
}

/// Records what came of an attempt, settles its reservation, and does what
/// follows: another attempt, the next step, undoing, or the end of the run
/// and of its directive. A result that comes after the attempt was given up as
/// unknown still counts when it says what happened.
///
/// # Errors
/// `conflict` when the attempt is not on its way: nothing is recorded twice.
pub fn finish_step(
    unit: &mut Unit<'_>,
    registry: &Registry,
    report: &Report,
    outcome: Outcome,
) -> Result<Next, Refusal> {
    let run = unit.get::<Run>(report.run)?;
    let (task, flight) = in_flight(&run, report)?;
    let ending = Ending::from(outcome.status);
    if task.status == TaskStatus::Unknown && !matches!(ending, Ending::Success | Ending::Failure) {
        return Ok(plan::next(&run, unit.ctx().now));
    }
    let policy = registry.get(&task.module).map(|m| m.manifest().retry);
    let policy = policy.unwrap_or(RetryPolicy::ONCE);
    let stopped = report.phase == Phase::Step && run.stop.is_some();
    let (open, wait) = match ending {
        // It was not tried, so no attempt is used up.
        Ending::NotBegun => (!stopped, limits::NOT_BEGUN_WAIT),
        _ => {
            let target = report.phase.target(&report.step);
            let wait = policy.wait(run.id, &target, task.attempt);
            (!stopped && task.attempt < policy.attempts_max, wait)
        }
    };
    let cost = outcome.cost;
    let ended = ended(unit, registry, report, &task, outcome)?;
    record(
        unit,
        &run,
        &task,
        &flight,
        ended,
        open,
        wait_until(unit, wait),
    )?;
    settle(unit, &flight, cost)?;
    advance(unit, report.run)
}

fn wait_until(unit: &Unit<'_>, wait: kernel::Span) -> Timestamp {
    unit.ctx().now.plus(wait)
}

/// Records the ending as what it means.
fn record(
    unit: &mut Unit<'_>,
    run: &Run,
    task: &Task,
    flight: &InFlight,
    mut ended: AttemptEnded,
    open: bool,
    retry_at: Timestamp,
) -> Result<(), Refusal> {
    let (phase, step) = (ended.phase, ended.step.clone());
    let event = match meaning(task, ended.ending, open) {
        Meaning::Succeed => RunEvent::Succeeded(ended),
        Meaning::Fail => RunEvent::Failed(ended),
        Meaning::Lose => RunEvent::Unknown(ended),
        Meaning::Retry => {
            ended.retry_at = Some(retry_at);
            RunEvent::RetryScheduled(ended)
        }
    };
    let what = match (&event, phase) {
        (RunEvent::Succeeded(_), Phase::Step) => Some(Happening::StepCompleted),
        (RunEvent::Failed(_), Phase::Step) => Some(Happening::StepFailed),
        _ => None,
    };
    because_of(unit, flight.entry, |unit| {
        unit.record::<Run>(run.id, event)?;
        match what {
            Some(what) => history::step_ended(unit, run.directive, &step, what),
            None => Ok(()),
        }
    })
}

/// Settles what the attempt cost. A cost that the budget cannot take is
/// charged as reserved.
fn settle(unit: &mut Unit<'_>, flight: &InFlight, cost: Actual) -> Result<(), Refusal> {
    because_of(unit, flight.entry, |unit| {
        match budget::settle(unit, flight.reservation, cost) {
            Err(refusal) if refusal.code == Code::Invalid => {
                budget::settle(unit, flight.reservation, Actual::Unknown)
            }
            settled => settled,
        }
    })?;
    Ok(())
}

fn ended(
    unit: &mut Unit<'_>,
    registry: &Registry,
    report: &Report,
    task: &Task,
    outcome: Outcome,
) -> Result<AttemptEnded, Refusal> {
    let compensation = match (outcome.status, report.phase) {
        (OutcomeStatus::Success, Phase::Step) => undo(registry, task, &outcome.output),
        _ => None,
    };
    let mut artifacts = keep(unit, outcome.artifacts);
    let output = bounded(unit, "output", outcome.output, &mut artifacts)?;
    let proof = match outcome.proof {
        Some(proof) => Some(bounded(unit, "proof", proof, &mut artifacts)?),
        None => None,
    };
    Ok(AttemptEnded {
        phase: report.phase,
        step: report.step.clone(),
        attempt: report.attempt,
        ending: outcome.status.into(),
        output,
        proof,
        reason: outcome.reason.as_deref().map(bounded_reason),
        artifacts,
        retry_at: None,
        compensation,
    })
}

fn undo(registry: &Registry, task: &Task, output: &Value) -> Option<Compensation> {
    let module = registry.get(&task.module).ok()?;
    module.compensation(&task.input, output)
}

/// Keeps bodies beside the ledger, within their bounds.
fn keep(unit: &mut Unit<'_>, artifacts: Vec<Artifact>) -> Vec<Kept> {
    let within = artifacts
        .into_iter()
        .filter(|a| a.bytes.len() <= limits::ARTIFACT_BYTES_MAX)
        .take(limits::ARTIFACTS_MAX);
    within
        .map(|artifact| Kept {
            name: artifact.name,
            media_type: artifact.media_type,
            bytes: artifact.bytes.len(),
            digest: unit.keep_object(artifact.bytes),
        })
        .collect()
}

/// The value, or its digest where it is too large for the record; it is then
/// kept as an artifact.
fn bounded(
    unit: &mut Unit<'_>,
    name: &str,
    value: Value,
    artifacts: &mut Vec<Kept>,
) -> Result<Value, Refusal> {
    let text = kernel::json::canonical(&value)?;
    if text.len() <= limits::OUTPUT_BYTES_MAX {
        return Ok(value);
    }
    let bytes = text.len();
    let digest = unit.keep_object(text.into_bytes());
    artifacts.push(Kept {
        name: name.to_owned(),
        media_type: "application/json".to_owned(),
        digest,
        bytes,
    });
    Ok(json!({ "too_long": true, "bytes": bytes, "digest": digest }))
}

/// After a restart: an attempt that was started and has no result is over,
/// because nobody is left to bring one. Where the other side honours the key,
/// the same attempt goes out again under it; otherwise the run is parked. Does
/// nothing for a run that has no attempt on its way.
///
/// # Errors
/// `not_found` when there is no such run.
pub fn recover(unit: &mut Unit<'_>, id: RunId) -> Result<Next, Refusal> {
    let run = unit.get::<Run>(id)?;
    if let Some((phase, step, _)) = run.started() {
        interrupt(unit, &run, phase, step, "writ stopped before a result came")?;
    }
    advance(unit, id)
}

/// Records that the attempt on its way was interrupted.
pub(super) fn interrupt(
    unit: &mut Unit<'_>,
    run: &Run,
    phase: Phase,
    step: &str,
    why: &str,
) -> Result<(), Refusal> {
    let found = run.task(phase, step);
    let flight = found.and_then(|t| t.in_flight.clone());
    let (Some(task), Some(flight)) = (found, flight) else {
        return Err(Refusal::integrity(format!(
            "no attempt of {phase} `{step}`"
        )));
    };
    let stopped = phase == Phase::Step && run.stop.is_some();
    let open = !stopped && task.interruptions < limits::INTERRUPTIONS_MAX;
    let ended = AttemptEnded {
        phase,
        step: step.to_owned(),
        attempt: task.attempt,
        ending: Ending::Interrupted,
        output: Value::Null,
        proof: None,
        reason: Some(why.to_owned()),
        artifacts: Vec::new(),
        retry_at: None,
        compensation: None,
    };
    let now = unit.ctx().now;
    record(unit, run, task, &flight, ended, open, now)?;
    settle(unit, &flight, Actual::Unknown)
}

/// A person's word on a step whose result is unknown: the effect happened, or
/// it did not. The run goes on from there.
///
/// # Errors
/// When the actor is no person, the step is not unknown, or no reason is
/// given.
pub fn resolve_unknown(
    unit: &mut Unit<'_>,
    registry: &Registry,
    id: RunId,
    phase: Phase,
    step: &str,
    resolution: Resolution,
    reason: &str,
) -> Result<Next, Refusal> {
    if unit.ctx().actor.kind != PrincipalKind::Human {
        return Err(Refusal::forbidden(format!(
            "`{}` may not say what came of a step",
            unit.ctx().actor
        ))
        .hint("a person must look and say"));
    }
    let reason = given(reason)?;
    let run = unit.get::<Run>(id)?;
    let task = run.task(phase, step);
    let task = task.ok_or_else(|| Refusal::not_found(format!("no {phase} `{step}`")))?;
    if task.status != TaskStatus::Unknown {
        return Err(Refusal::illegal_move(format!(
            "the {phase} `{step}` is {}, not unknown",
            task.status
        )));
    }
    let compensation = match (resolution, phase) {
        (Resolution::Succeeded, Phase::Step) => undo(registry, task, &task.output),
        _ => None,
    };
    let resolved = Resolved {
        phase,
        step: step.to_owned(),
        resolution,
        reason,
        compensation,
    };
    unit.record::<Run>(id, RunEvent::Resolved(resolved))?;
    if phase == Phase::Step {
        let what = match resolution {
            Resolution::Succeeded => Happening::StepCompleted,
            Resolution::Failed => Happening::StepFailed,
        };
        history::step_ended(unit, run.directive, step, what)?;
    }
    advance(unit, id)
}
