//! Entries by their keys. Each key of a query is one or more walks along an
//! index, in the order of the log; a query by several keys leaps from one walk
//! to the other, so that what no entry has in common is never read.

use super::read::{collect, limit, log_number, seq_value};
use super::row::{self, ENTRIES, LOG_STRIDE};
use super::{fault, names};
use kernel::{EntryId, TenantId, Timestamp};
use ledger::entry::Entry;
use ledger::query::{EntryQuery, Order};
use ledger::store::StoreFault;
use rusqlite::types::Value;
use rusqlite::{Connection, Statement, params_from_iter};
use std::collections::VecDeque;

/// The keys that have an index, with its condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Index {
    Stream,
    Kind,
    Actor,
    Trace,
    Subject,
    SubjectActor,
    Directive,
}

impl Index {
    fn name_and_condition(self) -> (&'static str, &'static str) {
        match self {
            Self::Stream => ("entries_stream", "stream = ?"),
            Self::Kind => ("entries_kind", "kind = ?"),
            Self::Actor => ("entries_actor", "actor = ? AND kind = ?"),
            Self::Trace => ("entries_trace", "trace_id = ?"),
            Self::Subject => ("entries_subject", "subject = ? AND kind = ?"),
            Self::SubjectActor => (
                "entries_subject_actor",
                "subject = ? AND actor = ? AND kind = ?",
            ),
            Self::Directive => ("entries_directive", "directive = ?"),
        }
    }

    /// The statement that walks along the index. Its values are those of the
    /// condition, the lowest and the highest position, and the number of rows.
    fn sql(self, order: Order) -> String {
        let (name, condition) = self.name_and_condition();
        let direction = match order {
            Order::Ascending => "ASC",
            Order::Descending => "DESC",
        };
        format!(
            "SELECT position FROM entries INDEXED BY {name} WHERE {condition} \
             AND position >= ? AND position <= ? ORDER BY position {direction} LIMIT ?"
        )
    }
}

/// Rows of an index that are read first, and at most, in one go.
const ROWS_FIRST: i64 = 4;
const ROWS_MAX: i64 = 256;

/// The positions that may answer, and the order in which they are walked.
#[derive(Clone, Copy)]
struct Range {
    low: i64,
    high: i64,
    order: Order,
}

impl Range {
    fn of(log: i64, query: &EntryQuery) -> Self {
        let place = |seq: u64| log * LOG_STRIDE + seq_value(seq).min(LOG_STRIDE - 1);
        let (beyond, until) = (query.beyond_seq, query.until_seq);
        let (low, high) = match query.order {
            Order::Ascending => (beyond.map(|seq| place(seq) + 1), until.map(place)),
            Order::Descending => (until.map(place), beyond.map(|seq| place(seq) - 1)),
        };
        Self {
            low: low.unwrap_or(log * LOG_STRIDE),
            high: high.unwrap_or((log + 1) * LOG_STRIDE - 1),
            order: query.order,
        }
    }

    fn start(self) -> i64 {
        match self.order {
            Order::Ascending => self.low,
            Order::Descending => self.high,
        }
    }

    /// What is left of it from this position on.
    fn from(self, position: i64) -> Self {
        match self.order {
            Order::Ascending => Self {
                low: position,
                ..self
            },
            Order::Descending => Self {
                high: position,
                ..self
            },
        }
    }

    /// Whether `a` comes before `b`.
    fn before(self, a: i64, b: i64) -> bool {
        match self.order {
            Order::Ascending => a < b,
            Order::Descending => a > b,
        }
    }

    fn after(self, position: i64) -> i64 {
        match self.order {
            Order::Ascending => position + 1,
            Order::Descending => position - 1,
        }
    }
}

/// One walk along an index.
struct Walk {
    index: Index,
    key: Vec<Value>,
    ahead: VecDeque<i64>,
    rows: i64,
    ended: bool,
}

impl Walk {
    fn new(index: Index, key: Vec<Value>) -> Self {
        Self {
            index,
            key,
            ahead: VecDeque::new(),
            rows: ROWS_FIRST,
            ended: false,
        }
    }

    /// The first position from `rest` on.
    fn first(&mut self, connection: &Connection, rest: Range) -> Result<Option<i64>, StoreFault> {
        let target = rest.start();
        while let Some(position) = self.ahead.front() {
            if !rest.before(*position, target) {
                return Ok(Some(*position));
            }
            self.ahead.pop_front();
        }
        if self.ended {
            return Ok(None);
        }
        let mut select = connection
            .prepare_cached(&self.index.sql(rest.order))
            .map_err(fault)?;
        let bounds = [rest.low, rest.high, self.rows].map(Value::from);
        self.ahead = positions(&mut select, self.key.iter().cloned().chain(bounds))?;
        self.ended = seq_value(self.ahead.len() as u64) < self.rows;
        self.rows = (self.rows * 4).min(ROWS_MAX);
        Ok(self.ahead.front().copied())
    }
}

