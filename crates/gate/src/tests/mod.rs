//! Tests of the gate as a whole, over a small world in memory.

mod admission;
mod approvals;
mod autonomy;
mod bulk;
mod conflicts;
mod delegations;
mod directives;
mod explain;
mod history;
mod interleavings;
mod kill;
mod passkeys;
mod signing;
mod stranger;
pub(crate) mod world;
