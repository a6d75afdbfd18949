//! A server that goes away: what was acknowledged is there afterwards, nothing
//! that was not asked for is, and everything goes on without a person.

use crate::commands::is_whole;
use crate::log::Log;
use crate::proxy::{Fate, Proxy};
use crate::stores::{Kind, Place};
use kernel::Code;
use ledger::request::Key;
use ledger::{Ledger, Store as _, StoreFault};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use store::Postgres;
use testkit::counter::{Counter, add, ctx, ledger, tenant};
use testkit::{Dice, PostgresServer, eventually};

/// One writer under load: commands with keys, each asked again until it is
/// answered. Returns what was answered, by key.
async fn write(ledger: Ledger, writer: u64, stop: Arc<AtomicBool>) -> BTreeMap<u64, u64> {
    let mut answers = BTreeMap::new();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let name = format!("w{writer}-{number}");
        loop {
            let digest = kernel::Digest::of(name.as_bytes());
            let key = Some(Key::new("service:load", &name, digest).unwrap());
            let done = ledger.run_once(ctx(tenant(1)), key, move |unit| {
                add(unit, "hot", 1)?;
                add(unit, format!("own-{writer}"), 1)
            });
            match done.await {
                Ok(committed) => {
                    answers.insert(number, committed.answer);
                    break;
                }
                Err(refusal) => {
                    assert_eq!(refusal.code, Code::Unavailable, "{refusal}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_is_killed_under_load_loses_nothing_and_invents_nothing() {
    const WRITERS: u64 = 8;
    const KILLS: u64 = 4;
    let server = PostgresServer::start();
    let database = server.database();
    let mut nodes = Vec::new();
    for _ in 0..2 {
        nodes.push(ledger(Arc::new(
            Postgres::open(&database.url()).await.unwrap(),
        )));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|n| {
            let node = nodes[usize::try_from(n).unwrap() % 2].clone();
            tokio::spawn(write(node, n, stop.clone()))
        })
        .collect();
    let store = nodes[0].store();
    for _ in 0..KILLS {
        let before = store.head(tenant(1)).await.unwrap().seq;
        eventually("the load goes on", async || {
            let head = store.head(tenant(1)).await;
            head.is_ok_and(|head| head.seq > before + 50)
        })
        .await;
        server.kill();
        let refused = store.head(tenant(1)).await.unwrap_err();
        let unavailable = matches!(refused, StoreFault::Unavailable(_));
        assert!(unavailable, "{refused}");
        server.restart();
    }
    stop.store(true, Ordering::Relaxed);
    let mut commands = 0;
    for (writer, task) in (0_u64..).zip(writers) {
        let answers = task.await.unwrap();
        let count = answers.len() as u64;
        commands += count;
        // Each was done once, and in turn: the counter of the writer's own
        // says how many came before.
        for (number, answer) in answers {
            assert_eq!(answer, number, "writer {writer}");
        }
        let own = nodes[1].run(ctx(tenant(1)), move |unit| {
            Ok(unit.get::<Counter>(format!("own-{writer}"))?.total)
        });
        assert_eq!(own.await.unwrap().answer, count, "writer {writer}");
    }
    // For each command two additions and its answer.
    let head = store.head(tenant(1)).await.unwrap();
    assert_eq!(head.seq, commands * 3);
    let hot = nodes[0].run(ctx(tenant(1)), |unit| Ok(unit.get::<Counter>("hot")?.total));
    assert_eq!(hot.await.unwrap().answer, commands);
    let verified = ledger::verify::log(store, tenant(1), |_| ()).await.unwrap();
    assert!(verified.is_intact(), "{verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_was_cut_off_misses_nothing() {
    let Place::Postgres(database) = Place::new(Kind::Postgres) else {
        unreachable!("it was asked for");
    };
    let open = async || ledger(Arc::new(Postgres::open(&database.url()).await.unwrap()));
    let (first, second) = (open().await, open().await);
    for _ in 0..3 {
        let mut commits = second.commits();
        commits.mark_unchanged();
        database.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE application_name = 'writ' AND datname = current_database()",
        );
        let done = first.run(ctx(tenant(1)), |unit| add(unit, "a", 1)).await;
        let total = done.unwrap().answer;
        let heard = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                commits.changed().await.unwrap();
                let state = second.run(ctx(tenant(1)), |unit| unit.find::<Counter>("a"));
                if state
                    .await
                    .unwrap()
                    .answer
                    .is_some_and(|c| c.total == total)
                {
                    return;
                }
            }
        });
        heard.await.expect("the other node hears of it");
    }
}

/// The answer of a commit is lost on the way, or its request comes late: after
/// the node has given the connection up, looked, and perhaps sent it again. The
/// commands have no key, so whatever is done twice counts twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_found_in_the_log_and_nothing_is_done_twice() {
    const ROUNDS: u64 = 60;
    let seed = 0xC0FFEE;
    let mut dice = Dice::new(seed);
    let database = PostgresServer::shared().database();
    let proxy = Proxy::start(&database.url());
    let ledger = ledger(Arc::new(Postgres::open(&proxy.url).await.unwrap()));
    let add_one = || ledger.run(ctx(tenant(1)), |unit| add(unit, "a", 1));
    for round in 1..=ROUNDS {
        let late = Duration::from_millis(dice.roll(40) as u64);
        let fate = match round % 2 {
            0 => Fate::LosesAnswer,
            _ => Fate::ComesLate(late),
        };
        proxy.commits(fate);
        let done = add_one().await;
        let context = format!("seed {seed}, round {round}, {fate:?}");
        let done = done.unwrap_or_else(|refusal| panic!("{context}: {refusal}"));
        assert_eq!(
            (done.answer, done.seqs),
            (round, Some((round, round))),
            "{context}"
        );
        assert_eq!(proxy.struck(), round, "{context}");
    }
    // What came late has arrived by now.
    tokio::time::sleep(Duration::from_millis(100)).await;
    is_whole(&ledger, tenant(1), ROUNDS, 1).await;
}

