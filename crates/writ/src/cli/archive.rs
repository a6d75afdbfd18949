//! Where archived segments are, and what is done with them.

use super::Offline;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Where the archive is, and how a log gets there.
#[derive(Args, Debug, Clone)]
pub(crate) struct ArchiveAt {
    /// A folder of read-only files, or `s3://BUCKET/PREFIX` with Object Lock
    #[arg(
        long,
        env = "WRIT_ARCHIVE",
        value_name = "PLACE",
        hide_env_values = true
    )]
    pub(crate) archive: Option<String>,
    /// Address of the S3-compatible store
    #[arg(
        long,
        env = "WRIT_ARCHIVE_ENDPOINT",
        hide_env_values = true,
        value_name = "URL",
        default_value = "https://s3.us-east-1.amazonaws.com"
    )]
    pub(crate) archive_endpoint: String,
    /// Region that requests are signed for
    #[arg(
        long,
        env = "WRIT_ARCHIVE_REGION",
        value_name = "NAME",
        default_value = "us-east-1"
    )]
    pub(crate) archive_region: String,
    /// Reference to the access key, `env:NAME` or `file:PATH`
    #[arg(
        long,
        env = "WRIT_ARCHIVE_KEY",
        hide_env_values = true,
        value_name = "REFERENCE",
        default_value = "env:WRIT_ARCHIVE_ACCESS_KEY"
    )]
    pub(crate) archive_key: String,
    /// Reference to the secret key, `env:NAME` or `file:PATH`
    #[arg(
        long,
        env = "WRIT_ARCHIVE_SECRET",
        hide_env_values = true,
        value_name = "REFERENCE",
        default_value = "env:WRIT_ARCHIVE_SECRET_KEY"
    )]
    pub(crate) archive_secret: String,
    /// The store may be on a private or loopback address
    #[arg(long, env = "WRIT_ARCHIVE_ALLOW_PRIVATE")]
    pub(crate) archive_allow_private: bool,
    /// Entries in a segment
    #[arg(
        long,
        env = "WRIT_ARCHIVE_ENTRIES",
        value_name = "COUNT",
        default_value_t = 10_000
    )]
    pub(crate) archive_entries: u64,
    /// Days that a segment is locked
    #[arg(
        long,
        env = "WRIT_ARCHIVE_KEEP_DAYS",
        value_name = "DAYS",
        default_value_t = 365
    )]
    pub(crate) archive_keep_days: u32,
}

#[derive(Subcommand, Debug)]
pub(crate) enum ArchiveCommand {
    /// Seal what is new, store it, and read it back
    Run {
        /// Use this data directory, which no writ may be using, instead of
        /// asking a server
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// The PostgreSQL database that holds the ledger; the data directory
        /// has the keys, and nodes may be running
        #[arg(long, value_name = "URL", requires = "data")]
        database: Option<String>,
        /// Name of this installation's logs, where a log has no key yet
        #[arg(
            long,
            env = "WRIT_LOG_NAME",
            value_name = "NAME",
            default_value = "writ",
            requires = "data"
        )]
        log_name: String,
    },
    /// List the segments that the ledger knows
    List {
        #[command(flatten)]
        offline: Offline,
    },
    /// Check every segment, and that it is the log that was signed, with
    /// nothing but the archive at hand
    Verify(Trusted),
    /// Make a data directory, or a database, from the archive alone
    Restore {
        #[command(flatten)]
        trusted: Trusted,
        #[command(flatten)]
        target: Target,
    },
}

/// Where a ledger is restored to.
#[derive(Args, Debug)]
#[group(id = "target", required = true, multiple = false)]
pub(crate) struct Target {
    /// The new data directory; one that is not empty is refused
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// A PostgreSQL database; one that holds a ledger is refused
    #[arg(long, value_name = "URL")]
    pub(crate) database: Option<String>,
}

/// What the one who verifies an archive brings along.
#[derive(Args, Debug)]
pub(crate) struct Trusted {
    /// Key of a log, `NAME+ID+BASE64`; may be given several times. Without one,
    /// the keys count that the log names itself, which whoever wrote the whole
    /// archive anew would have chosen
    #[arg(long = "key", value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    /// A checkpoint that was kept elsewhere: finds that the newest segments
    /// were removed with their checkpoints; may be given several times
    #[arg(long, value_name = "FILE", requires = "keys")]
    pub(crate) kept: Vec<PathBuf>,
    /// Take entries that no signed checkpoint covers: an archive of the time
    /// before segments were signed
    #[arg(long)]
    pub(crate) uncovered: bool,
}
