//! The ledger on its stores, measured against size: appends beside the ceiling
//! of the same store, queries by every key, proofs, verification, replay, the
//! time to open, bytes per entry and peak memory.
//!
//! `cargo xtask bench ledger -- [--store sqlite|postgres|both]
//! [--sizes 10000,100000] [--producers 1,16,64,256] [--commands 20000]
//! [--parts read,check,append]`. Without arguments it takes a few minutes. The
//! full set is `--sizes 10000,100000,1000000,10000000`; on SQLite it needs 20
//! GB of disk, on PostgreSQL 40. PostgreSQL is a throwaway server of 1 GB of
//! cache, reached by its socket; memory is that of this process alone.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints it"
)]

mod append;
mod numbers;
mod place;
mod reading;
mod sample;

use append::Pair;
use numbers::{forget_peak, millis, peak_mib, rate, ratio};
use place::Place;
use sample::{FILL_ENTRIES, Producer};
use std::time::Instant;

struct Arguments {
    stores: Vec<fn() -> Place>,
    parts: Vec<String>,
    sizes: Vec<u64>,
    producers: Vec<u64>,
    commands: u64,
}

impl Arguments {
    fn read(mut words: impl Iterator<Item = String>) -> Self {
        let mut read = Self {
            stores: vec![Place::sqlite, Place::postgres],
            parts: ["read", "check", "append"].map(str::to_owned).to_vec(),
            sizes: vec![10_000, 100_000, 1_000_000],
            producers: vec![1, 16, 64, 256],
            commands: 20_000,
        };
        let numbers = |text: &str| -> Vec<u64> {
            let parsed = text.split(',').map(str::parse);
            parsed
                .collect::<Result<_, _>>()
                .expect("numbers, with commas between")
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().expect("a value after the flag");
            match word.as_str() {
                "--store" => read.stores = stores(&value()),
                "--sizes" => read.sizes = numbers(&value()),
                "--producers" => read.producers = numbers(&value()),
                "--commands" => read.commands = numbers(&value()).into_iter().sum(),
                "--parts" => read.parts = value().split(',').map(str::to_owned).collect(),
                // What `cargo bench` itself adds.
                "--bench" => {}
                other => panic!(
                    "`{other}` is no argument; there are --store, --sizes, --producers, \
                     --commands, --parts"
                ),
            }
        }
        read.sizes.sort_unstable();
        read
    }

    fn asks_for(&self, part: &str) -> bool {
        self.parts.iter().any(|asked| asked == part)
    }
}

fn stores(name: &str) -> Vec<fn() -> Place> {
    match name {
        "sqlite" => vec![Place::sqlite],
        "postgres" => vec![Place::postgres],
        "both" => vec![Place::sqlite, Place::postgres],
        other => panic!("`{other}` is no store; there are sqlite, postgres, both"),
    }
}

fn main() {
    let arguments = Arguments::read(std::env::args().skip(1));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    for store in &arguments.stores {
        let place = store();
        println!(
            "\npayloads of about {} bytes; {} {}",
            sample::TEXT_BYTES + 80,
            place.name(),
            place.version()
        );
        for size in &arguments.sizes {
            runtime.block_on(at_size(&place, *size, &arguments));
        }
    }
}

async fn at_size(place: &Place, size: u64, arguments: &Arguments) {
    println!("\n{}, {size} entries", place.name());
    fill(place, size).await;
    place.settle().await;
    report_bytes(place, size);
    let ledger = sample::open(place.open().await);
    let head = ledger.store().head(sample::TENANT).await;
    let entries = head.expect("a head").seq;
    if arguments.asks_for("read") {
        forget_peak();
        reading::ask(&ledger, entries).await;
        println!("  {:<24} peak {} MiB", "queries", peak_mib());
        reading::prove(&ledger, entries).await;
    }
    if arguments.asks_for("check") {
        reading::check(&ledger, entries).await;
    }
    drop(ledger);
    if !arguments.asks_for("append") {
        return;
    }
    drop(place.open().await);
    // What the producers append must not stand in the log of the next size.
    let work = place.copy();
    open(&work, entries).await;
    work.settle().await;
    let mut pair = Pair {
        ceiling: work.copy(),
        ledger: work,
        size: entries,
        producers: 0,
    };
    println!("{}", append::HEADER);
    for producers in &arguments.producers {
        let commands = arguments
            .commands
            .div_ceil(if *producers == 1 { 5 } else { 1 });
        append::level(&mut pair, *producers, commands).await;
    }
}

async fn fill(place: &Place, size: u64) {
    forget_peak();
    let began = Instant::now();
    let store = place.open().await;
    let before = store.head(sample::TENANT).await.expect("a head").seq;
    let ledger = sample::open(store.clone());
    sample::fill(&ledger, size).await;
    let head = store.head(sample::TENANT).await.expect("a head").seq;
    let took = began.elapsed();
    store.flush().await.expect("a flush");
    let added = usize::try_from(head - before).expect("small");
    println!(
        "  {:<24} {:.0} entries/s, {:.1} s, peak {} MiB",
        "fill",
        rate(added, took),
        took.as_secs_f64(),
        peak_mib()
    );
}

fn report_bytes(place: &Place, size: u64) {
    let size = usize::try_from(size).expect("small");
    let per_entry = |bytes: u64| ratio(usize::try_from(bytes).expect("small"), size);
    println!(
        "  {:<24} {:.0}",
        "bytes per entry",
        per_entry(place.bytes())
    );
    for (name, bytes) in place.largest() {
        println!("    {name:<22} {:.0}", per_entry(bytes));
    }
}

/// How long it takes until the store is open, and until a first command that
/// appends is durable.
async fn open(place: &Place, size: u64) {
    let began = Instant::now();
    let store = place.open().await;
    let opened = began.elapsed();
    let ledger = sample::open(store);
    let began = Instant::now();
    let producer = Producer {
        number: 0,
        began: size / FILL_ENTRIES,
    };
    producer.append(&ledger, 0).await;
    println!(
        "  {:<24} {:.1} ms, first append {:.1} ms",
        "open",
        millis(opened),
        millis(began.elapsed())
    );
    ledger.store().flush().await.expect("a flush");
}
