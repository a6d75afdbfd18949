//! A share between 0 and 1 in exact parts per million, so that confidences
//! are the same on every machine and in every language.

use crate::Refusal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A number in [0, 1] with six digits. A JSON number, for example `0.65`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ratio(u32);

const WHOLE: u32 = 1_000_000;

impl Ratio {
    /// 0.
    pub const ZERO: Self = Self(0);
    /// 1.
    pub const ONE: Self = Self(WHOLE);

    /// This many parts per million, at most one whole.
    #[must_use]
    pub const fn from_ppm(ppm: u32) -> Self {
        Self(if ppm > WHOLE { WHOLE } else { ppm })
    }
    /// In parts per million.
    #[must_use]
    pub fn ppm(self) -> u32 {
        self.0
    }
    /// `part` of `whole`, at most 1; 0 when `whole` is 0. Rounded down.
    #[must_use]
    pub fn of(part: u64, whole: u64) -> Self {
        if whole == 0 {
            return Self::ZERO;
        }
        let ppm = u128::from(part) * u128::from(WHOLE) / u128::from(whole);
        Self::from_ppm(u32::try_from(ppm).unwrap_or(WHOLE))
    }
    /// The product, rounded down to one part per million.
    #[must_use]
    pub fn times(self, other: Self) -> Self {
        let ppm = u64::from(self.0) * u64::from(other.0) / u64::from(WHOLE);
        Self(u32::try_from(ppm).unwrap_or(WHOLE))
    }
    /// The sum, at most 1.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self::from_ppm(self.0.saturating_add(other.0))
    }
    /// As a double: exact to six digits.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        f64::from(self.0) / f64::from(WHOLE)
    }

    /// The ratio nearest to a double.
    ///
    /// # Errors
    /// When the number is not within [0, 1].
    pub fn from_f64(number: f64) -> Result<Self, Refusal> {
        if !(0.0..=1.0).contains(&number) {
            return Err(Refusal::invalid(format!(
                "`{number}` is not between 0 and 1"
            )));
        }
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range was checked in the line above"
        )]
        let ppm = (number * f64::from(WHOLE)).round() as u32;
        Ok(Self::from_ppm(ppm))
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match f.precision() {
            Some(digits) => write!(f, "{:.*}", digits, self.to_f64()),
            None => write!(f, "{}", self.to_f64()),
        }
    }
}
impl fmt::Debug for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl Serialize for Ratio {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64(self.to_f64())
    }
}
impl<'de> Deserialize<'de> for Ratio {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(d)?;
        Self::from_f64(number).map_err(|e| serde::de::Error::custom(e.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ratio_survives_json() {
        for ppm in (0..=WHOLE).step_by(7).chain([WHOLE, 600_000, 599_999]) {
            let ratio = Ratio::from_ppm(ppm);
            let json = serde_json::to_string(&ratio).unwrap();
            assert_eq!(serde_json::from_str::<Ratio>(&json).unwrap(), ratio);
        }
        assert!(serde_json::from_str::<Ratio>("1.1").is_err());
        assert!(serde_json::from_str::<Ratio>("-0.1").is_err());
    }

    #[test]
    fn arithmetic() {
        assert_eq!(Ratio::of(1, 3).ppm(), 333_333);
        assert_eq!(Ratio::of(5, 3), Ratio::ONE);
        assert_eq!(Ratio::of(5, 0), Ratio::ZERO);
        assert_eq!(
            Ratio::from_ppm(500_000)
                .times(Ratio::from_ppm(300_000))
                .ppm(),
            150_000
        );
        assert_eq!(
            Ratio::from_ppm(900_000).plus(Ratio::from_ppm(300_000)),
            Ratio::ONE
        );
    }
}
