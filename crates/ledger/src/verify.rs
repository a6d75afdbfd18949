//! Verification of a log: every entry has the payload, the place and the hash
//! that it claims, and the log ends where storage says it ends.

use crate::entry::{Entry, Head};
use crate::query::EntryQuery;
use crate::store::{Store, StoreFault};
use kernel::{Digest, EntryId, TenantId};
use serde::{Deserialize, Serialize};

/// Entries read at a time.
const PAGE: usize = 2_000;

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
    let fault = |what: String| Fault {
        seq: head.seq + 1,
        entry: Some(entry.id),
        what,
    };
    if entry.seq != head.seq + 1 {
        return Err(fault(format!(
            "entry {} is missing; the next one is {}",
            head.seq + 1,
            entry.seq
        )));
    }
    if entry.prev_hash != head.hash {
        return Err(fault("it does not follow the entry before it".into()));
    }
    if Digest::of(entry.payload.as_bytes()) != entry.payload_hash {
        return Err(fault("its payload does not have the recorded hash".into()));
    }
    if entry.computed_hash(tenant) != entry.hash {
        return Err(fault("its header does not have the recorded hash".into()));
    }
    Ok(Head {
        seq: entry.seq,
        hash: entry.hash,
    })
}

/// Verifies a tenant's log from its first entry to its head. `progress` hears
/// how many entries are done.
///
/// # Errors
/// When storage cannot be read at all; what is wrong with the log is in the
/// report.
pub async fn log(
    store: &dyn Store,
    tenant: TenantId,
    mut progress: impl FnMut(u64) + Send,
) -> Result<Report, StoreFault> {
    let mut head = Head::EMPTY;
    let mut fault = None;
    'pages: loop {
        let query = EntryQuery {
            beyond_seq: Some(head.seq),
            limit: PAGE,
            ..EntryQuery::default()
        };
        let page = match store.entries(tenant, &query).await {
            Ok(page) => page,
            Err(StoreFault::Unreadable { seq, what, .. }) => {
                // The rows before the unreadable one are still checked.
                let entry = None;
                fault = Some(Fault { seq, entry, what });
                readable(store, tenant, head).await
            }
            Err(StoreFault::Damaged(what)) => {
                let page = readable(store, tenant, head).await;
                fault = Some(Fault {
                    seq: head.seq + 1 + page.len() as u64,
                    entry: None,
                    what,
                });
                page
            }
            Err(other) => return Err(other),
        };
        let last_page = page.len() < PAGE || fault.is_some();
        for entry in &page {
            match follows(tenant, head, entry) {
                Ok(next) => head = next,
                Err(found) => {
                    fault = Some(found);
                    break 'pages;
                }
            }
        }
        progress(head.seq);
        if last_page {
            break;
        }
    }
    if fault.is_none() {
        fault = ends_early(store.head(tenant).await?, head);
    }
    let engine = match store.engine_check().await {
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

/// The entries after `head` that can be read one by one, up to a page.
async fn readable(store: &dyn Store, tenant: TenantId, head: Head) -> Vec<Entry> {
    let mut page = Vec::new();
    for at in head.seq..head.seq + PAGE as u64 {
        let query = EntryQuery {
            beyond_seq: Some(at),
            limit: 1,
            ..EntryQuery::default()
        };
        match store.entries(tenant, &query).await {
            Ok(mut one) if one.len() == 1 => page.append(&mut one),
            _ => break,
        }
    }
    page
}

fn ends_early(recorded: Head, found: Head) -> Option<Fault> {
    (recorded != found).then(|| Fault {
        seq: found.seq + 1,
        entry: None,
        what: format!(
            "the log ends at {} but its head was recorded at {}",
            found.seq, recorded.seq
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::tests::sample;

    type Edit = Box<dyn Fn(&mut Entry)>;

    #[test]
    fn each_field_of_an_entry_is_covered() {
        let (tenant, good) = sample();
        assert_eq!(follows(tenant, Head::EMPTY, &good).unwrap().seq, 1);
        let edits: Vec<(&str, Edit)> = vec![
            ("seq", Box::new(|e| e.seq = 2)),
            (
                "id",
                Box::new(|e| e.id = "ent_00000000000070008000000000000009".parse().unwrap()),
            ),
            (
                "stream",
                Box::new(|e| e.stream = kernel::StreamId::new("door", "back")),
            ),
            ("stream_version", Box::new(|e| e.stream_version = 2)),
            ("kind", Box::new(|e| e.kind = "door.closed".into())),
            (
                "category",
                Box::new(|e| e.category = kernel::Category::System),
            ),
            ("at", Box::new(|e| e.at = kernel::Timestamp::EPOCH)),
            (
                "actor",
                Box::new(|e| e.actor = kernel::Actor::system("other")),
            ),
            (
                "trace_id",
                Box::new(|e| e.trace_id = kernel::TraceId::new(99).unwrap()),
            ),
            ("causation", Box::new(|e| e.causation = Some(e.id))),
            ("subject", Box::new(|e| e.subject = None)),
            (
                "directive",
                Box::new(|e| {
                    e.directive = Some("dir_00000000000070008000000000000003".parse().unwrap())
                }),
            ),
            (
                "snapshot",
                Box::new(|e| e.snapshot = Some(kernel::SnapshotId(Digest::ZERO))),
            ),
            ("payload", Box::new(|e| e.payload = "{\"a\":2}".into())),
            (
                "payload_hash",
                Box::new(|e| e.payload_hash = Digest::of(b"x")),
            ),
            ("prev_hash", Box::new(|e| e.prev_hash = Digest::of(b"x"))),
            ("hash", Box::new(|e| e.hash = Digest::of(b"x"))),
        ];
        for (field, edit) in edits {
            let mut bad = good.clone();
            edit(&mut bad);
            assert!(follows(tenant, Head::EMPTY, &bad).is_err(), "{field}");
        }
        let other: TenantId = "ten_00000000000070008000000000000007".parse().unwrap();
        assert!(follows(other, Head::EMPTY, &good).is_err(), "tenant");
    }
}
