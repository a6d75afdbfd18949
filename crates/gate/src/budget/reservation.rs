//! A reservation: what was set aside for one operation over every counter
//! that it falls under, from the asking to the settling.

use super::{Ask, Line, Outcome};
use kernel::names::Name;
use kernel::{Aggregate, Impossible, Lifecycle, Money, Refs, Refusal, Stamp, Timestamp, Verdict};
use serde::{Deserialize, Serialize};

kernel::names! {
    /// Where a reservation stands.
    pub enum ReservationStatus {
        /// Set aside.
        Held = "held",
        /// Blocked: nothing was set aside.
        Refused = "refused",
        /// Spent and settled.
        Settled = "settled",
        /// Given back.
        Released = "released",
        /// Its lease ran out; it counts as spent.
        Expired = "expired",
    }
}

kernel::names! {
    /// What can happen to a reservation.
    pub enum ReservationTrigger {
        /// The cost is known, or known to be unknown.
        Settle = "settle",
        /// Nothing was spent.
        Release = "release",
        /// The lease ran out.
        Expire = "expire",
    }
}

/// The lifecycle of a reservation.
pub const LIFECYCLE: Lifecycle<ReservationStatus, ReservationTrigger> = {
    use ReservationStatus::{Expired, Held, Released, Settled};
    use ReservationTrigger::{Expire, Release, Settle};
    Lifecycle {
        noun: "a reservation",
        rows: &[
            (Held, Settle, Settled),
            (Held, Release, Released),
            (Held, Expire, Expired),
        ],
    }
};

kernel::names! {
    /// On what ground a charge was made.
    pub enum Basis {
        /// The cost was reported.
        Reported = "reported",
        /// The cost is unknown: charged as reserved.
        Reserved = "reserved",
    }
}

/// What was charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charge {
    /// How much.
    pub amount: Money,
    /// On what ground.
    pub basis: Basis,
    /// How many tokens, where they were reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
}

/// It was set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// What was asked.
    pub ask: Ask,
    /// Until when, unless settled before.
    pub until: Timestamp,
    /// ALLOW or WARN.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// Counter by counter.
    pub findings: Vec<Line>,
}

/// It was blocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// What was asked.
    pub ask: Ask,
    /// Why.
    pub reason: String,
    /// Counter by counter.
    pub findings: Vec<Line>,
}

/// It is held for longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extended {
    /// Until when now.
    pub until: Timestamp,
}

/// It was given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Released {}

kernel::events! {
    /// What happens to a reservation.
    pub enum ReservationEvent {
        /// It was set aside.
        Held(Held) = "reservation.held" in Budget,
        /// It was blocked.
        Refused(Refused) = "reservation.refused" in Budget,
        /// It is held for longer.
        Extended(Extended) = "reservation.extended" in Budget,
        /// It was settled.
        Settled(Charge) = "reservation.settled" in Budget,
        /// It was given back.
        Released(Released) = "reservation.released" in Budget,
        /// Its lease ran out.
        Expired(Charge) = "reservation.expired" in Budget,
    }
}

/// A reservation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reservation {
    /// Where it stands.
    pub status: ReservationStatus,
    /// What was asked.
    pub ask: Ask,
    /// Until when it is held.
    pub until: Option<Timestamp>,
    /// ALLOW, WARN or BLOCK.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// Counter by counter.
    pub findings: Vec<Line>,
    /// What was charged; nothing while held and when released.
    pub charge: Option<Charge>,
}

impl Reservation {
    /// The answer that was given when it was asked for.
    ///
    /// # Errors
    /// `conflict` when it was asked for with something else.
    pub(super) fn outcome(&self, ask: &Ask) -> Result<Outcome, Refusal> {
        if self.ask != *ask {
            return Err(Refusal::conflict(format!(
                "reservation `{}` was asked for with something else",
                ask.reservation
            ))
            .hint("take a new reservation id"));
        }
        Ok(Outcome {
            verdict: self.verdict,
            reason: self.reason.clone(),
            findings: self.findings.clone(),
            reservation: self.verdict.passes().then_some(ask.reservation),
        })
    }

    fn close(mut self, trigger: ReservationTrigger) -> Result<Self, Impossible> {
        self.status = LIFECYCLE.next(self.status, trigger)?;
        Ok(self)
    }
}

impl Aggregate for Reservation {
    const KIND: &'static str = "reservation";
    type Event = ReservationEvent;

    fn evolve(
        state: Option<Self>,
        event: &ReservationEvent,
        _: &Stamp,
    ) -> Result<Self, Impossible> {
        let first = |status, ask: &Ask, until, verdict, reason: &str, findings: &[Line]| Self {
            status,
            ask: ask.clone(),
            until,
            verdict,
            reason: reason.to_owned(),
            findings: findings.to_vec(),
            charge: None,
        };
        match (state, event) {
            (None, ReservationEvent::Held(held)) => Ok(first(
                ReservationStatus::Held,
                &held.ask,
                Some(held.until),
                held.verdict,
                &held.reason,
                &held.findings,
            )),
            (None, ReservationEvent::Refused(refused)) => Ok(first(
                ReservationStatus::Refused,
                &refused.ask,
                None,
                Verdict::Block,
                &refused.reason,
                &refused.findings,
            )),
            (Some(state), ReservationEvent::Extended(extended)) => match state.status {
                ReservationStatus::Held => Ok(Self {
                    until: Some(extended.until),
                    ..state
                }),
                _ => Err(Impossible::new(
                    "a reservation is extended while it is held",
                )),
            },
            (Some(state), ReservationEvent::Settled(charge)) => Ok(Self {
                charge: Some(*charge),
                ..state.close(ReservationTrigger::Settle)?
            }),
            (Some(state), ReservationEvent::Released(_)) => {
                state.close(ReservationTrigger::Release)
            }
            (Some(state), ReservationEvent::Expired(charge)) => Ok(Self {
                charge: Some(*charge),
                ..state.close(ReservationTrigger::Expire)?
            }),
            (Some(_), ReservationEvent::Held(_) | ReservationEvent::Refused(_)) => {
                Err(Impossible::new("a reservation is answered once"))
            }
            (None, _) => Err(Impossible::new("a reservation is held first")),
        }
    }

    fn status(&self) -> &str {
        self.status.name()
    }

    fn refs(&self) -> Refs {
        Refs {
            subject: self.ask.subject.clone(),
            directive: self.ask.directive,
            snapshot: None,
        }
    }

    fn due(&self) -> Option<Timestamp> {
        match self.status {
            ReservationStatus::Held => self.until,
            _ => None,
        }
    }
}
