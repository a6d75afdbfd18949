//! What may be done to a directive. Drafts, edits and the plain moves stand
//! here; asking for it in `plan`, people's decisions in `approvals`, its
//! beginning in `start`.

mod approvals;
mod bulk;
mod deciders;
mod plan;
mod signing;
mod start;

pub use approvals::{
    Approve, Decided, EditAndApprove, EditedAndDecided, Reject, approve, edit_and_approve, reject,
    tick_approval,
};
pub use bulk::{bulk_max, in_bulk};
pub use plan::{Proposed, propose, retry};
pub(crate) use signing::uncounted;
pub use start::{Started, start};

use crate::approval::{self, ApprovalEvent, Ended};
use crate::contract::bounded;
use crate::directive::{
    Because, DirectiveEvent, Drafted, Edited, LIFECYCLE, Plain, REVISIONS_MAX, Status, Trigger,
};
use crate::history::{self, Happened, Happening};
use crate::{Approval, Contract, Directive, GateEnv, autonomy, choke, conflict, validate};
use kernel::{ApprovalId, Digest, DirectiveId, EntryId, PrincipalKind, Refusal, Snapshot, Unit};
use std::sync::Arc;

/// Runs `work` with its entries caused by `entry`, then puts the former cause
/// back.
pub(crate) fn because_of<T>(
    unit: &mut Unit<'_>,
    entry: EntryId,
    work: impl FnOnce(&mut Unit<'_>) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let before = unit.caused_by(Some(entry));
    let done = work(unit);
    unit.caused_by(before);
    done
}

/// Checks what a contract says against what is on record: its own form, and
/// that its snapshot exists and describes the first subject.
fn sound(unit: &mut Unit<'_>, contract: &Contract) -> Result<(), Refusal> {
    contract.check()?;
    let snapshot = unit.find::<Snapshot>(contract.snapshot)?.ok_or_else(|| {
        Refusal::invalid(format!("no snapshot `{}` is on record", contract.snapshot))
            .hint("take a snapshot of the subject first")
            .at("snapshot")
    })?;
    match contract.subject() {
        Some(subject) if *subject == snapshot.subject => Ok(()),
        _ => Err(Refusal::invalid(format!(
            "the snapshot describes `{}`, which is not the first subject of the scope",
            snapshot.subject
        ))
        .at("snapshot")),
    }
}

/// Writes a directive down. Its issuer is the actor; only a part of writ
/// itself may write for others. `origin` says what it came from.
///
/// # Errors
/// When the contract is faulty or names an issuer that is not the actor.
pub fn draft(
    unit: &mut Unit<'_>,
    contract: Contract,
    origin: Option<String>,
) -> Result<DirectiveId, Refusal> {
    let ctx = unit.ctx();
    if contract.issued_by != ctx.actor && ctx.actor.kind != PrincipalKind::System {
        return Err(Refusal::forbidden(format!(
            "`{}` may not issue for `{}`",
            ctx.actor, contract.issued_by
        ))
        .hint("set issued_by to the principal that asks"));
    }
    if let Some(origin) = &origin {
        bounded("origin", origin)?;
    }
    sound(unit, &contract)?;
    let directive: DirectiveId = ctx.next_id();
    let digest = contract.digest()?;
    let issuer_roles = ctx.roles.clone();
    let drafted = Drafted {
        directive,
        contract,
        digest,
        origin,
        issuer_roles,
    };
    unit.record::<Directive>(directive, DirectiveEvent::Drafted(drafted))?;
    Ok(directive)
}

/// What an edit led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditOutcome {
    /// The digest of the contract in force.
    pub digest: Digest,
    /// What the gate said of it, where the directive was already proposed.
    pub proposed: Option<Proposed>,
}

