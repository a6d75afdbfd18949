//! A file of the first version: it is brought up to date with every entry and
//! state as it was, its tree grows on, and an entry that was changed in it is
//! still named.

use kernel::{TenantId, Timestamp};
use ledger::{EntryQuery, Ledger, replay, verify};
use rusqlite::Connection;
use std::path::Path;
use store::Sqlite;
use testkit::counter::{self, add, ctx, sqlite_let_go, tenant};

/// Writes the rows of this directory's file as the first version had them.
fn as_version_1(directory: &Path) {
    let path = directory.join(store::sqlite::FILE_NAME);
    let new = directory.join("new.db");
    let raw = Connection::open(&path).unwrap();
    raw.pragma_update_and_check(None, "wal_checkpoint", "TRUNCATE", |_| Ok(()))
        .unwrap();
    drop(raw);
    std::fs::rename(&path, &new).unwrap();
    let old = Connection::open(&path).unwrap();
    old.execute_batch(include_str!("../src/sqlite/schema_1.sql"))
        .unwrap();
    old.execute("ATTACH ?1 AS new", [new.to_str().unwrap()])
        .unwrap();
    old.execute_batch(
        "INSERT INTO logs SELECT * FROM new.logs;
         INSERT INTO entries SELECT e.position, e.position >> 40, e.id, s.name, e.stream_version,
             k.kind, k.category, e.at, a.name, lower(hex(e.trace_id)), e.causation, u.name,
             'dir_' || lower(hex(e.directive)), 'snp_' || lower(hex(e.snapshot)), e.payload,
             e.payload_hash, e.prev_hash, e.hash
             FROM new.entries e JOIN new.names s ON s.number = e.stream
             JOIN new.kinds k ON k.number = e.kind JOIN new.names a ON a.number = e.actor
             LEFT JOIN new.names u ON u.number = e.subject;
         INSERT INTO documents SELECT d.log, s.name, d.kind, d.version, d.created_seq,
             d.updated_seq, d.status, u.name, 'dir_' || lower(hex(d.directive)), d.due_at, d.body
             FROM new.documents d JOIN new.names s ON s.number = d.stream
             LEFT JOIN new.names u ON u.number = d.subject;
         INSERT INTO objects SELECT * FROM new.objects;
         PRAGMA user_version = 1; PRAGMA application_id = 0x77726974;",
    )
    .unwrap();
}

/// A directory with the logs of two tenants.
async fn filled() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let ledger = counter::ledger(sqlite_let_go(directory.path()).await);
    for n in 0..600_u64 {
        let which = tenant(if n % 3 == 2 { 2 } else { 1 });
        let done = ledger.run(ctx(which), move |unit| {
            unit.keep_object(vec![7; 10]);
            add(unit, format!("c{}", n % 7), n)
        });
        done.await.unwrap();
    }
    drop(ledger);
    drop(sqlite_let_go(directory.path()).await);
    directory
}

/// What can be read of a tenant: entries, states, tiles, spans.
async fn everything(ledger: &Ledger, which: TenantId) -> String {
    let store = ledger.store();
    let query = EntryQuery {
        limit: 1000,
        ..EntryQuery::default()
    };
    let entries = store.entries(which, &query).await.unwrap();
    let states = store.all_documents(which, None, 1000).await.unwrap();
    let mut tiles = Vec::new();
    for (level, index) in [(0, 0), (0, 1), (1, 0)] {
        tiles.push(store.tile(which, level, index).await.unwrap());
    }
    let spans = store.spans(which, 0, 0, 9).await.unwrap();
    let objects = store.object_digests(which, None, 9).await.unwrap();
    let due = store
        .due(Timestamp::from_micros(i64::MAX), 9)
        .await
        .unwrap();
    format!("{entries:#?}{states:#?}{tiles:?}{spans:?}{objects:?}{due:?}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_version_1_is_as_it_was_and_grows_on() {
    let directory = filled().await;
    let ledger = counter::ledger(sqlite_let_go(directory.path()).await);
    let mut before = Vec::new();
    for which in [tenant(1), tenant(2)] {
        before.push(everything(&ledger, which).await);
    }
    drop(ledger);
    drop(sqlite_let_go(directory.path()).await);
    as_version_1(directory.path());
    let ledger = counter::ledger(sqlite_let_go(directory.path()).await);
    for (which, before) in [tenant(1), tenant(2)].into_iter().zip(before) {
        assert_eq!(everything(&ledger, which).await, before);
        for n in 0..200 {
            ledger
                .run(ctx(which), move |unit| add(unit, "c1", n))
                .await
                .unwrap();
        }
        let verified = verify::log(ledger.store(), which, |_| ()).await.unwrap();
        assert!(verified.is_intact(), "{verified:?}");
        let replayed = replay::log(ledger.store(), ledger.registry(), which, |_| ()).await;
        assert!(replayed.unwrap().is_equal());
    }
    let third = ledger.store().tile(tenant(1), 0, 1).await.unwrap();
    assert!(third.is_some(), "the tree has grown on");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_in_version_1_is_named_after_the_migration() {
    let edits = [
        ("kind = 'counter.removed'", 7),
        ("category = 'ACTION'", 7),
        ("actor = 'system:other'", 7),
        ("stream = 'counter/other'", 7),
        ("subject = 'service/other'", 7),
        ("subject = NULL", 7),
        ("trace_id = 'no hex'", 7),
        ("directive = 'dir_00000000000070008000000000000009'", 7),
        ("directive = 'dir_?'", 7),
        ("snapshot = NULL", 7),
        ("payload = '{}'", 7),
        ("at = at + 1", 7),
    ];
    let directory = filled().await;
    as_version_1(directory.path());
    let path = directory.path().join(store::sqlite::FILE_NAME);
    let good = std::fs::read(&path).unwrap();
    for (edit, seq) in edits {
        std::fs::write(&path, &good).unwrap();
        let raw = Connection::open(&path).unwrap();
        raw.execute_batch(&format!(
            "DROP TRIGGER entries_no_update; \
             UPDATE entries SET {edit} WHERE position = (1 << 40) + 7"
        ))
        .unwrap();
        drop(raw);
        let store = Sqlite::open(directory.path()).unwrap();
        let report = verify::log(&store, tenant(1), |_| ()).await.unwrap();
        assert_eq!(report.fault.map(|f| f.seq), Some(seq), "{edit}");
        let raw = Connection::open(&path).unwrap();
        let refused = raw.execute("UPDATE entries SET at = 1", []).unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{refused}");
    }
}
