//! The ledger on its stores, measured against size: appends beside the ceiling
//! of the same store, queries by every key, proofs, verification, replay, the
//! time to open, bytes per entry and peak memory.
//!
//! `cargo xtask bench ledger -- [--sizes 10000,100000] [--producers 1,16,64,256]
//! [--commands 20000]`. Without arguments it takes a few minutes. The full set
//! is `--sizes 10000,100000,1000000,10000000`; it needs 20 GB of disk.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints it"
)]

mod append;
mod numbers;
mod reading;
mod sample;

use append::Pair;
use numbers::{forget_peak, millis, peak_mib, rate, ratio};
use sample::{FILL_ENTRIES, Producer};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::Sqlite;

struct Arguments {
    sizes: Vec<u64>,
    producers: Vec<u64>,
    commands: u64,
}

impl Arguments {
    fn read(mut words: impl Iterator<Item = String>) -> Self {
        let mut read = Self {
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
            let mut value = || numbers(&words.next().expect("a value after the flag"));
            match word.as_str() {
                "--sizes" => read.sizes = value(),
                "--producers" => read.producers = value(),
                "--commands" => read.commands = value().into_iter().sum(),
                // What `cargo bench` itself adds.
                "--bench" => {}
                other => {
                    panic!("`{other}` is no argument; there are --sizes, --producers, --commands")
                }
            }
        }
        read.sizes.sort_unstable();
        read
    }
}

fn main() {
    let arguments = Arguments::read(std::env::args().skip(1));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let directory = tempfile::tempdir().expect("a directory");
    println!(
        "payloads of about {} bytes; SQLite {}",
        sample::TEXT_BYTES + 80,
        rusqlite::version()
    );
    for size in &arguments.sizes {
        runtime.block_on(at_size(directory.path(), *size, &arguments));
    }
}

/// The store in this directory, as soon as the one before lets go of it.
async fn opened(directory: &Path) -> Sqlite {
    loop {
        match Sqlite::open(directory) {
            Ok(store) => return store,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

async fn at_size(directory: &Path, size: u64, arguments: &Arguments) {
    println!("\nSQLite, {size} entries");
    fill(directory, size).await;
    let ledger = sample::open(Arc::new(opened(directory).await));
    let head = ledger.store().head(sample::TENANT).await;
    let entries = head.expect("a head").seq;
    forget_peak();
    reading::ask(&ledger, entries).await;
    println!("  {:<24} peak {} MiB", "queries", peak_mib());
    reading::prove(&ledger, entries).await;
    reading::check(&ledger).await;
    drop(ledger);
    drop(opened(directory).await);
    // What the producers append must not stand in the log of the next size.
    let work = copy(directory);
    open(work.path(), entries).await;
    drop(opened(work.path()).await);
    let mut pair = Pair {
        ceiling: copy(work.path()),
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

/// A copy of the store in this directory, which must not be open.
fn copy(directory: &Path) -> tempfile::TempDir {
    let beside = tempfile::tempdir().expect("a directory");
    let file = store::sqlite::FILE_NAME;
    std::fs::copy(directory.join(file), beside.path().join(file)).expect("a copy");
    beside
}

async fn fill(directory: &Path, size: u64) {
    forget_peak();
    let began = Instant::now();
    let store = Arc::new(opened(directory).await);
    let before = ledger::Store::head(store.as_ref(), sample::TENANT).await;
    let before = before.expect("a head").seq;
    let ledger = sample::open(store.clone());
    sample::fill(&ledger, size).await;
    let head = ledger
        .store()
        .head(sample::TENANT)
        .await
        .expect("a head")
        .seq;
    let took = began.elapsed();
    ledger.store().flush().await.expect("a flush");
    drop((ledger, store));
    let added = usize::try_from(head - before).expect("small");
    println!(
        "  {:<24} {:.0} entries/s, {:.1} s, peak {} MiB",
        "fill",
        rate(added, took),
        took.as_secs_f64(),
        peak_mib()
    );
    drop(opened(directory).await);
    let file = std::fs::metadata(directory.join(store::sqlite::FILE_NAME));
    let bytes = usize::try_from(file.expect("a file").len()).expect("small");
    let entries = usize::try_from(head).expect("small");
    println!("  {:<24} {:.0}", "bytes per entry", ratio(bytes, entries));
}

/// How long it takes until the store is open, and until a first command that
/// appends is durable.
async fn open(directory: &Path, size: u64) {
    let began = Instant::now();
    let store = opened(directory).await;
    let opened = began.elapsed();
    let ledger = sample::open(Arc::new(store));
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
    drop(ledger);
}
