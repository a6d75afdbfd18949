//! What moves a type of directive on the ladder. Counting and throwing back
//! happen in the unit of what is counted; signing off takes a person.

use super::assess::{self, Standing};
use super::{Against, Autonomy, AutonomyEvent, Granted, Opened, Ran, Rung, Terms, Withdrawn};
use crate::contract::bounded;
use crate::operations::because_of;
use crate::verdict::CheckResult;
use crate::{Approval, Directive, GateEnv, VerdictRecord, kill};
use kernel::{DirectiveId, PrincipalKind, Refusal, Role, Snapshot, Unit, Verdict};

/// The checks whose BLOCK is a violation: what was asked for is forbidden. The
/// others say that it cannot be done now.
const VIOLATIONS: [&str; 3] = ["policy", "compliance", "residency"];
const HANDS: &[Role] = &[Role::Operator, Role::Approver, Role::Admin];

/// Puts a type on the ladder that is not yet there.
pub(crate) fn open(unit: &mut Unit<'_>, env: &GateEnv<'_>, kind: &str) -> Result<(), Refusal> {
    let listed = env.rules.approvals.autonomous.contains_key(kind);
    if !listed || unit.find::<Autonomy>(kind)?.is_some() {
        return Ok(());
    }
    let kind = kind.to_owned();
    let event = AutonomyEvent::Opened(Opened { kind: kind.clone() });
    unit.record::<Autonomy>(kind, event).map(drop)
}

/// Counts a directive that was completed, where its type is on the ladder.
pub(crate) fn ran(unit: &mut Unit<'_>, directive: &Directive) -> Result<(), Refusal> {
    let kind = &directive.contract.kind;
    if unit.find::<Autonomy>(kind)?.is_none() {
        return Ok(());
    }
    let approval = match directive.approval {
        Some(id) => unit.find::<Approval>(id)?,
        None => None,
    };
    let snapshot = unit.get::<Snapshot>(directive.contract.snapshot)?;
    let event = AutonomyEvent::Ran(Ran {
        directive: directive.id,
        human_approved: approval.is_some_and(|a| a.human_override),
        confidence: assess::least_confidence(&snapshot),
    });
    unit.record::<Autonomy>(kind, event).map(drop)
}

/// Throws a type back whose run did not succeed, or was undone by a person,
/// where it is on the ladder.
///
/// # Errors
/// When there is no such directive, or storage does not answer.
pub fn setback(unit: &mut Unit<'_>, id: DirectiveId, reason: &str) -> Result<(), Refusal> {
    let directive = unit.get::<Directive>(id)?;
    let kind = &directive.contract.kind;
    if unit.find::<Autonomy>(kind)?.is_none() {
        return Ok(());
    }
    let event = AutonomyEvent::Failed(Against {
        directive: id,
        verdict: None,
        reason: reason.to_owned(),
    });
    unit.record::<Autonomy>(kind, event).map(drop)
}

/// Throws a type back when a verdict blocked for a reason that is a violation,
/// where it is on the ladder.
pub(crate) fn violated(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    directive: &Directive,
    record: &VerdictRecord,
) -> Result<(), Refusal> {
    let against =
        |r: &&CheckResult| r.verdict == Verdict::Block && VIOLATIONS.contains(&r.check.as_str());
    let Some(found) = record.given.results.iter().find(against) else {
        return Ok(());
    };
    let kind = &directive.contract.kind;
    open(unit, env, kind)?;
    if unit.find::<Autonomy>(kind)?.is_none() {
        return Ok(());
    }
    let event = AutonomyEvent::Violated(Against {
        directive: directive.id,
        verdict: Some(record.id),
        reason: format!("{}: {}", found.check, found.reason),
    });
    because_of(unit, record.entry, |unit| {
        unit.record::<Autonomy>(kind, event)
    })?;
    Ok(())
}

/// Why this directive may not change state without a person; empty when it
/// may.
pub(crate) fn lacking(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    directive: &Directive,
) -> Result<Vec<String>, Refusal> {
    let contract = &directive.contract;
    let Some(terms) = env.rules.approvals.autonomous.get(&contract.kind) else {
        return Ok(vec![format!(
            "it changes state, and no rule lets `{}` do so alone",
            contract.kind
        )]);
    };
    let mut why = standing(unit, &contract.kind, terms)?.lacks();
    let snapshot = unit.find::<Snapshot>(contract.snapshot)?;
    let unfit = assess::unfit(terms, contract, env.capabilities, snapshot.as_deref());
    why.extend(unfit);
    Ok(why)
}

