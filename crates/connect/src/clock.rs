//! The machine's clock.

use kernel::port::Clock;
use kernel::{Span, Timestamp};
use std::sync::LazyLock;
use std::time::Instant;

#[allow(
    clippy::disallowed_methods,
    reason = "this is the one adapter that brings time in"
)]
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The machine's clock, in UTC.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one adapter that brings time in"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
    }

    fn monotonic(&self) -> Span {
        let micros = BEGINNING.elapsed().as_micros();
        Span::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_does_not_stand_still_or_lie() {
        let first = SystemClock.now();
        let second = SystemClock.now();
        assert!(second >= first);
        assert!(first > Timestamp::parse("2025-01-01T00:00:00Z").unwrap());
    }

    #[test]
    fn what_nobody_sets_goes_on() {
        let first = SystemClock.monotonic();
        std::thread::sleep(std::time::Duration::from_millis(2));
        let second = SystemClock.monotonic();
        assert!(second.as_micros() - first.as_micros() >= 2_000);
    }
}
