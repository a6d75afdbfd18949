//! Appending: whole or not at all, under the head that was expected.

use crate::log::Log;
use crate::stores::Place;
use kernel::Digest;
use ledger::merkle::{Frontier, leaf, root};
use ledger::{EntryQuery, Head, Store, StoreFault, verify};
use testkit::counter::tenant;

fn everything() -> EntryQuery {
    EntryQuery {
        limit: 10_000,
        ..EntryQuery::default()
    }
}

/// Compares all that can be read of a log with what was written.
pub(crate) async fn holds(store: &dyn Store, log: &Log) {
    let tenant = log.tenant;
    assert_eq!(store.head(tenant).await.unwrap(), log.head);
    let entries = store.entries(tenant, &everything()).await.unwrap();
    assert_eq!(entries, log.entries);
    let documents = store.all_documents(tenant, None, 10_000).await.unwrap();
    assert_eq!(
        documents,
        log.documents.values().cloned().collect::<Vec<_>>()
    );
}

pub(crate) async fn what_is_appended_is_read_back(place: &Place) {
    let store = place.open().await;
    let mut log = Log::new(tenant(1), 1);
    assert_eq!(store.head(tenant(1)).await.unwrap(), Head::EMPTY);
    assert_eq!(store.tenants().await.unwrap(), []);
    for count in [1, 2, 40] {
        store.append(vec![log.some(count)]).await.unwrap();
    }
    drop(store);
    let store = place.open().await;
    holds(store.as_ref(), &log).await;
    assert_eq!(store.tenants().await.unwrap(), [tenant(1)]);
    let entry = &log.entries[20];
    let found = store.entry(tenant(1), entry.id).await.unwrap();
    assert_eq!(found.as_ref(), Some(entry));
    let document = store.document(tenant(1), &entry.stream).await.unwrap();
    assert_eq!(document.as_ref(), log.documents.get(&entry.stream));
    let nowhere = kernel::StreamId::new("door", "nowhere");
    assert_eq!(store.document(tenant(1), &nowhere).await.unwrap(), None);
    assert_eq!(store.engine_check().await.unwrap(), Vec::<String>::new());
}

pub(crate) async fn a_batch_that_expects_another_head_is_refused_whole(place: &Place) {
    let store = place.open().await;
    let mut log = Log::new(tenant(1), 2);
    store.append(vec![log.some(3)]).await.unwrap();
    let right = log.head;
    let one_back = Head {
        seq: 2,
        hash: log.entries[1].hash,
    };
    let forged = Head {
        hash: Digest::of(b"x"),
        ..right
    };
    let beyond = Head { seq: 9, ..right };
    for wrong in [Head::EMPTY, one_back, forged, beyond] {
        let mut other = Log::at(tenant(1), 3, wrong);
        let mut batch = other.some(2);
        batch.objects.push((Digest::of(b"o"), b"o".to_vec()));
        let refused = store.append(vec![batch]).await.unwrap_err();
        assert!(
            matches!(refused, StoreFault::Stale(whose) if whose == tenant(1)),
            "{wrong:?}: {refused}"
        );
    }
    let mut nobody = Log::at(tenant(2), 4, forged);
    let refused = store.append(vec![nobody.some(1)]).await.unwrap_err();
    assert!(matches!(refused, StoreFault::Stale(_)), "{refused}");
    holds(store.as_ref(), &log).await;
    let object = store.object(tenant(1), Digest::of(b"o")).await.unwrap();
    assert_eq!(object, None);
    assert_eq!(store.tenants().await.unwrap(), [tenant(1)]);
    // And it goes on from where it stands.
    store.append(vec![log.some(2)]).await.unwrap();
    holds(store.as_ref(), &log).await;
}

