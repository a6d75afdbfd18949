//! Time zones by their IANA names. The database is built in, so that every
//! node with this binary has the same days, whatever its machine says.

use crate::{Refusal, Timestamp};
use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::LazyLock;

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A time zone: which instants make a day, and which a month.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The zone with this IANA name, for example `Europe/Berlin`.
    ///
    /// # Errors
    /// When there is none.
    pub fn parse(name: &str) -> Result<Self, Refusal> {
        match name {
            "UTC" => Ok(Self::UTC),
            name => ZONES.get(name).map(Self).map_err(|_| {
                Refusal::invalid(format!("`{}` is no time zone", name.escape_debug()))
                    .hint("write an IANA name, for example `Europe/Berlin`, or `UTC`")
            }),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The date of this instant as `YYYY-MM-DD`.
    #[must_use]
    pub fn date(&self, at: Timestamp) -> String {
        self.civil(at).to_string()
    }

    /// The month of this instant as `YYYY-MM`.
    #[must_use]
    pub fn month(&self, at: Timestamp) -> String {
        self.civil(at).strftime("%Y-%m").to_string()
    }

    /// When the day of this instant begins and the next one does: 23 to 25
    /// hours later, where clocks are changed.
    #[must_use]
    pub fn day(&self, at: Timestamp) -> (Timestamp, Timestamp) {
        let date = self.civil(at);
        let next = date.tomorrow().unwrap_or(date);
        (self.begin(date), self.begin(next))
    }

    /// When the month of this instant begins and the next one does.
    #[must_use]
    pub fn month_of(&self, at: Timestamp) -> (Timestamp, Timestamp) {
        let date = self.civil(at);
        let last = date.last_of_month();
        let next = last.tomorrow().unwrap_or(last);
        (self.begin(date.first_of_month()), self.begin(next))
    }

    fn civil(&self, at: Timestamp) -> Date {
        let instant = jiff::Timestamp::from_microsecond(at.as_micros());
        // INVARIANT(instants-are-dates): an instant is within years 0 to 9999.
        instant.map_or(Date::constant(1970, 1, 1), |instant| {
            instant.to_zoned(self.0.clone()).date()
        })
    }

    fn begin(&self, date: Date) -> Timestamp {
        let midnight = date.to_zoned(self.0.clone());
        midnight.map_or(Timestamp::EPOCH, |midnight| {
            Timestamp::from_micros(midnight.timestamp().as_microsecond())
        })
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::parse(&name).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn days_begin_at_midnight_where_the_tenant_is() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        for (instant, date, hours) in [
            // Winter, one hour ahead; summer, two.
            ("2026-01-31T22:59:59.999999Z", "2026-01-31", 24),
            ("2026-01-31T23:00:00Z", "2026-02-01", 24),
            ("2026-07-01T21:59:59Z", "2026-07-01", 24),
            ("2026-07-01T22:00:00Z", "2026-07-02", 24),
            // Clocks go forward and back.
            ("2026-03-28T23:00:00Z", "2026-03-29", 23),
            ("2026-03-29T21:59:59Z", "2026-03-29", 23),
            ("2026-03-29T22:00:00Z", "2026-03-30", 24),
            ("2026-10-24T22:00:00Z", "2026-10-25", 25),
            ("2026-10-25T00:30:00Z", "2026-10-25", 25),
            ("2026-10-25T01:30:00Z", "2026-10-25", 25),
            ("2026-10-25T22:59:59Z", "2026-10-25", 25),
        ] {
            let instant = at(instant);
            assert_eq!(berlin.date(instant), date, "{instant}");
            let (begin, end) = berlin.day(instant);
            assert!(begin <= instant && instant < end, "{instant}");
            assert_eq!(
                end.since(begin).as_micros(),
                hours * 3_600_000_000,
                "{instant}"
            );
        }
        // Where midnight is skipped, the day begins after it.
        let beirut = Zone::parse("Asia/Beirut").unwrap();
        let (begin, end) = beirut.day(at("2026-03-29T12:00:00Z"));
        assert_eq!(
            (begin, end),
            (at("2026-03-28T22:00:00Z"), at("2026-03-29T21:00:00Z"))
        );
    }

    #[test]
    fn months_begin_where_the_tenant_is() {
        let tokyo = Zone::parse("Asia/Tokyo").unwrap();
        let (last, first) = (
            at("2026-02-28T14:59:59.999999Z"),
            at("2026-02-28T15:00:00Z"),
        );
        assert_eq!(
            (tokyo.month(last), tokyo.month(first)),
            ("2026-02".into(), "2026-03".into())
        );
        assert_eq!(tokyo.month_of(first), (first, at("2026-03-31T15:00:00Z")));
        let leap = Zone::UTC.month_of(at("2028-02-29T12:00:00Z"));
        assert_eq!(
            leap,
            (at("2028-02-01T00:00:00Z"), at("2028-03-01T00:00:00Z"))
        );
    }

    #[test]
    fn a_zone_is_named() {
        for name in ["UTC", "Europe/Berlin", "America/New_York"] {
            let zone: Zone = serde_json::from_str(&format!("\"{name}\"")).unwrap();
            assert_eq!(serde_json::to_string(&zone).unwrap(), format!("\"{name}\""));
        }
        for bad in ["", "Berlin", "Europe/Berlino", "../etc/passwd", "+02:00"] {
            let fault = Zone::parse(bad).unwrap_err().message;
            assert!(fault.contains("no time zone"), "{fault}");
        }
    }
}