/// Replaces the contract of a directive that is a draft, proposed or blocked.
/// A pending approval is void; what was already proposed is put to the gate
/// again.
///
/// # Errors
/// When the directive cannot be edited, nothing changes, the issuer changes,
/// or the contract is faulty.
pub fn edit(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    id: DirectiveId,
    contract: Contract,
) -> Result<EditOutcome, Refusal> {
    let directive = unit.get::<Directive>(id)?;
    if !directive.is_editable() {
        return Err(Refusal::illegal_move(format!(
            "a directive in status `{}` cannot be edited",
            directive.status
        ))
        .hint("only a draft, a proposed or a blocked directive can: block it first"));
    }
    not_over(unit, &directive)?;
    if contract.issued_by != directive.contract.issued_by {
        return Err(Refusal::invalid("cannot be changed").at("issued_by"));
    }
    if directive.replaced.len() + 1 >= REVISIONS_MAX {
        return Err(Refusal::limit(format!(
            "a directive may have at most {REVISIONS_MAX} versions"
        ))
        .hint("draft a new one"));
    }
    sound(unit, &contract)?;
    let digest = contract.digest()?;
    if digest == directive.digest {
        return Err(Refusal::invalid("the edit changes nothing"));
    }
    void_approval(unit, &directive, "the directive was edited")?;
    conflict::move_to(unit, env, &directive, &contract)?;
    let edited = Edited {
        from: directive.digest,
        changed: contract.changed_from(&directive.contract)?,
        contract,
        digest,
    };
    unit.record::<Directive>(id, DirectiveEvent::Edited(edited))?;
    let proposed = match directive.status {
        Status::Proposed => Some(plan::consult(unit, env, id)?),
        _ => None,
    };
    Ok(EditOutcome { digest, proposed })
}

/// Stops a directive that has not begun. It may be tried again.
///
/// # Errors
/// When it is neither proposed nor approved, or no reason is given.
pub fn block(unit: &mut Unit<'_>, id: DirectiveId, reason: &str) -> Result<(), Refusal> {
    bounded("reason", reason)?;
    let directive = unit.get::<Directive>(id)?;
    LIFECYCLE.next(directive.status, Trigger::Block)?;
    void_approval(unit, &directive, "the directive was blocked")?;
    let reason = reason.to_owned();
    moved(unit, id, DirectiveEvent::Blocked(Because { reason }))
}

/// Halts a directive between two steps.
///
/// # Errors
/// When it is not executing, or no reason is given.
pub fn pause(unit: &mut Unit<'_>, id: DirectiveId, reason: &str) -> Result<(), Refusal> {
    bounded("reason", reason)?;
    let reason = reason.to_owned();
    moved(unit, id, DirectiveEvent::Paused(Because { reason }))
}

/// Lets a halted directive go on. The gate is asked afresh for what is left.
///
/// # Errors
/// When it is not paused, or its timebox has ended.
pub fn resume(unit: &mut Unit<'_>, id: DirectiveId) -> Result<(), Refusal> {
    let directive = unit.get::<Directive>(id)?;
    LIFECYCLE.next(directive.status, Trigger::Resume)?;
    not_over(unit, &directive)?;
    let digest = directive.digest;
    moved(unit, id, DirectiveEvent::Resumed(Plain { digest }))
}

/// Says that every step was done. The engine's word, in the unit that ends
/// the run.
///
/// # Errors
/// When it is not executing.
pub fn complete(unit: &mut Unit<'_>, id: DirectiveId) -> Result<(), Refusal> {
    let directive = unit.get::<Directive>(id)?;
    let digest = directive.digest;
    moved(unit, id, DirectiveEvent::Completed(Plain { digest }))?;
    let what = Happening::DirectiveCompleted;
    history::happened(unit, Happened::to(what, &directive.contract))?;
    let done = unit.get::<Directive>(id)?;
    because_of(unit, done.entry, |unit| autonomy::ran(unit, &done))
}

/// Gives a directive up that has begun.
///
/// # Errors
/// When it is neither executing nor paused, or no reason is given.
pub fn abort(unit: &mut Unit<'_>, id: DirectiveId, reason: &str) -> Result<(), Refusal> {
    bounded("reason", reason)?;
    let directive = unit.get::<Directive>(id)?;
    let because = Because {
        reason: reason.to_owned(),
    };
    moved(unit, id, DirectiveEvent::Aborted(because))?;
    let what = Happening::DirectiveAborted;
    history::happened(unit, Happened::to(what, &directive.contract))?;
    autonomy::setback(unit, id, reason)
}

/// What the end of a timebox means for a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// The timebox has not ended, or the directive has.
    NotYet,
    /// It is expired now.
    Expired,
    /// It is executing: the engine must abort it, with its run.
    MustAbort,
}

