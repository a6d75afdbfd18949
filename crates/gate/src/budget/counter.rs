//! A counter: how much of one budget, for one value of its scope, in one
//! period, is consumed and reserved. Its stream is
//! `budget/NAME@VALUE@PERIOD`, so that it is found without a search, and a
//! new period begins by its name alone.

use super::{Amount, Budget, Measure, Scope};
use kernel::names::Name;
use kernel::{
    Aggregate, DirectiveId, Impossible, Ratio, Refs, Refusal, ReservationId, Stamp, Subject,
    Timestamp,
};
use serde::{Deserialize, Serialize};

/// The caps that a counter is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// What is counted.
    pub unit: Measure,
    /// More than this is blocked.
    pub hard: Amount,
    /// More than this is warned of.
    pub soft: Option<Amount>,
    /// From this share of the hard cap on there is an alert.
    pub alert_at: Ratio,
}

kernel::names! {
    /// How a counter stands to its caps.
    pub enum Standing {
        /// Within both caps.
        Within = "within",
        /// Over the soft cap.
        OverSoft = "over_soft",
        /// At the hard cap, or over it because the cap was lowered or a cost
        /// was more than its reservation.
        Exhausted = "exhausted",
    }
}

/// It counts from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// The budget's name.
    pub budget: String,
    /// The budget's scope.
    pub scope: Scope,
    /// For which value of the scope.
    pub value: String,
    /// In which period.
    pub period: String,
    /// The caps.
    pub terms: Terms,
}

/// Its caps changed; what is used did not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amended {
    /// The caps.
    pub terms: Terms,
}

/// An amount of a reservation moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    /// The reservation.
    pub reservation: ReservationId,
    /// How much.
    pub amount: Amount,
}

/// A reservation met a cap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Met {
    /// The reservation.
    pub reservation: ReservationId,
    /// How much was asked for.
    pub amount: Amount,
    /// Why it is warned of or blocked.
    pub reason: String,
}

/// A reservation was settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settled {
    /// The reservation.
    pub reservation: ReservationId,
    /// What was reserved, and no longer is.
    pub reserved: Amount,
    /// What it cost.
    pub charged: Amount,
}

/// The use reached the share that is alerted at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alerted {
    /// The share.
    pub share: Ratio,
    /// Of this cap.
    pub hard: Amount,
    /// Consumed and reserved then.
    pub used: Amount,
}

kernel::events! {
    /// What happens to a counter.
    pub enum CounterEvent {
        /// It counts from now on.
        Opened(Opened) = "budget.opened" in Budget,
        /// Its caps changed.
        Amended(Amended) = "budget.amended" in Budget,
        /// Something was set aside.
        Reserved(Moved) = "budget.reserved" in Budget,
        /// A reservation took it over its soft cap.
        Warned(Met) = "budget.warned" in Budget,
        /// A reservation was refused because of it.
        Blocked(Met) = "budget.blocked" in Budget,
        /// A reservation became a cost.
        Settled(Settled) = "budget.settled" in Budget,
        /// A cost was more than its reservation, by this much.
        Overran(Moved) = "budget.overran" in Budget,
        /// A reservation was given back.
        Released(Moved) = "budget.released" in Budget,
        /// A reservation ran out and counts as spent.
        Expired(Moved) = "budget.expired" in Budget,
        /// The use reached the share that is alerted at.
        Alerted(Alerted) = "budget.alerted" in Budget,
    }
}

/// A counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counter {
    /// The budget's name.
    pub budget: String,
    /// The budget's scope.
    pub scope: Scope,
    /// For which value of the scope.
    pub value: String,
    /// In which period.
    pub period: String,
    /// The caps, as last declared.
    pub terms: Terms,
    /// What was spent.
    pub consumed: Amount,
    /// What is set aside.
    pub reserved: Amount,
    /// What of `consumed` was over its reservations.
    pub overrun: Amount,
    /// The alerts of this period: each share of each cap at most once.
    pub alerts: Vec<Alerted>,
}

impl Counter {
    /// The id of the counter of a budget for a value of its scope.
    #[must_use]
    pub fn id_of(budget: &Budget, value: &str, now: Timestamp) -> String {
        format!(
            "{}@{value}@{}",
            budget.name,
            budget.period.key(now, &budget.zone)
        )
    }

