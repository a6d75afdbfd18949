//! Whatever is changed in a stored entry behind the database's back, the
//! verifier of rows finds it, and says of it what a reader of typed entries
//! says, who takes one after another.

use kernel::{Actor, Aggregate, Ctx, Digest, Impossible, Stamp, TenantId, Timestamp, TraceId};
use ledger::entry::Head;
use ledger::verify::{self, Fault};
use ledger::{EntryQuery, Ledger, Registry, Settings, Store, StoreFault};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use serde::{Deserialize, Serialize};
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
    said: u64,
}
impl Aggregate for Room {
    const KIND: &'static str = "room";
    type Event = RoomEvent;
    fn evolve(state: Option<Self>, _: &RoomEvent, _: &Stamp) -> Result<Self, Impossible> {
        let said = state.map_or(0, |room| room.said) + 1;
        Ok(Self { said })
    }
    fn status(&self) -> &'static str {
        "open"
    }
    fn refs(&self) -> kernel::unit::Refs {
        kernel::unit::Refs {
            subject: self
                .said
                .is_multiple_of(2)
                .then(|| kernel::Subject::new("service", "a/ä\"\\b").unwrap()),
            directive: self
                .said
                .is_multiple_of(3)
                .then(|| "dir_00000000000070008000000000000003".parse().unwrap()),
            snapshot: self
                .said
                .is_multiple_of(5)
                .then_some(kernel::SnapshotId(Digest::ZERO)),
        }
    }
}

const TENANT: TenantId = TenantId(uuid::Uuid::from_u128(
    0x0000_0000_0000_7000_8000_0000_0000_0001,
));
const OTHER: TenantId = TenantId(uuid::Uuid::from_u128(
    0x0000_0000_0000_7000_8000_0000_0000_0002,
));
const ENTRIES: u64 = 24;
const MUTATIONS: u64 = 200;

async fn written(directory: &Path) {
    let store = Arc::new(Sqlite::open(directory).unwrap());
    let registry = Registry::new([kernel::aggregate::Fold::of::<Room>()]);
    let ledger = Ledger::open(store, registry, Settings::default()).unwrap();
    let texts = ["", "plain", "\"\\\u{1}\n\u{7f}", "é😀\u{2028}"];
    for nth in 0..ENTRIES {
        let tenant = if nth % 4 == 3 { OTHER } else { TENANT };
        let text = texts[usize::try_from(nth).unwrap() % texts.len()];
        let mut ctx = Ctx::new(
            tenant,
            Timestamp::from_micros(1_770_000_000_000_000 + i64::try_from(nth).unwrap()),
            Actor::system("a\"b"),
            TraceId::new(u128::from(nth) + 1).unwrap(),
            u128::from(nth),
        );
        ctx.causation = nth.is_multiple_of(2).then(|| ctx.next_id());
        let room = format!("r{}\t\"{text}", nth % 2);
        ledger
            .run(ctx, move |unit| {
                let said = Said { text: text.into() };
                unit.record::<Room>(&room, RoomEvent::Said(said))
                    .map(|_| ())
            })
            .await
            .unwrap();
    }
    // Everything into the one file, which is copied from here on.
    ledger.store().flush().await.unwrap();
}

/// Repeatable chance (splitmix64): the same seed gives the same rolls.
struct Dice(u64);

impl Dice {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn roll(&mut self, sides: usize) -> usize {
        usize::try_from(self.bits() % sides as u64).unwrap()
    }
}

/// Another value in place of this one.
fn changed(dice: &mut Dice, value: &Value) -> Value {
    match value {
        Value::Null => match dice.roll(3) {
            0 => Value::Text("service/x".into()),
            1 => Value::Blob(vec![7; 16]),
            _ => Value::Integer(1),
        },
        Value::Integer(number) => Value::Integer(match dice.roll(6) {
            0 => number + 1,
            1 => number - 1,
            2 => -number,
            3 => i64::MAX,
            4 => i64::MIN,
            _ => number ^ 256,
        }),
        Value::Text(text) => Value::Text(match dice.roll(5) {
            0 => String::new(),
            1 => format!("{text} "),
            2 => text.to_uppercase(),
            3 => {
                let mut chars: Vec<char> = text.chars().collect();
                let at = dice.roll(chars.len().max(1));
                if let Some(char) = chars.get_mut(at) {
                    *char = if *char == 'a' { 'b' } else { 'a' };
                }
                chars.into_iter().collect()
            }
            _ => text.chars().skip(1).collect(),
        }),
        Value::Blob(bytes) => {
            let mut bytes = bytes.clone();
            match dice.roll(4) {
                0 => bytes.clear(),
                1 => bytes.push(0),
                _ => {
                    let at = dice.roll(bytes.len().max(1));
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << dice.roll(8);
                    }
                }
            }
            Value::Blob(bytes)
        }
        Value::Real(_) => Value::Null,
    }
}

