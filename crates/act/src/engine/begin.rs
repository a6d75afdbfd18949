//! The start of an attempt: admitted by the gate and recorded in one unit,
//! before anything can reach the outside.

use super::advance::advance;
use super::{because_of, finish, idempotency_key};
use crate::limits;
use crate::module;
use crate::plan::Next;
use crate::registry::Registry;
use crate::run::events::{AttemptStarted, Held, RunEvent, Started};
use crate::run::{Phase, Run, RunStatus};
use gate::directive::Status;
use gate::{Admission, AdmitRequest, CompensationRequest, Directive, GateEnv, Permit};
use kernel::{Refusal, RunId, Span, Timestamp, TraceId, Unit, VerdictId};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// One attempt that is recorded as started and must now be made, once. It
/// holds the permit and cannot be copied; lost, it is found by its lease.
///
/// ```compile_fail,E0599
/// fn twice(assignment: act::Assignment) -> (act::Assignment, act::Assignment) {
///     (assignment.clone(), assignment)
/// }
/// ```
#[derive(Debug)]
pub struct Assignment {
    /// The run.
    pub run: RunId,
    /// Doing or undoing.
    pub phase: Phase,
    /// The step.
    pub step: String,
    /// Which attempt.
    pub attempt: u32,
    /// The module.
    pub module: String,
    /// Its input.
    pub input: Map<String, Value>,
    /// The key under which every attempt goes out.
    pub idempotency_key: String,
    /// The trace that it belongs to.
    pub trace: TraceId,
    /// How long it may take.
    pub timeout: Span,
    /// The gate's word.
    pub permit: Permit,
    /// Whether a call has left: set at the last moment before it does, and
    /// still known when the attempt is cut off.
    pub has_left: Arc<AtomicBool>,
}

impl Assignment {
    /// What a result of this attempt is reported under.
    #[must_use]
    pub fn report(&self) -> finish::Report {
        finish::Report {
            run: self.run,
            phase: self.phase,
            step: self.step.clone(),
            attempt: self.attempt,
            permit: self.permit.id(),
        }
    }
}

/// What came of asking a run to go on.
#[derive(Debug)]
pub enum Begun {
    /// This attempt started: make it, and bring the outcome back.
    Execute(Box<Assignment>),
    /// The gate did not let the step start. The run is parked, and its
    /// directive paused, until a person resumes or aborts.
    Blocked {
        /// Doing or undoing.
        phase: Phase,
        /// The step.
        step: String,
        /// The verdict, where the gate was asked.
        verdict: Option<VerdictId>,
        /// Why.
        reasons: Vec<String>,
    },
    /// Nothing can start now.
    Waiting {
        /// Ask again from this instant on; `None` when a person must act.
        until: Option<Timestamp>,
    },
    /// The run has ended so.
    Finished(RunStatus),
}

/// Lets a run go on: does what follows by itself, and starts the next attempt
/// where one can start. This is the tick of runs, too: what is not due stays as
/// it is.
///
/// # Errors
/// When there is no such run, or the gate has nothing to give a verdict on.
pub fn begin_step(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    registry: &Registry,
    id: RunId,
) -> Result<Begun, Refusal> {
    let mut next = advance(unit, id)?;
    if let Next::Interrupted { phase, step } = &next {
        let run = unit.get::<Run>(id)?;
        finish::interrupt(unit, &run, *phase, step, "no result came within the lease")?;
        next = advance(unit, id)?;
    }
    match next {
        Next::Start {
            phase,
            step,
            attempt,
        } => start(unit, env, registry, id, phase, &step, attempt),
        Next::Wait(at) | Next::InFlight(at) => Ok(Begun::Waiting { until: Some(at) }),
        Next::Over => Ok(Begun::Finished(unit.get::<Run>(id)?.status)),
        _ => Ok(Begun::Waiting {
            until: kernel::Aggregate::due(unit.get::<Run>(id)?.as_ref()),
        }),
    }
}

