//! What a batch writes, column by column: each table takes all of its rows in
//! one statement.

use super::pipeline::Pipeline;
use deadpool_postgres::Object;
use kernel::names::Name as _;
use kernel::{StreamId, Timestamp};
use ledger::entry::Entry;
use ledger::store::{Batch, Document};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Statement};
use uuid::Uuid;

const MOVE_HEAD: &str = "SELECT writ.move_head($1, $2, $3, $4, $5)";
const ENTRIES: &str = "INSERT INTO writ.entries (tenant, seq, id, stream, stream_version, kind, \
    category, at, actor, trace_id, causation, subject, directive, snapshot, payload, \
    payload_hash, prev_hash, hash) SELECT $1, * FROM unnest($2::bigint[], $3::uuid[], $4::text[], \
    $5::bigint[], $6::text[], $7::text[], $8::bigint[], $9::text[], $10::uuid[], $11::uuid[], \
    $12::text[], $13::uuid[], $14::bytea[], $15::text[], $16::bytea[], $17::bytea[], $18::bytea[])";
const DOCUMENTS: &str = "INSERT INTO writ.documents (tenant, stream, kind, version, created_seq, \
    updated_seq, status, subject, directive, due_at, body) SELECT $1, * FROM unnest($2::text[], \
    $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::text[], $9::uuid[], \
    $10::bigint[], $11::text[]) ON CONFLICT (tenant, stream) DO UPDATE SET \
    version = excluded.version, updated_seq = excluded.updated_seq, status = excluded.status, \
    subject = excluded.subject, directive = excluded.directive, due_at = excluded.due_at, \
    body = excluded.body";
const DUE: &str = "INSERT INTO writ.due (tenant, stream, at) \
    SELECT $1, * FROM unnest($2::text[], $3::bigint[]) \
    ON CONFLICT (tenant, stream) DO UPDATE SET at = excluded.at";
const NOT_DUE: &str = "DELETE FROM writ.due WHERE tenant = $1 AND stream = ANY ($2::text[])";
const OBJECTS: &str = "INSERT INTO writ.objects (tenant, digest, bytes) \
    SELECT $1, * FROM unnest($2::bytea[], $3::bytea[]) ON CONFLICT DO NOTHING";
const TILES: &str = "INSERT INTO writ.tiles (tenant, level, number, hashes) \
    SELECT $1, * FROM unnest($2::smallint[], $3::bigint[], $4::bytea[]) \
    ON CONFLICT (tenant, level, number) DO UPDATE SET hashes = excluded.hashes";
const SPANS: &str = "INSERT INTO writ.spans (tenant, level, number, at_min, at_max) \
    SELECT $1, * FROM unnest($2::smallint[], $3::bigint[], $4::bigint[], $5::bigint[])";

/// The statements of an append, prepared on one connection.
pub(super) struct Statements {
    move_head: Statement,
    entries: Statement,
    documents: Statement,
    due: Statement,
    not_due: Statement,
    objects: Statement,
    tiles: Statement,
    spans: Statement,
}

impl Statements {
    pub(super) async fn of(client: &Object) -> Result<Self, Error> {
        Ok(Self {
            move_head: client.prepare_cached(MOVE_HEAD).await?,
            entries: client.prepare_cached(ENTRIES).await?,
            documents: client.prepare_cached(DOCUMENTS).await?,
            due: client.prepare_cached(DUE).await?,
            not_due: client.prepare_cached(NOT_DUE).await?,
            objects: client.prepare_cached(OBJECTS).await?,
            tiles: client.prepare_cached(TILES).await?,
            spans: client.prepare_cached(SPANS).await?,
        })
    }

    fn of_table(&self, table: Table) -> &Statement {
        match table {
            Table::Head => &self.move_head,
            Table::Entries => &self.entries,
            Table::Documents => &self.documents,
            Table::Due => &self.due,
            Table::NotDue => &self.not_due,
            Table::Objects => &self.objects,
            Table::Tiles => &self.tiles,
            Table::Spans => &self.spans,
        }
    }
}

type Value<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// The rows of a batch.
pub(super) struct Columns<'a> {
    batch: &'a Batch,
    tables: Vec<(Table, Vec<Value<'a>>)>,
}

#[derive(Clone, Copy)]
enum Table {
    Head,
    Entries,
    Documents,
    Due,
    NotDue,
    Objects,
    Tiles,
    Spans,
}

/// One column of the rows.
fn column<'a, R, T: ToSql + Sync + Send + 'a>(rows: &'a [R], of: impl Fn(&'a R) -> T) -> Value<'a> {
    Box::new(rows.iter().map(of).collect::<Vec<T>>())
}

