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

pub mod limits;
pub mod severity;

pub mod definition;
pub mod expression;

pub mod catalog;
pub mod normalise;
pub mod personal;
pub mod signal;

pub mod dead_letter;
pub mod detection;
pub mod rules;

pub mod assessment;
pub mod bundle;
pub mod confidence;

mod authority;
pub mod candidate;
pub mod incident;
pub mod intake;
pub mod investigation;
pub mod watch;

pub use catalog::{Catalog, Fault};
pub use definition::Definitions;
pub use expression::Expression;
pub use intake::{Intake, observe};
pub use severity::{Severity, SignalStatus};
pub use signal::{EvidenceRef, Observation, Signal};
