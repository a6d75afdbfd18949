//! Amounts as the ledger writes them, for adding up: a decimal number, a space,
//! and what is counted.

use super::Fault;
use std::fmt;

/// So many decimal places are kept; more are a fault.
const PLACES: usize = 9;
/// 10 to that power.
const SCALE: i128 = 1_000_000_000;

/// An amount in units of 10^-9.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Amount {
    nano: i128,
    unit: String,
}

impl Amount {
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let fault = || Fault::new("shape", format!("`{text}` is no amount"));
        let (number, unit) = text.split_once(' ').ok_or_else(fault)?;
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > PLACES {
            return Err(fault());
        }
        let scaled = format!("{whole}{part:0<PLACES$}");
        Ok(Self {
            nano: scaled.parse().map_err(|_| fault())?,
            // One call, two calls.
            unit: match unit {
                "call" | "calls" => "calls".to_owned(),
                "token" | "tokens" => "tokens".to_owned(),
                currency => currency.to_owned(),
            },
        })
    }

    pub(super) fn zero(&self) -> Self {
        Self {
            nano: 0,
            unit: self.unit.clone(),
        }
    }

    fn with(&self, other: &Self, nano: Option<i128>) -> Result<Self, Fault> {
        match nano {
            Some(nano) if self.unit == other.unit && nano >= 0 => Ok(Self {
                nano,
                unit: self.unit.clone(),
            }),
            _ => Err(Fault::new(
                "budget",
                format!("{self} and {other} do not add up"),
            )),
        }
    }

    pub(super) fn plus(&self, other: &Self) -> Result<Self, Fault> {
        self.with(other, self.nano.checked_add(other.nano))
    }

    pub(super) fn same_unit(&self, other: &Self) -> bool {
        self.unit == other.unit
    }

    pub(super) fn exceeds(&self, cap: &Self) -> bool {
        self.unit != cap.unit || self.nano > cap.nano
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.nano / SCALE, self.nano % SCALE);
        write!(f, "{whole}.{part:0PLACES$} {}", self.unit)
    }
}
