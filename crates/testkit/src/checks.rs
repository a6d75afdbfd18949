//! What must hold after every step, whatever happened: each check reads the
//! disk and the outside, beside the loop and its faults, and panics with what
//! it found.

use crate::harness::Loop;
use act::Phase;
use act::run::events::AttemptStarted;
use gate::KillSwitch;
use gate::budget::{Amount, Counter, Reservation, ReservationStatus};
use gate::kill::Scope;
use kernel::aggregate::Aggregate;
use kernel::{Actor, TenantId};
use ledger::query::{DocumentQuery, EntryQuery};
use ledger::{Entry, Store};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// All of them, for every tenant.
///
/// # Panics
/// When one does not hold.
pub async fn all(control: &Loop) {
    let mut attempts = BTreeMap::new();
    for tenant in &control.tenants {
        proofs(control, *tenant).await;
        budgets(control, *tenant).await;
        attempts.extend(started(control, *tenant).await);
    }
    effects(control, &attempts);
}

/// The log is intact, and replay gives the states that stand.
///
/// # Panics
/// When it is not, or does not.
pub async fn proofs(control: &Loop, tenant: TenantId) {
    let store = control.store.beside();
    let verified = ledger::verify::log(store.as_ref(), tenant, |_| {}).await;
    let verified = verified.expect("a disk without faults");
    assert!(verified.is_intact(), "verify: {:?}", verified.fault);
    let registry = control.control.ledger().registry();
    let replayed = ledger::replay::log(store.as_ref(), registry, tenant, |_| {}).await;
    let replayed = replayed.expect("a disk without faults");
    assert!(replayed.is_equal(), "replay: {:?}", replayed.differences);
}

/// Every state of one kind in the order of creation.
///
/// # Panics
/// When storage does not answer or a state does not parse.
pub async fn all_in<A: Aggregate>(store: &dyn Store, tenant: TenantId) -> Vec<(String, A)> {
    let query = DocumentQuery {
        kind: A::KIND.to_owned(),
        limit: usize::MAX,
        ..DocumentQuery::default()
    };
    let found = store.documents(tenant, &query).await.expect("no faults");
    let states = found.into_iter().map(|document| {
        let state = serde_json::from_str(&document.body).expect("a state parses");
        (document.stream.id().to_owned(), state)
    });
    states.collect()
}

/// No counter is over its hard cap, and each is the sum of its reservations.
///
/// # Panics
/// When one is, or is not.
pub async fn budgets(control: &Loop, tenant: TenantId) {
    let store = control.store.beside();
    budgets_in(store.as_ref(), tenant).await;
}

/// As [`budgets`], of what this store holds.
///
/// # Panics
/// As [`budgets`].
pub async fn budgets_in(store: &dyn Store, tenant: TenantId) {
    let mut sums: BTreeMap<String, (Amount, Amount)> = BTreeMap::new();
    for (id, reservation) in all_in::<Reservation>(store, tenant).await {
        for line in &reservation.findings {
            let zero = line.amount.zero();
            let (reserved, consumed) = sums.entry(line.counter.clone()).or_insert((zero, zero));
            let charged = match (&reservation.charge, line.amount) {
                (Some(charge), Amount::Money(_)) => Amount::Money(charge.amount),
                (Some(charge), Amount::Tokens(_)) => {
                    charge.tokens.map_or(line.amount, Amount::Tokens)
                }
                (_, amount) => amount,
            };
            let (sum, amount) = match reservation.status {
                ReservationStatus::Held => (reserved, line.amount),
                ReservationStatus::Settled | ReservationStatus::Expired => (consumed, charged),
                ReservationStatus::Refused | ReservationStatus::Released => continue,
            };
            *sum = sum.plus(&amount).unwrap_or_else(|e| panic!("{id}: {e}"));
        }
    }
    for (id, counter) in all_in::<Counter>(store, tenant).await {
        let zero = counter.terms.hard.zero();
        let (reserved, consumed) = sums.remove(&id).unwrap_or((zero, zero));
        assert_eq!(counter.reserved, reserved, "reserved of `{id}`");
        assert_eq!(counter.consumed, consumed, "consumed of `{id}`");
        let used = counter.used().expect("one unit");
        let over = used.exceeds(&counter.terms.hard).expect("one unit");
        assert!(!over, "`{id}` is over its cap: {used}");
    }
    let strangers: Vec<_> = sums.keys().collect();
    assert!(strangers.is_empty(), "no counter for {strangers:?}");
}

/// An attempt as the ledger knows it.
#[derive(Clone, Debug)]
pub struct Attempt {
    started: u32,
    idempotent: bool,
}

/// Reads the log from its beginning: every attempt was started by a directive
/// that was approved in the version that runs, and that no kill switch stopped
/// at that entry (what undoes a step is stopped by its module's switch only); and its permit was used once. Returns attempts by key.
///
/// # Panics
/// When one was not.
pub async fn started(control: &Loop, tenant: TenantId) -> BTreeMap<String, Attempt> {
    let query = EntryQuery {
        limit: usize::MAX,
        ..EntryQuery::default()
    };
    let store = control.store.beside();
    let entries = store.entries(tenant, &query).await.expect("no faults");
    let mut reader = Reader::default();
    for entry in &entries {
        reader.read(control, entry);
    }
    reader.attempts
}

