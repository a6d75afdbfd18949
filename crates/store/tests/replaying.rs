//! Replay within a bound of memory, beside a log that moves on, of single
//! streams, and as of a position or an instant; and what it finds.

use kernel::{Actor, Aggregate, Ctx, Impossible, Stamp, StreamId, TenantId, Timestamp, TraceId};
use ledger::replay::{self, Plan, Report};
use ledger::{AsOf, Ledger, Registry, Settings, Store, as_of};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use store::Sqlite;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Said {
    text: String,
}
kernel::events! {
    /// What is said in a room.
    pub enum RoomEvent { Said(Said) = "room.said" in Outcome }
}
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Room {
    said: Vec<String>,
}
impl Aggregate for Room {
    const KIND: &'static str = "room";
    type Event = RoomEvent;
    fn evolve(state: Option<Self>, event: &RoomEvent, _: &Stamp) -> Result<Self, Impossible> {
        let RoomEvent::Said(said) = event;
        let mut texts = state.map_or_else(Vec::new, |room| room.said);
        if said.text.is_empty() {
            return Err(Impossible::new("nothing was said"));
        }
        texts.push(said.text.clone());
        Ok(Self { said: texts })
    }
    fn status(&self) -> &'static str {
        "open"
    }
}

const TENANT: TenantId = TenantId(uuid::Uuid::from_u128(
    0x0000_0000_0000_7000_8000_0000_0000_0001,
));
const START: i64 = 1_770_000_000_000_000;

fn registry() -> Registry {
    Registry::new([kernel::aggregate::Fold::of::<Room>()])
}

fn open(directory: &Path) -> Ledger {
    let store = Arc::new(Sqlite::open(directory).unwrap());
    Ledger::open(store, registry(), Settings::default()).unwrap()
}

/// Says `text` in a room, `second` seconds after the start.
async fn say(ledger: &Ledger, nth: u64, room: &str, second: i64) {
    let ctx = Ctx::new(
        TENANT,
        Timestamp::from_micros(START + second * 1_000_000),
        Actor::system("test"),
        TraceId::new(1).unwrap(),
        u128::from(nth),
    );
    let room = room.to_owned();
    ledger
        .run(ctx, move |unit| {
            let text = format!("words {nth}");
            let said = RoomEvent::Said(Said { text });
            unit.record::<Room>(&room, said).map(|_| ())
        })
        .await
        .unwrap();
}

async fn filled(directory: &Path, entries: u64) -> Ledger {
    let ledger = open(directory);
    for nth in 0..entries {
        // Several entries of a room far apart, and rooms with one entry.
        let room = match nth % 3 {
            0 => format!("r{nth}"),
            _ => format!("r{}", nth * 7 % 23),
        };
        say(&ledger, nth, &room, i64::try_from(nth).unwrap()).await;
    }
    ledger
}

async fn within(store: &dyn Store, memory_bytes: usize) -> Report {
    let plan = Plan {
        memory_bytes,
        ..Plan::default()
    };
    replay::by_plan(store, &registry(), TENANT, plan, |_| ())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_of_memory_changes_what_is_sorted_on_disk_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = filled(directory.path(), 150).await;
    let whole = within(ledger.store(), usize::MAX).await;
    assert!(whole.is_equal(), "{whole:?}");
    assert_eq!((whole.entries, whole.spilled_bytes), (150, 0));
    for memory in [1, 20_000, 40_000] {
        let bound = within(ledger.store(), memory).await;
        assert!(bound.spilled_bytes > 5_000, "{memory}: {bound:?}");
        let spilled_bytes = 0;
        assert_eq!(
            Report {
                spilled_bytes,
                ..bound
            },
            whole,
            "{memory}"
        );
    }
    let mut heard = Vec::new();
    let plan = Plan {
        memory_bytes: 10_000,
        ..Plan::default()
    };
    replay::by_plan(ledger.store(), &registry(), TENANT, plan, |p| heard.push(p))
        .await
        .unwrap();
    assert!(heard.is_sorted_by_key(|p| p.done), "{heard:?}");
    assert!(heard.iter().all(|p| p.done <= p.total), "{heard:?}");
    assert_eq!(heard.last().map(|p| p.total - p.done), Some(0));
}

