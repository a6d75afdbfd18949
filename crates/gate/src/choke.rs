//! The choke points: how a verdict is reached and recorded (GATE-3, GATE-4).
//! Four validators on one bound snapshot at one evaluation time, then residency,
//! conflicts, policy, budget, approval and kill switch; none cuts the others short, and a missing
//! input blocks. Asked again with the same question, the recorded verdict
//! stands and nothing is charged again.

mod checks;
mod past;
mod payment;

pub(crate) use checks::{
    points, standing_approval, standing_conflict, standing_kill, standing_residency, unearned,
};
pub(crate) use payment::{Payment, held};

use crate::contract::Step;
use crate::history::Told;
use crate::operations::because_of;
use crate::verdict::{CheckResult, Given, Question, VerdictEvent};
use crate::{ChokePoint, Directive, GateEnv, VerdictRecord, autonomy};
use kernel::{Refusal, ReservationId, Snapshot, Timestamp, Unit, Verdict};
use std::sync::Arc;

/// What is about to be done.
#[derive(Clone, Debug)]
pub(crate) enum Target<'a> {
    /// The whole plan is to be approved.
    Plan,
    /// A step is to be executed.
    Step(&'a Step),
    /// A step is to be undone by what stands in the second place: a module and
    /// its input, in the form of a step.
    Compensation(&'a Step, &'a Step),
}

impl<'a> Target<'a> {
    /// The step whose module is to be called.
    pub(crate) fn step(&self) -> Option<&'a Step> {
        match self {
            Self::Plan => None,
            Self::Step(step) | Self::Compensation(_, step) => Some(step),
        }
    }

    /// Its name in verdicts and permits. From the second round on, the round
    /// is part of it: who retries or resumes asks afresh.
    pub(crate) fn name(&self, round: u32) -> String {
        let name = match self {
            Self::Plan => "plan".to_owned(),
            Self::Step(step) => format!("step/{}", step.id),
            Self::Compensation(of, _) => format!("compensation/{}", of.id),
        };
        match round {
            0 | 1 => name,
            round => format!("{name}#{round}"),
        }
    }
}

/// The question about this target at this choke point.
pub(crate) fn question(
    directive: &Directive,
    choke_point: ChokePoint,
    target: &Target<'_>,
    round: u32,
) -> Question {
    Question {
        directive: directive.id,
        digest: directive.digest,
        choke_point,
        target: target.name(round),
        snapshot: directive.contract.snapshot,
    }
}

/// What all checks of one asking look at.
pub(crate) struct Matter<'a> {
    pub(crate) env: &'a GateEnv<'a>,
    pub(crate) directive: &'a Directive,
    pub(crate) target: &'a Target<'a>,
    pub(crate) snapshot: Option<Arc<Snapshot>>,
    /// The one time at which everything is evaluated.
    pub(crate) at: Timestamp,
    /// What the ledger tells of before; `None` where the pack has no facts.
    pub(crate) history: Option<Told>,
}

/// Asks at one choke point.
pub(crate) fn ask(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    directive: &Directive,
    point: ChokePoint,
    target: &Target<'_>,
) -> Result<Arc<VerdictRecord>, Refusal> {
    let records = ask_all(unit, env, directive, &[point], target)?;
    let first = records.into_iter().next();
    first.ok_or_else(|| Refusal::integrity("the gate was asked and gave no verdict"))
}

/// Asks at several choke points about the same target. Budget is reserved
/// once, and only when nothing at any of them blocks.
pub(crate) fn ask_all(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    directive: &Directive,
    points: &[ChokePoint],
    target: &Target<'_>,
) -> Result<Vec<Arc<VerdictRecord>>, Refusal> {
    let mut asked = Vec::with_capacity(points.len());
    for point in points {
        let question = question(directive, *point, target, directive.round);
        let id = question.id()?;
        asked.push((question, id, unit.find::<VerdictRecord>(id)?));
    }
    if asked.iter().any(|(_, _, found)| found.is_none()) {
        let matter = Matter {
            history: past::told(unit, env, directive, target)?,
            env,
            directive,
            target,
            snapshot: unit.find::<Snapshot>(directive.contract.snapshot)?,
            // A declared compensation is part of the plan that was approved
            // and begun, and so is judged as of that time: what has grown old
            // since must not keep a half-done change in the world.
            at: match target {
                Target::Compensation(..) => directive.started_at.unwrap_or(unit.ctx().now),
                Target::Plan | Target::Step(_) => unit.ctx().now,
            },
        };
        judge(unit, &matter, &mut asked)?;
    }
    Ok(asked
        .into_iter()
        .filter_map(|(_, _, found)| found)
        .collect())
}

type Asked = (Question, kernel::VerdictId, Option<Arc<VerdictRecord>>);

fn judge(unit: &mut Unit<'_>, matter: &Matter<'_>, asked: &mut [Asked]) -> Result<(), Refusal> {
    let fresh: Vec<bool> = asked.iter().map(|(.., found)| found.is_none()).collect();
    let validators = checks::validators(matter);
    let approved_by = checks::approved_by(unit, matter)?;
    let alone = checks::goes_alone(unit, matter)?;
    let approval = checks::approval(unit, matter)?;
    let residency = checks::residency(matter);
    let conflict = checks::conflict(unit, matter)?;
    let kill = checks::kill_switch(unit, matter)?;
    let policies: Vec<_> = asked
        .iter()
        .map(|(question, _, _)| {
            let people = (approved_by.as_ref(), alone);
            checks::policy(matter, question.choke_point, people)
        })
        .collect();
    let clear = validators
        .iter()
        .chain([&residency, &conflict, &approval, &kill])
        .chain(policies.iter().map(|p| &p.result))
        .all(|r| r.verdict.passes())
        && asked
            .iter()
            .all(|(_, _, found)| found.as_ref().is_none_or(|r| r.verdict().passes()));
    let payment = match matter.target.step() {
        Some(_) if clear => Payment::Reserve,
        _ => Payment::Preview,
    };
    let (budget, reservation) = payment::pay(unit, matter, payment)?;
    for ((question, id, found), policy) in asked.iter_mut().zip(policies) {
        if found.is_some() {
            continue;
        }
        let mut results: Vec<CheckResult> = validators.clone();
        results.extend([
            residency.clone(),
            conflict.clone(),
            policy.result,
            budget.clone(),
            approval.clone(),
            kill.clone(),
        ]);
        let mut given = give(matter, question, results, policy.determining, reservation);
        (given.asked, given.shadow) = (policy.asked, policy.shadow);
        let record = because_of(unit, matter.directive.entry, |unit| {
            unit.record::<VerdictRecord>(*id, VerdictEvent::Given(Arc::new(given)))
        })?;
        autonomy::violated(unit, matter.env, matter.directive, &record.1)?;
        *found = Some(record.1);
    }
    past::record(unit, matter, asked, &fresh)
}

fn give(
    matter: &Matter<'_>,
    question: &Question,
    results: Vec<CheckResult>,
    determining: Vec<String>,
    reservation: Option<ReservationId>,
) -> Given {
    Given {
        question: question.clone(),
        verdict: Verdict::aggregate(results.iter().map(|r| r.verdict)),
        results,
        evaluated_at: matter.at,
        policy: matter.env.rules.policy.hash(),
        rules: matter.env.rules.hash,
        determining,
        reservation,
        subject: matter.directive.contract.subject().cloned(),
        asked: Vec::new(),
        shadow: None,
    }
}
