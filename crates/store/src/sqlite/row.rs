//! Rows to entries and documents. A row that cannot be read is named by its
//! place in the log.

use super::splice;
use kernel::{Digest, DirectiveId, EntryId, SnapshotId, StreamId, TenantId, Timestamp, TraceId};
use ledger::entry::Entry;
use ledger::row::unreadable;
use ledger::store::{Document, StoreFault};
use rusqlite::Row;
use rusqlite::types::FromSql;
use std::str::FromStr;

/// Entries of one log may not outgrow this; see `schema_1.sql`.
pub(super) const LOG_STRIDE: i64 = 1 << 40;

/// Entries with the names that they carry, to be followed by a condition on
/// `e`. A name that is missing, or another log's, makes its entry unreadable.
pub(super) const ENTRIES: &str = "SELECT e.position, e.id, s.name, e.stream_version, k.kind, \
     k.category, e.at, a.name, e.trace_id, e.causation, e.subject IS NULL, u.name, e.directive, \
     e.snapshot, e.payload, e.payload_hash, e.prev_hash, e.hash FROM entries e \
     LEFT JOIN names s ON s.number = e.stream AND s.log = e.position >> 40 \
     LEFT JOIN kinds k ON k.number = e.kind \
     LEFT JOIN names a ON a.number = e.actor AND a.log = e.position >> 40 \
     LEFT JOIN names u ON u.number = e.subject AND u.log = e.position >> 40";

/// Documents with the names that they carry, and the payload that a body was cut
/// from, from these tables: `d` must be the documents and `s` the names of their
/// streams.
pub(super) fn documents_from(tables: &str) -> String {
    format!(
        "SELECT s.name, d.version, d.created_seq, d.updated_seq, d.status, d.subject IS NULL, \
         u.name, d.directive, d.due_at, d.body, d.payload_at, m.payload FROM {tables} \
         LEFT JOIN names u ON u.number = d.subject \
         LEFT JOIN entries m ON d.payload_at IS NOT NULL \
         AND m.position = d.log * {LOG_STRIDE} + d.created_seq"
    )
}

/// The place of the instant among the columns of [`ENTRIES`].
pub(super) const AT: usize = 6;

pub(super) type Fault = String;

/// A column, by its place and the name that a fault gives it.
type Column = (usize, &'static str);

fn column<T: FromSql>(row: &Row<'_>, (at, name): Column) -> Result<T, Fault> {
    row.get(at).map_err(|e| format!("column `{name}`: {e}"))
}

fn number(row: &Row<'_>, of: Column) -> Result<u64, Fault> {
    let number: i64 = column(row, of)?;
    u64::try_from(number).map_err(|_| format!("column `{}`: `{number}` is negative", of.1))
}

/// A text as it stands in the row, without a copy.
fn plain<'r>(row: &'r Row<'_>, (at, name): Column) -> Result<&'r str, Fault> {
    let value = row
        .get_ref(at)
        .map_err(|e| format!("column `{name}`: {e}"))?;
    value.as_str().map_err(|e| format!("column `{name}`: {e}"))
}

fn text<T: FromStr>(row: &Row<'_>, of: Column) -> Result<T, Fault> {
    let text = plain(row, of)?;
    text.parse().map_err(|_| unreadable(of.1, text))
}

/// A text that may be absent, which the column before it says.
fn optional<T: FromStr>(row: &Row<'_>, of: Column) -> Result<Option<T>, Fault> {
    match column(row, (of.0 - 1, of.1))? {
        true => Ok(None),
        false => text(row, of).map(Some),
    }
}

fn digest(row: &Row<'_>, of: Column) -> Result<Digest, Fault> {
    column::<[u8; 32]>(row, of).map(Digest)
}

fn uuid(bytes: [u8; 16]) -> uuid::Uuid {
    uuid::Uuid::from_bytes(bytes)
}

/// The instant of a stored column; one that no clock can show was not written
/// by writ.
pub(super) fn instant(micros: i64) -> Result<Timestamp, Fault> {
    Timestamp::exactly(micros).ok_or_else(|| unreadable("at", &micros.to_string()))
}

fn read_entry(row: &Row<'_>, seq: u64) -> Result<Entry, Fault> {
    let trace = u128::from_be_bytes(column(row, (8, "trace_id"))?);
    Ok(Entry {
        seq,
        id: EntryId(uuid(column(row, (1, "id"))?)),
        stream: StreamId::from_stored(plain(row, (2, "stream"))?),
        stream_version: number(row, (3, "stream_version"))?,
        kind: column(row, (4, "kind"))?,
        category: text(row, (5, "category"))?,
        at: instant(column(row, (AT, "at"))?)?,
        actor: text(row, (7, "actor"))?,
        trace_id: TraceId::new(trace).ok_or("column `trace_id`: it is zero")?,
        causation: column::<Option<[u8; 16]>>(row, (9, "causation"))?.map(|b| EntryId(uuid(b))),
        subject: optional(row, (11, "subject"))?,
        directive: column::<Option<[u8; 16]>>(row, (12, "directive"))?
            .map(|b| DirectiveId(uuid(b))),
        snapshot: column::<Option<[u8; 32]>>(row, (13, "snapshot"))?.map(|b| SnapshotId(Digest(b))),
        payload: column(row, (14, "payload"))?,
        payload_hash: digest(row, (15, "payload_hash"))?,
        prev_hash: digest(row, (16, "prev_hash"))?,
        hash: digest(row, (17, "hash"))?,
    })
}

/// The entry in this row of [`ENTRIES`].
pub(super) fn entry(tenant: TenantId, row: &Row<'_>) -> Result<Entry, StoreFault> {
    let position: i64 = row.get(0).map_err(super::fault)?;
    let seq = u64::try_from(position % LOG_STRIDE).unwrap_or(0);
    read_entry(row, seq).map_err(|what| StoreFault::Unreadable { tenant, seq, what })
}

fn read_document(row: &Row<'_>) -> Result<Document, Fault> {
    Ok(Document {
        stream: StreamId::from_stored(plain(row, (0, "stream"))?),
        version: number(row, (1, "version"))?,
        created_seq: number(row, (2, "created_seq"))?,
        updated_seq: number(row, (3, "updated_seq"))?,
        status: column(row, (4, "status"))?,
        subject: optional(row, (6, "subject"))?,
        directive: column::<Option<[u8; 16]>>(row, (7, "directive"))?.map(|b| DirectiveId(uuid(b))),
        due_at: column::<Option<i64>>(row, (8, "due_at"))?.map(Timestamp::from_micros),
        body: body(row)?,
    })
}

fn body(row: &Row<'_>) -> Result<String, Fault> {
    let Some(at) = column::<Option<u32>>(row, (10, "payload_at"))? else {
        return column(row, (9, "body"));
    };
    let (rest, payload) = (plain(row, (9, "body"))?, plain(row, (11, "payload"))?);
    splice::join(rest, at, payload).ok_or_else(|| unreadable("payload_at", &at.to_string()))
}

/// The document in this row of [`documents_from`].
pub(super) fn document(row: &Row<'_>) -> Result<Document, StoreFault> {
    read_document(row)
        .map_err(|what| StoreFault::Damaged(format!("a current state cannot be read: {what}")))
}
