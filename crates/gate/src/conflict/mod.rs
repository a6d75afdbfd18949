//! Conflicts (GATE-20): two directives that would change the same subject at
//! once. A directive that changes something takes its place in the queue of
//! each of its subjects when it is asked for, and keeps it until it has ended
//! and nothing of it is undone any more. Who is first everywhere may start; the
//! others wait or are blocked, by the pack's rule.
//!
//! INVARIANT(order): the places of a directive are taken in one unit, behind
//! all that were taken before. Any two directives therefore stand in the same
//! order in every queue that both are in, and waiting has no cycle.

mod claim;
mod operations;
mod settings;

pub use claim::{Claim, ClaimEvent, Place, Status};
pub(crate) use operations::{check, ends, join, leave, move_to, standing};
pub use operations::{let_go, reclaim};
pub use settings::{Pair, Settings, Then};

/// Most directives in the queue of a subject.
pub const QUEUE_MAX: usize = 32;
/// Most subjects that a directive may change.
pub const SUBJECTS_MAX: usize = 32;
