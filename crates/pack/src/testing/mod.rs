//! A pack's own tests: recorded input is played through sensing, the states,
//! the snapshots and the runbooks, in memory, and what comes out is compared
//! with what the test expects. Everything that a test can state is compared:
//! what is not expected must not happen.

mod case;
mod memory;
mod play;
mod verdict;

#[cfg(test)]
mod tests;

pub use case::{Case, Expectation, ExpectedIncident, ExpectedProposal, Played};

use crate::model::Pack;
use serde::Serialize;

/// What became of one test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tested {
    /// The test's name.
    pub name: String,
    /// What differs from what is expected; empty when it passed.
    pub faults: Vec<String>,
}

impl Tested {
    /// Whether nothing differs.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Runs all tests of a pack, in the order of their files.
#[must_use]
pub fn run(pack: &Pack) -> Vec<Tested> {
    pack.tests.iter().map(|case| run_one(pack, case)).collect()
}

/// Runs one test.
#[must_use]
pub fn run_one(pack: &Pack, case: &Case) -> Tested {
    Tested {
        name: case.name.clone(),
        faults: verdict::judge(pack, case).unwrap_or_else(|refusal| vec![refusal.to_string()]),
    }
}
