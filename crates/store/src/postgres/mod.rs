//! PostgreSQL behind the ledger's seam: several nodes may use one database.
//! Each append is one transaction that moves the heads of its logs from where
//! they were expected. Every wait is bounded, and every transaction works for
//! one tenant, whose rows are all that it can see.

mod append;
mod columns;
mod connect;
mod entries;
mod fault;
mod guards;
mod listen;
mod migrate;
mod pipeline;
mod read;
mod row;
mod rows;

use async_trait::async_trait;
use connect::{Lent, Place, Pool};
use kernel::{Digest, EntryId, StreamId, TenantId, Timestamp};
use ledger::entry::{Entry, Head};
use ledger::merkle::{Span, Tile};
use ledger::query::{DocumentQuery, EntryQuery};
use ledger::row::{Rows, Seqs};
use ledger::store::{Batch, Document, Leaf, Store, StoreFault};
use listen::Listener;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The hosts that this URL names, or the paths of their sockets.
///
/// # Errors
/// When it is no such URL.
pub fn hosts(url: &str) -> Result<Vec<String>, StoreFault> {
    Ok(Place::parse(url)?.hosts())
}

/// Storage in a PostgreSQL database.
pub struct Postgres {
    pool: Pool,
    /// None when opened for reading only.
    listener: Option<Listener>,
    /// The transaction that the next append goes on with.
    claim: Mutex<Option<Lent>>,
}

impl Postgres {
    /// Opens the database at this URL and brings it to this version of writ.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the server cannot be reached, is too old or may lose what it has
    /// acknowledged, when the database is not writ's, or when a newer version
    /// of writ wrote it.
    pub async fn open(url: &str) -> Result<Self, StoreFault> {
        let place = Place::parse(url)?.of_the_primary();
        migrate::run(&place).await?;
        Self::working(&place, Some(Listener::start(place.clone()))).await
    }

    /// Opens the database at this URL for reading only.
    ///
    /// # Errors
    /// As [`Postgres::open`], and when it is of an older version.
    pub async fn open_read_only(url: &str) -> Result<Self, StoreFault> {
        let place = Place::parse(url)?;
        migrate::check(&place).await?;
        Self::working(&place, None).await
    }

    async fn working(place: &Place, listener: Option<Listener>) -> Result<Self, StoreFault> {
        let pool = place.pool()?;
        let store = Self {
            pool,
            listener,
            claim: Mutex::default(),
        };
        // The first connection shows whether the role can be taken.
        store.next_due().await?;
        Ok(store)
    }

    fn claimed(&self) -> MutexGuard<'_, Option<Lent>> {
        self.claim.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for Postgres {
    async fn append(&self, batches: Vec<Batch>) -> Result<(), StoreFault> {
        let Some(listener) = &self.listener else {
            return Err(StoreFault::Unavailable("opened for reading only".into()));
        };
        let claim = self.claimed().take();
        append::run(&self.pool, claim, batches).await?;
        listener.tell();
        Ok(())
    }

    async fn claim(&self, tenants: &[TenantId]) -> Result<(), StoreFault> {
        let before = self.claimed().take();
        if let Some(before) = before
            && let Err(fault) = append::release(before).await
        {
            // The connection is closed then, and with it the claim is gone.
            tracing::debug!(error = %fault, "a claim had ended by itself");
        }
        if !tenants.is_empty() {
            let lent = append::claim(&self.pool, tenants).await?;
            *self.claimed() = Some(lent);
        }
        Ok(())
    }

    async fn head(&self, tenant: TenantId) -> Result<Head, StoreFault> {
        read::head(&self.pool, tenant).await
    }

    async fn tenants(&self) -> Result<Vec<TenantId>, StoreFault> {
        read::tenants(&self.pool).await
    }

    async fn entries(
        &self,
        tenant: TenantId,
        query: &EntryQuery,
    ) -> Result<Vec<Entry>, StoreFault> {
        entries::page(&self.pool, tenant, query).await
    }

    async fn rows(
        &self,
        tenant: TenantId,
        seqs: Seqs,
        bytes_max: usize,
    ) -> Result<Rows, StoreFault> {
        rows::rows(&self.pool, tenant, seqs, bytes_max).await
    }

    async fn entry(&self, tenant: TenantId, id: EntryId) -> Result<Option<Entry>, StoreFault> {
        read::entry(&self.pool, tenant, id).await
    }

    async fn document(
        &self,
        tenant: TenantId,
        stream: &StreamId,
    ) -> Result<Option<Document>, StoreFault> {
        read::document(&self.pool, tenant, stream).await
    }

    async fn documents(
        &self,
        tenant: TenantId,
        query: &DocumentQuery,
    ) -> Result<Vec<Document>, StoreFault> {
        read::documents(&self.pool, tenant, query).await
    }

    async fn all_documents(
        &self,
        tenant: TenantId,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<Document>, StoreFault> {
        read::all_documents(&self.pool, tenant, after, limit).await
    }

    async fn due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(TenantId, StreamId)>, StoreFault> {
        read::due(&self.pool, now, limit).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreFault> {
        read::next_due(&self.pool).await
    }

    async fn leaves(
        &self,
        tenant: TenantId,
        beyond_seq: u64,
        limit: usize,
    ) -> Result<Vec<Leaf>, StoreFault> {
        read::leaves(&self.pool, tenant, beyond_seq, limit).await
    }

    async fn tile(
        &self,
        tenant: TenantId,
        level: u8,
        index: u64,
    ) -> Result<Option<Tile>, StoreFault> {
        read::tile(&self.pool, tenant, level, index).await
    }

    async fn spans(
        &self,
        tenant: TenantId,
        level: u8,
        from_index: u64,
        limit: usize,
    ) -> Result<Vec<Span>, StoreFault> {
        read::spans(&self.pool, tenant, level, from_index, limit).await
    }

    async fn object_digests(
        &self,
        tenant: TenantId,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Vec<Digest>, StoreFault> {
        read::object_digests(&self.pool, tenant, after, limit).await
    }

    async fn object(
        &self,
        tenant: TenantId,
        digest: Digest,
    ) -> Result<Option<Vec<u8>>, StoreFault> {
        read::object(&self.pool, tenant, digest).await
    }

    fn others(&self) -> Option<watch::Receiver<u64>> {
        self.listener.as_ref().map(Listener::others)
    }

    async fn engine_check(&self) -> Result<Vec<String>, StoreFault> {
        guards::check(&self.pool).await
    }
}
