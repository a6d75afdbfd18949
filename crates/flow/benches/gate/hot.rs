//! Reservations on one hot budget: each is an entry for the reservation and
//! one for the counter, chained, synced, and refused over the cap. Beside
//! them, in the same run, a bare conditional UPDATE in PostgreSQL and a Lua
//! reservation in Redis that syncs each write: what keeps a count and nothing
//! else.

use crate::measure::measure;
use crate::peers::{self, Redis};
use crate::place::Bench;
use gate::CostClass;
use gate::budget::{Book, Budget, Call, Measure, Period, Scope, reserve_call};
use kernel::{Money, Ratio, ReservationId, Span, Unit, Verdict, Zone};
use ledger::Store;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use testkit::{MemoryStore, Person, PostgresServer};

/// As many as take a second or two.
const COUNT: usize = 6_000;
const POLICIES: usize = 10;

fn book() -> Book {
    let hard = "100000000 EUR".parse().expect("an amount");
    Book {
        budgets: vec![Budget {
            name: "hot".into(),
            scope: Scope::Tenant,
            period: Period::Total,
            zone: Zone::UTC,
            unit: Measure::Money,
            hard,
            soft: None,
            target: None,
            alert_at: Ratio::from_ppm(800_000),
        }],
    }
}

fn call() -> Call {
    Call {
        amount: Money::parse("1 EUR", None).expect("money"),
        tokens: 0,
        cost_class: CostClass::Cheap,
        directive: None,
        subject: None,
        tool: "chat".into(),
        model: None,
        lease: Span::from_secs(600),
        justification: None,
    }
}

async fn over(store: Arc<dyn Store>, name: &str, levels: &[usize]) {
    let bench = Arc::new(Bench::over(store, POLICIES).await);
    let (book, agent) = (Arc::new(book()), Person::named("ann"));
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    for &at_once in levels {
        let mut measured = measure((0..COUNT).collect(), at_once, |_: usize| {
            let (bench, book, agent) = (bench.clone(), book.clone(), agent.clone());
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let id = ReservationId(uuid::Uuid::from_u128(number.into()));
            async move {
                let work = move |unit: &mut Unit<'_>, _: &gate::GateEnv<'_>| {
                    reserve_call(unit, &book, None, id, call())
                };
                let outcome = bench.run(&agent, work).await;
                assert_eq!(outcome.verdict, Verdict::Allow);
            }
        })
        .await;
        measured.row("reserve on one budget", name, at_once);
    }
}

/// writ on both stores, then its peers.
pub(crate) async fn all(stores: &[String], levels: &[usize]) {
    let wanted = |store: &str| stores.iter().any(|s| s == store);
    if wanted("sqlite") {
        let directory = tempfile::tempdir().expect("a directory");
        let sqlite = store::Sqlite::open(directory.path()).expect("opens");
        over(Arc::new(sqlite), "SQLite", levels).await;
    }
    if wanted("memory") {
        over(MemoryStore::new(), "memory", levels).await;
    }
    if wanted("postgres") {
        let server = PostgresServer::start_with(&["max_connections=600"]);
        let database = server.database();
        let postgres = store::Postgres::open(&database.url()).await.expect("opens");
        over(Arc::new(postgres), "PostgreSQL", levels).await;
        let beside = server.database();
        for &at_once in levels {
            peers::hot_row(&beside, at_once, COUNT);
        }
        let redis = Redis::start();
        for &at_once in levels {
            redis.reserve(at_once, 10 * COUNT);
        }
    }
}