/// A proxy that has lost its server says so in words of its own. They leave as
/// much open as silence does.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_proxy_says_is_not_taken_for_the_servers_answer() {
    let database = PostgresServer::shared().database();
    let proxy = Proxy::start(&database.url());
    let ledger = ledger(Arc::new(Postgres::open(&proxy.url).await.unwrap()));
    let said = [
        ("ERROR", "57P01"),
        ("ERROR", "57P03"),
        ("ERROR", "08006"),
        ("ERROR", "08P01"),
        ("FATAL", "XX000"),
        ("FATAL", "53300"),
        ("PANIC", "58000"),
    ];
    for (round, (severity, code)) in (1..).zip(said) {
        proxy.commits(Fate::Refused(severity, code));
        let done = ledger.run(ctx(tenant(1)), |unit| add(unit, "a", 1)).await;
        let done = done.unwrap_or_else(|refusal| panic!("{severity} {code}: {refusal}"));
        let place = (done.answer, done.seqs);
        assert_eq!(place, (round, Some((round, round))), "{severity} {code}");
        assert_eq!(proxy.struck(), round, "{severity} {code}");
    }
    is_whole(&ledger, tenant(1), said.len() as u64, 1).await;
}

/// Longer than the server lets a transaction stand still, and shorter than a
/// lock is waited for.
const STILL_MAX: Duration = Duration::from_secs(6);

/// A node stops in the middle of an append: the server ends its transaction,
/// the others go on, and when it wakes, it does what it was asked to once.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stands_still_in_an_append_holds_the_log_for_seconds() {
    let database = PostgresServer::shared().database();
    let proxy = Proxy::start(&database.url());
    let still = ledger(Arc::new(Postgres::open(&proxy.url).await.unwrap()));
    let other = ledger(Arc::new(Postgres::open(&database.url()).await.unwrap()));
    let add_one = async |ledger: Ledger| {
        let done = ledger.run(ctx(tenant(1)), |unit| add(unit, "a", 1));
        done.await.map(|done| done.answer)
    };
    assert_eq!(add_one(other.clone()).await.unwrap(), 1);
    assert_eq!(add_one(still.clone()).await.unwrap(), 2);
    proxy.commits(Fate::StandsStill);
    let stands = tokio::spawn(add_one(still.clone()));
    eventually("it stands still", async || proxy.struck() == 1).await;
    let goes_on = tokio::spawn(add_one(other.clone()));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!goes_on.is_finished(), "the log is locked");
    let done = tokio::time::timeout(STILL_MAX, goes_on).await;
    assert_eq!(done.expect("the lock ends").unwrap().unwrap(), 3);
    assert_eq!(stands.await.unwrap().unwrap(), 4);
    is_whole(&still, tenant(1), 4, 1).await;
}

/// As above, between the claim of a log and the append under it.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stands_still_after_a_claim_holds_the_log_for_seconds() {
    let database = PostgresServer::shared().database();
    let still = Postgres::open(&database.url()).await.unwrap();
    let mut log = Log::join(&still, tenant(1), 1).await;
    still.append(vec![log.some(2)]).await.unwrap();
    still.claim(&[tenant(1)]).await.unwrap();
    let other = Postgres::open(&database.url()).await.unwrap();
    let mut rival = Log::join(&other, tenant(1), 2).await;
    let batch = rival.some(2);
    let goes_on = tokio::spawn(async move { other.append(vec![batch]).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!goes_on.is_finished(), "the log is locked");
    let done = tokio::time::timeout(STILL_MAX, goes_on).await;
    done.expect("the lock ends").unwrap().unwrap();
    // The claim is lost, and the append under it rests on what has changed.
    let late = still.append(vec![log.some(2)]).await.unwrap_err();
    assert!(matches!(late, StoreFault::Stale(_)), "{late}");
    assert_eq!(still.head(tenant(1)).await.unwrap(), rival.head);
}

/// Among the hosts of a URL may be a standby: what it has is behind, so nothing
/// is decided on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_no_writes_is_not_worked_with() {
    let server = PostgresServer::start();
    let database = server.database();
    let url = database.url();
    drop(Postgres::open(&url).await.unwrap());
    database.sql(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', \
         current_database()); END $$",
    );
    let refused = Postgres::open(&url).await.err().unwrap();
    let unavailable = matches!(refused, StoreFault::Unavailable(_));
    assert!(unavailable, "{refused}");
    // Reading, as verify does, needs no writes.
    Postgres::open_read_only(&url).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_found_is_said_to_be_open() {
    let server = PostgresServer::start();
    let database = server.database();
    let proxy = Proxy::start(&database.url());
    let ledger = ledger(Arc::new(Postgres::open(&proxy.url).await.unwrap()));
    let add_one = || ledger.run(ctx(tenant(1)), |unit| add(unit, "a", 1));
    assert_eq!(add_one().await.unwrap().answer, 1);
    proxy.commits(Fate::LosesAnswerAndCloses);
    let refused = add_one().await.unwrap_err();
    assert_eq!(refused.code, Code::Unavailable);
    assert!(refused.message.contains("does not say"), "{refused}");
    proxy.opens();
    eventually("the node goes on", async || add_one().await.is_ok()).await;
    // The second one was recorded, though nobody could say so.
    is_whole(&ledger, tenant(1), 3, 1).await;
}
