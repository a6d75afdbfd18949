//! Budgets under load and over time: a thousand callers on two nodes who are
//! cancelled, killed and have their clocks stepped; and what is forecast.

use flow::budgets::{POINTS_MAX, outlook, variance};
use gate::CostClass;
use gate::budget::{
    Book, Budget, Call, Counter, Measure, Period, Reservation, ReservationStatus, Scope, expire,
    release_call, reserve_call, settle_call,
};
use kernel::{
    Actor, Ctx, Money, PrincipalKind, Ratio, Refusal, ReservationId, Span, TenantId, Timestamp,
    TraceId, Unit, Verdict, Zone,
};
use ledger::{Ledger, Settings, Store, replay, verify};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use store::{Postgres, Sqlite};
use testkit::{MemoryStore, PostgresServer, checks};

pub(super) const TENANT: TenantId = TenantId(uuid::Uuid::from_u128(0x7000_8000_0000_0000_0007));
/// 2026-03-01T00:00:00Z.
const START: i64 = 1_772_323_200_000_000;
const HOUR: i64 = 3_600_000_000;
const CALLERS: u64 = 1_000;
const SEED: u64 = 0x5eed_0003;

fn money(text: &str) -> Money {
    Money::parse(text, None).unwrap()
}

fn budget(name: &str, scope: Scope, period: Period, hard: &str) -> Budget {
    let hard: gate::budget::Amount = hard.parse().unwrap();
    Budget {
        name: name.into(),
        scope,
        period,
        zone: Zone::UTC,
        unit: match hard {
            gate::budget::Amount::Money(_) => Measure::Money,
            gate::budget::Amount::Tokens(_) => Measure::Tokens,
            gate::budget::Amount::Calls(_) => Measure::CheapCalls,
        },
        hard,
        soft: None,
        target: None,
        alert_at: Ratio::from_ppm(800_000),
    }
}

fn call(amount: &str, lease: Span) -> Call {
    Call {
        amount: money(amount),
        tokens: 10,
        cost_class: CostClass::Cheap,
        directive: None,
        subject: None,
        tool: "chat".into(),
        model: None,
        lease,
        justification: None,
    }
}

/// Numbers that depend on the seed alone.
fn dice(seed: u64, sides: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)) % sides
}

/// Two nodes over one place, or two handles of one node where a place takes
/// only one; each can be replaced.
pub(super) struct Nodes {
    open: Box<dyn Fn() -> Ledger + Send + Sync>,
    ledgers: Mutex<Vec<Ledger>>,
    clock: AtomicI64,
    drawn: AtomicU64,
}

impl Nodes {
    pub(super) fn new(open: impl Fn() -> Ledger + Send + Sync + 'static) -> Self {
        let ledgers = Mutex::new(vec![open(), open()]);
        Self {
            open: Box::new(open),
            ledgers,
            clock: AtomicI64::new(START),
            drawn: AtomicU64::new(1),
        }
    }

    fn ledger(&self, nth: u64) -> Ledger {
        let ledgers = self.ledgers.lock().unwrap();
        ledgers[usize::try_from(nth % 2).unwrap()].clone()
    }

    /// The clocks of both show this instant.
    pub(super) fn set(&self, at: Timestamp) {
        self.clock.store(at.as_micros(), Ordering::Relaxed);
    }

    /// The node is gone with what it was doing, and another takes its place.
    fn replace(&self, nth: u64) {
        let fresh = (self.open)();
        self.ledgers.lock().unwrap()[usize::try_from(nth % 2).unwrap()] = fresh;
    }

    pub(super) async fn run<R: Send + 'static>(
        &self,
        node: u64,
        agent: &Actor,
        work: impl Fn(&mut Unit<'_>) -> Result<R, Refusal> + Send + 'static,
    ) -> Result<R, Refusal> {
        let now = Timestamp::from_micros(self.clock.load(Ordering::Relaxed));
        let bits = self.drawn.fetch_add(1, Ordering::Relaxed);
        let trace = TraceId::new(u128::from(bits)).unwrap();
        let ctx = Ctx::new(TENANT, now, agent.clone(), trace, u128::from(bits) << 64);
        Ok(self.ledger(node).run(ctx, work).await?.answer)
    }
}

