//! Migrations: forward only, one transaction each, counted in `user_version`.
//! A file that a newer writ wrote is refused.

use super::{fault, tree};
use kernel::{Digest, Timestamp};
use ledger::merkle::Frontier;
use ledger::store::StoreFault;
use rusqlite::{Connection, Transaction, TransactionBehavior};

/// "writ" in ASCII: tells writ's files from other SQLite files.
const APPLICATION_ID: i32 = 0x7772_6974;

/// One step from a version to the next.
struct Migration {
    /// The statements.
    sql: &'static str,
    /// What is computed from the rows after the statements.
    after: fn(&Transaction<'_>) -> Result<(), StoreFault>,
}

const MIGRATIONS: [Migration; 2] = [
    Migration {
        sql: include_str!("schema_1.sql"),
        after: |_| Ok(()),
    },
    Migration {
        sql: include_str!("schema_2.sql"),
        after: plant_trees,
    },
];

/// Brings the file to this version of writ.
pub(super) fn run(mut connection: Connection) -> Result<Connection, StoreFault> {
    let found = version(&connection)?;
    for (version, migration) in (1_i32..).zip(MIGRATIONS).skip(found) {
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(fault)?;
        transaction.execute_batch(migration.sql).map_err(fault)?;
        (migration.after)(&transaction)?;
        transaction
            .pragma_update(None, "application_id", APPLICATION_ID)
            .map_err(fault)?;
        transaction
            .pragma_update(None, "user_version", version)
            .map_err(fault)?;
        transaction.commit().map_err(fault)?;
    }
    Ok(connection)
}

/// Writes the version that stands there already: a write that changes nothing.
pub(super) fn rewrite_version(connection: &mut Connection) -> Result<(), StoreFault> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(fault)?;
    let version: i32 = transaction
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(fault)?;
    transaction
        .pragma_update(None, "user_version", version)
        .map_err(fault)?;
    transaction.commit().map_err(fault)
}

/// Checks that the file is of exactly this version.
pub(super) fn check(connection: &Connection) -> Result<(), StoreFault> {
    let found = version(connection)?;
    if found < MIGRATIONS.len() {
        return Err(StoreFault::Unavailable(format!(
            "the database has version {found}, this writ reads version {}; \
             start `writ up` once to bring it up to date",
            MIGRATIONS.len()
        )));
    }
    Ok(())
}

fn version(connection: &Connection) -> Result<usize, StoreFault> {
    let pragma = |name| {
        connection
            .pragma_query_value(None, name, |row| row.get::<_, i32>(0))
            .map_err(fault)
    };
    let application = pragma("application_id")?;
    let version = usize::try_from(pragma("user_version")?).unwrap_or(usize::MAX);
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(fault)?;
    if tables > 0 && application != APPLICATION_ID {
        return Err(StoreFault::Unavailable(
            "the file is an SQLite database, but not one of writ's".into(),
        ));
    }
    if version > MIGRATIONS.len() {
        return Err(StoreFault::Unavailable(format!(
            "the database has version {version} and was written by a newer writ; this one knows \
             versions up to {}: install the newer writ, or restore a backup made by this one",
            MIGRATIONS.len()
        )));
    }
    Ok(version)
}

/// What has grown is stored each time this many entries went in.
const STORE_EVERY: u64 = 16_384;

/// Makes the Merkle trees of the logs that were written before there were any.
fn plant_trees(transaction: &Transaction<'_>) -> Result<(), StoreFault> {
    let mut select = transaction
        .prepare("SELECT position >> 40, hash, at FROM entries ORDER BY position")
        .map_err(fault)?;
    let mut rows = select.query([]).map_err(fault)?;
    let mut planted: Option<(i64, Frontier)> = None;
    while let Some(row) = rows.next().map_err(fault)? {
        let log: i64 = row.get(0).map_err(fault)?;
        if planted.as_ref().is_some_and(|(before, _)| *before != log) {
            store(transaction, planted.take())?;
        }
        let (_, frontier) = planted.get_or_insert_with(|| (log, Frontier::default()));
        let hash = Digest(row.get(1).map_err(fault)?);
        frontier.push(hash, Timestamp::from_micros(row.get(2).map_err(fault)?));
        if frontier.size().is_multiple_of(STORE_EVERY) {
            tree::store(transaction, log, &frontier.take_grown())?;
        }
    }
    store(transaction, planted)
}

fn store(
    transaction: &Transaction<'_>,
    planted: Option<(i64, Frontier)>,
) -> Result<(), StoreFault> {
    match planted {
        None => Ok(()),
        Some((log, mut frontier)) => tree::store(transaction, log, &frontier.take_grown()),
    }
}
