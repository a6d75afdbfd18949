//! Detection rules: a condition over one signal, a window on event time, an
//! aggregate over the signals that meet the condition, a fixed threshold.

use crate::severity::{Severity, SignalStatus};
use kernel::Span;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A detection rule. Its version is the SHA-256 of its canonical JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, unique in the pack.
    pub id: String,
    /// What people call it.
    pub title: String,
    /// Signals of these types are looked at.
    pub signal_types: Vec<String>,
    /// Signals of these statuses are looked at.
    #[serde(default = "firing")]
    pub statuses: Vec<SignalStatus>,
    /// CEL over `signal`, for example `signal.attributes.ratio > 0.05`; `true`
    /// takes every signal.
    #[serde(default = "always")]
    pub condition: String,
    /// What makes a group beside the subject, which always does: `source`,
    /// `type`, `fingerprint` or `attributes.NAME`.
    #[serde(default)]
    pub group_by: Vec<String>,
    /// The window on event time.
    pub window: Window,
    /// What is measured over the window.
    #[serde(default)]
    pub aggregate: Aggregation,
    /// The rule matches when the aggregate is at least this.
    pub threshold: Quantity,
    /// The severity of the detection.
    pub severity: Severity,
    /// What a match means, with `{value}`, `{threshold}`, `{subject}`,
    /// `{group}`, `{window}` and `{signals}` filled in.
    pub explanation: String,
}

fn firing() -> Vec<SignalStatus> {
    vec![SignalStatus::Firing]
}

fn always() -> String {
    "true".to_owned()
}

/// A window on event time, counted from the epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// How long it is.
    pub length: Span,
    /// A window begins at each multiple of this; without it windows tumble,
    /// that is, they begin at each multiple of the length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slide: Option<Span>,
    /// A signal that is received later than this after the window's end does
    /// not count in it; without it every signal counts, however late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_lateness: Option<Span>,
}

/// What is measured over a window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// How many signals.
    #[default]
    Count,
    /// How many different values an attribute has.
    Distinct(String),
    /// The sum of a numeric attribute.
    Sum(String),
    /// How many signals per this length of time.
    Rate(Span),
}

/// A number in exact millionths, so that sums are the same in any order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Quantity(i64);

const MILLION: i64 = 1_000_000;

impl Quantity {
    /// This many whole ones, held within what can be written.
    #[must_use]
    pub const fn whole(number: i64) -> Self {
        Self(number.saturating_mul(MILLION))
    }
    /// This many millionths.
    #[must_use]
    pub const fn from_millionths(millionths: i64) -> Self {
        Self(millionths)
    }
    /// In millionths.
    #[must_use]
    pub const fn millionths(self) -> i64 {
        self.0
    }
    /// The quantity nearest to a double; `None` beyond ±9·10¹².
    #[must_use]
    pub fn from_f64(number: f64) -> Option<Self> {
        const BOUND: f64 = 9.0e12;
        if !(-BOUND..=BOUND).contains(&number) {
            return None;
        }
        #[allow(
            clippy::cast_possible_truncation,
            reason = "the range was checked in the line above"
        )]
        let millionths = (number * 1.0e6).round() as i64;
        Some(Self(millionths))
    }
    /// The sum, held within what can be written.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let size = self.0.unsigned_abs();
        let (ones, rest) = (size / 1_000_000, size % 1_000_000);
        if rest == 0 {
            return write!(f, "{sign}{ones}");
        }
        let digits = format!("{rest:06}");
        write!(f, "{sign}{ones}.{}", digits.trim_end_matches('0'))
    }
}
impl fmt::Debug for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        #[allow(
            clippy::cast_precision_loss,
            reason = "what was read from a double is written as that double"
        )]
        let number = self.0 as f64 / 1.0e6;
        s.serialize_f64(number)
    }
}
impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(d)?;
        Self::from_f64(number)
            .ok_or_else(|| serde::de::Error::custom(format!("`{number}` is out of range")))
    }
}
