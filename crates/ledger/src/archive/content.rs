//! What a segment holds: a range of entries with the large bodies that they
//! refer to.

use super::segment::Segment;
use crate::bundle::line::{end_line, entry_line, object_line};
use crate::entry::{Entry, Head};
use crate::query::EntryQuery;
use crate::store::{Store, StoreFault};
use crate::verify;
use kernel::{Digest, Refusal, TenantId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A segment is closed once its content has about this many bytes.
pub const CONTENT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Entries read at a time.
const PAGE: usize = 500;
/// Digests read at a time.
const DIGESTS_PAGE: usize = 10_000;
/// What a large body counts before it is read, in bytes.
const OBJECT_BYTES_GUESS: usize = 64 * 1024;
/// Hex digits of a digest.
const HEX: usize = 64;

/// Which range a segment holds, and what makes it this range and no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outline {
    /// Position of its first entry.
    pub first: u64,
    /// Position of its last entry.
    pub last: u64,
    /// Hash of the entry before the first.
    pub prev_hash: Digest,
    /// Hash of the last entry.
    pub last_hash: Digest,
    /// SHA-256 of its content.
    pub content: Digest,
    /// Large bodies in it.
    pub objects: u64,
    /// The checkpoint of the log up to its last entry, as a signed note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

/// A range of entries with what they refer to.
pub(super) struct Content {
    pub(super) outline: Outline,
    pub(super) lines: Vec<u8>,
    /// Whether every entry tells of the archive itself.
    pub(super) own_only: bool,
}

/// Reads a log for its archive.
pub(super) struct Source<'a> {
    store: &'a dyn Store,
    tenant: TenantId,
    kept: BTreeSet<Digest>,
}

impl<'a> Source<'a> {
    /// The source of this log as it is now.
    pub(super) async fn open(store: &'a dyn Store, tenant: TenantId) -> Result<Self, StoreFault> {
        let kept = kept(store, tenant).await?;
        Ok(Self {
            store,
            tenant,
            kept,
        })
    }

    /// The entries after `head` up to `last`, or fewer when the content would
    /// be too long; a range that was sealed before is always read whole.
    pub(super) async fn read(
        &self,
        mut head: Head,
        last: u64,
        whole: bool,
    ) -> Result<Content, Refusal> {
        let (first, prev_hash) = (head.seq + 1, head.hash);
        let mut lines = Vec::new();
        let mut told = BTreeSet::new();
        let (mut entries, mut bytes, mut own_only) = (0, 0, true);
        'pages: while head.seq < last {
            let page = self.page(head.seq, last).await?;
            for entry in &page {
                if !whole && bytes >= CONTENT_BYTES_MAX {
                    break 'pages;
                }
                head = verify::follows(self.tenant, head, entry).map_err(|f| {
                    Refusal::integrity(format!("entry {} of {}: {}", f.seq, self.tenant, f.what))
                        .hint("run `writ ledger verify`; what is damaged is not archived")
                })?;
                own_only &= is_own(entry);
                lines.extend(entry_line(self.tenant, entry));
                told.extend(references(&entry.payload).filter(|d| self.kept.contains(d)));
                bytes = lines.len() + told.len() * OBJECT_BYTES_GUESS;
                entries += 1;
            }
            if page.is_empty() {
                return Err(Refusal::integrity(format!(
                    "the log of {} ends at {} before its head",
                    self.tenant, head.seq
                )));
            }
        }
        for digest in &told {
            self.object(*digest, &mut lines).await?;
        }
        lines.extend(end_line(entries, told.len() as u64));
        let outline = Outline {
            first,
            last: head.seq,
            prev_hash,
            last_hash: head.hash,
            content: Digest::of(&lines),
            objects: told.len() as u64,
            checkpoint: None,
        };
        Ok(Content {
            outline,
            lines,
            own_only,
        })
    }

    /// Whether the entries after this position up to `last` tell of the archive
    /// itself and of nothing else.
    pub(super) async fn own_only(&self, mut beyond: u64, last: u64) -> Result<bool, StoreFault> {
        while beyond < last {
            let page = self.page(beyond, last).await?;
            let Some(newest) = page.last() else {
                return Ok(true);
            };
            if page.iter().any(|entry| !is_own(entry)) {
                return Ok(false);
            }
            beyond = newest.seq;
        }
        Ok(true)
    }

    async fn page(&self, beyond: u64, last: u64) -> Result<Vec<Entry>, StoreFault> {
        let query = EntryQuery {
            beyond_seq: Some(beyond),
            until_seq: Some(last),
            limit: PAGE,
            ..EntryQuery::default()
        };
        self.store.entries(self.tenant, &query).await
    }

    async fn object(&self, digest: Digest, lines: &mut Vec<u8>) -> Result<(), Refusal> {
        let bytes = self.store.object(self.tenant, digest).await?;
        let bytes = bytes.ok_or_else(|| {
            Refusal::integrity(format!("the object {digest} of {} is gone", self.tenant))
        })?;
        lines.extend(object_line(digest, &bytes));
        Ok(())
    }
}

/// Whether an entry tells of the archive itself.
fn is_own(entry: &Entry) -> bool {
    entry.stream.kind() == <Segment as kernel::Aggregate>::KIND
}

/// The digests of every large body of a log.
pub(crate) async fn kept(
    store: &dyn Store,
    tenant: TenantId,
) -> Result<BTreeSet<Digest>, StoreFault> {
    let mut all = BTreeSet::new();
    loop {
        let after = all.last().copied();
        let page = store.object_digests(tenant, after, DIGESTS_PAGE).await?;
        let full = page.len() == DIGESTS_PAGE;
        all.extend(page);
        if !full {
            return Ok(all);
        }
    }
}

/// The digests that stand in a payload, in order: 64 hex digits that end a
/// string, alone or behind the prefix of an id.
pub(crate) fn references(payload: &str) -> impl Iterator<Item = Digest> {
    payload.split('"').filter_map(|text| {
        let start = text.len().checked_sub(HEX)?;
        let digits = text.get(start..)?;
        Digest::parse(digits)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_digests_at_the_end_of_strings() {
        let a = Digest::of(b"a");
        let b = Digest::of(b"b");
        let payload = format!(
            "{{\"id\":\"evd_{a}\",\"é\":\"x{b}\",\"n\":1,\"other\":\"{b}x\",\"short\":\"{}\"}}",
            &a.to_string()[1..]
        );
        assert_eq!(references(&payload).collect::<Vec<_>>(), [a, b]);
        assert_eq!(references("").count(), 0);
    }
}