pub(crate) async fn batches_of_several_tenants_are_kept_all_or_none(place: &Place) {
    let store = place.open().await;
    let mut logs: Vec<Log> = (1..=3).map(|n| Log::new(tenant(n), u64::from(n))).collect();
    // In any order of tenants.
    let batches = logs.iter_mut().rev().map(|log| log.some(5)).collect();
    store.append(batches).await.unwrap();
    for stale in 0..3 {
        let batches = (0..3).map(|n| {
            let head = match &logs[usize::from(n)] {
                log if n == stale => Head {
                    seq: 4,
                    hash: log.entries[3].hash,
                },
                log => log.head,
            };
            Log::at(tenant(n + 1), 50 + u64::from(n), head).some(2)
        });
        let refused = store.append(batches.collect()).await.unwrap_err();
        assert!(matches!(refused, StoreFault::Stale(whose) if whose == tenant(stale + 1)));
    }
    let mut first = Log::at(tenant(1), 60, logs[0].head);
    let mut empty = Log::at(tenant(2), 61, logs[1].head);
    let batches = vec![first.some(1), empty.some(0)];
    let refused = store.append(batches).await.unwrap_err();
    assert!(matches!(refused, StoreFault::Unavailable(_)), "{refused}");
    for log in &logs {
        holds(store.as_ref(), log).await;
        let verified = verify::log(store.as_ref(), log.tenant, |_| ())
            .await
            .unwrap();
        assert!(verified.is_intact(), "{verified:?}");
    }
}

pub(crate) async fn an_object_is_kept_once_and_listed_by_digest(place: &Place) {
    let store = place.open().await;
    let mut log = Log::new(tenant(1), 5);
    let bodies: Vec<Vec<u8>> = (0..50_u8).map(|n| vec![n; usize::from(n)]).collect();
    let mut digests: Vec<Digest> = bodies.iter().map(|body| Digest::of(body)).collect();
    for half in [&bodies[..30], &bodies[20..]] {
        let mut batch = log.some(1);
        let objects = half.iter().map(|body| (Digest::of(body), body.clone()));
        batch.objects = objects.collect();
        store.append(vec![batch]).await.unwrap();
    }
    digests.sort_unstable();
    let mut listed = Vec::new();
    loop {
        let after = listed.last().copied();
        let page = store.object_digests(tenant(1), after, 7).await.unwrap();
        if page.is_empty() {
            break;
        }
        listed.extend(page);
    }
    assert_eq!(listed, digests);
    for body in &bodies {
        let found = store.object(tenant(1), Digest::of(body)).await.unwrap();
        assert_eq!(found.as_ref(), Some(body));
    }
}

pub(crate) async fn the_tree_grows_with_the_log_and_is_loaded_again(place: &Place) {
    let store = place.open().await;
    let mut log = Log::new(tenant(1), 6);
    for count in [100, 156, 300, 44, 1] {
        store.append(vec![log.some(count)]).await.unwrap();
    }
    let leaves = store.leaves(tenant(1), 0, 10_000).await.unwrap();
    let written = log.entries.iter().map(|e| (e.hash, e.at));
    assert!(leaves.iter().map(|l| (l.hash, l.at)).eq(written));
    let later = store.leaves(tenant(1), 590, 4).await.unwrap();
    assert_eq!(later, leaves[590..594]);
    let tree: Vec<Digest> = leaves.iter().map(|l| leaf(l.hash)).collect();
    let tile = |level, index| store.tile(tenant(1), level, index);
    assert_eq!(tile(0, 0).await.unwrap().unwrap().hashes, tree[..256]);
    assert_eq!(tile(0, 1).await.unwrap().unwrap().hashes, tree[256..512]);
    assert_eq!(tile(0, 2).await.unwrap(), None);
    let above = [root(&tree[..256]), root(&tree[256..512])];
    assert_eq!(tile(1, 0).await.unwrap().unwrap().hashes, above);
    let spans = store.spans(tenant(1), 0, 0, 10).await.unwrap();
    assert_eq!(spans.len(), 2);
    for span in &spans {
        let (first, last) = span.seqs();
        let within = leaves.iter().skip(usize::try_from(first).unwrap() - 1);
        let within: Vec<_> = within
            .take(usize::try_from(last - first).unwrap() + 1)
            .collect();
        assert_eq!(Some(span.at_min), within.iter().map(|l| l.at).min());
        assert_eq!(Some(span.at_max), within.iter().map(|l| l.at).max());
    }
    assert_eq!(store.spans(tenant(1), 0, 1, 10).await.unwrap(), spans[1..]);
    let frontier = Frontier::load(store.as_ref(), tenant(1), log.head).await;
    assert_eq!(frontier.unwrap().root(), root(&tree));
}
