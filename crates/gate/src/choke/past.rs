//! What policy is told of before, and what the verdicts add to it.

use super::{Asked, Matter, Target, question};
use crate::contract::Step;
use crate::history::{Happened, Happening, Measure, Told, happened};
use crate::operations::because_of;
use crate::{ChokePoint, Directive, GateEnv, VerdictRecord, policy};
use kernel::{Refusal, Unit};
use serde_json::{Map, Value};

/// What the ledger tells of a directive; `None` where the pack has no facts.
/// A compensation is judged by the past that its step was let through with:
/// what has happened since must not keep a half-done change in the world.
pub(super) fn told(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    directive: &Directive,
    target: &Target<'_>,
) -> Result<Option<Told>, Refusal> {
    let facts = &env.rules.history;
    if facts.is_empty() {
        return Ok(None);
    }
    let now = unit.ctx().now;
    let mut told = facts.tell(unit, &directive.contract, now)?;
    if let Target::Compensation(of, _) = target
        && let Some(then) = then(unit, directive, of)?
    {
        for fact in facts.iter() {
            match (then.get(&fact.name), fact.measure) {
                (Some(value), _) => {
                    told.values.insert(fact.name.clone(), value.clone());
                    told.pending.retain(|name| *name != fact.name);
                }
                (None, Measure::SecondsSince) => drop(told.values.remove(&fact.name)),
                // It was not counted then.
                (None, Measure::Count) => {}
            }
        }
    }
    Ok(Some(told))
}

/// What policy was told when it let the step through last.
fn then(
    unit: &mut Unit<'_>,
    directive: &Directive,
    step: &Step,
) -> Result<Option<Map<String, Value>>, Refusal> {
    for round in (1..=directive.round).rev() {
        let asked = question(
            directive,
            ChokePoint::StepExecution,
            &Target::Step(step),
            round,
        );
        let record = unit.find::<VerdictRecord>(asked.id()?)?;
        if let Some(record) = record.filter(|r| r.verdict().passes()) {
            let first = record.given.asked.first();
            let told = first.and_then(|asked| asked.context.get(policy::HISTORY));
            return Ok(told.and_then(Value::as_object).cloned());
        }
    }
    Ok(None)
}

/// Records what verdicts that were given just now make of the past: that a
/// step was let through, or that something was blocked.
pub(super) fn record(
    unit: &mut Unit<'_>,
    matter: &Matter<'_>,
    asked: &[Asked],
    fresh: &[bool],
) -> Result<(), Refusal> {
    if matter.env.rules.history.is_empty() {
        return Ok(());
    }
    let given = asked.iter().zip(fresh).filter(|(_, fresh)| **fresh);
    let given: Vec<_> = given
        .filter_map(|((question, _, found), _)| Some((question.choke_point, found.as_ref()?)))
        .collect();
    let executes = given
        .iter()
        .any(|(point, _)| *point == ChokePoint::StepExecution);
    let (what, step) = match matter.target {
        _ if given.iter().any(|(_, r)| !r.verdict().passes()) => match matter.target {
            Target::Plan => (Happening::VerdictBlocked, None),
            Target::Step(step) | Target::Compensation(step, _) => {
                (Happening::VerdictBlocked, Some(*step))
            }
        },
        Target::Step(step) if executes => (Happening::StepPermitted, Some(*step)),
        _ => return Ok(()),
    };
    let contract = &matter.directive.contract;
    let capability = step.and_then(|step| matter.env.capabilities.get(&step.module));
    let happening = Happened {
        what,
        contract,
        step,
        cost_class: capability.map(|c| c.cost_class),
    };
    let cause = given
        .last()
        .map_or(matter.directive.entry, |(_, r)| r.entry);
    because_of(unit, cause, |unit| happened(unit, happening))
}
