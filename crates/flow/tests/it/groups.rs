//! Groups of commands: the next one is decided while one is being written, and
//! when that fails, what was decided on it is decided again.

use kernel::aggregate::Fold;
use kernel::{Actor, Aggregate, Ctx, Impossible, Stamp, TenantId, Timestamp, TraceId};
use ledger::{Ledger, Registry, Settings, Store, replay, verify};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;
use testkit::MemoryStore;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Added {
    by: u64,
}
kernel::events! {
    /// What happens to a counter.
    pub(crate) enum CounterEvent { Added(Added) = "counter.added" in System }
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

fn tenant() -> TenantId {
    TenantId(uuid::Uuid::from_u128(7))
}

fn ctx(seed: u64) -> Ctx {
    let trace = TraceId::new(1).unwrap();
    Ctx::new(
        tenant(),
        Timestamp::EPOCH,
        Actor::system("test"),
        trace,
        u128::from(seed),
    )
}

/// Adds one, and answers with the total; a refusal above the bound says what
/// the total was.
async fn add_below(ledger: Ledger, seed: u64, bound: u64) -> Result<u64, kernel::Refusal> {
    let done = ledger.run(ctx(seed), move |unit| {
        let total = unit.find::<Counter>("one")?.map_or(0, |c| c.total);
        if total >= bound {
            return Err(kernel::Refusal::blocked(total.to_string()));
        }
        let added = CounterEvent::Added(Added { by: 1 });
        Ok(unit.record::<Counter>("one", added)?.1.total)
    });
    done.await.map(|committed| committed.answer)
}

/// What goes wrong while the commands come in.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Fails,
    LosesReply,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_on_a_group_that_failed_is_decided_again() {
    for (seed, fault, bound) in [
        (1_u64, Fault::Fails, u64::MAX),
        (2, Fault::LosesReply, u64::MAX),
        (3, Fault::Fails, 90),
        (4, Fault::LosesReply, 90),
    ] {
        let store = MemoryStore::new();
        store.be_slow(Duration::from_millis(4));
        let registry = Registry::new([Fold::of::<Counter>()]);
        let ledger = Ledger::open(store.clone(), registry, Settings::default()).unwrap();
        let mut tasks = Vec::new();
        for n in 0..240_u64 {
            if n % 40 == 20 {
                match fault {
                    Fault::Fails => store.fail_appends(1),
                    Fault::LosesReply => store.lose_replies(1),
                }
            }
            let add = add_below(ledger.clone(), seed * 1_000 + n, bound);
            tasks.push(tokio::spawn(add));
            if n % 8 == 7 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        let mut totals = BTreeSet::new();
        let (mut refused, mut failed) = (Vec::new(), 0);
        for task in tasks {
            match task.await.unwrap() {
                Ok(total) => assert!(totals.insert(total), "{total} was answered twice"),
                Err(refusal) if refusal.code == kernel::Code::Blocked => refused.push(refusal),
                Err(_) => failed += 1,
            }
        }
        let entries = store.head(tenant()).await.unwrap().seq;
        let context = format!("seed {seed}, {fault:?}: {entries} entries, {failed} failed");
        assert!(failed > 0, "{context}");
        match fault {
            // Nothing that failed was kept, so what was answered is all.
            Fault::Fails => assert!(totals.iter().copied().eq(1..=entries), "{context}"),
            Fault::LosesReply => {
                assert!(totals.iter().all(|total| *total <= entries), "{context}");
                assert!(totals.len() as u64 + failed >= entries, "{context}");
            }
        }
        // A refusal rests on what is on disk.
        for refusal in refused {
            assert_eq!(refusal.message, bound.to_string(), "{context}");
            assert_eq!(entries, bound, "{context}");
        }
        let verified = verify::log(ledger.store(), tenant(), |_| ()).await.unwrap();
        assert!(verified.is_intact(), "{context}: {verified:?}");
        let replayed = replay::log(ledger.store(), ledger.registry(), tenant(), |_| ()).await;
        assert!(replayed.unwrap().is_equal(), "{context}");
    }
}
