//! Rows to entries and documents. A row that cannot be read is named by its
//! place in the log.

use kernel::{Digest, EntryId, StreamId, TenantId, Timestamp, TraceId};
use ledger::entry::Entry;
use ledger::store::{Document, StoreFault};
use rusqlite::Row;
use rusqlite::types::FromSql;
use std::str::FromStr;

/// Entries of one log may not outgrow this; see `schema_1.sql`.
pub(super) const LOG_STRIDE: i64 = 1 << 40;

pub(super) const ENTRY_COLUMNS: &str = "position, id, stream, stream_version, kind, category, at, \
     actor, trace_id, causation, subject, directive, snapshot, payload, payload_hash, prev_hash, hash";

pub(super) const DOCUMENT_COLUMNS: &str =
    "stream, version, created_seq, updated_seq, status, subject, directive, due_at, body";

type Fault = String;

fn column<T: FromSql>(row: &Row<'_>, name: &str) -> Result<T, Fault> {
    row.get(name).map_err(|e| format!("column `{name}`: {e}"))
}

fn number(row: &Row<'_>, name: &str) -> Result<u64, Fault> {
    let number: i64 = column(row, name)?;
    u64::try_from(number).map_err(|_| format!("column `{name}`: `{number}` is negative"))
}

fn text<T: FromStr>(row: &Row<'_>, name: &str) -> Result<T, Fault> {
    let text: String = column(row, name)?;
    text.parse()
        .map_err(|_| format!("column `{name}`: `{}` cannot be read", text.escape_debug()))
}

fn optional<T: FromStr>(row: &Row<'_>, name: &str) -> Result<Option<T>, Fault> {
    match column::<Option<String>>(row, name)? {
        None => Ok(None),
        Some(_) => text(row, name).map(Some),
    }
}

fn digest(row: &Row<'_>, name: &str) -> Result<Digest, Fault> {
    column::<[u8; 32]>(row, name).map(Digest)
}

fn entry_id(bytes: [u8; 16]) -> EntryId {
    EntryId(uuid::Uuid::from_bytes(bytes))
}

fn read_entry(row: &Row<'_>, seq: u64) -> Result<Entry, Fault> {
    let trace: String = column(row, "trace_id")?;
    Ok(Entry {
        seq,
        id: entry_id(column(row, "id")?),
        stream: StreamId::from_stored(&column::<String>(row, "stream")?),
        stream_version: number(row, "stream_version")?,
        kind: column(row, "kind")?,
        category: text(row, "category")?,
        at: Timestamp::from_micros(column(row, "at")?),
        actor: text(row, "actor")?,
        trace_id: TraceId::parse(&trace)
            .ok_or_else(|| format!("column `trace_id`: `{trace}` cannot be read"))?,
        causation: column::<Option<[u8; 16]>>(row, "causation")?.map(entry_id),
        subject: optional(row, "subject")?,
        directive: optional(row, "directive")?,
        snapshot: optional(row, "snapshot")?,
        payload: column(row, "payload")?,
        payload_hash: digest(row, "payload_hash")?,
        prev_hash: digest(row, "prev_hash")?,
        hash: digest(row, "hash")?,
    })
}

/// The entry in this row of [`ENTRY_COLUMNS`].
pub(super) fn entry(tenant: TenantId, row: &Row<'_>) -> Result<Entry, StoreFault> {
    let position: i64 = row.get("position").map_err(super::fault)?;
    let seq = u64::try_from(position % LOG_STRIDE).unwrap_or(0);
    read_entry(row, seq).map_err(|what| StoreFault::Unreadable { tenant, seq, what })
}

/// The document in this row of [`DOCUMENT_COLUMNS`].
pub(super) fn document(row: &Row<'_>) -> Result<Document, StoreFault> {
    let read = || -> Result<Document, Fault> {
        Ok(Document {
            stream: StreamId::from_stored(&column::<String>(row, "stream")?),
            version: number(row, "version")?,
            created_seq: number(row, "created_seq")?,
            updated_seq: number(row, "updated_seq")?,
            status: column(row, "status")?,
            subject: optional(row, "subject")?,
            directive: optional(row, "directive")?,
            due_at: column::<Option<i64>>(row, "due_at")?.map(Timestamp::from_micros),
            body: column(row, "body")?,
        })
    };
    read().map_err(|what| StoreFault::Damaged(format!("a current state cannot be read: {what}")))
}
