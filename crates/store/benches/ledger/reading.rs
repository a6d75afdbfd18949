//! Queries, proofs, verification and replay of a log of some size.

use crate::numbers::{forget_peak, millis, peak_mib, processor_seconds, quantile, rate, ratio};
use crate::sample::{self, FILL_ENTRIES, TENANT};
use kernel::{Category, StreamId};
use ledger::merkle::{Stored, Tiles};
use ledger::{EntryQuery, Ledger, Order, query, replay, verify, why};
use std::time::{Duration, Instant};

/// How often each query is asked.
const ASKED: usize = 40;
const PAGE: usize = 50;

/// The queries, each with its name. `size` is the number of entries.
fn queries(size: u64) -> Vec<(&'static str, EntryQuery)> {
    let base = EntryQuery::default;
    let middle = size / FILL_ENTRIES / 2;
    let kind = |name: &str| EntryQuery {
        kind: Some(name.into()),
        ..base()
    };
    let category = |category| EntryQuery {
        category: Some(category),
        ..base()
    };
    let by = |name: &str, query| EntryQuery {
        actor: name.parse().ok(),
        ..query
    };
    let about = |name: &str, query| EntryQuery {
        subject: name.parse().ok(),
        ..query
    };
    let during = |first: u64, last: u64, query| EntryQuery {
        from: Some(sample::instant(first)),
        until: Some(sample::instant(last)),
        ..query
    };
    vec![
        ("everything", base()),
        (
            "stream",
            EntryQuery {
                stream: Some(StreamId::new("note", format!("{middle}-3"))),
                ..base()
            },
        ),
        ("kind, common", kind("note.noted")),
        ("kind, rare", kind("note.lost")),
        ("kind, none", kind("note.none")),
        ("category", category(Category::Outcome)),
        ("actor, common", by("system:part-3", base())),
        ("actor, rare", by("human:ann", base())),
        ("actor, none", by("human:bob", base())),
        ("subject, common", about("service/common", base())),
        ("subject, rare", about("service/s-7", base())),
        (
            "trace",
            EntryQuery {
                trace: Some(sample::trace(middle)),
                ..base()
            },
        ),
        (
            "directive",
            EntryQuery {
                directive: sample::directive(middle / 4 * 4),
                ..base()
            },
        ),
        ("time, a minute", during(middle, middle + 60, base())),
        ("time, most", during(10, 2 * middle, base())),
        (
            "time, none",
            during(u64::from(u32::MAX), u64::from(u32::MAX) + 9, base()),
        ),
        ("kind + time", during(middle, 2 * middle, kind("note.lost"))),
        (
            "actor + time",
            during(middle, middle + 600, by("human:ann", base())),
        ),
        (
            "actor + category",
            by("human:ann", category(Category::Approval)),
        ),
        (
            "actor + category, none",
            by("system:part-3", category(Category::Approval)),
        ),
        ("subject + kind", about("service/common", kind("note.lost"))),
        (
            "subject + kind, none",
            about("service/common", kind("note.none")),
        ),
        (
            "actor + subject",
            by("human:ann", about("service/common", base())),
        ),
        (
            "actor + subject, none",
            by("system:part-3", about("service/common", base())),
        ),
    ]
}

/// Asks every query: the first page oldest and newest first, and a page that
/// begins in the middle of the log.
pub(crate) async fn ask(ledger: &Ledger, size: u64) {
    println!(
        "  {:<24} {:>4}  {:>9} {:>9}  {:>9} {:>9}  {:>9} {:>9}",
        "page of 50, ms", "rows", "first p50", "p99", "last p50", "p99", "deep p50", "p99"
    );
    for (name, query) in queries(size) {
        let newest = EntryQuery {
            order: Order::Descending,
            ..query.clone()
        };
        let deep = EntryQuery {
            beyond_seq: Some(size / 2),
            ..query.clone()
        };
        let (rows, first) = timed(ledger, query).await;
        let (_, newest) = timed(ledger, newest).await;
        let (_, deep) = timed(ledger, deep).await;
        print!("  {name:<24} {rows:>4}");
        for times in [first, newest, deep] {
            let (half, most) = (quantile(&times, 0.5), quantile(&times, 0.99));
            print!("  {:>9.3} {:>9.3}", millis(half), millis(most));
        }
        println!();
    }
}

