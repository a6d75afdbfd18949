//! Every bound of sensing, named once.

/// Most signals that a candidate keeps.
pub const CANDIDATE_SIGNALS_MAX: u32 = 256;
