//! Evidence is truth, state is belief: evidence records, entity schemas, the
//! fold of claims into a subject's state, and snapshots. Pure: no clock, no
//! network, no store.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod evidence;
pub mod schema;
pub mod snapshot;
pub mod state;

pub use evidence::{Body, Content, Evidence, Filed, Filing, file};
pub use schema::{Schema, SchemaDefinition, Tier};
pub use snapshot::take;
pub use state::{Fact, State, claim};
