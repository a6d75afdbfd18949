//! A clock that is moved by hand.

use kernel::port::Clock;
use kernel::{Span, Timestamp};
use std::sync::Mutex;

/// A clock that stands still until it is moved.
pub struct TestClock(Mutex<Timestamp>);

impl TestClock {
    /// A clock at this instant.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }
    /// Sets it.
    pub fn set(&self, now: Timestamp) {
        *self.0.lock().expect("no panic before") = now;
    }
    /// Moves it on.
    pub fn pass(&self, span: Span) {
        let mut now = self.0.lock().expect("no panic before");
        *now = now.plus(span);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().expect("no panic before")
    }
}
