//! Performs what runs decide: begins a step in the ledger, calls the module
//! with its permit, brings the outcome back. What is recorded is decided by
//! `act`; here it is only carried out.

use crate::control::Control;
use act::engine::{Assignment, Begun};
use gate::GateEnv;
use kernel::{Refusal, RunId, TenantId};
use std::sync::{Arc, Mutex, PoisonError};

/// Steps of one run that are performed without asking whether writ stops.
const STEPS_AT_A_TIME: usize = 64;

/// Takes a run as far as it goes now.
///
/// # Errors
/// What the ledger refuses; the scheduler comes again.
pub(crate) async fn drive(
    control: &Arc<Control>,
    tenant: TenantId,
    run: RunId,
) -> Result<(), Refusal> {
    for _ in 0..STEPS_AT_A_TIME {
        let Some(assignment) = begin(control, tenant, run).await? else {
            return Ok(());
        };
        let report = assignment.report();
        let modules = control.modules().clone();
        let outcome = act::execute(&modules, assignment, &control.ports().act).await;
        let ctx = control.system_ctx(tenant, "runner");
        control
            .ledger()
            .run(ctx, move |unit| {
                act::engine::finish_step(unit, &modules, &report, outcome.clone())
            })
            .await?;
    }
    Ok(())
}

/// Begins the run's next step, if it has one. The assignment holds a permit,
/// which cannot be copied, so it is handed out of the decision by a slot; when
/// a decision is made anew, the permit of the discarded one is dropped with it.
async fn begin(
    control: &Arc<Control>,
    tenant: TenantId,
    run: RunId,
) -> Result<Option<Assignment>, Refusal> {
    let in_force = control.in_force(tenant)?;
    let capabilities = control.capabilities().clone();
    let modules = control.modules().clone();
    let slot: Arc<Mutex<Option<Assignment>>> = Arc::default();
    let filled = slot.clone();
    let ctx = control.system_ctx(tenant, "runner");
    control
        .ledger()
        .run(ctx, move |unit| {
            crate::force::still(unit, &in_force)?;
            let env = GateEnv {
                rules: &in_force.pack.rules,
                capabilities: &capabilities,
            };
            let begun = act::engine::begin_step(unit, &env, &modules, run)?;
            let assignment = match begun {
                Begun::Execute(assignment) => Some(*assignment),
                _ => None,
            };
            *filled.lock().unwrap_or_else(PoisonError::into_inner) = assignment;
            Ok(())
        })
        .await?;
    let assignment = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok(assignment)
}
