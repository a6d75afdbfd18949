//! The command line: every command, argument and help text.

mod archive;
mod bounds;
mod deciding;
mod directive;
mod nouns;
mod policy;
mod remote;
mod residency;
mod signing;

pub(crate) use archive::{ArchiveAt, ArchiveCommand, Target, Trusted};
pub(crate) use bounds::UpBounds;
pub(crate) use deciding::{Approval, Approve, Bulk, Delegation, Edit, Reject, Sought};
pub(crate) use directive::{Directive, Draft};
pub(crate) use nouns::{Autonomy, Budget, History, Key, Pack, Principal, Session, Tenant};
pub(crate) use policy::Policy;
pub(crate) use remote::Remote;
pub(crate) use residency::{CheckResidency, NodeStores, Residency};
pub(crate) use signing::{Checkpoints, ExportBundle, LogKey, Prove, Verify, VerifyBundle, Witness};

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// The control plane for autonomous agents: nothing acts without evidence, a
/// gate, a budget and, where people are touched, a person.
#[derive(Parser, Debug)]
#[command(name = "writ", version, max_term_width = 100, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Start writ
    Up(Box<Up>),
    /// Start writ, load a pack and play its recorded alerts
    Demo(Demo),
    /// Issue a new admin token on the machine itself, while writ is stopped
    AdminToken {
        #[command(flatten)]
        place: Place,
    },
    /// Start a witness: it cosigns checkpoints of logs that only grow
    Witness(Witness),
    /// What waits, what runs, what is stopped
    Status,
    /// List things, for example `writ list incidents`
    List(List),
    /// Show one thing by its id, for example `writ show inc_…`
    Show {
        /// The id, or with `--as-of` also a stream, `kind/id`
        id: String,
        /// As it was after this position of the log, or at this instant
        #[arg(long, value_name = "SEQ|INSTANT")]
        as_of: Option<String>,
    },
    /// Walk back from an action to what led to it
    Why(Why),
    /// Explain a verdict: who asked, what decided, what would have to change
    Explain {
        /// The verdict, or a directive: the verdict that stopped it last
        id: String,
    },
    /// Print the runbook for a kind of block; needs no server
    Runbook {
        /// Its name, as `writ explain` gives it
        name: String,
    },
    /// Approve a directive as it stands
    Approve(Approve),
    /// Reject a directive
    Reject(Reject),
    /// Replace the contract of a directive; shows each field before and after
    Edit(Edit),
    /// Approvals: several at once, and what people signed
    Approval {
        #[command(subcommand)]
        command: Approval,
    },
    /// Directives: drafts from templates, and what versions differ in
    Directive {
        #[command(subcommand)]
        command: Directive,
    },
    /// Delegations: who decides in your place
    Delegation {
        #[command(subcommand)]
        command: Delegation,
    },
    /// Propose a directive from a contract in JSON
    Propose {
        /// The file with the contract; `-` for standard input
        file: PathBuf,
    },
    /// Acknowledge an incident
    Ack {
        /// The incident
        id: String,
        /// What to write into its timeline
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Say that an incident is resolved
    Resolve {
        /// The incident
        id: String,
        /// What to write into its timeline
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Close a resolved incident
    Close {
        /// The incident
        id: String,
        /// What to write into its timeline
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Pause a directive between steps
    Pause(Move),
    /// Resume a paused directive
    Resume(Move),
    /// Abort a directive and compensate what it did
    Abort(Move),
    /// Propose a blocked directive again
    Retry {
        /// The directive
        id: String,
    },
    /// Undo a completed directive
    Rollback(Move),
    /// Subjects that directives wait to change, and for whom they wait
    Conflicts,
    /// The kill switch
    Kill {
        #[command(subcommand)]
        command: Kill,
    },
    /// What policies may ask of the past, and what each fact tells now
    History(History),
    /// What may run without a person, and what proves it
    Autonomy {
        #[command(subcommand)]
        command: Autonomy,
    },
    /// The ledger
    Ledger {
        #[command(subcommand)]
        command: Ledger,
    },
    /// Rebuild states from the ledger and compare
    Replay(Replay),
    /// Budgets: how they will stand, and what calls outside of writ cost
    Budget {
        #[command(subcommand)]
        command: Budget,
    },
    /// Session state: what an agent keeps between its turns
    Session {
        #[command(subcommand)]
        command: Session,
    },
    /// Copy the whole ledger into one file, also while writ is running
    Backup {
        /// The file; one that exists is refused
        file: PathBuf,
        /// Where the ledger is kept
        #[arg(long, env = "WRIT_DATA", value_name = "DIR", default_value = ".writ")]
        data: PathBuf,
    },
    /// Make a data directory from a backup
    Restore {
        /// The file that `writ backup` made
        file: PathBuf,
        /// The new data directory; one that is not empty is refused
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// The archive: sealed segments under a retention lock
    Archive {
        #[command(flatten)]
        at: ArchiveAt,
        #[command(subcommand)]
        command: ArchiveCommand,
    },
    /// Packs
    Pack {
        #[command(subcommand)]
        command: Pack,
    },
    /// Policies
    Policy {
        #[command(subcommand)]
        command: Policy,
    },
    /// Where data may be and where it went
    Residency {
        #[command(subcommand)]
        command: Residency,
    },
    /// Tenants
    Tenant {
        #[command(subcommand)]
        command: Tenant,
    },
    /// Principals
    Principal {
        #[command(subcommand)]
        command: Principal,
    },
    /// API keys, and the keys that people sign decisions with
    Key {
        #[command(subcommand)]
        command: Key,
    },
    /// Erase what is personal of a subject, for good
    Erase {
        /// The subject, `type/id`
        subject: String,
        /// Why; it stays on the ledger and must name no person
        #[arg(long)]
        reason: String,
        /// The subject once more, where nobody can be asked
        #[arg(long, value_name = "SUBJECT")]
        confirm: Option<String>,
    },
    /// Take in what is personal of an erased subject again
    Readmit {
        /// The subject, `type/id`
        subject: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Show what is sealed in a thing; that you did is recorded
    Open {
        /// `evidence`, `signal`, `state`, `snapshot` or `dead_letter`
        kind: String,
        /// Its id
        id: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// The keys of what is personal
    Keyring {
        #[command(subcommand)]
        command: Keyring,
    },
    /// Print shell completions
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Print documents that are made from the code
    Docs {
        /// Which one
        document: Document,
    },
    /// A small service that can be broken and mended, for trying writ out
    #[command(hide = true)]
    Patient(Patient),
}

#[derive(Args, Debug, Clone)]
pub(crate) struct Place {
    /// Where secrets are kept, and the ledger, unless it is in a database
    #[arg(long, env = "WRIT_DATA", value_name = "DIR", default_value = ".writ")]
    pub(crate) data: PathBuf,
    /// Where the keys of what is personal are kept; without it `keyring` in the
    /// data directory
    #[arg(long, env = "WRIT_KEYRING", value_name = "DIR")]
    pub(crate) keyring: Option<PathBuf>,
    /// PostgreSQL that holds the ledger, `postgresql://USER:PASSWORD@HOST/NAME`;
    /// better given by the environment than on the command line
    #[arg(
        long,
        env = "WRIT_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    pub(crate) database: Option<String>,
}

#[derive(Args, Debug, Clone)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Address to listen on
    #[arg(
        long,
        env = "WRIT_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:7420"
    )]
    pub(crate) listen: String,
    /// Pack to load on the first start: a directory, or the name of one that
    /// is built in
    #[arg(long, env = "WRIT_PACK", value_name = "PACK")]
    pub(crate) pack: Option<String>,
    /// Host that `http.request` and `webhook.send` may reach, `host` or
    /// `host:port`; may be given several times
    #[arg(
        long = "allow-host",
        env = "WRIT_ALLOW_HOSTS",
        value_name = "HOST",
        value_delimiter = ','
    )]
    pub(crate) allow_hosts: Vec<String>,
    /// Allowed hosts may be on private or loopback addresses
    #[arg(long, env = "WRIT_ALLOW_PRIVATE")]
    pub(crate) allow_private: bool,
    /// Host that a secret of modules may be sent to, `REFERENCE=HOST`; may be given
    /// several times. With one, every secret needs one
    #[arg(
        long = "secret-host",
        env = "WRIT_SECRET_HOSTS",
        value_name = "REFERENCE=HOST",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub(crate) secret_hosts: Vec<String>,
    /// People reach writ over TLS, through a proxy: cookies go over nothing else
    #[arg(long, env = "WRIT_BEHIND_TLS")]
    pub(crate) behind_tls: bool,
    /// Redis or Valkey that caches the states of sessions for several nodes,
    /// `redis://HOST:PORT`; without it, this process does
    #[arg(long, env = "WRIT_CACHE", value_name = "URL", hide_env_values = true)]
    pub(crate) cache: Option<String>,
    /// What is logged, for example `info` or `writ=debug,info`
    #[arg(long, env = "WRIT_LOG", value_name = "FILTER", default_value = "info")]
    pub(crate) log: String,
    #[command(flatten)]
    pub(crate) bounds: UpBounds,
    #[command(flatten)]
    pub(crate) checkpoints: Checkpoints,
    #[command(flatten)]
    pub(crate) archive: ArchiveAt,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Keyring {
    /// List the subjects with keys
    List,
    /// Renew the tenant key, which wraps all others, or the key of one subject
    Rotate {
        /// The subject, `type/id`
        subject: Option<String>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// Where the ledger is kept; a directory that exists is refused
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7420")]
    pub(crate) listen: String,
    /// Pack to show, of those built in
    #[arg(long, value_name = "NAME")]
    pub(crate) pack: Option<String>,
    /// Stop after the recording instead of serving
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// What is listed
    pub(crate) noun: Noun,
    /// Only in this status
    #[arg(long)]
    pub(crate) status: Option<String>,
    /// Only about this subject
    #[arg(long)]
    pub(crate) subject: Option<String>,
    #[command(flatten)]
    pub(crate) approvals: Sought,
    /// Rows at most
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: usize,
}

/// What can be listed.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Noun {
    Incidents,
    Candidates,
    Detections,
    Signals,
    DeadLetters,
    Directives,
    Approvals,
    SigningKeys,
    Delegations,
    Runs,
    Budgets,
    Principals,
    Keys,
    Tenants,
}

#[derive(Args, Debug)]
pub(crate) struct Why {
    /// The action: a run, a directive, an incident or an entry
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) place: Offline,
}