async fn timed(ledger: &Ledger, query: EntryQuery) -> (usize, Vec<Duration>) {
    let query = EntryQuery {
        limit: PAGE,
        ..query
    };
    let mut times = Vec::with_capacity(ASKED);
    let mut rows = 0;
    for _ in 0..ASKED {
        let began = Instant::now();
        let found = query::page(ledger.store(), TENANT, &query).await;
        times.push(began.elapsed());
        rows = found.expect("an answer").len();
    }
    times.sort_unstable();
    (rows, times)
}

/// Proofs and `why`, spread over the log.
pub(crate) async fn prove(ledger: &Ledger, size: u64) {
    let store = ledger.store();
    let mut inclusion = Vec::new();
    let mut consistency = Vec::new();
    let mut reasons = Vec::new();
    for n in 0..ASKED as u64 {
        let at = n * (size - 1) / ASKED as u64;
        let stored = Stored {
            store,
            tenant: TENANT,
        };
        let began = Instant::now();
        let proof = Tiles::new(stored, size).inclusion(at).await;
        inclusion.push(began.elapsed());
        drop(proof.expect("a proof"));
        let began = Instant::now();
        let proof = Tiles::new(stored, size).consistency(at + 1).await;
        consistency.push(began.elapsed());
        drop(proof.expect("a proof"));
        let one = EntryQuery {
            beyond_seq: Some(at),
            limit: 1,
            ..EntryQuery::default()
        };
        let found = store.entries(TENANT, &one);
        let id = found.await.expect("an entry").remove(0).id.to_string();
        let began = Instant::now();
        why::why(store, TENANT, &id).await.expect("an answer");
        reasons.push(began.elapsed());
    }
    for (name, mut times) in [
        ("inclusion", inclusion),
        ("consistency", consistency),
        ("why", reasons),
    ] {
        times.sort_unstable();
        println!(
            "  {name:<24} p50 {:.3} ms, p99 {:.3} ms",
            millis(quantile(&times, 0.5)),
            millis(quantile(&times, 0.99))
        );
    }
}

/// Verification and replay of the whole log: its entries, what the storage
/// engine says of itself, both beside each other, and every state again.
pub(crate) async fn check(ledger: &Ledger, size: u64) {
    let (store, registry) = (ledger.store(), ledger.registry());
    let ended = measured(
        "verify, entries",
        size,
        verify::entries(store, TENANT, |_| ()),
    );
    let (head, fault) = ended.await.expect("readable");
    assert!(fault.is_none() && head.seq == size, "{fault:?}");
    let engine = measured("verify, engine's check", size, store.engine_check());
    assert!(engine.await.expect("readable").is_empty());
    let verified = measured("verify, both", size, verify::log(store, TENANT, |_| ()));
    let verified = verified.await.expect("readable");
    assert!(verified.is_intact(), "{verified:?}");
    let replayed = measured("replay", size, replay::log(store, registry, TENANT, |_| ()));
    let replayed = replayed.await.expect("readable");
    assert!(replayed.is_equal(), "{replayed:?}");
    println!(
        "    {} states, {} MiB sorted on disk",
        replayed.states,
        replayed.spilled_bytes / (1024 * 1024)
    );
}

/// Does something with every entry, and says how fast: by the clock, and by the
/// processor time of this process.
async fn measured<T>(name: &str, entries: u64, work: impl Future<Output = T>) -> T {
    forget_peak();
    let (began, used) = (Instant::now(), processor_seconds());
    let done = work.await;
    let (took, used) = (began.elapsed(), processor_seconds() - used);
    let entries = usize::try_from(entries).expect("small");
    println!(
        "  {name:<24} {:.0} entries/s, {:.1} s; {:.0} for each second of processor, {used:.1} s; \
         peak {} MiB",
        rate(entries, took),
        took.as_secs_f64(),
        ratio(entries, 1) / used,
        peak_mib()
    );
    done
}
