//! The vocabulary of writ: ids, time, money, principals, canonical JSON,
//! lifecycle tables, verdicts, aggregates, the unit of work and the ports.
//! Pure: nothing here reads a clock, a random source, the environment, a file
//! or the network, and nothing here names a domain.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod names;

pub mod digest;
pub mod id;
pub mod json;
pub mod limits;
pub mod money;
pub mod principal;
pub mod ratio;
pub mod refusal;
pub mod sealed;
pub mod subject;
pub mod time;
pub mod zone;

pub mod aggregate;
pub mod belief;
pub mod ctx;
pub mod lifecycle;
pub mod unit;
pub mod verdict;

pub mod port;

pub use aggregate::{Aggregate, Category, Event, Impossible, Stamp};
pub use belief::{Belief, Claim, EvidenceType, Ground, SchemaRef, Snapshot, Trust};
pub use ctx::{Ctx, Haste, TraceId};
pub use digest::Digest;
pub use id::*;
pub use lifecycle::Lifecycle;
pub use money::{Currency, Money};
pub use principal::{Actor, PrincipalKind, Role};
pub use ratio::Ratio;
pub use refusal::{Code, Refusal};
pub use sealed::{KeyUse, Sealed};
pub use subject::Subject;
pub use time::{Span, Timestamp};
pub use unit::{Draft, Held, Reader, Refs, StreamId, Unit};
pub use verdict::Verdict;
pub use zone::Zone;
