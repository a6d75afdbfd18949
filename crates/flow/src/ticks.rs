//! What happens when an aggregate is due, by kind. A tick is a command like any
//! other: it looks at the current state and may find nothing to do.

use crate::control::Control;
use crate::personal::SubjectKey;
use crate::{investigate, runner};
use act::Run;
use act::engine::Creation;
use gate::budget::Reservation;
use gate::history::Kept;
use gate::operations::{self, Expiry};
use gate::{Approval, Directive, GateEnv, KillSwitch, directive};
use kernel::{Aggregate, DirectiveId, IncidentId, Refusal, StreamId, TenantId, Unit};
use sense::candidate::{self, Candidate};
use sense::incident::{self, Incident, IncidentStatus};
use sense::investigation::Investigation;
use std::sync::Arc;

/// Ticks one stream.
///
/// # Errors
/// What the command refuses; the scheduler comes again later.
pub async fn tick(
    control: &Arc<Control>,
    tenant: TenantId,
    stream: &StreamId,
) -> Result<(), Refusal> {
    let id = stream.id();
    match stream.kind() {
        Candidate::KIND => settle(control, tenant, id).await,
        Incident::KIND => resolve(control, tenant, id.parse()?).await,
        Investigation::KIND => investigate(control, tenant, id.parse()?).await,
        Directive::KIND => advance(control, tenant, id.parse()?).await,
        Approval::KIND => {
            let approval = id.parse()?;
            let work = move |unit: &mut Unit<'_>| operations::tick_approval(unit, approval);
            let ctx = control.system_ctx(tenant, "scheduler");
            control.ledger().run(ctx, work).await.map(drop)
        }
        Reservation::KIND => {
            let reservation = id.parse()?;
            let work = move |unit: &mut Unit<'_>| gate::budget::expire(unit, reservation).map(drop);
            let ctx = control.system_ctx(tenant, "scheduler");
            control.ledger().run(ctx, work).await.map(drop)
        }
        SubjectKey::KIND => control.carry_out_erasure(tenant, id.parse()?).await,
        Kept::KIND => control.count_back(tenant).await,
        KillSwitch::KIND => control.sweep(tenant).await,
        Run::KIND => runner::drive(control, tenant, id.parse()?).await,
        other => Err(Refusal::integrity(format!(
            "`{other}` is due but has no tick"
        ))),
    }
}

async fn settle(control: &Arc<Control>, tenant: TenantId, id: &str) -> Result<(), Refusal> {
    let id = id.parse()?;
    let in_force = control.in_force(tenant)?;
    let ctx = control.system_ctx(tenant, "sense");
    control
        .ledger()
        .run(ctx, move |unit| {
            crate::force::still(unit, &in_force)?;
            candidate::settle(unit, &in_force.pack.catalog, id).map(drop)
        })
        .await
        .map(drop)
}

async fn resolve(control: &Arc<Control>, tenant: TenantId, id: IncidentId) -> Result<(), Refusal> {
    let ctx = control.system_ctx(tenant, "sense");
    control
        .ledger()
        .run(ctx, move |unit| {
            let found = unit.get::<Incident>(id)?;
            if found.is_open() && found.all_resolved() {
                incident::resolve(unit, id, "every alert behind it has ended")?;
            }
            Ok(())
        })
        .await
        .map(drop)
}

async fn investigate(
    control: &Arc<Control>,
    tenant: TenantId,
    id: IncidentId,
) -> Result<(), Refusal> {
    let in_force = control.in_force(tenant)?;
    let everywhere = control.everywhere(tenant).await?;
    let capabilities = control.capabilities().clone();
    let ctx = control.system_ctx(tenant, "runbooks");
    control
        .ledger()
        .run(ctx, move |unit| {
            let env = GateEnv {
                rules: &in_force.pack.rules,
                capabilities: &capabilities,
                everywhere: everywhere.as_ref(),
            };
            investigate::begin(unit, &in_force, &env, id)
        })
        .await
        .map(drop)
}

/// A directive that is due either ends with its timebox or, approved, starts.
async fn advance(control: &Arc<Control>, tenant: TenantId, id: DirectiveId) -> Result<(), Refusal> {
    let in_force = control.in_force(tenant)?;
    let everywhere = control.everywhere(tenant).await?;
    let capabilities = control.capabilities().clone();
    let ctx = control.system_ctx(tenant, "dispatcher");
    control
        .ledger()
        .run(ctx, move |unit| {
            crate::force::still(unit, &in_force)?;
            match operations::expire(unit, id)? {
                Expiry::Expired | Expiry::MustAbort => return Ok(()),
                Expiry::NotYet => {}
            }
            if unit.get::<Directive>(id)?.status != directive::Status::Approved {
                return Ok(());
            }
            let env = GateEnv {
                rules: &in_force.pack.rules,
                capabilities: &capabilities,
                everywhere: everywhere.as_ref(),
            };
            match act::engine::create_run(unit, &env, id)? {
                Creation::Created(_) => mitigating(unit, id),
                Creation::Waiting { .. } | Creation::Blocked { .. } => Ok(()),
            }
        })
        .await
        .map(drop)
}

/// Tells the incident that a directive works on it.
fn mitigating(unit: &mut Unit<'_>, id: DirectiveId) -> Result<(), Refusal> {
    let directive = unit.get::<Directive>(id)?;
    let origin = directive.origin.as_deref();
    let Some(incident) = origin.and_then(IncidentId::parse) else {
        return Ok(());
    };
    let Some(found) = unit.find::<Incident>(incident)? else {
        return Ok(());
    };
    if found.status == IncidentStatus::Open {
        incident::acknowledge(unit, incident, "a directive on it was approved")?;
    }
    if found.is_open() {
        incident::mitigate(unit, incident, id)?;
    }
    Ok(())
}
