//! Storage in memory behind the ledger's seam, with faults on demand. What is
//! kept outlives the handle: a process that dies is a handle that is fenced,
//! and the next one opens the same disk.

use crate::disk::Disk;
use async_trait::async_trait;
use kernel::{Digest, EntryId, StreamId, TenantId, Timestamp};
use ledger::entry::{Entry, Head};
use ledger::merkle::{Span, Tile};
use ledger::query::{DocumentQuery, EntryQuery};
use ledger::store::{Batch, Document, Leaf, Store, StoreFault};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::oneshot;

/// On which side of the commit a process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// The append is not on disk.
    Before,
    /// It is on disk, and nobody heard of it.
    After,
}

#[derive(Default)]
struct Faults {
    fail_appends: u32,
    lose_replies: u32,
    lies: u32,
    down: bool,
    fenced: bool,
    delay: Option<Duration>,
    death: Option<(u64, Death)>,
    failure: Option<u64>,
    hold: Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>,
    calls_left: Option<u64>,
}

/// An append that is kept waiting on its way to the disk.
pub struct Held {
    arrived: oneshot::Receiver<()>,
    release: oneshot::Sender<()>,
}

impl Held {
    /// Waits until an append has arrived.
    pub async fn arrived(&mut self) {
        // A handle that is gone appends nothing any more.
        drop((&mut self.arrived).await);
    }

    /// Lets it go on.
    pub fn release(self) {
        // Nothing waits when nothing was appended.
        self.release.send(()).unwrap_or(());
    }
}

/// A handle on storage in memory.
#[derive(Default)]
pub struct MemoryStore {
    disk: Arc<Mutex<Disk>>,
    faults: Mutex<Faults>,
    /// Which of the handles on this disk this is.
    number: u64,
}

impl MemoryStore {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// An empty disk that several nodes use at once: each opens a handle of its
    /// own with [`MemoryStore::beside`], and hears of what is appended.
    #[must_use]
    pub fn of_several_nodes() -> Arc<Self> {
        let store = Self::new();
        store.disk().shared = Some(tokio::sync::watch::channel(0).0);
        store
    }

    /// Another handle on the same disk, without faults; this one goes on.
    #[must_use]
    pub fn beside(&self) -> Arc<Self> {
        let number = {
            let mut disk = self.disk();
            disk.handles += 1;
            disk.handles
        };
        Arc::new(Self {
            disk: self.disk.clone(),
            faults: Mutex::default(),
            number,
        })
    }

