//! A thousand callers at once on two nodes, of whom three are let through.

use super::{admit, agent, contract, known, sample};
use crate::budgets::{Nodes, ledger};
use gate::directive::Status;
use gate::history::{self, Tally};
use gate::{Directive, GateEnv};
use kernel::{Actor, Snapshot, Unit};
use ledger::Store;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::Postgres;
use testkit::{Loop, MemoryStore, PostgresServer, checks};

/// A thousand callers at once, of whom three are let through.
async fn stampede(nodes: Nodes, store: Arc<dyn Store>) {
    const CALLERS: u64 = 1_000;
    // What a snapshot and a contract on it look like, from a loop of its own.
    let control = Loop::start(1, &sample()).await;
    let (like, _) = known(&control).await;
    let tenant = control.home();
    let snapshot = control
        .find::<Snapshot>(tenant, like.snapshot)
        .await
        .unwrap();
    let in_force = control.control.in_force(tenant).unwrap();
    let capabilities = control.control.capabilities().clone();
    let (taken, id, facts) = (snapshot, like.snapshot, in_force.clone());
    nodes
        .run(0, &Actor::system("setup"), move |unit| {
            let event = kernel::belief::SnapshotEvent::Taken(taken.clone());
            unit.record::<Snapshot>(id, event)?;
            history::declare(unit, &facts.pack.rules.history, true)
        })
        .await
        .unwrap();
    let start = control.now();
    nodes.set(start);
    let nodes = Arc::new(nodes);
    let through = Arc::new(AtomicU64::new(0));
    let mut callers = tokio::task::JoinSet::new();
    for nth in 0..CALLERS {
        let issuer = agent(&format!("a{}", nth % 7));
        let contract = contract(&like, &issuer, "machine.refund", "noop", json!({}));
        let (nodes, through) = (nodes.clone(), through.clone());
        let (in_force, capabilities) = (in_force.clone(), capabilities.clone());
        callers.spawn(async move {
            let work = move |unit: &mut Unit<'_>| {
                let env = GateEnv {
                    rules: &in_force.pack.rules,
                    capabilities: &capabilities,
                    everywhere: None,
                };
                admit(unit, &env, &contract)
            };
            // A full queue is a refusal; the caller asks again.
            for node in nth.. {
                match nodes.run(node, &issuer.actor, work.clone()).await {
                    Ok(Ok(())) => {
                        through.fetch_add(1, Ordering::Relaxed);
                        return;
                    }
                    Ok(Err(reasons)) => {
                        assert!(reasons.contains("three-refunds"), "{reasons}");
                        return;
                    }
                    Err(refusal) => {
                        assert!(node < nth + 1_000, "{refusal}");
                        tokio::task::yield_now().await;
                    }
                }
            }
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    assert_eq!(through.load(Ordering::Relaxed), 3);
    let tallies = checks::all_in::<Tally>(store.as_ref(), crate::budgets::TENANT).await;
    let refunds = tallies.iter().find(|(_, tally)| tally.value == "tenant");
    assert_eq!(refunds.unwrap().1.in_period, 3);
    let executing = checks::all_in::<Directive>(store.as_ref(), crate::budgets::TENANT).await;
    assert_eq!(executing.len(), 1_000);
    assert!(executing.iter().all(|(_, d)| d.status == Status::Executing));
    let registry = flow::registry();
    let replayed = ledger::replay::log(store.as_ref(), &registry, crate::budgets::TENANT, |_| ());
    assert!(replayed.await.unwrap().is_equal());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_callers_on_two_nodes_in_memory_and_three_are_let_through() {
    let store = MemoryStore::new();
    let place = store.clone();
    let nodes = Nodes::new(move || ledger(place.beside()));
    Box::pin(stampede(nodes, store.beside())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_callers_on_two_nodes_on_postgres_and_three_are_let_through() {
    let database = PostgresServer::shared().database();
    let store: Arc<dyn Store> = Arc::new(Postgres::open(&database.url()).await.unwrap());
    let other: Arc<dyn Store> = Arc::new(Postgres::open(&database.url()).await.unwrap());
    let (turn, places) = (AtomicU64::new(0), [store.clone(), other]);
    let nodes = Nodes::new(move || {
        let nth = turn.fetch_add(1, Ordering::Relaxed) % 2;
        ledger(places[usize::try_from(nth).unwrap()].clone())
    });
    Box::pin(stampede(nodes, store)).await;
}
