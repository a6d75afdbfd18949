//! From observations to incidents: normalise, signals, detection rules,
//! correlation, evidence bundle, confidence, promotion, incident. Pure: every
//! step is deterministic and explains itself; no clock, no network, no store.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod definition;
pub mod limits;
pub mod severity;

pub use definition::Definitions;
pub use severity::{Severity, SignalStatus};
