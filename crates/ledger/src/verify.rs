//! Verification of a log: every entry has the payload, the place and the hash
//! that it claims, and the log ends where storage says it ends.

use crate::entry::{Entry, Head};
use crate::row::{Broken, Preimage, Row, Rows, Seqs, Texts};
use crate::store::{Store, StoreFault};
use futures_util::stream::{self, StreamExt as _};
use kernel::{Digest, EntryId, TenantId};
use serde::{Deserialize, Serialize};

/// Entries of a part of a log that is checked on its own.
const PART_ENTRIES: u64 = 4_096;
/// Bytes of a part that are in memory at a time, about.
pub(crate) const PART_BYTES: usize = 4 * 1024 * 1024;
/// Parts that are read and checked beside each other at most. With
/// [`PART_BYTES`] it bounds the memory that verification takes.
const PARTS_MAX: usize = 8;

/// The first thing that is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Position in the log.
    pub seq: u64,
    /// The entry, where it can be read.
    pub entry: Option<EntryId>,
    /// What is wrong.
    pub what: String,
}

/// What verification found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Whose log.
    pub tenant: TenantId,
    /// Entries that were read and hold.
    pub entries: u64,
    /// The last hash that holds.
    pub head: Digest,
    /// The first fault, if any.
    pub fault: Option<Fault>,
    /// What the storage engine's own check says; empty when nothing.
    pub engine: Vec<String>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.fault.is_none() && self.engine.is_empty()
    }
}

/// Checks that `entry` follows `head` in this tenant's log.
///
/// # Errors
/// What is wrong with it.
pub fn follows(tenant: TenantId, head: Head, entry: &Entry) -> Result<Head, Fault> {
    Checker::new(tenant).follows(head, &Texts::of(entry).row(entry))
}

/// Checks rows, one log's, one after another, without a type of its own for
/// each entry.
pub struct Checker {
    preimage: Preimage,
}

impl Checker {
    /// For rows of this tenant's log.
    #[must_use]
    pub fn new(tenant: TenantId) -> Self {
        Self {
            preimage: Preimage::new(tenant),
        }
    }

    /// Checks that `row` follows `head`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn follows(&mut self, head: Head, row: &Row<'_>) -> Result<Head, Fault> {
        let fault = |what: String| Fault {
            seq: head.seq + 1,
            entry: Some(row.id),
            what,
        };
        if row.seq != head.seq + 1 {
            return Err(fault(missing(head.seq + 1, row.seq)));
        }
        if row.prev_hash != head.hash {
            return Err(fault(UNCHAINED.into()));
        }
        self.holds(row).map_err(|what| fault(what.into()))?;
        Ok(Head {
            seq: row.seq,
            hash: row.hash,
        })
    }

    /// Checks that the row has the payload and the header that it claims; its
    /// place among others is not looked at.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn holds(&mut self, row: &Row<'_>) -> Result<(), &'static str> {
        if Digest::of(row.payload.as_bytes()) != row.payload_hash {
            return Err("its payload does not have the recorded hash");
        }
        if self.preimage.hash(row) != row.hash {
            return Err("its header does not have the recorded hash");
        }
        Ok(())
    }
}

const UNCHAINED: &str = "it does not follow the entry before it";

fn missing(wanted: u64, found: u64) -> String {
    format!("entry {wanted} is missing; the next one is {found}")
}

/// The first row of a part of a log, readable or not.
#[derive(Clone, Copy)]
struct First {
    seq: u64,
    entry: Option<EntryId>,
    prev: Option<Digest>,
}

/// What was found in a part of a log that was checked on its own.
struct Part {
    first: Option<First>,
    /// The end of what holds; the position before the part when nothing does.
    head: Head,
    fault: Option<Fault>,
}

impl Part {
    /// The part that begins at this position, before anything of it is read.
    fn from(seq: u64) -> Self {
        Self {
            first: None,
            head: Head {
                seq: seq.saturating_sub(1),
                hash: Digest::ZERO,
            },
            fault: None,
        }
    }

    /// Checks a run of rows that follows what was checked so far. The first
    /// row of all is taken to follow what it says it follows: whoever joins
    /// the parts knows whether it does.
    fn take(mut self, checker: &mut Checker, rows: &Rows) -> Self {
        for row in rows.iter() {
            let mut head = self.head;
            if self.first.is_none() {
                head.hash = row.prev_hash;
                self.first = Some(First {
                    seq: row.seq,
                    entry: Some(row.id),
                    prev: Some(row.prev_hash),
                });
            }
            match checker.follows(head, &row) {
                Ok(next) => self.head = next,
                Err(fault) => {
                    self.fault = Some(fault);
                    return self;
                }
            }
        }
        if let Some(broken) = &rows.broken {
            self.first.get_or_insert(First {
                seq: broken.seq,
                entry: None,
                prev: None,
            });
            self.fault = Some(Fault::broken(self.head.seq, broken));
        }
        self
    }

