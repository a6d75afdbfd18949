//! What only the embedded store has: its file, which a second writ may not open
//! and which refuses changes, and in which each damage is named. What every
//! store must do is tested in `seam`.

use ledger::{EntryQuery, Ledger, replay, verify};
use std::path::Path;
use std::sync::Arc;
use store::Sqlite;
use testkit::counter::{self, add, ctx, registry, sqlite_let_go, tenant};

fn open(directory: &Path) -> Ledger {
    counter::ledger(Arc::new(Sqlite::open(directory).unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_refuses_changes_and_verification_names_those_made_behind_its_back() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    for n in 0..20 {
        ledger
            .run(ctx(tenant(1)), move |unit| add(unit, "a", n))
            .await
            .unwrap();
    }
    drop(ledger);
    drop(sqlite_let_go(directory.path()).await);
    let path = directory.path().join(store::sqlite::FILE_NAME);
    let raw = rusqlite::Connection::open(&path).unwrap();
    for sql in [
        "UPDATE entries SET kind = 0 WHERE position % 1099511627776 = 7",
        "DELETE FROM entries",
        "REPLACE INTO entries SELECT * FROM entries LIMIT 1",
        "INSERT OR IGNORE INTO entries SELECT * FROM entries LIMIT 1",
        "UPDATE names SET name = 'x'",
        "DELETE FROM names",
        "REPLACE INTO names SELECT * FROM names LIMIT 1",
        "UPDATE kinds SET kind = 'x'",
        "DELETE FROM kinds",
        "REPLACE INTO kinds SELECT number, 'x', category FROM kinds LIMIT 1",
    ] {
        let refused = raw.execute(sql, []).unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{sql}: {refused}");
    }
    raw.execute_batch(
        "DROP TRIGGER entries_no_update; \
         UPDATE entries SET payload = '{\"by\":999}' WHERE position % 1099511627776 = 7",
    )
    .unwrap();
    drop(raw);
    let store = Sqlite::open_read_only(directory.path()).unwrap();
    let report = verify::log(&store, tenant(1), |_| ()).await.unwrap();
    let fault = report.fault.unwrap();
    assert_eq!(fault.seq, 7);
    assert!(fault.what.contains("payload"), "{}", fault.what);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_was_changed_is_found_at_the_first_entry_that_carries_it() {
    let edits = [
        (
            "UPDATE names SET name = 'counter/x' WHERE name = 'counter/b'",
            4,
        ),
        (
            "UPDATE names SET name = 'system:x' WHERE name = 'system:test'",
            1,
        ),
        ("DELETE FROM names WHERE name = 'counter/b'", 4),
        ("UPDATE kinds SET kind = 'x'", 1),
        ("UPDATE kinds SET category = 'ACTION'", 1),
        ("DELETE FROM kinds", 1),
    ];
    for (edit, seq) in edits {
        let directory = tempfile::tempdir().unwrap();
        let ledger = open(directory.path());
        for n in 0..6 {
            let id = if n < 3 { "a" } else { "b" };
            let done = ledger
                .run(ctx(tenant(1)), move |unit| add(unit, id, n))
                .await;
            done.unwrap();
        }
        drop(ledger);
        drop(sqlite_let_go(directory.path()).await);
        let raw = rusqlite::Connection::open(directory.path().join(store::sqlite::FILE_NAME));
        let raw = raw.unwrap();
        raw.execute_batch(
            "DROP TRIGGER names_no_update; DROP TRIGGER names_no_delete; \
             DROP TRIGGER kinds_no_update; DROP TRIGGER kinds_no_delete;",
        )
        .unwrap();
        raw.execute(edit, []).unwrap();
        drop(raw);
        let store = Sqlite::open_read_only(directory.path()).unwrap();
        let report = verify::log(&store, tenant(1), |_| ()).await.unwrap();
        assert_eq!(report.fault.map(|f| f.seq), Some(seq), "{edit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_flipped_byte_in_the_file_is_found_wherever_an_entry_stands() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    for n in 0..300_u64 {
        ledger
            .run(ctx(tenant(1)), move |unit| {
                add(unit, format!("c{}", n % 7), n)
            })
            .await
            .unwrap();
    }
    let expected = ledger.store().head(tenant(1)).await.unwrap();
    let entries = async |store: &dyn ledger::Store| {
        let query = EntryQuery {
            limit: 1000,
            ..EntryQuery::default()
        };
        store.entries(tenant(1), &query).await.unwrap()
    };
    let all = entries(ledger.store()).await;
    drop(ledger);
    drop(sqlite_let_go(directory.path()).await);
    let path = directory.path().join(store::sqlite::FILE_NAME);
    rusqlite::Connection::open(&path)
        .unwrap()
        .pragma_update_and_check(None, "wal_checkpoint", "TRUNCATE", |_| Ok(()))
        .unwrap();
    let good = std::fs::read(&path).unwrap();
    let needle = b"{\"by\":";
    let places: Vec<usize> = (0..good.len() - needle.len())
        .filter(|at| &good[*at..at + needle.len()] == needle)
        .collect();
    assert!(places.len() >= 300);
    let mut named = 0;
    for place in places.iter().step_by(places.len() / 40) {
        let mut bad = good.clone();
        bad[*place] ^= 0x01;
        std::fs::write(&path, &bad).unwrap();
        let store = Sqlite::open_read_only(directory.path()).unwrap();
        let report = verify::log(&store, tenant(1), |_| ()).await.unwrap();
        if report.is_intact() {
            // The byte stood in the unused part of a page, left by a split:
            // then nothing that can be read may have changed.
            assert_eq!(entries(&store).await, all, "a flipped byte at {place}");
        }
        named += usize::from(report.fault.is_some());
    }
    assert!(
        named > 10,
        "few flipped bytes were traced to their entry: {named}"
    );
    std::fs::write(&path, &good).unwrap();
    let store = Sqlite::open_read_only(directory.path()).unwrap();
    let report = verify::log(&store, tenant(1), |_| ()).await.unwrap();
    assert!(report.is_intact());
    assert_eq!(report.head, expected.hash);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_tail_and_a_forged_state_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    for n in 0..5 {
        ledger
            .run(ctx(tenant(1)), move |unit| add(unit, "a", n))
            .await
            .unwrap();
    }
    drop(ledger);
    drop(sqlite_let_go(directory.path()).await);
    let path = directory.path().join(store::sqlite::FILE_NAME);
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute("UPDATE documents SET body = '{\"total\":11}'", [])
        .unwrap();
    let store = Sqlite::open_read_only(directory.path()).unwrap();
    let replayed = replay::log(&store, &registry(), tenant(1), |_| ())
        .await
        .unwrap();
    assert_eq!(replayed.differences.len(), 1);
    assert_eq!(replayed.differences[0].stream.as_deref(), Some("counter/a"));
    raw.execute_batch(
        "DROP TRIGGER entries_no_delete; DELETE FROM entries WHERE position % 1099511627776 = 5",
    )
    .unwrap();
    let report = verify::log(&store, tenant(1), |_| ()).await.unwrap();
    assert_eq!(report.fault.unwrap().seq, 5);
}

#[test]
fn a_second_writ_a_newer_file_and_a_foreign_file_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let first = Sqlite::open(directory.path()).unwrap();
    let second = Sqlite::open(directory.path()).err().unwrap().to_string();
    assert!(second.contains("another writ"), "{second}");
    drop(first);
    let path = directory.path().join(store::sqlite::FILE_NAME);
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    let newer = Sqlite::open(directory.path()).err().unwrap().to_string();
    assert!(newer.contains("`writ restore`"), "{newer}");
    raw.pragma_update(None, "application_id", 1).unwrap();
    let foreign = Sqlite::open(directory.path()).err().unwrap().to_string();
    assert!(foreign.contains("not one of writ's"), "{foreign}");
    let empty = tempfile::tempdir().unwrap();
    assert!(Sqlite::open_read_only(empty.path()).is_err());
}
