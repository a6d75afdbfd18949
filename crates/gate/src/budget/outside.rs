//! Budgets for callers outside of writ: an agent that calls a model or a tool
//! by itself sets aside what the call may cost, and settles it afterwards. A
//! caller that is cancelled or gone settles nothing: its short lease runs out,
//! and what it held counts as spent.

use super::reservation::Extended;
use super::reserve::refuse;
use super::{
    Actual, Ask, Book, LIFECYCLE, Model, Outcome, Reservation, ReservationEvent,
    ReservationTrigger, reserve, settle,
};
use crate::contract::CostClass;
use crate::{Directive, kill, residency};
use kernel::{DirectiveId, Money, PrincipalKind, Refusal, ReservationId, Span, Subject, Unit};
use std::sync::Arc;

/// A caller comes back within this time, or the lease has run out.
pub const LEASE_MAX: Span = Span::from_secs(3_600);

/// A call that is to be paid for.
#[derive(Clone, Debug)]
pub struct Call {
    /// The most that it can cost.
    pub amount: Money,
    /// The most tokens that it can take; 0 when it takes none.
    pub tokens: u64,
    /// How costly it is.
    pub cost_class: CostClass,
    /// The directive, where it is for one.
    pub directive: Option<DirectiveId>,
    /// The subject, where there is one.
    pub subject: Option<Subject>,
    /// The tool.
    pub tool: String,
    /// The model, where one is called.
    pub model: Option<Model>,
    /// For how long it is held.
    pub lease: Span,
    /// Why it is worth it; EXPENSIVE calls need it.
    pub justification: Option<String>,
}

/// Sets aside what a call may cost, where its provider may be called at all. A
/// BLOCK is recorded and is no error.
///
/// # Errors
/// `blocked` when the tenant's kill switch stops the tool or the caller (what
/// stops every tenant is for the shell to ask before), `not_found` when
/// there is no such directive, `invalid` for a call that makes no sense.
pub fn reserve_call(
    unit: &mut Unit<'_>,
    book: &Book,
    residency: Option<&residency::Settings>,
    reservation: ReservationId,
    call: Call,
) -> Result<Outcome, Refusal> {
    let agent = unit.ctx().actor.clone();
    if let Some(stopped) = kill::stops(unit, None, &call.tool, &agent)? {
        return Err(Refusal::blocked(stopped.to_string()));
    }
    if let Some(id) = call.directive {
        unit.get::<Directive>(id)?;
    }
    leased(call.lease)?;
    let provider = call.model.as_ref().map(|model| model.provider.as_str());
    let now = unit.ctx().now;
    let faults = provider.map(|name| residency::provider(residency, name, now));
    let found = residency.zip(provider);
    let reached = found.and_then(|(register, name)| register.reached_provider(name));
    let ask = Ask {
        reservation,
        amount: call.amount,
        cost_class: call.cost_class,
        directive: call.directive,
        subject: call.subject,
        tool: call.tool,
        agent,
        lease: call.lease,
        justification: call.justification,
        model: call.model,
        tokens: call.tokens,
        outside: true,
        reached: reached.into_iter().collect(),
    };
    match faults.filter(|faults| !faults.is_empty()) {
        Some(faults) => refuse(unit, ask, format!("residency: {}", faults.join("; "))),
        None => reserve(unit, book, ask),
    }
}

/// Settles what a call cost; nobody knows when it is `None`, and it counts as
/// reserved. Settled, released or run out already, it stays as it is.
///
/// # Errors
/// `forbidden` when another holds it, and those of [`settle`].
pub fn settle_call(
    unit: &mut Unit<'_>,
    id: ReservationId,
    cost: Option<Money>,
    tokens: Option<u64>,
) -> Result<Arc<Reservation>, Refusal> {
    let held = held(unit, id)?;
    let actual = match (cost, tokens) {
        (None, None) => Actual::Unknown,
        (None, Some(tokens)) => Actual::Metered(held.ask.amount, tokens),
        (Some(cost), None) => Actual::Known(cost),
        (Some(cost), Some(tokens)) => Actual::Metered(cost, tokens),
    };
    settle(unit, id, actual)
}

/// Gives back what was set aside: the call was not made.
///
/// # Errors
/// As [`settle_call`].
pub fn release_call(unit: &mut Unit<'_>, id: ReservationId) -> Result<Arc<Reservation>, Refusal> {
    held(unit, id)?;
    settle(unit, id, Actual::Nothing)
}

/// Holds it until `lease` from now, if that is later than before.
///
/// # Errors
/// As [`settle_call`]; `illegal_move` when it is held no longer.
pub fn extend(
    unit: &mut Unit<'_>,
    id: ReservationId,
    lease: Span,
) -> Result<Arc<Reservation>, Refusal> {
    let found = held(unit, id)?;
    leased(lease)?;
    LIFECYCLE.next(found.status, ReservationTrigger::Expire)?;
    let now = unit.ctx().now;
    if found.until.is_some_and(|until| until <= now) {
        return Err(Refusal::conflict("its lease has run out").hint("set aside anew"));
    }
    let until = now.plus(lease);
    if found.until.is_some_and(|held| held >= until) {
        return Ok(found);
    }
    let event = ReservationEvent::Extended(Extended { until });
    unit.record::<Reservation>(id, event)
        .map(|(_, after)| after)
}

/// A reservation of a caller outside, which its holder may settle, or a person.
fn held(unit: &mut Unit<'_>, id: ReservationId) -> Result<Arc<Reservation>, Refusal> {
    let found = unit.get::<Reservation>(id)?;
    if !found.ask.outside {
        return Err(Refusal::forbidden(format!(
            "`{id}` is held by a run, which settles it"
        )));
    }
    let actor = &unit.ctx().actor;
    if found.ask.agent != *actor && actor.kind != PrincipalKind::Human {
        return Err(Refusal::forbidden(format!(
            "`{id}` is held by `{}`",
            found.ask.agent
        )));
    }
    Ok(found)
}

fn leased(lease: Span) -> Result<(), Refusal> {
    match lease > LEASE_MAX {
        false => Ok(()),
        true => Err(
            Refusal::invalid(format!("`{lease}` is longer than {LEASE_MAX}"))
                .hint("take a shorter lease and extend it")
                .at("lease"),
        ),
    }
}
