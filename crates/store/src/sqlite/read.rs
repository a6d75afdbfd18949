//! Reading: heads, current states, what is due, large bodies.

use super::row::{self, documents_from};
use super::{fault, names};
use kernel::{Digest, StreamId, TenantId, Timestamp};
use ledger::entry::Head;
use ledger::query::{DocumentQuery, Order};
use ledger::store::{Document, StoreFault};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

/// Lines of SQLite's own check that are reported at most.
const CHECK_LINES_MAX: u32 = 20;

pub(super) fn head(connection: &Connection, tenant: TenantId) -> Result<Head, StoreFault> {
    let found: Option<(i64, [u8; 32])> = connection
        .prepare_cached("SELECT seq, hash FROM logs WHERE tenant = ?1")
        .map_err(fault)?
        .query_row([tenant.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .map_err(fault)?;
    Ok(found.map_or(Head::EMPTY, |(seq, hash)| Head {
        seq: seq.unsigned_abs(),
        hash: Digest(hash),
    }))
}

pub(super) fn tenants(connection: &Connection) -> Result<Vec<TenantId>, StoreFault> {
    let mut select = connection
        .prepare_cached("SELECT tenant FROM logs ORDER BY tenant")
        .map_err(fault)?;
    let rows = select
        .query_map([], |row| row.get::<_, String>(0))
        .map_err(fault)?;
    rows.map(|text| {
        let text = text.map_err(fault)?;
        text.parse()
            .map_err(|_| StoreFault::Damaged(format!("`{text}` is no tenant")))
    })
    .collect()
}

pub(super) fn log_number(
    connection: &Connection,
    tenant: TenantId,
) -> Result<Option<i64>, StoreFault> {
    connection
        .prepare_cached("SELECT number FROM logs WHERE tenant = ?1")
        .map_err(fault)?
        .query_row([tenant.to_string()], |row| row.get(0))
        .optional()
        .map_err(fault)
}

/// The conditions of a query with their values.
struct Conditions {
    sql: String,
    values: Vec<Value>,
}

impl Conditions {
    fn new(sql: &str, value: impl Into<Value>) -> Self {
        Self {
            sql: sql.to_owned(),
            values: vec![value.into()],
        }
    }
    fn and(&mut self, sql: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.sql.push_str(" AND ");
            self.sql.push_str(sql);
            self.values.push(value.into());
        }
    }
}

fn direction(order: Order) -> (&'static str, &'static str) {
    match order {
        Order::Ascending => (">", "ASC"),
        Order::Descending => ("<", "DESC"),
    }
}

pub(super) fn seq_value(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

pub(super) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

pub(super) fn collect<T>(
    connection: &Connection,
    sql: &str,
    values: Vec<Value>,
    read: impl Fn(&Row<'_>) -> Result<T, StoreFault>,
) -> Result<Vec<T>, StoreFault> {
    let mut select = connection.prepare_cached(sql).map_err(fault)?;
    let mut rows = select.query(params_from_iter(values)).map_err(fault)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(fault)? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// Documents, each with the name of its stream.
const BY_DOCUMENT: &str = "documents d LEFT JOIN names s ON s.number = d.stream";
/// Names in order, those of streams with their document.
const BY_NAME: &str = "names s INDEXED BY names_name CROSS JOIN documents d ON d.stream = s.number";

pub(super) fn document(
    connection: &Connection,
    tenant: TenantId,
    stream: &StreamId,
) -> Result<Option<Document>, StoreFault> {
    // One statement: each takes the locks of the file anew.
    let sql = format!(
        "{} WHERE s.log = (SELECT number FROM logs WHERE tenant = ?) AND s.name = ?",
        documents_from(BY_NAME)
    );
    let values = vec![
        Value::from(tenant.to_string()),
        Value::from(stream.as_str().to_owned()),
    ];
    Ok(collect(connection, &sql, values, row::document)?.pop())
}

pub(super) fn documents(
    connection: &Connection,
    tenant: TenantId,
    query: &DocumentQuery,
) -> Result<Vec<Document>, StoreFault> {
    let Some(log) = log_number(connection, tenant)? else {
        return Ok(Vec::new());
    };
    let subject = match &query.subject {
        None => None,
        Some(subject) => match names::find_name(connection, log, &subject.to_string())? {
            None => return Ok(Vec::new()),
            found => found,
        },
    };
    let (beyond, order) = direction(query.order);
    let mut where_ = Conditions::new("d.log = ?", log);
    where_.and("d.kind = ?", Some(query.kind.clone()));
    where_.and(
        &format!("d.created_seq {beyond} ?"),
        query.beyond_seq.map(seq_value),
    );
    where_.and("d.subject = ?", subject);
    where_.and(
        "d.directive = ?",
        query.directive.map(|d| d.0.as_bytes().to_vec()),
    );
    if !query.statuses.is_empty() {
        let marks = vec!["?"; query.statuses.len()].join(", ");
        where_.sql.push_str(&format!(" AND d.status IN ({marks})"));
        where_
            .values
            .extend(query.statuses.iter().cloned().map(Value::from));
    }
    where_.values.push(Value::from(limit(query.limit)));
    let sql = format!(
        "{} WHERE {} ORDER BY d.created_seq {order} LIMIT ?",
        documents_from(BY_DOCUMENT),
        where_.sql
    );
    collect(connection, &sql, where_.values, row::document)
}

pub(super) fn all_documents(
    connection: &Connection,
    tenant: TenantId,
    after: Option<&StreamId>,
    rows: usize,
) -> Result<Vec<Document>, StoreFault> {
    let Some(log) = log_number(connection, tenant)? else {
        return Ok(Vec::new());
    };
    let sql = format!(
        "{} WHERE s.log = ? AND s.name > ? ORDER BY s.name LIMIT ?",
        documents_from(BY_NAME)
    );
    let after = after.map_or("", StreamId::as_str).to_owned();
    let values = vec![
        Value::from(log),
        Value::from(after),
        Value::from(limit(rows)),
    ];
    collect(connection, &sql, values, row::document)
}

pub(super) fn due(
    connection: &Connection,
    now: Timestamp,
    rows: usize,
) -> Result<Vec<(TenantId, StreamId)>, StoreFault> {
    let sql = "SELECT l.tenant, s.name FROM documents d JOIN logs l ON l.number = d.log \
               JOIN names s ON s.number = d.stream \
               WHERE d.due_at IS NOT NULL AND d.due_at <= ? \
               ORDER BY d.due_at, d.log, s.name LIMIT ?";
    let values = vec![Value::from(now.as_micros()), Value::from(limit(rows))];
    collect(connection, sql, values, |row| {
        let tenant: String = row.get(0).map_err(fault)?;
        let stream: String = row.get(1).map_err(fault)?;
        let tenant = tenant
            .parse()
            .map_err(|_| StoreFault::Damaged(format!("`{tenant}` is no tenant")))?;
        Ok((tenant, StreamId::from_stored(&stream)))
    })
}

pub(super) fn next_due(connection: &Connection) -> Result<Option<Timestamp>, StoreFault> {
    let micros: Option<i64> = connection
        .prepare_cached("SELECT min(due_at) FROM documents WHERE due_at IS NOT NULL")
        .map_err(fault)?
        .query_row([], |row| row.get(0))
        .map_err(fault)?;
    Ok(micros.map(Timestamp::from_micros))
}

pub(super) fn object_digests(
    connection: &Connection,
    tenant: TenantId,
    after: Option<Digest>,
    rows: usize,
) -> Result<Vec<Digest>, StoreFault> {
    let Some(log) = log_number(connection, tenant)? else {
        return Ok(Vec::new());
    };
    // No digest is empty, so every one stands after the empty blob.
    let after = after.map_or_else(Vec::new, |digest| digest.0.to_vec());
    let sql = "SELECT digest FROM objects WHERE log = ? AND digest > ? ORDER BY digest LIMIT ?";
    let values = vec![
        Value::from(log),
        Value::from(after),
        Value::from(limit(rows)),
    ];
    collect(connection, sql, values, |row| {
        row.get(0).map(Digest).map_err(fault)
    })
}

pub(super) fn object(
    connection: &Connection,
    tenant: TenantId,
    digest: Digest,
) -> Result<Option<Vec<u8>>, StoreFault> {
    let bytes: Option<Vec<u8>> = connection
        .prepare_cached(
            "SELECT bytes FROM objects \
             WHERE log = (SELECT number FROM logs WHERE tenant = ?1) AND digest = ?2",
        )
        .map_err(fault)?
        .query_row(params![tenant.to_string(), digest.0], |row| row.get(0))
        .optional()
        .map_err(fault)?;
    match bytes {
        Some(bytes) if Digest::of(&bytes) != digest => Err(StoreFault::Damaged(format!(
            "the object {digest} does not have its digest"
        ))),
        found => Ok(found),
    }
}

pub(super) fn engine_check(connection: &Connection) -> Result<Vec<String>, StoreFault> {
    let sql = format!("PRAGMA integrity_check({CHECK_LINES_MAX})");
    let lines = collect(connection, &sql, Vec::new(), |row| {
        row.get::<_, String>(0).map_err(fault)
    })?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}
