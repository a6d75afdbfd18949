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
mod overload;
mod streams;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

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
    /// Idle event streams by the thousand: memory, latency, the bound.
    Streams(streams::Streams),
    /// Load far beyond capacity, and what stays fast meanwhile.
    Overload(overload::Overload),
}

/// The time below which so many of a hundred are; they must be sorted.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}

/// Median, 99th percentile and maximum; sorts them.
fn figures(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
    format!(
        "p50 {} ms, p99 {} ms, max {} ms ({} times)",
        ms(percentile(times, 50)),
        ms(percentile(times, 99)),
        ms(percentile(times, 100)),
        times.len()
    )
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
                What::Streams(streams) => streams::run(&cli.writ, streams).await,
                What::Overload(overload) => overload::run(&cli.writ, overload).await,
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
