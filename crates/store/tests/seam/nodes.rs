//! Several writers of the same logs at once.

use crate::log::Log;
use crate::stores::{Place, tenant};
use ledger::merkle::{Frontier, leaf, root};
use ledger::{Store, StoreFault, verify};
use std::sync::Arc;

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
