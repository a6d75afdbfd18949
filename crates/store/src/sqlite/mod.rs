//! The embedded store: one SQLite file, write-ahead log, full sync. One writer
//! connection, a few reading ones. A lock file keeps a second writ away,
//! because the committer keeps states in memory.

mod append;
mod backup;
mod entries;
mod files;
mod migrate;
mod mover;
mod names;
mod read;
mod row;
mod rows;
mod splice;
mod tree;
mod wal;

pub use backup::Backup;

use append::Writer;
use async_trait::async_trait;
use files::Files;
use kernel::{Digest, EntryId, StreamId, TenantId, Timestamp};
use ledger::entry::{Entry, Head};
use ledger::merkle::{Span, Tile};
use ledger::query::{DocumentQuery, EntryQuery};
use ledger::room::Room;
use ledger::row::{Rows, Seqs};
use ledger::store::{Batch, Document, Leaf, Store, StoreFault};
use mover::Mover;
use parking_lot::Mutex;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// The name of the database file in a data directory.
pub const FILE_NAME: &str = "writ.db";
const LOCK_NAME: &str = "writ.lock";
/// Reading connections that are kept open, and reads that block a thread at one
/// time. More of them would take the processor from the one that writes and from
/// those who answer, and end no sooner.
const READERS_MAX: usize = 8;
/// Of them, those that ordinary work may have.
const ORDINARY_READERS_MAX: usize = 6;
/// How long a connection waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Memory for pages of the writing connection, in KiB as SQLite's sign says: the
/// leaves of the indexes that are written to next.
const WRITER_CACHE: &str = "-65536";
/// Prepared statements that each connection keeps.
const STATEMENTS_KEPT: usize = 64;

/// The embedded store.
pub struct Sqlite {
    inner: Arc<Inner>,
    pen: Option<Arc<Pen>>,
    _lock: Option<File>,
}

/// The one that writes, and the files that it writes to.
struct Pen {
    // Ends before the connection that it follows is closed.
    mover: Mover,
    writer: Mutex<Writer>,
    files: Files,
}

struct Inner {
    path: PathBuf,
    readers: Mutex<Vec<Connection>>,
    places: Arc<Semaphore>,
    room: Room,
}

impl Sqlite {
    /// Opens, and where needed makes, the store in this data directory.
    ///
    /// # Errors
    /// When the directory cannot be used, another writ holds it, the file is
    /// no database of writ's, or a newer version of writ wrote it.
    pub fn open(directory: &Path) -> Result<Self, StoreFault> {
        files::create(directory).map_err(|e| at(directory, &e))?;
        let lock = lock(directory)?;
        let path = directory.join(FILE_NAME);
        // Before SQLite reads it: that cuts the log off where it breaks.
        wal::check(&path)?;
        let connection = connect(&path, OpenFlags::SQLITE_OPEN_CREATE).and_then(migrate::run);
        let mut connection = connection.map_err(|fault| files::explain(directory, fault))?;
        unguarded(&connection)?;
        let pen = Pen {
            files: Files::of(directory)?,
            mover: Mover::follow(&mut connection, &path)?,
            writer: Mutex::new(Writer::new(connection)),
        };
        Ok(Self {
            inner: Arc::new(Inner::new(path, Vec::new())),
            pen: Some(Arc::new(pen)),
            _lock: Some(lock),
        })
    }

    /// Opens the store in this data directory for reading only. Works beside
    /// a running writ and on a copy.
    ///
    /// # Errors
    /// When there is no store, it is not writ's, or it is of another version.
    pub fn open_read_only(directory: &Path) -> Result<Self, StoreFault> {
        Self::open_file(&existing(directory)?)
    }

    /// Opens a database file, such as a backup, for reading only.
    ///
    /// # Errors
    /// When there is no such file, it is not writ's, or it is of another
    /// version.
    pub fn open_file(path: &Path) -> Result<Self, StoreFault> {
        wal::check(path)?;
        let connection = connect_reader(path)?;
        migrate::check(&connection)?;
        Ok(Self {
            inner: Arc::new(Inner::new(path.to_owned(), vec![connection])),
            pen: None,
            _lock: None,
        })
    }

