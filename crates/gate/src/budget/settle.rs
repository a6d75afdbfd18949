//! After the spending, or after nobody came back: a reservation becomes a
//! cost, or is given back. What was accounted for first stands.

use super::counter::{Moved, Settled};
use super::reservation::Released;
use super::reserve::alert;
use super::{
    Amount, Basis, Charge, Counter, CounterEvent, LIFECYCLE, Line, Reservation, ReservationEvent,
    ReservationStatus, ReservationTrigger,
};
use kernel::{Money, Refusal, ReservationId, Unit};
use std::sync::Arc;

/// What an operation really cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actual {
    /// This much. Counted in full, also when it is more than was reserved;
    /// what is over is recorded as `budget.overran`. Tokens that were set
    /// aside count as used.
    Known(Money),
    /// This much, and this many tokens.
    Metered(Money, u64),
    /// Nobody knows: charged as reserved, never as nothing.
    Unknown,
    /// Nothing happened: what was reserved is given back.
    Nothing,
}

/// Settles a reservation. Settled, released or expired already, it stays as it
/// is.
///
/// # Errors
/// `not_found`; `illegal_move` when it was refused; `invalid` when the cost is
/// in another currency than the reservation (settle it as unknown then).
pub fn settle(
    unit: &mut Unit<'_>,
    id: ReservationId,
    actual: Actual,
) -> Result<Arc<Reservation>, Refusal> {
    let reservation = unit.get::<Reservation>(id)?;
    if is_accounted(reservation.status) {
        return Ok(reservation);
    }
    let (trigger, charge) = match actual {
        Actual::Nothing => (ReservationTrigger::Release, None),
        Actual::Unknown => (ReservationTrigger::Settle, Some(as_reserved(&reservation))),
        Actual::Known(amount) => (
            ReservationTrigger::Settle,
            Some(reported(&reservation, amount, None)?),
        ),
        Actual::Metered(amount, tokens) => (
            ReservationTrigger::Settle,
            Some(reported(&reservation, amount, Some(tokens))?),
        ),
    };
    LIFECYCLE.next(reservation.status, trigger)?;
    let event = match charge {
        None => ReservationEvent::Released(Released {}),
        Some(charge) => ReservationEvent::Settled(charge),
    };
    let (entry, after) = unit.record::<Reservation>(id, event)?;
    let cause = unit.caused_by(Some(entry));
    for line in &reservation.findings {
        match charge {
            None => {
                let event = CounterEvent::Released(moved(id, line));
                unit.record::<Counter>(&line.counter, event)?;
            }
            Some(charge) => charge_to(unit, id, line, charge)?,
        }
    }
    unit.caused_by(cause);
    Ok(after)
}

/// The tick of a held reservation: when its lease has run out, whoever held it
/// is gone, and what it cost is unknown, so that it counts as spent. Before
/// that, nothing happens.
///
/// # Errors
/// `not_found`, and what storage says.
pub fn expire(unit: &mut Unit<'_>, id: ReservationId) -> Result<Arc<Reservation>, Refusal> {
    let reservation = unit.get::<Reservation>(id)?;
    let due = kernel::Aggregate::due(reservation.as_ref());
    if due.is_none_or(|until| unit.ctx().now < until) {
        return Ok(reservation);
    }
    LIFECYCLE.next(reservation.status, ReservationTrigger::Expire)?;
    let charge = as_reserved(&reservation);
    let (entry, after) = unit.record::<Reservation>(id, ReservationEvent::Expired(charge))?;
    let cause = unit.caused_by(Some(entry));
    for line in &reservation.findings {
        let event = CounterEvent::Expired(moved(id, line));
        unit.record::<Counter>(&line.counter, event)?;
    }
    unit.caused_by(cause);
    Ok(after)
}

fn is_accounted(status: ReservationStatus) -> bool {
    match status {
        ReservationStatus::Held | ReservationStatus::Refused => false,
        ReservationStatus::Settled | ReservationStatus::Released | ReservationStatus::Expired => {
            true
        }
    }
}

fn as_reserved(reservation: &Reservation) -> Charge {
    Charge {
        amount: reservation.ask.amount,
        basis: Basis::Reserved,
        tokens: None,
    }
}

fn reported(
    reservation: &Reservation,
    amount: Money,
    tokens: Option<u64>,
) -> Result<Charge, Refusal> {
    // Refuses a currency that the counters could not take.
    amount.plus(&reservation.ask.amount)?;
    Ok(Charge {
        amount,
        basis: Basis::Reported,
        tokens,
    })
}

fn moved(reservation: ReservationId, line: &Line) -> Moved {
    Moved {
        reservation,
        amount: line.amount,
    }
}

fn charge_to(
    unit: &mut Unit<'_>,
    reservation: ReservationId,
    line: &Line,
    charge: Charge,
) -> Result<(), Refusal> {
    let charged = match line.amount {
        Amount::Money(_) => Amount::Money(charge.amount),
        Amount::Tokens(_) => charge.tokens.map_or(line.amount, Amount::Tokens),
        // The call was made, whatever it cost.
        Amount::Calls(_) => line.amount,
    };
    let event = CounterEvent::Settled(Settled {
        reservation,
        reserved: line.amount,
        charged,
    });
    unit.record::<Counter>(&line.counter, event)?;
    if charged.exceeds(&line.amount)? {
        let event = CounterEvent::Overran(Moved {
            reservation,
            amount: charged.less(&line.amount)?,
        });
        unit.record::<Counter>(&line.counter, event)?;
        alert(unit, &line.counter)?;
    }
    Ok(())
}
