//! Admission: the gate's last word, in the transaction that starts a step.
//! What was decided before is found; what can change between two attempts
//! (kill switch, approval, timebox, reservation) is checked at each.

use crate::choke::{self, Target};
use crate::contract::Step;
use crate::operations::because_of;
use crate::permit::{self, Issued, PermitEvent, Purpose};
use crate::verdict::{VerdictEvent, Withheld};
use crate::{ChokePoint, Directive, GateEnv, Permit, PermitRecord, VerdictRecord, directive};
use kernel::{
    Digest, DirectiveId, PermitId, Refusal, ReservationId, RunId, Unit, Verdict, VerdictId,
};
use serde_json::{Map, Value};
use std::sync::Arc;

/// A step that is to be executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmitRequest {
    /// The directive.
    pub directive: DirectiveId,
    /// The step's id.
    pub step: String,
    /// The run.
    pub run: RunId,
    /// Which attempt, from 1.
    pub attempt: u32,
}

/// A step that is to be undone.
#[derive(Clone, Debug, PartialEq)]
pub struct CompensationRequest {
    /// The directive.
    pub directive: DirectiveId,
    /// The id of the step that is to be undone.
    pub step: String,
    /// The run.
    pub run: RunId,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// The module that undoes it, as the step's module declares.
    pub module: String,
    /// That module's input.
    pub input: Map<String, Value>,
}

/// The answer.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is made once per attempt and taken apart at once"
)]
pub enum Admission {
    /// It may reach the outside, once.
    Permitted(Permit),
    /// It may not. This is recorded: append it.
    Blocked {
        /// The verdict that says so, or under which the permit was withheld.
        verdict: VerdictId,
        /// Why.
        reasons: Vec<String>,
    },
}

/// Asks whether an attempt of a step may start. A verdict that blocks stands
/// until someone pauses and resumes the directive; what is checked at every
/// attempt may pass at the next.
///
/// # Errors
/// When there is nothing to give a verdict on: the directive is not executing
/// in this run, or has no such step.
pub fn admit(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    request: &AdmitRequest,
) -> Result<Admission, Refusal> {
    let directive = in_run(unit, request.directive, request.run)?;
    if directive.status != directive::Status::Executing {
        return Err(Refusal::conflict(format!(
            "the directive is {}, so no step of it can start",
            directive.status
        )));
    }
    let step = step_of(&directive, &request.step)?;
    let target = Target::Step(step);
    attempt(unit, env, &directive, &target, step, request.attempt)
}

/// Asks whether a step that was permitted may be undone. A declared
/// compensation is part of the plan that was approved: it is judged as of the
/// time at which the directive began, also after its timebox and its end, and
/// stopped only by the kill switch of its own module.
///
/// # Errors
/// When there is nothing to undo: the step was never permitted, its module
/// declares no compensation, or the directive never began in this run.
pub fn admit_compensation(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    request: &CompensationRequest,
) -> Result<Admission, Refusal> {
    let directive = in_run(unit, request.directive, request.run)?;
    let of = step_of(&directive, &request.step)?;
    let reversible = env
        .capabilities
        .get(&of.module)
        .is_some_and(|c| c.reversible);
    if !reversible {
        return Err(Refusal::invalid(format!(
            "the module `{}` declares no compensation",
            of.module
        )));
    }
    if !was_permitted(unit, &directive, of)? {
        return Err(Refusal::conflict(format!(
            "the step `{}` was never permitted, so there is nothing to undo",
            of.id
        )));
    }
    let undo = Step {
        id: of.id.clone(),
        module: request.module.clone(),
        input: request.input.clone(),
        // Undoing is part of what the step was given.
        cost: kernel::Money::zero(of.cost.currency()),
        evidence: of.evidence.clone(),
    };
    let target = Target::Compensation(of, &undo);
    attempt(unit, env, &directive, &target, &undo, request.attempt)
}

fn in_run(unit: &mut Unit<'_>, id: DirectiveId, run: RunId) -> Result<Arc<Directive>, Refusal> {
    let directive = unit.get::<Directive>(id)?;
    if directive.run == Some(run) {
        return Ok(directive);
    }
    Err(Refusal::conflict(format!(
        "the directive `{id}` does not run as `{run}`"
    )))
}

fn step_of<'a>(directive: &'a Directive, id: &str) -> Result<&'a Step, Refusal> {
    let known = || {
        let ids: Vec<_> = directive
            .contract
            .steps
            .iter()
            .map(|s| s.id.as_str())
            .collect();
        ids.join(", ")
    };
    directive.contract.step(id).ok_or_else(|| {
        Refusal::not_found(format!("the directive has no step `{id}`"))
            .hint(format!("its steps are: {}", known()))
    })
}