    /// Reads on a thread that may block, when one of a few places is free; who
    /// came first reads first. Ordinary work leaves some of them to the rest.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreFault> + Send + 'static,
    ) -> Result<T, StoreFault> {
        let inner = self.inner.clone();
        let room = inner.room.enter().await;
        let place = inner.places.clone().acquire_owned().await;
        let place = place.map_err(|e| StoreFault::Unavailable(e.to_string()))?;
        tokio::task::spawn_blocking(move || {
            // It is taken until the read ends, also when nobody waits for it
            // any more.
            let _places = (room, place);
            inner.with(work)
        })
        .await
        .map_err(|e| StoreFault::Unavailable(e.to_string()))?
    }
}

impl Pen {
    /// Writes, durably and where the next start looks for it, or names what
    /// keeps it from that.
    fn write(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<(), StoreFault>,
    ) -> Result<(), StoreFault> {
        work(&mut self.writer.lock()).map_err(|fault| self.files.explain(fault))?;
        self.files.stand()
    }
}

impl Inner {
    fn new(path: PathBuf, readers: Vec<Connection>) -> Self {
        Self {
            path,
            readers: Mutex::new(readers),
            places: Arc::new(Semaphore::new(READERS_MAX)),
            room: Room::new(ORDINARY_READERS_MAX),
        }
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreFault>,
    ) -> Result<T, StoreFault> {
        let kept = self.readers.lock().pop();
        let connection = match kept {
            Some(connection) => connection,
            None => connect_reader(&self.path)?,
        };
        let done = work(&connection);
        let mut readers = self.readers.lock();
        if readers.len() < READERS_MAX {
            readers.push(connection);
        }
        done
    }
}

/// The database file in this data directory.
fn existing(directory: &Path) -> Result<PathBuf, StoreFault> {
    let path = directory.join(FILE_NAME);
    if path.exists() {
        return Ok(path);
    }
    Err(StoreFault::Unavailable(format!(
        "there is no `{FILE_NAME}` in `{}`",
        directory.display()
    )))
}

fn lock(directory: &Path) -> Result<File, StoreFault> {
    let path = directory.join(LOCK_NAME);
    let file = File::create(&path).map_err(|e| at(&path, &e))?;
    file.try_lock().map_err(|e| match e {
        std::fs::TryLockError::WouldBlock => StoreFault::Unavailable(format!(
            "another writ is using `{}`; stop it, or name another data directory",
            directory.display()
        )),
        std::fs::TryLockError::Error(e) => at(&path, &e),
    })?;
    Ok(file)
}

fn at(path: &Path, error: &std::io::Error) -> StoreFault {
    StoreFault::Unavailable(format!("`{}`: {error}", path.display()))
}

/// A connection to an existing database that may write to it.
fn connect_writer(path: &Path) -> Result<Connection, StoreFault> {
    connect(path, OpenFlags::empty())
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreFault> {
    let flags = flags | OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(fault)?;
    steady(&connection)?;
    let mode: String = connection
        .query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0))
        .map_err(fault)?;
    if mode != "wal" {
        return Err(StoreFault::Unavailable(format!(
            "`{}`: the write-ahead log cannot be used here (mode `{mode}`)",
            path.display()
        )));
    }
    let pragmas = [
        ("synchronous", "FULL"),
        ("recursive_triggers", "ON"),
        ("trusted_schema", "OFF"),
        ("cell_size_check", "ON"),
        ("cache_size", WRITER_CACHE),
    ];
    for (name, value) in pragmas {
        connection.pragma_update(None, name, value).map_err(fault)?;
    }
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(connection)
}

/// What every connection begins with: it waits for others, and plans no
/// statement again for the values that it is asked with.
fn steady(connection: &Connection) -> Result<(), StoreFault> {
    connection.busy_timeout(BUSY_TIMEOUT).map_err(fault)?;
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map(drop)
        .map_err(fault)
}

/// The triggers that guard the log fire on every connection but this one. What
/// it may do to guarded tables is to insert, and `cargo xtask tidy` finds any
/// statement in this crate that would do more. A statement that a trigger may
/// refuse keeps each page that it changes aside first: a third of an append.
fn unguarded(connection: &Connection) -> Result<(), StoreFault> {
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)
        .map(drop)
        .map_err(fault)
}

fn connect_reader(path: &Path) -> Result<Connection, StoreFault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(fault)?;
    steady(&connection)?;
    connection
        .pragma_update(None, "query_only", "ON")
        .map_err(fault)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(connection)
}

