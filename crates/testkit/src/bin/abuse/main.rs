//! Abuse of the built binary: requests that a generator makes up from the
//! API's document, idle event streams by the thousand, and load far beyond
//! capacity. `cargo xtask abuse api|streams|overload`.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it says what it found, and how long it took"
)]

mod api;
mod live;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Abuse the built binary.
#[derive(Parser)]
#[command(name = "cargo xtask abuse", bin_name = "cargo xtask abuse")]
struct Cli {
    /// The binary.
    #[arg(
        long,
        global = true,
        env = "ABUSE_WRIT",
        hide = true,
        default_value = ""
    )]
    writ: PathBuf,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Requests that schemathesis makes up from the API's document.
    Api(api::Api),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let done = match runtime {
        Err(error) => Err(error.into()),
        Ok(runtime) => runtime.block_on(async {
            match &cli.what {
                What::Api(api) => api::run(&cli.writ, api).await,
            }
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            println!("error: {fault:#}");
            ExitCode::FAILURE
        }
    }
}