fn standing(unit: &mut Unit<'_>, kind: &str, terms: &Terms) -> Result<Standing, Refusal> {
    let record = unit.find::<Autonomy>(kind)?;
    let switch = kill::current(unit)?;
    assess::assess(kind, terms, record.as_deref(), &switch, unit.ctx().now)
}

/// Where every type on the ladder stands.
///
/// # Errors
/// When storage does not answer.
pub fn ladder(unit: &mut Unit<'_>, env: &GateEnv<'_>) -> Result<Vec<Standing>, Refusal> {
    let listed = env.rules.approvals.autonomous.iter();
    listed
        .map(|(kind, terms)| standing(unit, kind, terms))
        .collect()
}

fn on_ladder<'a>(env: &'a GateEnv<'_>, kind: &str) -> Result<&'a Terms, Refusal> {
    let listed = &env.rules.approvals.autonomous;
    listed.get(kind).ok_or_else(|| {
        let known: Vec<_> = listed.keys().map(String::as_str).collect();
        Refusal::not_found(format!("no type `{kind}` is on the ladder")).hint(match known.len() {
            0 => "the pack's `approvals.yaml` names the types under `autonomous`".to_owned(),
            _ => format!("on it are: {}", known.join(", ")),
        })
    })
}

fn person(unit: &Unit<'_>, hands: &[Role], what: &str) -> Result<(), Refusal> {
    let ctx = unit.ctx();
    if ctx.actor.kind == PrincipalKind::Human && ctx.roles.iter().any(|r| hands.contains(r)) {
        return Ok(());
    }
    let names: Vec<String> = hands.iter().map(ToString::to_string).collect();
    Err(
        Refusal::forbidden(format!("`{}` may not {what}", ctx.actor)).hint(format!(
            "it takes a person with one of the roles: {}",
            names.join(", ")
        )),
    )
}

/// A person signs a type off of which everything else is proved: from here on
/// its directives may run without a person.
///
/// # Errors
/// When the actor is no person who may, gives no reason, the type is not on
/// the ladder, or something is not proved.
pub fn grant(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    kind: &str,
    reason: &str,
) -> Result<Standing, Refusal> {
    person(unit, &[Role::Admin], "grant autonomy")?;
    bounded("reason", reason)?;
    let terms = on_ladder(env, kind)?;
    let before = standing(unit, kind, terms)?;
    let lacks: Vec<String> = match before.rung {
        Rung::Autonomous => {
            return Err(Refusal::conflict(format!("`{kind}` is signed off already"))
                .hint("withdraw it first to sign it off anew"));
        }
        Rung::Eligible => Vec::new(),
        Rung::Supervised => {
            let mut proofs = before.proofs.iter();
            let _sign_off = proofs.next_back();
            proofs
                .filter(|p| !p.holds)
                .map(|p| p.text.clone())
                .collect()
        }
    };
    if !lacks.is_empty() {
        return Err(Refusal::conflict(format!(
            "the ledger does not prove enough of `{kind}`: {}",
            lacks.join("; ")
        ))
        .hint("let people approve its runs until it does"));
    }
    let event = AutonomyEvent::Granted(Granted {
        reason: reason.trim().to_owned(),
        terms: terms.digest()?,
        runs: before.record.map_or(0, |record| record.runs),
    });
    unit.record::<Autonomy>(kind, event)?;
    standing(unit, kind, terms)
}

/// A person takes the sign-off of a type back. What was counted stays.
///
/// # Errors
/// When the actor is no person who may, gives no reason, or the type is not
/// signed off.
pub fn withdraw(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    kind: &str,
    reason: &str,
) -> Result<Standing, Refusal> {
    person(unit, HANDS, "withdraw autonomy")?;
    bounded("reason", reason)?;
    let terms = on_ladder(env, kind)?;
    let record = unit.find::<Autonomy>(kind)?;
    if record.is_none_or(|r| r.grant.is_none()) {
        return Err(Refusal::conflict(format!("`{kind}` is not signed off")));
    }
    let event = AutonomyEvent::Withdrawn(Withdrawn {
        reason: reason.trim().to_owned(),
    });
    unit.record::<Autonomy>(kind, event)?;
    standing(unit, kind, terms)
}
