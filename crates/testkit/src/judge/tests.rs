//! The judge finds what is wrong: a true history, rewritten with every hash
//! made right again, breaks the rule that it should.

use super::{Fault, Judge, Quorums};
use crate::{Loop, Person, Sample};
use kernel::{Actor, Digest, EntryId, StreamId, TenantId};
use ledger::query::EntryQuery;
use ledger::{Entry, Store as _};
use std::collections::BTreeMap;
use std::sync::Arc;

struct History {
    control: Arc<Loop>,
    tenant: TenantId,
    entries: Vec<Entry>,
}

/// An incident whose runbook ran to its end.
async fn history() -> History {
    let control = Loop::start(1, &Sample::default()).await;
    let tenant = control.home();
    let (_, approval) = control.incident(tenant, "t0-press-1").await;
    let ann = Person::named("ann");
    control.approve(tenant, &ann, approval).await.unwrap();
    control.pass(kernel::Span::from_secs(60)).await.unwrap();
    assert_eq!(control.world.http.effects().len(), 2, "both steps are done");
    let query = EntryQuery {
        limit: usize::MAX,
        ..EntryQuery::default()
    };
    let entries = control.store.entries(tenant, &query).await.unwrap();
    History {
        control: Arc::new(control),
        tenant,
        entries,
    }
}

impl History {
    /// Judges these entries, and the outside beside them.
    fn judge(&self, entries: &[Entry]) -> Result<(), Fault> {
        let pack = Sample::default().files();
        let one = Quorums::of([(pack["approvals.yaml"].as_slice(), 1)]);
        let mut judge = Judge::default().with_quorums(one);
        for entry in entries {
            judge.read(self.tenant, entry)?;
        }
        for log in judge.logs.values_mut() {
            log.budgets.agree()?;
        }
        let http = &self.control.world.http;
        judge.outside(&http.asked(), &http.effects())?;
        judge.rest(self.control.now())
    }

    /// The place of the first entry of this kind.
    fn place(&self, kind: &str) -> usize {
        let found = self.entries.iter().position(|e| e.kind == kind);
        found.unwrap_or_else(|| panic!("there is a `{kind}`"))
    }

    /// The entries as `change` leaves them, with positions, versions and hashes
    /// made right.
    fn rewritten(&self, change: impl FnOnce(&mut Vec<Entry>)) -> Vec<Entry> {
        let mut entries = self.entries.clone();
        change(&mut entries);
        let mut versions: BTreeMap<StreamId, u64> = BTreeMap::new();
        let mut before = Digest::ZERO;
        for (seq, entry) in (1..).zip(&mut entries) {
            let version = versions.entry(entry.stream.clone()).or_default();
            *version += 1;
            (entry.seq, entry.stream_version) = (seq, *version);
            entry.payload_hash = Digest::of(entry.payload.as_bytes());
            entry.prev_hash = before;
            entry.hash = entry.computed_hash(self.tenant);
            before = entry.hash;
        }
        entries
    }

    #[track_caller]
    fn breaks(&self, rule: &str, what: &str, change: impl FnOnce(&mut Vec<Entry>)) {
        let fault = self.judge(&self.rewritten(change));
        let fault = fault.expect_err(what);
        assert_eq!(fault.rule, rule, "{what}: {fault}");
    }

    /// Changes the text of the first entry of this kind.
    fn says(&self, kind: &str, from: &str, to: &str) -> impl FnOnce(&mut Vec<Entry>) + use<> {
        let place = self.place(kind);
        let payload = self.entries[place].payload.clone();
        assert!(payload.contains(from), "`{from}` stands in {payload}");
        let changed = payload.replace(from, to);
        move |entries| entries[place].payload = changed
    }

    fn without(&self, kind: &str) -> impl FnOnce(&mut Vec<Entry>) + use<> {
        let place = self.place(kind);
        move |entries| {
            let gone = entries.remove(place);
            // What it caused has no cause any more.
            for entry in entries {
                entry.causation = entry.causation.filter(|cause| *cause != gone.id);
            }
        }
    }

