//! The ledger: entries, their hash chain, the committer that turns commands
//! into durable entries, and the proofs over them (verify, replay, why).
//! Storage stands behind [`store::Store`]; nothing here speaks SQL.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod bundle;
pub mod checkpoint;
pub mod entry;
pub mod merkle;
pub mod note;
pub mod query;
pub mod registry;
pub mod request;
pub mod room;
pub mod row;
pub mod store;
pub mod witness;

mod cache;
mod committer;
mod group;
mod handle;
mod writer;

pub mod archive;
pub mod as_of;
pub mod rebuild;
pub mod replay;
pub mod verify;
pub mod why;

pub use as_of::AsOf;
pub use entry::{Entry, Head};
pub use handle::{Committed, Ledger, Settings};
pub use query::{DocumentQuery, EntryQuery, Order};
pub use registry::Registry;
pub use row::{Row, Rows, Seqs};
pub use store::{Batch, Document, Leaf, Store, StoreFault};
