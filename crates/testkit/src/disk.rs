//! What a store in memory keeps, with the answers that SQL would give.

use kernel::{Digest, EntryId, StreamId, TenantId, Timestamp};
use ledger::entry::{Entry, Head};
use ledger::merkle::{Span, Tile};
use ledger::query::{DocumentQuery, EntryQuery, Order};
use ledger::store::{Batch, Document, Leaf, StoreFault};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
struct Log {
    entries: Vec<Entry>,
    by_id: BTreeMap<EntryId, usize>,
    documents: BTreeMap<StreamId, Document>,
    objects: BTreeMap<Digest, Vec<u8>>,
    tiles: BTreeMap<(u8, u64), Tile>,
    spans: BTreeMap<(u8, u64), Span>,
}

impl Log {
    fn head(&self) -> Head {
        self.entries.last().map_or(Head::EMPTY, |entry| Head {
            seq: entry.seq,
            hash: entry.hash,
        })
    }
}

/// The logs of all tenants.
#[derive(Default)]
pub(crate) struct Disk {
    logs: BTreeMap<TenantId, Log>,
    due: BTreeSet<(Timestamp, TenantId, StreamId)>,
    pub(crate) appends: u64,
    /// Told of each append, when several nodes use this disk.
    pub(crate) shared: Option<tokio::sync::watch::Sender<u64>>,
    /// Logs that only the handle of this number may append to.
    pub(crate) claims: BTreeMap<TenantId, u64>,
    /// How often logs were claimed.
    pub(crate) claimed: u64,
    pub(crate) handles: u64,
}

impl Disk {
    pub(crate) fn append(&mut self, batches: Vec<Batch>) -> Result<(), StoreFault> {
        for batch in &batches {
            if self.head(batch.tenant) != batch.expected {
                return Err(StoreFault::Stale(batch.tenant));
            }
            if batch.entries.is_empty() {
                return Err(StoreFault::Unavailable("a batch without entries".into()));
            }
        }
        self.appends += 1;
        for batch in batches {
            self.write(batch);
        }
        if let Some(shared) = &self.shared {
            shared.send_replace(self.appends);
        }
        Ok(())
    }