#[derive(Default)]
struct Reader {
    /// Per directive, the digest that was approved and is in force.
    approved: BTreeMap<String, String>,
    issuers: BTreeMap<String, Actor>,
    /// Per run, its directive and the digest that it runs.
    runs: BTreeMap<String, (String, String)>,
    kill: Option<std::sync::Arc<dyn kernel::aggregate::State>>,
    permits: BTreeSet<String>,
    attempts: BTreeMap<String, Attempt>,
}

impl Reader {
    fn read(&mut self, control: &Loop, entry: &Entry) {
        let payload: Value = serde_json::from_str(&entry.payload).expect("JSON");
        let text = |pointer: &str| {
            let found = payload.pointer(pointer).and_then(Value::as_str);
            found.map(ToOwned::to_owned)
        };
        let id = entry.stream.id().to_owned();
        match entry.kind.as_str() {
            "directive.drafted" | "directive.edited" => {
                self.approved.remove(&id);
                let issuer = text("/contract/issued_by").expect("an issuer");
                self.issuers.insert(id, issuer.parse().expect("an actor"));
            }
            "directive.approved" => {
                self.approved.insert(id, text("/digest").expect("a digest"));
            }
            "directive.blocked" => drop(self.approved.remove(&id)),
            "run.created" => {
                let directive = text("/directive").expect("a directive");
                let digest = text("/digest").expect("a digest");
                self.runs.insert(id, (directive, digest));
            }
            "kill_switch.engaged" | "kill_switch.released" | "kill_switch.release_requested" => {
                let registry = control.control.ledger().registry();
                let stamp = kernel::Stamp {
                    at: entry.at,
                    actor: entry.actor.clone(),
                    entry: entry.id,
                    version: entry.stream_version,
                };
                let event = (entry.kind.as_str(), &payload);
                let before = self.kill.take();
                let after = registry.step(KillSwitch::KIND, before, event, &stamp);
                self.kill = Some(after.expect("the record folds"));
            }
            "run.step_started" => self.attempt(entry, payload),
            _ => {}
        }
    }

    fn attempt(&mut self, entry: &Entry, payload: Value) {
        let attempt: AttemptStarted = serde_json::from_value(payload).expect("an attempt");
        let (directive, digest) = self.runs.get(entry.stream.id()).expect("a run is created");
        let approved = self.approved.get(directive);
        assert_eq!(approved, Some(digest), "an unapproved directive runs");
        let issuer = self.issuers.get(directive).expect("an issuer");
        let stopped = self.kill.as_ref().and_then(|state| {
            let body = state.body().expect("a body");
            let switch: KillSwitch = serde_json::from_str(&body).expect("a switch");
            match attempt.phase {
                Phase::Step => switch.stops(&attempt.module, issuer),
                // What was done is undone under any switch but its module's.
                Phase::Compensation => switch.stops(&attempt.module, issuer).filter(|_| {
                    switch
                        .engaged
                        .contains_key(&Scope::Tool(attempt.module.clone()))
                }),
            }
        });
        assert_eq!(stopped, None, "{} starts although stopped", entry.seq);
        let permit = attempt.permit.to_string();
        assert!(self.permits.insert(permit), "a permit is used twice");
        let known = self
            .attempts
            .entry(attempt.idempotency_key)
            .or_insert(Attempt {
                started: 0,
                idempotent: attempt.idempotent,
            });
        known.started += 1;
    }
}

/// Every request of the outside belongs to an attempt that the ledger knows,
/// none more often than it was started; where the other side does not honour
/// the key, none that may have arrived was sent again; each effect happened
/// once.
///
/// # Panics
/// When one does not.
pub fn effects(control: &Loop, attempts: &BTreeMap<String, Attempt>) {
    use crate::http::Fate;
    let mut asked: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for request in control.world.http.asked() {
        let key = request.key.clone().expect("a writing request has a key");
        assert!(
            attempts.contains_key(&key),
            "the ledger knows no attempt of {request:?}"
        );
        let (all, arrived) = asked.entry(key).or_default();
        *all += 1;
        let lost = [Fate::LoseReply, Fate::LoseRequest, Fate::Answer, Fate::Hang];
        *arrived += u32::from(lost.contains(&request.fate));
    }
    for (key, (all, arrived)) in &asked {
        let attempt = &attempts[key];
        assert!(
            *all <= attempt.started,
            "{all} requests of {} attempts under {key}",
            attempt.started
        );
        assert!(
            attempt.idempotent || *arrived <= 1,
            "{key} was sent again although nobody honours it"
        );
    }
    let mut seen = BTreeSet::new();
    for effect in control.world.http.effects() {
        let what = format!("{} {} {}", effect.method, effect.url, effect.body);
        assert!(seen.insert(what.clone()), "it happened twice: {what}");
    }
}
