//! The control loop: the boxes composed into commands, ticks and runs. No HTTP
//! and no SQL; everything here drives the pure crates through the ledger.

pub mod archive;
mod autonomy;
pub mod budgets;
pub mod identity;

mod control;
mod drill;
mod fence;
pub mod force;
mod history;
mod registry;
pub mod session;

pub mod intake;
mod investigate;
pub mod personal;
pub mod policies;
pub mod residency;
mod runner;
mod sweep;
pub mod templates;
mod ticks;
pub mod versions;

pub mod checkpoints;
pub mod scheduler;
mod start;

pub use control::{Control, Ports};
pub use force::InForce;
pub use identity::Caller;
pub use intake::{Delivery, Received};
pub use registry::registry;
pub use ticks::tick;
