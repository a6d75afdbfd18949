//! Packs, budgets, sessions, tenants, principals and keys.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand, Debug)]
pub(crate) enum Pack {
    /// The pack in force
    Show,
    /// Check a pack's directory
    Check {
        /// The directory
        directory: PathBuf,
    },
    /// Check a pack's directory and run its tests
    Test {
        /// The directory
        directory: PathBuf,
    },
    /// What a pack's directory would change
    Diff {
        /// The directory
        directory: PathBuf,
    },
    /// Load a pack's directory
    Load {
        /// The directory
        directory: PathBuf,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Autonomy {
    /// How far each type of directive on the ladder has come
    List,
    /// What the ledger proves of one type
    Show {
        /// The type of directive
        #[arg(value_name = "TYPE")]
        kind: String,
    },
    /// Sign a type off: its directives may run without a person
    Grant {
        /// The type of directive
        #[arg(value_name = "TYPE")]
        kind: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Take a sign-off back
    Withdraw {
        /// The type of directive
        #[arg(value_name = "TYPE")]
        kind: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Budget {
    /// When each budget will be used up if it is spent from as it was lately
    Forecast,
    /// What each day cost beside what was meant to be spent
    Report {
        /// How many days, today the last of them
        #[arg(long, default_value_t = 30)]
        days: u32,
    },
    /// Set aside what a call may cost
    Reserve {
        /// The file with the call in JSON; `-` for standard input
        file: PathBuf,
    },
    /// Say what a call cost; without a cost it counts as set aside
    Settle {
        /// The reservation
        id: String,
        /// How much, for example `0.75 EUR`
        #[arg(long)]
        cost: Option<String>,
        /// How many tokens
        #[arg(long)]
        tokens: Option<u64>,
    },
    /// Give back what was set aside: the call was not made
    Release {
        /// The reservation
        id: String,
    },
    /// Hold it for longer
    Extend {
        /// The reservation
        id: String,
        /// From now on, for example `2m`; an hour at most
        #[arg(long)]
        lease: String,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Session {
    /// Save the state of a session
    Save {
        /// The session's name
        name: String,
        /// The file with the state in JSON; `-` for standard input
        file: PathBuf,
    },
    /// Print the state of a session
    Get {
        /// The session's name
        name: String,
    },
    /// Delete a session; its history stays
    Delete {
        /// The session's name
        name: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Compare the stored state of a session with its SHA-256
    Verify {
        /// The session's name
        name: String,
    },
    /// List sessions
    List {
        /// Rows at most
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// How often the cache had what was read
    Cache,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Tenant {
    /// Make a tenant and its first admin; prints the admin's token once
    Create {
        /// Its name
        name: String,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Principal {
    /// Make a principal
    Create {
        /// Its name
        name: String,
        /// `human`, `agent` or `service`
        #[arg(long, default_value = "human")]
        kind: String,
        /// Its roles
        #[arg(long, required = true, value_delimiter = ',')]
        role: Vec<String>,
    },
    /// Disable a principal
    Disable {
        /// The principal
        id: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Key {
    /// Issue a key; prints the token once
    Issue {
        /// Whose
        principal: String,
        /// What it is for
        #[arg(long, default_value = "cli")]
        name: String,
        /// When it stops working, RFC 3339
        #[arg(long)]
        expires_at: Option<String>,
    },
    /// Register the key that you sign decisions with; makes it if there is none
    /// in the file
    Register {
        /// The file with the private half; only you may be able to read it
        file: PathBuf,
        /// What you call it
        #[arg(long, default_value = "cli")]
        name: String,
    },
    /// Confirm that a signing key is its person's, who told you its id
    Confirm {
        /// The key (`sgk_…`)
        id: String,
    },
    /// Revoke an API key (`key_…`) or a signing key (`sgk_…`)
    Revoke {
        /// The key
        id: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
}

/// For whom facts of history are looked up.
#[derive(Args, Debug)]
pub(crate) struct History {
    /// What the facts of a subject tell of this one, `type/id`
    #[arg(long, value_name = "SUBJECT")]
    pub(crate) subject: Option<String>,
    /// What the facts of an agent tell of this one, `kind:id`
    #[arg(long, value_name = "ACTOR")]
    pub(crate) agent: Option<String>,
}
