//! The torture of the ledger: processes killed, power cut, disks full, broken
//! and gone, under load, and after each of them two judges: what was
//! acknowledged is there, once and whole; what is there was sent; and every
//! proof holds. `cargo xtask torture` starts it; for tests only.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool speaks through its standard streams"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the bans keep decisions repeatable; this harness lives among real processes"
)]

mod load;
mod told;
mod worker;

mod checker;
mod process;

mod faults;
mod image;
mod journal;
mod kill;
mod power;
mod server;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand, ValueEnum};
use std::process::ExitCode;

/// Torture a ledger, or work on one to be tortured.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Torture.
    Run(Plan),
    /// Work on a store.
    Worker(worker::Options),
}

/// What is done to the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Processes are killed at any moment.
    Kill,
    /// The power is cut at any write or sync.
    Power,
    /// The disk has no room.
    DiskFull,
    /// The disk takes no writes.
    ReadOnly,
    /// Syncs fail, handles run out, permissions and directories go.
    Broken,
    /// The database server is killed with all of its sessions, and started
    /// again; only on PostgreSQL.
    Server,
    /// All of them.
    All,
}

/// Where the ledger stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Store {
    /// A data directory.
    Sqlite,
    /// A database of a throwaway server.
    Postgres,
}

/// How a harness is broken on purpose, to see that it finds something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sabotage {
    /// Commands are acknowledged before they are sent.
    Lie,
    /// No sync reaches the disk, as with `synchronous=OFF`.
    NoSync,
    /// No sync of the main file reaches the disk before the log is used anew.
    NoMainSync,
    /// No sync of a directory reaches the disk.
    NoDirectorySync,
}

/// How much, and what.
#[derive(Clone, Debug, clap::Args)]
struct Plan {
    /// Where the ledger stands.
    #[arg(long, value_enum, default_value = "sqlite")]
    store: Store,
    /// What is done to the ledger.
    #[arg(long, value_enum, default_value = "all")]
    mode: Mode,
    /// Kills of a worker, or of a database server.
    #[arg(long, default_value_t = 1000)]
    cycles: u64,
    /// Images of a disk after a power cut.
    #[arg(long, default_value_t = 4000)]
    images: u64,
    /// Repeats a run, as far as real processes can be repeated.
    #[arg(long)]
    seed: Option<u64>,
    /// Where the stores stand; a temporary directory without it.
    #[arg(long)]
    directory: Option<std::path::PathBuf>,
    /// Breaks the harness on purpose: it must find something.
    #[arg(long, value_enum)]
    sabotage: Option<Sabotage>,
}

impl Plan {
    fn directory(&self) -> Result<tempfile::TempDir> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("writ-torture-");
        Ok(match &self.directory {
            Some(directory) => builder.tempdir_in(directory)?,
            None => builder.tempdir()?,
        })
    }

    fn seed(&self) -> u64 {
        self.seed
            .unwrap_or_else(|| u64::from(std::process::id()).wrapping_mul(0x9e37_79b9))
    }
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Run(plan) => run(&plan),
        Task::Worker(options) => work(options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("error: {fault:#}");
            ExitCode::FAILURE
        }
    }
}

fn work(options: worker::Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(worker::run(options))
}

/// What a mode does; it returns the faults that it found.
type Torture = fn(&Plan) -> Result<Vec<String>>;

fn run(plan: &Plan) -> Result<()> {
    println!("seed {}", plan.seed());
    let all = plan.mode == Mode::All;
    let mut faults = Vec::new();
    let modes: &[(Mode, Torture)] = match plan.store {
        Store::Sqlite => &[
            (Mode::Kill, kill::run),
            (Mode::Power, power::run),
            (Mode::DiskFull, faults::full),
            (Mode::ReadOnly, faults::read_only),
            (Mode::Broken, faults::broken),
        ],
        Store::Postgres => &[(Mode::Kill, server::workers), (Mode::Server, server::run)],
    };
    if !all && modes.iter().all(|(mode, _)| *mode != plan.mode) {
        bail!("`{:?}` is no torture of this store", plan.mode);
    }
    for (mode, torture) in modes {
        if all || plan.mode == *mode {
            faults.extend(torture(plan)?);
        }
    }
    for fault in &faults {
        println!("FAULT {fault}");
    }
    println!("faults {}", faults.len());
    if faults.is_empty() {
        return Ok(());
    }
    bail!(
        "`{}` faults; again with `--seed {}`",
        faults.len(),
        plan.seed()
    )
}
