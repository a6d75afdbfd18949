//! Queries by any keys and any time give what a look at every entry gives, in
//! the order of the log, page by page, while others write; a clock that was
//! wrong changes nothing but a few reads.

use kernel::unit::Refs;
use kernel::{
    Actor, Aggregate, Category, Ctx, DirectiveId, Impossible, Stamp, StreamId, Subject, TenantId,
    Timestamp, TraceId,
};
use ledger::{Entry, EntryQuery, Ledger, Order, Registry, Settings, Store, query};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use store::{Postgres, Sqlite};
use testkit::{PostgresDatabase, PostgresServer};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Said {
    about: u64,
}
kernel::events! {
    /// What is said of a thing.
    pub enum ThingEvent {
        Seen(Said) = "thing.seen" in Signal,
        Kept(Said) = "thing.kept" in Evidence,
        Lost(Said) = "thing.lost" in Evidence,
        Done(Said) = "thing.done" in Action,
    }
}
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Thing {
    about: u64,
}
impl Aggregate for Thing {
    const KIND: &'static str = "thing";
    type Event = ThingEvent;
    fn evolve(_: Option<Self>, event: &ThingEvent, _: &Stamp) -> Result<Self, Impossible> {
        let (ThingEvent::Seen(said)
        | ThingEvent::Kept(said)
        | ThingEvent::Lost(said)
        | ThingEvent::Done(said)) = event;
        Ok(Self { about: said.about })
    }
    fn status(&self) -> &'static str {
        "known"
    }
    fn refs(&self) -> Refs {
        Refs {
            subject: (!self.about.is_multiple_of(3)).then(|| subject(self.about % 5)),
            directive: (self.about % 4 == 1).then(|| directive(self.about % 7)),
            snapshot: None,
        }
    }
}

fn subject(n: u64) -> Subject {
    Subject::new("service", &format!("s{n}")).unwrap()
}
fn directive(n: u64) -> DirectiveId {
    format!("dir_{n:032x}").parse().unwrap()
}
const TENANT: &str = "ten_00000000000070008000000000000001";

fn tenant() -> TenantId {
    TENANT.parse().unwrap()
}

/// Numbers that look random and are the same for the same seed.
struct Dice(u64);
impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// The instant of command `n`: seconds, with clocks set back and one in 2099.
fn instant(n: u64) -> Timestamp {
    let back = if n % 13 == 5 { 40 } else { 0 };
    let wrong = if n == 31 { 2_300_000_000 } else { 0 };
    let seconds = 1_770_000_000 + i64::try_from(n).unwrap() - back + wrong;
    Timestamp::from_micros(seconds * 1_000_000)
}

async fn append(ledger: &Ledger, command: u64, entries: u64) {
    let actor = if command % 50 == 49 { "rare" } else { "common" };
    let ctx = Ctx::new(
        tenant(),
        instant(command),
        Actor::system(actor),
        TraceId::new(u128::from(command / 3) + 1).unwrap(),
        u128::from(command) + 1,
    );
    let done = ledger.run(ctx, move |unit| {
        for n in 0..entries {
            let said = Said { about: command + n };
            let event = match (command + n) % 211 {
                0 => ThingEvent::Lost(said),
                other if other % 3 == 0 => ThingEvent::Kept(said),
                other if other % 3 == 1 => ThingEvent::Seen(said),
                _ => ThingEvent::Done(said),
            };
            unit.record::<Thing>((command + n) % 40, event)?;
        }
        Ok(())
    });
    done.await.unwrap();
}

/// Where the log of a test stands; it is gone with this.
enum Place {
    Sqlite(tempfile::TempDir),
    Postgres(PostgresDatabase),
}

impl Place {
    fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }
    fn postgres() -> Self {
        Self::Postgres(PostgresServer::shared().database())
    }
    async fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(directory) => Arc::new(Sqlite::open(directory.path()).unwrap()),
            Self::Postgres(database) => Arc::new(Postgres::open(&database.url()).await.unwrap()),
        }
    }
}

async fn filled(place: &Place, commands: u64, entries: u64) -> Ledger {
    let store = place.open().await;
    let registry = Registry::new([kernel::aggregate::Fold::of::<Thing>()]);
    let ledger = Ledger::open(store, registry, Settings::default()).unwrap();
    for command in 0..commands {
        append(&ledger, command, entries).await;
    }
    ledger
}

async fn everything(ledger: &Ledger) -> Vec<Entry> {
    let query = EntryQuery {
        limit: usize::MAX,
        ..EntryQuery::default()
    };
    ledger.store().entries(tenant(), &query).await.unwrap()
}

fn fits(entry: &Entry, query: &EntryQuery) -> bool {
    let (beyond, until) = match query.order {
        Order::Ascending => (
            query.beyond_seq.is_none_or(|seq| entry.seq > seq),
            query.until_seq.is_none_or(|seq| entry.seq <= seq),
        ),
        Order::Descending => (
            query.beyond_seq.is_none_or(|seq| entry.seq < seq),
            query.until_seq.is_none_or(|seq| entry.seq >= seq),
        ),
    };
    beyond
        && until
        && query.stream.as_ref().is_none_or(|s| *s == entry.stream)
        && query.kind.as_ref().is_none_or(|k| *k == entry.kind)
        && query.category.is_none_or(|c| c == entry.category)
        && query.actor.as_ref().is_none_or(|a| *a == entry.actor)
        && (query.subject.is_none() || query.subject == entry.subject)
        && query.trace.is_none_or(|t| t == entry.trace_id)
        && (query.directive.is_none() || query.directive == entry.directive)
        && query.from.is_none_or(|from| entry.at >= from)
        && query.until.is_none_or(|until| entry.at < until)
}

