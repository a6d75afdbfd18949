//! Instants and spans in whole microseconds, UTC. Time is always an input:
//! nothing here reads a clock.

use crate::Refusal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// An instant: microseconds since 1970-01-01T00:00:00Z. RFC 3339 in JSON,
/// always with six digits of fraction and `Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// 9999-12-30T21:59:59.999999Z, the last instant that every offset can write.
const MICROS_MAX: i64 = 253_402_207_199_999_999;
/// 0000-01-01T00:00:00Z, the first one.
const MICROS_MIN: i64 = -62_167_219_200_000_000;

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// The instant at this many microseconds, held within the years 0 to 9999.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(MICROS_MIN, MICROS_MAX))
    }

    /// The instant at exactly this many microseconds; `None` beyond the years 0
    /// to 9999.
    #[must_use]
    pub fn exactly(micros: i64) -> Option<Self> {
        (MICROS_MIN..=MICROS_MAX)
            .contains(&micros)
            .then_some(Self(micros))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// The text form in ASCII. By hand, because every entry that is verified
    /// is written with it; a property test compares it with jiff's.
    #[must_use]
    pub fn text(self) -> [u8; 27] {
        let (days, micros) = (
            self.0.div_euclid(DAY_MICROS),
            self.0.rem_euclid(DAY_MICROS).unsigned_abs(),
        );
        let (year, month, day) = civil(days);
        let second = micros / 1_000_000;
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let parts = [
            (0..4, year),
            (5..7, month),
            (8..10, day),
            (11..13, second / 3_600),
            (14..16, second / 60 % 60),
            (17..19, second % 60),
            (20..26, micros % 1_000_000),
        ];
        for (place, mut number) in parts {
            for digit in text.get_mut(place).into_iter().flatten().rev() {
                *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
                number /= 10;
            }
        }
        text
    }

    /// Whole milliseconds since the epoch, rounded down; zero before it.
    #[must_use]
    pub fn as_millis(self) -> u64 {
        u64::try_from(self.0.div_euclid(1_000)).unwrap_or(0)
    }

    /// Parses RFC 3339 with any offset.
    ///
    /// # Errors
    /// When the text is no RFC 3339 instant.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let instant: jiff::Timestamp = text.parse().map_err(|e| {
            Refusal::invalid(format!("`{text}` is not an instant: {e}"))
                .hint("write RFC 3339, for example `2026-03-01T04:05:06Z`")
        })?;
        Ok(Self::from_micros(instant.as_microsecond()))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0).max(0))
    }

    /// This instant moved later by `span`.
    #[must_use]
    pub fn plus(self, span: Span) -> Self {
        Self::from_micros(self.0.saturating_add(span.0))
    }

    /// This instant moved earlier by `span`.
    #[must_use]
    pub fn minus(self, span: Span) -> Self {
        Self::from_micros(self.0.saturating_sub(span.0))
    }

    /// The start of the window of length `span` that holds this instant;
    /// windows are counted from the epoch.
    #[must_use]
    pub fn window_start(self, span: Span) -> Self {
        Self(self.0 - self.0.rem_euclid(span.0.max(1)))
    }

    /// The UTC date as `YYYY-MM-DD`.
    #[must_use]
    pub fn date(self) -> String {
        self.to_string().chars().take(10).collect()
    }

    /// The UTC month as `YYYY-MM`.
    #[must_use]
    pub fn month(self) -> String {
        self.to_string().chars().take(7).collect()
    }
}

const DAY_MICROS: i64 = 86_400_000_000;

/// Year, month and day of this many days after the epoch, by Howard Hinnant's
/// `civil_from_days`: years begin in March, so that the leap day is the last.
fn civil(days: i64) -> (u64, u64, u64) {
    // Days since 0000-03-01, held positive by one era of 400 years.
    let since = (days + 719_468 + 146_097).unsigned_abs();
    let (era, of_era) = (since / 146_097, since % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year.saturating_sub(400), month, day)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text();
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Self::parse(&text).map_err(|e| serde::de::Error::custom(e.message))
    }
}

/// A length of time in whole microseconds, never negative. In text a sum of
/// whole units: `1h30m`, `90s`, `250ms`; the units are d, h, m, s, ms and us.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(i64);

