//! What a command needs that asks the gate: the pack in force for the tenant
//! and what the modules declare. If another pack is loaded between preparing
//! and deciding, the command is refused and can be sent again.

use crate::app::App;
use crate::auth::Caller;
use flow::InForce;
use gate::kill::StoppedBy;
use gate::operations::{Decided, Proposed};
use gate::{Capabilities, GateEnv};
use kernel::{Refusal, Unit};
use serde_json::{Value, json};
use std::sync::Arc;

/// The pack in force and the modules.
#[derive(Clone)]
pub struct Gated {
    in_force: Arc<InForce>,
    capabilities: Arc<Capabilities>,
    everywhere: Option<StoppedBy>,
}

impl Gated {
    /// What is in force for this caller's tenant.
    ///
    /// # Errors
    /// `unavailable` when the tenant has no pack, or storage does not answer.
    pub async fn of(app: &App, caller: &Caller) -> Result<Self, Refusal> {
        Ok(Self {
            everywhere: app.control().everywhere(caller.tenant()).await?,
            in_force: app.control().in_force(caller.tenant())?,
            capabilities: app.control().capabilities().clone(),
        })
    }

    /// Refuses when another pack is in force by now.
    ///
    /// # Errors
    /// `conflict`.
    pub fn still(&self, unit: &mut Unit<'_>) -> Result<(), Refusal> {
        flow::force::still(unit, &self.in_force)
    }

    /// What the gate decides with.
    #[must_use]
    pub fn env(&self) -> GateEnv<'_> {
        GateEnv {
            rules: &self.in_force.pack.rules,
            capabilities: &self.capabilities,
            everywhere: self.everywhere.as_ref(),
        }
    }
}

/// What came of asking for a directive, as JSON.
#[must_use]
pub fn proposed_json(proposed: &Proposed) -> Value {
    match proposed {
        Proposed::Blocked { verdict, reasons } => {
            json!({"result": "blocked", "verdict": verdict, "reasons": reasons})
        }
        Proposed::Waiting { approval } => json!({"result": "waiting", "approval": approval}),
        Proposed::Approved { approval } => json!({"result": "approved", "approval": approval}),
    }
}

/// What a person's yes led to, as JSON.
#[must_use]
pub fn decided_json(decided: &Decided) -> Value {
    match decided {
        Decided::Approved => json!({"result": "approved"}),
        Decided::More { missing } => json!({"result": "more", "missing": missing}),
        Decided::Voided { reasons } => json!({"result": "voided", "reasons": reasons}),
    }
}