/// The tick of directives: expires what has outlived its timebox.
///
/// # Errors
/// When there is no such directive.
pub fn expire(unit: &mut Unit<'_>, id: DirectiveId) -> Result<Expiry, Refusal> {
    let directive = unit.get::<Directive>(id)?;
    if LIFECYCLE.is_final(directive.status) || !directive.is_over_at(unit.ctx().now) {
        return Ok(Expiry::NotYet);
    }
    if directive.status == Status::Executing {
        return Ok(Expiry::MustAbort);
    }
    void_approval(unit, &directive, "the directive expired")?;
    let reason = format!("its timebox ended at {}", directive.expires_at);
    let because = Because {
        reason: reason.clone(),
    };
    moved(unit, id, DirectiveEvent::Expired(because))?;
    if directive.run.is_some() {
        autonomy::setback(unit, id, &reason)?;
    }
    Ok(Expiry::Expired)
}

/// Records a move, refused by the lifecycle's own words where it is none. What
/// has ended gives back its places in the queues of its subjects.
fn moved(unit: &mut Unit<'_>, id: DirectiveId, event: DirectiveEvent) -> Result<(), Refusal> {
    let directive = unit.get::<Directive>(id)?;
    if let Some(trigger) = event.trigger() {
        LIFECYCLE.next(directive.status, trigger)?;
    }
    let (_, after) = unit.record::<Directive>(id, event)?;
    match conflict::ends(&after) {
        true => conflict::leave(unit, &after),
        false => Ok(()),
    }
}

/// Refuses what has outlived its timebox.
fn not_over(unit: &Unit<'_>, directive: &Directive) -> Result<(), Refusal> {
    if !directive.is_over_at(unit.ctx().now) {
        return Ok(());
    }
    Err(Refusal::conflict(format!(
        "the timebox of the directive ended at {}",
        directive.expires_at
    ))
    .hint("draft a new one"))
}

/// Voids the approval that the directive waits for or holds, if any.
fn void_approval(unit: &mut Unit<'_>, directive: &Directive, why: &str) -> Result<(), Refusal> {
    let Some(id) = directive.approval else {
        return Ok(());
    };
    let approval = unit.get::<Approval>(id)?;
    if approval::LIFECYCLE
        .next(approval.status, approval::Trigger::Void)
        .is_ok()
    {
        unit.record::<Approval>(id, ApprovalEvent::Voided(Ended::because(why)))?;
    }
    Ok(())
}

/// Voids the approval that a directive waits for or has, and blocks the
/// directive, when what people saw holds no longer: another version, other
/// rules, or knowledge that has grown too old since. Returns why; empty when
/// the approval holds.
fn lapsed(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    directive: &Directive,
    expected: approval::Status,
) -> Result<Vec<String>, Refusal> {
    let id = directive
        .approval
        .ok_or_else(|| Refusal::integrity("the directive names no approval"))?;
    let approval = unit.get::<Approval>(id)?;
    let mut reasons = approval.faults(expected, directive.digest, env.rules.hash);
    reasons.extend(uncounted(unit, &approval)?);
    if let Some(snapshot) = unit.find::<Snapshot>(directive.contract.snapshot)? {
        reasons.extend(validate::stale(&validate::Input {
            contract: &directive.contract,
            step: None,
            snapshot: &snapshot,
            now: unit.ctx().now,
            settings: &env.rules.validators,
            conditions: &env.rules.conditions,
        }));
    }
    reasons.extend(choke::unearned(unit, env, directive, &approval)?);
    if !reasons.is_empty() {
        let why = reasons.join("; ");
        void_approval(unit, directive, &why)?;
        let entry = unit.get::<Approval>(id)?.entry;
        blocked(unit, directive.id, entry, why)?;
    }
    Ok(reasons)
}

/// Records that the directive is blocked, caused by `cause`.
fn blocked(
    unit: &mut Unit<'_>,
    id: DirectiveId,
    cause: EntryId,
    reason: String,
) -> Result<(), Refusal> {
    because_of(unit, cause, |unit| {
        moved(unit, id, DirectiveEvent::Blocked(Because { reason }))
    })
}

/// The approval with this id and its directive.
fn approval_of(
    unit: &mut Unit<'_>,
    id: ApprovalId,
) -> Result<(Arc<Approval>, Arc<Directive>), Refusal> {
    let approval = unit.get::<Approval>(id)?;
    let directive = unit.get::<Directive>(approval.request.binding.directive)?;
    Ok((approval, directive))
}