/// The one column of the answer.
fn column<T: rusqlite::types::FromSql>(db: &Connection, sql: &str) -> Vec<T> {
    let mut select = db.prepare(sql).unwrap();
    let rows = select.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Changes one thing about one entry or a name that entries carry; says what,
/// or nothing when the database would not have it or it is as before.
fn mutate(dice: &mut Dice, db: &Connection) -> Option<String> {
    let (table, key) = match dice.roll(6) {
        0 => ("names", "number"),
        1 => ("kinds", "number"),
        _ => ("entries", "position"),
    };
    let columns: Vec<String> = column(
        db,
        &format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid"),
    );
    let keys: Vec<i64> = column(db, &format!("SELECT {key} FROM {table} ORDER BY {key}"));
    let at = keys[dice.roll(keys.len())];
    if dice.roll(12) == 0 {
        db.execute(&format!("DELETE FROM {table} WHERE {key} = ?1"), [at])
            .unwrap();
        return Some(format!("{at} of {table} deleted"));
    }
    let name = &columns[dice.roll(columns.len())];
    let of = |at: i64| -> Value {
        let sql = format!("SELECT {name} FROM {table} WHERE {key} = ?1");
        db.query_row(&sql, [at], |row| row.get(0)).unwrap()
    };
    let before = of(at);
    let after = match dice.roll(4) {
        // What another one has there.
        0 if name != key => of(keys[dice.roll(keys.len())]),
        1 => Value::Null,
        _ => changed(dice, &before),
    };
    let sql = format!("UPDATE {table} SET {name} = ? WHERE {key} = ?");
    let values = vec![after.clone(), Value::from(at)];
    let done = db.execute(&sql, params_from_iter(values)).ok()?;
    (done == 1 && before != after)
        .then(|| format!("`{name}` of {at} of {table}: {before:?} became {after:?}"))
}

/// What a reader of typed entries finds, one entry after another.
async fn typed(store: &dyn Store, tenant: TenantId) -> (Head, Option<Fault>) {
    let mut head = Head::EMPTY;
    let missing = |wanted, found| format!("entry {wanted} is missing; the next one is {found}");
    loop {
        let query = EntryQuery {
            beyond_seq: Some(head.seq).filter(|seq| *seq > 0),
            limit: 1,
            ..EntryQuery::default()
        };
        let fault = match store.entries(tenant, &query).await.as_deref() {
            Ok([]) => break,
            Ok([entry, ..]) => verify::follows(tenant, head, entry),
            Err(StoreFault::Unreadable { seq, what, .. }) => Err(Fault {
                seq: head.seq + 1,
                entry: None,
                what: match *seq == head.seq + 1 {
                    true => what.clone(),
                    false => missing(head.seq + 1, *seq),
                },
            }),
            Err(other) => panic!("{other}"),
        };
        match fault {
            Ok(next) => head = next,
            Err(fault) => return (head, Some(fault)),
        }
    }
    let recorded = store.head(tenant).await.unwrap();
    let fault = (recorded != head).then(|| Fault {
        seq: head.seq + 1,
        entry: None,
        what: format!(
            "the log ends at {} but its head was recorded at {}",
            head.seq, recorded.seq
        ),
    });
    (head, fault)
}

/// What two readers must agree on: how far the log holds, and of the fault its
/// place, the entry, and what is wrong; of a column that cannot be read only
/// which.
fn agreed(found: (Head, Option<Fault>)) -> (Head, Option<Fault>) {
    let (head, fault) = found;
    let fault = fault.map(|mut fault| {
        if fault.what.starts_with("column `") {
            fault.what.truncate(fault.what.find(':').unwrap());
        }
        fault
    });
    (head, fault)
}

async fn check(whole: &Path, seed: u64) -> usize {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(store::sqlite::FILE_NAME);
    std::fs::copy(whole.join(store::sqlite::FILE_NAME), &file).unwrap();
    let db = Connection::open(&file).unwrap();
    let triggers: Vec<String> = column(
        &db,
        "SELECT 'DROP TRIGGER ' || name FROM sqlite_schema WHERE type = 'trigger'",
    );
    db.execute_batch(&triggers.join(";")).unwrap();
    db.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    let Some(what) = mutate(&mut Dice(seed), &db) else {
        return 0;
    };
    drop(db);
    let store = Sqlite::open_read_only(directory.path()).unwrap();
    let mut found = 0;
    for tenant in [TENANT, OTHER] {
        let rows = verify::entries(&store, tenant, |_| ()).await.unwrap();
        let entries = typed(&store, tenant).await;
        found += usize::from(rows.1.is_some());
        assert_eq!(agreed(rows), agreed(entries), "seed {seed}: {what}");
    }
    assert!(found > 0, "seed {seed}: nobody finds that {what}");
    1
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_a_stored_entry_is_found_and_named_alike() {
    let whole = tempfile::tempdir().unwrap();
    written(whole.path()).await;
    let store = Sqlite::open_read_only(whole.path()).unwrap();
    for tenant in [TENANT, OTHER] {
        let (head, fault) = verify::entries(&store, tenant, |_| ()).await.unwrap();
        assert_eq!((head, fault), typed(&store, tenant).await);
        assert_eq!(head, store.head(tenant).await.unwrap());
    }
    let mut done = 0;
    for seed in 0..MUTATIONS {
        done += check(whole.path(), seed).await;
    }
    assert!(done > 100, "the database refused most changes: {done}");
}