/// A copy of the store in `whole`, changed behind its back.
fn forged(whole: &Path, sql: &str) -> (tempfile::TempDir, Sqlite) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(store::sqlite::FILE_NAME);
    std::fs::copy(whole.join(store::sqlite::FILE_NAME), &file).unwrap();
    let db = Connection::open(&file).unwrap();
    db.execute_batch(sql).unwrap();
    assert_eq!(db.changes(), 1, "{sql}");
    let store = Sqlite::open_read_only(directory.path()).unwrap();
    (directory, store)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_forged_state_is_found_within_any_bound() {
    let whole = tempfile::tempdir().unwrap();
    let ledger = filled(whole.path(), 60).await;
    ledger.store().flush().await.unwrap();
    let stored = ledger.store().all_documents(TENANT, None, 1_000).await;
    let rooms: Vec<StreamId> = stored.unwrap().into_iter().map(|d| d.stream).collect();
    let forgeries = [
        (
            "UPDATE documents SET body = '{\"said\":[]}'",
            "its state is not",
        ),
        ("UPDATE documents SET status = 'shut'", "its status is not"),
        (
            "UPDATE documents SET version = version + 1",
            "its version is not",
        ),
        (
            "UPDATE documents SET updated_seq = 1000",
            "its position is not",
        ),
        (
            "UPDATE documents SET updated_seq = updated_seq - 1",
            "its position is not",
        ),
        (
            "UPDATE documents SET created_seq = 1000",
            "its first position is not",
        ),
        ("UPDATE documents SET due_at = 1", "its due time is not"),
        ("DELETE FROM documents", "storage holds no state of it"),
    ];
    for (nth, (sql, said)) in forgeries.into_iter().enumerate() {
        let room = &rooms[nth * (rooms.len() - 1) / (forgeries.len() - 1)];
        let sql = format!("{sql} WHERE stream = (SELECT number FROM names WHERE name = '{room}')");
        let (_directory, store) = forged(whole.path(), &sql);
        let single = BTreeSet::from([room.clone()]);
        let alone = replay::streams(&store, &registry(), TENANT, &single, None)
            .await
            .unwrap();
        let mut reports = vec![alone];
        for memory in [1, 3_000, usize::MAX] {
            reports.push(within(&store, memory).await);
        }
        for report in reports {
            let [found] = &report.differences[..] else {
                panic!("{sql}: {report:?}");
            };
            assert_eq!(found.stream.as_deref(), Some(room.as_str()), "{sql}");
            assert!(found.what.contains(said), "{sql}: {found:?}");
        }
    }
    let planted = "INSERT INTO names (log, name) VALUES (1, 'room/zz'); \
        INSERT INTO documents (stream, log, kind, version, created_seq, updated_seq, status, body) \
        SELECT max(number), 1, 'room', 1, 1, 1, 'open', '{}' FROM names";
    let (_directory, store) = forged(whole.path(), planted);
    let found = within(&store, 1).await.differences;
    assert_eq!(found[0].what, "storage holds a state that no entry made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_entry_stops_replay_at_its_position() {
    let damages = [
        ("payload = '{\"text\":\"\"}'", "payload"),
        ("hash = zeroblob(32)", "header"),
        ("prev_hash = zeroblob(32)", "follow"),
        ("at = 9223372036854775807", "column `at`"),
        ("position = position + 500", "missing"),
    ];
    for (set, said) in damages {
        let directory = tempfile::tempdir().unwrap();
        drop(filled(directory.path(), 30).await);
        let db = Connection::open(directory.path().join(store::sqlite::FILE_NAME)).unwrap();
        db.execute_batch("DROP TRIGGER entries_no_update").unwrap();
        let sql = format!("UPDATE entries SET {set} WHERE position % 1099511627776 = 17");
        assert_eq!(db.execute(&sql, []).unwrap(), 1);
        let store = Sqlite::open_read_only(directory.path()).unwrap();
        for memory in [1, usize::MAX] {
            let report = within(&store, memory).await;
            let found = &report.differences[0];
            assert_eq!(
                (found.seq, report.entries),
                (Some(17), 16),
                "{set}: {found:?}"
            );
            assert!(found.what.contains(said), "{set}: {found:?}");
        }
    }
}

/// A room as another version of the code would have it: some words are
/// impossible in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Strict(Room);
impl Aggregate for Strict {
    const KIND: &'static str = "room";
    type Event = RoomEvent;
    fn evolve(state: Option<Self>, event: &RoomEvent, at: &Stamp) -> Result<Self, Impossible> {
        let RoomEvent::Said(said) = event;
        match said.text.as_str() {
            "words 4" | "words 9" => Err(Impossible::new(format!("nobody says {}", said.text))),
            _ => Room::evolve(state.map(|strict| strict.0), event, at).map(Self),
        }
    }
    fn status(&self) -> &'static str {
        "open"
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_follow_is_named_and_the_other_streams_are_compared() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = filled(directory.path(), 60).await;
    let whole = within(ledger.store(), usize::MAX).await;
    let registry = Registry::new([kernel::aggregate::Fold::of::<Strict>()]);
    for memory_bytes in [1, usize::MAX] {
        let plan = Plan {
            memory_bytes,
            ..Plan::default()
        };
        let report = replay::by_plan(ledger.store(), &registry, TENANT, plan, |_| ())
            .await
            .unwrap();
        let found = report.differences.iter();
        let found: Vec<_> = found
            .map(|d| (d.seq, d.stream.as_deref(), d.what.as_str()))
            .collect();
        let four = (Some(5), Some("room/r5"), "nobody says words 4");
        let nine = (Some(10), Some("room/r9"), "nobody says words 9");
        assert_eq!(found, [four, nine]);
        assert_eq!((report.entries, report.states), (60, whole.states - 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_moves_on_meanwhile_is_compared_where_it_stands() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = filled(directory.path(), 40).await;
    let mut more = 100;
    for memory_bytes in [1, usize::MAX] {
        let plan = Plan {
            memory_bytes,
            ..Plan::default()
        };
        let handle = tokio::runtime::Handle::current();
        let report = replay::by_plan(ledger.store(), &registry(), TENANT, plan, |_| {
            // An old room, and one that did not exist when replay began.
            for room in ["r1".to_owned(), format!("new{more}")] {
                let said = say(&ledger, more, &room, 0);
                tokio::task::block_in_place(|| handle.block_on(said));
                more += 1;
            }
        })
        .await
        .unwrap();
        assert!(report.is_equal(), "{report:?}");
    }
    assert!(more > 103, "nothing was appended meanwhile");
}

#[tokio::test(flavor = "multi_thread")]
async fn as_of_a_position_is_what_was_stored_then() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    let stream = StreamId::new("room", "r1");
    let mut then = vec![(None, within(ledger.store(), usize::MAX).await)];
    for nth in 0..25 {
        say(&ledger, nth, &format!("r{}", nth % 3), 0).await;
        let document = ledger.store().document(TENANT, &stream).await.unwrap();
        then.push((document, within(ledger.store(), usize::MAX).await));
    }
    for (seq, (document, report)) in (0..).zip(then) {
        let state = replay::as_of(ledger.store(), &registry(), TENANT, &stream, seq)
            .await
            .unwrap();
        let made = state.map(|s| s.document(&stream).unwrap());
        assert_eq!(made, document, "{seq}");
        let plan = Plan {
            until_seq: Some(seq),
            memory_bytes: 2_000,
        };
        let again = replay::by_plan(ledger.store(), &registry(), TENANT, plan, |_| ())
            .await
            .unwrap();
        let (spilled_bytes, as_of_seq) = (again.spilled_bytes, Some(seq));
        let report = Report {
            spilled_bytes,
            as_of_seq,
            ..report
        };
        assert_eq!(again, report, "{seq}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn as_of_an_instant_is_after_the_last_entry_that_is_not_later() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    // The clock is an hour ahead at the third entry and set back after it; at
    // the sixth it is behind.
    for (nth, second) in (0..).zip([10, 20, 3_600, 30, 40, 5, 50]) {
        say(&ledger, nth, "r", second).await;
    }
    let rows = [
        (4, 0),
        (5, 6),
        (9, 6),
        (39, 6),
        (49, 6),
        (50, 7),
        (3_599, 7),
        (3_600, 7),
        (9_999, 7),
    ];
    for (second, expected) in rows {
        let instant = Timestamp::from_micros(START + second * 1_000_000);
        let seq = as_of::seq_of(ledger.store(), TENANT, AsOf::Instant(instant))
            .await
            .unwrap();
        assert_eq!(seq, expected, "{second}");
    }
    // Without the entry that is behind, the one that is ahead counts with what
    // came after it, and not before.
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    for (nth, second) in (0..).zip([10, 20, 3_600, 30, 40]) {
        say(&ledger, nth, "r", second).await;
    }
    for (second, expected) in [(9, 0), (10, 1), (29, 2), (30, 4), (3_599, 5), (3_600, 5)] {
        let instant = Timestamp::from_micros(START + second * 1_000_000);
        let seq = as_of::seq_of(ledger.store(), TENANT, AsOf::Instant(instant))
            .await
            .unwrap();
        assert_eq!(seq, expected, "{second}");
    }
    let beyond = as_of::seq_of(ledger.store(), TENANT, AsOf::Seq(6)).await;
    assert!(beyond.unwrap_err().message.contains("ends at 5"));
    assert_eq!(
        as_of::seq_of(ledger.store(), TENANT, AsOf::Seq(5))
            .await
            .unwrap(),
        5
    );
}