#[derive(Args, Debug)]
pub(crate) struct Move {
    /// The directive
    pub(crate) id: String,
    /// Why
    #[arg(long)]
    pub(crate) reason: String,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Kill {
    /// What is stopped
    Status,
    /// Stop: from the answer on, no step starts
    Engage {
        /// `tenant`, `tool:NAME`, `agent:ID` or `global`
        #[arg(default_value = "tenant")]
        scope: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Ask for release; a second person confirms
    Release {
        /// What was stopped
        #[arg(default_value = "tenant")]
        scope: String,
        /// Why it is safe again
        #[arg(long)]
        reason: String,
    },
    /// Confirm a release that someone else asked for
    Confirm {
        /// What was stopped
        #[arg(default_value = "tenant")]
        scope: String,
    },
    /// Record a drill
    Drill {
        /// What was drilled
        #[arg(default_value = "tenant")]
        scope: String,
        /// What it is for
        #[arg(long)]
        note: String,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Ledger {
    /// Check every entry, its hash and its place, the Merkle tree and every
    /// recorded checkpoint; with --bundle, a bundle
    Verify(Box<Verify>),
    /// Write the log, or a part of it, to one file that anyone can verify
    Export(ExportBundle),
    /// The newest signed checkpoint, as a note that anyone can verify
    Checkpoint {
        /// Sign one now, if there is something new
        #[arg(long)]
        sign: bool,
    },
    /// Prove that an entry is in the log, or that the log has only grown
    Prove(Prove),
    /// The keys that sign the log
    Key {
        #[command(subcommand)]
        command: LogKey,
    },
    /// List entries
    Entries(Box<Entries>),
    /// The last entry's position and hash
    Head,
}

#[derive(Args, Debug, Clone)]
#[group(id = "offline", multiple = false)]
pub(crate) struct Offline {
    /// Use this data directory instead of asking a server
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Use this PostgreSQL database instead of asking a server
    #[arg(long, value_name = "URL")]
    pub(crate) database: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Replay {
    /// Only this stream, for example `directive/dir_…`
    #[arg(long, value_name = "KIND/ID", conflicts_with = "of")]
    pub(crate) stream: Option<String>,
    /// Only this incident, directive or other thing, with what belongs to it
    #[arg(long, value_name = "ID")]
    pub(crate) of: Option<String>,
    /// As it was after this position of the log, or at this instant; nothing is
    /// compared
    #[arg(long, value_name = "SEQ|INSTANT")]
    pub(crate) as_of: Option<String>,
    #[command(flatten)]
    pub(crate) offline: Offline,
}

impl Replay {
    /// Of whole logs, there.
    pub(crate) fn whole(offline: Offline) -> Self {
        Self {
            stream: None,
            of: None,
            as_of: None,
            offline,
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct Entries {
    /// Only of this stream, for example `directive/dir_…`
    #[arg(long)]
    pub(crate) stream: Option<String>,
    /// Only of this kind, for example `directive.approved`
    #[arg(long)]
    pub(crate) kind: Option<String>,
    /// Only of this category, for example `APPROVAL`
    #[arg(long)]
    pub(crate) category: Option<String>,
    /// Only by this actor
    #[arg(long)]
    pub(crate) actor: Option<String>,
    /// Only about this subject
    #[arg(long)]
    pub(crate) subject: Option<String>,
    /// Only of this directive
    #[arg(long)]
    pub(crate) directive: Option<String>,
    /// Only of this trace
    #[arg(long)]
    pub(crate) trace: Option<String>,
    /// Not before this instant, for example `2026-03-01T04:05:06Z`
    #[arg(long, value_name = "INSTANT")]
    pub(crate) from: Option<String>,
    /// Before this instant
    #[arg(long, value_name = "INSTANT")]
    pub(crate) until: Option<String>,
    /// Only after this position: the last `seq` that was shown gives the next
    /// page
    #[arg(long, value_name = "SEQ")]
    pub(crate) after: Option<u64>,
    /// Only before this position: with `--newest`, the last `seq` that was
    /// shown gives the next page
    #[arg(long, value_name = "SEQ")]
    pub(crate) before: Option<u64>,
    /// Newest first
    #[arg(long)]
    pub(crate) newest: bool,
    /// Rows at most
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: usize,
}

/// A document that is made from the code.
#[derive(ValueEnum, Debug, Clone, Copy)]
pub(crate) enum Document {
    /// Every lifecycle with its diagram
    Lifecycles,
    /// The OpenAPI document
    Openapi,
    /// Who may ask for what
    Authorisation,
    /// The JSON Schema of a directive's contract
    Contract,
}

#[derive(Args, Debug)]
pub(crate) struct Patient {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) listen: String,
}
