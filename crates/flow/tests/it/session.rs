//! Session state: every action is on the ledger, and no cache, whatever it
//! does, changes what is read.

use flow::session::{Finding, Held, Reading, Session, operations};
use kernel::{Code, Refusal, TenantId};
use ledger::{EntryQuery, Store as _};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use testkit::{Dice, Loop, Mood, Person, Sample, checks};

async fn save(
    control: &Loop,
    tenant: TenantId,
    name: &str,
    state: &Value,
) -> Result<Session, Refusal> {
    let bytes = operations::bytes(state)?;
    let (kept, name) = (bytes.clone(), name.to_owned());
    let ctx = control.ctx(tenant, &Person::named("ann"));
    let done = control
        .control
        .ledger()
        .run(ctx, move |unit| operations::save(unit, &name, &kept))
        .await?;
    let digest = done.answer.digest;
    control.control.cache_session(tenant, digest, bytes).await;
    Ok(done.answer)
}

async fn get(control: &Loop, tenant: TenantId, name: &str) -> Result<Held, Refusal> {
    let ctx = control.ctx(tenant, &Person::named("ann"));
    control.control.read_session(ctx, name.to_owned()).await
}

async fn delete(control: &Loop, tenant: TenantId, name: &str) -> Result<Session, Refusal> {
    let ctx = control.ctx(tenant, &Person::named("ann"));
    let name = name.to_owned();
    let done = control
        .control
        .ledger()
        .run(ctx, move |unit| operations::delete(unit, &name, "done"))
        .await?;
    Ok(done.answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_lives_under_its_name_and_every_action_is_recorded() {
    let mut control = Loop::start(1, &Sample::default()).await;
    let (home, other) = (control.home(), control.found(&Sample::default()).await);
    let missing = get(&control, home, "plan-1").await.unwrap_err();
    assert_eq!(missing.code, Code::NotFound);
    save(&control, home, "plan-1", &json!({"turn": 1}))
        .await
        .unwrap();
    save(&control, home, "plan-1", &json!({"b": [1, null], "a": "é"}))
        .await
        .unwrap();
    let held = get(&control, home, "plan-1").await.unwrap();
    assert_eq!(held.state, json!({"a": "é", "b": [1, null]}));
    assert_eq!((held.version, held.session.saves), (2, 2));
    let elsewhere = get(&control, other, "plan-1").await.unwrap_err();
    assert_eq!(elsewhere.code, Code::NotFound);
    delete(&control, home, "plan-1").await.unwrap();
    let deleted = get(&control, home, "plan-1").await.unwrap_err();
    assert_eq!(deleted.code, Code::NotFound);
    let twice = delete(&control, home, "plan-1").await.unwrap_err();
    assert_eq!(twice.code, Code::IllegalMove);
    let again = save(&control, home, "plan-1", &json!(3)).await.unwrap();
    assert_eq!(again.saves, 3);
    let ctx = control.ctx(home, &Person::named("ann"));
    let verified = control
        .control
        .verify_session(ctx, None, "plan-1".into())
        .await
        .unwrap();
    assert_eq!(verified.finding, Finding::Intact);
    let mut kinds = Vec::new();
    for kind in ["session", "session_reading"] {
        let query = EntryQuery {
            stream: Some(kernel::StreamId::new(kind, "plan-1")),
            limit: 100,
            ..EntryQuery::default()
        };
        let entries = control.store.entries(home, &query).await.unwrap();
        assert!(entries.iter().all(|e| e.actor.id == "ann"));
        kinds.extend(entries.into_iter().map(|e| e.kind));
    }
    let expected = [
        "session.saved",
        "session.saved",
        "session.deleted",
        "session.saved",
        "session.read",
        "session.verified",
    ];
    assert_eq!(kinds, expected);
    checks::all(&control).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_name_and_what_is_too_long_is_refused() {
    let control = Loop::start(2, &Sample::default()).await;
    let long = "n".repeat(129);
    for name in ["", "a/b", "a b", "é", long.as_str()] {
        let refused = save(&control, control.home(), name, &json!(1)).await;
        assert_eq!(refused.unwrap_err().code, Code::Invalid, "{name}");
    }
    let heavy = json!("x".repeat(operations::STATE_BYTES_MAX));
    let refused = save(&control, control.home(), "heavy", &heavy).await;
    assert_eq!(refused.unwrap_err().code, Code::LimitExceeded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cache_that_is_down_mute_poisoned_or_stale_changes_no_answer() {
    let control = Loop::start(3, &Sample::default()).await;
    let (home, cache) = (control.home(), control.world.cache.clone());
    save(&control, home, "s", &json!({"turn": 1}))
        .await
        .unwrap();
    assert_eq!(cache.len(), 1);
    let counts = || control.control.session_cache();
    let read = async || get(&control, home, "s").await.unwrap().state;
    let rest = || {
        let later = control.now().plus(kernel::Span::from_secs(2));
        control.world.clock.set(later);
    };
    assert_eq!(read().await, json!({"turn": 1}));
    assert_eq!((counts().hits, counts().misses), (1, 0));
    for mood in [Mood::Down, Mood::Mute] {
        cache.set(mood);
        assert_eq!(read().await, json!({"turn": 1}), "{mood:?}");
        // While it rests it is not asked, so that nobody waits for it again.
        cache.set(Mood::Sound);
        let hits = counts().hits;
        assert_eq!(read().await, json!({"turn": 1}));
        assert_eq!(counts().hits, hits, "{mood:?}");
        rest();
        assert_eq!(read().await, json!({"turn": 1}));
        assert_eq!(counts().hits, hits + 1, "{mood:?}");
    }
    let poisons: [fn(&mut Vec<u8>); 4] = [
        |bytes| bytes[0] ^= 1,
        |bytes| bytes.truncate(3),
        Vec::clear,
        |bytes| *bytes = b"{\"turn\":2}".to_vec(),
    ];
    for (poisoned, poison) in (1..).zip(poisons) {
        cache.poison(poison);
        assert_eq!(read().await, json!({"turn": 1}));
        assert_eq!(counts().poisoned, poisoned);
        let hits = counts().hits;
        assert_eq!(read().await, json!({"turn": 1}), "it was mended");
        assert_eq!(counts().hits, hits + 1);
    }
    // A cache that missed the news keeps the old state; nobody asks for it.
    cache.set(Mood::Down);
    save(&control, home, "s", &json!({"turn": 2}))
        .await
        .unwrap();
    cache.set(Mood::Sound);
    rest();
    assert_eq!(read().await, json!({"turn": 2}));
    assert_eq!(cache.len(), 2);
    checks::all(&control).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_that_was_changed_in_the_store_is_found_and_not_given_out() {
    let control = Loop::start(4, &Sample::default()).await;
    let (home, cache) = (control.home(), control.world.cache.clone());
    save(&control, home, "s", &json!({"turn": 1}))
        .await
        .unwrap();
    let verify = async || {
        let ctx = control.ctx(home, &Person::named("ann"));
        let found = control.control.verify_session(ctx, None, "s".into()).await;
        found.unwrap().finding
    };
    assert_eq!(verify().await, Finding::Intact);
    control.store.damage_objects(|bytes| bytes[2] ^= 1);
    // The cache still has it, with its digest; verification looks past it.
    assert_eq!(get(&control, home, "s").await.unwrap().state["turn"], 1);
    assert_eq!(verify().await, Finding::Damaged);
    cache.poison(Vec::clear);
    let refused = get(&control, home, "s").await.unwrap_err();
    assert_eq!(refused.code, Code::Integrity);
    let reading = control.find::<Reading>(home, "s").await.unwrap();
    assert_eq!((reading.reads, reading.verifications), (2, 2));
    assert_eq!(reading.finding, Some(Finding::Damaged));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_actions_with_random_cache_faults_read_what_was_saved_last() {
    for seed in 0..8 {
        let control = Loop::start(seed, &Sample::default()).await;
        let (home, cache) = (control.home(), control.world.cache.clone());
        let mut dice = Dice::new(seed);
        let mut model: BTreeMap<String, Value> = BTreeMap::new();
        for step in 0..120_u64 {
            let name = format!("s{}", dice.roll(4));
            let case = format!("seed {seed}, step {step}, session {name}");
            match dice.roll(10) {
                0..3 => {
                    let state = json!({"turn": dice.roll(3), "name": name});
                    save(&control, home, &name, &state).await.unwrap();
                    model.insert(name, state);
                }
                3 => {
                    let known = model.remove(&name).is_some();
                    let deleted = delete(&control, home, &name).await;
                    assert_eq!(deleted.is_ok(), known, "{case}");
                }
                4 => cache.set(Mood::Down),
                5 => cache.set(Mood::Sound),
                6 => cache.poison(|bytes| bytes.push(b' ')),
                7 => {
                    let later = control.now().plus(kernel::Span::from_secs(2));
                    control.world.clock.set(later);
                }
                _ => {
                    let held = get(&control, home, &name).await;
                    let state = held.map(|h| h.state).ok();
                    assert_eq!(state.as_ref(), model.get(&name), "{case}");
                }
            }
        }
        checks::all(&control).await;
    }
}
