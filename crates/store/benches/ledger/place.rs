//! Where the log of a bench stands: a directory with SQLite's file, or a
//! database of a throwaway PostgreSQL server on this machine, whose disk is
//! synced as in earnest. Each can be copied, and takes rows into a bare table.

use crate::numbers::rate;
use ledger::Store;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Postgres, Sqlite};
use testkit::{PostgresDatabase, PostgresServer};

/// A server with a cache of some size, as one that is used has; the rest is
/// as PostgreSQL has it by itself.
const SERVER: [&str; 2] = ["shared_buffers=1GB", "max_wal_size=8GB"];

pub(crate) enum Place {
    Sqlite(tempfile::TempDir),
    Postgres(PostgresDatabase),
}

/// The rows of each group.
pub(crate) type Groups = Vec<Vec<Vec<u8>>>;

impl Place {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().expect("a directory"))
    }

    pub(crate) fn postgres() -> Self {
        Self::Postgres(PostgresServer::start_with(&SERVER).database())
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    pub(crate) fn version(&self) -> String {
        match self {
            Self::Sqlite(_) => rusqlite::version().to_owned(),
            Self::Postgres(database) => database.sql("SHOW server_version"),
        }
    }

    /// The store, as soon as the one before lets go of it.
    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(directory) => loop {
                match Sqlite::open(directory.path()) {
                    Ok(store) => return Arc::new(store),
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            },
            Self::Postgres(database) => {
                Arc::new(Postgres::open(&database.url()).await.expect("a store"))
            }
        }
    }

    /// Brings what was written to rest, so that what is measured next does not
    /// pay for it. Nobody has the store open.
    pub(crate) async fn settle(&self) {
        match self {
            Self::Sqlite(_) => drop(self.open().await),
            Self::Postgres(database) => {
                database.sql("VACUUM ANALYZE");
                database.sql("CHECKPOINT");
            }
        }
    }

    /// Another with the same log. Nobody has the store open.
    pub(crate) fn copy(&self) -> Self {
        match self {
            Self::Sqlite(directory) => {
                let beside = tempfile::tempdir().expect("a directory");
                let file = store::sqlite::FILE_NAME;
                let copied = std::fs::copy(directory.path().join(file), beside.path().join(file));
                copied.expect("a copy");
                Self::Sqlite(beside)
            }
            Self::Postgres(database) => {
                let copy = database.copy();
                copy.sql("CHECKPOINT");
                Self::Postgres(copy)
            }
        }
    }

    /// Bytes on disk, without the write-ahead log.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Sqlite(directory) => {
                let file = std::fs::metadata(directory.path().join(store::sqlite::FILE_NAME));
                file.expect("a file").len()
            }
            Self::Postgres(database) => {
                let size = "SELECT sum(pg_total_relation_size(oid)) FROM pg_class \
                     WHERE relnamespace = 'writ'::regnamespace AND relkind = 'r'";
                database.sql(size).parse().expect("a number")
            }
        }
    }

    /// The relations that take most of it, where the store can tell.
    pub(crate) fn largest(&self) -> Vec<(String, u64)> {
        let Self::Postgres(database) = self else {
            return Vec::new();
        };
        let sizes = "SELECT relname, pg_relation_size(oid) FROM pg_class \
             WHERE relnamespace = 'writ'::regnamespace AND relkind IN ('r', 'i') \
             ORDER BY 2 DESC LIMIT 16";
        let lines = database.sql(sizes);
        let pair = |line: &str| {
            let (name, size) = line.split_once('|')?;
            Some((name.to_owned(), size.parse().ok()?))
        };
        lines.lines().filter_map(pair).collect()
    }

    /// How many rows a second a table with nothing but a key takes, in these
    /// groups, each of them durable before the next.
    pub(crate) async fn bare_table(&self, groups: Groups) -> f64 {
        let count = groups.iter().map(Vec::len).sum();
        let took = match self {
            Self::Sqlite(_) => bare_sqlite(groups),
            Self::Postgres(database) => bare_postgres(database, groups).await,
        };
        rate(count, took)
    }
}

fn bare_sqlite(groups: Groups) -> Duration {
    let directory = tempfile::tempdir().expect("a directory");
    let mut connection = bare_file(directory.path());
    let started = Instant::now();
    for group in groups {
        let transaction = connection.transaction().expect("a transaction");
        {
            let mut insert = transaction
                .prepare_cached("INSERT INTO bare (bytes) VALUES (?1)")
                .expect("a statement");
            for bytes in group {
                insert.execute([bytes]).expect("an insert");
            }
        }
        transaction.commit().expect("a commit");
    }
    started.elapsed()
}

fn bare_file(directory: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(directory.join("bare.db")).expect("open");
    connection
        .query_row("PRAGMA journal_mode=WAL", [], |_| Ok(()))
        .expect("WAL");
    connection
        .pragma_update(None, "synchronous", "FULL")
        .expect("full sync");
    connection
        .execute_batch("CREATE TABLE bare (seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT")
        .expect("a table");
    connection
}

/// One prepared statement a group, which is its own transaction.
async fn bare_postgres(like: &PostgresDatabase, groups: Groups) -> Duration {
    let (client, connection) = tokio_postgres::connect(&like.url(), tokio_postgres::NoTls)
        .await
        .expect("a connection");
    let driven = tokio::spawn(connection);
    client
        .batch_execute(
            "CREATE SCHEMA bare; CREATE TABLE bare.bare \
             (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, bytes bytea NOT NULL)",
        )
        .await
        .expect("a table");
    let insert = client
        .prepare("INSERT INTO bare.bare (bytes) SELECT * FROM unnest($1::bytea[])")
        .await
        .expect("a statement");
    let started = Instant::now();
    for group in groups {
        client.execute(&insert, &[&group]).await.expect("an insert");
    }
    let took = started.elapsed();
    let gone = client.batch_execute("DROP SCHEMA bare CASCADE").await;
    gone.expect("the table is gone");
    drop(client);
    drop(driven.await);
    took
}
