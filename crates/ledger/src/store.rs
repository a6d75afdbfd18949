//! The seam to storage: append a batch under expectations, read entries, get
//! and list current states. SQLite and PostgreSQL stand behind it; the test
//! kit has a twin.

use crate::entry::{Entry, Head};
use crate::merkle::{Grown, Span, Tile};
use crate::query::{DocumentQuery, EntryQuery};
use crate::row::{Rows, Seqs};
use async_trait::async_trait;
use kernel::{Digest, DirectiveId, EntryId, StreamId, Subject, TenantId, Timestamp};

/// A current state as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The stream that it is the fold of.
    pub stream: StreamId,
    /// The stream's version.
    pub version: u64,
    /// Position of the stream's first entry.
    pub created_seq: u64,
    /// Position of the stream's last entry.
    pub updated_seq: u64,
    /// Its status.
    pub status: String,
    /// The subject that it is about.
    pub subject: Option<Subject>,
    /// The directive that it belongs to.
    pub directive: Option<DirectiveId>,
    /// When the shell must look at it again.
    pub due_at: Option<Timestamp>,
    /// Canonical JSON of the state.
    pub body: String,
}

/// What is appended to one tenant's log as one unit.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Whose log.
    pub tenant: TenantId,
    /// The head that was decided on: the expectation.
    pub expected: Head,
    /// The entries, in order, chained onto `expected`.
    pub entries: Vec<Entry>,
    /// The states after them.
    pub documents: Vec<Document>,
    /// Large bodies, by digest.
    pub objects: Vec<(Digest, Vec<u8>)>,
    /// What the Merkle tree has grown by.
    pub grown: Grown,
}

/// An entry as the Merkle tree needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The entry's hash.
    pub hash: Digest,
    /// The entry's instant.
    pub at: Timestamp,
}

/// Why storage did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreFault {
    /// The head of the log has moved: decide again.
    #[error("the log of {0} has moved on")]
    Stale(TenantId),
    /// A stored record cannot be read.
    #[error("entry {seq} of {tenant} cannot be read: {what}")]
    Unreadable {
        /// Whose log.
        tenant: TenantId,
        /// Where.
        seq: u64,
        /// What is wrong with it.
        what: String,
    },
    /// Storage is damaged.
    #[error("storage is damaged: {0}")]
    Damaged(String),
    /// Storage does not answer, or cannot write; nothing was appended.
    #[error("storage: {0}")]
    Unavailable(String),
    /// Storage broke off while it appended, and has not said since whether it
    /// did.
    #[error("storage does not say whether it recorded this: {0}")]
    Unsettled(String),
}

impl From<StoreFault> for kernel::Refusal {
    fn from(fault: StoreFault) -> Self {
        match &fault {
            StoreFault::Stale(_) => Self::conflict(fault.to_string()).hint("try again"),
            StoreFault::Unreadable { .. } | StoreFault::Damaged(_) => {
                Self::integrity(fault.to_string())
                    .hint("run `writ ledger verify`, then restore from a backup")
            }
            StoreFault::Unavailable(_) => {
                Self::unavailable(fault.to_string()).hint("check the disk or database, then retry")
            }
            StoreFault::Unsettled(_) => Self::unavailable(fault.to_string())
                .hint("ask again with the same idempotency key: it is done once at most"),
        }
    }
}

/// Storage of logs and current states.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Appends the batches, of different tenants, all or nothing; durable when
    /// it returns.
    async fn append(&self, batches: Vec<Batch>) -> Result<(), StoreFault>;
    /// Keeps other nodes from appending to these logs until the next append,
    /// or the next claim; none of them gives up the claim before. Asked for
    /// when other nodes keep writing first. A claim that is not used within
    /// seconds is lost, and then appends compete again.
    ///
    /// # Errors
    /// When storage does not answer in time.
    async fn claim(&self, tenants: &[TenantId]) -> Result<(), StoreFault> {
        // Where there is one node, nobody writes before it.
        let _ = tenants;
        Ok(())
    }
    /// The head of a log; [`Head::EMPTY`] when the tenant has none.
    async fn head(&self, tenant: TenantId) -> Result<Head, StoreFault>;
    /// Every tenant that has a log, in order of id.
    async fn tenants(&self) -> Result<Vec<TenantId>, StoreFault>;
    /// Entries that match.
    async fn entries(&self, tenant: TenantId, query: &EntryQuery)
    -> Result<Vec<Entry>, StoreFault>;
    /// The entries at these positions as they are stored, in order, up to
    /// about this many bytes but at least one. A row that cannot be read ends
    /// the run; it is named beside the rows before it, and is no fault of the
    /// call.
    async fn rows(
        &self,
        tenant: TenantId,
        seqs: Seqs,
        bytes_max: usize,
    ) -> Result<Rows, StoreFault> {
        crate::row::by_entries(self, tenant, seqs, bytes_max).await
    }
    /// One entry.
    async fn entry(&self, tenant: TenantId, id: EntryId) -> Result<Option<Entry>, StoreFault>;
    /// One current state.
    async fn document(
        &self,
        tenant: TenantId,
        stream: &StreamId,
    ) -> Result<Option<Document>, StoreFault>;
    /// Current states that match.
    async fn documents(
        &self,
        tenant: TenantId,
        query: &DocumentQuery,
    ) -> Result<Vec<Document>, StoreFault>;
    /// Every current state after this stream, in order of stream name.
    async fn all_documents(
        &self,
        tenant: TenantId,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<Document>, StoreFault>;
    /// Streams of all tenants that are due at this instant, earliest first.
    async fn due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(TenantId, StreamId)>, StoreFault>;
    /// When the next stream is due.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreFault>;
    /// Hashes and instants of the entries after this position, in order.
    async fn leaves(
        &self,
        tenant: TenantId,
        beyond_seq: u64,
        limit: usize,
    ) -> Result<Vec<Leaf>, StoreFault>;
    /// A tile of the Merkle tree as it is stored: see [`Grown::tiles`].
    async fn tile(
        &self,
        tenant: TenantId,
        level: u8,
        index: u64,
    ) -> Result<Option<Tile>, StoreFault>;
    /// Spans of the full tiles of a level from this one on, in order.
    async fn spans(
        &self,
        tenant: TenantId,
        level: u8,
        from_index: u64,
        limit: usize,
    ) -> Result<Vec<Span>, StoreFault>;
    /// Digests of the large bodies after this one, in order.
    async fn object_digests(
        &self,
        tenant: TenantId,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Vec<Digest>, StoreFault>;
    /// A large body.
    async fn object(&self, tenant: TenantId, digest: Digest)
    -> Result<Option<Vec<u8>>, StoreFault>;
    /// Changes when another process has appended; `None` when no other process
    /// can.
    fn others(&self) -> Option<tokio::sync::watch::Receiver<u64>> {
        None
    }
    /// Whether storage takes writes. Asked after an append has failed; what it
    /// writes, nobody reads.
    async fn probe(&self) -> Result<(), StoreFault> {
        Ok(())
    }
    /// Moves what storage keeps aside into its main file, so that a copy of
    /// that file alone is whole. Called when writ stops in order.
    async fn flush(&self) -> Result<(), StoreFault> {
        Ok(())
    }
    /// What the storage engine's own check finds wrong; empty when nothing.
    async fn engine_check(&self) -> Result<Vec<String>, StoreFault>;
}