fn start(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    registry: &Registry,
    id: RunId,
    phase: Phase,
    step: &str,
    attempt: u32,
) -> Result<Begun, Refusal> {
    let run = unit.get::<Run>(id)?;
    let task = run
        .task(phase, step)
        .ok_or_else(|| Refusal::integrity(format!("the run has no {phase} `{step}`")))?;
    if let Err(refusal) = registry.check_input(&task.module, &task.input) {
        return hold(unit, &run, phase, step, None, vec![refusal.to_string()]);
    }
    let admission = match phase {
        Phase::Step => {
            let request = AdmitRequest {
                directive: run.directive,
                step: step.to_owned(),
                run: id,
                attempt,
            };
            gate::admit(unit, env, &request)?
        }
        Phase::Compensation => {
            let request = CompensationRequest {
                directive: run.directive,
                step: step.to_owned(),
                run: id,
                attempt,
                module: task.module.clone(),
                input: task.input.clone(),
            };
            gate::admit_compensation(unit, env, &request)?
        }
    };
    let permit = match admission {
        Admission::Permitted(permit) => permit,
        Admission::Blocked { verdict, reasons } => {
            return hold(unit, &run, phase, step, Some(verdict), reasons);
        }
    };
    let module = registry.get(&task.module)?;
    let arguments = module::arguments(&task.input)?;
    if permit.arguments() != arguments
        || permit.module() != task.module
        || permit.snapshot() != run.snapshot
    {
        return Err(Refusal::integrity(format!(
            "the permit for {phase} `{step}` is for another input than the run has"
        )));
    }
    let redeemed = gate::permit::redeem(unit, &permit)?;
    let timeout = module.timeout(&task.input);
    let deadline = unit.ctx().now.plus(timeout);
    let started = AttemptStarted {
        phase,
        step: step.to_owned(),
        attempt,
        module: task.module.clone(),
        version: module.manifest().version.clone(),
        arguments,
        idempotency_key: idempotency_key(id, phase, step)?,
        idempotent: module.idempotent(&task.input),
        permit: permit.id(),
        reservation: permit.reservation(),
        deadline,
        lease_until: deadline.plus(limits::LEASE_GRACE),
    };
    let idempotency_key = started.idempotency_key.clone();
    if run.status == RunStatus::Pending {
        let steps = run.steps.len();
        because_of(unit, run.entry, |unit| {
            unit.record::<Run>(id, RunEvent::Started(Started { steps }))
        })?;
    }
    because_of(unit, redeemed, |unit| {
        unit.record::<Run>(id, RunEvent::AttemptStarted(started))
    })?;
    Ok(Begun::Execute(Box::new(Assignment {
        run: id,
        phase,
        step: step.to_owned(),
        attempt,
        module: task.module.clone(),
        input: task.input.clone(),
        idempotency_key,
        trace: unit.ctx().trace,
        timeout,
        permit,
        has_left: Arc::default(),
    })))
}

/// The step does not start. The directive is paused with the run, so that who
/// resumes it asks the gate afresh.
fn hold(
    unit: &mut Unit<'_>,
    run: &Run,
    phase: Phase,
    step: &str,
    verdict: Option<VerdictId>,
    reasons: Vec<String>,
) -> Result<Begun, Refusal> {
    let held = Held {
        phase,
        step: step.to_owned(),
        reasons: reasons.clone(),
    };
    let directive = unit.get::<Directive>(run.directive)?;
    because_of(unit, directive.entry, |unit| {
        let (entry, _) = unit.record::<Run>(run.id, RunEvent::Held(held))?;
        if directive.status != Status::Executing {
            return Ok(());
        }
        let why = format!("{phase} `{step}` was held back: {}", reasons.join("; "));
        because_of(unit, entry, |unit| {
            let reason = module::bounded_reason(&why);
            gate::operations::pause(unit, run.directive, &reason)
        })
    })?;
    Ok(Begun::Blocked {
        phase,
        step: step.to_owned(),
        verdict,
        reasons,
    })
}
