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

const MIGRATIONS: [Migration; 3] = [
    Migration {
        sql: include_str!("schema_1.sql"),
        after: |_| Ok(()),
    },
    Migration {
        sql: include_str!("schema_2.sql"),
        after: plant_trees,
    },
    Migration {
        sql: include_str!("schema_3.sql"),
        after: |_| Ok(()),
    },
];

/// This writ, as files name it.
const WRIT: &str = env!("CARGO_PKG_VERSION");

/// Brings the file to this version of writ, and writes into it which writ that
/// is.
pub(super) fn run(connection: Connection) -> Result<Connection, StoreFault> {
    let connection = upgrade(connection, &MIGRATIONS)?;
    sign(&connection)?;
    Ok(connection)
}

/// Does what the file lacks of these. A step that does not come to its end,
/// whatever ends it, leaves the file as it was before the step.
fn upgrade(mut connection: Connection, migrations: &[Migration]) -> Result<Connection, StoreFault> {
    let found = version(&connection, migrations.len())?;
    for (version, migration) in (1_i32..).zip(migrations).skip(found) {
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
    let found = version(connection, MIGRATIONS.len())?;
    if found < MIGRATIONS.len() {
        return Err(StoreFault::Unavailable(format!(
            "the database has version {found}, this writ reads version {}; \
             start `writ up` once to bring it up to date",
            MIGRATIONS.len()
        )));
    }
    Ok(())
}

/// Notes that this writ writes the file from here on, unless it was the last.
fn sign(connection: &Connection) -> Result<(), StoreFault> {
    let schema = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    connection
        .execute(
            "INSERT INTO writers (schema, writ) SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM \
             writers WHERE number = (SELECT max(number) FROM writers) AND schema = ?1 AND writ = ?2)",
            rusqlite::params![schema, WRIT],
        )
        .map(|_| ())
        .map_err(fault)
}

/// The writ that last opened the file for writing, where it says so.
fn last_writer(connection: &Connection) -> Option<String> {
    let sql = "SELECT writ FROM writers ORDER BY number DESC LIMIT 1";
    // A version that is not known here may keep it elsewhere, or not at all.
    connection.query_row(sql, [], |row| row.get(0)).ok()
}

fn too_new(connection: &Connection, version: usize, newest: usize) -> StoreFault {
    let (writer, install) = match last_writer(connection) {
        Some(writ) => (format!("writ {writ}"), format!("writ {writ}")),
        None => ("a newer writ".to_owned(), "the newer writ".to_owned()),
    };
    StoreFault::Unavailable(format!(
        "the database has version {version} and was last written by {writer}; this is writ {WRIT}, \
         which knows versions up to {newest}: install {install}, or go back to a backup from \
         before the upgrade with `writ restore` (what was recorded since is not in it)"
    ))
}

/// The version of the file, which may be `newest` at most.
fn version(connection: &Connection, newest: usize) -> Result<usize, StoreFault> {
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
    if version > newest {
        return Err(too_new(connection, version, newest));
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Where the file is, for the process that is killed.
    const VICTIM: &str = "WRIT_TEST_MIGRATION_VICTIM";

    fn open(path: &Path) -> Connection {
        super::super::connect(path, rusqlite::OpenFlags::SQLITE_OPEN_CREATE).unwrap()
    }

    fn at_1(path: &Path) -> Connection {
        let connection = upgrade(open(path), &MIGRATIONS[..1]).unwrap();
        connection
            .execute_batch(
                "INSERT INTO logs VALUES (1, 'ten_00000000000070008000000000000001', 0, x'00')",
            )
            .unwrap();
        connection
    }

    #[test]
    fn a_file_says_who_wrote_it_and_a_newer_one_is_refused_with_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("writ.db");
        let connection = run(run(open(&path)).unwrap()).unwrap();
        assert_eq!(last_writer(&connection).as_deref(), Some(WRIT));
        let writers = "SELECT count(*) FROM writers";
        let count: i64 = connection.query_row(writers, [], |r| r.get(0)).unwrap();
        assert_eq!(count, 1, "opening again is not noted again");
        let rows = [
            (
                "INSERT INTO writers (schema, writ) VALUES (99, '9.8.7')",
                "writ 9.8.7",
            ),
            ("DROP TABLE writers", "a newer writ"),
        ];
        connection.pragma_update(None, "user_version", 99).unwrap();
        for (sql, writer) in rows {
            connection.execute_batch(sql).unwrap();
            let refused = run(open(&path)).unwrap_err().to_string();
            for part in ["version 99", writer, WRIT, "`writ restore`"] {
                assert!(refused.contains(part), "{part}: {refused}");
            }
            assert_eq!(check(&connection).unwrap_err().to_string(), refused);
        }
    }

    /// Ends this process as a power cut would: nothing runs after it.
    fn die(transaction: &Transaction<'_>) -> Result<(), StoreFault> {
        transaction
            .execute_batch("DELETE FROM logs")
            .map_err(fault)?;
        // What stands in memory only would be lost anyhow.
        transaction.cache_flush().map_err(fault)?;
        let me = std::process::id().to_string();
        std::process::Command::new("kill")
            .args(["-9", &me])
            .status()
            .unwrap();
        unreachable!("killed")
    }

    #[test]
    fn a_migration_that_is_killed_in_the_middle_leaves_the_old_version() {
        #[allow(
            clippy::disallowed_methods,
            reason = "the process that is killed learns its part so"
        )]
        if let Some(path) = std::env::var_os(VICTIM) {
            let [first, second, ..] = MIGRATIONS;
            let sql = second.sql;
            let deadly = [first, Migration { sql, after: die }];
            drop(upgrade(open(Path::new(&path)), &deadly));
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("writ.db");
        drop(at_1(&path));
        let test = "sqlite::migrate::tests::a_migration_that_is_killed_in_the_middle_leaves_the_old_version";
        let killed = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .env(VICTIM, &path)
            .output()
            .unwrap();
        use std::os::unix::process::ExitStatusExt as _;
        assert_eq!(killed.status.signal(), Some(9), "{killed:?}");
        let connection = open(&path);
        assert_eq!(version(&connection, 1).unwrap(), 1, "the old writ goes on");
        let count =
            |c: &Connection, sql: &str| c.query_row(sql, [], |r| r.get::<_, i64>(0)).unwrap();
        assert_eq!(count(&connection, "SELECT count(*) FROM logs"), 1);
        let tables = "SELECT count(*) FROM sqlite_schema WHERE name IN ('tiles', 'writers')";
        assert_eq!(count(&connection, tables), 0);
        let connection = run(connection).unwrap();
        assert_eq!(
            version(&connection, MIGRATIONS.len()).unwrap(),
            MIGRATIONS.len()
        );
        assert_eq!(count(&connection, tables), 2);
    }
}
