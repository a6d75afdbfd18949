//! What may be decided on together with others. Each decision is a command of
//! its own; this says only whether it may be one of several.

use crate::approval::settings;
use crate::{Approval, Directive, GateEnv};
use kernel::{ApprovalId, Refusal, Unit};

/// How many requests may be decided on at once.
///
/// # Errors
/// When policy wants each looked at alone.
pub fn bulk_max(env: &GateEnv<'_>) -> Result<usize, Refusal> {
    let bulk = env.rules.approvals.bulk.as_ref();
    let bulk = bulk.ok_or_else(|| {
        Refusal::forbidden("policy wants each request decided on alone")
            .hint("`bulk` in approvals.yaml of the pack says what may be decided on together")
    })?;
    Ok(usize::try_from(bulk.max).unwrap_or(usize::MAX))
}

/// Refuses a request that policy wants decided on alone.
///
/// # Errors
/// When it is not of a class or type that may be decided on with others.
pub fn in_bulk(unit: &mut Unit<'_>, env: &GateEnv<'_>, id: ApprovalId) -> Result<(), Refusal> {
    bulk_max(env)?;
    let approval = unit.get::<Approval>(id)?;
    let directive = unit.get::<Directive>(approval.request.binding.directive)?;
    let contract = &directive.contract;
    let class = settings::effective_class(contract, env.capabilities);
    let bulk = env.rules.approvals.bulk.as_ref();
    if bulk.is_some_and(|bulk| bulk.of.has(class, &contract.kind)) {
        return Ok(());
    }
    Err(Refusal::forbidden(format!(
        "policy wants `{}` ({class}) decided on alone",
        contract.kind
    ))
    .hint("decide on it by itself"))
}
