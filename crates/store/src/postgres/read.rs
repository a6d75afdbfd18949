//! Reading: each question is one transaction of the tenant that it is about,
//! sent as a whole.

use super::columns::integer;
use super::connect::{CALL_MAX, Lent, Pool, within};
use super::fault::{fault, is_answer, is_echo};
use super::row::{self, DOCUMENT_COLUMNS, ENTRY_COLUMNS};
use deadpool_postgres::Object;
use futures_util::join;
use kernel::{Digest, EntryId, StreamId, TenantId, Timestamp};
use ledger::entry::{Entry, Head};
use ledger::merkle::{Span, Tile};
use ledger::query::{DocumentQuery, Order};
use ledger::store::{Document, Leaf, StoreFault};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};
use uuid::Uuid;

type Value = Box<dyn ToSql + Sync + Send>;

/// A question with its values, `$1` first.
pub(super) struct Question {
    /// Whose rows it is about; `None` for what stands above tenants.
    tenant: Option<TenantId>,
    pub(super) sql: String,
    values: Vec<Value>,
}

impl Question {
    pub(super) fn across(sql: &str) -> Self {
        Self {
            tenant: None,
            sql: sql.to_owned(),
            values: Vec::new(),
        }
    }

    /// A question about a tenant, whose id is `$1`.
    pub(super) fn of(tenant: TenantId, sql: impl Into<String>) -> Self {
        Self {
            tenant: Some(tenant),
            sql: sql.into(),
            values: vec![Box::new(tenant.0)],
        }
    }

    pub(super) fn with<T: ToSql + Sync + Send + 'static>(mut self, value: T) -> Self {
        self.values.push(Box::new(value));
        self
    }

    /// Adds a value; returns what stands for it.
    pub(super) fn value<T: ToSql + Sync + Send + 'static>(&mut self, value: T) -> String {
        self.values.push(Box::new(value));
        format!("${}", self.values.len())
    }

    /// Adds a condition whose value stands for `?`.
    fn and<T: ToSql + Sync + Send + 'static>(&mut self, sql: &str, value: Option<T>) {
        if let Some(value) = value {
            let place = self.value(value);
            self.sql.push_str(" AND ");
            self.sql.push_str(&sql.replace('?', &place));
        }
    }

    fn order(&mut self, column: &str, order: Order, rows: usize) {
        let direction = match order {
            Order::Ascending => "ASC",
            Order::Descending => "DESC",
        };
        let place = self.value(limit(rows));
        let tail = format!(" ORDER BY {column} {direction} LIMIT {place}");
        self.sql.push_str(&tail);
    }

    /// The rows. A connection that turns out to be gone is replaced once.
    pub(super) async fn rows(self, pool: &Pool) -> Result<Vec<Row>, StoreFault> {
        match self.ask(pool).await? {
            Ok(rows) => Ok(rows),
            Err(error) if is_answer(&error) => Err(fault(&error)),
            Err(_) => self.ask(pool).await?.map_err(|error| fault(&error)),
        }
    }

    async fn ask(&self, pool: &Pool) -> Result<Result<Vec<Row>, Error>, StoreFault> {
        let lent = Lent::from(pool).await?;
        let rows = within(CALL_MAX, self.send(lent.client()?)).await?;
        if rows.as_ref().err().is_none_or(is_answer) {
            lent.give_back();
        }
        Ok(rows)
    }

    async fn send(&self, client: &Object) -> Result<Vec<Row>, Error> {
        let statement = client.prepare_cached(&self.sql).await?;
        let values: Vec<&(dyn ToSql + Sync)> =
            self.values.iter().map(|value| &**value as _).collect();
        let begin = match self.tenant {
            None => return client.query(&statement, &values).await,
            Some(tenant) => format!(
                "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; \
                 SELECT set_config('writ.tenant', '{}', true)",
                tenant.0
            ),
        };
        // Polled in this order, and sent when polled.
        let (begun, rows, ended) = join!(
            client.batch_execute(&begin),
            client.query(&statement, &values),
            client.batch_execute("COMMIT"),
        );
        match (begun, rows, ended) {
            (Err(error), ..) => Err(error),
            (_, Err(error), _) if !is_echo(&error) => Err(error),
            (.., Err(error)) => Err(error),
            (Ok(()), rows, Ok(())) => rows,
        }
    }

    pub(super) async fn all<T>(
        self,
        pool: &Pool,
        read: impl Fn(&Row) -> Result<T, StoreFault>,
    ) -> Result<Vec<T>, StoreFault> {
        self.rows(pool).await?.iter().map(read).collect()
    }

    async fn one<T>(
        self,
        pool: &Pool,
        read: impl Fn(&Row) -> Result<T, StoreFault>,
    ) -> Result<Option<T>, StoreFault> {
        Ok(self.all(pool, read).await?.pop())
    }
}

pub(super) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

pub(super) async fn head(pool: &Pool, tenant: TenantId) -> Result<Head, StoreFault> {
    let question = Question::of(tenant, "SELECT seq, hash FROM writ.logs WHERE tenant = $1");
    let found = question.one(pool, row::head).await?;
    Ok(found.unwrap_or(Head::EMPTY))
}

pub(super) async fn tenants(pool: &Pool) -> Result<Vec<TenantId>, StoreFault> {
    let question = Question::across("SELECT tenant FROM writ.logs ORDER BY tenant");
    let tenant = |row: &Row| row::value::<Uuid>(row, "tenant").map(TenantId);
    question.all(pool, tenant).await
}

