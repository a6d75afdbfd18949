//! Verification and replay of logs of 10^4, 10^5 and 10^6 entries on the
//! embedded store: each in total and for each core used, beside the ceiling of
//! the machine in the same run (rows read and nothing done with them; SHA-256
//! over as many bytes). Other sizes, and other numbers of streams, by argument:
//! `cargo bench --bench proofs -- 20000/500`.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints it"
)]

use kernel::{Actor, Aggregate, Ctx, Impossible, Stamp, TenantId, Timestamp, TraceId, Unit};
use ledger::replay::Plan;
use ledger::row::Preimage;
use ledger::{Ledger, Registry, Seqs, Settings, Store, replay, verify};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::Sqlite;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Noted {
    text: String,
}
kernel::events! {
    /// What happens to a note.
    pub enum NoteEvent { Noted(Noted) = "note.noted" in System }
}
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Note {
    count: u64,
    last: String,
}
impl Aggregate for Note {
    const KIND: &'static str = "note";
    type Event = NoteEvent;
    fn evolve(state: Option<Self>, event: &NoteEvent, _: &Stamp) -> Result<Self, Impossible> {
        let NoteEvent::Noted(noted) = event;
        Ok(Self {
            count: state.map_or(0, |s| s.count) + 1,
            last: noted.text.chars().take(16).collect(),
        })
    }
    fn status(&self) -> &'static str {
        "open"
    }
}

const TENANT: TenantId = TenantId(uuid::Uuid::from_u128(
    0x0000_0000_0000_7000_8000_0000_0000_0001,
));
const TEXT_BYTES: usize = 150;
const COMMAND_ENTRIES: u64 = 2_000;

fn registry() -> Registry {
    Registry::new([kernel::aggregate::Fold::of::<Note>()])
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let asked: Vec<(u64, u64)> = std::env::args().filter_map(|arg| size(&arg)).collect();
    let sizes = match asked.is_empty() {
        true => vec![(10_000, 1_000), (100_000, 10_000), (1_000_000, 100_000)],
        false => asked,
    };
    println!(
        "payloads of {} bytes, {} cores (SQLite {})",
        TEXT_BYTES + 11,
        std::thread::available_parallelism().map_or(0, usize::from),
        rusqlite::version()
    );
    for (entries, streams) in sizes {
        runtime.block_on(measure(entries, streams));
    }
}

/// Entries and streams; a tenth as many streams when only entries are given.
fn size(text: &str) -> Option<(u64, u64)> {
    let (entries, streams) = text.split_once('/').unwrap_or((text, ""));
    let entries: u64 = entries.parse().ok()?;
    let streams = streams.parse().unwrap_or(entries / 10);
    Some((entries, streams.max(1)))
}

fn note(unit: &mut Unit<'_>, nth: u64, streams: u64) -> Result<(), kernel::Refusal> {
    let text = format!("{nth:0>width$}", width = TEXT_BYTES);
    // A prime stride, so that the entries of a stream lie far apart.
    let stream = format!("n{}", nth.wrapping_mul(7_919) % streams);
    unit.record::<Note>(stream, NoteEvent::Noted(Noted { text }))?;
    Ok(())
}

async fn write(directory: &std::path::Path, (entries, streams): (u64, u64)) -> Ledger {
    let store = Arc::new(Sqlite::open(directory).expect("a store"));
    let ledger = Ledger::open(store, registry(), Settings::default()).expect("a ledger");
    for first in (0..entries).step_by(usize::try_from(COMMAND_ENTRIES).expect("small")) {
        let now = Timestamp::from_micros(1_770_000_000_000_000);
        let trace = TraceId::new(u128::from(first) + 1).expect("not zero");
        let ctx = Ctx::new(
            TENANT,
            now,
            Actor::system("bench"),
            trace,
            u128::from(first),
        );
        ledger
            .run(ctx, move |unit| {
                let until = entries.min(first + COMMAND_ENTRIES);
                (first..until).try_for_each(|nth| note(unit, nth, streams))
            })
            .await
            .expect("an append");
    }
    ledger
}

