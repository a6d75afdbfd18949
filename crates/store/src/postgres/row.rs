//! Rows to entries and documents. A row that cannot be read is named by its
//! place in the log.

use kernel::{Digest, DirectiveId, EntryId, SnapshotId, StreamId, TenantId, Timestamp, TraceId};
use ledger::entry::Entry;
use ledger::merkle::{Span, Tile};
use ledger::store::{Document, Leaf, StoreFault};
use std::str::FromStr;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

pub(super) const ENTRY_COLUMNS: &str = "seq, id, stream, stream_version, kind, category, at, \
     actor, trace_id, causation, subject, directive, snapshot, payload, payload_hash, prev_hash, hash";

pub(super) const DOCUMENT_COLUMNS: &str =
    "stream, version, created_seq, updated_seq, status, subject, directive, due_at, body";

type Fault = String;

fn column<'r, T: FromSql<'r>>(row: &'r Row, name: &str) -> Result<T, Fault> {
    row.try_get(name)
        .map_err(|error| format!("column `{name}`: {error}"))
}

fn number(row: &Row, name: &str) -> Result<u64, Fault> {
    let number: i64 = column(row, name)?;
    u64::try_from(number).map_err(|_| format!("column `{name}`: `{number}` is negative"))
}

fn parsed<T: FromStr>(text: &str, name: &str) -> Result<T, Fault> {
    text.parse()
        .map_err(|_| format!("column `{name}`: `{}` cannot be read", text.escape_debug()))
}

fn text<T: FromStr>(row: &Row, name: &str) -> Result<T, Fault> {
    parsed(column(row, name)?, name)
}

fn optional<T: FromStr>(row: &Row, name: &str) -> Result<Option<T>, Fault> {
    let text: Option<&str> = column(row, name)?;
    text.map(|text| parsed(text, name)).transpose()
}

fn bytes(bytes: &[u8], name: &str) -> Result<Digest, Fault> {
    let digest: Result<[u8; 32], _> = bytes.try_into();
    digest
        .map(Digest)
        .map_err(|_| format!("column `{name}`: {} bytes are no digest", bytes.len()))
}

fn digest(row: &Row, name: &str) -> Result<Digest, Fault> {
    bytes(column(row, name)?, name)
}

fn trace(row: &Row, name: &str) -> Result<TraceId, Fault> {
    let id: Uuid = column(row, name)?;
    TraceId::new(id.as_u128()).ok_or_else(|| format!("column `{name}`: `{id}` cannot be read"))
}

fn read_entry(row: &Row, seq: u64) -> Result<Entry, Fault> {
    let snapshot: Option<&[u8]> = column(row, "snapshot")?;
    Ok(Entry {
        seq,
        id: EntryId(column(row, "id")?),
        stream: StreamId::from_stored(column(row, "stream")?),
        stream_version: number(row, "stream_version")?,
        kind: column(row, "kind")?,
        category: text(row, "category")?,
        at: Timestamp::from_micros(column(row, "at")?),
        actor: text(row, "actor")?,
        trace_id: trace(row, "trace_id")?,
        causation: column::<Option<Uuid>>(row, "causation")?.map(EntryId),
        subject: optional(row, "subject")?,
        directive: column::<Option<Uuid>>(row, "directive")?.map(DirectiveId),
        snapshot: snapshot
            .map(|found| bytes(found, "snapshot").map(SnapshotId))
            .transpose()?,
        payload: column(row, "payload")?,
        payload_hash: digest(row, "payload_hash")?,
        prev_hash: digest(row, "prev_hash")?,
        hash: digest(row, "hash")?,
    })
}

/// The entry in this row of [`ENTRY_COLUMNS`].
pub(super) fn entry(tenant: TenantId, row: &Row) -> Result<Entry, StoreFault> {
    let seq = number(row, "seq").map_err(StoreFault::Damaged)?;
    read_entry(row, seq).map_err(|what| StoreFault::Unreadable { tenant, seq, what })
}

/// The document in this row of [`DOCUMENT_COLUMNS`].
pub(super) fn document(row: &Row) -> Result<Document, StoreFault> {
    let read = || -> Result<Document, Fault> {
        Ok(Document {
            stream: StreamId::from_stored(column(row, "stream")?),
            version: number(row, "version")?,
            created_seq: number(row, "created_seq")?,
            updated_seq: number(row, "updated_seq")?,
            status: column(row, "status")?,
            subject: optional(row, "subject")?,
            directive: column::<Option<Uuid>>(row, "directive")?.map(DirectiveId),
            due_at: column::<Option<i64>>(row, "due_at")?.map(Timestamp::from_micros),
            body: column(row, "body")?,
        })
    };
    read().map_err(|what| StoreFault::Damaged(format!("a current state cannot be read: {what}")))
}

/// The head, or the place and hash of an entry, in a row of `seq, hash`.
pub(super) fn head(row: &Row) -> Result<ledger::Head, StoreFault> {
    let read = || -> Result<ledger::Head, Fault> {
        Ok(ledger::Head {
            seq: number(row, "seq")?,
            hash: digest(row, "hash")?,
        })
    };
    read().map_err(|what| StoreFault::Damaged(format!("a head cannot be read: {what}")))
}

/// The leaf in this row of `seq, hash, at`.
pub(super) fn leaf(tenant: TenantId, row: &Row) -> Result<Leaf, StoreFault> {
    let seq = number(row, "seq").map_err(StoreFault::Damaged)?;
    let read = || -> Result<Leaf, Fault> {
        Ok(Leaf {
            hash: digest(row, "hash")?,
            at: Timestamp::from_micros(column(row, "at")?),
        })
    };
    read().map_err(|what| StoreFault::Unreadable { tenant, seq, what })
}

/// The span of this level in this row of `number, at_min, at_max`.
pub(super) fn span(level: u8, row: &Row) -> Result<Span, StoreFault> {
    let read = || -> Result<Span, Fault> {
        Ok(Span {
            level,
            index: number(row, "number")?,
            at_min: Timestamp::from_micros(column(row, "at_min")?),
            at_max: Timestamp::from_micros(column(row, "at_max")?),
        })
    };
    read().map_err(|what| StoreFault::Damaged(format!("a span cannot be read: {what}")))
}

/// The tile in this row of `hashes`.
pub(super) fn tile(level: u8, index: u64, row: &Row) -> Result<Tile, StoreFault> {
    let hashes = column::<&[u8]>(row, "hashes")
        .ok()
        .and_then(Tile::hashes_of);
    let hashes = hashes.ok_or_else(|| {
        StoreFault::Damaged(format!("tile {index} of level {level} cannot be read"))
    })?;
    Ok(Tile {
        level,
        index,
        hashes,
    })
}

/// The stream in this row of `tenant, stream`.
pub(super) fn due(row: &Row) -> Result<(TenantId, StreamId), StoreFault> {
    let read = || -> Result<(TenantId, StreamId), Fault> {
        Ok((
            TenantId(column(row, "tenant")?),
            StreamId::from_stored(column(row, "stream")?),
        ))
    };
    read().map_err(|what| StoreFault::Damaged(format!("what is due cannot be read: {what}")))
}

/// The digest in this row of `digest`.
pub(super) fn object_digest(row: &Row) -> Result<Digest, StoreFault> {
    digest(row, "digest")
        .map_err(|what| StoreFault::Damaged(format!("an object cannot be read: {what}")))
}

/// A single value, for what cannot be of another type.
pub(super) fn value<'r, T: FromSql<'r>>(row: &'r Row, name: &str) -> Result<T, StoreFault> {
    column(row, name).map_err(StoreFault::Damaged)
}