    /// The handle of the next process: this one, of the process that died,
    /// answers nothing any more.
    #[must_use]
    pub fn reopen(&self) -> Arc<Self> {
        // In this order: what this handle is writing now is written first.
        let disk = self.disk();
        self.faults().fenced = true;
        drop(disk);
        self.beside()
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().expect("no panic before")
    }
    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().expect("no panic before")
    }

    /// The next `count` appends fail, and nothing of them is kept.
    pub fn fail_appends(&self, count: u32) {
        self.faults().fail_appends = count;
    }
    /// The append after this many of the disk fails, once, and nothing of it is
    /// kept.
    pub fn fail_after(&self, appends: u64) {
        self.faults().failure = Some(appends);
    }
    /// The next `count` appends are kept, and nobody hears of it.
    pub fn lose_replies(&self, count: u32) {
        self.faults().lose_replies = count;
    }
    /// The next `count` appends are answered, and nothing of them is kept: what
    /// no store may do.
    pub fn lie(&self, count: u32) {
        self.faults().lies = count;
    }
    /// Nothing can be read or written until [`MemoryStore::recover`].
    pub fn go_down(&self) {
        self.faults().down = true;
    }
    /// No more faults, but a fenced handle stays fenced.
    pub fn recover(&self) {
        let mut faults = self.faults();
        let fenced = faults.fenced;
        *faults = Faults {
            fenced,
            ..Faults::default()
        };
    }
    /// Changes every large body behind the ledger's back.
    pub fn damage_objects(&self, change: impl Fn(&mut Vec<u8>)) {
        self.disk().damage_objects(change);
    }
    /// Each append takes this long.
    pub fn be_slow(&self, delay: Duration) {
        self.faults().delay = Some(delay);
    }
    /// The process dies at the append that is the `count`-th of the disk,
    /// counted from 1: from then on this handle answers nothing.
    pub fn die_at(&self, count: u64, side: Death) {
        self.faults().death = Some((count, side));
    }
    /// The process dies at its next call of the disk after this many, whether it
    /// reads or writes: from then on this handle answers nothing.
    pub fn die_after_calls(&self, calls: u64) {
        self.faults().calls_left = Some(calls);
    }
    /// The next append waits on its way until it is released.
    #[must_use]
    pub fn hold_append(&self) -> Held {
        let (here, arrived) = oneshot::channel();
        let (release, go_on) = oneshot::channel();
        self.faults().hold = Some((here, go_on));
        Held { arrived, release }
    }
    /// No append waits any more.
    pub fn let_go(&self) {
        self.faults().hold = None;
    }
    /// Whether the process of this handle has died.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.faults().fenced
    }
    /// How many appends the disk has seen.
    #[must_use]
    pub fn appends(&self) -> u64 {
        self.disk().appends
    }
    /// How often logs of the disk were claimed.
    #[must_use]
    pub fn claimed(&self) -> u64 {
        self.disk().claimed
    }

    /// The disk, when it answers.
    fn ask(&self) -> Result<MutexGuard<'_, Disk>, StoreFault> {
        let disk = self.disk();
        let mut faults = self.faults();
        match &mut faults.calls_left {
            Some(0) => faults.fenced = true,
            Some(calls) => *calls -= 1,
            None => {}
        }
        if faults.fenced || faults.down {
            return Err(StoreFault::Unavailable("the disk does not answer".into()));
        }
        Ok(disk)
    }

    fn is_held_up(&self, batches: &[Batch]) -> bool {
        let tenants = batches.iter().map(|batch| &batch.tenant);
        self.disk().is_claimed(tenants, self.number)
    }

    fn write(&self, batches: Vec<Batch>) -> Result<(), StoreFault> {
        let mut disk = self.ask()?;
        let mut faults = self.faults();
        let gone = || StoreFault::Unavailable("the disk did not answer".into());
        let lost = || StoreFault::Unsettled("the disk did not answer".into());
        let next = disk.appends + 1;
        if let Some((_, side)) = faults.death.filter(|(count, _)| *count == next) {
            faults.fenced = true;
            if side == Death::After {
                disk.append(batches)?;
            }
            return Err(lost());
        }
        if faults.failure.take_if(|appends| *appends < next).is_some() {
            return Err(gone());
        }
        if faults.fail_appends > 0 {
            faults.fail_appends -= 1;
            return Err(gone());
        }
        if faults.lies > 0 {
            faults.lies -= 1;
            return Ok(());
        }
        disk.append(batches)?;
        if faults.lose_replies > 0 {
            faults.lose_replies -= 1;
            return Err(lost());
        }
        Ok(())
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn append(&self, batches: Vec<Batch>) -> Result<(), StoreFault> {
        let hold = self.faults().hold.take();
        if let Some((here, go_on)) = hold {
            here.send(()).unwrap_or(());
            drop(go_on.await);
        }
        let delay = self.faults().delay;
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        while self.is_held_up(&batches) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let written = self.write(batches);
        self.claim(&[]).await?;
        written
    }
    async fn claim(&self, tenants: &[TenantId]) -> Result<(), StoreFault> {
        let number = self.number;
        self.disk().claims.retain(|_, whose| *whose != number);
        while self.disk().is_claimed(tenants.iter(), number) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let claimed = tenants.iter().map(|tenant| (*tenant, number));
        let mut disk = self.disk();
        disk.claims.extend(claimed);
        disk.claimed += u64::from(!tenants.is_empty());
        Ok(())
    }
    async fn head(&self, tenant: TenantId) -> Result<Head, StoreFault> {
        Ok(self.ask()?.head(tenant))
    }
    async fn tenants(&self) -> Result<Vec<TenantId>, StoreFault> {
        Ok(self.ask()?.tenants())
    }
    async fn entries(
        &self,
        tenant: TenantId,
        query: &EntryQuery,
    ) -> Result<Vec<Entry>, StoreFault> {
        Ok(self.ask()?.entries(tenant, query))
    }
    async fn entry(&self, tenant: TenantId, id: EntryId) -> Result<Option<Entry>, StoreFault> {
        Ok(self.ask()?.entry(tenant, id))
    }
    async fn document(
        &self,
        tenant: TenantId,
        stream: &StreamId,
    ) -> Result<Option<Document>, StoreFault> {
        Ok(self.ask()?.document(tenant, stream))
    }
    async fn documents(
        &self,
        tenant: TenantId,
        query: &DocumentQuery,
    ) -> Result<Vec<Document>, StoreFault> {
        Ok(self.ask()?.documents(tenant, query))
    }
    async fn all_documents(
        &self,
        tenant: TenantId,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<Document>, StoreFault> {
        Ok(self.ask()?.all_documents(tenant, after, limit))
    }
    async fn due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(TenantId, StreamId)>, StoreFault> {
        Ok(self.ask()?.due(now, limit))
    }
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreFault> {
        Ok(self.ask()?.next_due())
    }
    async fn leaves(
        &self,
        tenant: TenantId,
        beyond_seq: u64,
        limit: usize,
    ) -> Result<Vec<Leaf>, StoreFault> {
        Ok(self.ask()?.leaves(tenant, beyond_seq, limit))
    }
    async fn tile(
        &self,
        tenant: TenantId,
        level: u8,
        index: u64,
    ) -> Result<Option<Tile>, StoreFault> {
        Ok(self.ask()?.tile(tenant, level, index))
    }
    async fn spans(
        &self,
        tenant: TenantId,
        level: u8,
        from_index: u64,
        limit: usize,
    ) -> Result<Vec<Span>, StoreFault> {
        Ok(self.ask()?.spans(tenant, level, from_index, limit))
    }
    async fn object_digests(
        &self,
        tenant: TenantId,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Vec<Digest>, StoreFault> {
        Ok(self.ask()?.object_digests(tenant, after, limit))
    }
    async fn object(
        &self,
        tenant: TenantId,
        digest: Digest,
    ) -> Result<Option<Vec<u8>>, StoreFault> {
        Ok(self.ask()?.object(tenant, digest))
    }
    fn others(&self) -> Option<tokio::sync::watch::Receiver<u64>> {
        let disk = self.disk();
        disk.shared
            .as_ref()
            .map(tokio::sync::watch::Sender::subscribe)
    }
    async fn engine_check(&self) -> Result<Vec<String>, StoreFault> {
        self.ask().map(|_| Vec::new())
    }
}
