//! A run of entries as they are stored, for whoever checks or replays a whole
//! log: columns by their place, texts not copied before they are kept. Names
//! that repeat from row to row are looked up once in a run.

use super::read::{log_number, seq_value};
use super::row::{Fault, LOG_STRIDE, instant};
use kernel::names::Name as _;
use kernel::{Category, Digest, DirectiveId, EntryId, SnapshotId, TenantId, TraceId};
use ledger::row::{Broken, Row, Rows, Seqs, unreadable};
use ledger::store::StoreFault;
use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, Error, OptionalExtension as _, Row as Stored};
use std::collections::HashMap;
use uuid::Uuid;

/// Rows between two looks at how many bytes were read.
const STRIDE: usize = 64;

/// Streams are as many as entries, so that their names are joined here.
const ROWS: &str = "SELECT e.position, e.id, s.name, e.stream_version, e.kind, e.at, e.actor, \
     e.trace_id, e.causation, e.subject, e.directive, e.snapshot, e.payload, e.payload_hash, \
     e.prev_hash, e.hash FROM entries e \
     LEFT JOIN names s ON s.number = e.stream AND s.log = e.position >> 40 WHERE e.position >= ?1 AND e.position <= ?2 ORDER BY e.position";

pub(super) fn rows(
    connection: &Connection,
    tenant: TenantId,
    seqs: Seqs,
    bytes_max: usize,
) -> Result<Rows, StoreFault> {
    let mut rows = Rows::default();
    let Some(log) = log_number(connection, tenant)? else {
        return Ok(rows);
    };
    let place = |seq| log * LOG_STRIDE + seq_value(seq).min(LOG_STRIDE - 1);
    let mut names = Names::new(connection, log)?;
    let mut select = connection.prepare_cached(ROWS).map_err(super::fault)?;
    let mut found = select
        .query([place(seqs.from), place(seqs.until)])
        .map_err(super::fault)?;
    loop {
        let next = rows.last_seq().map_or(seqs.from, |last| last + 1);
        match found.next().map_err(super::fault) {
            Ok(None) => break,
            Ok(Some(stored)) => {
                let seq = seq_of(stored, next);
                match read(stored, seq, &mut names) {
                    Ok(row) => rows.push(&row),
                    Err(what) => {
                        rows.broken = Some(Broken { seq, what });
                        break;
                    }
                }
            }
            Err(StoreFault::Damaged(what)) => {
                rows.broken = Some(Broken { seq: next, what });
                break;
            }
            Err(other) => return Err(other),
        }
        if rows.len().is_multiple_of(STRIDE) && rows.bytes() >= bytes_max {
            rows.more = true;
            break;
        }
    }
    Ok(rows)
}

fn seq_of(stored: &Stored<'_>, next: u64) -> u64 {
    let position: Result<i64, Error> = stored.get(0);
    position.map_or(next, |position| {
        position.rem_euclid(LOG_STRIDE).unsigned_abs()
    })
}

/// The row in these columns of [`ROWS`].
fn read<'a>(stored: &'a Stored<'_>, seq: u64, names: &'a mut Names<'_>) -> Result<Row<'a>, Fault> {
    let cells = Cells(stored);
    let kind = cells.integer(4, "kind")?;
    let actor = cells.integer(6, "actor")?;
    let subject = cells.optional(9, "subject", Cells::integer)?;
    names.learn_kind(kind)?;
    names.learn("actor", actor)?;
    if let Some(subject) = subject {
        names.learn("subject", subject)?;
    }
    let (kind, category) = names.kind(kind)?;
    let row = Row {
        seq,
        id: EntryId(cells.uuid(1, "id")?),
        stream: cells.text(2, "stream")?,
        stream_version: cells.number(3, "stream_version")?,
        kind,
        category,
        at: instant(cells.integer(5, "at")?)?,
        actor: names.name("actor", actor)?,
        trace_id: TraceId::new(u128::from_be_bytes(cells.bytes(7, "trace_id")?))
            .ok_or("column `trace_id`: it is zero")?,
        causation: cells.optional(8, "causation", Cells::uuid)?.map(EntryId),
        subject: subject
            .map(|number| names.name("subject", number))
            .transpose()?,
        directive: cells
            .optional(10, "directive", Cells::uuid)?
            .map(DirectiveId),
        snapshot: cells
            .optional(11, "snapshot", Cells::bytes)?
            .map(|bytes| SnapshotId(Digest(bytes))),
        payload: cells.text(12, "payload")?,
        payload_hash: Digest(cells.bytes(13, "payload_hash")?),
        prev_hash: Digest(cells.bytes(14, "prev_hash")?),
        hash: Digest(cells.bytes(15, "hash")?),
    };
    row.check()?;
    Ok(row)
}

