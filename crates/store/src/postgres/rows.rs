//! A run of entries as they are stored, for whoever checks or replays a whole
//! log: columns by their place, texts not copied before they are kept.

use super::columns::integer;
use super::connect::Pool;
use super::read::{Question, limit};
use super::row::ENTRY_COLUMNS;
use kernel::names::Name as _;
use kernel::{Category, Digest, DirectiveId, EntryId, SnapshotId, TenantId, Timestamp, TraceId};
use ledger::row::{Broken, Row, Rows, Seqs, unreadable};
use ledger::store::StoreFault;
use tokio_postgres::Row as Stored;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

/// Rows asked for at a time.
const PAGE: usize = 1_000;

type Fault = String;

pub(super) async fn rows(
    pool: &Pool,
    tenant: TenantId,
    seqs: Seqs,
    bytes_max: usize,
) -> Result<Rows, StoreFault> {
    let mut rows = Rows::default();
    let mut next = seqs.from;
    let mut most = PAGE;
    while next <= seqs.until {
        let page = match page(pool, tenant, (next, seqs.until), most).await {
            Ok(page) => page,
            // The rows before the damage are asked for one by one.
            Err(StoreFault::Damaged(_)) if most > 1 => {
                most = 1;
                continue;
            }
            Err(StoreFault::Damaged(what)) => {
                rows.broken = Some(Broken { seq: next, what });
                return Ok(rows);
            }
            Err(other) => return Err(other),
        };
        for stored in &page {
            let seq = seq_of(stored, next);
            match read(stored, seq) {
                Ok(row) => rows.push(&row),
                Err(what) => {
                    rows.broken = Some(Broken { seq, what });
                    return Ok(rows);
                }
            }
            next = seq + 1;
        }
        if page.len() < most {
            break;
        }
        if rows.bytes() >= bytes_max {
            rows.more = next <= seqs.until;
            break;
        }
    }
    Ok(rows)
}

async fn page(
    pool: &Pool,
    tenant: TenantId,
    (from, until): (u64, u64),
    most: usize,
) -> Result<Vec<Stored>, StoreFault> {
    let sql = format!(
        "SELECT {ENTRY_COLUMNS} FROM writ.entries WHERE tenant = $1 AND seq >= $2 AND seq <= $3 \
         ORDER BY seq LIMIT $4"
    );
    let question = Question::of(tenant, sql)
        .with(integer(from))
        .with(integer(until))
        .with(limit(most));
    question.rows(pool).await
}

fn seq_of(stored: &Stored, next: u64) -> u64 {
    let seq: Option<i64> = stored.try_get(0).ok();
    seq.and_then(|seq| u64::try_from(seq).ok()).unwrap_or(next)
}

/// The row in these columns of [`ENTRY_COLUMNS`].
fn read(stored: &Stored, seq: u64) -> Result<Row<'_>, Fault> {
    let category: &str = column(stored, 5, "category")?;
    let trace: Uuid = column(stored, 8, "trace_id")?;
    let snapshot: Option<&[u8]> = column(stored, 12, "snapshot")?;
    let row = Row {
        seq,
        id: EntryId(column(stored, 1, "id")?),
        stream: column(stored, 2, "stream")?,
        stream_version: number(stored, 3, "stream_version")?,
        kind: column(stored, 4, "kind")?,
        category: Category::parse(category).ok_or_else(|| unreadable("category", category))?,
        at: instant(column(stored, 6, "at")?)?,
        actor: column(stored, 7, "actor")?,
        trace_id: TraceId::new(trace.as_u128()).ok_or("column `trace_id`: it is zero")?,
        causation: column::<Option<Uuid>>(stored, 9, "causation")?.map(EntryId),
        subject: column(stored, 10, "subject")?,
        directive: column::<Option<Uuid>>(stored, 11, "directive")?.map(DirectiveId),
        snapshot: snapshot
            .map(|found| digest(found, "snapshot").map(SnapshotId))
            .transpose()?,
        payload: column(stored, 13, "payload")?,
        payload_hash: digest(column(stored, 14, "payload_hash")?, "payload_hash")?,
        prev_hash: digest(column(stored, 15, "prev_hash")?, "prev_hash")?,
        hash: digest(column(stored, 16, "hash")?, "hash")?,
    };
    row.check()?;
    Ok(row)
}

fn column<'r, T: FromSql<'r>>(stored: &'r Stored, place: usize, name: &str) -> Result<T, Fault> {
    stored
        .try_get(place)
        .map_err(|error| format!("column `{name}`: {error}"))
}

fn number(stored: &Stored, place: usize, name: &str) -> Result<u64, Fault> {
    let number: i64 = column(stored, place, name)?;
    u64::try_from(number).map_err(|_| format!("column `{name}`: `{number}` is negative"))
}

fn instant(micros: i64) -> Result<Timestamp, Fault> {
    Timestamp::exactly(micros).ok_or_else(|| format!("column `at`: `{micros}` is no instant"))
}

fn digest(bytes: &[u8], name: &str) -> Result<Digest, Fault> {
    let digest: Result<[u8; 32], _> = bytes.try_into();
    digest
        .map(Digest)
        .map_err(|_| format!("column `{name}`: {} bytes are no digest", bytes.len()))
}
