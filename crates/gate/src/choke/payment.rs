//! The budget's part of a verdict: a plan is only assessed; a step's cost is
//! set aside once, under an id that follows from directive and target, so that
//! asking again finds it.

use super::{Matter, Target};
use crate::budget::{self, Ask, Outcome, Reservation, ReservationStatus, Scope};
use crate::contract::{CostClass, Step};
use crate::residency::{self, Reached};
use crate::verdict::CheckResult;
use crate::{Directive, GateEnv};
use kernel::{Digest, Money, Refusal, ReservationId, Span, Unit, Verdict};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;

/// Most reservations that one target may use up, one after the other.
const RESERVATIONS_MAX: u32 = 64;
/// The least time that a reservation is held.
const LEASE_MIN: Span = Span::from_secs(300);

/// What is to happen with the cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payment {
    /// It is assessed.
    Preview,
    /// It is set aside, if it can be.
    Reserve,
}

#[derive(Serialize)]
struct Place<'a> {
    directive: kernel::DirectiveId,
    digest: Digest,
    target: &'a str,
    count: u32,
}

/// The id of the `count`th reservation of a target, from 1: a UUIDv8 (RFC
/// 9562) of SHA-256 over `writ.reservation.v1`, a line feed and the canonical
/// JSON of directive, digest, target and count.
fn reservation_id(
    directive: &Directive,
    target: &Target<'_>,
    count: u32,
) -> Result<ReservationId, Refusal> {
    let place = Place {
        directive: directive.id,
        digest: directive.digest,
        target: &target.name(1),
        count,
    };
    let Digest(hash) = Digest::of_value("writ.reservation.v1", &place)?;
    let bytes = hash.first_chunk::<16>().copied().unwrap_or_default();
    Ok(ReservationId(
        uuid::Builder::from_custom_bytes(bytes).into_uuid(),
    ))
}

/// The reservation of a target that is held, or else the id for the next one.
enum Slot {
    Held(ReservationId, Verdict, String),
    Free(ReservationId),
}

fn slot(unit: &mut Unit<'_>, directive: &Directive, target: &Target<'_>) -> Result<Slot, Refusal> {
    for count in 1..=RESERVATIONS_MAX {
        let id = reservation_id(directive, target, count)?;
        match unit.find::<Reservation>(id)? {
            None => return Ok(Slot::Free(id)),
            Some(r) if r.status == ReservationStatus::Held => {
                return Ok(Slot::Held(id, r.verdict, r.reason.clone()));
            }
            Some(_) => {}
        }
    }
    Err(Refusal::limit(format!(
        "`{}` used up {RESERVATIONS_MAX} reservations",
        target.name(1)
    ))
    .hint("abort the directive and draft a new one"))
}

fn ask(
    unit: &Unit<'_>,
    directive: &Directive,
    reservation: ReservationId,
    (tool, class, amount): (&str, CostClass, Money),
    reached: Vec<Reached>,
) -> Result<Ask, Refusal> {
    let contract = &directive.contract;
    let subject = contract
        .subject()
        .ok_or_else(|| Refusal::integrity("a directive without a subject"))?;
    Ok(Ask {
        reservation,
        amount,
        cost_class: class,
        directive: Some(directive.id),
        subject: Some(subject.clone()),
        tool: tool.to_owned(),
        agent: contract.issued_by.clone(),
        // Runs survive a crash and find their reservation again, so it is held
        // as long as they may last.
        lease: directive.expires_at.since(unit.ctx().now).max(LEASE_MIN),
        justification: contract.justification().map(str::to_owned),
        model: None,
        tokens: 0,
        outside: false,
        reached,
    })
}

fn result(outcome: &Outcome, amount: Money) -> CheckResult {
    CheckResult {
        check: "budget".to_owned(),
        verdict: outcome.verdict,
        reason: outcome.reason.clone(),
        inputs: json!({
            "amount": amount,
            "reservation": outcome.reservation,
            "budgets": outcome.findings,
        }),
        runbook: None,
    }
}

fn unknown(module: &str) -> CheckResult {
    CheckResult {
        check: "budget".to_owned(),
        verdict: Verdict::Block,
        reason: format!("no module `{module}` is registered, so its cost class is unknown"),
        inputs: json!({ "module": module }),
        runbook: None,
    }
}