pub(super) async fn entry(
    pool: &Pool,
    tenant: TenantId,
    id: EntryId,
) -> Result<Option<Entry>, StoreFault> {
    let sql = format!("SELECT {ENTRY_COLUMNS} FROM writ.entries WHERE tenant = $1 AND id = $2");
    let question = Question::of(tenant, sql).with(id.0);
    question.one(pool, |row| row::entry(tenant, row)).await
}

pub(super) async fn document(
    pool: &Pool,
    tenant: TenantId,
    stream: &StreamId,
) -> Result<Option<Document>, StoreFault> {
    let sql =
        format!("SELECT {DOCUMENT_COLUMNS} FROM writ.documents WHERE tenant = $1 AND stream = $2");
    let question = Question::of(tenant, sql).with(stream.as_str().to_owned());
    question.one(pool, row::document).await
}

pub(super) async fn documents(
    pool: &Pool,
    tenant: TenantId,
    query: &DocumentQuery,
) -> Result<Vec<Document>, StoreFault> {
    let sql =
        format!("SELECT {DOCUMENT_COLUMNS} FROM writ.documents WHERE tenant = $1 AND kind = $2");
    let mut question = Question::of(tenant, sql).with(query.kind.clone());
    let beyond = match query.order {
        Order::Ascending => "created_seq > ?",
        Order::Descending => "created_seq < ?",
    };
    question.and(beyond, query.beyond_seq.map(integer));
    let subject = query.subject.as_ref().map(ToString::to_string);
    question.and("subject = ?", subject);
    question.and("directive = ?", query.directive.map(|id| id.0));
    let statuses = (!query.statuses.is_empty()).then(|| query.statuses.clone());
    question.and("status = ANY (?)", statuses);
    question.order("created_seq", query.order, query.limit);
    question.all(pool, row::document).await
}

pub(super) async fn all_documents(
    pool: &Pool,
    tenant: TenantId,
    after: Option<&StreamId>,
    rows: usize,
) -> Result<Vec<Document>, StoreFault> {
    let sql = format!("SELECT {DOCUMENT_COLUMNS} FROM writ.documents WHERE tenant = $1");
    let mut question = Question::of(tenant, sql);
    question.and("stream > ?", after.map(|stream| stream.as_str().to_owned()));
    question.order("stream", Order::Ascending, rows);
    question.all(pool, row::document).await
}

pub(super) async fn due(
    pool: &Pool,
    now: Timestamp,
    rows: usize,
) -> Result<Vec<(TenantId, StreamId)>, StoreFault> {
    let sql = "SELECT tenant, stream FROM writ.due WHERE at <= $1 \
               ORDER BY at, tenant, stream LIMIT $2";
    let question = Question::across(sql);
    let question = question.with(now.as_micros()).with(limit(rows));
    question.all(pool, row::due).await
}

pub(super) async fn next_due(pool: &Pool) -> Result<Option<Timestamp>, StoreFault> {
    let question = Question::across("SELECT at FROM writ.due ORDER BY at LIMIT 1");
    let at = |row: &Row| row::value(row, "at").map(Timestamp::from_micros);
    question.one(pool, at).await
}

pub(super) async fn leaves(
    pool: &Pool,
    tenant: TenantId,
    beyond_seq: u64,
    rows: usize,
) -> Result<Vec<Leaf>, StoreFault> {
    let sql = "SELECT seq, hash, at FROM writ.entries WHERE tenant = $1 AND seq > $2";
    let mut question = Question::of(tenant, sql).with(integer(beyond_seq));
    question.order("seq", Order::Ascending, rows);
    question.all(pool, |row| row::leaf(tenant, row)).await
}

pub(super) async fn tile(
    pool: &Pool,
    tenant: TenantId,
    level: u8,
    index: u64,
) -> Result<Option<Tile>, StoreFault> {
    let sql = "SELECT hashes FROM writ.tiles WHERE tenant = $1 AND level = $2 AND number = $3";
    let question = Question::of(tenant, sql);
    let question = question.with(i16::from(level)).with(integer(index));
    question.one(pool, |row| row::tile(level, index, row)).await
}

pub(super) async fn spans(
    pool: &Pool,
    tenant: TenantId,
    level: u8,
    from_index: u64,
    rows: usize,
) -> Result<Vec<Span>, StoreFault> {
    let sql = "SELECT number, at_min, at_max FROM writ.spans \
               WHERE tenant = $1 AND level = $2 AND number >= $3";
    let question = Question::of(tenant, sql);
    let mut question = question.with(i16::from(level)).with(integer(from_index));
    question.order("number", Order::Ascending, rows);
    question.all(pool, |row| row::span(level, row)).await
}

pub(super) async fn object_digests(
    pool: &Pool,
    tenant: TenantId,
    after: Option<Digest>,
    rows: usize,
) -> Result<Vec<Digest>, StoreFault> {
    let sql = "SELECT digest FROM writ.objects WHERE tenant = $1";
    let mut question = Question::of(tenant, sql);
    question.and("digest > ?", after.map(|digest| digest.0.to_vec()));
    question.order("digest", Order::Ascending, rows);
    question.all(pool, row::object_digest).await
}

pub(super) async fn object(
    pool: &Pool,
    tenant: TenantId,
    digest: Digest,
) -> Result<Option<Vec<u8>>, StoreFault> {
    let sql = "SELECT bytes FROM writ.objects WHERE tenant = $1 AND digest = $2";
    let question = Question::of(tenant, sql).with(digest.0.to_vec());
    let bytes = |row: &Row| row::value::<Vec<u8>>(row, "bytes");
    match question.one(pool, bytes).await? {
        Some(bytes) if Digest::of(&bytes) != digest => Err(StoreFault::Damaged(format!(
            "the object {digest} does not have its digest"
        ))),
        found => Ok(found),
    }
}
