//! Migrations: forward only, one transaction each, counted in `user_version`.
//! A file that a newer writ wrote is refused.

use super::fault;
use ledger::store::StoreFault;
use rusqlite::{Connection, TransactionBehavior};

/// "writ" in ASCII: tells writ's files from other SQLite files.
const APPLICATION_ID: i32 = 0x7772_6974;
const MIGRATIONS: [&str; 1] = [include_str!("schema_1.sql")];

/// Brings the file to this version of writ.
pub(super) fn run(connection: &mut Connection) -> Result<(), StoreFault> {
    let found = version(connection)?;
    for (after, sql) in (1_i32..).zip(MIGRATIONS).skip(found) {
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(fault)?;
        transaction.execute_batch(sql).map_err(fault)?;
        transaction
            .pragma_update(None, "application_id", APPLICATION_ID)
            .map_err(fault)?;
        transaction
            .pragma_update(None, "user_version", after)
            .map_err(fault)?;
        transaction.commit().map_err(fault)?;
    }
    Ok(())
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
