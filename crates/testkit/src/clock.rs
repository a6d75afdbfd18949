//! A clock that is moved by hand.

use connect::SystemClock;
use kernel::port::Clock;
use kernel::{Span, Timestamp};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// A clock that stands still until it is moved.
pub struct TestClock {
    now: Mutex<Timestamp>,
    /// Whether what nobody sets goes on by itself.
    runs: AtomicBool,
}

impl TestClock {
    /// A clock at this instant.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self {
            now: Mutex::new(now),
            runs: AtomicBool::new(false),
        }
    }
    /// From now on, what nobody sets goes on as on a real machine; the instant
    /// is still moved by hand.
    pub fn run(&self) {
        self.runs.store(true, Ordering::Relaxed);
    }
    /// Sets it.
    pub fn set(&self, now: Timestamp) {
        *self.now.lock().expect("no panic before") = now;
    }
    /// Moves it on.
    pub fn pass(&self, span: Span) {
        let mut now = self.now.lock().expect("no panic before");
        *now = now.plus(span);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.now.lock().expect("no panic before")
    }
    fn monotonic(&self) -> Span {
        match self.runs.load(Ordering::Relaxed) {
            true => SystemClock.monotonic(),
            false => self.now().since(Timestamp::EPOCH),
        }
    }
}
