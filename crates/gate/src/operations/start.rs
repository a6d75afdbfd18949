//! The beginning of a directive: its approval is checked once more and used
//! up, unless others change its subjects.

use super::{because_of, lapsed, moved, not_over};
use crate::approval::{self, ApprovalEvent, Spent};
use crate::directive::{self, DirectiveEvent, LIFECYCLE, Trigger};
use crate::{Approval, Directive, GateEnv, autonomy, conflict, kill};
use kernel::{DirectiveId, Refusal, RunId, Unit};
use std::collections::BTreeSet;

/// What came of starting a directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Started {
    /// It is executing, in this run.
    Started,
    /// Others that change the same subjects were asked for before: it starts
    /// when they have ended.
    Waiting {
        /// Whom it waits for.
        behind: BTreeSet<DirectiveId>,
    },
    /// Its approval no longer holds: it is blocked and may be tried again.
    Blocked {
        /// Why.
        reasons: Vec<String>,
    },
}

/// Starts an approved directive in this run. The approval is used up.
///
/// # Errors
/// When it is not approved, its timebox has ended, or (`blocked`) a kill
/// switch stops one of its steps: try again after its release.
pub fn start(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    id: DirectiveId,
    run: RunId,
) -> Result<Started, Refusal> {
    let directive = unit.get::<Directive>(id)?;
    LIFECYCLE.next(directive.status, Trigger::Start)?;
    not_over(unit, &directive)?;
    let contract = &directive.contract;
    for step in &contract.steps {
        if let Some(stopped) = kill::stops(unit, env.everywhere, &step.module, &contract.issued_by)?
        {
            return Err(Refusal::blocked(stopped.to_string())
                .hint("it starts by itself once the switch is released"));
        }
    }
    let approval_id = directive
        .approval
        .ok_or_else(|| Refusal::integrity("an approved directive names no approval"))?;
    let reasons = lapsed(unit, env, &directive, approval::Status::Approved)?;
    if !reasons.is_empty() {
        return Ok(Started::Blocked { reasons });
    }
    let behind = conflict::join(unit, env, id, directive.entry)?;
    if !behind.is_empty() {
        return Ok(Started::Waiting { behind });
    }
    let spent = Spent { directive: id };
    let (entry, _) = because_of(unit, directive.entry, |unit| {
        unit.record::<Approval>(approval_id, ApprovalEvent::Used(spent))
    })?;
    let started = directive::Started {
        run,
        approval: approval_id,
    };
    because_of(unit, entry, |unit| {
        moved(unit, id, DirectiveEvent::Started(started))?;
        autonomy::open(unit, env, &contract.kind)
    })?;
    Ok(Started::Started)
}
