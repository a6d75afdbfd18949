//! Writing a bundle from storage, a page at a time. What is written is checked
//! on the way, so a damaged log is refused here and not by the one who gets
//! the bundle.

use super::line::{Head, end_line, entry_line, object_line};
use super::{FORMAT, LINE_BYTES_MAX};
use crate::checkpoint::{self, Checkpoint};
use crate::entry;
use crate::merkle::{RangeRoot, Stored, Tiles};
use crate::note::{Note, VerifierKey};
use crate::query::EntryQuery;
use crate::store::Store;
use crate::verify::follows;
use kernel::{Digest, Refusal, TenantId};
use std::ops::RangeInclusive;

/// Entries read at a time; each may be [`kernel::limits::ENTRY_PAYLOAD_BYTES_MAX`] long.
const PAGE_ENTRIES: u64 = 256;
/// Objects whose digests are read at a time.
const PAGE_OBJECTS: usize = 16;

/// What goes into a bundle.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The first entry; the log's first when there is none.
    pub from: Option<u64>,
    /// The last entry; the checkpoint's last when there is none.
    pub to: Option<u64>,
    /// Whether large bodies go along.
    pub objects: Objects,
}

/// Whether large bodies go into a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objects {
    /// All of the tenant's.
    With,
    /// None; entries still name their digests.
    Without,
}

enum Stage {
    Head,
    Entries,
    Objects(Option<Digest>),
    Done,
}

/// A bundle that is being written.
pub struct Export {
    head: Head,
    root: Digest,
    tree: RangeRoot,
    stage: Stage,
    objects: Objects,
    /// The last entry written.
    at: entry::Head,
    objects_written: u64,
}

impl Export {
    /// Begins a bundle of what `scope` names, under the latest checkpoint on
    /// the ledger.
    ///
    /// # Errors
    /// As [`Export::begin`], and `not_found` when there is no checkpoint yet.
    pub async fn latest(
        store: &dyn Store,
        tenant: TenantId,
        scope: &Scope,
    ) -> Result<Self, Refusal> {
        let recent = checkpoint::checkpoints(store, tenant).await?;
        let latest = recent.latest().ok_or_else(|| {
            Refusal::not_found(format!("the log of `{tenant}` has no checkpoint yet"))
                .hint("have one signed with `writ ledger checkpoint --sign`")
        })?;
        let keys = checkpoint::log_keys(store, tenant).await?.all()?;
        Self::begin(store, tenant, &latest.cosigned_note()?, &keys, scope).await
    }

    /// Begins a bundle of what `scope` names, under this signed checkpoint.
    ///
    /// # Errors
    /// When the note is no checkpoint, the checkpoint does not cover the scope,
    /// or storage does not answer.
    pub async fn begin(
        store: &dyn Store,
        tenant: TenantId,
        note: &Note,
        keys: &[VerifierKey],
        scope: &Scope,
    ) -> Result<Self, Refusal> {
        let checkpoint =
            Checkpoint::parse(note.text()).map_err(|e| Refusal::integrity(e.to_string()))?;
        let range = entries_of(scope, checkpoint.size)?;
        let mut head = Head {
            checkpoint: note.to_string(),
            first: *range.start(),
            format: FORMAT.to_owned(),
            keys: keys.iter().map(ToString::to_string).collect(),
            last: *range.end(),
            proof: Vec::new(),
            tenant,
        };
        let leaves = head.leaves();
        let mut tiles = Tiles::new(Stored { store, tenant }, checkpoint.size);
        head.proof = tiles.beside(&leaves).await?;
        let tree = RangeRoot::new(leaves, checkpoint.size, head.proof.clone())
            .ok_or_else(|| Refusal::integrity("the tree does not cover the entries"))?;
        Ok(Self {
            at: entry::Head {
                seq: head.first - 1,
                hash: Digest::ZERO,
            },
            head,
            root: checkpoint.root,
            tree,
            stage: Stage::Head,
            objects: scope.objects,
            objects_written: 0,
        })
    }

