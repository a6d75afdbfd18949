//! Replay: fold every entry again, each stream in strict order, and compare
//! each state with the live one.
//!
//! The log is read once. Its chain is checked, and its entries are sorted by
//! stream, on disk when they do not fit into the memory that is allowed. Then
//! one stream is folded after another, in order of name, which is the order in
//! which storage gives the live states: one state is in memory at a time.

mod ask;
mod compare;
mod fold;
mod sort;
mod stream;

pub use ask::{Ask, answer};
pub use fold::Rebuilt;
pub use stream::{STREAMS_MAX, as_of, belonging, streams};

use crate::entry::Head;
use crate::registry::Registry;
use crate::row::{Rows, Seqs};
use crate::store::{Store, StoreFault};
use crate::verify::{Checker, Fault, Progress, blocking};
use compare::{Compared, Comparing};
use fold::Folding;
use kernel::{Digest, TenantId};
use serde::{Deserialize, Serialize};
use sort::{Merge, Sorter, batch_bytes};
use std::sync::Arc;

/// Differences named in a report at most.
const DIFFERENCES_MAX: usize = 20;
/// Bytes that a replay may take, about, when nothing else is asked for.
pub const MEMORY_BYTES: usize = 256 * 1024 * 1024;

/// Where replay and the live states differ, or where replay had to stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Position in the log, where it is known.
    pub seq: Option<u64>,
    /// The stream, where it is known.
    pub stream: Option<String>,
    /// What differs.
    pub what: String,
}

/// What replay found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Whose log.
    pub tenant: TenantId,
    /// The position that the states are as of; `None` when they were compared
    /// with the live ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of_seq: Option<u64>,
    /// Entries folded.
    pub entries: u64,
    /// Bytes of entries that were sorted on disk, because they did not fit
    /// into memory.
    #[serde(default)]
    pub spilled_bytes: u64,
    /// States built.
    pub states: u64,
    /// SHA-256 over the name, version and state of every stream that was
    /// built, in order of name.
    pub state_hash: Digest,
    /// The first differences; empty when replay and the live states agree.
    pub differences: Vec<Difference>,
}

impl Report {
    /// Whether replay and the live states agree.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty()
    }
}

/// How a whole log is replayed.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Only up to this position; then there is nothing to compare with.
    pub until_seq: Option<u64>,
    /// Bytes of memory that it may take, about; a single state that is larger
    /// is built all the same.
    pub memory_bytes: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            until_seq: None,
            memory_bytes: MEMORY_BYTES,
        }
    }
}

/// What is replayed: a log up to its end.
#[derive(Clone, Copy)]
struct Source<'a> {
    store: &'a dyn Store,
    registry: &'a Registry,
    tenant: TenantId,
    end: Head,
}

/// Replays a tenant's whole log and compares every state with the live one.
/// Entries may be appended meanwhile: a state that has moved on is compared
/// where it stands then.
///
/// # Errors
/// When storage does not answer.
pub async fn log(
    store: &dyn Store,
    registry: &Registry,
    tenant: TenantId,
    progress: impl FnMut(Progress) + Send,
) -> Result<Report, StoreFault> {
    by_plan(store, registry, tenant, Plan::default(), progress).await
}

/// Replays a tenant's whole log by this plan.
///
/// # Errors
/// When storage does not answer.
pub async fn by_plan(
    store: &dyn Store,
    registry: &Registry,
    tenant: TenantId,
    plan: Plan,
    mut progress: impl FnMut(Progress) + Send,
) -> Result<Report, StoreFault> {
    let head = store.head(tenant).await?;
    let seq = head.seq.min(plan.until_seq.unwrap_or(u64::MAX));
    let end = match seq == head.seq {
        true => head,
        // Where the log is cut off here, its hash is not known beforehand.
        false => Head {
            seq,
            hash: Digest::ZERO,
        },
    };
    let source = Source {
        store,
        registry,
        tenant,
        end,
    };
    // Every entry is read and then folded.
    let report = |done| {
        progress(Progress {
            done,
            total: 2 * seq,
        });
    };
    let read = run(&source, plan.memory_bytes, report).await?;
    let entries = read.reached.seq;
    let (spilled_bytes, compared) = match read.end {
        Err(difference) => {
            let mut compared = Compared::default();
            compared.note(difference);
            (0, compared)
        }
        Ok(sorter) => {
            let merge = sorter.sorted().await?;
            let spilled_bytes = merge.spilled_bytes;
            let comparing = Comparing::new(source, plan.until_seq.is_none());
            let report = |folded| {
                progress(Progress {
                    done: entries + folded,
                    total: 2 * seq,
                })
            };
            (spilled_bytes, fold(merge, comparing, report).await?)
        }
    };
    Ok(Report {
        tenant,
        as_of_seq: plan.until_seq,
        entries,
        spilled_bytes,
        states: compared.states,
        state_hash: compared.state_hash(),
        differences: compared.differences,
    })
}