const UNITS: [(&str, i64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// This many microseconds; negative counts as zero.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(if micros < 0 { 0 } else { micros })
    }
    /// This many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u32) -> Self {
        Self(millis as i64 * 1_000)
    }
    /// This many seconds.
    #[must_use]
    pub const fn from_secs(secs: u32) -> Self {
        Self(secs as i64 * 1_000_000)
    }
    /// In microseconds.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }
    /// As the standard library's duration.
    #[must_use]
    pub fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_micros(self.0.unsigned_abs())
    }

    /// Parses the text form.
    ///
    /// # Errors
    /// When the text is empty, has no or an unknown unit, or is too long.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let fault = || {
            Refusal::invalid(format!("`{text}` is not a length of time"))
                .hint("write whole numbers with units, for example `1h30m`, `90s` or `250ms`")
        };
        let mut rest = text;
        let mut total: i64 = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(fault)?;
            let (number, tail) = rest.split_at(digits);
            let letters = tail
                .find(|c: char| !c.is_ascii_lowercase())
                .unwrap_or(tail.len());
            let (unit, next) = tail.split_at(letters);
            let (_, micros) = UNITS.iter().find(|(u, _)| *u == unit).ok_or_else(fault)?;
            let count: i64 = number.parse().map_err(|_| fault())?;
            let part = count.checked_mul(*micros).ok_or_else(fault)?;
            total = total.checked_add(part).ok_or_else(fault)?;
            rest = next;
        }
        if text.is_empty() {
            return Err(fault());
        }
        Ok(Self(total))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (unit, micros) in UNITS {
            if rest >= micros {
                write!(f, "{}{unit}", rest / micros)?;
                rest %= micros;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Self::parse(&text).map_err(|e| serde::de::Error::custom(e.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_one_way() {
        let t = Timestamp::parse("2026-03-01T06:05:06.1234567+02:00").unwrap();
        assert_eq!(t.to_string(), "2026-03-01T04:05:06.123456Z");
        assert_eq!(Timestamp::EPOCH.to_string(), "1970-01-01T00:00:00.000000Z");
        assert_eq!(t.date(), "2026-03-01");
        assert_eq!(t.month(), "2026-03");
        assert!(Timestamp::parse("yesterday").is_err());
        assert_eq!(
            Timestamp::from_micros(i64::MAX).to_string(),
            "9999-12-30T21:59:59.999999Z"
        );
        assert_eq!(
            Timestamp::from_micros(i64::MIN).to_string(),
            "0000-01-01T00:00:00.000000Z"
        );
    }

    #[track_caller]
    fn is_written_as_by_jiff(micros: i64) {
        let instant = Timestamp::from_micros(micros);
        let jiff = jiff::Timestamp::from_microsecond(instant.0).unwrap();
        assert_eq!(instant.to_string(), format!("{jiff:.6}"), "{micros}");
    }

    #[test]
    fn every_day_of_the_calendar_is_written_right() {
        // Every day of one era of 400 years, after which the calendar repeats.
        for day in -100_000..=46_097 {
            let (year, month, of_month) = civil(day);
            let date = jiff::Timestamp::from_microsecond(day * DAY_MICROS).unwrap();
            let date = date.to_zoned(jiff::tz::TimeZone::UTC).date();
            let found = (date.year(), date.month(), date.day());
            let found = (found.0 as u64, found.1 as u64, found.2 as u64);
            assert_eq!((year, month, of_month), found, "{day}");
        }
        for edge in [0, -1, 1, MICROS_MIN, MICROS_MAX, 951_782_399_999_999] {
            is_written_as_by_jiff(edge);
        }
        assert_eq!(Timestamp::exactly(MICROS_MAX + 1), None);
        assert_eq!(Timestamp::exactly(-1), Some(Timestamp(-1)));
    }

    proptest::proptest! {
        #[test]
        fn instants_are_written_as_by_jiff(micros in MICROS_MIN..=MICROS_MAX) {
            is_written_as_by_jiff(micros);
        }
    }

    #[test]
    fn spans_parse_and_print() {
        for (text, micros) in [
            ("1h30m", 5_400_000_000),
            ("250ms", 250_000),
            ("0s", 0),
            ("2d", 172_800_000_000),
        ] {
            let span = Span::parse(text).unwrap();
            assert_eq!(span.as_micros(), micros);
            assert_eq!(span.to_string(), text);
        }
        for bad in [
            "",
            "5",
            "m",
            "-5s",
            "5 s",
            "5y",
            "1.5h",
            "99999999999999999999s",
            "9999999999999d",
        ] {
            assert!(Span::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn windows_count_from_the_epoch() {
        let w = Span::from_secs(60);
        assert_eq!(
            Timestamp::from_micros(59_999_999).window_start(w),
            Timestamp::EPOCH
        );
        assert_eq!(
            Timestamp::from_micros(-1).window_start(w).as_micros(),
            -60_000_000
        );
    }
}
