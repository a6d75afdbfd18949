//! What becomes of the steps that are under way when a scope is engaged: by
//! the pack's policy for that kind of scope. What came of them is recorded.

use super::{ID, KillEvent, KillSwitch, Scope};
use kernel::{Refusal, RunId, TenantId, Timestamp, Unit};
use serde::{Deserialize, Serialize};

kernel::names! {
    /// What becomes of a step that is under way.
    pub enum OnEngage {
        /// It goes on to its end; nothing follows it.
        Drain = "drain",
        /// It is cut off. Where a call had left, whether anything happened is
        /// unknown, and it is not made again.
        Cancel = "cancel",
        /// It goes on to its end, and what its run did is undone.
        Compensate = "compensate",
    }
}

/// The policy, by kind of scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Under `global`.
    pub global: OnEngage,
    /// Under `tenant`.
    pub tenant: OnEngage,
    /// Under `tool:NAME`.
    pub tool: OnEngage,
    /// Under `agent:ID`.
    pub agent: OnEngage,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            global: OnEngage::Drain,
            tenant: OnEngage::Drain,
            tool: OnEngage::Drain,
            agent: OnEngage::Drain,
        }
    }
}

impl Settings {
    /// What becomes of a step that is under way within this scope.
    #[must_use]
    pub fn on_engage(&self, scope: &Scope) -> OnEngage {
        match scope {
            Scope::Global => self.global,
            Scope::Tenant => self.tenant,
            Scope::Tool(_) => self.tool,
            Scope::Agent(_) => self.agent,
        }
    }
}

/// A step that was under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnderWay {
    /// Whose run it is.
    pub tenant: TenantId,
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: String,
    /// What was done about it.
    pub on_engage: OnEngage,
    /// What came of it, once that is known: the status of the step.
    pub came_to: Option<String>,
}

/// Steps within a scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steps {
    /// The scope.
    pub scope: Scope,
    /// The steps.
    pub steps: Vec<UnderWay>,
}

/// How far the sweep of an engagement is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// The steps that were under way.
    pub steps: Vec<UnderWay>,
    /// When all of them had ended.
    pub ended_at: Option<Timestamp>,
}

/// Records steps that were found under way. What was found before is not
/// recorded again.
///
/// # Errors
/// What storage says.
pub fn sweeping(unit: &mut Unit<'_>, scope: &Scope, found: Vec<UnderWay>) -> Result<(), Refusal> {
    let Some(switch) = unit.find::<KillSwitch>(ID)? else {
        return Ok(());
    };
    let Some(engagement) = switch.engaged.get(scope) else {
        return Ok(());
    };
    let known = engagement.sweep.as_ref().map_or(&[][..], |s| &s.steps);
    let is_known = |step: &UnderWay| {
        let mut all = known.iter();
        all.any(|k| (k.tenant, k.run, &k.step) == (step.tenant, step.run, &step.step))
    };
    let steps: Vec<_> = found.into_iter().filter(|step| !is_known(step)).collect();
    if !steps.is_empty() {
        let scope = scope.clone();
        unit.record::<KillSwitch>(ID, KillEvent::Sweeping(Steps { scope, steps }))?;
    }
    Ok(())
}

/// Records what came of the steps, when none of them is under way any more.
///
/// # Errors
/// What storage says.
pub fn swept(unit: &mut Unit<'_>, scope: &Scope, steps: Vec<UnderWay>) -> Result<(), Refusal> {
    let Some(switch) = unit.find::<KillSwitch>(ID)? else {
        return Ok(());
    };
    let open = switch.engaged.get(scope).is_some_and(|e| !e.is_swept());
    if open {
        let scope = scope.clone();
        unit.record::<KillSwitch>(ID, KillEvent::Swept(Steps { scope, steps }))?;
    }
    Ok(())
}
