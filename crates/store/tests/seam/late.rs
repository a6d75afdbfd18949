//! Commands that come too late, because another node keeps writing first: they
//! are decided again, and at last nobody may write before them.

use crate::commands::is_whole;
use crate::nodes::two;
use crate::stores::Place;
use futures_util::future::join_all;
use ledger::Ledger;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use testkit::MemoryStore;
use testkit::counter::{self, Counter, add, ctx, tenant};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// A command is tried four times before its log is claimed.
const TRIES_FREE: u64 = 4;
/// What is not done by then is held up. Shorter than a claim lasts.
const HELD_UP: Duration = Duration::from_secs(1);

async fn add_one(ledger: Ledger) -> u64 {
    let done = ledger.run(ctx(tenant(1)), |unit| add(unit, "hot", 1));
    done.await.unwrap().answer
}

/// Another node that writes whenever it can.
#[derive(Clone)]
struct Rival {
    ledger: Ledger,
    runtime: Handle,
    /// Whether it wrote in time, for each time that it was let.
    wrote: Arc<Mutex<Vec<bool>>>,
    held_up: Arc<Mutex<Vec<JoinHandle<u64>>>>,
}

impl Rival {
    fn new(ledger: Ledger) -> Self {
        Self {
            ledger,
            runtime: Handle::current(),
            wrote: Arc::default(),
            held_up: Arc::default(),
        }
    }

    /// Lets it write, from within a decision.
    fn write(&self) {
        let mut writing = self.runtime.spawn(add_one(self.ledger.clone()));
        let done = async { tokio::time::timeout(HELD_UP, &mut writing).await };
        let wrote = self.runtime.block_on(done).is_ok();
        self.wrote.lock().unwrap().push(wrote);
        if !wrote {
            self.held_up.lock().unwrap().push(writing);
        }
    }

    /// What it wrote when it was not held up any more.
    async fn wrote_later(&self) -> Vec<u64> {
        let held_up = std::mem::take(&mut *self.held_up.lock().unwrap());
        let done = tokio::time::timeout(20 * HELD_UP, join_all(held_up)).await;
        let done = done.expect("the claim is given up");
        done.into_iter().map(Result::unwrap).collect()
    }
}

/// What only reads is late as well.
pub(crate) async fn a_command_that_is_late_again_and_again_claims_the_log(place: &Place) {
    if !place.is_shared() {
        return;
    }
    let [late, other] = two(place).await;
    let claimed = || match place {
        Place::Memory(disk) => Some(disk.claimed()),
        _ => None,
    };
    let mut total = add_one(other.clone()).await;
    for writes in [true, false] {
        let before = claimed();
        let rival = Rival::new(other.clone());
        let overtaking = rival.clone();
        let done = late.run(ctx(tenant(1)), move |unit| {
            let found = unit.get::<Counter>("hot")?.total;
            overtaking.write();
            if writes {
                add(unit, "hot", 1)
            } else {
                Ok(found)
            }
        });
        let answer = done.await.unwrap().answer;
        let wrote = rival.wrote.lock().unwrap().clone();
        assert_eq!(wrote, [true, true, true, true, false], "writes: {writes}");
        total += TRIES_FREE + u64::from(writes);
        assert_eq!(answer, total, "writes: {writes}");
        total += 1;
        assert_eq!(rival.wrote_later().await, [total], "writes: {writes}");
        assert_eq!(claimed(), before.map(|count| count + 1), "writes: {writes}");
    }
    // Nobody else writes: nothing is claimed.
    let before = claimed();
    for _ in 0..40 {
        total += 1;
        assert_eq!(add_one(late.clone()).await, total);
    }
    assert_eq!(claimed(), before);
    is_whole(&late, tenant(1), total, 1).await;
}

/// While a group is late, those that were decided on it wait behind it: it is
/// tried again as it is, and the order is kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_group_does_not_grow_and_the_order_is_kept() {
    const COMMANDS: u64 = 700;
    const GROUP_MAX: u64 = 256;
    // An odd number: an order that was reversed each time would show.
    const OVERTAKEN: u64 = 3;
    let disk = MemoryStore::of_several_nodes();
    let slow = disk.beside();
    slow.be_slow(Duration::from_millis(20));
    let late = counter::ledger(slow);
    let rival = Rival::new(counter::ledger(disk.beside()));
    let sent = Arc::<AtomicU64>::default();
    let decided: Arc<Vec<AtomicU64>> = Arc::new((0..COMMANDS).map(|_| AtomicU64::new(0)).collect());
    let commands = (0..COMMANDS).map(|nth| {
        let (late, rival) = (late.clone(), rival.clone());
        let (sent, decided) = (sent.clone(), decided.clone());
        async move {
            sent.fetch_add(1, Ordering::Relaxed);
            let done = late.run(ctx(tenant(1)), move |unit| {
                let place = usize::try_from(nth).unwrap();
                let tries = 1 + decided[place].fetch_add(1, Ordering::Relaxed);
                unit.find::<Counter>("queue")?;
                if nth == 0 && tries <= OVERTAKEN {
                    while sent.load(Ordering::Relaxed) < COMMANDS {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    rival.write();
                }
                add(unit, "queue", 1)
            });
            done.await.unwrap().answer
        }
    });
    let answers = join_all(commands).await;
    assert!(
        answers.into_iter().eq(1..=COMMANDS),
        "in the order in which they came"
    );
    assert_eq!(*rival.wrote.lock().unwrap(), [true; 3]);
    let groups = disk.appends() - OVERTAKEN;
    assert!(groups >= COMMANDS.div_ceil(GROUP_MAX), "{groups} groups");
    let decided: Vec<u64> = decided.iter().map(|n| n.load(Ordering::Relaxed)).collect();
    assert_eq!(decided[0], OVERTAKEN + 1);
    assert!(
        decided.iter().all(|times| *times <= decided[0]),
        "{decided:?}"
    );
    // The third group was never on its way when the first one was late.
    assert_eq!(decided.last(), Some(&1), "{decided:?}");
    is_whole(&late, tenant(1), COMMANDS + OVERTAKEN, 2).await;
}
