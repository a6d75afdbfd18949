//! The gate on its stores: full decisions per second, and reservations on one
//! hot budget beside what they could be made of.
//!
//! `cargo xtask bench gate -- [--policies 10,100,1000] [--at-once 1,16,64,256]
//! [--parts decisions,hot] [--stores sqlite,postgres,memory]`. Without arguments it takes some minutes. Each
//! decision is on a directive of its own: four validators on a bound snapshot,
//! Cedar, three budgets, all of it recorded and synced to disk before the
//! caller hears of it. The same on storage in memory shows how much of it is
//! deciding and how much is the disk. PostgreSQL and Redis are throwaway
//! servers on this machine.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints it"
)]

mod cpu;
mod decisions;
mod hot;
mod measure;
mod peers;
mod place;

use place::Bench;
use std::sync::Arc;
use testkit::{MemoryStore, PostgresServer};

struct Arguments {
    policies: Vec<usize>,
    at_once: Vec<usize>,
    parts: Vec<String>,
    stores: Vec<String>,
}

impl Arguments {
    fn read(mut words: impl Iterator<Item = String>) -> Self {
        let mut read = Self {
            policies: vec![10, 100, 1_000],
            at_once: vec![1, 16, 64, 256],
            parts: ["decisions", "hot"].map(str::to_owned).to_vec(),
            stores: ["sqlite", "postgres", "memory"].map(str::to_owned).to_vec(),
        };
        let numbers = |text: &str| -> Vec<usize> {
            let parsed = text.split(',').map(str::parse);
            parsed
                .collect::<Result<_, _>>()
                .expect("numbers, with commas between")
        };
        let texts = |text: &str| text.split(',').map(str::to_owned).collect();
        while let Some(word) = words.next() {
            let mut value = || words.next().expect("a value after the flag");
            match word.as_str() {
                "--policies" => read.policies = numbers(&value()),
                "--at-once" => read.at_once = numbers(&value()),
                "--parts" => read.parts = texts(&value()),
                "--stores" => read.stores = texts(&value()),
                // What `cargo bench` itself adds.
                "--bench" => {}
                other => panic!(
                    "`{other}` is no argument; there are --policies, --at-once, --parts, --stores"
                ),
            }
        }
        read
    }

    fn with(&self, store: &str) -> bool {
        self.stores.iter().any(|s| s == store)
    }
}

/// The most resident memory of this process so far, in MiB; from
/// `/proc/self/status`.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) / 1_024
}

async fn decisions(arguments: &Arguments) {
    for &policies in &arguments.policies {
        let measured = async |store: Arc<dyn ledger::Store>, name: &str| {
            let bench = Arc::new(Bench::over(store, policies).await);
            decisions::all(bench.clone(), (name, policies), &arguments.at_once).await;
            assert!(bench.world.http.asked().is_empty(), "nothing was executed");
        };
        if arguments.with("sqlite") {
            let directory = tempfile::tempdir().expect("a directory");
            let sqlite = store::Sqlite::open(directory.path()).expect("opens");
            measured(Arc::new(sqlite), "SQLite").await;
        }
        if arguments.with("postgres") {
            let database = PostgresServer::shared().database();
            let postgres = store::Postgres::open(&database.url()).await.expect("opens");
            measured(Arc::new(postgres), "PostgreSQL").await;
        }
        if arguments.with("memory") {
            measured(MemoryStore::new(), "memory").await;
        }
    }
}

fn main() {
    let arguments = Arguments::read(std::env::args().skip(1));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    println!(
        "{:<30} {:<12} {:>4} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "what", "where", "at", "per s", "p50 ms", "p99 ms", "cpu us", "committer", "writer"
    );
    runtime.block_on(async {
        let wanted = |part: &str| arguments.parts.iter().any(|p| p == part);
        if wanted("decisions") {
            decisions(&arguments).await;
        }
        if wanted("hot") {
            hot::all(&arguments.stores, &arguments.at_once).await;
        }
    });
    println!("\nmemory: the same commands without a disk, that is, what deciding alone takes");
    println!(
        "cpu us: processor time of this process for one; committer and writer are parts of it"
    );
    println!("peak resident memory of this process: {} MiB", peak_mib());
}