    /// Consumed and reserved together.
    ///
    /// # Errors
    /// When the sum has no exact form.
    pub fn used(&self) -> Result<Amount, Refusal> {
        self.consumed.plus(&self.reserved)
    }

    /// The alert that is due and was not given, if any.
    ///
    /// # Errors
    /// As [`Counter::used`].
    pub fn alert_due(&self) -> Result<Option<Alerted>, Refusal> {
        let (share, hard) = (self.terms.alert_at, self.terms.hard);
        let used = self.used()?;
        let given = |a: &Alerted| a.share == share && a.hard == hard;
        let due = used.reaches(share, &hard) && !self.alerts.iter().any(given);
        Ok(due.then_some(Alerted { share, hard, used }))
    }

    /// How it stands to its caps.
    #[must_use]
    pub fn standing(&self) -> Standing {
        // What cannot be added up is no longer within anything.
        let Ok(used) = self.used() else {
            return Standing::Exhausted;
        };
        let over = |cap: &Amount| used.exceeds(cap).unwrap_or(true);
        if used == self.terms.hard || over(&self.terms.hard) {
            Standing::Exhausted
        } else if self.terms.soft.as_ref().is_some_and(over) {
            Standing::OverSoft
        } else {
            Standing::Within
        }
    }

    fn take(&mut self, reserved: &Amount, charged: &Amount) -> Result<(), Impossible> {
        self.reserved = self.reserved.less(reserved)?;
        self.consumed = self.consumed.plus(charged)?;
        Ok(())
    }
}

impl Aggregate for Counter {
    const KIND: &'static str = "budget";
    type Event = CounterEvent;

    fn evolve(state: Option<Self>, event: &CounterEvent, _: &Stamp) -> Result<Self, Impossible> {
        let mut counter = match (state, event) {
            (None, CounterEvent::Opened(opened)) => {
                let zero = opened.terms.hard.zero();
                return Ok(Self {
                    budget: opened.budget.clone(),
                    scope: opened.scope,
                    value: opened.value.clone(),
                    period: opened.period.clone(),
                    terms: opened.terms,
                    consumed: zero,
                    reserved: zero,
                    overrun: zero,
                    alerts: Vec::new(),
                });
            }
            (None, _) => return Err(Impossible::new("a budget is opened first")),
            (Some(_), CounterEvent::Opened(_)) => {
                return Err(Impossible::new("a budget is opened once"));
            }
            (Some(counter), _) => counter,
        };
        match event {
            CounterEvent::Opened(_) | CounterEvent::Warned(_) | CounterEvent::Blocked(_) => {}
            CounterEvent::Amended(amended) => {
                if !amended.terms.hard.same_unit(&counter.consumed) {
                    return Err(Impossible::new("a budget keeps its unit"));
                }
                counter.terms = amended.terms;
            }
            CounterEvent::Reserved(moved) => {
                counter.reserved = counter.reserved.plus(&moved.amount)?;
                // INVARIANT(cap): relied on nowhere else; checked here again,
                // so that replay proves it.
                if counter.used()?.exceeds(&counter.terms.hard)? {
                    return Err(Impossible::new(format!(
                        "reserving `{}` would break the cap `{}`",
                        moved.amount, counter.terms.hard
                    )));
                }
            }
            CounterEvent::Settled(settled) => counter.take(&settled.reserved, &settled.charged)?,
            CounterEvent::Released(moved) => {
                counter.take(&moved.amount, &moved.amount.zero())?;
            }
            CounterEvent::Expired(moved) => counter.take(&moved.amount, &moved.amount)?,
            CounterEvent::Overran(moved) => {
                counter.overrun = counter.overrun.plus(&moved.amount)?;
            }
            CounterEvent::Alerted(alerted) => counter.alerts.push(*alerted),
        }
        Ok(counter)
    }

    fn status(&self) -> &str {
        self.standing().name()
    }

    fn refs(&self) -> Refs {
        let of = |scope| (self.scope == scope).then_some(self.value.as_str());
        Refs {
            subject: of(Scope::Subject).and_then(|v| Subject::parse(v).ok()),
            directive: of(Scope::Directive).and_then(DirectiveId::parse),
            snapshot: None,
        }
    }
}
