//! What a budget counts: exact money, calls, or tokens of a model. Written
//! `12.50 EUR`, `3 calls` and `1000 tokens`.

use kernel::{Money, Ratio, Refusal};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// An amount of money, or a number of calls or of tokens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// Money.
    Money(Money),
    /// Calls.
    Calls(u64),
    /// Tokens of a model.
    Tokens(u64),
}

impl Amount {
    /// Nothing, of the same unit.
    #[must_use]
    pub fn zero(&self) -> Self {
        match self {
            Self::Money(money) => Self::Money(Money::zero(money.currency())),
            Self::Calls(_) => Self::Calls(0),
            Self::Tokens(_) => Self::Tokens(0),
        }
    }
    /// Whether it is nothing.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        match self {
            Self::Money(money) => money.is_zero(),
            Self::Calls(count) | Self::Tokens(count) => *count == 0,
        }
    }
    /// Whether the two can be added: both calls, both tokens, or money of one
    /// currency.
    #[must_use]
    pub fn same_unit(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Money(a), Self::Money(b)) => a.currency() == b.currency(),
            (Self::Calls(_), Self::Calls(_)) | (Self::Tokens(_), Self::Tokens(_)) => true,
            _ => false,
        }
    }

    /// The sum.
    ///
    /// # Errors
    /// When the units differ or the sum has no exact form.
    pub fn plus(&self, other: &Self) -> Result<Self, Refusal> {
        let too_large = || Refusal::invalid(format!("`{self}` plus `{other}` is too large"));
        let sum = |a: &u64, b: &u64| a.checked_add(*b).ok_or_else(too_large);
        match (self, other) {
            (Self::Money(a), Self::Money(b)) => a.plus(b).map(Self::Money),
            (Self::Calls(a), Self::Calls(b)) => sum(a, b).map(Self::Calls),
            (Self::Tokens(a), Self::Tokens(b)) => sum(a, b).map(Self::Tokens),
            _ => Err(self.differs(other)),
        }
    }

    /// What is left when `other` is taken away.
    ///
    /// # Errors
    /// When the units differ or `other` is more.
    pub fn less(&self, other: &Self) -> Result<Self, Refusal> {
        if other.exceeds(self)? {
            return Err(Refusal::invalid(format!(
                "`{other}` cannot be taken from `{self}`"
            )));
        }
        match (self, other) {
            (Self::Money(a), Self::Money(b)) => a.minus(b).map(Self::Money),
            (Self::Calls(a), Self::Calls(b)) => Ok(Self::Calls(a.saturating_sub(*b))),
            (Self::Tokens(a), Self::Tokens(b)) => Ok(Self::Tokens(a.saturating_sub(*b))),
            _ => Err(self.differs(other)),
        }
    }

    /// Whether this is more than `other`.
    ///
    /// # Errors
    /// When the units differ.
    pub fn exceeds(&self, other: &Self) -> Result<bool, Refusal> {
        match (self, other) {
            (Self::Money(a), Self::Money(b)) => a.exceeds(b),
            (Self::Calls(a), Self::Calls(b)) | (Self::Tokens(a), Self::Tokens(b)) => Ok(a > b),
            _ => Err(self.differs(other)),
        }
    }

    /// Whether this is at least that share of a cap, exactly. Nothing reaches
    /// no share; what is too large to compare reaches every share.
    #[must_use]
    pub fn reaches(&self, share: Ratio, cap: &Self) -> bool {
        let whole = Ratio::ONE.ppm();
        match (self, cap) {
            (Self::Money(used), Self::Money(cap)) if used.currency() == cap.currency() => {
                let used_scaled = used.amount().checked_mul(whole.into());
                let cap_scaled = cap.amount().checked_mul(share.ppm().into());
                let reached = used_scaled.zip(cap_scaled).is_none_or(|(u, c)| u >= c);
                !used.is_zero() && reached
            }
            (Self::Calls(used), Self::Calls(cap)) | (Self::Tokens(used), Self::Tokens(cap)) => {
                let used_scaled = u128::from(*used) * u128::from(whole);
                *used > 0 && used_scaled >= u128::from(*cap) * u128::from(share.ppm())
            }
            _ => false,
        }
    }

    fn differs(&self, other: &Self) -> Refusal {
        Refusal::invalid(format!("`{self}` and `{other}` are of different units"))
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        type Count = (&'static str, &'static str, fn(u64) -> Amount);
        let counts: [Count; 2] = [
            ("calls", "call", Self::Calls),
            ("tokens", "token", Self::Tokens),
        ];
        for (many, one, make) in counts {
            let Some(number) = text.strip_suffix(many).or(text.strip_suffix(one)) else {
                continue;
            };
            let count = number.trim_end().parse().ok();
            return count
                .filter(|_| number.starts_with(|c: char| c.is_ascii_digit()))
                .map(make)
                .ok_or_else(|| {
                    Refusal::invalid(format!("`{text}` is not a number of {many}"))
                        .hint(format!("write for example `10 {many}`"))
                });
        }
        Money::parse(text, None).map(Self::Money)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Money(money) => write!(f, "{money}"),
            Self::Calls(1) => f.write_str("1 call"),
            Self::Calls(calls) => write!(f, "{calls} calls"),
            Self::Tokens(1) => f.write_str("1 token"),
            Self::Tokens(tokens) => write!(f, "{tokens} tokens"),
        }
    }
}
impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl std::str::FromStr for Amount {
    type Err = Refusal;
    fn from_str(text: &str) -> Result<Self, Refusal> {
        Self::parse(text)
    }
}
impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Self::parse(&text).map_err(|e| serde::de::Error::custom(e.message))
    }
}
