//! The simulator: plays seeds until something breaks, and then says with how
//! few moves. `cargo xtask sim --seed N --steps M`.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it says what it found, and how long it took"
)]

use clap::Parser;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;
use testkit::sim::{Broken, Fate, Move, Tally, moves, play_guarded, shrink};

/// In so many seeds some step must have reached the outside.
const SEEDS_ALIVE: u64 = 10;

/// Simulate nodes, people, agents, sources, storage and an outside that fail.
#[derive(Parser)]
struct Cli {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, one after another.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Moves of each.
    #[arg(long, default_value_t = 200)]
    steps: usize,
    /// Make only the moves of these numbers, counted from 0.
    #[arg(long, value_delimiter = ',')]
    only: Vec<usize>,
    /// Let storage lie where a seed lets an append fail: the judge must find it.
    #[arg(long)]
    sabotage: bool,
    /// Do not look for fewer moves that break the same.
    #[arg(long)]
    as_found: bool,
    /// Say how many entries of each kind came of it.
    #[arg(long)]
    kinds: bool,
    /// The commit that is simulated, to be named with a failure.
    #[arg(long, default_value = "unknown")]
    commit: String,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(run(&cli)),
        Err(error) => {
            println!("cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The moves of this seed.
fn moves_of(cli: &Cli, seed: u64) -> Vec<Move> {
    let lies = |each| match each {
        Move::Befall(node, Fate::FailAppend) if cli.sabotage => Move::Befall(node, Fate::Lie),
        other => other,
    };
    moves(seed, cli.steps).into_iter().map(lies).collect()
}

async fn run(cli: &Cli) -> ExitCode {
    if let Some(unknown) = cli.only.iter().find(|number| **number >= cli.steps) {
        println!(
            "there is no move {unknown} among {}: they are counted from 0; give the `--steps` of the failure",
            cli.steps
        );
        return ExitCode::FAILURE;
    }
    let began = Instant::now();
    let mut total = Tally::default();
    let mut kinds = BTreeMap::<String, usize>::new();
    for seed in cli.seed..cli.seed.saturating_add(cli.seeds) {
        let all = moves_of(cli, seed);
        let chosen = |number: &usize| cli.only.is_empty() || cli.only.contains(number);
        let numbers: Vec<usize> = (0..all.len()).filter(chosen).collect();
        let some: Vec<Move> = numbers.iter().map(|n| all[*n].clone()).collect();
        match play_guarded(seed, &some).await {
            Ok(played) => {
                if cli.seeds == 1 {
                    println!("history {}", played.history);
                }
                total += played.tally;
                for (kind, count) in played.kinds {
                    *kinds.entry(kind).or_default() += count;
                }
            }
            Err(broken) => {
                report(cli, seed, (&some, &numbers), broken).await;
                return ExitCode::FAILURE;
            }
        }
    }
    let took = began.elapsed().as_secs_f64();
    println!(
        "{} seeds from {}, {} moves each, {took:.1} s: nothing broke",
        cli.seeds, cli.seed, cli.steps
    );
    println!("{total:?}");
    if cli.kinds {
        kinds
            .iter()
            .for_each(|(kind, count)| println!("{count:>8} {kind}"));
    }
    // A kernel that refuses everything breaks nothing.
    if cli.seeds >= SEEDS_ALIVE && total.effects == 0 {
        println!("and nothing was ever done");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Says what broke, by which moves, and how to see it again.
async fn report(cli: &Cli, seed: u64, (some, numbers): (&[Move], &[usize]), broken: Broken) {
    println!(
        "seed {seed} at commit {} broke at move {}",
        cli.commit, broken.at
    );
    println!("  {}", broken.fault);
    let (kept, found) = match cli.as_found {
        true => ((0..some.len()).collect(), broken),
        false => shrink(seed, some, broken).await,
    };
    println!("{} moves break the same rule: {}", kept.len(), found.fault);
    for number in &kept {
        println!("  {:>4} {:?}", numbers[*number], some[*number]);
    }
    let only: Vec<String> = kept.iter().map(|n| numbers[*n].to_string()).collect();
    println!(
        "to see it again: cargo xtask sim --seed {seed} --steps {} --only {}{}",
        cli.steps,
        only.join(","),
        if cli.sabotage { " --sabotage" } else { "" }
    );
}