/// The names that the rows of a run carry as numbers.
struct Names<'c> {
    find_name: CachedStatement<'c>,
    find_kind: CachedStatement<'c>,
    log: i64,
    names: HashMap<i64, Box<str>>,
    kinds: HashMap<i64, (Box<str>, Category)>,
}

impl<'c> Names<'c> {
    fn new(connection: &'c Connection, log: i64) -> Result<Self, StoreFault> {
        let prepare = |sql| connection.prepare_cached(sql).map_err(super::fault);
        Ok(Self {
            find_name: prepare("SELECT name FROM names WHERE number = ?1 AND log = ?2")?,
            find_kind: prepare("SELECT kind, category FROM kinds WHERE number = ?1")?,
            log,
            names: HashMap::new(),
            kinds: HashMap::new(),
        })
    }

    fn learn(&mut self, column: &str, number: i64) -> Result<(), Fault> {
        if self.names.contains_key(&number) {
            return Ok(());
        }
        let found: Option<String> = self
            .find_name
            .query_row([number, self.log], |row| row.get(0))
            .optional()
            .map_err(|e| format!("column `{column}`: {e}"))?;
        let name = found.ok_or_else(|| nameless(column, number))?;
        self.names.insert(number, name.into());
        Ok(())
    }

    fn learn_kind(&mut self, number: i64) -> Result<(), Fault> {
        if self.kinds.contains_key(&number) {
            return Ok(());
        }
        let found: Option<(String, String)> = self
            .find_kind
            .query_row([number], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .map_err(|e| format!("column `kind`: {e}"))?;
        let (kind, text) = found.ok_or_else(|| nameless("kind", number))?;
        let category = Category::parse(&text).ok_or_else(|| unreadable("category", &text))?;
        self.kinds.insert(number, (kind.into(), category));
        Ok(())
    }

    fn name(&self, column: &str, number: i64) -> Result<&str, Fault> {
        let name = self.names.get(&number).map(AsRef::as_ref);
        name.ok_or_else(|| nameless(column, number))
    }

    fn kind(&self, number: i64) -> Result<(&str, Category), Fault> {
        let kind = self.kinds.get(&number);
        kind.map(|(kind, category)| (&**kind, *category))
            .ok_or_else(|| nameless("kind", number))
    }
}

fn nameless(column: &str, number: i64) -> Fault {
    format!("column `{column}`: nothing in this log is named {number}")
}

/// The columns of one row, by place; the name is for the fault.
struct Cells<'a, 's>(&'a Stored<'s>);

impl<'a> Cells<'a, '_> {
    fn value(&self, place: usize, name: &str) -> Result<ValueRef<'a>, Fault> {
        self.0
            .get_ref(place)
            .map_err(|e| format!("column `{name}`: {e}"))
    }

    /// What `read` reads; `None` when there is no value.
    fn optional<T>(
        &self,
        place: usize,
        name: &str,
        read: impl FnOnce(&Self, usize, &str) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        match self.value(place, name)? {
            ValueRef::Null => Ok(None),
            _ => read(self, place, name).map(Some),
        }
    }

    fn text(&self, place: usize, name: &str) -> Result<&'a str, Fault> {
        match self.value(place, name)? {
            ValueRef::Text(bytes) => {
                std::str::from_utf8(bytes).map_err(|e| format!("column `{name}`: {e}"))
            }
            other => Err(no(name, "text", other)),
        }
    }

    fn integer(&self, place: usize, name: &str) -> Result<i64, Fault> {
        match self.value(place, name)? {
            ValueRef::Integer(number) => Ok(number),
            other => Err(no(name, "an integer", other)),
        }
    }

    fn number(&self, place: usize, name: &str) -> Result<u64, Fault> {
        let number = self.integer(place, name)?;
        u64::try_from(number).map_err(|_| format!("column `{name}`: `{number}` is negative"))
    }

    fn bytes<const N: usize>(&self, place: usize, name: &str) -> Result<[u8; N], Fault> {
        match self.value(place, name)? {
            ValueRef::Blob(bytes) => bytes
                .try_into()
                .map_err(|_| format!("column `{name}`: {} bytes instead of {N}", bytes.len())),
            other => Err(no(name, "bytes", other)),
        }
    }

    fn uuid(&self, place: usize, name: &str) -> Result<Uuid, Fault> {
        self.bytes(place, name).map(Uuid::from_bytes)
    }
}

fn no(name: &str, wanted: &str, found: ValueRef<'_>) -> Fault {
    let found = found.data_type();
    format!("column `{name}`: {wanted} is wanted, `{found}` stands there")
}