fn expected(all: &[Entry], query: &EntryQuery) -> Vec<u64> {
    let mut found: Vec<_> = all
        .iter()
        .filter(|e| fits(e, query))
        .map(|e| e.seq)
        .collect();
    if query.order == Order::Descending {
        found.reverse();
    }
    found.truncate(query.limit);
    found
}

/// A query by some of the keys, with values that are there and some that are
/// not.
fn any(dice: &mut Dice, commands: u64, size: u64) -> EntryQuery {
    let mut some = |of: u64| dice.below(of) == 0;
    let with: Vec<bool> = [5, 3, 4, 3, 3, 5, 4, 3, 3, 2, 4]
        .into_iter()
        .map(&mut some)
        .collect();
    let kinds = [
        "thing.seen",
        "thing.kept",
        "thing.lost",
        "thing.done",
        "thing.none",
    ];
    let kind = kinds[usize::try_from(dice.below(5)).unwrap()];
    let categories = [Category::Signal, Category::Evidence, Category::Budget];
    let category = categories[usize::try_from(dice.below(3)).unwrap()];
    let actor = ["common", "rare", "none"][usize::try_from(dice.below(3)).unwrap()];
    EntryQuery {
        stream: with[0].then(|| StreamId::new("thing", dice.below(42))),
        kind: with[1].then(|| kind.to_owned()),
        category: with[2].then_some(category),
        actor: with[3].then(|| Actor::system(actor)),
        subject: with[4].then(|| subject(dice.below(6))),
        trace: with[5].then(|| TraceId::new(u128::from(dice.below(commands / 3)) + 1).unwrap()),
        directive: with[6].then(|| directive(dice.below(8))),
        from: with[7].then(|| instant(dice.below(commands + 9))),
        until: with[8].then(|| instant(dice.below(commands + 9))),
        beyond_seq: with[9].then(|| dice.below(size + 9)),
        until_seq: with[10].then(|| dice.below(size + 9)),
        order: [Order::Ascending, Order::Descending][usize::try_from(dice.below(2)).unwrap()],
        limit: usize::try_from(1 + dice.below(60)).unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_what_a_look_at_every_entry_gives() {
    check_pages(Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_a_page_is_what_a_look_at_every_entry_gives() {
    check_pages(Place::postgres()).await;
}

async fn check_pages(place: Place) {
    // More than a tile of the second level, so that spans of both are used.
    let (commands, entries) = (270, 256);
    let ledger = filled(&place, commands, entries).await;
    let all = everything(&ledger).await;
    assert_eq!(all.len() as u64, commands * entries);
    let mut answered = 0;
    for seed in 1..=600_u64 {
        let query = any(
            &mut Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            commands,
            all.len() as u64,
        );
        let found = query::page(ledger.store(), tenant(), &query).await.unwrap();
        let seqs: Vec<_> = found.iter().map(|e| e.seq).collect();
        assert_eq!(seqs, expected(&all, &query), "seed {seed}: {query:?}");
        let whole = found
            .iter()
            .all(|e| *e == all[usize::try_from(e.seq).unwrap() - 1]);
        assert!(whole, "seed {seed}");
        answered += usize::from(!found.is_empty());
    }
    assert!(answered > 200, "only {answered} queries had an answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_hold_while_others_write() {
    check_cursors(Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_cursors_hold_while_others_write() {
    check_cursors(Place::postgres()).await;
}

async fn check_cursors(place: Place) {
    let ledger = filled(&place, 40, 20).await;
    let before = everything(&ledger).await;
    let writers = {
        let ledger = ledger.clone();
        tokio::spawn(async move {
            for command in 40..140 {
                append(&ledger, command, 20).await;
            }
        })
    };
    let queries = [
        EntryQuery::default(),
        EntryQuery {
            kind: Some("thing.seen".into()),
            ..EntryQuery::default()
        },
        EntryQuery {
            subject: Some(subject(2)),
            category: Some(Category::Evidence),
            ..EntryQuery::default()
        },
        EntryQuery {
            actor: Some(Actor::system("common")),
            from: Some(instant(10)),
            ..EntryQuery::default()
        },
    ];
    for query in queries {
        for order in [Order::Ascending, Order::Descending] {
            let mut query = EntryQuery {
                order,
                limit: 7,
                ..query.clone()
            };
            if order == Order::Descending {
                query.beyond_seq = Some(before.len() as u64 + 1);
            }
            let whole = EntryQuery {
                limit: usize::MAX,
                ..query.clone()
            };
            let mut seqs = Vec::new();
            loop {
                let page = query::page(ledger.store(), tenant(), &query).await.unwrap();
                seqs.extend(page.iter().map(|e| e.seq));
                match page.last() {
                    Some(last) if page.len() == 7 => query.beyond_seq = Some(last.seq),
                    _ => break,
                }
            }
            seqs.retain(|seq| *seq <= before.len() as u64);
            assert_eq!(seqs, expected(&before, &whole), "{whole:?}");
        }
    }
    writers.await.unwrap();
}