/// Whether the gate let this step through in any round.
fn was_permitted(unit: &mut Unit<'_>, directive: &Directive, step: &Step) -> Result<bool, Refusal> {
    let target = Target::Step(step);
    for round in 1..=directive.round {
        let question = choke::question(directive, ChokePoint::StepExecution, &target, round);
        let record = unit.find::<VerdictRecord>(question.id()?)?;
        if record.is_some_and(|r| r.verdict().passes()) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn attempt(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    directive: &Directive,
    target: &Target<'_>,
    step: &Step,
    attempt: u32,
) -> Result<Admission, Refusal> {
    let points = choke::points(env, &step.module);
    let records = choke::ask_all(unit, env, directive, &points, target)?;
    let first = records
        .first()
        .cloned()
        .ok_or_else(|| Refusal::integrity("the gate was asked and gave no verdict"))?;
    let stops: Vec<_> = records.iter().filter(|r| !r.verdict().passes()).collect();
    if let Some(verdict) = stops.first().map(|r| r.id) {
        let mut reasons: Vec<_> = stops
            .iter()
            .flat_map(|r| r.reasons(Verdict::Block))
            .collect();
        reasons.dedup();
        return Ok(Admission::Blocked { verdict, reasons });
    }
    let mut reasons = choke::standing_kill(unit, env, &directive.contract, target)?;
    reasons.extend(choke::standing_approval(unit, env, directive, target)?);
    reasons.extend(choke::standing_conflict(unit, env, directive, target)?);
    reasons.extend(choke::standing_residency(unit, env, target));
    if reasons.is_empty() {
        match choke::held(unit, env, directive, target, step)? {
            Ok(reservation) => {
                let permit = issue(
                    unit,
                    env,
                    directive,
                    target,
                    step,
                    attempt,
                    &records,
                    reservation,
                )?;
                return Ok(Admission::Permitted(permit));
            }
            Err(reason) => reasons.push(reason),
        }
    }
    withhold(unit, &first, attempt, reasons)
}

/// Records why no permit is given although the verdict would let one; once,
/// while the reasons stay the same.
fn withhold(
    unit: &mut Unit<'_>,
    record: &VerdictRecord,
    attempt: u32,
    reasons: Vec<String>,
) -> Result<Admission, Refusal> {
    let verdict = record.id;
    if record.withheld != reasons {
        let event = VerdictEvent::Withheld(Withheld {
            attempt,
            reasons: reasons.clone(),
        });
        because_of(unit, record.entry, |unit| {
            unit.record::<VerdictRecord>(verdict, event)
        })?;
    }
    Ok(Admission::Blocked { verdict, reasons })
}

#[expect(
    clippy::too_many_arguments,
    reason = "a permit names everything that it rests on"
)]
fn issue(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    directive: &Directive,
    target: &Target<'_>,
    step: &Step,
    attempt: u32,
    records: &[Arc<VerdictRecord>],
    reservation: ReservationId,
) -> Result<Permit, Refusal> {
    let ctx = unit.ctx();
    let id: PermitId = ctx.next_id();
    let (purpose, end) = match target {
        Target::Compensation(..) => (Purpose::Compensation, None),
        Target::Plan | Target::Step(_) => (Purpose::Step, Some(directive.expires_at)),
    };
    let lasts = ctx.now.plus(permit::VALID_FOR);
    let capability = env.capabilities.get(&step.module);
    let module_version = capability
        .map(|c| c.version.clone())
        .ok_or_else(|| Refusal::integrity("the gate let a module through that nobody knows"))?;
    let run = directive
        .run
        .ok_or_else(|| Refusal::integrity("a directive executes without a run"))?;
    let cause = records
        .last()
        .map_or(directive.entry, |record| record.entry);
    let issued = Issued {
        permit: id,
        directive: directive.id,
        digest: directive.digest,
        run,
        target: target.name(directive.round),
        attempt,
        module: step.module.clone(),
        module_version: Some(module_version.clone()),
        arguments: Digest::of_value("writ.arguments.v1", &step.input)?,
        verdicts: records.iter().map(|r| r.id).collect(),
        snapshot: directive.contract.snapshot,
        policy: env.rules.policy.hash(),
        reservation,
        subject: directive.contract.subject().cloned(),
        expires_at: end.map_or(lasts, |end| lasts.min(end)),
    };
    let (entry, record) = because_of(unit, cause, |unit| {
        unit.record::<PermitRecord>(id, PermitEvent::Issued(issued))
    })?;
    let issued = &record.issued;
    Ok(Permit {
        id,
        tenant: unit.ctx().tenant,
        directive: issued.directive,
        digest: issued.digest,
        step: step.id.clone(),
        purpose,
        module: issued.module.clone(),
        module_version,
        issued_by: directive.contract.issued_by.clone(),
        arguments: issued.arguments,
        snapshot: issued.snapshot,
        policy: issued.policy,
        reservation: issued.reservation,
        expires_at: issued.expires_at,
        entry,
    })
}
