//! Exact money: a decimal with a currency, never a float. Amounts are not
//! negative and have at most [`limits::MONEY_SCALE_MAX`] digits after the
//! point, enough for prices per token.

use crate::{Ratio, Refusal, limits};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// An ISO 4217 code: three capital letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// The euro.
    pub const EUR: Self = Self(*b"EUR");
    /// The US dollar.
    pub const USD: Self = Self(*b"USD");

    /// The currency with this three-letter code.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let code: [u8; 3] = text.as_bytes().try_into().ok()?;
        code.iter()
            .all(u8::is_ascii_uppercase)
            .then_some(Self(code))
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}
impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.code())
    }
}
impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("`{text}` is not a three-letter currency code"))
        })
    }
}

/// An amount of money. In JSON and text `12.50 EUR`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    amount: Decimal,
    currency: Currency,
}

impl Money {
    /// Nothing, in this currency.
    #[must_use]
    pub fn zero(currency: Currency) -> Self {
        Self {
            amount: Decimal::ZERO,
            currency,
        }
    }

    /// An amount in this currency.
    ///
    /// # Errors
    /// When the amount is negative or has too many digits after the point.
    pub fn new(amount: Decimal, currency: Currency) -> Result<Self, Refusal> {
        let amount = amount.normalize();
        if amount.is_sign_negative() && !amount.is_zero() {
            return Err(Refusal::invalid(format!(
                "`{amount} {currency}` is negative"
            )));
        }
        if amount.scale() > limits::MONEY_SCALE_MAX {
            return Err(Refusal::invalid(format!(
                "`{amount} {currency}` has more than {} digits after the point",
                limits::MONEY_SCALE_MAX
            )));
        }
        Ok(Self { amount, currency })
    }

    /// Parses `12.50 EUR`, `EUR 12.50`, `€12.50`, `$50`, `£3`, and, where
    /// `default` is given, `12.50`. Group separators, decimal commas, signs
    /// and exponents are refused: they mean different things to different
    /// readers.
    ///
    /// # Errors
    /// With the reason, when the text is none of these.
    pub fn parse(text: &str, default: Option<Currency>) -> Result<Self, Refusal> {
        let fault = |why: &str| {
            Refusal::invalid(format!("`{text}` is not an amount of money: {why}"))
                .hint("write for example `12.50 EUR`, `$50` or `€12`")
        };
        let (number, currency) = split(text.trim()).ok_or_else(|| fault("no number in it"))?;
        let currency = match currency {
            None => default.ok_or_else(|| fault("it names no currency"))?,
            Some("$") => Currency::USD,
            Some("€") => Currency::EUR,
            Some("£") => Currency(*b"GBP"),
            Some(code) => Currency::parse(code).ok_or_else(|| fault("unknown currency"))?,
        };
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let well_formed = match number.split_once('.') {
            Some((whole, fraction)) => plain(whole) && plain(fraction),
            None => plain(number),
        };
        if number.starts_with('-') {
            return Err(fault("it is negative"));
        }
        if number.contains(',') {
            return Err(fault("a comma is ambiguous; use a point and no separators"));
        }
        if !well_formed {
            return Err(fault(
                "the number is not plain digits with at most one point",
            ));
        }
        let amount =
            Decimal::from_str_exact(number).map_err(|_| fault("it has too many digits"))?;
        Self::new(amount, currency)
    }

    /// The decimal amount.
    #[must_use]
    pub fn amount(&self) -> Decimal {
        self.amount
    }
    /// The amount in millionths, exactly; `None` when that is more than an
    /// `i64` holds.
    #[must_use]
    pub fn micros(&self) -> Option<i64> {
        self.amount.checked_mul(Decimal::from(1_000_000))?.to_i64()
    }
    /// The currency.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.currency
    }
    /// Whether it is nothing.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.amount.is_zero()
    }

    fn same(&self, other: &Self) -> Result<(), Refusal> {
        if self.currency == other.currency {
            return Ok(());
        }
        Err(Refusal::invalid(format!(
            "`{self}` and `{other}` are in different currencies"
        ))
        .hint("writ converts no currencies: use one per budget"))
    }

    /// Whether a sum or a difference of the two has all of its digits: where
    /// there is no room for the last ones, they are rounded away.
    fn is_exact(&self, other: &Self, result: Decimal) -> bool {
        result.scale() >= self.amount.scale().max(other.amount.scale())
    }

    /// The sum.
    ///
    /// # Errors
    /// When the currencies differ or the sum has no exact form.
    pub fn plus(&self, other: &Self) -> Result<Self, Refusal> {
        self.same(other)?;
        let sum = self.amount.checked_add(other.amount);
        let sum = sum.filter(|sum| self.is_exact(other, *sum));
        let sum =
            sum.ok_or_else(|| Refusal::invalid(format!("`{self}` plus `{other}` is too large")))?;
        Self::new(sum, self.currency)
    }

    /// The difference, zero when `other` is more.
    ///
    /// # Errors
    /// When the currencies differ or the difference has no exact form.
    pub fn minus(&self, other: &Self) -> Result<Self, Refusal> {
        self.same(other)?;
        if other.amount >= self.amount {
            return Ok(Self::zero(self.currency));
        }
        let rest = self.amount.checked_sub(other.amount);
        let rest = rest.filter(|rest| self.is_exact(other, *rest));
        let rest = rest.ok_or_else(|| {
            Refusal::invalid(format!("`{self}` minus `{other}` has too many digits"))
        })?;
        Self::new(rest, self.currency)
    }

    /// The share of `whole` that this is, at most 1, rounded down; 0 when
    /// `whole` is nothing or in another currency.
    #[must_use]
    pub fn share_of(&self, whole: &Self) -> Ratio {
        use rust_decimal::prelude::ToPrimitive as _;
        let share = match self.same(whole) {
            Ok(()) => self.amount.checked_div(whole.amount),
            Err(_) => None,
        };
        let ppm = share.and_then(|share| share.checked_mul(Decimal::from(Ratio::ONE.ppm())));
        let ppm = ppm.and_then(|ppm| ppm.trunc().to_u64()).unwrap_or(0);
        Ratio::from_ppm(u32::try_from(ppm).unwrap_or(u32::MAX))
    }

    /// Whether this is more than `other`.
    ///
    /// # Errors
    /// When the currencies differ.
    pub fn exceeds(&self, other: &Self) -> Result<bool, Refusal> {
        self.same(other)?;
        Ok(self.amount > other.amount)
    }
}

