//! The files beneath the embedded store go while writ runs: nothing is
//! acknowledged that the next start would not find, readiness says so, and
//! when they are back the same process goes on.

use kernel::{Actor, Aggregate, Code, Ctx, Impossible, Stamp, TenantId, Timestamp, TraceId};
use ledger::{Ledger, Registry, Settings, verify};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::Sqlite;
use store::sqlite::FILE_NAME;

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
}

const TENANT: TenantId = TenantId(uuid::Uuid::from_u128(
    0x0000_0000_0000_7000_8000_0000_0000_0001,
));

fn open(directory: &Path) -> Ledger {
    let store = Arc::new(Sqlite::open(directory).unwrap());
    let registry = Registry::new([kernel::aggregate::Fold::of::<Counter>()]);
    Ledger::open(store, registry, Settings::default()).unwrap()
}

async fn add(ledger: &Ledger) -> Result<u64, kernel::Refusal> {
    static SEED: AtomicU64 = AtomicU64::new(1);
    let seed = u128::from(SEED.fetch_add(1, Ordering::Relaxed));
    let now = Timestamp::from_micros(1_770_000_000_000_000);
    let trace = TraceId::new(5).unwrap();
    let ctx = Ctx::new(TENANT, now, Actor::system("test"), trace, seed);
    let done = ledger.run(ctx, |unit| {
        let event = CounterEvent::Added(Added { by: 1 });
        Ok(unit.record::<Counter>("a", event)?.1.total)
    });
    done.await.map(|committed| committed.answer)
}

/// Does something to the data directory of a ledger with two entries, sees it
/// refuse and say that it is not ready, undoes it, and sees it go on.
async fn check(what: &str, harm: impl Fn(&Path), mend: impl Fn(&Path)) {
    let root = tempfile::tempdir().unwrap();
    let ledger = open(&root.path().join("data"));
    for total in [1, 2] {
        assert_eq!(add(&ledger).await.unwrap(), total, "{what}");
    }
    harm(root.path());
    for _ in 0..3 {
        let refused = add(&ledger).await.unwrap_err();
        assert_eq!(refused.code, Code::Unavailable, "{what}");
        assert!(
            refused.message.contains("the database"),
            "{what}: {refused}"
        );
        let path = root.path().to_string_lossy().into_owned();
        assert!(!refused.message.contains(&path), "{what}: {refused}");
        let unready = ledger.readiness().await.unwrap_err();
        assert_eq!(unready.code, Code::Unavailable, "{what}");
    }
    mend(root.path());
    ledger.readiness().await.unwrap();
    assert!(add(&ledger).await.unwrap() >= 3, "{what}");
    let report = verify::log(ledger.store(), TENANT, |_| ()).await.unwrap();
    assert!(report.is_intact(), "{what}: {report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_to_files_that_are_gone_is_not_acknowledged() {
    let rename = |from: &'static str, to: &'static str| {
        move |root: &Path| std::fs::rename(root.join(from), root.join(to)).unwrap()
    };
    check("moved", rename("data", "away"), rename("away", "data")).await;
    let main: &str = FILE_NAME;
    let log = &*Box::leak(format!("{main}-wal").into_boxed_str());
    for file in [main, log] {
        let harm = |root: &Path| {
            // Another file in its place: a backup that was put back too early.
            let path = root.join("data").join(file);
            std::fs::rename(&path, root.join("kept")).unwrap();
            std::fs::copy(root.join("kept"), &path).unwrap();
        };
        let mend = |root: &Path| {
            std::fs::rename(root.join("kept"), root.join("data").join(file)).unwrap();
        };
        check(file, harm, mend).await;
    }
}
