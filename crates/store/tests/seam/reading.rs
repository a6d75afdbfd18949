//! Reading: every question is answered as a plain search over all that was
//! written would answer it.

use crate::log::{self, Log};
use crate::stores::Place;
use kernel::{StreamId, Timestamp};
use ledger::{Document, DocumentQuery, Entry, EntryQuery, Order};
use std::collections::BTreeMap;
use testkit::Dice;
use testkit::counter::tenant;

fn maybe<T>(dice: &mut Dice, of: impl FnOnce(usize) -> T) -> Option<T> {
    let roll = dice.roll(1000);
    roll.is_multiple_of(4).then(|| of(roll / 4))
}

fn any_order(dice: &mut Dice) -> Order {
    *dice.pick(&[Order::Ascending, Order::Descending]).unwrap()
}

fn any_entry_query(dice: &mut Dice) -> EntryQuery {
    EntryQuery {
        stream: maybe(dice, log::stream),
        kind: maybe(dice, |n| log::kind(n).to_owned()),
        category: maybe(dice, log::category),
        actor: maybe(dice, log::actor),
        subject: maybe(dice, log::subject).flatten(),
        trace: maybe(dice, log::trace),
        directive: maybe(dice, log::directive).flatten(),
        from: maybe(dice, |n| log::at(n * 2)),
        until: maybe(dice, |n| log::at(n * 4)),
        beyond_seq: maybe(dice, |n| n as u64),
        until_seq: maybe(dice, |n| n as u64),
        order: any_order(dice),
        limit: [1, 3, 50, 10_000][dice.roll(4)],
    }
}

fn is<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
    wanted.is_none_or(|wanted| found == Some(wanted))
}

fn fits(entry: &Entry, query: &EntryQuery) -> bool {
    let (low, high) = match query.order {
        Order::Ascending => (query.beyond_seq.map(|seq| seq + 1), query.until_seq),
        Order::Descending => (query.until_seq, query.beyond_seq.map(|seq| seq.max(1) - 1)),
    };
    is(query.stream.as_ref(), Some(&entry.stream))
        && is(query.kind.as_ref(), Some(&entry.kind))
        && is(query.category.as_ref(), Some(&entry.category))
        && is(query.actor.as_ref(), Some(&entry.actor))
        && is(query.subject.as_ref(), entry.subject.as_ref())
        && is(query.trace.as_ref(), Some(&entry.trace_id))
        && is(query.directive.as_ref(), entry.directive.as_ref())
        && query.from.is_none_or(|from| entry.at >= from)
        && query.until.is_none_or(|until| entry.at < until)
        && low.is_none_or(|low| entry.seq >= low)
        && high.is_none_or(|high| entry.seq <= high)
}

fn cut<T>(mut found: Vec<T>, order: Order, limit: usize) -> Vec<T> {
    if order == Order::Descending {
        found.reverse();
    }
    found.truncate(limit);
    found
}

pub(crate) async fn queries_answer_as_a_plain_search_would(place: &Place) {
    let store = place.open().await;
    let mut written = Log::new(tenant(2), 7);
    let mut before = Log::new(tenant(1), 8);
    let mut after = Log::new(tenant(3), 9);
    for _ in 0..3 {
        let batches = vec![before.some(50), written.some(100), after.some(50)];
        store.append(batches).await.unwrap();
    }
    let mut matched = 0;
    for seed in 0..400 {
        let query = any_entry_query(&mut Dice::new(seed));
        let found = store.entries(tenant(2), &query).await.unwrap();
        let all = written.entries.iter().filter(|e| fits(e, &query));
        let expected = cut(all.cloned().collect(), query.order, query.limit);
        assert_eq!(found, expected, "seed {seed}: {query:?}");
        matched += found.len();
    }
    assert!(matched > 1000, "the queries find too little: {matched}");
}

pub(crate) async fn documents_are_listed_as_a_plain_search_would(place: &Place) {
    let store = place.open().await;
    let mut written = Log::new(tenant(2), 10);
    let (mut before, mut after) = (Log::new(tenant(1), 11), Log::new(tenant(3), 12));
    for _ in 0..20 {
        let batches = vec![before.some(3), written.some(3), after.some(3)];
        store.append(batches).await.unwrap();
    }
    let mut matched = 0;
    for seed in 0..200 {
        let dice = &mut Dice::new(seed);
        let query = DocumentQuery {
            kind: ["door", "lamp"][dice.roll(2)].into(),
            statuses: (0..dice.roll(3)).map(|n| log::status(n).into()).collect(),
            subject: maybe(dice, log::subject).flatten(),
            directive: maybe(dice, log::directive).flatten(),
            beyond_seq: maybe(dice, |n| n as u64 / 6),
            order: any_order(dice),
            limit: [1, 3, 100][dice.roll(3)],
        };
        let fits = |d: &&Document| {
            d.stream.kind() == query.kind
                && (query.statuses.is_empty() || query.statuses.contains(&d.status))
                && is(query.subject.as_ref(), d.subject.as_ref())
                && is(query.directive.as_ref(), d.directive.as_ref())
                && query.beyond_seq.is_none_or(|seq| match query.order {
                    Order::Ascending => d.created_seq > seq,
                    Order::Descending => d.created_seq < seq,
                })
        };
        let mut all: Vec<_> = written.documents.values().filter(fits).cloned().collect();
        all.sort_by_key(|d| d.created_seq);
        let found = store.documents(tenant(2), &query).await.unwrap();
        let expected = cut(all, query.order, query.limit);
        assert_eq!(found, expected, "seed {seed}: {query:?}");
        matched += found.len();
    }
    assert!(matched > 200, "the queries find too little: {matched}");
}

