//! Packs: domains as data. Text comes in as a map from path to bytes, typed
//! definitions of the pure crates go out, checked as a whole and hashed; every
//! fault names its file and line. Runbooks, the deterministic proposers, and
//! the runner of a pack's own tests live here too. Pure: no file is opened and
//! no clock is read here, and nothing here names a domain.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod fault;
pub mod files;
pub mod labels;
pub mod manifest;
mod yaml;

pub mod policies;
pub mod runbook;
pub mod templates;

mod load;
mod model;

pub mod diff;
pub mod recording;
pub mod testing;

pub use diff::{Change, Diff, diff};
pub use fault::Fault;
pub use files::Files;
pub use labels::Labels;
pub use load::load;
pub use manifest::{Manifest, Version};
pub use model::Pack;
pub use runbook::{Choice, Runbook, Situation, choose, propose};
pub use templates::Template;
