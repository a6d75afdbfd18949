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

/// States kept in memory at most; beyond it the cache starts anew.
const CACHED_STATES_MAX: usize = 100_000;

/// Current states as the committer knows them. Only the committer writes, so
/// what stands here is what storage holds or is about to hold.
pub(crate) struct States {
    store: Arc<dyn Store>,
    runtime: Handle,
    /// What storage holds.
    cache: HashMap<Key, Cached>,
    /// What is being written now. It is not in the cache, which may forget.
    flying: HashMap<Key, Cached>,
    /// Where each log ends, with what is being written.
    tips: BTreeMap<TenantId, Tip>,
}

impl States {
    pub(crate) fn new(store: Arc<dyn Store>, runtime: Handle) -> Self {
        Self {
            store,
            runtime,
            cache: HashMap::new(),
            flying: HashMap::new(),
            tips: BTreeMap::new(),
        }
    }

    /// Forgets everything: storage may differ from what is kept here.
    pub(crate) fn forget(&mut self) {
        self.cache.clear();
        self.flying.clear();
        self.tips.clear();
    }

    /// What was being written is on disk.
    pub(crate) fn landed(&mut self) {
        if self.cache.len() > CACHED_STATES_MAX {
            self.cache.clear();
        }
        self.cache.extend(self.flying.drain());
    }

    fn known(&self, key: &Key) -> Option<&Cached> {
        self.flying.get(key).or_else(|| self.cache.get(key))
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
#[derive(Default)]
pub(crate) struct Group {
    /// States that were read from storage; the reader is shared, hence the lock.
    read: Mutex<HashMap<Key, (u64, u64)>>,
    pending: BTreeMap<TenantId, Pending>,
}

impl Group {
    /// A reader of one tenant's states as this group sees them.
    pub(crate) fn reader<'g>(&'g self, states: &'g States, tenant: TenantId) -> GroupReader<'g> {
        GroupReader {
            group: self,
            states,
            tenant,
        }
    }

    /// Takes over what a command wrote; returns its first and last position.
    pub(crate) fn absorb(
        &mut self,
        states: &mut States,
        ctx: &Ctx,
        work: Work,
    ) -> Result<Option<(u64, u64)>, StoreFault> {
        if work.drafts.is_empty() {
            return Ok(None);
        }
        self.open(states, ctx.tenant)?;
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
                .or_else(|| states.known(&key).map(|c| c.created_seq))
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

    /// What is to be written. From here on it counts as what storage holds:
    /// the next group is decided on it while it is being written.
    pub(crate) fn seal(self, states: &mut States) -> Result<Vec<Batch>, StoreFault> {
        let mut batches = Vec::with_capacity(self.pending.len());
        for (tenant, mut pending) in self.pending {
            let mut documents = Vec::with_capacity(pending.changed.len());
            for (stream, (cached, updated_seq)) in pending.changed {
                documents.push(document(&stream, &cached, updated_seq)?);
                states.flying.insert((tenant, stream), cached);
            }
            let grown = pending.tip.frontier.take_grown();
            states.tips.insert(tenant, pending.tip);
            batches.push(Batch {
                tenant,
                expected: pending.expected,
                entries: pending.entries,
                documents,
                objects: pending.objects,
                grown,
            });
        }
        Ok(batches)
    }

    fn open(&mut self, states: &mut States, tenant: TenantId) -> Result<(), StoreFault> {
        if self.pending.contains_key(&tenant) {
            return Ok(());
        }
        // Taken, not copied: it comes back when the group is sealed, and after
        // a fault everything is forgotten.
        let tip = match states.tips.remove(&tenant) {
            Some(tip) => tip,
            None => {
                let loading = load(states.store.as_ref(), tenant);
                states.runtime.block_on(loading)?
            }
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

/// Reads through the group, what is being written, the cache, and storage, in
/// this order.
pub(crate) struct GroupReader<'g> {
    group: &'g Group,
    states: &'g States,
    tenant: TenantId,
}

impl Reader for GroupReader<'_> {
    fn held(&self, stream: &StreamId) -> Result<Option<Held>, Refusal> {
        let (group, states) = (self.group, self.states);
        let pending = group.pending.get(&self.tenant);
        if let Some((cached, _)) = pending.and_then(|p| p.changed.get(stream)) {
            return Ok(Some(Held::Typed(cached.version, cached.state.clone())));
        }
        let key = (self.tenant, stream.clone());
        if let Some(cached) = states.known(&key) {
            return Ok(Some(Held::Typed(cached.version, cached.state.clone())));
        }
        let found = states
            .runtime
            .block_on(states.store.document(self.tenant, stream))?;
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