fn positions(
    select: &mut Statement<'_>,
    values: impl Iterator<Item = Value>,
) -> Result<VecDeque<i64>, StoreFault> {
    let rows = select
        .query_map(params_from_iter(values), |row| row.get(0))
        .map_err(fault)?;
    rows.collect::<Result<_, _>>().map_err(fault)
}

/// Walks of which an entry must be on one.
struct Key(Vec<Walk>);

impl Key {
    fn one(index: Index, key: Value) -> Self {
        Self(vec![Walk::new(index, vec![key])])
    }

    /// A walk for each of these kinds, along an index that goes on with the
    /// kind.
    fn by_kind(index: Index, key: &[i64], kinds: &[i64]) -> Self {
        let walk = |kind: &i64| {
            let key = key.iter().chain([kind]).copied();
            Walk::new(index, key.map(Value::from).collect())
        };
        Self(kinds.iter().map(walk).collect())
    }

    fn first(&mut self, connection: &Connection, rest: Range) -> Result<Option<i64>, StoreFault> {
        let mut best: Option<i64> = None;
        for walk in &mut self.0 {
            let found = walk.first(connection, rest)?;
            if let Some(found) = found.filter(|f| best.is_none_or(|b| rest.before(*f, b))) {
                best = Some(found);
            }
        }
        Ok(best)
    }
}

/// The keys of a query; `None` when a name that it asks for is in no entry.
fn keys(
    connection: &Connection,
    log: i64,
    query: &EntryQuery,
) -> Result<Option<Vec<Key>>, StoreFault> {
    let mut keys = Vec::new();
    if let Some(stream) = &query.stream {
        let Some(number) = names::find_name(connection, log, stream.as_str())? else {
            return Ok(None);
        };
        keys.push(Key::one(Index::Stream, number.into()));
    }
    if let Some(trace) = query.trace {
        keys.push(Key::one(Index::Trace, trace.to_bytes().to_vec().into()));
    }
    if let Some(directive) = query.directive {
        let bytes = directive.0.as_bytes().to_vec();
        keys.push(Key::one(Index::Directive, bytes.into()));
    }
    let kinds = names::find_kinds(connection, query.kind.as_deref(), query.category)?;
    let by_kind = query.kind.is_some() || query.category.is_some();
    let subject = query.subject.as_ref().map(ToString::to_string);
    let actor = query.actor.as_ref().map(ToString::to_string);
    if by_kind && subject.is_none() && actor.is_none() {
        let walk = |kind: &i64| Walk::new(Index::Kind, vec![(*kind).into()]);
        keys.push(Key(kinds.iter().map(walk).collect()));
    }
    let index = match (&subject, &actor) {
        (None, None) => return Ok(Some(keys)),
        (Some(_), None) => Index::Subject,
        (None, Some(_)) => Index::Actor,
        (Some(_), Some(_)) => Index::SubjectActor,
    };
    let mut key = Vec::new();
    for name in [subject, actor].into_iter().flatten() {
        let Some(number) = names::find_name(connection, log, &name)? else {
            return Ok(None);
        };
        key.push(number);
    }
    keys.push(Key::by_kind(index, &key, &kinds));
    Ok(Some(keys))
}

/// The first position from `rest` on that every key has.
fn common(
    connection: &Connection,
    keys: &mut [Key],
    mut rest: Range,
) -> Result<Option<i64>, StoreFault> {
    loop {
        let target = rest.start();
        for key in &mut *keys {
            match key.first(connection, rest)? {
                None => return Ok(None),
                Some(found) => rest = rest.from(found),
            }
        }
        // With one key, what it found is the answer.
        if rest.start() == target || keys.len() == 1 {
            return Ok(Some(rest.start()));
        }
    }
}

pub(super) fn page(
    connection: &Connection,
    tenant: TenantId,
    query: &EntryQuery,
) -> Result<Vec<Entry>, StoreFault> {
    let Some(log) = log_number(connection, tenant)? else {
        return Ok(Vec::new());
    };
    let range = Range::of(log, query);
    let Some(mut keys) = keys(connection, log, query)? else {
        return Ok(Vec::new());
    };
    if keys.is_empty() {
        return in_order(connection, tenant, range, query);
    }
    let sql = format!("{ENTRIES} WHERE e.position = ?");
    let mut select = connection.prepare_cached(&sql).map_err(fault)?;
    let mut found = Vec::new();
    let mut rest = range;
    while found.len() < query.limit {
        let Some(position) = common(connection, &mut keys, rest)? else {
            break;
        };
        let mut rows = select.query([position]).map_err(fault)?;
        let Some(row) = rows.next().map_err(fault)? else {
            return Err(StoreFault::Damaged(format!(
                "an index names entry {}, which is not there",
                position % LOG_STRIDE
            )));
        };
        if within(row.get(row::AT).map_err(fault)?, query) {
            found.push(row::entry(tenant, row)?);
        }
        rest = rest.from(rest.after(position));
    }
    Ok(found)
}