    /// What is known of the log after this part, when it ended at `head`
    /// before it.
    fn join(self, head: Head) -> (Head, Option<Fault>) {
        let Some(first) = self.first else {
            return (head, None);
        };
        let next = head.seq + 1;
        let what = if first.seq != next {
            missing(next, first.seq)
        } else if first.prev.is_some_and(|prev| prev != head.hash) {
            UNCHAINED.to_owned()
        } else {
            let moved = self.head.seq > head.seq;
            return (if moved { self.head } else { head }, self.fault);
        };
        let fault = Fault {
            seq: next,
            entry: first.entry,
            what,
        };
        (head, Some(fault))
    }
}

impl Fault {
    /// A row that could not be read, after the one at `last_seq`.
    pub(crate) fn broken(last_seq: u64, broken: &Broken) -> Self {
        let next = last_seq + 1;
        let what = match broken.seq == next {
            true => broken.what.clone(),
            false => missing(next, broken.seq),
        };
        Self {
            seq: next,
            entry: None,
            what,
        }
    }
}

/// How far a proof has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Entries that are done.
    pub done: u64,
    /// Entries that there are.
    pub total: u64,
}

/// Verifies a tenant's log from its first entry to its head, and has the
/// storage engine check itself meanwhile.
///
/// # Errors
/// When storage cannot be read at all; what is wrong with the log is in the
/// report.
pub async fn log(
    store: &dyn Store,
    tenant: TenantId,
    progress: impl FnMut(Progress) + Send,
) -> Result<Report, StoreFault> {
    let (found, engine) = tokio::join!(entries(store, tenant, progress), store.engine_check());
    let (head, fault) = found?;
    let engine = match engine {
        Ok(found) => found,
        Err(StoreFault::Damaged(what)) => vec![what],
        Err(other) => return Err(other),
    };
    Ok(Report {
        tenant,
        entries: head.seq,
        head: head.hash,
        fault,
        engine,
    })
}

/// Verifies the entries alone: the end of what holds, and the first fault.
/// Parts of [`PART_ENTRIES`] are read and checked beside each other, and
/// joined in order.
///
/// # Errors
/// When storage cannot be read at all.
pub async fn entries(
    store: &dyn Store,
    tenant: TenantId,
    mut progress: impl FnMut(Progress) + Send,
) -> Result<(Head, Option<Fault>), StoreFault> {
    let mut head = Head::EMPTY;
    let recorded = store.head(tenant).await?;
    let parts = (0..recorded.seq.div_ceil(PART_ENTRIES)).map(|nth| Seqs {
        // A row at position 0 belongs to no log; it is looked for as well.
        from: if nth == 0 { 0 } else { nth * PART_ENTRIES + 1 },
        until: recorded.seq.min((nth + 1) * PART_ENTRIES),
    });
    let checks = parts.map(|seqs| part(store, tenant, seqs));
    let mut checked = stream::iter(checks).buffered(parallel());
    while let Some(part) = checked.next().await {
        let fault;
        (head, fault) = part?.join(head);
        if fault.is_some() {
            return Ok((head, fault));
        }
        progress(Progress {
            done: head.seq,
            total: recorded.seq,
        });
    }
    tail(store, tenant, head).await
}

/// Checks what comes after `head`, until the log ends where its head is
/// recorded: entries may be appended meanwhile.
async fn tail(
    store: &dyn Store,
    tenant: TenantId,
    mut head: Head,
) -> Result<(Head, Option<Fault>), StoreFault> {
    loop {
        let seqs = Seqs {
            from: head.seq + 1,
            until: head.seq + PART_ENTRIES,
        };
        let before = head;
        let fault;
        (head, fault) = part(store, tenant, seqs).await?.join(head);
        if fault.is_some() {
            return Ok((head, fault));
        }
        if head != before {
            continue;
        }
        // In this order: an entry that was read was recorded before.
        let recorded = store.head(tenant).await?;
        let appended = store.rows(tenant, seqs, 1).await?;
        if appended.is_empty() || recorded.seq <= head.seq {
            return Ok((head, ends_early(recorded, head)));
        }
    }
}

/// Reads and checks a part of a log.
async fn part(store: &dyn Store, tenant: TenantId, seqs: Seqs) -> Result<Part, StoreFault> {
    let mut checker = Checker::new(tenant);
    let mut part = Part::from(seqs.from.max(1));
    let mut next = seqs;
    loop {
        let rows = store.rows(tenant, next, PART_BYTES).await?;
        let (last, more) = (rows.last_seq(), rows.more);
        (part, checker) = blocking(move || {
            let part = part.take(&mut checker, &rows);
            (part, checker)
        })
        .await?;
        match last {
            Some(last) if more && part.fault.is_none() => next.from = last + 1,
            _ => return Ok(part),
        }
    }
}

/// Runs `work` where it keeps nobody waiting.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreFault> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| StoreFault::Unavailable(e.to_string()))
}

/// How many parts of a log are read and checked beside each other.
fn parallel() -> usize {
    std::thread::available_parallelism()
        .map_or(2, usize::from)
        .clamp(2, PARTS_MAX)
}

fn ends_early(recorded: Head, found: Head) -> Option<Fault> {
    (recorded != found).then(|| Fault {
        seq: found.seq + 1,
        entry: None,
        what: match recorded.seq == found.seq {
            true => "the head of the log was recorded with another hash".into(),
            false => format!(
                "the log ends at {} but its head was recorded at {}",
                found.seq, recorded.seq
            ),
        },
    })
}

#[cfg(test)]
mod tests;
