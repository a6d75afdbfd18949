//! The checks of a verdict besides budget: validators, residency, conflicts,
//! policy, approval and kill switch. Each always answers.

use super::{Matter, Target};
use crate::approval::{self, settings};
use crate::autonomy::least_confidence;
use crate::contract::{Contract, CostClass, Step};
use crate::operations::uncounted;
use crate::permit::Purpose;
use crate::policy::{self, Facts};
use crate::residency;
use crate::validate;
use crate::verdict::CheckResult;
use crate::{ActionClass, Approval, ChokePoint, Directive, GateEnv, autonomy, conflict, kill};
use kernel::names::Name;
use kernel::{Actor, PrincipalKind, Refusal, Snapshot, Span, Unit, Verdict};
use serde_json::{Value, json};

fn result(check: &str, verdict: Verdict, reason: impl Into<String>, inputs: Value) -> CheckResult {
    CheckResult {
        check: check.to_owned(),
        verdict,
        reason: reason.into(),
        inputs,
        runbook: None,
    }
}

fn blocked_unless_empty(check: &str, fine: &str, faults: &[String], inputs: Value) -> CheckResult {
    match faults.is_empty() {
        true => result(check, Verdict::Allow, fine, inputs),
        false => result(check, Verdict::Block, faults.join("; "), inputs),
    }
}

/// The validators, in their order: the four, then those of the pack. Without
/// the snapshot each blocks.
pub(super) fn validators(matter: &Matter<'_>) -> Vec<CheckResult> {
    let contract = &matter.directive.contract;
    let rules = matter.env.rules;
    let Some(snapshot) = &matter.snapshot else {
        let missing = |name: &str| {
            let reason = format!("no snapshot `{}` is on record", contract.snapshot);
            let inputs = json!({ "snapshot": contract.snapshot });
            result(name, Verdict::Block, reason, inputs)
        };
        return validate::names(&rules.validators).map(missing).collect();
    };
    let input = validate::Input {
        contract,
        step: matter.target.step(),
        snapshot,
        now: matter.at,
        settings: &rules.validators,
        conditions: &rules.conditions,
    };
    let own = |name: &str| rules.validators.rules.iter().any(|rule| rule.name == name);
    let findings = validate::run_all(&input).into_iter();
    findings
        .map(|finding| CheckResult {
            runbook: finding.runbook.filter(|_| own(&finding.validator)),
            ..result(
                &finding.validator,
                finding.verdict,
                finding.reason,
                finding.inputs,
            )
        })
        .collect()
}

/// Where data would go, and where this node keeps it.
pub(super) fn residency(matter: &Matter<'_>) -> CheckResult {
    let steps: Vec<&Step> = match matter.target.step() {
        Some(step) => vec![step],
        None => matter.directive.contract.steps.iter().collect(),
    };
    let answer = residency::check(&residency::Question {
        rules: matter.env.rules,
        steps: &steps,
        capabilities: matter.env.capabilities,
        at: matter.at,
    });
    result("residency", answer.verdict, answer.reason, answer.inputs)
}

/// Why the target may not reach what it would reach now; empty when it may.
/// Checked again at every attempt: an attestation ends. What undoes a step is
/// judged once, as of the time at which the directive began.
pub(crate) fn standing_residency(
    unit: &Unit<'_>,
    env: &GateEnv<'_>,
    target: &Target<'_>,
) -> Vec<String> {
    match target {
        Target::Plan | Target::Compensation(..) => Vec::new(),
        Target::Step(step) => residency::standing(&residency::Question {
            rules: env.rules,
            steps: &[step],
            capabilities: env.capabilities,
            at: unit.ctx().now,
        }),
    }
}

