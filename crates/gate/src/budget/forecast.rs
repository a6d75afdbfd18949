//! When a budget will be used up if it is spent from as it was lately, and how
//! what was spent compares with what was meant to be.
//!
//! The method: the mean rate of the trailing window (a day for budgets of a
//! day, a week for the others, less where less is known) goes on unchanged. It
//! knows no trend and no time of day: [`tests`] say how far it is off on spend
//! that has them.

use super::{Amount, Period};
use kernel::{Span, Timestamp, Zone};
use rust_decimal::prelude::ToPrimitive;
use serde::Serialize;

/// Less than this is too little to forecast from.
const KNOWN_MIN: Span = Span::from_secs(3_600);
const DAY: Span = Span::from_secs(24 * 3_600);
const WEEK: Span = Span::from_secs(7 * 24 * 3_600);

impl Period {
    /// How far back a forecast looks.
    #[must_use]
    pub fn window(self) -> Span {
        match self {
            Self::Day => DAY,
            Self::Month | Self::Total => WEEK,
        }
    }
}

/// What was charged, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spend {
    /// When.
    pub at: Timestamp,
    /// How much.
    pub amount: Amount,
}

/// What a forecast starts from.
#[derive(Clone, Debug)]
pub struct Known<'a> {
    /// Now.
    pub now: Timestamp,
    /// When the budget starts anew.
    pub period: Period,
    /// Where its days and months are.
    pub zone: &'a Zone,
    /// Consumed and reserved.
    pub used: Amount,
    /// The hard cap.
    pub hard: Amount,
    /// From when on `spend` is all there was.
    pub since: Timestamp,
    /// What was charged since.
    pub spend: &'a [Spend],
}

/// A forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// From when on spend was looked at.
    pub since: Timestamp,
    /// What was charged since.
    pub spent: Amount,
    /// The hour in which the hard cap is reached, in this period or the next;
    /// `None` when in neither.
    pub breach: Option<Timestamp>,
    /// When the period ends, if it does.
    pub ends: Option<Timestamp>,
}

/// Forecasts; `None` when too little is known.
#[must_use]
pub fn forecast(known: &Known<'_>) -> Option<Forecast> {
    let since = known.since.max(known.now.minus(known.period.window()));
    let window = known.now.since(since);
    if window < KNOWN_MIN {
        return None;
    }
    let recent = known
        .spend
        .iter()
        .filter(|s| s.at > since && s.at <= known.now);
    let zero = known.hard.zero();
    let spent = recent.fold(zero, |sum, spend| sum.plus(&spend.amount).unwrap_or(sum));
    let ends = known
        .period
        .bounds(known.now, known.zone)
        .map(|(_, end)| end);
    Some(Forecast {
        since,
        spent,
        breach: breach(known, number(&spent) / micros(window), ends).map(hour),
        ends,
    })
}

/// When the cap is reached at this rate per microsecond.
fn breach(known: &Known<'_>, rate: f64, ends: Option<Timestamp>) -> Option<Timestamp> {
    let left = number(&known.hard) - number(&known.used);
    if left <= 0.0 {
        return Some(known.now);
    }
    let after = |from: Timestamp, amount: f64| {
        let span = (amount / rate).round();
        // Nothing is spent, or the instant is beyond all dates.
        let span = span.is_finite().then_some(span)?;
        Some(from.plus(Span::from_micros(span.to_i64()?)))
    };
    let here = after(known.now, left);
    let Some(ends) = ends else { return here };
    if let Some(at) = here.filter(|at| *at < ends) {
        return Some(at);
    }
    let (_, next) = known.period.bounds(ends, known.zone)?;
    after(ends, number(&known.hard)).filter(|at| *at < next)
}

/// The hour that holds this instant.
fn hour(at: Timestamp) -> Timestamp {
    at.window_start(KNOWN_MIN)
}

fn micros(span: Span) -> f64 {
    span.as_micros() as f64
}

fn number(amount: &Amount) -> f64 {
    match amount {
        Amount::Money(money) => money.amount().to_f64().unwrap_or(f64::INFINITY),
        Amount::Calls(count) | Amount::Tokens(count) => *count as f64,
    }
}

#[cfg(test)]
mod tests;