fn within(at: i64, query: &EntryQuery) -> bool {
    let at = Timestamp::from_micros(at);
    query.from.is_none_or(|from| at >= from) && query.until.is_none_or(|until| at < until)
}

/// Entries by nothing but their place and their time.
fn in_order(
    connection: &Connection,
    tenant: TenantId,
    range: Range,
    query: &EntryQuery,
) -> Result<Vec<Entry>, StoreFault> {
    let sql = in_order_sql(query);
    let mut values = vec![Value::from(range.low), Value::from(range.high)];
    values.extend(query.from.map(|from| Value::from(from.as_micros())));
    values.extend(query.until.map(|until| Value::from(until.as_micros())));
    values.push(Value::from(limit(query.limit)));
    collect(connection, &sql, values, |row| row::entry(tenant, row))
}

fn in_order_sql(query: &EntryQuery) -> String {
    let from = query.from.map_or("", |_| " AND e.at >= ?");
    let until = query.until.map_or("", |_| " AND e.at < ?");
    let direction = match query.order {
        Order::Ascending => "ASC",
        Order::Descending => "DESC",
    };
    format!(
        "{ENTRIES} WHERE e.position >= ? AND e.position <= ?{from}{until} \
         ORDER BY e.position {direction} LIMIT ?"
    )
}

pub(super) fn one(
    connection: &Connection,
    tenant: TenantId,
    id: EntryId,
) -> Result<Option<Entry>, StoreFault> {
    let Some(log) = log_number(connection, tenant)? else {
        return Ok(None);
    };
    let values = vec![
        Value::from(id.0.as_bytes().to_vec()),
        Value::from(log * LOG_STRIDE),
        Value::from((log + 1) * LOG_STRIDE),
    ];
    Ok(collect(connection, &one_sql(), values, |row| {
        row::entry(tenant, row)
    })?
    .pop())
}

fn one_sql() -> String {
    format!("{ENTRIES} WHERE e.id = ? AND e.position >= ? AND e.position < ?")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::Sqlite;

    /// The steps of the plan of a statement.
    fn plan(connection: &Connection, sql: &str) -> Vec<String> {
        let mut explain = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        let values = vec![1; explain.parameter_count()];
        let rows = explain.query_map(params_from_iter(values), |row| row.get(3));
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn every_key_is_a_walk_along_its_index_and_nothing_is_sorted() {
        let directory = tempfile::tempdir().unwrap();
        drop(Sqlite::open(directory.path()).unwrap());
        let file = directory.path().join(crate::sqlite::FILE_NAME);
        let connection = Connection::open(file).unwrap();
        let keys = [
            (Index::Stream, "entries_stream (stream=?"),
            (Index::Kind, "entries_kind (kind=?"),
            (Index::Actor, "entries_actor (actor=? AND kind=?"),
            (Index::Trace, "entries_trace (trace_id=?"),
            (Index::Subject, "entries_subject (subject=? AND kind=?"),
            (
                Index::SubjectActor,
                "entries_subject_actor (subject=? AND actor=? AND kind=?",
            ),
            (Index::Directive, "entries_directive (directive=?"),
        ];
        let orders = [Order::Ascending, Order::Descending];
        for (index, used) in keys {
            for order in orders {
                let plan = plan(&connection, &index.sql(order));
                let search = "SEARCH entries USING COVERING INDEX";
                let bounds = "AND rowid>? AND rowid<?)";
                assert_eq!(plan, [format!("{search} {used} {bounds}")], "{order:?}");
            }
        }
        let by_position = "SEARCH e USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)";
        for order in orders {
            for (from, until) in [(false, false), (true, false), (true, true)] {
                let query = EntryQuery {
                    from: from.then_some(Timestamp::EPOCH),
                    until: until.then_some(Timestamp::EPOCH),
                    order,
                    ..EntryQuery::default()
                };
                check(&plan(&connection, &in_order_sql(&query)), by_position);
            }
        }
        let by_id = "SEARCH e USING INDEX entries_id (id=? AND rowid>? AND rowid<?)";
        check(&plan(&connection, &one_sql()), by_id);
    }

    /// The first step is this one, and the others look up names by number.
    fn check(plan: &[String], first: &str) {
        assert_eq!(plan.first().map(String::as_str), Some(first));
        for step in plan.iter().skip(1) {
            let by_number = step.contains("USING INTEGER PRIMARY KEY (rowid=?)");
            assert!(by_number, "{plan:#?}");
        }
    }
}
