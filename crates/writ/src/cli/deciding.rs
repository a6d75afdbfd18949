//! Arguments of people's decisions.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct Approve {
    /// The approval (`apr_…`) or the directive (`dir_…`)
    pub(crate) id: String,
    /// The digest of the contract that you saw; without it, the contract is
    /// shown and you are asked
    #[arg(long)]
    pub(crate) digest: Option<String>,
    /// A remark for the record
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// Sign it with the key in this file, which `writ key register` made
    #[arg(long, env = "WRIT_SIGNING_KEY", value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Reject {
    /// The approval (`apr_…`) or the directive (`dir_…`)
    pub(crate) id: String,
    /// Why
    #[arg(long)]
    pub(crate) reason: String,
    /// Sign it with the key in this file, which `writ key register` made
    #[arg(long, env = "WRIT_SIGNING_KEY", value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Approval {
    /// Verify what people signed, without a server
    Verify {
        /// A signed statement, an approval (`writ --json show apr_…`) or a
        /// bundle of the ledger; `-` for standard input
        file: PathBuf,
        /// The person's public key, `ed25519:BASE64` or that of a passkey, as you
        /// got it from them; may be given several times
        #[arg(long = "key", value_name = "KEY", required = true)]
        keys: Vec<String>,
    },
}
