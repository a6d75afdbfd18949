//! A file of the first version: it is brought up to date with every entry and
//! state as it was, its tree grows on, and an entry that was changed in it is
//! still named.

use kernel::{Actor, Aggregate, Ctx, Impossible, Stamp, TenantId, Timestamp, TraceId, Unit};
use ledger::{EntryQuery, Ledger, Registry, Settings, replay, verify};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::Sqlite;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Added {
    by: u64,
}
kernel::events! {
    /// What happens to a counter.
    pub enum CounterEvent { Added(Added) = "counter.added" in System }
}
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Counter {
    total: u64,
}
impl Aggregate for Counter {
    const KIND: &'static str = "counter";
    type Event = CounterEvent;
    fn evolve(state: Option<Self>, event: &CounterEvent, _: &Stamp) -> Result<Self, Impossible> {
        let CounterEvent::Added(added) = event;
        Ok(Self {
            total: state.map_or(0, |s| s.total) + added.by,
        })
    }
    fn status(&self) -> &'static str {
        "counting"
    }
    fn refs(&self) -> kernel::unit::Refs {
        kernel::unit::Refs {
            subject: kernel::Subject::parse("service/checkout").ok(),
            directive: "dir_00000000000070008000000000000003".parse().ok(),
            snapshot: Some(kernel::SnapshotId(kernel::Digest::of(b"snapshot"))),
        }
    }
    fn due(&self) -> Option<Timestamp> {
        (self.total == 13).then_some(Timestamp::EPOCH)
    }
}

fn registry() -> Registry {
    Registry::new([kernel::aggregate::Fold::of::<Counter>()])
}

fn open(directory: &Path) -> Ledger {
    let store = Arc::new(Sqlite::open(directory).unwrap());
    Ledger::open(store, registry(), Settings::default()).unwrap()
}

fn tenant(n: u8) -> TenantId {
    format!("ten_000000000000700080000000000000{n:02x}")
        .parse()
        .unwrap()
}

fn ctx(tenant: TenantId) -> Ctx {
    static SEED: AtomicU64 = AtomicU64::new(1);
    let seed = SEED.fetch_add(1, Ordering::Relaxed);
    let now = Timestamp::from_micros(1_770_000_000_000_000);
    Ctx::new(
        tenant,
        now,
        Actor::system("test"),
        TraceId::new(5).unwrap(),
        u128::from(seed),
    )
}

fn add(unit: &mut Unit<'_>, id: &str, by: u64) -> Result<u64, kernel::Refusal> {
    let event = CounterEvent::Added(Added { by });
    Ok(unit.record::<Counter>(id, event)?.1.total)
}

async fn wait_for_lock(directory: &Path) -> Ledger {
    // The committer's thread lets go of the store when its last handle is gone.
    for _ in 0..500 {
        if let Ok(store) = Sqlite::open(directory) {
            return Ledger::open(Arc::new(store), registry(), Settings::default()).unwrap();
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the store was not let go");
}

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
    let ledger = open(directory.path());
    for n in 0..600_u64 {
        let which = tenant(if n % 3 == 2 { 2 } else { 1 });
        let done = ledger.run(ctx(which), move |unit| {
            unit.keep_object(vec![7; 10]);
            add(unit, &format!("c{}", n % 7), n)
        });
        done.await.unwrap();
    }
    drop(ledger);
    drop(wait_for_lock(directory.path()).await);
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
    let ledger = wait_for_lock(directory.path()).await;
    let mut before = Vec::new();
    for which in [tenant(1), tenant(2)] {
        before.push(everything(&ledger, which).await);
    }
    drop(ledger);
    drop(wait_for_lock(directory.path()).await);
    as_version_1(directory.path());
    let ledger = wait_for_lock(directory.path()).await;
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
