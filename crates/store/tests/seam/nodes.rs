//! Several writers of the same logs at once.

use crate::commands::is_whole;
use crate::log::Log;
use crate::stores::Place;
use ledger::merkle::{Frontier, leaf, root};
use ledger::{Ledger, Store, StoreFault, verify};
use std::sync::Arc;
use testkit::counter::{Counter, add, ctx, tenant};

/// Appends to two logs at a time until it has done so `count` times; the
/// tenants stand in an order of its own.
async fn write(store: Arc<dyn Store>, tenants: [u8; 2], seed: u64, count: u64) -> u64 {
    let mut stale = 0;
    let mut done = 0;
    let mut attempt = 0;
    while done < count {
        attempt += 1;
        let mut batches = Vec::new();
        for which in tenants {
            let seed = seed * 1_000_000 + attempt * 10 + u64::from(which);
            let mut log = Log::join(store.as_ref(), tenant(which), seed).await;
            batches.push(log.some(2));
        }
        match store.append(batches).await {
            Ok(()) => done += 1,
            Err(StoreFault::Stale(_)) => stale += 1,
            Err(fault) => panic!("{fault}"),
        }
    }
    stale
}

pub(crate) async fn writers_race_for_heads_and_nothing_is_lost(place: &Place) {
    const EACH: u64 = 25;
    let first = place.open().await;
    let second = if place.is_shared() {
        place.open().await
    } else {
        first.clone()
    };
    let writers = [
        (first.clone(), [1, 2]),
        (second.clone(), [2, 1]),
        (first.clone(), [3, 1]),
        (second, [1, 3]),
    ];
    let mut tasks = Vec::new();
    for (seed, (store, tenants)) in (1..).zip(writers) {
        tasks.push(tokio::spawn(write(store, tenants, seed, EACH)));
    }
    for task in tasks {
        task.await.unwrap();
    }
    for (which, writers) in [(1, 4), (2, 2), (3, 2)] {
        let verified = verify::log(first.as_ref(), tenant(which), |_| ())
            .await
            .unwrap();
        assert!(verified.fault.is_none(), "{verified:?}");
        let entries = writers * EACH * 2;
        assert_eq!(verified.entries, entries);
        let head = first.head(tenant(which)).await.unwrap();
        let frontier = Frontier::load(first.as_ref(), tenant(which), head).await;
        let leaves = first.leaves(tenant(which), 0, 10_000).await.unwrap();
        let tree: Vec<_> = leaves.iter().map(|l| leaf(l.hash)).collect();
        assert_eq!(frontier.unwrap().root(), root(&tree));
    }
}

/// Two ledgers over the same logs, where the store lets there be two.
pub(crate) async fn two(place: &Place) -> [Ledger; 2] {
    let first = place.ledger().await;
    let second = if place.is_shared() {
        place.ledger().await
    } else {
        first.clone()
    };
    [first, second]
}

/// Each command reads two counters and adds to one of them while both together
/// are below a bound. One that rested on what the other node has changed since
/// would exceed it.
pub(crate) async fn commands_of_two_nodes_never_rest_on_what_has_changed(place: &Place) {
    const PAIRS: u64 = 12;
    const BOUND: u64 = 5;
    let nodes = two(place).await;
    let mut tasks = Vec::new();
    for (side, ledger) in ["left", "right"].into_iter().zip(&nodes) {
        let ledger = ledger.clone();
        tasks.push(tokio::spawn(async move {
            for pair in 0..PAIRS {
                for _ in 0..BOUND {
                    let done = ledger.run(ctx(tenant(1)), move |unit| {
                        let total = |unit: &mut kernel::Unit<'_>, side: &str| {
                            let found = unit.find::<Counter>(format!("{side}-{pair}"))?;
                            Ok::<_, kernel::Refusal>(found.map_or(0, |counter| counter.total))
                        };
                        if total(unit, "left")? + total(unit, "right")? < BOUND {
                            add(unit, format!("{side}-{pair}"), 1)?;
                        }
                        add(unit, "hot", 1)
                    });
                    done.await.unwrap();
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let [ledger, _] = nodes;
    for pair in 0..PAIRS {
        let both = ledger.run(ctx(tenant(1)), move |unit| {
            let left = unit.find::<Counter>(format!("left-{pair}"))?;
            let right = unit.find::<Counter>(format!("right-{pair}"))?;
            let total = |side: Option<Arc<Counter>>| side.map_or(0, |c| c.total);
            Ok((total(left), total(right)))
        });
        let (left, right) = both.await.unwrap().answer;
        assert_eq!(left + right, BOUND, "pair {pair}: {left} and {right}");
    }
    let hot = ledger.run(ctx(tenant(1)), |unit| Ok(unit.get::<Counter>("hot")?.total));
    assert_eq!(hot.await.unwrap().answer, 2 * PAIRS * BOUND);
    let head = ledger.store().head(tenant(1)).await.unwrap();
    assert_eq!(head.seq, PAIRS * BOUND + 2 * PAIRS * BOUND);
    let verified = verify::log(ledger.store(), tenant(1), |_| ())
        .await
        .unwrap();
    assert!(verified.is_intact(), "{verified:?}");
}

pub(crate) async fn a_node_sees_what_another_wrote_and_hears_of_it(place: &Place) {
    let [first, second] = two(place).await;
    let total = async |ledger: &Ledger| {
        let done = ledger.run(ctx(tenant(1)), |unit| unit.find::<Counter>("a"));
        done.await
            .unwrap()
            .answer
            .map_or(0, |counter| counter.total)
    };
    // Both hold the state in memory from now on.
    for node in [&first, &second] {
        let done = node.run(ctx(tenant(1)), |unit| add(unit, "a", 1));
        done.await.unwrap();
    }
    for round in 1..20 {
        let mut commits = second.commits();
        commits.mark_unchanged();
        let done = first.run(ctx(tenant(1)), |unit| add(unit, "a", 1)).await;
        assert_eq!(done.unwrap().answer, 2 + round);
        // A command that only reads is not answered from what is outdated.
        assert_eq!(total(&second).await, 2 + round);
        let heard = tokio::time::timeout(std::time::Duration::from_secs(20), commits.changed());
        heard.await.expect("the other node hears of it").unwrap();
    }
    is_whole(&first, tenant(1), 21, 1).await;
}

/// Who was too late too often claims the log: the others wait, and are late in
/// their turn. A claim that is given up holds nobody up.
pub(crate) async fn a_claim_keeps_others_from_appending(place: &Place) {
    let first = place.open().await;
    let mut log = Log::join(first.as_ref(), tenant(1), 1).await;
    first.append(vec![log.some(2)]).await.unwrap();
    first.claim(&[tenant(1)]).await.unwrap();
    first.append(vec![log.some(2)]).await.unwrap();
    if !place.is_shared() {
        return;
    }
    let second = place.open().await;
    for is_used in [true, false] {
        first.claim(&[tenant(1)]).await.unwrap();
        let mut rival = Log::join(second.as_ref(), tenant(1), 2 + u64::from(is_used)).await;
        let (batch, store) = (rival.some(2), second.clone());
        let waiting = tokio::spawn(async move { store.append(vec![batch]).await });
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        assert!(!waiting.is_finished(), "used: {is_used}");
        if is_used {
            first.append(vec![log.some(2)]).await.unwrap();
        } else {
            first.claim(&[]).await.unwrap();
        }
        let done = waiting.await.unwrap();
        match is_used {
            true => assert!(matches!(done, Err(StoreFault::Stale(_))), "{done:?}"),
            false => done.unwrap(),
        }
    }
}