    /// Another entry before the first of this kind.
    fn before(&self, kind: &str, like: &str) -> impl FnOnce(&mut Vec<Entry>) + use<> {
        let (place, mut more) = (self.place(kind), self.entries[self.place(like)].clone());
        more.id = EntryId(uuid::Uuid::from_u128(7));
        more.causation = None;
        move |entries| entries.insert(place, more)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_true_history_is_right_and_a_rewritten_one_breaks_its_rule() {
    let told = history().await;
    assert_eq!(told.judge(&told.entries), Ok(()));
    assert_eq!(told.judge(&told.rewritten(|_| {})), Ok(()));
    chain(&told);
    rights(&told);
    budgets(&told);
    outside(&told);
}

fn chain(told: &History) {
    let rule = |change: &dyn Fn(&mut Vec<Entry>)| {
        let mut entries = told.entries.clone();
        change(&mut entries);
        told.judge(&entries).unwrap_err().rule
    };
    assert_eq!(rule(&|e| drop(e.remove(5))), "chain");
    assert_eq!(rule(&|e| e.swap(5, 6)), "chain");
    assert_eq!(rule(&|e| e[5].payload.push(' ')), "chain");
    assert_eq!(rule(&|e| e[5].actor = Actor::system("x")), "chain");
    assert_eq!(rule(&|e| e[5].stream_version += 1), "chain");
    told.breaks("chain", "a cause that comes later", |entries| {
        entries[3].causation = entries.last().map(|e| e.id);
    });
    told.breaks("chain", "an id twice", |entries| {
        entries[4].id = entries[3].id
    });
}

fn rights(told: &History) {
    told.breaks(
        "approval",
        "fewer people than the pack asks for",
        told.says("approval.requested", r#""needed":1"#, r#""needed":0"#),
    );
    let given = told.place("approval.approved");
    told.breaks("approval", "an agent approves", |entries| {
        entries[given].actor = "agent:clerk".parse().unwrap();
    });
    told.breaks("approval", "who is barred approves", |entries| {
        let asked = entries
            .iter_mut()
            .find(|e| e.kind == "approval.requested")
            .unwrap();
        asked.payload = asked
            .payload
            .replace("\"barred\":[", "\"barred\":[\"human:ann\",");
        asked.payload = asked.payload.replace(",]", "]");
    });
    told.breaks("approval", "approved too late", |entries| {
        entries[given].at = kernel::Timestamp::parse("2026-03-02T10:00:00Z").unwrap();
    });
    told.breaks(
        "approval",
        "two are needed",
        told.says("approval.requested", "\"needed\":1", "\"needed\":2"),
    );
    told.breaks(
        "approval",
        "nobody approved it",
        told.without("approval.approved"),
    );
    told.breaks(
        "lifecycle",
        "approved twice",
        told.before("directive.started", "directive.approved"),
    );
    told.breaks(
        "approval",
        "never started",
        told.without("directive.started"),
    );
    told.breaks("permit", "no permit", told.without("permit.issued"));
    told.breaks(
        "permit",
        "a permit that was not used",
        told.without("permit.used"),
    );
    told.breaks(
        "permit",
        "used twice",
        told.before("run.step_started", "permit.used"),
    );
    told.breaks(
        "permit",
        "for another attempt",
        told.before("run.step_succeeded", "run.step_started"),
    );
    told.breaks(
        "permit",
        "for another module",
        told.says(
            "permit.issued",
            "\"module\":\"http.request\"",
            "\"module\":\"noop\"",
        ),
    );
    let step = told.place("run.step_started");
    for (scope, actor) in [
        ("tenant", ""),
        ("tool:http.request", ""),
        ("agent:runbooks", ""),
    ] {
        told.breaks("kill switch", scope, |entries| {
            let mut engaged = entries[step].clone();
            engaged.kind = "kill_switch.engaged".into();
            engaged.stream = StreamId::new("kill_switch", "current");
            engaged.payload = format!("{{\"reason\":\"{actor}\",\"scope\":\"{scope}\"}}");
            engaged.id = EntryId(uuid::Uuid::from_u128(8));
            entries.insert(step, engaged);
        });
    }
}

fn budgets(told: &History) {
    told.breaks(
        "budget",
        "more than was asked for",
        told.says("budget.reserved", "\"amount\":\"", "\"amount\":\"1"),
    );
    told.breaks(
        "budget",
        "over the cap",
        told.says(
            "budget.opened",
            "\"hard\":\"1000.00 EUR\"",
            "\"hard\":\"0.50 EUR\"",
        ),
    );
    told.breaks(
        "budget",
        "a counter that was not told",
        told.without("budget.reserved"),
    );
    told.breaks(
        "budget",
        "settled and still held",
        told.without("budget.settled"),
    );
    told.breaks("budget", "held for ever", |entries| {
        entries.retain(|e| !e.kind.ends_with(".settled"));
        let kept: Vec<EntryId> = entries.iter().map(|e| e.id).collect();
        for entry in entries.iter_mut() {
            entry.causation = entry.causation.filter(|cause| kept.contains(cause));
            entry.payload = entry
                .payload
                .replace("\"until\":\"2026-03-01T1", "\"until\":\"2026-03-01T0");
        }
    });
    told.breaks(
        "budget",
        "settled twice",
        told.before("directive.completed", "reservation.settled"),
    );
}

/// Two steps were let through in the day.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_of_the_day_is_counted() {
    let told = history().await;
    let judged = |limit: usize| {
        let mut judge = Judge::with_limit(limit);
        let mut read = told.entries.iter().map(|e| judge.read(told.tenant, e));
        read.find_map(Result::err).map(|fault| fault.rule)
    };
    assert_eq!(judged(2), None);
    assert_eq!(judged(1), Some("limit"));
}

fn outside(told: &History) {
    told.breaks("outside", "nobody started what was asked", |entries| {
        for entry in entries.iter_mut().filter(|e| e.kind == "run.step_started") {
            entry.payload = entry
                .payload
                .replace("\"idempotency_key\":\"", "\"idempotency_key\":\"x");
        }
    });
    let http = &told.control.world.http;
    let mut judge = Judge::default();
    for entry in &told.entries {
        judge.read(told.tenant, entry).unwrap();
    }
    let (asked, effects) = (http.asked(), http.effects());
    let rule = |asked: &[_], effects: &[_]| judge.outside(asked, effects).unwrap_err().rule;
    let twice: Vec<_> = effects.iter().chain(&effects).cloned().collect();
    assert_eq!(rule(&asked, &twice), "outside");
    assert_eq!(
        rule(&asked, &[]),
        "outside",
        "it succeeded and never happened"
    );
    let again: Vec<_> = asked.iter().chain(&asked).cloned().collect();
    assert_eq!(rule(&again, &effects), "outside");
    judge.switched(Some(told.tenant), Some(0));
    let fault = judge.outside(&asked, &effects).unwrap_err();
    assert_eq!(fault.rule, "kill switch");
    judge.switched(Some(told.tenant), None);
    assert_eq!(judge.outside(&asked, &effects), Ok(()));
    let mut other = Judge::default();
    let stranger = TenantId(uuid::Uuid::from_u128(9));
    other.tenants.whose.insert("t0-press-1".into(), stranger);
    let mut read = told.entries.iter().map(|e| other.read(told.tenant, e));
    assert_eq!(read.find_map(Result::err).unwrap().rule, "tenants");
}