/// Sets aside, and then settles, gives back or comes back no more.
async fn caller(nodes: Arc<Nodes>, book: Arc<Book>, seed: u64) {
    let agent = Actor::new(PrincipalKind::Agent, format!("a{}", dice(seed, 7)));
    let id = ReservationId(uuid::Uuid::from_u128(u128::from(seed) + 1));
    let amount = format!("{}.{:02} EUR", 1 + dice(seed + 1, 3), dice(seed + 2, 100));
    let mut held = None;
    // A full queue or a lost node is a refusal; the caller asks again.
    for node in seed..seed + 6 {
        let (book, amount) = (book.clone(), amount.clone());
        let reserve = move |unit: &mut Unit<'_>| {
            reserve_call(unit, &book, None, id, call(&amount, Span::from_secs(30)))
        };
        if let Ok(outcome) = nodes.run(node, &agent, reserve).await {
            held = Some(outcome.verdict);
            break;
        }
    }
    if !held.is_some_and(Verdict::passes) {
        return;
    }
    let cost = money(&format!("0.{:02} EUR", dice(seed + 3, 100)));
    let act = dice(seed + 4, 5);
    if act > 2 {
        return;
    }
    let work = move |unit: &mut Unit<'_>| match act {
        0 => settle_call(unit, id, Some(cost), Some(3)).map(drop),
        1 => settle_call(unit, id, None, None).map(drop),
        _ => release_call(unit, id).map(drop),
    };
    // What is not settled for a refusal, the lease accounts for.
    drop(nodes.run(seed + 1, &agent, work).await);
}

