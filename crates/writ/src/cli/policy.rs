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
    /// The sets of policies beside the pack
    List,
    /// Run the `.cedar` files of a directory in shadow: asked beside what is
    /// enforced, recorded, and counted for nothing
    Shadow {
        /// The directory
        directory: PathBuf,
    },
    /// Enforce the set that is in shadow, together with the pack's policies
    Promote {
        /// The set, as `writ policy list` shows it
        set: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Ask a set no more
    Withdraw {
        /// The set, as `writ policy list` shows it
        set: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// What the `.cedar` files of a directory would have decided of what was
    /// recorded
    Simulate {
        /// The directory
        directory: PathBuf,
        /// Since when, RFC 3339
        #[arg(long, value_name = "INSTANT")]
        since: String,
    },
}