/// Who else changes the subjects, and was asked for before. A plan may wait for
/// them; a step may not come before them.
pub(super) fn conflict(unit: &mut Unit<'_>, matter: &Matter<'_>) -> Result<CheckResult, Refusal> {
    let (env, directive) = (matter.env, matter.directive);
    if matter.target.step().is_some() {
        let faults = standing_conflict(unit, env, directive, matter.target)?;
        let fine = "nobody else changes its subjects";
        return Ok(blocked_unless_empty("conflict", fine, &faults, json!({})));
    }
    let found = conflict::check(unit, env, directive)?;
    let inputs = json!({ "with": found.with });
    let fine = match found.waits.first() {
        None => "nobody else changes its subjects".to_owned(),
        Some(first) if found.waits.len() == 1 => format!("it waits: {first}"),
        Some(first) => format!("it waits: {first}; and {} more", found.waits.len() - 1),
    };
    Ok(blocked_unless_empty(
        "conflict",
        &fine,
        &found.blocks,
        inputs,
    ))
}

/// Why the target may not change its subjects now; empty when it may. Checked
/// again at every attempt. What undoes a step is part of what was begun.
pub(crate) fn standing_conflict(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    directive: &Directive,
    target: &Target<'_>,
) -> Result<Vec<String>, Refusal> {
    match target {
        Target::Plan | Target::Compensation(..) => Ok(Vec::new()),
        Target::Step(_) => conflict::standing(unit, env, directive),
    }
}

/// What policy answered.
pub(super) struct Policy {
    pub(super) result: CheckResult,
    pub(super) determining: Vec<String>,
    pub(super) asked: Vec<policy::Request>,
    pub(super) shadow: Option<CheckResult>,
}

/// Policy, asked once per step and destination; the worst answer counts. The
/// set that runs in shadow is asked the same.
pub(super) fn policy(
    matter: &Matter<'_>,
    point: ChokePoint,
    (approved_by, alone): (Option<&Actor>, bool),
) -> Policy {
    let rules = matter.env.rules;
    let asked = match questions(matter, point, approved_by, alone) {
        Ok(asked) => asked,
        Err(reason) => {
            let inputs = json!({ "policy": rules.policy.hash() });
            return Policy {
                result: result("policy", Verdict::Block, reason, inputs),
                determining: Vec::new(),
                asked: Vec::new(),
                shadow: None,
            };
        }
    };
    let answer = rules.policy.decide_all(&asked);
    let checked = |check: &str, set: &policy::PolicySet, answer: &policy::Decision| {
        let mut inputs = json!({
            "policy": set.hash(),
            "determining": answer.determining,
            "errors": answer.errors,
        });
        let mut reason = answer.reason(point.name());
        if let (Some(told), Some(inputs)) = (&matter.history, inputs.as_object_mut()) {
            inputs.insert("history".to_owned(), told.values.clone().into());
            if !told.pending.is_empty() && !answer.errors.is_empty() {
                let pending = told.pending.join("`, `");
                reason = format!(
                    "{reason}: `{pending}` is still counted back from the ledger; ask again"
                );
            }
        }
        result(check, answer.verdict, reason, inputs)
    };
    let shadow = rules.shadow.as_ref();
    Policy {
        result: checked("policy", &rules.policy, &answer),
        shadow: shadow.map(|set| checked("policy_shadow", set, &set.decide_all(&asked))),
        determining: answer.determining,
        asked,
    }
}

/// What policy is asked: one question for each step and destination.
fn questions(
    matter: &Matter<'_>,
    point: ChokePoint,
    approved_by: Option<&Actor>,
    autonomous: bool,
) -> Result<Vec<policy::Request>, String> {
    let contract = &matter.directive.contract;
    let (Some(snapshot), Some(subject)) = (&matter.snapshot, contract.subject()) else {
        return Err("there is no snapshot to ask policy about".to_owned());
    };
    let steps: Vec<&Step> = match matter.target.step() {
        Some(step) => vec![step],
        None => contract.steps.iter().collect(),
    };
    let mut asked = Vec::new();
    for step in steps {
        let Some(capability) = matter.env.capabilities.get(&step.module) else {
            return Err(format!("no module `{}` is registered", step.module));
        };
        for destination in destinations(step) {
            let facts = Facts {
                cost: match matter.target {
                    Target::Plan => contract.budget,
                    _ => step.cost,
                },
                budget: contract.budget,
                steps: contract.steps.len(),
                snapshot_age: age(snapshot, matter),
                confidence: least_confidence(snapshot),
                justification: contract.justification().map(str::to_owned),
                approved_by: approved_by.cloned(),
                autonomous,
                destination,
                history: matter.history.as_ref().map(|told| told.values.clone()),
            };
            asked.push(policy::Request {
                principal: contract.issued_by.clone(),
                roles: matter.directive.issuer_roles.clone(),
                action: point.name().to_owned(),
                resource: policy::Resource {
                    directive_kind: contract.kind.clone(),
                    module: step.module.clone(),
                    subject: subject.clone(),
                    action_class: settings::stronger(
                        contract.action_class,
                        capability.action_class,
                    ),
                    cost_class: capability.cost_class,
                },
                context: facts.context(),
            });
        }
    }
    Ok(asked)
}

