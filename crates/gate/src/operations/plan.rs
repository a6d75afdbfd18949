//! Asking for a directive: the gate's verdict on the plan, and then either a
//! block, a request for approval, or an approval that nobody needs to give.

use super::{because_of, blocked, moved, not_over, sound};
use crate::approval::{
    About, ApprovalEvent, Binding, EscalationStep, Given, Requested, Settings, settings, shown,
    shown_as,
};
use crate::choke::{self, Target};
use crate::directive::{Approved, Awaited, DirectiveEvent, LIFECYCLE, Plain, Trigger};
use crate::{Approval, ChokePoint, Directive, GateEnv, VerdictRecord, autonomy, conflict};
use kernel::{ApprovalId, DirectiveId, Refusal, Timestamp, Unit, Verdict, VerdictId};
use std::collections::BTreeSet;

/// What came of asking for a directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proposed {
    /// The gate stopped it.
    Blocked {
        /// The verdict.
        verdict: VerdictId,
        /// Why.
        reasons: Vec<String>,
    },
    /// People must agree.
    Waiting {
        /// The request.
        approval: ApprovalId,
    },
    /// Nobody needs to agree: approved by rule, and recorded as such.
    Approved {
        /// The approval.
        approval: ApprovalId,
    },
}

/// Asks for a drafted directive.
///
/// # Errors
/// When it is no draft, its timebox has ended, or its contract is faulty.
pub fn propose(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    id: DirectiveId,
) -> Result<Proposed, Refusal> {
    ask_for(unit, env, id, Trigger::Propose)
}

/// Asks again for a blocked directive; the gate is asked afresh.
///
/// # Errors
/// When it is not blocked or its timebox has ended.
pub fn retry(unit: &mut Unit<'_>, env: &GateEnv<'_>, id: DirectiveId) -> Result<Proposed, Refusal> {
    ask_for(unit, env, id, Trigger::Retry)
}

fn ask_for(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    id: DirectiveId,
    trigger: Trigger,
) -> Result<Proposed, Refusal> {
    let directive = unit.get::<Directive>(id)?;
    LIFECYCLE.next(directive.status, trigger)?;
    not_over(unit, &directive)?;
    // What is checked when it is written is checked again when it is asked for:
    // bounds may have changed since.
    sound(unit, &directive.contract)?;
    let plain = Plain {
        digest: directive.digest,
    };
    let event = match trigger {
        Trigger::Retry => DirectiveEvent::Retried(plain),
        _ => DirectiveEvent::Proposed(plain),
    };
    moved(unit, id, event)?;
    consult(unit, env, id)
}

/// Puts a proposed directive to the gate and acts on the verdict.
pub(super) fn consult(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    id: DirectiveId,
) -> Result<Proposed, Refusal> {
    let directive = unit.get::<Directive>(id)?;
    let record = choke::ask(
        unit,
        env,
        &directive,
        ChokePoint::PlanApproval,
        &Target::Plan,
    )?;
    if !record.verdict().passes() {
        let reasons = record.reasons(Verdict::Block);
        blocked(unit, id, record.entry, reasons.join("; "))?;
        return Ok(Proposed::Blocked {
            verdict: record.id,
            reasons,
        });
    }
    conflict::join(unit, env, id, record.entry)?;
    let because = settings::needs_approval(
        &directive.contract,
        env.capabilities,
        &env.rules.approvals,
        record.verdict(),
        || autonomy::lacking(unit, env, &directive),
    )?;
    let auto = because.is_empty();
    let approval = unit.ctx().next_id();
    let requested = request(unit, env, &directive, &record, because, approval)?;
    let seen = requested.binding.digest;
    let (entry, _) = because_of(unit, record.entry, |unit| {
        unit.record::<Approval>(approval, ApprovalEvent::Requested(requested))
    })?;
    because_of(unit, entry, |unit| {
        moved(unit, id, DirectiveEvent::Awaited(Awaited { approval }))
    })?;
    if !auto {
        return Ok(Proposed::Waiting { approval });
    }
    let given = Given {
        human_override: false,
        seen,
        reason: Some("no rule asks for a person".to_owned()),
        signed: None,
        on_behalf_of: None,
    };
    let (entry, _) = because_of(unit, entry, |unit| {
        unit.record::<Approval>(approval, ApprovalEvent::Given(given))
    })?;
    let digest = directive.digest;
    because_of(unit, entry, |unit| {
        moved(
            unit,
            id,
            DirectiveEvent::Approved(Approved { approval, digest }),
        )
    })?;
    Ok(Proposed::Approved { approval })
}

fn request(
    unit: &Unit<'_>,
    env: &GateEnv<'_>,
    directive: &Directive,
    record: &VerdictRecord,
    because: Vec<String>,
    approval: ApprovalId,
) -> Result<Requested, Refusal> {
    let approvals = &env.rules.approvals;
    let contract = &directive.contract;
    let class = settings::effective_class(contract, env.capabilities);
    let quorum = approvals.quorum_of(class);
    let mut barred = BTreeSet::new();
    for duty in &approvals.separation_of_duties {
        match duty {
            settings::Duty::Issuer => drop(barred.insert(contract.issued_by.clone())),
            settings::Duty::Editor => barred.extend(directive.editors.iter().cloned()),
        }
    }
    let now = unit.ctx().now;
    let expires_at = now.plus(approvals.expires_after).min(directive.expires_at);
    let auto = because.is_empty();
    // It was most probably recorded just now, and need not be written again.
    let shown = match unit.payload(record.entry) {
        Some(verdict) => shown_as(contract, verdict, env.rules.hash, &because)?,
        None => shown(contract, &record.given, env.rules.hash, &because)?,
    };
    Ok(Requested {
        approval,
        binding: Binding {
            directive: directive.id,
            digest: directive.digest,
            snapshot: contract.snapshot,
            verdicts: vec![record.id],
            rules: env.rules.hash,
            shown,
        },
        subject: contract.subject().cloned(),
        needed: if because.is_empty() { 0 } else { quorum.needed },
        because,
        among: quorum.among,
        barred: barred.into_iter().collect(),
        expires_at,
        signed: approvals.signatures.has(class, &contract.kind),
        about: Some(About {
            directive_type: contract.kind.clone(),
            action_class: class,
            issued_by: contract.issued_by.clone(),
        }),
        escalation: match auto {
            true => Vec::new(),
            false => steps(approvals, now, expires_at),
        },
    })
}

/// When further roles may decide, as far as it comes to that.
fn steps(approvals: &Settings, now: Timestamp, end: Timestamp) -> Vec<EscalationStep> {
    let steps = approvals.escalation.iter().map(|step| EscalationStep {
        at: now.plus(step.after),
        to: step.to.clone(),
    });
    steps.filter(|step| step.at < end).collect()
}
