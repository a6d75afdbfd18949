//! One row per store: how a test makes one, opens it again, and opens it as a
//! second node.

use ledger::Store;
use std::sync::Arc;
use store::Postgres;
use testkit::counter::sqlite_let_go;
use testkit::{MemoryStore, PostgresDatabase, PostgresServer};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
    Memory,
}

/// Where a test's store is; it is gone with this.
pub(crate) enum Place {
    Sqlite(tempfile::TempDir),
    Postgres(PostgresDatabase),
    Memory(Arc<MemoryStore>),
}

impl Place {
    pub(crate) fn new(kind: Kind) -> Self {
        match kind {
            Kind::Sqlite => Self::Sqlite(tempfile::tempdir().unwrap()),
            Kind::Postgres => Self::Postgres(PostgresServer::shared().database()),
            Kind::Memory => Self::Memory(MemoryStore::of_several_nodes()),
        }
    }

    /// The store, for a process that starts now. Waits for the one before,
    /// where only one at a time may write.
    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(directory) => sqlite_let_go(directory.path()).await,
            Self::Postgres(database) => Arc::new(Postgres::open(&database.url()).await.unwrap()),
            Self::Memory(store) => store.beside(),
        }
    }

    /// Whether several nodes may use it at once.
    pub(crate) fn is_shared(&self) -> bool {
        !matches!(self, Self::Sqlite(_))
    }
}
