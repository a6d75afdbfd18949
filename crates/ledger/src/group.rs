//! A group of commands that share one durable commit. Commands are decided one
//! after another; each sees what the ones before it in the group recorded, and
//! none is answered before the group is on disk.

use crate::entry::{Entry, Head};
use crate::merkle::Frontier;
use crate::store::{Batch, Document, Store, StoreFault};
use kernel::aggregate::State;
use kernel::unit::{Changed, Work};
use kernel::{Ctx, Digest, Held, Reader, Refusal, StreamId, TenantId};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;

/// A current state with where it stands in the log.
#[derive(Clone)]
pub(crate) struct Cached {
    version: u64,
    created_seq: u64,
    state: Arc<dyn State>,
}

type Key = (TenantId, StreamId);

/// Current states that the committer wrote, kept in memory. Only the committer
/// writes, so what stands here is what storage holds.
#[derive(Default)]
pub(crate) struct Cache {
    states: HashMap<Key, Cached>,
    tips: BTreeMap<TenantId, Tip>,
}

/// States kept in memory at most; beyond it the cache starts anew.
const CACHED_STATES_MAX: usize = 100_000;

impl Cache {
    /// Forgets everything: storage may differ from what is kept here.
    pub(crate) fn clear(&mut self) {
        self.states.clear();
        self.tips.clear();
    }
}

/// Where a log is appended to.
#[derive(Clone)]
struct Tip {
    head: Head,
    frontier: Frontier,
}

/// What one tenant's commands of this group wrote so far.
struct Pending {
    expected: Head,
    tip: Tip,
    entries: Vec<Entry>,
    changed: BTreeMap<StreamId, (Cached, u64)>,
    objects: Vec<(Digest, Vec<u8>)>,
}

/// The group.
pub(crate) struct Group<'a> {
    store: &'a dyn Store,
    runtime: &'a Handle,
    cache: &'a mut Cache,
    /// States that were read from storage; the reader is shared, hence the lock.
    read: Mutex<HashMap<Key, (u64, u64)>>,
    pending: BTreeMap<TenantId, Pending>,
}

impl<'a> Group<'a> {
    pub(crate) fn new(store: &'a dyn Store, runtime: &'a Handle, cache: &'a mut Cache) -> Self {
        if cache.states.len() > CACHED_STATES_MAX {
            cache.states.clear();
        }
        Self {
            store,
            runtime,
            cache,
            read: Mutex::default(),
            pending: BTreeMap::new(),
        }
    }

    /// A reader of one tenant's states as this group sees them.
    pub(crate) fn reader(&self, tenant: TenantId) -> GroupReader<'_, 'a> {
        GroupReader {
            group: self,
            tenant,
        }
    }

    /// Takes over what a command wrote; returns its first and last position.
    pub(crate) fn absorb(
        &mut self,
        ctx: &Ctx,
        work: Work,
    ) -> Result<Option<(u64, u64)>, StoreFault> {
        if work.drafts.is_empty() {
            return Ok(None);
        }
        self.open(ctx.tenant)?;
        let Some(pending) = self.pending.get_mut(&ctx.tenant) else {
            return Ok(None);
        };
        let first = pending.tip.head.seq + 1;
        let mut created = BTreeMap::new();
        let mut updated = BTreeMap::new();
        for draft in work.drafts {
            let mut entry = Entry {
                seq: pending.tip.head.seq + 1,
                id: draft.id,
                stream: draft.stream,
                stream_version: draft.version,
                kind: draft.kind.to_owned(),
                category: draft.category,
                at: ctx.now,
                actor: ctx.actor.clone(),
                trace_id: ctx.trace,
                causation: draft.causation,
                subject: draft.refs.subject,
                directive: draft.refs.directive,
                snapshot: draft.refs.snapshot,
                payload_hash: Digest::of(draft.payload.as_bytes()),
                payload: draft.payload,
                prev_hash: pending.tip.head.hash,
                hash: Digest::ZERO,
            };
            entry.hash = entry.computed_hash(ctx.tenant);
            pending.tip.head = Head {
                seq: entry.seq,
                hash: entry.hash,
            };
            pending.tip.frontier.push(entry.hash, entry.at);
            if entry.stream_version == 1 {
                created.insert(entry.stream.clone(), entry.seq);
            }
            updated.insert(entry.stream.clone(), entry.seq);
            pending.entries.push(entry);
        }
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        for changed in work.changed {
            let key = (ctx.tenant, changed.stream.clone());
            let created_seq = created
                .get(&changed.stream)
                .copied()
                .or_else(|| {
                    pending
                        .changed
                        .get(&changed.stream)
                        .map(|(c, _)| c.created_seq)
                })
                .or_else(|| self.cache.states.get(&key).map(|c| c.created_seq))
                .or_else(|| read.get(&key).map(|(_, created_seq)| *created_seq))
                .unwrap_or(first);
            let updated_seq = updated.get(&changed.stream).copied().unwrap_or(first);
            let Changed {
                stream,
                version,
                state,
                ..
            } = changed;
            let cached = Cached {
                version,
                created_seq,
                state,
            };
            pending.changed.insert(stream, (cached, updated_seq));
        }
        pending.objects.extend(work.objects);
        Ok(Some((first, pending.tip.head.seq)))
    }

