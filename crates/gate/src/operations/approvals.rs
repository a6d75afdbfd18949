//! People's decisions on directives: approve, reject, edit and approve; and
//! what silence means. What a person sends back names the version that they
//! saw; another version in force is a conflict that says what changed.

use super::deciders::{decider, has_a_seat};
use super::signing::signed;
use super::{
    EditOutcome, Proposed, approval_of, because_of, blocked, edit, lapsed, moved, not_over,
};
use crate::approval::{
    ApprovalEvent, Choice, Ended, Endorsed, Escalated, Given, LIFECYCLE, OnBehalf, Signed, Status,
    Trigger,
};
use crate::contract::bounded;
use crate::directive::{self, Approved, DirectiveEvent};
use crate::history::{Happened, Happening, happened};
use crate::{Approval, Contract, Directive, GateEnv};
use kernel::{Actor, ApprovalId, Digest, Refusal, Unit};

/// A person's yes.
#[derive(Clone, Debug)]
pub struct Approve {
    /// The request.
    pub approval: ApprovalId,
    /// The digest of the directive that the person saw.
    pub seen: Digest,
    /// Why, where they say.
    pub reason: Option<String>,
    /// What they signed, where they did.
    pub signed: Option<Signed>,
    /// In whose place, where they do not decide by roles of their own.
    pub on_behalf_of: Option<Actor>,
}

impl Approve {
    /// A yes without a word more, to what was seen.
    #[must_use]
    pub fn to(approval: ApprovalId, seen: Digest) -> Self {
        Self {
            approval,
            seen,
            reason: None,
            signed: None,
            on_behalf_of: None,
        }
    }
}

/// A person's no.
#[derive(Clone, Debug)]
pub struct Reject {
    /// The request.
    pub approval: ApprovalId,
    /// The digest of the directive that the person saw.
    pub seen: Digest,
    /// Why.
    pub reason: String,
    /// What they signed, where they did.
    pub signed: Option<Signed>,
    /// In whose place, where they do not decide by roles of their own.
    pub on_behalf_of: Option<Actor>,
}

impl Reject {
    /// A no to what was seen, for this reason.
    #[must_use]
    pub fn of(approval: ApprovalId, seen: Digest, reason: &str) -> Self {
        Self {
            approval,
            seen,
            reason: reason.to_owned(),
            signed: None,
            on_behalf_of: None,
        }
    }
}

/// What a person's yes led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// The directive is approved.
    Approved,
    /// More people must agree.
    More {
        /// How many.
        missing: u32,
    },
    /// The approval no longer holds; the directive is blocked and may be tried
    /// again.
    Voided {
        /// Why.
        reasons: Vec<String>,
    },
}

/// Refuses a decision on another version than the one in force.
fn same_version(approval: &Approval, directive: &Directive, seen: Digest) -> Result<(), Refusal> {
    let in_force = directive.digest;
    if seen == in_force && approval.request.binding.digest == in_force {
        return Ok(());
    }
    let fault = format!("you saw version `{seen}`, in force is `{in_force}`");
    let fault = match directive.changed_since(seen) {
        Some(changed) => format!("{fault}; changed since: {}", changed.join(", ")),
        None if seen == in_force => format!(
            "this request is about version `{}`, in force is `{in_force}`",
            approval.request.binding.digest
        ),
        None => format!("{fault}; yours was never a version of this directive"),
    };
    Err(Refusal::conflict(fault).hint("look at the version in force and decide on its own request"))
}

/// Refuses a decision on what can no longer be decided.
fn still_open(unit: &Unit<'_>, approval: &Approval, directive: &Directive) -> Result<(), Refusal> {
    LIFECYCLE.next(approval.status, Trigger::Approve)?;
    let request = &approval.request;
    if unit.ctx().now >= request.expires_at {
        return Err(Refusal::conflict(format!(
            "the request ended unanswered at {}",
            request.expires_at
        ))
        .hint("retry the directive"));
    }
    not_over(unit, directive)?;
    directive::LIFECYCLE.next(directive.status, directive::Trigger::Approve)?;
    if directive.approval != Some(request.approval) {
        return Err(Refusal::conflict("the directive waits for another request"));
    }
    Ok(())
}