/// Splits a text into its number and, where there is one, its currency.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    let numeric = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | '-' | '+');
    let start = text.find(numeric)?;
    let tail = text.get(start..)?;
    let end = start + tail.find(|c| !numeric(c)).unwrap_or(tail.len());
    let before = text.get(..start)?.trim();
    let after = text.get(end..)?.trim();
    let number = text.get(start..end)?;
    match (before.is_empty(), after.is_empty()) {
        (true, true) => Some((number, None)),
        (false, true) => Some((number, Some(before))),
        (true, false) if !matches!(after, "$" | "€" | "£") => Some((number, Some(after))),
        _ => None,
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut amount = self.amount;
        if amount.scale() < 2 {
            amount.rescale(2);
        }
        write!(f, "{amount} {}", self.currency)
    }
}
impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl Serialize for Money {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Self::parse(&text, None).map_err(|e| serde::de::Error::custom(e.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_for_its_last_digit_is_refused_and_not_rounded() {
        let large = Money::parse("400040040000000999999990009.09 JPY", None).unwrap();
        let refused = large.plus(&large).unwrap_err();
        assert!(refused.message.ends_with("is too large"), "{refused}");
        let cent = Money::parse("0.000001 JPY", None).unwrap();
        assert!(large.plus(&cent).is_err());
        assert!(large.minus(&cent).is_err());
        let whole = Money::parse("400040040000000999999990009 JPY", None).unwrap();
        let rest = Money::parse("0.09 JPY", None).unwrap();
        assert_eq!(whole.plus(&rest), Ok(large));
        assert_eq!(large.minus(&rest), Ok(whole));
        assert_eq!(rest.minus(&large), Ok(Money::zero(large.currency())));
    }

    #[test]
    fn forms_that_parse() {
        for (text, shown) in [
            ("$50", "50.00 USD"),
            ("50.00", "50.00 EUR"),
            ("100 USD", "100.00 USD"),
            ("€12", "12.00 EUR"),
            ("EUR 0.000001", "0.000001 EUR"),
            ("  7.5 GBP ", "7.50 GBP"),
        ] {
            let money = Money::parse(text, Some(Currency::EUR)).unwrap();
            assert_eq!(money.to_string(), shown);
            assert_eq!(Money::parse(shown, None).unwrap(), money);
        }
    }

    #[test]
    fn forms_that_are_refused_with_the_reason() {
        for (text, why) in [
            ("1,000", "comma is ambiguous"),
            ("1.000,50 EUR", "comma is ambiguous"),
            ("-5 EUR", "negative"),
            ("NaN", "no number"),
            ("", "no number"),
            ("1e5 EUR", "unknown currency"),
            ("1.0000001 EUR", "digits after the point"),
            ("1.2.3 EUR", "plain digits"),
            (".5 EUR", "plain digits"),
            ("5 euros", "unknown currency"),
            ("99999999999999999999999999999999 EUR", "too many digits"),
            ("$5 USD", "no number in it"),
        ] {
            let fault = Money::parse(text, Some(Currency::EUR)).unwrap_err();
            assert!(fault.message.contains(why), "{text}: {}", fault.message);
        }
        assert!(
            Money::parse("5", None)
                .unwrap_err()
                .message
                .contains("no currency")
        );
    }

    #[test]
    fn millionths_are_exact_or_nothing() {
        for (text, micros) in [
            ("0 EUR", Some(0)),
            ("0.000001 EUR", Some(1)),
            ("12.50 EUR", Some(12_500_000)),
            ("9223372036854.775807 EUR", Some(i64::MAX)),
            ("9223372036854.775808 EUR", None),
            ("79228162514264337593543950335 EUR", None),
        ] {
            assert_eq!(Money::parse(text, None).unwrap().micros(), micros, "{text}");
        }
    }

    #[test]
    fn arithmetic_is_exact_and_keeps_currencies_apart() {
        let a = Money::parse("0.1 EUR", None).unwrap();
        let b = Money::parse("0.2 EUR", None).unwrap();
        assert_eq!(a.plus(&b).unwrap().to_string(), "0.30 EUR");
        assert_eq!(a.minus(&b).unwrap(), Money::zero(Currency::EUR));
        assert!(b.exceeds(&a).unwrap());
        assert!(a.plus(&Money::zero(Currency::USD)).is_err());
    }
}