/// What a fault of SQLite's means here.
fn fault(error: rusqlite::Error) -> StoreFault {
    let what = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            return StoreFault::Damaged(error.to_string());
        }
        // SQLite would name the path, which a caller of the API must not read.
        Some(ErrorCode::CannotOpen) => {
            return StoreFault::Unavailable(
                "the database cannot be opened: check that it is there, its permissions, and how \
                 many files writ may open"
                    .into(),
            );
        }
        Some(ErrorCode::DiskFull) => "the disk is full: free some space on it, writ goes on then",
        Some(ErrorCode::ReadOnly) => "the database can only be read: let writ write to it",
        Some(ErrorCode::DatabaseBusy) => "another program holds the database: let it end",
        Some(ErrorCode::SystemIoFailure) => "the disk reports an error",
        _ => return StoreFault::Unavailable(error.to_string()),
    };
    StoreFault::Unavailable(format!("{what} ({error})"))
}

#[async_trait]
impl Store for Sqlite {
    async fn append(&self, batches: Vec<Batch>) -> Result<(), StoreFault> {
        let pen = self
            .pen
            .as_ref()
            .ok_or_else(|| StoreFault::Unavailable("opened for reading only".into()))?;
        pen.write(|writer| writer.append(&batches))
    }

    async fn head(&self, tenant: TenantId) -> Result<Head, StoreFault> {
        self.inner.with(|c| read::head(c, tenant))
    }

    async fn tenants(&self) -> Result<Vec<TenantId>, StoreFault> {
        self.inner.with(read::tenants)
    }

    async fn entries(
        &self,
        tenant: TenantId,
        query: &EntryQuery,
    ) -> Result<Vec<Entry>, StoreFault> {
        let query = query.clone();
        self.read(move |c| entries::page(c, tenant, &query)).await
    }

    async fn rows(
        &self,
        tenant: TenantId,
        seqs: Seqs,
        bytes_max: usize,
    ) -> Result<Rows, StoreFault> {
        self.read(move |c| rows::rows(c, tenant, seqs, bytes_max))
            .await
    }

    async fn entry(&self, tenant: TenantId, id: EntryId) -> Result<Option<Entry>, StoreFault> {
        self.read(move |c| entries::one(c, tenant, id)).await
    }

    async fn document(
        &self,
        tenant: TenantId,
        stream: &StreamId,
    ) -> Result<Option<Document>, StoreFault> {
        self.inner.with(|c| read::document(c, tenant, stream))
    }

    async fn documents(
        &self,
        tenant: TenantId,
        query: &DocumentQuery,
    ) -> Result<Vec<Document>, StoreFault> {
        let query = query.clone();
        self.read(move |c| read::documents(c, tenant, &query)).await
    }

