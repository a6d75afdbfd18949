//! Appending batches: all or nothing, each under the head that it expects.

use super::names::Numbers;
use super::row::LOG_STRIDE;
use super::{fault, splice, tree};
use ledger::entry::{Entry, Head};
use ledger::store::{Batch, Document, StoreFault};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

/// The one writing connection, and what it knows of the names in the file.
pub(super) struct Writer {
    pub(super) connection: Connection,
    numbers: Numbers,
}

impl Writer {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection,
            numbers: Numbers::default(),
        }
    }

    /// Appends these batches in one transaction.
    pub(super) fn append(&mut self, batches: &[Batch]) -> Result<(), StoreFault> {
        let done = self.attempt(batches);
        if done.is_err() {
            self.numbers.forget();
        }
        done
    }

    fn attempt(&mut self, batches: &[Batch]) -> Result<(), StoreFault> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(fault)?;
        for batch in batches {
            write(&transaction, &mut self.numbers, batch)?;
        }
        transaction.commit().map_err(unsettled)
    }
}

/// What a commit that failed means. SQLite takes it back for this process; when
/// the sync failed, the frames may be on disk all the same, and a start that
/// reads them takes them for committed.
fn unsettled(error: rusqlite::Error) -> StoreFault {
    let synced = error
        .sqlite_error()
        .is_none_or(|e| e.extended_code != rusqlite::ffi::SQLITE_IOERR_FSYNC);
    match (synced, fault(error)) {
        (false, StoreFault::Unavailable(what)) => StoreFault::Unsettled(what),
        (_, fault) => fault,
    }
}

fn write(
    transaction: &Transaction<'_>,
    numbers: &mut Numbers,
    batch: &Batch,
) -> Result<(), StoreFault> {
    let log = move_head(transaction, batch)?;
    entries(transaction, numbers, log, &batch.entries)?;
    documents(transaction, numbers, log, batch)?;
    let mut insert = transaction
        .prepare_cached(
            "INSERT INTO objects (log, digest, bytes) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )
        .map_err(fault)?;
    for (digest, bytes) in &batch.objects {
        insert
            .execute(params![log, digest.0, bytes])
            .map_err(fault)?;
    }
    tree::store(transaction, log, &batch.grown)
}

/// Compares the log's head with the expectation and sets the new one.
fn move_head(transaction: &Transaction<'_>, batch: &Batch) -> Result<i64, StoreFault> {
    let Some(last) = batch.entries.last() else {
        return Err(StoreFault::Unavailable("a batch without entries".into()));
    };
    let tenant = batch.tenant.to_string();
    let found: Option<(i64, u64, [u8; 32])> = transaction
        .prepare_cached("SELECT number, seq, hash FROM logs WHERE tenant = ?1")
        .map_err(fault)?
        .query_row([&tenant], |row| {
            let seq: i64 = row.get(1)?;
            Ok((row.get(0)?, seq.unsigned_abs(), row.get(2)?))
        })
        .optional()
        .map_err(fault)?;
    let head = found.map_or(Head::EMPTY, |(_, seq, hash)| Head {
        seq,
        hash: kernel::Digest(hash),
    });
    if head != batch.expected {
        return Err(StoreFault::Stale(batch.tenant));
    }
    let seq = integer(last.seq)?;
    transaction
        .prepare_cached(
            "INSERT INTO logs (tenant, seq, hash) VALUES (?1, ?2, ?3)
             ON CONFLICT (tenant) DO UPDATE SET seq = excluded.seq, hash = excluded.hash
             RETURNING number",
        )
        .map_err(fault)?
        .query_row(params![tenant, seq, last.hash.0], |row| row.get(0))
        .map_err(fault)
}

fn entries(
    transaction: &Transaction<'_>,
    numbers: &mut Numbers,
    log: i64,
    entries: &[Entry],
) -> Result<(), StoreFault> {
    let mut insert = transaction
        .prepare_cached(
            "INSERT INTO entries (position, id, stream, stream_version, kind, at, actor, \
             trace_id, causation, subject, directive, snapshot, payload, payload_hash, \
             prev_hash, hash) \
             VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16)",
        )
        .map_err(fault)?;
    for entry in entries {
        let seq = integer(entry.seq)?;
        if seq >= LOG_STRIDE {
            return Err(StoreFault::Unavailable("the log is full".into()));
        }
        let subject = match &entry.subject {
            Some(subject) => Some(numbers.name(transaction, log, &subject.to_string())?),
            None => None,
        };
        insert
            .execute(params![
                log * LOG_STRIDE + seq,
                entry.id.0.as_bytes(),
                numbers.name(transaction, log, entry.stream.as_str())?,
                integer(entry.stream_version)?,
                numbers.kind(transaction, &entry.kind, entry.category)?,
                entry.at.as_micros(),
                numbers.name(transaction, log, &entry.actor.to_string())?,
                entry.trace_id.to_bytes(),
                entry.causation.as_ref().map(|c| c.0.as_bytes()),
                subject,
                entry.directive.as_ref().map(|d| d.0.as_bytes()),
                entry.snapshot.map(|s| s.0.0),
                entry.payload,
                entry.payload_hash.0,
                entry.prev_hash.0,
                entry.hash.0,
            ])
            .map_err(fault)?;
    }
    Ok(())
}

fn documents(
    transaction: &Transaction<'_>,
    numbers: &mut Numbers,
    log: i64,
    batch: &Batch,
) -> Result<(), StoreFault> {
    let mut upsert = transaction
        .prepare_cached(
            "INSERT INTO documents (stream, log, kind, version, created_seq, updated_seq, status, \
             subject, directive, due_at, body, payload_at) \
             VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12) \
             ON CONFLICT (stream) DO UPDATE SET version = excluded.version, \
             updated_seq = excluded.updated_seq, status = excluded.status, \
             subject = excluded.subject, directive = excluded.directive, \
             due_at = excluded.due_at, body = excluded.body, payload_at = excluded.payload_at",
        )
        .map_err(fault)?;
    for document in &batch.documents {
        let cut = made_by(document, &batch.entries)
            .and_then(|entry| splice::cut(&document.body, &entry.payload));
        let (body, payload_at) = match &cut {
            Some((rest, at)) => (rest, Some(*at)),
            None => (&document.body, None),
        };
        let subject = match &document.subject {
            Some(subject) => Some(numbers.name(transaction, log, &subject.to_string())?),
            None => None,
        };
        upsert
            .execute(params![
                numbers.name(transaction, log, document.stream.as_str())?,
                log,
                document.stream.kind(),
                integer(document.version)?,
                integer(document.created_seq)?,
                integer(document.updated_seq)?,
                document.status,
                subject,
                document.directive.as_ref().map(|d| d.0.as_bytes()),
                document.due_at.map(kernel::Timestamp::as_micros),
                body,
                payload_at,
            ])
            .map_err(fault)?;
    }
    Ok(())
}

/// The entry that made this state, where it is one of these.
fn made_by<'e>(document: &Document, entries: &'e [Entry]) -> Option<&'e Entry> {
    let first = entries.first()?.seq;
    let place = document.created_seq.checked_sub(first)?;
    entries.get(usize::try_from(place).ok()?)
}

fn integer(number: u64) -> Result<i64, StoreFault> {
    i64::try_from(number).map_err(|_| StoreFault::Unavailable(format!("{number} is too large")))
}