/// Counts stay far below 2^63; a number beyond it fails in the database.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl<'a> Columns<'a> {
    pub(super) fn of(batch: &'a Batch) -> Self {
        let mut columns = Self {
            batch,
            tables: Vec::new(),
        };
        columns.head();
        columns.entries(&batch.entries);
        columns.documents(&batch.documents);
        columns.due(&batch.documents);
        columns.objects();
        columns.tree();
        columns
    }

    fn add(&mut self, table: Table, values: Vec<Value<'a>>) {
        let tenant: Value<'a> = Box::new(self.batch.tenant.0);
        let values = std::iter::once(tenant).chain(values).collect();
        self.tables.push((table, values));
    }

    fn head(&mut self) {
        let batch = self.batch;
        if let Some(last) = batch.entries.last() {
            self.add(
                Table::Head,
                vec![
                    Box::new(integer(batch.expected.seq)),
                    Box::new(batch.expected.hash.0.as_slice()),
                    Box::new(integer(last.seq)),
                    Box::new(last.hash.0.as_slice()),
                ],
            );
        }
    }

    fn entries(&mut self, entries: &'a [Entry]) {
        self.add(
            Table::Entries,
            vec![
                column(entries, |e| integer(e.seq)),
                column(entries, |e| e.id.0),
                column(entries, |e| e.stream.as_str()),
                column(entries, |e| integer(e.stream_version)),
                column(entries, |e| e.kind.as_str()),
                column(entries, |e| e.category.name()),
                column(entries, |e| e.at.as_micros()),
                column(entries, |e| e.actor.to_string()),
                column(entries, |e| trace(e.trace_id)),
                column(entries, |e| e.causation.map(|id| id.0)),
                column(entries, |e| e.subject.as_ref().map(ToString::to_string)),
                column(entries, |e| e.directive.map(|id| id.0)),
                column(entries, |e| e.snapshot.as_ref().map(|id| id.0.0.as_slice())),
                column(entries, |e| e.payload.as_str()),
                column(entries, |e| e.payload_hash.0.as_slice()),
                column(entries, |e| e.prev_hash.0.as_slice()),
                column(entries, |e| e.hash.0.as_slice()),
            ],
        );
    }

    fn documents(&mut self, documents: &'a [Document]) {
        if documents.is_empty() {
            return;
        }
        self.add(
            Table::Documents,
            vec![
                column(documents, |d| d.stream.as_str()),
                column(documents, |d| d.stream.kind()),
                column(documents, |d| integer(d.version)),
                column(documents, |d| integer(d.created_seq)),
                column(documents, |d| integer(d.updated_seq)),
                column(documents, |d| d.status.as_str()),
                column(documents, |d| d.subject.as_ref().map(ToString::to_string)),
                column(documents, |d| d.directive.map(|id| id.0)),
                column(documents, |d| d.due_at.map(Timestamp::as_micros)),
                column(documents, |d| d.body.as_str()),
            ],
        );
    }

    fn due(&mut self, documents: &'a [Document]) {
        let due: Vec<(&StreamId, Timestamp)> = documents
            .iter()
            .filter_map(|d| d.due_at.map(|at| (&d.stream, at)))
            .collect();
        if !due.is_empty() {
            let streams: Vec<&str> = due.iter().map(|(stream, _)| stream.as_str()).collect();
            let at: Vec<i64> = due.iter().map(|(_, at)| at.as_micros()).collect();
            self.add(Table::Due, vec![Box::new(streams), Box::new(at)]);
        }
        // A stream of one version was never due before.
        let not_due: Vec<&str> = documents
            .iter()
            .filter(|d| d.due_at.is_none() && d.version > 1)
            .map(|d| d.stream.as_str())
            .collect();
        if !not_due.is_empty() {
            self.add(Table::NotDue, vec![Box::new(not_due)]);
        }
    }

    fn objects(&mut self) {
        let objects = &self.batch.objects;
        if !objects.is_empty() {
            self.add(
                Table::Objects,
                vec![
                    column(objects, |(digest, _)| digest.0.as_slice()),
                    column(objects, |(_, bytes)| bytes.as_slice()),
                ],
            );
        }
    }

    fn tree(&mut self) {
        let grown = &self.batch.grown;
        if !grown.tiles.is_empty() {
            self.add(
                Table::Tiles,
                vec![
                    column(&grown.tiles, |tile| i16::from(tile.level)),
                    column(&grown.tiles, |tile| integer(tile.index)),
                    column(&grown.tiles, ledger::merkle::Tile::to_bytes),
                ],
            );
        }
        if !grown.spans.is_empty() {
            self.add(
                Table::Spans,
                vec![
                    column(&grown.spans, |span| i16::from(span.level)),
                    column(&grown.spans, |span| integer(span.index)),
                    column(&grown.spans, |span| span.at_min.as_micros()),
                    column(&grown.spans, |span| span.at_max.as_micros()),
                ],
            );
        }
    }

    /// Sends one statement for each table that has rows.
    pub(super) async fn send<'s>(
        &'s self,
        client: &'s Object,
        statements: &'s Statements,
        pipeline: &mut Pipeline<'s>,
    ) {
        for (table, values) in &self.tables {
            let statement = statements.of_table(*table);
            pipeline
                .send(async move {
                    let values: Vec<&(dyn ToSql + Sync)> =
                        values.iter().map(|value| &**value as _).collect();
                    client.execute(statement, &values).await
                })
                .await;
        }
    }
}

/// A trace id is sixteen bytes, as a UUID is.
pub(super) fn trace(id: kernel::TraceId) -> Uuid {
    Uuid::try_parse(&id.to_string()).unwrap_or_default()
}
