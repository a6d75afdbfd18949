//! The smallest aggregate, for tests of the ledger and of what stands beneath
//! it: a counter that is added to, and what a test needs to do so.

use kernel::aggregate::Fold;
use kernel::unit::Refs;
use kernel::{
    Actor, Aggregate, Ctx, Digest, Impossible, Refusal, SnapshotId, Stamp, Subject, TenantId,
    Timestamp, TraceId, Unit,
};
use ledger::{Ledger, Registry, Settings, Store};
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::Sqlite;

/// Something was added.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Added {
    by: u64,
}
kernel::events! {
    /// What happens to a counter.
    pub enum CounterEvent {
        /// Something was added.
        Added(Added) = "counter.added" in System,
    }
}

/// What was added so far. It is due while that is 13.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Counter {
    /// The sum.
    pub total: u64,
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
    fn refs(&self) -> Refs {
        Refs {
            subject: Subject::parse("service/checkout").ok(),
            directive: "dir_00000000000070008000000000000003".parse().ok(),
            snapshot: Some(SnapshotId(Digest::of(b"snapshot"))),
        }
    }
    fn due(&self) -> Option<Timestamp> {
        (self.total == 13).then_some(Timestamp::EPOCH)
    }
}

/// A registry of counters only.
#[must_use]
pub fn registry() -> Registry {
    Registry::new([Fold::of::<Counter>()])
}

/// A ledger of counters.
///
/// # Panics
/// When no thread can be started.
#[must_use]
pub fn ledger(store: Arc<dyn Store>) -> Ledger {
    Ledger::open(store, registry(), Settings::default()).expect("a thread starts")
}

/// The n-th tenant.
#[must_use]
pub const fn tenant(n: u8) -> TenantId {
    TenantId(uuid::Uuid::from_u128(
        0x7000_8000_0000_0000_0000 | n as u128,
    ))
}

/// Circumstances of the next command.
#[must_use]
pub fn ctx(tenant: TenantId) -> Ctx {
    static SEED: AtomicU64 = AtomicU64::new(1);
    seeded(tenant, SEED.fetch_add(1, Ordering::Relaxed))
}

/// Circumstances whose ids are the same for the same seed.
///
/// # Panics
/// Never: the trace is not zero.
#[must_use]
pub fn seeded(tenant: TenantId, seed: u64) -> Ctx {
    let now = Timestamp::from_micros(1_770_000_000_000_000);
    let trace = TraceId::new(5).expect("it is not zero");
    Ctx::new(tenant, now, Actor::system("test"), trace, u128::from(seed))
}

/// Adds to a counter; the answer is the sum.
///
/// # Errors
/// What the unit refuses.
pub fn add(unit: &mut Unit<'_>, id: impl Display, by: u64) -> Result<u64, Refusal> {
    let event = CounterEvent::Added(Added { by });
    Ok(unit.record::<Counter>(id, event)?.1.total)
}

/// The embedded store of this directory, as soon as the ledger before has let
/// go of it: its threads end when its last handle is gone.
///
/// # Panics
/// When it is not let go in five seconds.
pub async fn sqlite_let_go(directory: &Path) -> Arc<Sqlite> {
    for _ in 0..500 {
        if let Ok(store) = Sqlite::open(directory) {
            return Arc::new(store);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the store was not let go");
}