pub(crate) async fn documents_are_paged_in_the_order_of_bytes(place: &Place) {
    let store = place.open().await;
    let mut written = Log::new(tenant(1), 11);
    let mut batch = written.some(8);
    let names = ["a", "B", "_", "é", "a/b", "a-b", "~", "Z"];
    batch.documents = names
        .iter()
        .zip(&batch.entries)
        .map(|(name, entry)| Document {
            stream: StreamId::new("door", name),
            version: 1,
            created_seq: entry.seq,
            updated_seq: entry.seq,
            status: "open".into(),
            subject: None,
            directive: None,
            due_at: None,
            body: "{}".into(),
        })
        .collect();
    store.append(vec![batch]).await.unwrap();
    let mut expected: Vec<StreamId> = names.map(|name| StreamId::new("door", name)).into();
    expected.sort();
    let mut found: Vec<StreamId> = Vec::new();
    loop {
        let page = store
            .all_documents(tenant(1), found.last(), 3)
            .await
            .unwrap();
        if page.is_empty() {
            break;
        }
        found.extend(page.into_iter().map(|d| d.stream));
    }
    assert_eq!(found, expected);
}

pub(crate) async fn what_is_due_is_found_across_tenants(place: &Place) {
    let store = place.open().await;
    assert_eq!(store.next_due().await.unwrap(), None);
    let mut logs: Vec<Log> = (1..=3)
        .map(|n| Log::new(tenant(n), 20 + u64::from(n)))
        .collect();
    for round in 0..6 {
        let batches = logs.iter_mut().map(|log| log.some(4)).collect();
        store.append(batches).await.unwrap();
        let mut due = BTreeMap::new();
        for log in &logs {
            for document in log.documents.values() {
                if let Some(at) = document.due_at {
                    due.insert((at, log.tenant, document.stream.clone()), ());
                }
            }
        }
        let due: Vec<_> = due.into_keys().collect();
        assert!(!due.is_empty());
        assert_eq!(store.next_due().await.unwrap(), Some(due[0].0), "{round}");
        for now in [log::at(0), due[due.len() / 2].0, log::at(9999)] {
            for limit in [2, 1000] {
                let found = store.due(now, limit).await.unwrap();
                let expected: Vec<_> = due
                    .iter()
                    .take_while(|(at, ..)| *at <= now)
                    .take(limit)
                    .map(|(_, tenant, stream)| (*tenant, stream.clone()))
                    .collect();
                assert_eq!(found, expected, "round {round}, {now}");
            }
        }
        assert_eq!(store.due(Timestamp::EPOCH, 9).await.unwrap(), []);
    }
}

pub(crate) async fn tenants_see_nothing_of_each_other(place: &Place) {
    let store = place.open().await;
    let mut mine = Log::new(tenant(1), 12);
    let mut batch = mine.some(300);
    let digest = kernel::Digest::of(b"mine");
    batch.objects.push((digest, b"mine".to_vec()));
    store.append(vec![batch]).await.unwrap();
    let entry = &mine.entries[0];
    for other in [tenant(2), tenant(3)] {
        let all = EntryQuery {
            limit: 1000,
            ..EntryQuery::default()
        };
        assert_eq!(store.entries(other, &all).await.unwrap(), []);
        assert_eq!(store.entry(other, entry.id).await.unwrap(), None);
        assert_eq!(store.document(other, &entry.stream).await.unwrap(), None);
        assert_eq!(store.all_documents(other, None, 9).await.unwrap(), []);
        assert_eq!(store.leaves(other, 0, 9).await.unwrap(), []);
        assert_eq!(store.tile(other, 0, 0).await.unwrap(), None);
        assert_eq!(store.spans(other, 0, 0, 9).await.unwrap(), []);
        assert_eq!(store.object(other, digest).await.unwrap(), None);
        assert_eq!(store.object_digests(other, None, 9).await.unwrap(), []);
        if other == tenant(2) {
            // A tenant with a log of its own sees its own, and no more.
            let mut theirs = Log::new(other, 13);
            let batch = theirs.some(1);
            store.append(vec![batch]).await.unwrap();
            assert_eq!(store.entries(other, &all).await.unwrap(), theirs.entries);
            assert_eq!(store.entry(other, entry.id).await.unwrap(), None);
            assert_eq!(store.object(other, digest).await.unwrap(), None);
        }
    }
}
