//! Rebuilding a log in another store, from its entries and large bodies alone:
//! every entry is checked and folded, and what is appended there is what was
//! appended here. A restore, and a move from one store to another, are this.

use crate::archive::content;
use crate::entry::{Entry, Head};
use crate::merkle::Frontier;
use crate::query::EntryQuery;
use crate::registry::Registry;
use crate::replay::Rebuilt;
use crate::store::{Batch, Document, Store, StoreFault};
use crate::verify;
use kernel::{Digest, Refusal, StreamId, TenantId};
use std::collections::{BTreeSet, HashMap};

/// Entries appended at a time.
const BATCH: usize = 500;

/// A log that is being rebuilt.
pub struct Rebuild<'a> {
    store: &'a dyn Store,
    registry: &'a Registry,
    tenant: TenantId,
    states: HashMap<StreamId, Rebuilt>,
    frontier: Frontier,
    head: Head,
    /// What the store held at the start: a rebuild that was interrupted.
    found: Head,
    objects: Vec<(Digest, Vec<u8>)>,
}

impl<'a> Rebuild<'a> {
    /// Begins, or goes on with, the rebuilding of a log in this store.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn begin(
        store: &'a dyn Store,
        registry: &'a Registry,
        tenant: TenantId,
    ) -> Result<Self, StoreFault> {
        Ok(Self {
            store,
            registry,
            tenant,
            states: HashMap::new(),
            frontier: Frontier::default(),
            head: Head::EMPTY,
            found: store.head(tenant).await?,
            objects: Vec::new(),
        })
    }

    /// The log as far as it was taken in.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head
    }

    /// Keeps large bodies, which are appended with the next entries.
    pub fn keep(&mut self, objects: Vec<(Digest, Vec<u8>)>) {
        self.objects.extend(objects);
    }

    /// Takes in the next entries.
    ///
    /// # Errors
    /// When an entry does not follow, or the store holds another log.
    pub async fn take(&mut self, entries: &[Entry]) -> Result<(), Refusal> {
        for chunk in entries.chunks(BATCH) {
            let (known, new) =
                chunk.split_at(chunk.partition_point(|entry| entry.seq <= self.found.seq));
            for entry in known {
                self.fold(entry)?;
            }
            if self.head.seq == self.found.seq && self.head != self.found {
                return Err(self.another());
            }
            if !new.is_empty() {
                self.append(new).await?;
            }
        }
        Ok(())
    }

    fn fold(&mut self, entry: &Entry) -> Result<(), Refusal> {
        if entry.seq <= self.head.seq {
            return Ok(());
        }
        self.head = verify::follows(self.tenant, self.head, entry)
            .map_err(|fault| self.refused(fault.seq, &fault.what))?;
        let before = self.states.remove(&entry.stream);
        let after = Rebuilt::after(before, self.registry, entry)
            .map_err(|what| self.refused(entry.seq, &what))?;
        self.states.insert(entry.stream.clone(), after);
        self.frontier.push(entry.hash, entry.at);
        // What the store holds already has grown there already.
        if entry.seq == self.found.seq {
            self.frontier.take_grown();
        }
        Ok(())
    }

    async fn append(&mut self, entries: &[Entry]) -> Result<(), Refusal> {
        let expected = self.head;
        let mut changed = BTreeSet::new();
        for entry in entries {
            self.fold(entry)?;
            changed.insert(&entry.stream);
        }
        let documents = changed.into_iter().map(|stream| self.document(stream));
        let batch = Batch {
            tenant: self.tenant,
            expected,
            entries: entries.to_vec(),
            documents: documents.collect::<Result<_, _>>()?,
            objects: std::mem::take(&mut self.objects),
            grown: self.frontier.take_grown(),
        };
        self.store.append(vec![batch]).await?;
        Ok(())
    }

    fn document(&self, stream: &StreamId) -> Result<Document, StoreFault> {
        let missing = || StoreFault::Damaged(format!("`{stream}` has no state"));
        let rebuilt = self.states.get(stream).ok_or_else(missing)?;
        rebuilt
            .document(stream)
            .map_err(|e| StoreFault::Damaged(format!("state of `{stream}`: {e}")))
    }

    fn refused(&self, seq: u64, what: &str) -> Refusal {
        Refusal::integrity(format!("entry {seq} of {}: {what}", self.tenant))
            .hint("nothing is restored from a log that does not verify")
    }

    fn another(&self) -> Refusal {
        Refusal::conflict(format!(
            "the store holds another log of {}: they differ at or before entry {}",
            self.tenant, self.found.seq
        ))
        .hint("restore into an empty store")
    }

    /// Ends the rebuilding.
    ///
    /// # Errors
    /// When the store holds more of the log than was taken in.
    pub fn finish(self) -> Result<Head, Refusal> {
        if self.head.seq < self.found.seq {
            return Err(self.another());
        }
        Ok(self.head)
    }
}

/// Rebuilds one store's log in another.
///
/// # Errors
/// When a store does not answer, the log does not verify, or the target holds
/// another one.
pub async fn copy(
    source: &dyn Store,
    target: &dyn Store,
    registry: &Registry,
    tenant: TenantId,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<Head, Refusal> {
    let mut rebuild = Rebuild::begin(target, registry, tenant).await?;
    let end = source.head(tenant).await?;
    let mut left = content::kept(source, tenant).await?;
    while rebuild.head().seq < end.seq {
        let query = EntryQuery {
            beyond_seq: Some(rebuild.head().seq),
            until_seq: Some(end.seq),
            limit: BATCH,
            ..EntryQuery::default()
        };
        let page = source.entries(tenant, &query).await?;
        let Some(newest) = page.last() else {
            return Err(Refusal::integrity(format!(
                "the log of {tenant} ends at {} before its head",
                rebuild.head().seq
            )));
        };
        let mut wanted: Vec<Digest> = page
            .iter()
            .flat_map(|entry| content::references(&entry.payload))
            .filter(|digest| left.remove(digest))
            .collect();
        if newest.seq == end.seq {
            // What no entry names goes along with the last ones.
            wanted.extend(std::mem::take(&mut left));
        }
        for digest in wanted {
            if let Some(bytes) = source.object(tenant, digest).await? {
                rebuild.keep(vec![(digest, bytes)]);
            }
        }
        rebuild.take(&page).await?;
        progress(rebuild.head().seq);
    }
    let head = rebuild.finish()?;
    if head != end {
        return Err(Refusal::integrity(format!(
            "the log of {tenant} does not end with the hash of its head"
        )));
    }
    Ok(head)
}