/// Seconds of processor time that this process has used.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |nth| {
        after
            .split_whitespace()
            .nth(nth)
            .and_then(|t: &str| t.parse::<f64>().ok())
    };
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0
}

/// Times `work` and prints what it came to.
async fn timed<T>(what: &str, entries: u64, work: impl Future<Output = T>) -> T {
    let (before, _) = memory();
    let (started, used) = (Instant::now(), processor_seconds());
    let done = work.await;
    let (elapsed, used) = (started.elapsed(), processor_seconds() - used);
    let (_, peak) = memory();
    line(what, entries, elapsed, used);
    println!(
        "{:>22} {} MiB more at the peak",
        "",
        peak.saturating_sub(before)
    );
    done
}

async fn measure(entries: u64, streams: u64) {
    let directory = tempfile::tempdir().expect("a directory");
    let started = Instant::now();
    let ledger = write(directory.path(), (entries, streams)).await;
    println!(
        "{entries} entries in {streams} streams, written in {:.1} s",
        started.elapsed().as_secs_f64()
    );
    let store = ledger.store();
    let bytes = timed("rows read alone", entries, read(store, entries)).await;
    timed("SHA-256 alone", entries, hash(bytes)).await;
    let verified = timed("verify", entries, verify::entries(store, TENANT, |_| ())).await;
    let (head, fault) = verified.expect("readable");
    assert!(fault.is_none() && head.seq == entries, "{fault:?}");
    let found = timed("SQLite's own check", entries, store.engine_check()).await;
    assert!(found.expect("readable").is_empty());
    for (what, memory_bytes) in [
        ("replay", replay::MEMORY_BYTES),
        ("replay within 8 MiB", 8 * 1024 * 1024),
    ] {
        let plan = Plan {
            memory_bytes,
            ..Plan::default()
        };
        let replay = replay::by_plan(store, ledger.registry(), TENANT, plan, |_| ());
        let replayed = timed(what, entries, replay).await.expect("readable");
        assert!(
            replayed.is_equal() && replayed.entries == entries,
            "{replayed:?}"
        );
        println!(
            "{:>22} {} states, {} MiB sorted on disk",
            "",
            replayed.states,
            replayed.spilled_bytes / (1024 * 1024)
        );
    }
}

/// MiB that this process holds now, and held at most since it was last asked.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| -> u64 {
        let line = status.lines().find(|line| line.starts_with(name));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        number.and_then(|number| number.parse().ok()).unwrap_or(0) / 1024
    };
    // Starts the count of the peak anew, where the kernel allows it.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    (of("VmRSS:"), of("VmHWM:"))
}

/// Reads every row; the bytes that verification has to hash.
async fn read(store: &dyn Store, entries: u64) -> usize {
    let mut preimage = Preimage::new(TENANT);
    let mut bytes = 0;
    let mut from = 1;
    while from <= entries {
        let seqs = Seqs {
            from,
            until: entries,
        };
        let rows = store.rows(TENANT, seqs, 1024 * 1024).await.expect("rows");
        from = rows.last_seq().map_or(u64::MAX, |last| last + 1);
        if let Some(row) = rows.iter().next() {
            bytes += rows.len() * (preimage.write(&row).len() + row.payload.len());
        }
    }
    bytes
}

async fn hash(bytes: usize) {
    let block = vec![7_u8; 750];
    tokio::task::spawn_blocking(move || {
        for _ in 0..bytes / block.len() {
            std::hint::black_box(kernel::Digest::of(std::hint::black_box(&block)));
        }
    })
    .await
    .expect("hashes");
}

fn line(what: &str, entries: u64, elapsed: Duration, used: f64) {
    println!(
        "  {what:<20} {:>10.0} entries/s {:>10.0} for each core used ({:.2} s, processor {used:.2} s)",
        rate(entries, elapsed.as_secs_f64()),
        rate(entries, used),
        elapsed.as_secs_f64(),
    );
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts of a benchmark are far below 2^52"
)]
fn rate(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}