/// The hosts that a step would reach; one `None` when it reaches none.
fn destinations(step: &Step) -> Vec<Option<String>> {
    let hosts = validate::destinations(step);
    match hosts.is_empty() {
        true => vec![None],
        false => hosts.into_iter().map(Some).collect(),
    }
}

fn age(snapshot: &Snapshot, matter: &Matter<'_>) -> Span {
    let oldest = snapshot.fields.values().map(|b| b.claim.observed_at).min();
    oldest.map_or(Span::ZERO, |t| matter.at.since(t))
}

/// The person who approved the directive, where one did.
pub(super) fn approved_by(
    unit: &mut Unit<'_>,
    matter: &Matter<'_>,
) -> Result<Option<Actor>, Refusal> {
    let (Some(id), Some(_)) = (matter.directive.approval, matter.target.step()) else {
        return Ok(None);
    };
    let approval = unit.find::<Approval>(id)?;
    let last = approval.and_then(|a| a.votes.last().map(|v| v.by.clone()));
    Ok(last.filter(|by| by.kind == PrincipalKind::Human))
}

/// The approval: for a plan whether a person is needed, for a step whether one
/// is in force.
pub(super) fn approval(unit: &mut Unit<'_>, matter: &Matter<'_>) -> Result<CheckResult, Refusal> {
    let (env, directive) = (matter.env, matter.directive);
    if matter.target.step().is_some() {
        let faults = standing_approval(unit, env, directive, matter.target)?;
        let inputs = json!({ "approval": directive.approval, "expires_at": directive.expires_at });
        let fine = "approved, and nothing it was bound to has changed";
        return Ok(blocked_unless_empty("approval", fine, &faults, inputs));
    }
    let because = needed(unit, env, directive)?;
    let reason = match because.is_empty() {
        true => "no rule asks for a person".to_owned(),
        false => format!("a person must agree: {}", because.join("; ")),
    };
    let inputs = json!({ "because": because });
    Ok(result("approval", Verdict::Allow, reason, inputs))
}

/// Why a person must agree to the directive; empty when none must.
fn needed(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    directive: &Directive,
) -> Result<Vec<String>, Refusal> {
    let (contract, allow) = (&directive.contract, Verdict::Allow);
    let rules = &env.rules.approvals;
    settings::needs_approval(contract, env.capabilities, rules, allow, || {
        autonomy::lacking(unit, env, directive)
    })
}

/// Why an approval that nobody gave counts no more; empty while it does, and
/// for what people approved. Autonomy that is lost is lost at once.
pub(crate) fn unearned(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    directive: &Directive,
    approval: &Approval,
) -> Result<Vec<String>, Refusal> {
    if approval.request.needed > 0 {
        return Ok(Vec::new());
    }
    let because = needed(unit, env, directive)?.into_iter();
    Ok(because
        .map(|why| format!("it may no longer go without a person: {why}"))
        .collect())
}