/// Assesses or sets aside what the target costs.
pub(super) fn pay(
    unit: &mut Unit<'_>,
    matter: &Matter<'_>,
    payment: Payment,
) -> Result<(CheckResult, Option<ReservationId>), Refusal> {
    let Some(step) = matter.target.step() else {
        return Ok((plan(unit, matter)?, None));
    };
    let Some(capability) = matter.env.capabilities.get(&step.module) else {
        return Ok((unknown(&step.module), None));
    };
    let (env, directive) = (matter.env, matter.directive);
    let id = match slot(unit, directive, matter.target)? {
        Slot::Held(id, verdict, reason) => {
            let inputs = json!({ "amount": step.cost, "reservation": id });
            let check = CheckResult {
                check: "budget".to_owned(),
                verdict,
                reason: format!("already set aside: {reason}"),
                inputs,
                runbook: None,
            };
            return Ok((check, Some(id)));
        }
        Slot::Free(id) => id,
    };
    let terms = (step.module.as_str(), capability.cost_class, step.cost);
    let reached = residency::reached(env.rules, step, env.capabilities);
    let ask = ask(unit, directive, id, terms, reached)?;
    let outcome = match payment {
        Payment::Preview => budget::preview(unit, &env.rules.budgets, &ask)?,
        Payment::Reserve => budget::reserve(unit, &env.rules.budgets, ask)?,
    };
    Ok((result(&outcome, step.cost), outcome.reservation))
}

/// The reservation that pays for a step whose verdicts were given before: the
/// one that is held, or a new one where that was settled, released or ran out.
/// `Err` in the answer says why there is none.
pub(crate) fn held(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    directive: &Directive,
    target: &Target<'_>,
    step: &Step,
) -> Result<Result<ReservationId, String>, Refusal> {
    let id = match slot(unit, directive, target)? {
        Slot::Held(id, _, _) => return Ok(Ok(id)),
        Slot::Free(id) => id,
    };
    let Some(capability) = env.capabilities.get(&step.module) else {
        return Ok(Err(unknown(&step.module).reason));
    };
    let terms = (step.module.as_str(), capability.cost_class, step.cost);
    let reached = residency::reached(env.rules, step, env.capabilities);
    let ask = ask(unit, directive, id, terms, reached)?;
    // Assessed first: a refusal would use up an id at every attempt.
    let outcome = budget::preview(unit, &env.rules.budgets, &ask)?;
    if !outcome.verdict.passes() {
        return Ok(Err(outcome.reason));
    }
    let outcome = budget::reserve(unit, &env.rules.budgets, ask)?;
    Ok(outcome.reservation.ok_or(outcome.reason))
}

/// A plan: per module what its steps cost together, and over all of them the
/// budgets that do not count by tool.
fn plan(unit: &mut Unit<'_>, matter: &Matter<'_>) -> Result<CheckResult, Refusal> {
    let (env, directive) = (matter.env, matter.directive);
    let contract = &directive.contract;
    let total = contract.cost()?;
    let mut per_module: BTreeMap<&str, (CostClass, Money)> = BTreeMap::new();
    let mut costliest = CostClass::Cheap;
    for step in &contract.steps {
        let Some(capability) = env.capabilities.get(&step.module) else {
            return Ok(unknown(&step.module));
        };
        costliest = costliest.max(capability.cost_class);
        let sum = match per_module.get(step.module.as_str()) {
            Some((_, sum)) => sum.plus(&step.cost)?,
            None => step.cost,
        };
        per_module.insert(&step.module, (capability.cost_class, sum));
    }
    let id = reservation_id(directive, matter.target, 1)?;
    let mut worst: Option<Outcome> = None;
    for (module, (class, sum)) in &per_module {
        let ask = ask(unit, directive, id, (module, *class, *sum), Vec::new())?;
        let outcome = budget::preview(unit, &env.rules.budgets, &ask)?;
        keep_worse(&mut worst, outcome);
    }
    if let (true, Some(module)) = (per_module.len() > 1, per_module.keys().next()) {
        let ask = ask(unit, directive, id, (module, costliest, total), Vec::new())?;
        let mut outcome = budget::preview(unit, &env.rules.budgets, &ask)?;
        let by_tool = |name: &str| {
            let mut all = env.rules.budgets.budgets.iter();
            all.any(|b| b.name == name && b.scope == Scope::Tool)
        };
        outcome.findings.retain(|line| !by_tool(&line.budget));
        if let Some(line) = outcome.findings.iter().max_by_key(|line| line.verdict) {
            outcome.verdict = line.verdict;
            outcome.reason.clone_from(&line.reason);
            keep_worse(&mut worst, outcome);
        }
    }
    let outcome = worst.ok_or_else(|| Refusal::integrity("a plan without steps"))?;
    Ok(result(&outcome, total))
}

fn keep_worse(worst: &mut Option<Outcome>, outcome: Outcome) {
    if worst.as_ref().is_none_or(|w| outcome.verdict > w.verdict) {
        *worst = Some(outcome);
    }
}