    /// How many entries go into the bundle.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.head.last - self.at_start()
    }

    /// How many entries have been written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.at.seq - self.at_start()
    }

    fn at_start(&self) -> u64 {
        self.head.first - 1
    }

    /// The next lines of the bundle; `None` after the last one.
    ///
    /// # Errors
    /// When the log is not what the checkpoint says, or storage does not
    /// answer. The bundle is then not whole and every verifier refuses it.
    pub async fn next(&mut self, store: &dyn Store) -> Result<Option<Vec<u8>>, Refusal> {
        match self.stage {
            Stage::Head => {
                self.stage = Stage::Entries;
                let line = self.head.to_line();
                Ok(Some(line.map_err(|e| Refusal::integrity(e.to_string()))?))
            }
            Stage::Entries if self.at.seq < self.head.last => self.page(store).await.map(Some),
            Stage::Entries if self.tree.root() != Some(self.root) => Err(Refusal::integrity(
                "the log is not the one that was signed: its entries do not give the root in the checkpoint",
            )
            .hint("run `writ ledger verify`, and keep the files as they are")),
            Stage::Entries if self.objects == Objects::Without => Ok(Some(self.end())),
            Stage::Entries => self.bodies(store, None).await.map(Some),
            Stage::Objects(after) => self.bodies(store, after).await.map(Some),
            Stage::Done => Ok(None),
        }
    }

    async fn page(&mut self, store: &dyn Store) -> Result<Vec<u8>, Refusal> {
        let rows = PAGE_ENTRIES.min(self.head.last - self.at.seq);
        let query = EntryQuery {
            beyond_seq: Some(self.at.seq),
            limit: usize::try_from(rows).unwrap_or(usize::MAX),
            ..EntryQuery::default()
        };
        let page = store.entries(self.head.tenant, &query).await?;
        let Some(first) = page.first() else {
            return Err(Refusal::integrity(format!(
                "entry {} is missing",
                self.at.seq + 1
            )));
        };
        if self.written() == 0 && self.head.first > 1 {
            // What stands before the range is not read; the tree vouches for it.
            self.at.hash = first.prev_hash;
        }
        let mut lines = Vec::new();
        for entry in &page {
            self.at = follows(self.head.tenant, self.at, entry).map_err(|fault| {
                Refusal::integrity(format!("entry {}: {}", fault.seq, fault.what))
            })?;
            self.tree.push(entry.hash);
            lines.extend(entry_line(self.head.tenant, entry));
        }
        Ok(lines)
    }

    /// One large body, or the end.
    async fn bodies(
        &mut self,
        store: &dyn Store,
        after: Option<Digest>,
    ) -> Result<Vec<u8>, Refusal> {
        let tenant = self.head.tenant;
        let digests = store.object_digests(tenant, after, PAGE_OBJECTS).await?;
        let Some(last) = digests.last() else {
            return Ok(self.end());
        };
        self.stage = Stage::Objects(Some(*last));
        let mut lines = Vec::new();
        for digest in digests {
            let body = store.object(tenant, digest).await?;
            let body = body
                .filter(|body| Digest::of(body) == digest)
                .ok_or_else(|| {
                    Refusal::integrity(format!("the object `{digest}` is missing or was changed"))
                })?;
            let line = object_line(digest, &body);
            if line.len() > LINE_BYTES_MAX {
                return Err(Refusal::limit(format!(
                    "the object `{digest}` is too long for a bundle"
                ))
                .hint("export without objects"));
            }
            lines.extend(line);
            self.objects_written += 1;
        }
        Ok(lines)
    }

    fn end(&mut self) -> Vec<u8> {
        self.stage = Stage::Done;
        end_line(self.entries(), self.objects_written)
    }
}

/// The entries that the scope names, of a log of this size.
fn entries_of(scope: &Scope, size: u64) -> Result<RangeInclusive<u64>, Refusal> {
    let (from, to) = (scope.from.unwrap_or(1), scope.to.unwrap_or(size));
    if from == 0 || from > to {
        return Err(
            Refusal::invalid(format!("there are no entries from {from} to {to}"))
                .hint("positions begin with 1, and the last one is not before the first"),
        );
    }
    if to > size {
        return Err(Refusal::not_found(format!(
            "entry {to} is beyond the checkpoint, which covers {size} entries"
        ))
        .hint("export up to the checkpoint, or make a new one first"));
    }
    Ok(from..=to)
}
