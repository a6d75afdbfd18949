//! Durable appends by one or many producers, beside two ceilings of the same
//! store in the same run: the very batches that the ledger wrote, written again
//! by the store alone to a copy of the log as it was (same statements, same
//! groups, same durability, nothing decided, hashed or waited for), and rows
//! of the same bytes into one bare table.

use crate::numbers::{millis, quantile, rate, ratio};
use crate::place::{Groups, Place};
use crate::sample::{self, FILL_ENTRIES, Producer, TENANT};
use async_trait::async_trait;
use kernel::{Digest, EntryId, StreamId, TenantId, Timestamp};
use ledger::entry::{Entry, Head};
use ledger::merkle::{Span, Tile};
use ledger::query::{DocumentQuery, EntryQuery};
use ledger::row::{Rows, Seqs};
use ledger::store::{Batch, Document, Leaf, Store, StoreFault};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub(crate) const HEADER: &str = "  producers   commands/s  per commit    p50 ms    p99 ms  \
     same statements   share  bare table   share";

/// A store that keeps what it was asked to append.
struct Recording {
    inner: Arc<dyn Store>,
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

/// Two places with the same log: one for the ledger, one for its ceiling.
/// Whatever is appended to the one is appended to the other.
pub(crate) struct Pair {
    pub(crate) ledger: Place,
    pub(crate) ceiling: Place,
    /// The number of entries in the log, and of producers that there were.
    pub(crate) size: u64,
    pub(crate) producers: u64,
}

/// Appends with this many producers and prints the row.
pub(crate) async fn level(pair: &mut Pair, producers: u64, commands: u64) {
    let store = Arc::new(Recording {
        inner: pair.ledger.open().await,
        batches: Mutex::default(),
    });
    let ledger = sample::open(store.clone());
    let first = pair.producers + 1;
    let producer = move |n: u64, size: u64| Producer {
        number: first + n,
        began: size / FILL_ENTRIES,
    };
    let size = pair.size;
    pair.producers += producers + 1;
    // The end of the log is read before the clock starts.
    producer(producers, size).append(&ledger, 0).await;
    let each = commands / producers;
    let started = Instant::now();
    let tasks: Vec<_> = (0..producers)
        .map(|n| {
            let ledger = ledger.clone();
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                for k in 0..each {
                    let began = Instant::now();
                    producer(n, size).append(&ledger, k).await;
                    latencies.push(began.elapsed());
                }
                latencies
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.expect("a client"));
    }
    let through = rate(latencies.len(), started.elapsed());
    latencies.sort_unstable();
    let groups = std::mem::take(&mut *store.batches.lock().expect("no panic before"));
    store.inner.flush().await.expect("a flush");
    drop((ledger, store));
    let per_commit = ratio(latencies.len(), groups.len() - 1);
    pair.ledger.settle().await;
    let bare = pair.ceiling.bare_table(rows(&groups)).await;
    pair.ceiling.settle().await;
    let same = same_statements(&pair.ceiling, groups).await;
    pair.ceiling.settle().await;
    println!(
        "  {producers:>9} {through:>12.0} {per_commit:>11.1} {:>9.3} {:>9.3} {same:>16.0} \
         {:>6.0}% {bare:>11.0} {:>6.0}%",
        millis(quantile(&latencies, 0.5)),
        millis(quantile(&latencies, 0.99)),
        100.0 * through / same,
        100.0 * through / bare,
    );
}

/// The ledger's own batches, written again by the store alone.
async fn same_statements(place: &Place, groups: Vec<Vec<Batch>>) -> f64 {
    let store = place.open().await;
    let entries: usize = groups.iter().flatten().map(|b| b.entries.len()).sum();
    let started = Instant::now();
    let mut first = Duration::ZERO;
    for (n, group) in groups.into_iter().enumerate() {
        store.append(group).await.expect("an append");
        if n == 0 {
            first = started.elapsed();
        }
    }
    let through = rate(entries - 1, started.elapsed() - first);
    store.flush().await.expect("a flush");
    through
}

/// Rows of the same bytes.
fn rows(groups: &[Vec<Batch>]) -> Groups {
    let bytes = |entry: &Entry| [entry.header(TENANT), entry.payload.clone().into_bytes()].concat();
    let group = |group: &Vec<Batch>| group.iter().flat_map(|b| &b.entries).map(bytes).collect();
    groups.iter().map(group).collect()
}
