//! Budgets: what a pack allows to be spent, on what, in which period, and the
//! counting of it. What may be spent is set aside before it is spent
//! (a reservation over every counter that it falls under, or over none), and
//! afterwards settled to what it really cost.
//!
//! INVARIANT(cap): a reservation never takes consumed plus reserved of a
//! counter over its hard cap. Settling to no more than was reserved cannot
//! break that, and a cost that is unknown settles at what was reserved. A
//! module whose cost is known only afterwards must therefore reserve the most
//! that it can cost; if it costs more all the same, the truth is counted in
//! full, recorded as `budget.overran`, and blocks what comes next.

mod amount;
mod assess;
mod counter;
mod forecast;
mod outside;
mod reservation;
mod reserve;
mod settle;

#[cfg(test)]
mod tests;

pub use amount::Amount;
pub use assess::Line;
pub use counter::{Counter, CounterEvent, Standing, Terms};
pub use forecast::{Forecast, Known, Spend, forecast};
pub use outside::{Call, LEASE_MAX, extend, release_call, reserve_call, settle_call};
pub use reservation::{
    Basis, Charge, LIFECYCLE, Reservation, ReservationEvent, ReservationStatus, ReservationTrigger,
};
pub use reserve::{Ask, Model, Outcome, preview, reserve};
pub use settle::{Actual, expire, settle};

use crate::contract::CostClass;
use kernel::{Ratio, Refusal, Timestamp, Zone};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

kernel::names! {
    /// What a budget counts separately.
    pub enum Scope {
        /// All of the tenant together.
        Tenant = "tenant",
        /// Each subject.
        Subject = "subject",
        /// Each tool (module).
        Tool = "tool",
        /// Each principal that acts.
        Agent = "agent",
        /// Each directive.
        Directive = "directive",
        /// Each provider of models.
        Provider = "provider",
        /// Each model, `PROVIDER/MODEL`.
        Model = "model",
    }
}

kernel::names! {
    /// After how long a budget starts anew. Days and months are those of its
    /// time zone.
    pub enum Period {
        /// Every day.
        Day = "day",
        /// Every month.
        Month = "month",
        /// Never.
        Total = "total",
    }
}

impl Period {
    /// The period that holds this instant: `2026-03-01`, `2026-03`, `total`.
    #[must_use]
    pub fn key(self, at: Timestamp, zone: &Zone) -> String {
        match self {
            Self::Day => zone.date(at),
            Self::Month => zone.month(at),
            Self::Total => "total".to_owned(),
        }
    }

    /// When the period that holds this instant begins and the next one does;
    /// `None` for one that never ends.
    #[must_use]
    pub fn bounds(self, at: Timestamp, zone: &Zone) -> Option<(Timestamp, Timestamp)> {
        match self {
            Self::Day => Some(zone.day(at)),
            Self::Month => Some(zone.month_of(at)),
            Self::Total => None,
        }
    }
}

kernel::names! {
    /// What a budget counts.
    pub enum Measure {
        /// Money.
        Money = "money",
        /// Tokens of models.
        Tokens = "tokens",
        /// Operations of cost class CHEAP.
        CheapCalls = "calls.CHEAP",
        /// Operations of cost class MEDIUM.
        MediumCalls = "calls.MEDIUM",
        /// Operations of cost class EXPENSIVE.
        ExpensiveCalls = "calls.EXPENSIVE",
    }
}

impl Measure {
    /// Whether it counts operations of this class.
    #[must_use]
    pub fn counts(self, class: CostClass) -> bool {
        match self {
            Self::Money | Self::Tokens => true,
            Self::CheapCalls => class == CostClass::Cheap,
            Self::MediumCalls => class == CostClass::Medium,
            Self::ExpensiveCalls => class == CostClass::Expensive,
        }
    }
}

/// One budget, as a pack declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Its name, `[a-z][a-z0-9_-]*`, unique within the book.
    pub name: String,
    /// What is counted separately.
    pub scope: Scope,
    /// When it starts anew.
    pub period: Period,
    /// Where its days and months are: an IANA name, `UTC` when it says none.
    #[serde(default, skip_serializing_if = "is_utc")]
    pub zone: Zone,
    /// What is counted.
    pub unit: Measure,
    /// More than this is blocked: `450 EUR`, `10 calls` or `1000 tokens`.
    pub hard: Amount,
    /// More than this is warned of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft: Option<Amount>,
    /// What is meant to be spent in a period, for reports; the hard cap when it
    /// says none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Amount>,
    /// From this share of the hard cap on there is an alert, once.
    #[serde(default = "alert_at")]
    pub alert_at: Ratio,
}