/// Folds what was sorted and compares it. Merging, folding and comparing run
/// beside each other.
async fn fold(
    merge: Merge,
    mut comparing: Comparing<'_>,
    mut progress: impl FnMut(u64) + Send,
) -> Result<Compared, StoreFault> {
    let mut folding = Folding::new(comparing.registry().clone());
    let (mut merge, mut batch) = merge.batch().await?;
    let mut made = Vec::new();
    loop {
        let is_last = batch.is_empty();
        let (next, folded, compared) = tokio::join!(
            merge.batch(),
            blocking(move || folding.take(&batch)),
            comparing.take(made),
        );
        compared?;
        (folding, made) = folded??;
        (merge, batch) = next?;
        progress(folding.folded);
        if comparing.is_full() {
            return Ok(comparing.so_far());
        }
        if is_last {
            comparing.take(made).await?;
            return comparing.end().await;
        }
    }
}

/// The log, read once.
struct Read {
    /// The end of what holds.
    reached: Head,
    /// The entries, or what made it stop.
    end: Result<Sorter, Difference>,
}

/// Reads the log, checks its chain and hands its entries to be sorted.
async fn run(
    source: &Source<'_>,
    memory_bytes: usize,
    mut progress: impl FnMut(u64) + Send,
) -> Result<Read, StoreFault> {
    let mut sorter = Sorter::new(memory_bytes);
    let mut chain = (Checker::new(source.tenant), Head::EMPTY);
    let first = Seqs {
        from: 0,
        until: source.end.seq,
    };
    let bytes = batch_bytes(memory_bytes);
    let mut ahead = read(source, (source.end.seq > 0).then_some(first), bytes).await?;
    while let Some(rows) = ahead {
        let last = rows.last_seq().unwrap_or(0);
        let next = rows.more.then_some(Seqs {
            from: last + 1,
            until: source.end.seq,
        });
        let (to_check, to_sort) = (rows.clone(), rows);
        let (read, checked, sorted) = tokio::join!(
            read(source, next, bytes),
            blocking(move || check(chain, &to_check)),
            blocking(move || {
                sorter.push(&to_sort);
                sorter
            }),
        );
        let broken;
        (chain, broken) = checked?;
        sorter = sorted?;
        if let Some(difference) = broken {
            let (_, reached) = chain;
            let end = Err(difference);
            return Ok(Read { reached, end });
        }
        sorter.make_room().await?;
        progress(last);
        ahead = read?;
    }
    let (_, reached) = chain;
    let end = match elsewhere(source.end, reached) {
        None => Ok(sorter),
        Some(difference) => Err(difference),
    };
    Ok(Read { reached, end })
}

async fn read(
    source: &Source<'_>,
    seqs: Option<Seqs>,
    bytes: usize,
) -> Result<Option<Arc<Rows>>, StoreFault> {
    let Some(seqs) = seqs else { return Ok(None) };
    let rows = source.store.rows(source.tenant, seqs, bytes).await?;
    Ok(Some(Arc::new(rows)))
}

type Chain = (Checker, Head);

/// Checks that these rows go on with the chain.
fn check(mut chain: Chain, rows: &Rows) -> (Chain, Option<Difference>) {
    let (checker, head) = &mut chain;
    for row in rows.iter() {
        match checker.follows(*head, &row) {
            Ok(next) => *head = next,
            Err(fault) => {
                let stream = Some(row.stream.to_owned());
                return (chain, Some(Difference::of(fault, stream)));
            }
        }
    }
    let broken = rows.broken.as_ref();
    let broken = broken.map(|broken| Difference::of(Fault::broken(head.seq, broken), None));
    (chain, broken)
}

impl Difference {
    fn of(fault: Fault, stream: Option<String>) -> Self {
        Self {
            seq: Some(fault.seq),
            stream,
            what: fault.what,
        }
    }
}

/// What is wrong when the log ends at `found` and not at `end`.
fn elsewhere(end: Head, found: Head) -> Option<Difference> {
    let what = match found.seq == end.seq {
        true if end.hash == Digest::ZERO || end.hash == found.hash => return None,
        true => "the head of the log was recorded with another hash".to_owned(),
        false => format!("the log ends here but its head is at {}", end.seq),
    };
    Some(Difference {
        seq: Some(found.seq + 1),
        stream: None,
        what,
    })
}
