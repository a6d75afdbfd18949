//! A group of commands that share one durable commit. Commands are decided one
//! after another; each sees what the ones before it in the group recorded, and
//! none is answered before the group is on disk.

use crate::cache::{Cache, Key};
use crate::entry::{Entry, Head};
use crate::merkle::Frontier;
use crate::query::EntryQuery;
use crate::store::{Batch, Document, Store, StoreFault};
use kernel::aggregate::State;
use kernel::unit::{Changed, Work};
use kernel::{Ctx, Digest, Held, Reader, Refusal, StreamId, TenantId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;

/// A current state with where it stands in the log.
#[derive(Clone)]
pub(crate) struct Cached {
    version: u64,
    created_seq: u64,
    state: Arc<dyn State>,
    /// How many bytes it takes, written out; 0 until it was.
    bytes: Arc<AtomicUsize>,
}

impl Cached {
    pub(crate) fn new(version: u64, created_seq: u64, state: Arc<dyn State>, bytes: usize) -> Self {
        Self {
            version,
            created_seq,
            state,
            bytes: Arc::new(bytes.into()),
        }
    }

    /// How many bytes it takes, written out.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn version(&self) -> u64 {
        self.version
    }
}

/// Entries of other nodes that are read to learn what they changed; beyond it
/// every state of the log is read again when it is asked for.
const CATCH_UP_ENTRIES_MAX: u64 = 1_000;

/// Current states as the committer knows them: those of a tenant are what
/// storage holds, or is about to hold, when its log ends at its tip. Another
/// node may have written since: a group that rests on them is checked against
/// the head.
pub(crate) struct States {
    store: Arc<dyn Store>,
    runtime: Handle,
    /// Whether other nodes may append to the same logs.
    is_shared: bool,
    /// What storage holds.
    cache: Cache,
    /// Where each log ended when what the cache has of it was so.
    heads: BTreeMap<TenantId, Head>,
    /// What is being written now, and what the group that writes it read. It
    /// is not in the cache, which may forget.
    flying: HashMap<Key, Cached>,
    /// Where each log will end that is being written.
    flying_heads: Vec<(TenantId, Head)>,
    /// Where each log ends, with what is being written.
    tips: BTreeMap<TenantId, Tip>,
}

impl States {
    pub(crate) fn new(store: Arc<dyn Store>, runtime: Handle) -> Self {
        Self {
            is_shared: store.others().is_some(),
            store,
            runtime,
            cache: Cache::default(),
            heads: BTreeMap::new(),
            flying: HashMap::new(),
            flying_heads: Vec::new(),
            tips: BTreeMap::new(),
        }
    }

    /// Forgets everything: storage may differ from what is kept here.
    pub(crate) fn forget(&mut self) {
        self.cache.clear();
        self.heads.clear();
        self.flying.clear();
        self.flying_heads.clear();
        self.tips.clear();
    }

    /// Another node has written first: what was being written is not on disk,
    /// and what these logs have got since is read. States that it changed are
    /// forgotten; the others still hold.
    pub(crate) fn catch_up(&mut self, tenants: &BTreeSet<TenantId>) -> Result<(), StoreFault> {
        self.flying.clear();
        self.flying_heads.clear();
        for tenant in tenants {
            let tip = self.load(*tenant)?;
            let changed = match self.heads.remove(tenant) {
                Some(head) => self.changed_since(*tenant, head, tip.head)?,
                None => None,
            };
            match changed {
                Some(streams) => streams.into_iter().for_each(|stream| {
                    self.cache.remove(&(*tenant, stream));
                }),
                None => self.cache.remove_all_of(*tenant),
            }
            self.tips.remove(tenant);
            if tip.head != Head::EMPTY {
                self.heads.insert(*tenant, tip.head);
                self.tips.insert(*tenant, tip);
            }
        }
        Ok(())
    }

