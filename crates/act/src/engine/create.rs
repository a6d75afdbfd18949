//! A run for an approved directive.

use super::because_of;
use crate::run::Run;
use crate::run::events::{Created, Planned, RunEvent};
use gate::{Directive, GateEnv};
use kernel::{DirectiveId, Refusal, RunId, Unit};
use std::collections::BTreeSet;

/// What came of making a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Creation {
    /// The directive is executing, in this run.
    Created(RunId),
    /// Others change the same subjects: it starts when they have ended.
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

/// Makes a run for an approved directive, whose approval is used up: a
/// directive has one run.
///
/// # Errors
/// When it is not approved, its timebox has ended, or (`blocked`) a kill
/// switch stops one of its steps: try again after its release.
pub fn create_run(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    id: DirectiveId,
) -> Result<Creation, Refusal> {
    let run: RunId = unit.ctx().next_id();
    match gate::operations::start(unit, env, id, run)? {
        gate::operations::Started::Started => {}
        gate::operations::Started::Waiting { behind } => return Ok(Creation::Waiting { behind }),
        gate::operations::Started::Blocked { reasons } => return Ok(Creation::Blocked { reasons }),
    }
    let directive = unit.get::<Directive>(id)?;
    let contract = &directive.contract;
    let steps = contract.steps.iter().map(|step| Planned {
        step: step.id.clone(),
        module: step.module.clone(),
        input: step.input.clone(),
    });
    let created = Created {
        run,
        directive: id,
        digest: directive.digest,
        subject: contract.subject().cloned(),
        snapshot: contract.snapshot,
        steps: steps.collect(),
        expires_at: directive.expires_at,
    };
    because_of(unit, directive.entry, |unit| {
        unit.record::<Run>(run, RunEvent::Created(created))
    })?;
    Ok(Creation::Created(run))
}