/// Whether the directive changes state without a person, because its type has
/// earned it.
pub(super) fn goes_alone(unit: &mut Unit<'_>, matter: &Matter<'_>) -> Result<bool, Refusal> {
    let (env, directive) = (matter.env, matter.directive);
    let kind = &directive.contract.kind;
    let mutates = settings::effective_class(&directive.contract, env.capabilities)
        == ActionClass::InternalMutation;
    if !mutates || !env.rules.approvals.autonomous.contains_key(kind) {
        return Ok(false);
    }
    if matter.target.step().is_some()
        && let Some(id) = directive.approval
        && unit.find::<Approval>(id)?.is_some_and(|a| a.human_override)
    {
        return Ok(false);
    }
    Ok(autonomy::lacking(unit, env, directive)?.is_empty())
}

/// Why no approval is in force for the target now; empty when one is. Checked
/// again at every attempt.
pub(crate) fn standing_approval(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    directive: &Directive,
    target: &Target<'_>,
) -> Result<Vec<String>, Refusal> {
    let approval = match directive.approval {
        Some(id) => unit.find::<Approval>(id)?,
        None => None,
    };
    let Some(approval) = approval else {
        return Ok(vec!["no approval is in force".to_owned()]);
    };
    let bound = &approval.request.binding;
    // What was agreed to is undone under the rules of its time: a new rule
    // must not strand a change half-way.
    let (rules, now) = match target {
        Target::Compensation(..) => (bound.rules, directive.drafted_at),
        Target::Plan | Target::Step(_) => (env.rules.hash, unit.ctx().now),
    };
    let mut faults = approval.faults(approval::Status::Used, directive.digest, rules);
    if !matches!(target, Target::Compensation(..)) {
        faults.extend(uncounted(unit, &approval)?);
    }
    if directive.is_over_at(now) {
        faults.push(format!("the timebox ended at {}", directive.expires_at));
    }
    if !matches!(target, Target::Compensation(..)) {
        faults.extend(unearned(unit, env, directive, &approval)?);
    }
    Ok(faults)
}

/// The kill switch: blocks a step, and warns of a plan.
pub(super) fn kill_switch(
    unit: &mut Unit<'_>,
    matter: &Matter<'_>,
) -> Result<CheckResult, Refusal> {
    let contract = &matter.directive.contract;
    if matter.target.step().is_some() {
        let faults = standing_kill(unit, matter.env, contract, matter.target)?;
        let fine = "not engaged for this step";
        return Ok(blocked_unless_empty(
            "kill_switch",
            fine,
            &faults,
            json!({}),
        ));
    }
    for step in &contract.steps {
        if let Some(stopped) = kill::stops(
            unit,
            matter.env.everywhere,
            &step.module,
            &contract.issued_by,
        )? {
            let reason = format!("no step would start now: {stopped}");
            let inputs = json!({ "stopped_by": stopped });
            return Ok(result("kill_switch", Verdict::Warn, reason, inputs));
        }
    }
    Ok(result(
        "kill_switch",
        Verdict::Allow,
        "not engaged",
        json!({}),
    ))
}

/// What the kill switch says of the target now; empty when it lets it go.
/// Checked again at every attempt.
pub(crate) fn standing_kill(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    contract: &Contract,
    target: &Target<'_>,
) -> Result<Vec<String>, Refusal> {
    let Some(step) = target.step() else {
        return Ok(Vec::new());
    };
    let (module, issuer) = (&step.module, &contract.issued_by);
    let stopped = match target {
        Target::Compensation(..) => {
            kill::current(unit)?.bars(Purpose::Compensation, module, issuer)
        }
        Target::Plan | Target::Step(_) => kill::stops(unit, env.everywhere, module, issuer)?,
    };
    Ok(stopped.iter().map(ToString::to_string).collect())
}

/// The choke points that a step with this module must pass. A module that
/// nobody knows must pass them all.
pub(crate) fn points(env: &GateEnv<'_>, module: &str) -> Vec<ChokePoint> {
    let capability = env.capabilities.get(module);
    let mut points = vec![ChokePoint::StepExecution];
    if capability.is_none_or(|c| c.writes_outside) {
        points.push(ChokePoint::ExternalWrite);
    }
    if capability.is_none_or(|c| c.cost_class == CostClass::Expensive) {
        points.push(ChokePoint::ExpensiveOperation);
    }
    points
}