    /// The streams that a log's entries between two heads belong to; `None`
    /// when there are too many, or the log does not go on from the first one.
    fn changed_since(
        &self,
        tenant: TenantId,
        from: Head,
        to: Head,
    ) -> Result<Option<BTreeSet<StreamId>>, StoreFault> {
        if from == to {
            return Ok(Some(BTreeSet::new()));
        }
        if to.seq <= from.seq || to.seq - from.seq > CATCH_UP_ENTRIES_MAX {
            return Ok(None);
        }
        let query = EntryQuery {
            beyond_seq: Some(from.seq),
            limit: usize::try_from(to.seq - from.seq).unwrap_or(usize::MAX),
            ..EntryQuery::default()
        };
        let asked = self.store.entries(tenant, &query);
        let entries = self.runtime.block_on(asked)?;
        let first = entries.first().map(|entry| entry.prev_hash);
        let last = entries.last().map(|entry| entry.hash);
        if (first, last) != (Some(from.hash), Some(to.hash)) {
            return Ok(None);
        }
        Ok(Some(
            entries.into_iter().map(|entry| entry.stream).collect(),
        ))
    }

    /// What was being written is on disk.
    pub(crate) fn landed(&mut self) {
        self.cache.extend(self.flying.drain());
        self.heads.extend(self.flying_heads.drain(..));
    }

    fn load(&self, tenant: TenantId) -> Result<Tip, StoreFault> {
        self.runtime.block_on(load(self.store.as_ref(), tenant))
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

/// What one tenant's commands of a group come to, its states not yet written
/// out.
pub(crate) struct Sealed {
    batch: Batch,
    changed: BTreeMap<StreamId, (Cached, u64)>,
}

impl Sealed {
    /// Writes its states out: for the thread that waits for the disk, so that
    /// the one that decides does not.
    pub(crate) fn batch(self) -> Result<Batch, StoreFault> {
        let mut batch = self.batch;
        for (stream, (cached, updated_seq)) in &self.changed {
            let written = document(stream, cached, *updated_seq)?;
            batch.documents.push(written);
        }
        Ok(batch)
    }
}

/// What a group's decisions about a tenant rest on.
enum Base {
    /// The head of the tip that is kept.
    Kept(Head),
    /// A tip that was read from storage.
    Read(Tip),
}

/// A state that was read from storage.
#[derive(Clone, Copy)]
struct Read {
    version: u64,
    created_seq: u64,
    bytes: usize,
}

/// The group.
#[derive(Default)]
pub(crate) struct Group {
    /// States that were read from storage; the reader is shared, hence the lock.
    read: Mutex<HashMap<Key, Read>>,
    /// What commands of this group read and did not change.
    seen: HashMap<Key, Cached>,
    /// Where each log stood before anything of it was read for this group.
    bases: Mutex<BTreeMap<TenantId, Base>>,
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
        mut work: Work,
    ) -> Result<Option<(u64, u64)>, StoreFault> {
        self.saw(ctx.tenant, std::mem::take(&mut work.read));
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
                .or_else(|| read.get(&key).map(|r| r.created_seq))
                .unwrap_or(first);
            let updated_seq = updated.get(&changed.stream).copied().unwrap_or(first);
            let Changed {
                stream,
                version,
                state,
                ..
            } = changed;
            let cached = Cached::new(version, created_seq, state, 0);
            pending.changed.insert(stream, (cached, updated_seq));
        }
        pending.objects.extend(work.objects);
        Ok(Some((first, pending.tip.head.seq)))
    }

    /// Keeps the states that a command read, for those after it.
    fn saw(&mut self, tenant: TenantId, read: Vec<Changed>) {
        let places = self.read.get_mut().unwrap_or_else(PoisonError::into_inner);
        for Changed {
            stream,
            version,
            state,
            ..
        } in read
        {
            let key = (tenant, stream);
            if let Some(read) = places.get(&key)
                && read.version == version
            {
                let cached = Cached::new(version, read.created_seq, state, read.bytes);
                self.seen.insert(key, cached);
            }
        }
    }

