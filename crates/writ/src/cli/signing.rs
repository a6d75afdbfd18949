//! Arguments about checkpoints: how logs are signed, the witness, and what is
//! verified and proven.

use super::Offline;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// How the logs are signed.
#[derive(Args, Debug, Clone)]
pub(crate) struct Checkpoints {
    /// Name of this installation's logs, a URL without its scheme; a tenant's
    /// log is `NAME/TENANT`
    #[arg(
        long,
        env = "WRIT_LOG_NAME",
        value_name = "NAME",
        default_value = DEFAULT_LOG_NAME
    )]
    pub(crate) log_name: String,
    /// Sign a checkpoint when a log has grown by this many entries
    #[arg(
        long,
        env = "WRIT_CHECKPOINT_ENTRIES",
        value_name = "N",
        default_value_t = DEFAULT_CHECKPOINT_ENTRIES
    )]
    pub(crate) checkpoint_entries: u32,
    /// Sign a checkpoint this many seconds after there is something new
    #[arg(
        long,
        env = "WRIT_CHECKPOINT_SECONDS",
        value_name = "SECONDS",
        default_value_t = DEFAULT_CHECKPOINT_SECONDS
    )]
    pub(crate) checkpoint_seconds: u32,
    /// Witness that is asked to cosign: its address and key, `URL=NAME+ID+BASE64`;
    /// may be given several times
    #[arg(
        long = "witness",
        env = "WRIT_WITNESSES",
        hide_env_values = true,
        value_name = "URL=KEY",
        value_delimiter = ','
    )]
    pub(crate) witnesses: Vec<String>,
}

const DEFAULT_LOG_NAME: &str = "writ";
const DEFAULT_CHECKPOINT_ENTRIES: u32 = 5_000;
const DEFAULT_CHECKPOINT_SECONDS: u32 = 60;

impl Default for Checkpoints {
    fn default() -> Self {
        Self {
            log_name: DEFAULT_LOG_NAME.to_owned(),
            checkpoint_entries: DEFAULT_CHECKPOINT_ENTRIES,
            checkpoint_seconds: DEFAULT_CHECKPOINT_SECONDS,
            witnesses: Vec::new(),
        }
    }
}

/// What a witness needs.
#[derive(Args, Debug)]
pub(crate) struct Witness {
    /// Where its key and what it cosigned last are kept
    #[arg(
        long,
        env = "WRIT_WITNESS_DATA",
        value_name = "DIR",
        default_value = ".writ-witness"
    )]
    pub(crate) data: PathBuf,
    /// Address to listen on
    #[arg(
        long,
        env = "WRIT_WITNESS_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:7421"
    )]
    pub(crate) listen: String,
    /// Name of its key, a URL without its scheme; used when the key is made
    #[arg(
        long,
        env = "WRIT_WITNESS_NAME",
        value_name = "NAME",
        default_value = "writ-witness"
    )]
    pub(crate) name: String,
    /// Key of a log that it cosigns, `NAME+ID+BASE64`; may be given several
    /// times
    #[arg(
        long = "log-key",
        env = "WRIT_WITNESS_LOGS",
        value_name = "KEY",
        value_delimiter = ','
    )]
    pub(crate) log_keys: Vec<String>,
    /// What is logged, for example `info`
    #[arg(long, env = "WRIT_LOG", value_name = "FILTER", default_value = "info")]
    pub(crate) log: String,
}

#[derive(Args, Debug)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) offline: Offline,
    /// Rebuild every state as well and compare
    #[arg(long)]
    pub(crate) states: bool,
    /// A checkpoint that was kept: finds history that was rewritten since,
    /// even with every hash computed anew
    #[arg(long, value_name = "FILE", group = "signed")]
    pub(crate) against: Option<PathBuf>,
    /// Key that signed the checkpoint, `NAME+ID+BASE64`; --against without it
    /// takes the keys in the log itself, which its owner may have replaced
    #[arg(long = "key", value_name = "KEY", requires = "signed")]
    pub(crate) keys: Vec<String>,
    #[command(flatten)]
    pub(crate) bundle: VerifyBundle,
}

#[derive(Args, Debug)]
pub(crate) struct VerifyBundle {
    /// Verify this bundle with --key alone, without a server or a data
    /// directory; `-` for standard input
    #[arg(
        long,
        value_name = "FILE",
        group = "signed",
        conflicts_with_all = ["offline", "states"],
        requires = "keys"
    )]
    pub(crate) bundle: Option<PathBuf>,
    /// The public key of a witness that must have cosigned the bundle; may be
    /// given several times
    #[arg(long, value_name = "KEY", requires = "bundle")]
    pub(crate) witness: Vec<String>,
    /// An older checkpoint that you kept: the bundle must extend it
    #[arg(long, value_name = "NOTE", requires = "bundle")]
    pub(crate) kept: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct ExportBundle {
    /// The file to write; `-` for standard output
    pub(crate) file: PathBuf,
    /// Position of the first entry; the log's first without it
    #[arg(long, value_name = "SEQ")]
    pub(crate) from: Option<u64>,
    /// Position of the last entry; the latest checkpoint's last without it
    #[arg(long, value_name = "SEQ")]
    pub(crate) to: Option<u64>,
    /// Write the large bodies too that entries name
    #[arg(long)]
    pub(crate) objects: bool,
    #[command(flatten)]
    pub(crate) offline: Offline,
    /// Whose log, where the data directory or the database has several
    #[arg(long, value_name = "TENANT", requires = "offline")]
    pub(crate) tenant: Option<kernel::TenantId>,
}

#[derive(Args, Debug)]
pub(crate) struct Prove {
    /// The entry: its id (`ent_…`) or its position
    #[arg(required_unless_present = "from", conflicts_with_all = ["from", "to"])]
    pub(crate) entry: Option<String>,
    /// Entries in the tree; those of the newest checkpoint when not given
    #[arg(long, value_name = "SIZE", conflicts_with_all = ["from", "to"])]
    pub(crate) against: Option<u64>,
    /// Entries in the older tree
    #[arg(long, value_name = "SIZE")]
    pub(crate) from: Option<u64>,
    /// Entries in the newer tree; those of the newest checkpoint when not given
    #[arg(long, value_name = "SIZE", requires = "from")]
    pub(crate) to: Option<u64>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum LogKey {
    /// Every key that the log has had
    List,
    /// Make a new key that signs from now on
    Rotate {
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Print the public half of the key that signs
    Export,
}
