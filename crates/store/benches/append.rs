//! Durable appends through the ledger, beside the ceiling of the same store in
//! the same run: the very batches that the ledger wrote, written again by the
//! store alone (same statements, same groups, same durability, nothing
//! decided, hashed or waited for), and rows of the same bytes into one bare
//! table by rusqlite. Then verification and replay of what was written.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints it"
)]

use async_trait::async_trait;
use kernel::{
    Actor, Aggregate, Ctx, Digest, EntryId, Impossible, Stamp, StreamId, TenantId, Timestamp,
    TraceId,
};
use ledger::entry::{Entry, Head};
use ledger::merkle::{Span, Tile};
use ledger::query::{DocumentQuery, EntryQuery};
use ledger::row::{Rows, Seqs};
use ledger::store::{Batch, Document, Leaf, Store, StoreFault};
use ledger::{Ledger, Registry, Settings, replay, verify};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};
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

/// A store that keeps what it was asked to append.
struct Recording {
    inner: Sqlite,
    batches: Mutex<Vec<Vec<Batch>>>,
}

#[async_trait]
impl Store for Recording {
    async fn append(&self, batches: Vec<Batch>) -> Result<(), StoreFault> {
        let copy = batches.clone();
        let done = self.inner.append(batches).await;
        self.batches.lock().expect("no panic before").push(copy);
        done
    }
    async fn head(&self, tenant: TenantId) -> Result<Head, StoreFault> {
        self.inner.head(tenant).await
    }
    async fn tenants(&self) -> Result<Vec<TenantId>, StoreFault> {
        self.inner.tenants().await
    }
    async fn entries(&self, tenant: TenantId, q: &EntryQuery) -> Result<Vec<Entry>, StoreFault> {
        self.inner.entries(tenant, q).await
    }
    async fn rows(&self, tenant: TenantId, seqs: Seqs, max: usize) -> Result<Rows, StoreFault> {
        self.inner.rows(tenant, seqs, max).await
    }
    async fn entry(&self, tenant: TenantId, id: EntryId) -> Result<Option<Entry>, StoreFault> {
        self.inner.entry(tenant, id).await
    }
    async fn document(&self, t: TenantId, s: &StreamId) -> Result<Option<Document>, StoreFault> {
        self.inner.document(t, s).await
    }
    async fn documents(&self, t: TenantId, q: &DocumentQuery) -> Result<Vec<Document>, StoreFault> {
        self.inner.documents(t, q).await
    }
    async fn all_documents(
        &self,
        tenant: TenantId,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<Document>, StoreFault> {
        self.inner.all_documents(tenant, after, limit).await
    }
    async fn due(&self, now: Timestamp, n: usize) -> Result<Vec<(TenantId, StreamId)>, StoreFault> {
        self.inner.due(now, n).await
    }
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreFault> {
        self.inner.next_due().await
    }
    async fn leaves(&self, t: TenantId, beyond: u64, n: usize) -> Result<Vec<Leaf>, StoreFault> {
        self.inner.leaves(t, beyond, n).await
    }
    async fn tile(&self, t: TenantId, level: u8, index: u64) -> Result<Option<Tile>, StoreFault> {
        self.inner.tile(t, level, index).await
    }
    async fn spans(
        &self,
        tenant: TenantId,
        level: u8,
        from_index: u64,
        limit: usize,
    ) -> Result<Vec<Span>, StoreFault> {
        self.inner.spans(tenant, level, from_index, limit).await
    }
    async fn object_digests(
        &self,
        tenant: TenantId,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Vec<Digest>, StoreFault> {
        self.inner.object_digests(tenant, after, limit).await
    }
    async fn object(&self, t: TenantId, d: Digest) -> Result<Option<Vec<u8>>, StoreFault> {
        self.inner.object(t, d).await
    }
    async fn engine_check(&self) -> Result<Vec<String>, StoreFault> {
        self.inner.engine_check().await
    }
}

const TENANT: TenantId = TenantId(uuid::Uuid::from_u128(
    0x0000_0000_0000_7000_8000_0000_0000_0001,
));
const COMMANDS: usize = 20_000;
const TEXT_BYTES: usize = 150;

fn ctx(seed: u128) -> Ctx {
    let now = Timestamp::from_micros(1_770_000_000_000_000);
    let trace = TraceId::new(seed + 1).expect("not zero");
    Ctx::new(TENANT, now, Actor::system("bench"), trace, seed)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    println!(
        "durable appends: {COMMANDS} commands of one entry with a payload of {} bytes (SQLite {})",
        TEXT_BYTES + 11,
        rusqlite::version()
    );
    println!(
        "{:>10} {:>12} {:>10} {:>9} {:>9} {:>16} {:>9} {:>14}",
        "concurrent",
        "commands/s",
        "per commit",
        "p50 ms",
        "p99 ms",
        "same statements",
        "share",
        "bare table"
    );
    for concurrent in [1, 16, 64, 256] {
        runtime.block_on(level(concurrent));
    }
}

async fn level(concurrent: usize) {
    let commands = if concurrent == 1 {
        COMMANDS / 5
    } else {
        COMMANDS
    };
    let directory = tempfile::tempdir().expect("a directory");
    let store = Arc::new(Recording {
        inner: Sqlite::open(directory.path()).expect("a store"),
        batches: Mutex::default(),
    });
    let registry = Registry::new([kernel::aggregate::Fold::of::<Note>()]);
    let ledger = Ledger::open(store.clone(), registry, Settings::default()).expect("a ledger");
    let started = Instant::now();
    let tasks: Vec<_> = (0..concurrent)
        .map(|n| tokio::spawn(client(ledger.clone(), n, commands / concurrent)))
        .collect();
    let mut latencies = Vec::with_capacity(commands);
    for task in tasks {
        latencies.extend(task.await.expect("a client"));
    }
    let through_ledger = rate(latencies.len(), started.elapsed());
    latencies.sort_unstable();
    let groups = std::mem::take(&mut *store.batches.lock().expect("no panic before"));
    let entries: usize = groups.iter().flatten().map(|b| b.entries.len()).sum();
    let per_commit = ratio(entries, groups.len());
    let same = same_statements(groups.clone()).await;
    let bare = bare_table(&groups);
    println!(
        "{concurrent:>10} {through_ledger:>12.0} {per_commit:>10.1} {:>9.3} {:>9.3} {same:>16.0} {:>8.0}% {bare:>14.0}",
        millis(latencies[latencies.len() / 2]),
        millis(latencies[latencies.len() * 99 / 100]),
        100.0 * through_ledger / same,
    );
    if concurrent == 256 {
        proofs(&ledger).await;
    }
}

async fn client(ledger: Ledger, n: usize, commands: usize) -> Vec<Duration> {
    let mut latencies = Vec::with_capacity(commands);
    for k in 0..commands {
        let seed = (n * 1_000_000 + k) as u128;
        let started = Instant::now();
        ledger
            .run(ctx(seed), move |unit| {
                let text = format!("{k:0>width$}", width = TEXT_BYTES);
                let noted = NoteEvent::Noted(Noted { text });
                unit.record::<Note>(format!("n{n}"), noted).map(|_| ())
            })
            .await
            .expect("an append");
        latencies.push(started.elapsed());
    }
    latencies
}

/// The ledger's own batches, written again by the store alone.
async fn same_statements(groups: Vec<Vec<Batch>>) -> f64 {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Sqlite::open(directory.path()).expect("a store");
    let entries: usize = groups.iter().flatten().map(|b| b.entries.len()).sum();
    let started = Instant::now();
    for group in groups {
        store.append(group).await.expect("an append");
    }
    rate(entries, started.elapsed())
}

/// Rows of the same bytes into one table with nothing but a key.
fn bare_table(groups: &[Vec<Batch>]) -> f64 {
    let directory = tempfile::tempdir().expect("a directory");
    let mut connection =
        rusqlite::Connection::open(directory.path().join("bare.db")).expect("open");
    connection
        .query_row("PRAGMA journal_mode=WAL", [], |_| Ok(()))
        .expect("WAL");
    connection
        .pragma_update(None, "synchronous", "FULL")
        .expect("full sync");
    connection
        .execute_batch("CREATE TABLE bare (seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT")
        .expect("a table");
    let rows: Vec<Vec<Vec<u8>>> = groups
        .iter()
        .map(|group| {
            let entries = group.iter().flat_map(|b| &b.entries);
            entries
                .map(|e| [e.header(TENANT), e.payload.clone().into_bytes()].concat())
                .collect()
        })
        .collect();
    let count: usize = rows.iter().map(Vec::len).sum();
    let started = Instant::now();
    for group in rows {
        let transaction = connection.transaction().expect("a transaction");
        {
            let mut insert = transaction
                .prepare_cached("INSERT INTO bare (bytes) VALUES (?1)")
                .expect("a statement");
            for bytes in group {
                insert.execute([bytes]).expect("an insert");
            }
        }
        transaction.commit().expect("a commit");
    }
    rate(count, started.elapsed())
}

async fn proofs(ledger: &Ledger) {
    let started = Instant::now();
    let verified = verify::log(ledger.store(), TENANT, |_| ())
        .await
        .expect("readable");
    assert!(verified.is_intact(), "{verified:?}");
    let verify_rate = rate(
        usize::try_from(verified.entries).expect("small"),
        started.elapsed(),
    );
    let started = Instant::now();
    let replayed = replay::log(ledger.store(), ledger.registry(), TENANT, |_| ())
        .await
        .expect("readable");
    assert!(replayed.is_equal(), "{replayed:?}");
    let replay_rate = rate(
        usize::try_from(replayed.entries).expect("small"),
        started.elapsed(),
    );
    println!("verify: {verify_rate:.0} entries/s (SQLite's own check included)");
    println!("replay: {replay_rate:.0} entries/s (chain checked, states compared)");
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts of a benchmark are far below 2^52"
)]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

fn rate(count: usize, elapsed: Duration) -> f64 {
    ratio(count, 1) / elapsed.as_secs_f64()
}

fn millis(latency: Duration) -> f64 {
    latency.as_secs_f64() * 1_000.0
}