    /// What is to be written. From here on it counts as what storage holds:
    /// the next group is decided on it while it is being written. Called when
    /// the group before is on disk.
    pub(crate) fn seal(mut self, states: &mut States) -> Result<Vec<Sealed>, StoreFault> {
        self.check_bases(states)?;
        states.flying.extend(self.seen.drain());
        let mut batches = Vec::with_capacity(self.pending.len());
        for (tenant, mut pending) in self.pending {
            let changed = std::mem::take(&mut pending.changed);
            for (stream, (cached, _)) in &changed {
                let key = (tenant, stream.clone());
                states.flying.insert(key, cached.clone());
            }
            let grown = pending.tip.frontier.take_grown();
            states.flying_heads.push((tenant, pending.tip.head));
            states.tips.insert(tenant, pending.tip);
            batches.push(Sealed {
                batch: Batch {
                    tenant,
                    expected: pending.expected,
                    entries: pending.entries,
                    documents: Vec::with_capacity(changed.len()),
                    objects: pending.objects,
                    grown,
                },
                changed,
            });
        }
        Ok(batches)
    }

    fn open(&mut self, states: &mut States, tenant: TenantId) -> Result<(), StoreFault> {
        if self.pending.contains_key(&tenant) {
            return Ok(());
        }
        let bases = self.bases.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Taken, not copied: it comes back when the group is sealed, and after
        // a fault everything is forgotten.
        let tip = match (bases.remove(&tenant), states.tips.remove(&tenant)) {
            (Some(Base::Read(tip)), _) | (_, Some(tip)) => tip,
            (_, None) => states.load(tenant)?,
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

    /// Notes where a log ends, before the first read of it for this group. What
    /// is being written counts: this group is sealed when that is on disk.
    // INVARIANT(base-before-read): what a decision read is no older than the
    // head that its append expects, so that a write in between is noticed.
    fn note_base(&self, states: &States, tenant: TenantId) -> Result<(), StoreFault> {
        if !states.is_shared || self.pending.contains_key(&tenant) {
            return Ok(());
        }
        let mut bases = self.bases.lock().unwrap_or_else(PoisonError::into_inner);
        if bases.contains_key(&tenant) {
            return Ok(());
        }
        let base = match states.tips.get(&tenant) {
            Some(tip) => Base::Kept(tip.head),
            None => Base::Read(states.load(tenant)?),
        };
        bases.insert(tenant, base);
        Ok(())
    }

    /// Decisions that wrote nothing rest on what was read as much as the others
    /// do, whose heads the append compares.
    fn check_bases(&mut self, states: &mut States) -> Result<(), StoreFault> {
        let bases = std::mem::take(&mut self.bases);
        let bases = bases.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (tenant, base) in bases {
            let expected = match &base {
                Base::Kept(head) => *head,
                Base::Read(tip) => tip.head,
            };
            if states.runtime.block_on(states.store.head(tenant))? != expected {
                return Err(StoreFault::Stale(tenant));
            }
            if let Base::Read(tip) = base
                && expected != Head::EMPTY
            {
                states.tips.insert(tenant, tip);
            }
        }
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
    let body = cached.state.body();
    let body = body.map_err(|e| StoreFault::Unavailable(format!("state of `{stream}`: {e}")))?;
    cached.bytes.store(body.len(), Ordering::Relaxed);
    Ok(Document {
        stream: stream.clone(),
        version: cached.version,
        created_seq: cached.created_seq,
        updated_seq,
        status: cached.state.status().to_owned(),
        subject: refs.subject,
        directive: refs.directive,
        due_at: cached.state.due(),
        body,
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
        group.note_base(states, self.tenant)?;
        let key = (self.tenant, stream.clone());
        if let Some(cached) = group.seen.get(&key).or_else(|| states.known(&key)) {
            return Ok(Some(Held::Typed(cached.version, cached.state.clone())));
        }
        let found = states
            .runtime
            .block_on(states.store.document(self.tenant, stream))?;
        Ok(found.map(|document| {
            let read = Read {
                version: document.version,
                created_seq: document.created_seq,
                bytes: document.body.len(),
            };
            let mut all = group.read.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(key, read);
            Held::Json(document.version, document.body)
        }))
    }
}
