//! The repository's own tool: set up a machine, run every check, hold the
//! rules of the house, measure, and make the generated documents.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool speaks through its standard streams"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the bans keep decisions repeatable; this tool decides nothing"
)]

mod abuse;
mod bench;
mod docs;
mod fuzz;
mod mutants;
mod scenarios;
mod setup;
mod shell;
mod sim;
mod supply;
mod test;
mod tidy;
mod torture;

use clap::{Parser, Subcommand};
use shell::Shell;
use std::process::ExitCode;

/// Set up, test, tidy, measure.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the tests need and this machine lacks.
    Setup,
    /// Run every check, or one stage of it.
    Test {
        /// Run this stage only.
        #[arg(long, value_name = "NAME")]
        stage: Option<String>,
    },
    /// Check the rules of the repository.
    Tidy,
    /// Measure, printing the machine and the versions first.
    Bench {
        /// One bench by name; all of them without it.
        what: Option<String>,
        /// Passed on to the bench.
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Abuse the built binary: made up requests (`api`), event streams by the
    /// thousand (`streams`), load beyond capacity (`overload`); `--help` says
    /// what there is.
    #[command(disable_help_flag = true)]
    Abuse {
        /// Passed on.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Kill, cut the power and fill the disk under the ledger, and check what
    /// was acknowledged; `--help` says what there is.
    #[command(disable_help_flag = true)]
    Torture {
        /// Passed on to the harness.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Simulate nodes, people, agents, storage and an outside that fail, and
    /// judge what came of it; `--help` says what there is.
    #[command(disable_help_flag = true)]
    Sim {
        /// Passed on to the simulator.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// A mixed load on the built binary with a kill every few minutes; `--help`
    /// says what there is.
    #[command(disable_help_flag = true)]
    Soak {
        /// Passed on to the harness.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Search for inputs that break a parser, led by coverage.
    Fuzz(fuzz::Asked),
    /// Apply deliberate bugs, one at a time, and say which tool finds each. It
    /// takes hours; some by name take minutes.
    Mutants {
        /// These only.
        names: Vec<String>,
    },
    /// Check licences, bans and sources of everything that is linked.
    Deny {
        /// Also check what is known to be unsafe; fetches the database.
        #[arg(long)]
        advisories: bool,
    },
    /// Write the list of everything that the binary is built of.
    Sbom,
    /// Write the generated documents.
    Docs {
        /// Compare them with what stands in the tree, and write nothing.
        #[arg(long)]
        check: bool,
    },
    /// Run the scenarios on the built binary.
    Scenarios {
        /// One scenario by name; all of them without it.
        name: Option<String>,
    },
}

fn main() -> ExitCode {
    let task = Cli::parse().task;
    let done = Shell::new().and_then(|shell| match task {
        Task::Setup => setup::run(),
        Task::Test { stage } => test::run(&shell, stage.as_deref()),
        Task::Tidy => tidy::run(&shell),
        Task::Bench { what, args } => bench::run(&shell, what.as_deref(), &args),
        Task::Abuse { args } => abuse::run(&shell, &args),
        Task::Torture { args } => torture::run(&shell, &args),
        Task::Sim { args } => sim::run(&shell, &args),
        Task::Soak { args } => bench::run(&shell, Some(bench::SOAK), &args),
        Task::Fuzz(asked) => fuzz::run(&shell, &asked),
        Task::Mutants { names } => mutants::run(&shell, &names),
        Task::Deny { advisories } => supply::deny(&shell, advisories),
        Task::Sbom => supply::sbom(&shell),
        Task::Docs { check: true } => docs::compare(&shell),
        Task::Docs { check: false } => docs::write(&shell),
        Task::Scenarios { name } => scenarios::run(&shell, name.as_deref()),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("error: {fault:#}");
            ExitCode::FAILURE
        }
    }
}