    async fn all_documents(
        &self,
        tenant: TenantId,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<Document>, StoreFault> {
        let after = after.cloned();
        self.read(move |c| read::all_documents(c, tenant, after.as_ref(), limit))
            .await
    }

    async fn due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(TenantId, StreamId)>, StoreFault> {
        self.read(move |c| read::due(c, now, limit)).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreFault> {
        self.read(read::next_due).await
    }

    async fn leaves(
        &self,
        tenant: TenantId,
        beyond_seq: u64,
        limit: usize,
    ) -> Result<Vec<Leaf>, StoreFault> {
        self.read(move |c| tree::leaves(c, tenant, beyond_seq, limit))
            .await
    }

    async fn tile(
        &self,
        tenant: TenantId,
        level: u8,
        index: u64,
    ) -> Result<Option<Tile>, StoreFault> {
        self.read(move |c| tree::tile(c, tenant, level, index))
            .await
    }

    async fn spans(
        &self,
        tenant: TenantId,
        level: u8,
        from_index: u64,
        limit: usize,
    ) -> Result<Vec<Span>, StoreFault> {
        self.read(move |c| tree::spans(c, tenant, level, from_index, limit))
            .await
    }

    async fn object_digests(
        &self,
        tenant: TenantId,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Vec<Digest>, StoreFault> {
        self.read(move |c| read::object_digests(c, tenant, after, limit))
            .await
    }

    async fn object(
        &self,
        tenant: TenantId,
        digest: Digest,
    ) -> Result<Option<Vec<u8>>, StoreFault> {
        self.read(move |c| read::object(c, tenant, digest)).await
    }

    async fn probe(&self) -> Result<(), StoreFault> {
        let Some(pen) = self.pen.clone() else {
            return Ok(());
        };
        tokio::task::spawn_blocking(move || {
            pen.write(|writer| migrate::rewrite_version(&mut writer.connection))
        })
        .await
        .map_err(|e| StoreFault::Unavailable(e.to_string()))?
    }

    async fn flush(&self) -> Result<(), StoreFault> {
        let Some(pen) = &self.pen else {
            return Ok(());
        };
        // No reader may stand in the way of moving the whole log.
        self.inner.readers.lock().clear();
        let _rest = pen.mover.rest();
        pen.writer
            .lock()
            .connection
            .pragma_update_and_check(None, "wal_checkpoint", "TRUNCATE", |_| Ok(()))
            .map_err(fault)
    }

    async fn engine_check(&self) -> Result<Vec<String>, StoreFault> {
        let path = self.inner.path.clone();
        self.read(move |connection| {
            wal::check(&path)?;
            read::engine_check(connection)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn few_reads_block_a_thread_at_one_time_and_all_of_them_end() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Sqlite::open(folder.path()).unwrap());
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut reads = Vec::new();
        for number in 0..10 * READERS_MAX {
            let (store, now, most) = (store.clone(), now.clone(), most.clone());
            reads.push(tokio::spawn(async move {
                let read = store.read(move |connection| {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(2));
                    now.fetch_sub(1, Ordering::SeqCst);
                    let one = connection.query_row("SELECT 1", [], |row| row.get::<_, i64>(0));
                    one.map_err(|e| StoreFault::Unavailable(e.to_string()))
                });
                (number, read.await)
            }));
        }
        for read in reads {
            let (number, read) = read.await.unwrap();
            assert_eq!(read.unwrap(), 1, "read {number}");
        }
        let most = most.load(Ordering::SeqCst);
        assert!((2..=READERS_MAX).contains(&most), "{most} at one time");
        assert!(store.inner.readers.lock().len() <= READERS_MAX);
    }

    /// Many ask for what takes long; what is not ordinary is read meanwhile.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn ordinary_reads_leave_room_for_others() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Sqlite::open(folder.path()).unwrap());
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let reads = (0..3 * READERS_MAX).map(|_| {
            let (store, gate) = (store.clone(), gate.clone());
            tokio::spawn(ledger::room::ordinary(async move {
                let wait = move |_: &Connection| {
                    gate.lock().recv().unwrap();
                    Ok(())
                };
                store.read(wait).await.unwrap();
            }))
        });
        let reads: Vec<_> = reads.collect();
        while store.inner.places.available_permits() > READERS_MAX - ORDINARY_READERS_MAX {
            tokio::task::yield_now().await;
        }
        let other = tokio::time::timeout(4 * BUSY_TIMEOUT, store.next_due()).await;
        assert_eq!(other.expect("it does not wait").unwrap(), None);
        for _ in &reads {
            open.send(()).unwrap();
        }
        for read in reads {
            read.await.unwrap();
        }
    }

    /// Five times what the log may hold is written while others read.
    #[test]
    fn the_log_stays_small_however_much_is_written() {
        const ROWS: i64 = 840;
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(folder.path()).unwrap();
        let size = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().len();
        let pen = store.pen.as_ref().unwrap();
        let run = |sql: &str| {
            let writer = pen.writer.lock();
            writer.connection.execute_batch(sql).unwrap();
        };
        run("CREATE TABLE scratch (bytes BLOB)");
        let mut most = 0;
        for number in 0..ROWS {
            run("INSERT INTO scratch VALUES (zeroblob(100000))");
            let count = "SELECT count(*) FROM scratch";
            let seen = store.inner.with(|reader| {
                reader
                    .query_row(count, [], |row| row.get::<_, i64>(0))
                    .map_err(fault)
            });
            assert_eq!(seen.unwrap(), number + 1);
            most = most.max(size("writ.db-wal"));
        }
        assert!(most < 20 * 1024 * 1024, "the log had {most} bytes");
        drop(store);
        assert!(
            size(FILE_NAME) > 100_000 * ROWS.unsigned_abs(),
            "all of it is in the main file"
        );
        assert!(
            !folder.path().join("writ.db-wal").exists(),
            "the last one has left"
        );
    }
}
