//! Groups of commands: the next one is decided while one is being written, and
//! when that fails, what was decided on it is decided again.

use ledger::{Ledger, Store, replay, verify};
use std::collections::BTreeSet;
use std::time::Duration;
use testkit::MemoryStore;
use testkit::counter::{self, Counter, add, seeded, tenant};

/// Adds one, and answers with the total; a refusal above the bound says what
/// the total was.
async fn add_below(ledger: Ledger, seed: u64, bound: u64) -> Result<u64, kernel::Refusal> {
    let done = ledger.run(seeded(tenant(1), seed), move |unit| {
        let total = unit.find::<Counter>("one")?.map_or(0, |c| c.total);
        if total >= bound {
            return Err(kernel::Refusal::blocked(total.to_string()));
        }
        add(unit, "one", 1)
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
        let ledger = counter::ledger(store.clone());
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
        let entries = store.head(tenant(1)).await.unwrap().seq;
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
        let verified = verify::log(ledger.store(), tenant(1), |_| ())
            .await
            .unwrap();
        assert!(verified.is_intact(), "{context}: {verified:?}");
        let replayed = replay::log(ledger.store(), ledger.registry(), tenant(1), |_| ()).await;
        assert!(replayed.unwrap().is_equal(), "{context}");
    }
}