fn is_utc(zone: &Zone) -> bool {
    *zone == Zone::UTC
}

fn alert_at() -> Ratio {
    Ratio::from_ppm(800_000)
}

impl Budget {
    /// The caps that its counters are held to.
    #[must_use]
    pub fn terms(&self) -> Terms {
        Terms {
            unit: self.unit,
            hard: self.hard,
            soft: self.soft,
            alert_at: self.alert_at,
        }
    }

    fn check(&self) -> Result<(), Refusal> {
        let plain = self.name.starts_with(|c: char| c.is_ascii_lowercase())
            && self
                .name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'));
        if !plain || self.name.len() > kernel::limits::NAME_BYTES_MAX {
            return Err(Refusal::invalid(format!("`{}` is not a name", self.name))
                .hint("begin with a lower-case letter and use letters, digits, `_` and `-`"));
        }
        let fits = match self.hard {
            Amount::Money(_) => self.unit == Measure::Money,
            Amount::Tokens(_) => self.unit == Measure::Tokens,
            Amount::Calls(_) => !matches!(self.unit, Measure::Money | Measure::Tokens),
        };
        if !fits {
            return Err(Refusal::invalid(format!(
                "`{}` is not an amount of `{}`",
                self.hard, self.unit
            ))
            .hint("write `450 EUR` for money, `10 calls` for calls, `1000 tokens` for tokens")
            .at("hard"));
        }
        if let Some(soft) = self.soft
            && soft.exceeds(&self.hard).map_err(|e| e.at("soft"))?
        {
            return Err(Refusal::invalid(format!(
                "`{soft}` is more than the hard cap `{}`",
                self.hard
            ))
            .at("soft"));
        }
        if self
            .target
            .is_some_and(|target| !target.same_unit(&self.hard))
        {
            return Err(Refusal::invalid("is in another unit than the hard cap").at("target"));
        }
        if self.alert_at == Ratio::ZERO {
            return Err(Refusal::invalid("must be more than 0").at("alert_at"));
        }
        Ok(())
    }

    /// What of it is part of its identity: under the same name it stays.
    fn identity(&self) -> (Scope, Period, Measure, &Zone) {
        (self.scope, self.period, self.unit, &self.zone)
    }
}

/// The budgets of a pack, a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Book {
    /// The budgets, in the order in which they are reported.
    pub budgets: Vec<Budget>,
}

impl Book {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// The first fault, with its place in the list.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.budgets.is_empty() {
            return Err(Refusal::invalid(
                "declares no budget, so everything would be blocked",
            ));
        }
        let mut names = BTreeSet::new();
        for (at, budget) in self.budgets.iter().enumerate() {
            let place = format!("[{at}]");
            budget.check().map_err(|e| e.at(&place))?;
            if !names.insert(&budget.name) {
                return Err(
                    Refusal::invalid(format!("the name `{}` stands twice", budget.name)).at(place),
                );
            }
        }
        Ok(())
    }

    /// Checks that it may take the place of another one. A budget that counts
    /// something else under its old name would begin at nothing, and what was
    /// used would be forgotten.
    ///
    /// # Errors
    /// The first budget that counts something else than before.
    pub fn may_follow(&self, before: &Self) -> Result<(), Refusal> {
        for (at, budget) in self.budgets.iter().enumerate() {
            let former = before.budgets.iter().find(|b| b.name == budget.name);
            let Some(former) = former.filter(|f| f.identity() != budget.identity()) else {
                continue;
            };
            let said = |b: &Budget| {
                format!(
                    "`{}` by `{}` and `{}` in `{}`",
                    b.unit, b.scope, b.period, b.zone
                )
            };
            return Err(Refusal::invalid(format!(
                "`{}` counted {} and would now count {}, so that what was used is forgotten",
                budget.name,
                said(former),
                said(budget)
            ))
            .hint("keep scope, period, unit and zone, or give the new budget another name")
            .at(format!("[{at}]")));
        }
        Ok(())
    }
}