/// A person agrees.
///
/// # Errors
/// When the actor may not agree (role, separation of duties, or they did
/// before), saw another version, or the request is no longer open.
pub fn approve(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    approve: &Approve,
) -> Result<Decided, Refusal> {
    let (approval, directive) = approval_of(unit, approve.approval)?;
    let behalf = decider(unit, &approval, approve.on_behalf_of.as_ref())?;
    if let Some(reason) = &approve.reason {
        bounded("reason", reason)?;
    }
    same_version(&approval, &directive, approve.seen)?;
    still_open(unit, &approval, &directive)?;
    has_a_seat(unit, &approval, behalf.as_ref())?;
    let word = (Choice::Approve, approve.reason.as_deref(), behalf.as_ref());
    signed(unit, &approval, word, approve.signed.as_ref())?;
    let reasons = lapsed(unit, env, &directive, Status::Pending)?;
    if !reasons.is_empty() {
        return Ok(Decided::Voided { reasons });
    }
    let decided = agree(unit, &approval, &directive, (approve, behalf))?;
    if decided == Decided::Approved && !env.rules.history.is_empty() {
        let happening = Happened::to(Happening::ApprovalGiven, &directive.contract);
        because_of(unit, approval.entry, |unit| happened(unit, happening))?;
    }
    Ok(decided)
}

fn agree(
    unit: &mut Unit<'_>,
    approval: &Approval,
    directive: &Directive,
    (approve, on_behalf_of): (&Approve, Option<OnBehalf>),
) -> Result<Decided, Refusal> {
    let votes = u32::try_from(approval.votes.len()).unwrap_or(u32::MAX);
    let missing = approval
        .request
        .needed
        .saturating_sub(votes.saturating_add(1));
    let (seen, reason) = (approve.seen, approve.reason.clone());
    let signed = approve.signed.clone();
    let event = if missing > 0 {
        ApprovalEvent::Endorsed(Endorsed {
            seen,
            reason,
            signed,
            on_behalf_of,
        })
    } else {
        ApprovalEvent::Given(Given {
            human_override: true,
            seen,
            reason,
            signed,
            on_behalf_of,
        })
    };
    let (entry, _) = because_of(unit, approval.entry, |unit| {
        unit.record::<Approval>(approve.approval, event)
    })?;
    if missing > 0 {
        return Ok(Decided::More { missing });
    }
    let approved = Approved {
        approval: approve.approval,
        digest: directive.digest,
    };
    because_of(unit, entry, |unit| {
        moved(unit, directive.id, DirectiveEvent::Approved(approved))
    })?;
    Ok(Decided::Approved)
}

/// A person refuses. One refusal is enough; the directive is blocked.
///
/// # Errors
/// When the actor may not decide, saw another version, gives no reason, or the
/// request is no longer open.
pub fn reject(unit: &mut Unit<'_>, reject: &Reject) -> Result<(), Refusal> {
    let reason = reject.reason.as_str();
    let (approval, directive) = approval_of(unit, reject.approval)?;
    let behalf = decider(unit, &approval, reject.on_behalf_of.as_ref())?;
    bounded("reason", reason)?;
    same_version(&approval, &directive, reject.seen)?;
    still_open(unit, &approval, &directive)?;
    let word = (Choice::Reject, Some(reason), behalf.as_ref());
    signed(unit, &approval, word, reject.signed.as_ref())?;
    let mut who = format!("`{}`", unit.ctx().actor);
    if let Some(behalf) = &behalf {
        who.push_str(&format!(" on behalf of `{}`", behalf.principal));
    }
    let why = format!("rejected by {who}: {reason}");
    let ended = Ended {
        reason: reason.to_owned(),
        signed: reject.signed.clone(),
        on_behalf_of: behalf,
    };
    let (entry, _) = because_of(unit, approval.entry, |unit| {
        unit.record::<Approval>(reject.approval, ApprovalEvent::Rejected(ended))
    })?;
    blocked(unit, directive.id, entry, why)
}