    /// Writes the group, durable when this returns.
    pub(crate) fn commit(self) -> Result<(), StoreFault> {
        let mut batches = Vec::with_capacity(self.pending.len());
        let mut kept = Vec::new();
        for (tenant, mut pending) in self.pending {
            let mut documents = Vec::with_capacity(pending.changed.len());
            for (stream, (cached, updated_seq)) in pending.changed {
                documents.push(document(&stream, &cached, updated_seq)?);
                kept.push(((tenant, stream), cached));
            }
            let grown = pending.tip.frontier.take_grown();
            self.cache.tips.insert(tenant, pending.tip);
            batches.push(Batch {
                tenant,
                expected: pending.expected,
                entries: pending.entries,
                documents,
                objects: pending.objects,
                grown,
            });
        }
        if batches.is_empty() {
            return Ok(());
        }
        self.runtime.block_on(self.store.append(batches))?;
        self.cache.states.extend(kept);
        Ok(())
    }

    fn open(&mut self, tenant: TenantId) -> Result<(), StoreFault> {
        if self.pending.contains_key(&tenant) {
            return Ok(());
        }
        // Taken, not copied: on success it comes back, and after a fault the
        // whole cache is forgotten.
        let tip = match self.cache.tips.remove(&tenant) {
            Some(tip) => tip,
            None => self.runtime.block_on(load(self.store, tenant))?,
        };
        self.pending.insert(
            tenant,
            Pending {
                expected: tip.head,
                tip,
                entries: Vec::new(),
                changed: BTreeMap::new(),
                objects: Vec::new(),
            },
        );
        Ok(())
    }
}

async fn load(store: &dyn Store, tenant: TenantId) -> Result<Tip, StoreFault> {
    let head = store.head(tenant).await?;
    let frontier = Frontier::load(store, tenant, head).await?;
    Ok(Tip { head, frontier })
}

fn document(stream: &StreamId, cached: &Cached, updated_seq: u64) -> Result<Document, StoreFault> {
    let refs = cached.state.refs();
    Ok(Document {
        stream: stream.clone(),
        version: cached.version,
        created_seq: cached.created_seq,
        updated_seq,
        status: cached.state.status().to_owned(),
        subject: refs.subject,
        directive: refs.directive,
        due_at: cached.state.due(),
        body: cached
            .state
            .body()
            .map_err(|e| StoreFault::Unavailable(format!("state of `{stream}`: {e}")))?,
    })
}

/// Reads through the group, the cache, and storage, in this order.
pub(crate) struct GroupReader<'g, 'a> {
    group: &'g Group<'a>,
    tenant: TenantId,
}

impl Reader for GroupReader<'_, '_> {
    fn held(&self, stream: &StreamId) -> Result<Option<Held>, Refusal> {
        let group = self.group;
        let pending = group.pending.get(&self.tenant);
        if let Some((cached, _)) = pending.and_then(|p| p.changed.get(stream)) {
            return Ok(Some(Held::Typed(cached.version, cached.state.clone())));
        }
        let key = (self.tenant, stream.clone());
        if let Some(cached) = group.cache.states.get(&key) {
            return Ok(Some(Held::Typed(cached.version, cached.state.clone())));
        }
        let found = group
            .runtime
            .block_on(group.store.document(self.tenant, stream))?;
        Ok(found.map(|document| {
            group
                .read
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(key, (document.version, document.created_seq));
            Held::Json(document.version, document.body)
        }))
    }
}
