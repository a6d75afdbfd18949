//! Data residency.

use super::{ArchiveAt, Checkpoints, Place};
use clap::{Args, Subcommand};

#[derive(Subcommand, Debug)]
pub(crate) enum Residency {
    /// Check that everything that can be reached has a region and an
    /// attestation; fails unless all has
    Check(Box<CheckResidency>),
    /// Load a pack that names and attests this node's stores, without a server:
    /// for a node that does not start on them. A server on the same data
    /// directory must be stopped
    Repair {
        /// A directory, or the name of a pack that is built in
        #[arg(value_name = "PACK")]
        pack: String,
        #[command(flatten)]
        node: Box<NodeStores>,
    },
}

/// What is checked: a server, or a pack together with what a node is started
/// with.
#[derive(Args, Debug)]
pub(crate) struct CheckResidency {
    /// Ask no server but check this pack, a directory or the name of one that
    /// is built in, on a node with the stores of the options below
    #[arg(long, value_name = "PACK")]
    pub(crate) pack: Option<String>,
    /// Calls of how many days are counted
    #[arg(long, default_value_t = 30, conflicts_with = "pack")]
    pub(crate) days: u32,
    #[command(flatten)]
    pub(crate) node: NodeStores,
}

/// What a node is started with that says where it keeps data.
#[derive(Args, Debug)]
pub(crate) struct NodeStores {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Redis or Valkey that caches the states of sessions, `redis://HOST:PORT`
    #[arg(long, env = "WRIT_CACHE", value_name = "URL", hide_env_values = true)]
    pub(crate) cache: Option<String>,
    #[command(flatten)]
    pub(crate) checkpoints: Checkpoints,
    #[command(flatten)]
    pub(crate) archive: ArchiveAt,
}