    /// Whether another handle has claimed one of these logs.
    pub(crate) fn is_claimed<'t>(
        &self,
        mut tenants: impl Iterator<Item = &'t TenantId>,
        number: u64,
    ) -> bool {
        let of_another = |whose: &u64| *whose != number;
        tenants.any(|tenant| self.claims.get(tenant).is_some_and(of_another))
    }

    fn write(&mut self, batch: Batch) {
        let tenant = batch.tenant;
        let log = self.logs.entry(tenant).or_default();
        for entry in batch.entries {
            let before = log.by_id.insert(entry.id, log.entries.len());
            assert!(before.is_none(), "entry {} is appended twice", entry.id);
            log.entries.push(entry);
        }
        for mut document in batch.documents {
            let stream = document.stream.clone();
            if let Some(before) = log.documents.get(&stream) {
                document.created_seq = before.created_seq;
                if let Some(at) = before.due_at {
                    self.due.remove(&(at, tenant, stream.clone()));
                }
            }
            if let Some(at) = document.due_at {
                self.due.insert((at, tenant, stream.clone()));
            }
            log.documents.insert(stream, document);
        }
        for (digest, bytes) in batch.objects {
            log.objects.entry(digest).or_insert(bytes);
        }
        for tile in batch.grown.tiles {
            log.tiles.insert((tile.level, tile.index), tile);
        }
        for span in batch.grown.spans {
            let before = log.spans.insert((span.level, span.index), span);
            assert!(before.is_none(), "a span is appended twice: {span:?}");
        }
    }

    pub(crate) fn damage_objects(&mut self, change: impl Fn(&mut Vec<u8>)) {
        let objects = self
            .logs
            .values_mut()
            .flat_map(|log| log.objects.values_mut());
        objects.for_each(change);
    }

    pub(crate) fn head(&self, tenant: TenantId) -> Head {
        self.logs.get(&tenant).map_or(Head::EMPTY, Log::head)
    }

    pub(crate) fn tenants(&self) -> Vec<TenantId> {
        self.logs.keys().copied().collect()
    }

    pub(crate) fn entries(&self, tenant: TenantId, query: &EntryQuery) -> Vec<Entry> {
        let Some(log) = self.logs.get(&tenant) else {
            return Vec::new();
        };
        let fits = |entry: &&Entry| entry_fits(entry, query);
        let limit = query.limit;
        match query.order {
            Order::Ascending => {
                // Positions are gapless from 1: those before are skipped.
                let skip = usize::try_from(query.beyond_seq.unwrap_or(0)).unwrap_or(usize::MAX);
                let found = log.entries.iter().skip(skip).filter(fits);
                found.take(limit).cloned().collect()
            }
            Order::Descending => {
                let found = log.entries.iter().rev().filter(fits);
                found.take(limit).cloned().collect()
            }
        }
    }

    pub(crate) fn entry(&self, tenant: TenantId, id: EntryId) -> Option<Entry> {
        let log = self.logs.get(&tenant)?;
        log.entries.get(*log.by_id.get(&id)?).cloned()
    }

    pub(crate) fn document(&self, tenant: TenantId, stream: &StreamId) -> Option<Document> {
        self.logs.get(&tenant)?.documents.get(stream).cloned()
    }

    pub(crate) fn documents(&self, tenant: TenantId, query: &DocumentQuery) -> Vec<Document> {
        let Some(log) = self.logs.get(&tenant) else {
            return Vec::new();
        };
        let fits = |document: &&Document| document_fits(document, query);
        let mut found: Vec<_> = log.documents.values().filter(fits).cloned().collect();
        found.sort_by_key(|document| document.created_seq);
        if query.order == Order::Descending {
            found.reverse();
        }
        found.truncate(query.limit);
        found
    }

    pub(crate) fn all_documents(
        &self,
        tenant: TenantId,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Vec<Document> {
        let Some(log) = self.logs.get(&tenant) else {
            return Vec::new();
        };
        let beyond = |document: &&Document| after.is_none_or(|after| document.stream > *after);
        let found = log.documents.values().filter(beyond);
        found.take(limit).cloned().collect()
    }

    pub(crate) fn due(&self, now: Timestamp, limit: usize) -> Vec<(TenantId, StreamId)> {
        let found = self.due.iter().take_while(|(at, _, _)| *at <= now);
        found
            .take(limit)
            .map(|(_, tenant, stream)| (*tenant, stream.clone()))
            .collect()
    }

    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _, _)| *at)
    }

    pub(crate) fn leaves(&self, tenant: TenantId, beyond_seq: u64, limit: usize) -> Vec<Leaf> {
        let Some(log) = self.logs.get(&tenant) else {
            return Vec::new();
        };
        let skip = usize::try_from(beyond_seq).unwrap_or(usize::MAX);
        let leaf = |entry: &Entry| Leaf {
            hash: entry.hash,
            at: entry.at,
        };
        let beyond = log.entries.iter().skip(skip);
        beyond.take(limit).map(leaf).collect()
    }

    pub(crate) fn tile(&self, tenant: TenantId, level: u8, index: u64) -> Option<Tile> {
        self.logs.get(&tenant)?.tiles.get(&(level, index)).cloned()
    }

    pub(crate) fn spans(
        &self,
        tenant: TenantId,
        level: u8,
        from_index: u64,
        limit: usize,
    ) -> Vec<Span> {
        let Some(log) = self.logs.get(&tenant) else {
            return Vec::new();
        };
        let of_level = log.spans.range((level, from_index)..=(level, u64::MAX));
        of_level.take(limit).map(|(_, span)| *span).collect()
    }

    pub(crate) fn object_digests(
        &self,
        tenant: TenantId,
        after: Option<Digest>,
        limit: usize,
    ) -> Vec<Digest> {
        let Some(log) = self.logs.get(&tenant) else {
            return Vec::new();
        };
        let beyond = |digest: &&Digest| after.is_none_or(|after| **digest > after);
        let found = log.objects.keys().filter(beyond);
        found.take(limit).copied().collect()
    }

    pub(crate) fn object(&self, tenant: TenantId, digest: Digest) -> Option<Vec<u8>> {
        self.logs.get(&tenant)?.objects.get(&digest).cloned()
    }
}

fn is<T: PartialEq>(wanted: Option<&T>, found: &T) -> bool {
    wanted.is_none_or(|wanted| wanted == found)
}

fn entry_fits(entry: &Entry, query: &EntryQuery) -> bool {
    let beyond = query.beyond_seq.is_none_or(|seq| match query.order {
        Order::Ascending => entry.seq > seq,
        Order::Descending => entry.seq < seq,
    });
    let about = query.subject.is_none() || entry.subject == query.subject;
    let within = query.directive.is_none() || entry.directive == query.directive;
    let inside = query.until_seq.is_none_or(|seq| match query.order {
        Order::Ascending => entry.seq <= seq,
        Order::Descending => entry.seq >= seq,
    });
    beyond
        && inside
        && about
        && within
        && is(query.stream.as_ref(), &entry.stream)
        && is(query.kind.as_ref(), &entry.kind)
        && is(query.category.as_ref(), &entry.category)
        && is(query.actor.as_ref(), &entry.actor)
        && is(query.trace.as_ref(), &entry.trace_id)
        && query.from.is_none_or(|from| entry.at >= from)
        && query.until.is_none_or(|until| entry.at < until)
}

fn document_fits(document: &Document, query: &DocumentQuery) -> bool {
    let beyond = query.beyond_seq.is_none_or(|seq| match query.order {
        Order::Ascending => document.created_seq > seq,
        Order::Descending => document.created_seq < seq,
    });
    let about = query.subject.is_none() || document.subject == query.subject;
    let within = query.directive.is_none() || document.directive == query.directive;
    let status = query.statuses.is_empty() || query.statuses.contains(&document.status);
    beyond && about && within && status && document.stream.kind() == query.kind
}
