//! Tests of the gate as a whole, over a small world in memory.

mod admission;
mod approvals;
mod conflicts;
mod directives;
mod interleavings;
mod kill;
mod passkeys;
mod signing;
pub(crate) mod world;
