//! The soak: the built binary under a mixed load for as long as one likes,
//! killed with SIGKILL every few minutes. It draws memory, file handles, the
//! write-ahead log and latencies over time, and in the end asks whether all
//! that was acknowledged is there, and whether the ledger verifies and replays.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement reads clocks and prints"
)]

mod check;
mod load;
mod place;
mod report;
mod tally;
mod watch;

use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What anything of this harness may end with.
type Fault = Box<dyn std::error::Error + Send + Sync>;

/// A mixed load on the built binary, with a kill every few minutes.
#[derive(Parser)]
#[command(name = "cargo xtask soak")]
struct Asked {
    /// How long the load lasts.
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// Minutes from one kill to the next.
    #[arg(long, default_value_t = 4.0)]
    kill_every: f64,
    /// Deliveries of sources in a second.
    #[arg(long, default_value_t = 8.0)]
    deliveries: f64,
    /// Reads of API and pages in a second.
    #[arg(long, default_value_t = 20.0)]
    reads: f64,
    /// Where the report is written.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../bench-report/soak"))]
    report: PathBuf,
    /// How `cargo bench` calls a harness.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let asked = Asked::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let done = runtime
        .map_err(Fault::from)
        .and_then(|r| r.block_on(run(&asked)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("error: {fault}");
            ExitCode::FAILURE
        }
    }
}

async fn run(asked: &Asked) -> Result<(), Fault> {
    let mut place = place::Place::found().await?;
    println!(
        "data in {}, the server on {}",
        place.data().display(),
        place.url
    );
    let began = Instant::now();
    let tally = Arc::new(tally::Tally::default());
    let load = load::Load::begin(&place, &tally, asked.deliveries, asked.reads);
    let end = began + Duration::from_secs(asked.minutes * 60);
    let between = Duration::from_secs_f64(asked.kill_every * 60.0);
    let mut next_kill = began + between;
    let mut samples = Vec::new();
    while Instant::now() < end {
        tokio::time::sleep(watch::EVERY.min(end.saturating_duration_since(Instant::now()))).await;
        samples.push(watch::sample(&place, &tally, began));
        if let Some(line) = samples.last() {
            println!("{line}");
        }
        // The last stretch is left alone, so that the end is a state of rest.
        if Instant::now() >= next_kill && Instant::now() + between / 2 < end {
            next_kill += between;
            let took = place.kill_and_start().await?;
            tally.killed(began.elapsed(), took);
            println!("killed; it served again after {} ms", took.as_millis());
        }
    }
    let kept = load.end().await;
    println!("the load has ended");
    let found = check::check(&mut place, &kept, &tally).await?;
    report::write(&asked.report, &samples, &tally, &found)?;
    match found.faults.as_slice() {
        [] => Ok(()),
        faults => Err(faults.join("; ").into()),
    }
}