/// Everybody at once; then leases run out, and all is counted.
async fn stress(nodes: Nodes, store: Arc<dyn Store>, replaces: bool) {
    let book = Arc::new(Book {
        budgets: vec![
            budget("day", Scope::Tenant, Period::Day, "300 EUR"),
            budget("agent", Scope::Agent, Period::Month, "90 EUR"),
            budget("calls", Scope::Tool, Period::Total, "400 calls"),
            budget("tokens", Scope::Tenant, Period::Day, "3500 tokens"),
        ],
    });
    book.check().unwrap();
    let nodes = Arc::new(nodes);
    let mut callers = Vec::new();
    for nth in 0..CALLERS {
        let seed = SEED + nth * 100;
        callers.push(tokio::spawn(caller(nodes.clone(), book.clone(), seed)));
        // Some are cancelled, whatever they are at; clocks are stepped; a node
        // dies and another takes its place.
        if dice(seed + 5, 10) == 0 {
            let victim = usize::try_from(dice(seed + 6, nth + 1)).unwrap();
            callers[victim].abort();
        }
        if nth % 50 == 49 {
            let step = i64::try_from(dice(seed + 7, 40)).unwrap() - 15;
            nodes.clock.fetch_add(step * 1_000_000, Ordering::Relaxed);
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        if replaces && nth % 300 == 299 {
            nodes.replace(nth);
        }
    }
    for caller in callers {
        let ended = caller.await;
        assert!(
            ended.is_ok() || ended.unwrap_err().is_cancelled(),
            "a caller panicked"
        );
    }
    nodes.clock.fetch_add(2 * HOUR, Ordering::Relaxed);
    let timer = Actor::system("scheduler");
    let mut expired = 0;
    for (id, found) in checks::all_in::<Reservation>(store.as_ref(), TENANT).await {
        if found.status == ReservationStatus::Held {
            let id: ReservationId = id.parse().unwrap();
            let done = nodes
                .run(0, &timer, move |unit| expire(unit, id))
                .await
                .unwrap();
            assert_eq!(done.status, ReservationStatus::Expired);
            expired += 1;
        }
    }
    assert!(
        expired > 20,
        "{expired} of {CALLERS} were left to their lease, seed {SEED:#x}"
    );
    checks::budgets_in(store.as_ref(), TENANT).await;
    let counters = checks::all_in::<Counter>(store.as_ref(), TENANT).await;
    for (id, counter) in &counters {
        assert!(
            counter.reserved.is_zero(),
            "`{id}` is stranded: {counter:?}"
        );
    }
    let all = checks::all_in::<Reservation>(store.as_ref(), TENANT).await;
    let refused = all.iter().filter(|(_, r)| r.reason.contains("hard cap"));
    assert!(refused.count() > 20, "no cap was ever met, seed {SEED:#x}");
    let log = verify::log(store.as_ref(), TENANT, |_| ()).await.unwrap();
    assert!(log.is_intact(), "{log:?}");
    let replayed = replay::log(store.as_ref(), &flow::registry(), TENANT, |_| ()).await;
    let replayed = replayed.unwrap();
    assert!(replayed.is_equal(), "{replayed:?}");
}

pub(super) fn ledger(store: Arc<dyn Store>) -> Ledger {
    Ledger::open(store, flow::registry(), Settings::default()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn not_a_unit_is_over_a_cap_or_stranded_on_two_nodes_in_memory() {
    let store = MemoryStore::new();
    let place = store.clone();
    let nodes = Nodes::new(move || ledger(place.beside()));
    Box::pin(stress(nodes, store.beside(), true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn not_a_unit_is_over_a_cap_or_stranded_on_two_nodes_on_postgres() {
    let database = PostgresServer::shared().database();
    let store: Arc<dyn Store> = Arc::new(Postgres::open(&database.url()).await.unwrap());
    let other: Arc<dyn Store> = Arc::new(Postgres::open(&database.url()).await.unwrap());
    let (turn, places) = (AtomicU64::new(0), [store.clone(), other]);
    let nodes = Nodes::new(move || {
        let nth = turn.fetch_add(1, Ordering::Relaxed) % 2;
        ledger(places[usize::try_from(nth).unwrap()].clone())
    });
    Box::pin(stress(nodes, store, true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn not_a_unit_is_over_a_cap_or_stranded_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(directory.path()).unwrap());
    // One process holds the file: both handles are of one node.
    let only = ledger(store.clone());
    let nodes = Nodes::new(move || only.clone());
    Box::pin(stress(nodes, store, false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forecast_and_a_report_follow_what_was_spent() {
    let store = MemoryStore::new();
    let place = store.clone();
    let nodes = Nodes::new(move || ledger(place.beside()));
    let book = Arc::new(Book {
        budgets: vec![
            budget("day", Scope::Tenant, Period::Day, "250 EUR"),
            budget("month", Scope::Tenant, Period::Month, "900 EUR"),
        ],
    });
    let agent = Actor::new(PrincipalKind::Agent, "a1");
    // 10 EUR in each hour of the first day, then 15, charged at its end.
    for hour in 1..=36u32 {
        nodes
            .clock
            .store(START + i64::from(hour) * HOUR - 1, Ordering::Relaxed);
        let id = ReservationId(uuid::Uuid::from_u128(u128::from(hour)));
        let book = book.clone();
        let cost = if hour <= 24 { "10 EUR" } else { "15 EUR" };
        let work = move |unit: &mut Unit<'_>| {
            let outcome = reserve_call(unit, &book, None, id, call(cost, Span::from_secs(60)))?;
            assert_eq!(outcome.verdict, Verdict::Allow);
            settle_call(unit, id, Some(money(cost)), None).map(drop)
        };
        nodes.run(0, &agent, work).await.unwrap();
    }
    let now = Timestamp::from_micros(START + 36 * HOUR);
    let found = outlook(store.as_ref(), TENANT, &book, now).await.unwrap();
    let breach = |name: &str| {
        let outlook = found.iter().find(|o| o.budget == name).unwrap();
        let forecast = outlook.forecast.as_ref().unwrap();
        (
            outlook.used.to_string(),
            forecast.spent.to_string(),
            forecast.breach,
        )
    };
    let today = found.iter().find(|o| o.budget == "day").unwrap();
    let instant = |hour: i64| Timestamp::from_micros(START + hour * HOUR);
    assert_eq!(today.period, (instant(24), instant(48)));
    let drawn: Vec<_> = today
        .points
        .iter()
        .map(|p| p.consumed.to_string())
        .collect();
    let expected: Vec<_> = (1..=12).map(|n| format!("{}.00 EUR", n * 15)).collect();
    assert_eq!(drawn, expected, "one step for each charge of the day");
    let at = |hour: i64| Some(Timestamp::from_micros(START + hour * HOUR));
    // 300 EUR in the last 24 hours, that is, 12.50 an hour; 70 are left today.
    let today = ("180.00 EUR".to_owned(), "300.00 EUR".to_owned(), at(41));
    assert_eq!(breach("day"), today);
    // 410 EUR in the 35 hours since the first charge; 480 are left.
    let month = ("420.00 EUR".to_owned(), "410.00 EUR".to_owned(), at(76));
    assert_eq!(breach("month"), month);

    let report = variance(store.as_ref(), TENANT, &book, now, 3)
        .await
        .unwrap();
    let days: Vec<_> = report
        .iter()
        .map(|v| {
            (
                v.day.as_str(),
                v.consumed.to_string(),
                v.over.to_string(),
                v.under.to_string(),
            )
        })
        .collect();
    let row = |day, consumed: &str, over: &str, under: &str| {
        (day, consumed.to_owned(), over.to_owned(), under.to_owned())
    };
    let wanted = [
        row("2026-02-28", "0.00 EUR", "0.00 EUR", "250.00 EUR"),
        row("2026-03-01", "240.00 EUR", "0.00 EUR", "10.00 EUR"),
        row("2026-03-02", "180.00 EUR", "0.00 EUR", "70.00 EUR"),
    ];
    assert_eq!(days, wanted);
}

/// Of a counter that moved more often than is read, only what was read counts,
/// from when on it is all; the period before is not added over the gap.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_counter_is_forecast_from_what_was_read() {
    let store = MemoryStore::new();
    let place = store.clone();
    let nodes = Nodes::new(move || ledger(place.beside()));
    let book = Arc::new(Book {
        budgets: vec![budget("day", Scope::Tenant, Period::Day, "9000 EUR")],
    });
    let agent = Actor::new(PrincipalKind::Agent, "a1");
    // One call yesterday; twice 1,300 today, each an entry set aside and one
    // settled.
    let mut number = 0u128;
    for (hour, units, each) in [(1i64, 1, 1), (30, 65, 20), (33, 65, 20)] {
        nodes.clock.store(START + hour * HOUR, Ordering::Relaxed);
        for _ in 0..units {
            let (book, first) = (book.clone(), number);
            number += each;
            let work = move |unit: &mut Unit<'_>| {
                for nth in 0..each {
                    let id = ReservationId(uuid::Uuid::from_u128(first + nth + 1));
                    reserve_call(unit, &book, None, id, call("1 EUR", Span::from_secs(60)))?;
                    settle_call(unit, id, Some(money("1 EUR")), None)?;
                }
                Ok(())
            };
            nodes.run(0, &agent, work).await.unwrap();
        }
    }
    let now = Timestamp::from_micros(START + 36 * HOUR);
    let found = outlook(store.as_ref(), TENANT, &book, now).await.unwrap();
    let today = found.iter().find(|o| o.counter.ends_with("2026-03-02"));
    let today = today.unwrap();
    // Those that are left out are not those that stand now.
    assert!(today.points.len() <= POINTS_MAX, "{}", today.points.len());
    assert!(
        today.points.len() > POINTS_MAX / 2,
        "{}",
        today.points.len()
    );
    let last = today.points.last().unwrap();
    assert_eq!(last.consumed.to_string(), "2600.00 EUR");
    let forecast = today.forecast.unwrap();
    assert_eq!(forecast.since, Timestamp::from_micros(START + 30 * HOUR));
    assert_eq!(forecast.spent.to_string(), "1300.00 EUR");
}

/// A forecast that is asked for while money is spent goes by one state of the
/// counter, and is no fault.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forecast_is_made_while_money_is_spent() {
    let store = MemoryStore::new();
    let place = store.clone();
    let nodes = Nodes::new(move || ledger(place.beside()));
    let book = Arc::new(Book {
        budgets: vec![budget("day", Scope::Tenant, Period::Day, "9000 EUR")],
    });
    let agent = Actor::new(PrincipalKind::Agent, "a1");
    nodes.clock.store(START + HOUR, Ordering::Relaxed);
    let spend = async |number: u128| {
        let book = book.clone();
        let work = move |unit: &mut Unit<'_>| {
            let id = ReservationId(uuid::Uuid::from_u128(number + 1));
            reserve_call(unit, &book, None, id, call("0.01 EUR", Span::from_secs(60)))?;
            settle_call(unit, id, Some(money("0.01 EUR")), None)
        };
        nodes.run(0, &agent, work).await.unwrap();
    };
    spend(0).await;
    let over = Arc::new(AtomicBool::new(false));
    let asked = {
        let (store, book, over) = (store.clone(), book.clone(), over.clone());
        let now = Timestamp::from_micros(START + HOUR);
        tokio::spawn(async move {
            let mut found = 0;
            while !over.load(Ordering::Relaxed) {
                found += outlook(store.as_ref(), TENANT, &book, now).await?.len();
            }
            Ok::<_, Refusal>(found)
        })
    };
    for number in 1..1_000 {
        spend(number).await;
    }
    over.store(true, Ordering::Relaxed);
    assert!(asked.await.unwrap().unwrap() > 0);
}
