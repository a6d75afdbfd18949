//! The ledger over each store: commands are durable when they are answered,
//! chained, replayable, and done once per key.

use crate::stores::Place;
use kernel::{Code, TenantId, Timestamp};
use ledger::request::Key;
use ledger::{Ledger, replay, verify};
use testkit::counter::{self, Counter, add, ctx, tenant};

impl Place {
    pub(crate) async fn ledger(&self) -> Ledger {
        counter::ledger(self.open().await)
    }
}

/// Checks a tenant's log against what it must hold.
pub(crate) async fn is_whole(ledger: &Ledger, tenant: TenantId, entries: u64, states: u64) {
    let verified = verify::log(ledger.store(), tenant, |_| ()).await.unwrap();
    assert!(verified.is_intact(), "{verified:?}");
    assert_eq!(verified.entries, entries);
    let replayed = replay::log(ledger.store(), ledger.registry(), tenant, |_| ())
        .await
        .unwrap();
    assert!(replayed.is_equal(), "{replayed:?}");
    assert_eq!((replayed.entries, replayed.states), (entries, states));
}

pub(crate) async fn concurrent_commands_are_durable_chained_and_replayable(place: &Place) {
    let ledger = place.ledger().await;
    let tasks: Vec<_> = (0..64_u64)
        .map(|n| {
            let ledger = ledger.clone();
            tokio::spawn(async move {
                for _ in 0..8 {
                    let which = if n % 2 == 0 { tenant(1) } else { tenant(2) };
                    ledger
                        .run(ctx(which), move |unit| {
                            add(unit, "hot", 1)?;
                            add(unit, format!("own-{n}"), 2)
                        })
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    drop(ledger);
    let ledger = place.ledger().await;
    for which in [tenant(1), tenant(2)] {
        let total = ledger
            .run(ctx(which), |unit| Ok(unit.get::<Counter>("hot")?.total))
            .await
            .unwrap();
        assert_eq!((total.answer, total.seqs), (256, None));
        is_whole(&ledger, which, 512, 33).await;
    }
}

pub(crate) async fn a_refused_command_leaves_nothing(place: &Place) {
    let ledger = place.ledger().await;
    ledger
        .run(ctx(tenant(1)), |unit| add(unit, "a", 1))
        .await
        .unwrap();
    let refused = ledger
        .run(ctx(tenant(1)), |unit| {
            add(unit, "a", 5)?;
            Err::<(), _>(kernel::Refusal::blocked("no"))
        })
        .await;
    assert_eq!(refused.unwrap_err().code, Code::Blocked);
    let other = ledger
        .run(ctx(tenant(2)), |unit| unit.find::<Counter>("a"))
        .await
        .unwrap();
    assert!(other.answer.is_none());
    assert_eq!(ledger.store().head(tenant(1)).await.unwrap().seq, 1);
    assert_eq!(ledger.store().head(tenant(2)).await.unwrap().seq, 0);
}

pub(crate) async fn a_panic_in_one_decision_does_not_stop_the_ledger(place: &Place) {
    let ledger = place.ledger().await;
    let refused = ledger
        .run(ctx(tenant(1)), |unit| {
            add(unit, "a", 1)?;
            let total = unit.get::<Counter>("a")?.total;
            assert_eq!(total, 0, "a panic on purpose");
            Ok(total)
        })
        .await;
    assert_eq!(refused.unwrap_err().code, Code::Integrity);
    let after = ledger
        .run(ctx(tenant(1)), |unit| add(unit, "a", 1))
        .await
        .unwrap();
    assert_eq!((after.answer, after.seqs), (1, Some((1, 1))));
}

pub(crate) async fn idempotency_is_permanent_and_names_the_first(place: &Place) {
    let ledger = place.ledger().await;
    let key =
        |request: &[u8]| Some(Key::new("human:me", "k1", kernel::Digest::of(request)).unwrap());
    let first = ledger
        .run_once(ctx(tenant(1)), key(b"a"), |u| add(u, "a", 7))
        .await
        .unwrap();
    drop(ledger);
    let ledger = place.ledger().await;
    let again = ledger
        .run_once(ctx(tenant(1)), key(b"a"), |u| add(u, "a", 7))
        .await
        .unwrap();
    assert_eq!((first.answer, again.answer, again.seqs), (7, 7, None));
    let other = ledger
        .run_once(ctx(tenant(1)), key(b"b"), |u| add(u, "a", 7))
        .await
        .unwrap_err();
    assert_eq!(other.code, Code::Conflict);
    assert!(other.message.contains("ent_"), "{other}");
}

pub(crate) async fn an_act_that_is_due_is_found_until_it_is_done(place: &Place) {
    let ledger = place.ledger().await;
    ledger
        .run(ctx(tenant(1)), |unit| add(unit, "later", 13))
        .await
        .unwrap();
    let due = ledger.store().due(Timestamp::EPOCH, 10).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].1.as_str(), "counter/later");
    ledger
        .run(ctx(tenant(1)), |unit| add(unit, "later", 1))
        .await
        .unwrap();
    assert_eq!(ledger.store().next_due().await.unwrap(), None);
}