/// A person's yes to a contract that they changed.
#[derive(Clone, Debug)]
pub struct EditAndApprove {
    /// The request that they answer.
    pub approval: ApprovalId,
    /// The digest of the directive that they saw.
    pub seen: Digest,
    /// The contract as they want it.
    pub contract: Contract,
    /// Why, where they say.
    pub reason: Option<String>,
}

/// What an edit with approval led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditedAndDecided {
    /// The digest of the contract in force.
    pub digest: Digest,
    /// What the gate said of it.
    pub proposed: Proposed,
    /// What the editor's yes led to; `None` when the gate blocked it, when
    /// nobody needs to agree, when separation of duties keeps the editor from
    /// it, so that someone else must, or when it must be signed: what is to be
    /// signed is known only now.
    pub decided: Option<Decided>,
}

/// A person changes the contract and agrees to the result, as far as
/// separation of duties lets them. The former request is void; the gate is
/// asked again.
///
/// # Errors
/// As [`approve`] and [`edit`].
pub fn edit_and_approve(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    asked: EditAndApprove,
) -> Result<EditedAndDecided, Refusal> {
    let (approval, directive) = approval_of(unit, asked.approval)?;
    decider(unit, &approval, None)?;
    same_version(&approval, &directive, asked.seen)?;
    still_open(unit, &approval, &directive)?;
    let edited = because_of(unit, approval.entry, |unit| {
        edit(unit, env, directive.id, asked.contract)
    })?;
    let EditOutcome {
        digest,
        proposed: Some(proposed),
    } = edited
    else {
        return Err(Refusal::integrity(
            "an edited proposal was not put to the gate",
        ));
    };
    let mut decided = None;
    if let Proposed::Waiting { approval } = proposed {
        let request = &unit.get::<Approval>(approval)?.request;
        if !request.signed && !request.barred.contains(&unit.ctx().actor) {
            let yes = Approve {
                reason: asked.reason,
                ..Approve::to(approval, digest)
            };
            decided = Some(approve(unit, env, &yes)?);
        }
    }
    Ok(EditedAndDecided {
        digest,
        proposed,
        decided,
    })
}

/// The tick of approvals: when nobody decided in time, further roles may; and
/// silence until the end is a refusal, and blocks the directive. Returns whether
/// it expired now.
///
/// # Errors
/// When there is no such approval.
pub fn tick_approval(unit: &mut Unit<'_>, id: ApprovalId) -> Result<bool, Refusal> {
    use kernel::Aggregate;
    let (approval, directive) = approval_of(unit, id)?;
    let now = unit.ctx().now;
    if approval.due().is_none_or(|due| now < due) {
        return Ok(false);
    }
    if now < approval.request.expires_at {
        return escalate(unit, &approval).map(|()| false);
    }
    let reason = format!(
        "nobody answered until {}: silence is a refusal",
        approval.request.expires_at
    );
    let ended = Ended::because(reason.clone());
    let (entry, _) = because_of(unit, approval.entry, |unit| {
        unit.record::<Approval>(id, ApprovalEvent::Expired(ended))
    })?;
    let waits = directive.approval == Some(id)
        && directive::LIFECYCLE
            .next(directive.status, directive::Trigger::Block)
            .is_ok();
    if waits {
        blocked(unit, directive.id, entry, reason)?;
    }
    Ok(true)
}

/// Lets further roles decide, for each step that is due.
fn escalate(unit: &mut Unit<'_>, approval: &Approval) -> Result<(), Refusal> {
    let now = unit.ctx().now;
    let steps = approval
        .request
        .escalation
        .iter()
        .skip(approval.escalations);
    let mut cause = approval.entry;
    for step in steps.take_while(|step| step.at <= now) {
        let escalated = Escalated {
            due_at: step.at,
            to: step.to.clone(),
        };
        let id = approval.request.approval;
        (cause, _) = because_of(unit, cause, |unit| {
            unit.record::<Approval>(id, ApprovalEvent::Escalated(escalated))
        })?;
    }
    Ok(())
}
