//! Policies.

use clap::Subcommand;
use std::path::PathBuf;

#[derive(Subcommand, Debug)]
pub(crate) enum Policy {
    /// Check the policies in a directory: those of a pack, or `.cedar` files
    /// alone
    Check {
        /// The directory
        directory: PathBuf,
    },
    /// Run the tests of policies: `policies/tests/` of a pack, or `tests/`
    /// beside `.cedar` files
    Test {
        /// The directory
        directory: PathBuf,
    },
    /// Which questions two sets of policies decide differently
    Diff {
        /// The directory as it is
        before: PathBuf,
        /// The directory as it would be
        after: PathBuf,
        /// Recorded questions to ask beside those of the tests, as JSON
        #[arg(long, value_name = "FILE")]
        recorded: Option<PathBuf>,
    },
}
