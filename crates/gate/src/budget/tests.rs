//! Tests of the budgets: each answer by a table; `model` then tries any order
//! of everything.

mod model;
mod outside;
mod periods;

use super::*;
use kernel::aggregate::{Fold, Stamp, State};
use kernel::names::Name;
use kernel::{
    Actor, Aggregate, Code, Ctx, DirectiveId, Draft, EntryId, Held, Money, PrincipalKind, Reader,
    ReservationId, Span, StreamId, Subject, TenantId, TraceId, Unit, Verdict,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// A ledger in memory: states, and the entries that made them.
struct Ledger {
    /// Who acts.
    actor: Actor,
    states: BTreeMap<StreamId, (u64, Arc<dyn State>)>,
    entries: Vec<(Timestamp, Draft)>,
    now: i64,
    seed: u128,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            actor: Actor::system("test"),
            states: BTreeMap::new(),
            entries: Vec::new(),
            now: 0,
            seed: 0,
        }
    }
}

impl Reader for Ledger {
    fn held(&self, stream: &StreamId) -> Result<Option<Held>, Refusal> {
        let held = self.states.get(stream);
        // As JSON, so that every state is read back from its text form.
        held.map(|(version, state)| Ok(Held::Json(*version, state.body()?)))
            .transpose()
    }
}

impl Ledger {
    /// 2026-03-01T00:00:00Z.
    const START: i64 = 1_772_323_200_000_000;

    fn at(&self) -> Timestamp {
        Timestamp::from_micros(Self::START + self.now)
    }

    fn ctx(&mut self) -> Ctx {
        self.seed += 1;
        Ctx::new(
            TenantId(Uuid::nil()),
            self.at(),
            self.actor.clone(),
            TraceId::new(1).unwrap(),
            self.seed,
        )
    }

    fn run<T>(
        &mut self,
        operation: impl FnOnce(&mut Unit<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let (ctx, at) = (self.ctx(), self.at());
        let mut unit = Unit::new(self, &ctx);
        let reply = operation(&mut unit)?;
        let work = unit.finish();
        for changed in work.changed {
            self.states
                .insert(changed.stream, (changed.version, changed.state));
        }
        self.entries
            .extend(work.drafts.into_iter().map(|d| (at, d)));
        Ok(reply)
    }

    fn reserve(&mut self, book: &Book, ask: Ask) -> Outcome {
        self.run(|unit| reserve(unit, book, ask)).unwrap()
    }

    fn settle(&mut self, number: u128, actual: Actual) -> Arc<Reservation> {
        self.run(|unit| settle(unit, rsv(number), actual)).unwrap()
    }

    fn counter(&mut self, id: &str) -> Arc<Counter> {
        self.run(|unit| unit.get::<Counter>(id)).unwrap()
    }

    fn usage(&mut self, id: &str) -> (String, String) {
        let counter = self.counter(id);
        (counter.consumed.to_string(), counter.reserved.to_string())
    }

    /// The kinds of the entries from this number on.
    fn kinds(&self, from: usize) -> Vec<&'static str> {
        self.entries[from..].iter().map(|(_, d)| d.kind).collect()
    }

    /// Folds all entries again and compares every state.
    fn replay(&self) {
        let folds = [Fold::of::<Counter>(), Fold::of::<Reservation>()];
        let mut again: BTreeMap<StreamId, Arc<dyn State>> = BTreeMap::new();
        for (at, draft) in &self.entries {
            let fold = folds
                .iter()
                .find(|f| f.kind == draft.stream.kind())
                .unwrap();
            assert!(fold.event_kinds.contains(&draft.kind));
            let stamp = Stamp {
                at: *at,
                actor: Actor::system("replay"),
                entry: draft.id,
                version: draft.version,
            };
            let payload = serde_json::from_str(&draft.payload).unwrap();
            let before = again.remove(&draft.stream);
            let after = (fold.step)(before, draft.kind, &payload, &stamp).unwrap();
            again.insert(draft.stream.clone(), after);
        }
        let bodies = |states: Vec<(&StreamId, &Arc<dyn State>)>| {
            let each = states.into_iter();
            each.map(|(s, state)| (s.to_string(), state.body().unwrap()))
                .collect::<Vec<_>>()
        };
        let now = self.states.iter().map(|(s, (_, state))| (s, state));
        assert_eq!(bodies(again.iter().collect()), bodies(now.collect()));
    }
}

fn rsv(number: u128) -> ReservationId {
    ReservationId(Uuid::from_u128(number))
}

fn money(text: &str) -> Money {
    Money::parse(text, None).unwrap()
}

fn ask(number: u128, amount: &str) -> Ask {
    Ask {
        reservation: rsv(number),
        amount: money(amount),
        cost_class: CostClass::Medium,
        directive: Some(DirectiveId(Uuid::from_u128(7))),
        subject: Some(Subject::parse("service/checkout").unwrap()),
        tool: "http.request".to_owned(),
        agent: Actor::new(PrincipalKind::Agent, "prn_1"),
        lease: Span::from_secs(60),
        justification: None,
        model: None,
        tokens: 0,
        outside: false,
        reached: Vec::new(),
    }
}

fn budget(name: &str, scope: Scope, period: Period, hard: &str) -> Budget {
    let hard: Amount = hard.parse().unwrap();
    Budget {
        name: name.to_owned(),
        scope,
        period,
        unit: match hard {
            Amount::Money(_) => Measure::Money,
            Amount::Calls(_) => Measure::MediumCalls,
            Amount::Tokens(_) => Measure::Tokens,
        },
        hard,
        soft: None,
        alert_at: alert_at(),
        zone: Zone::UTC,
        target: None,
    }
}

fn book(budgets: Vec<Budget>) -> Book {
    let book = Book { budgets };
    book.check().unwrap();
    book
}

/// One budget of money for the tenant and a day.
fn daily(hard: &str) -> Book {
    book(vec![budget("daily", Scope::Tenant, Period::Day, hard)])
}

const DAILY: &str = "daily@tenant@2026-03-01";

#[test]
fn caps_at_every_boundary() {
    for (soft, hard, cost, verdict, reason) in [
        (None, "10 EUR", "0 EUR", Verdict::Allow, "within all 1"),
        (None, "10 EUR", "9.999999 EUR", Verdict::Allow, "within"),
        (None, "10 EUR", "10 EUR", Verdict::Allow, "within"),
        (None, "10 EUR", "10.000001 EUR", Verdict::Block, "hard cap"),
        (Some("8 EUR"), "10 EUR", "8 EUR", Verdict::Allow, "within"),
        (
            Some("8 EUR"),
            "10 EUR",
            "8.000001 EUR",
            Verdict::Warn,
            "soft cap",
        ),
        (Some("8 EUR"), "10 EUR", "10 EUR", Verdict::Warn, "soft cap"),
        (
            Some("8 EUR"),
            "10 EUR",
            "11 EUR",
            Verdict::Block,
            "hard cap",
        ),
        (None, "0 EUR", "0 EUR", Verdict::Allow, "within"),
        (None, "0 EUR", "0.000001 EUR", Verdict::Block, "hard cap"),
        (None, "10 USD", "1 EUR", Verdict::Block, "another currency"),
        (None, "10 USD", "0 EUR", Verdict::Block, "another currency"),
    ] {
        let mut ledger = Ledger::default();
        let mut book = daily(hard);
        book.budgets[0].soft = soft.map(|s| s.parse().unwrap());
        let asked = ask(1, cost);
        let seen = ledger.run(|unit| preview(unit, &book, &asked)).unwrap();
        assert!(ledger.entries.is_empty(), "a preview records nothing");
        let outcome = ledger.reserve(&book, asked);
        assert_eq!(outcome.verdict, verdict, "{outcome:?}");
        assert!(outcome.reason.contains(reason), "{outcome:?}");
        assert_eq!(outcome.reservation.is_some(), verdict.passes());
        assert_eq!((seen.verdict, &seen.findings), (verdict, &outcome.findings));
        assert_eq!(seen.reservation, None);
        let reserved = match verdict.passes() {
            true => money(cost).to_string(),
            false => Amount::zero(&book.budgets[0].hard).to_string(),
        };
        assert_eq!(ledger.usage(DAILY).1, reserved);
        ledger.replay();
    }
}

#[test]
fn what_is_recorded() {
    let mut ledger = Ledger::default();
    let mut book = daily("10 EUR");
    book.budgets[0].soft = Some("5 EUR".parse().unwrap());
    ledger.reserve(&book, ask(1, "5 EUR"));
    let first = ["reservation.held", "budget.opened", "budget.reserved"];
    assert_eq!(ledger.kinds(0), first);
    let held = ledger.entries[0].1.id;
    assert!(
        ledger.entries[1..]
            .iter()
            .all(|(_, d)| d.causation == Some(held))
    );
    let refs = &ledger.entries[0].1.refs;
    assert_eq!(refs.subject, ask(1, "5 EUR").subject);
    assert_eq!(refs.directive, ask(1, "5 EUR").directive);

    ledger.reserve(&book, ask(2, "3 EUR"));
    let second = [
        "reservation.held",
        "budget.reserved",
        "budget.warned",
        "budget.alerted",
    ];
    assert_eq!(ledger.kinds(3), second);
    assert_eq!(ledger.counter(DAILY).standing(), Standing::OverSoft);
    ledger.reserve(&book, ask(3, "9 EUR"));
    assert_eq!(ledger.kinds(7), ["reservation.refused", "budget.blocked"]);
    ledger.reserve(&book, ask(4, "2 EUR"));
    // The alert was given.
    assert_eq!(
        ledger.kinds(9),
        ["reservation.held", "budget.reserved", "budget.warned"]
    );
    assert_eq!(ledger.counter(DAILY).standing(), Standing::Exhausted);
    ledger.settle(1, Actual::Known(money("4 EUR")));
    assert_eq!(ledger.kinds(12), ["reservation.settled", "budget.settled"]);
    ledger.settle(2, Actual::Nothing);
    assert_eq!(
        ledger.kinds(14),
        ["reservation.released", "budget.released"]
    );
    ledger.now = 60_000_000;
    ledger.run(|unit| expire(unit, rsv(4))).unwrap();
    assert_eq!(ledger.kinds(16), ["reservation.expired", "budget.expired"]);
    assert_eq!(ledger.usage(DAILY), ("6.00 EUR".into(), "0.00 EUR".into()));
    assert_eq!(ledger.counter(DAILY).standing(), Standing::OverSoft);
    assert!(
        ledger
            .entries
            .iter()
            .all(|(_, d)| d.category == kernel::Category::Budget)
    );
    ledger.replay();
}

#[test]
fn all_counters_or_none() {
    let mut ledger = Ledger::default();
    let book = book(vec![
        budget("all", Scope::Tenant, Period::Total, "100 EUR"),
        budget("subject", Scope::Subject, Period::Month, "50 EUR"),
        budget("tool", Scope::Tool, Period::Day, "10 EUR"),
        budget("agent", Scope::Agent, Period::Day, "60 EUR"),
        budget("directive", Scope::Directive, Period::Total, "60 EUR"),
        budget("calls", Scope::Tool, Period::Day, "2 calls"),
    ]);
    let outcome = ledger.reserve(&book, ask(1, "6 EUR"));
    let counters: Vec<_> = outcome
        .findings
        .iter()
        .map(|f| f.counter.as_str())
        .collect();
    let expected = [
        "all@tenant@total",
        "subject@service/checkout@2026-03",
        "tool@http.request@2026-03-01",
        "agent@agent:prn_1@2026-03-01",
        "directive@dir_00000000000000000000000000000007@total",
        "calls@http.request@2026-03-01",
    ];
    assert_eq!(counters, expected);
    let blocked = ledger.reserve(&book, ask(2, "6 EUR"));
    assert_eq!(blocked.verdict, Verdict::Block);
    assert!(blocked.reason.contains("`tool`"), "{}", blocked.reason);
    let verdicts: Vec<_> = blocked.findings.iter().map(|f| f.verdict).collect();
    let mut wanted = [Verdict::Allow; 6];
    wanted[2] = Verdict::Block;
    assert_eq!(verdicts, wanted);
    let line = &blocked.findings[2];
    let shown = [line.before, line.amount, line.after, line.hard].map(|a| a.to_string());
    assert_eq!(shown, ["6.00 EUR", "6.00 EUR", "12.00 EUR", "10.00 EUR"]);
    for id in &expected[..5] {
        assert_eq!(ledger.usage(id), ("0.00 EUR".into(), "6.00 EUR".into()));
    }
    ledger.reserve(&book, ask(3, "1 EUR"));
    let third = ledger.reserve(&book, ask(4, "0 EUR"));
    assert!(
        third.reason.contains("3 calls of 2 calls"),
        "{}",
        third.reason
    );
    // Another tool has its own counters; another class is not counted.
    let mut other = ask(5, "1 EUR");
    other.tool = "noop".to_owned();
    assert_eq!(ledger.reserve(&book, other).verdict, Verdict::Allow);
    let mut cheap = ask(6, "1 EUR");
    cheap.cost_class = CostClass::Cheap;
    assert_eq!(ledger.reserve(&book, cheap).findings.len(), 5);
    let settled = ledger.settle(1, Actual::Known(money("2 EUR")));
    assert_eq!(settled.status, ReservationStatus::Settled);
    assert_eq!(
        ledger.usage(expected[5]),
        ("1 call".into(), "1 call".into())
    );
    ledger.replay();
}

#[test]
fn without_a_budget_or_a_reason_nothing_is_spent() {
    let calls = || book(vec![budget("calls", Scope::Tenant, Period::Day, "9 calls")]);
    let expensive = |justification: Option<&str>| Ask {
        cost_class: CostClass::Expensive,
        justification: justification.map(str::to_owned),
        ..ask(1, "1 EUR")
    };
    let cheap = Ask {
        cost_class: CostClass::Cheap,
        ..ask(1, "0 EUR")
    };
    let twice = Book {
        budgets: [daily("9 EUR").budgets, daily("9 EUR").budgets].concat(),
    };
    for (book, ask, reason) in [
        (Book::default(), ask(1, "0 EUR"), "no budget covers this"),
        (calls(), cheap, "no budget covers this"),
        (calls(), ask(1, "1 EUR"), "no budget of money"),
        (daily("9 EUR"), expensive(None), "written justification"),
        (
            daily("9 EUR"),
            expensive(Some(" ")),
            "written justification",
        ),
        (twice, ask(1, "1 EUR"), "stands twice"),
    ] {
        let mut ledger = Ledger::default();
        let outcome = ledger.reserve(&book, ask.clone());
        assert_eq!(outcome.verdict, Verdict::Block, "{outcome:?}");
        assert!(outcome.reason.contains(reason), "{outcome:?}");
        let state = ledger.run(|unit| unit.get::<Reservation>(rsv(1))).unwrap();
        assert_eq!(state.status, ReservationStatus::Refused);
        assert_eq!(ledger.reserve(&book, ask), outcome, "asked again");
        ledger.replay();
    }
    let mut ledger = Ledger::default();
    let fine = ledger.reserve(&daily("9 EUR"), expensive(Some("it burns")));
    assert_eq!(fine.verdict, Verdict::Allow);
    assert!(ledger.entries[0].1.payload.contains("it burns"));
    assert_eq!(
        ledger.reserve(&calls(), ask(2, "0 EUR")).verdict,
        Verdict::Allow
    );
}

#[test]
fn the_same_id_is_charged_once() {
    let mut ledger = Ledger::default();
    let book = daily("10 EUR");
    let first = ledger.reserve(&book, ask(1, "6 EUR"));
    let count = ledger.entries.len();
    assert_eq!(ledger.reserve(&book, ask(1, "6 EUR")), first);
    ledger.settle(1, Actual::Known(money("6 EUR")));
    assert_eq!(ledger.reserve(&book, ask(1, "6 EUR")), first);
    let seen = ledger.run(|unit| preview(unit, &book, &ask(1, "6 EUR")));
    assert_eq!(seen.unwrap(), first);
    let other = ledger.run(|unit| reserve(unit, &book, ask(1, "5 EUR")));
    assert_eq!(other.unwrap_err().code, Code::Conflict);
    assert_eq!(ledger.entries.len(), count + 2);
    // Settled again, with whatever: what was accounted for first stands.
    let again = ledger.settle(1, Actual::Nothing);
    assert_eq!(again.charge.map(|c| c.amount), Some(money("6 EUR")));
    assert_eq!(ledger.entries.len(), count + 2);
}

#[test]
fn asks_that_make_no_sense_are_refused() {
    for (place, ask) in [
        (
            "lease",
            Ask {
                lease: Span::ZERO,
                ..ask(1, "1 EUR")
            },
        ),
        (
            "tool",
            Ask {
                tool: String::new(),
                ..ask(1, "1 EUR")
            },
        ),
        (
            "tool",
            Ask {
                tool: "x".repeat(257),
                ..ask(1, "1 EUR")
            },
        ),
        (
            "justification",
            Ask {
                justification: Some("x".repeat(4097)),
                ..ask(1, "1 EUR")
            },
        ),
    ] {
        let mut ledger = Ledger::default();
        let fault = ledger
            .run(|unit| reserve(unit, &daily("9 EUR"), ask))
            .unwrap_err();
        assert!(fault.message.starts_with(place), "{fault}");
        assert_eq!((fault.code, ledger.entries.len()), (Code::Invalid, 0));
    }
}

#[test]
fn settling_in_each_way() {
    for (actual, status, charge, consumed, overrun) in [
        (
            Actual::Known(money("0 EUR")),
            "settled",
            Some(Basis::Reported),
            "0.00 EUR",
            "0.00 EUR",
        ),
        (
            Actual::Known(money("3 EUR")),
            "settled",
            Some(Basis::Reported),
            "3.00 EUR",
            "0.00 EUR",
        ),
        (
            Actual::Known(money("6 EUR")),
            "settled",
            Some(Basis::Reported),
            "6.00 EUR",
            "0.00 EUR",
        ),
        (
            Actual::Known(money("11 EUR")),
            "settled",
            Some(Basis::Reported),
            "11.00 EUR",
            "5.00 EUR",
        ),
        (
            Actual::Unknown,
            "settled",
            Some(Basis::Reserved),
            "6.00 EUR",
            "0.00 EUR",
        ),
        (Actual::Nothing, "released", None, "0.00 EUR", "0.00 EUR"),
    ] {
        let mut ledger = Ledger::default();
        let book = daily("10 EUR");
        ledger.reserve(&book, ask(1, "6 EUR"));
        let settled = ledger.settle(1, actual);
        assert_eq!(Aggregate::status(settled.as_ref()), status);
        assert_eq!(settled.charge.map(|c| c.basis), charge);
        assert_eq!(ledger.usage(DAILY), (consumed.into(), "0.00 EUR".into()));
        assert_eq!(ledger.counter(DAILY).overrun.to_string(), overrun);
        ledger.replay();
    }
    let mut ledger = Ledger::default();
    ledger.reserve(&daily("10 EUR"), ask(1, "6 EUR"));
    ledger.settle(1, Actual::Known(money("11 EUR")));
    let tail = [
        "reservation.settled",
        "budget.settled",
        "budget.overran",
        "budget.alerted",
    ];
    assert_eq!(ledger.kinds(3), tail);
    let next = ledger.reserve(&daily("10 EUR"), ask(2, "0 EUR"));
    assert_eq!(
        next.verdict,
        Verdict::Block,
        "an overrun blocks what comes next"
    );

    let mut ledger = Ledger::default();
    ledger.reserve(&daily("10 EUR"), ask(1, "6 EUR"));
    let foreign = Actual::Known(money("1 USD"));
    let fault = ledger
        .run(|unit| settle(unit, rsv(1), foreign))
        .unwrap_err();
    assert_eq!(fault.code, Code::Invalid);
    ledger.settle(1, Actual::Unknown);
    let missing = ledger.run(|unit| settle(unit, rsv(9), Actual::Unknown));
    assert_eq!(missing.unwrap_err().code, Code::NotFound);
    ledger.reserve(&daily("10 EUR"), ask(2, "60 EUR"));
    let refused = ledger.run(|unit| settle(unit, rsv(2), Actual::Unknown));
    assert_eq!(refused.unwrap_err().code, Code::IllegalMove);
}

#[test]
fn a_lease_runs_out_at_its_instant() {
    let mut ledger = Ledger::default();
    let book = daily("10 EUR");
    ledger.reserve(&book, ask(1, "6 EUR"));
    let due = |state: &Reservation| Aggregate::due(state).map(Timestamp::as_micros);
    ledger.now = 59_999_999;
    let held = ledger.run(|unit| expire(unit, rsv(1))).unwrap();
    assert_eq!(held.status, ReservationStatus::Held);
    assert_eq!(due(&held), Some(Ledger::START + 60_000_000));
    ledger.now = 60_000_000;
    let expired = ledger.run(|unit| expire(unit, rsv(1))).unwrap();
    assert_eq!(expired.status, ReservationStatus::Expired);
    assert_eq!(due(&expired), None);
    assert_eq!(ledger.usage(DAILY), ("6.00 EUR".into(), "0.00 EUR".into()));
    let count = ledger.entries.len();
    ledger.run(|unit| expire(unit, rsv(1))).unwrap();
    let late = ledger.settle(1, Actual::Known(money("1 EUR")));
    assert_eq!(late.status, ReservationStatus::Expired);
    assert_eq!(ledger.entries.len(), count, "accounted for once");
    // Before it ran out for the shell, an owner may still settle late.
    ledger.reserve(&book, ask(2, "1 EUR"));
    ledger.now += 90_000_000;
    let settled = ledger.settle(2, Actual::Known(money("1 EUR")));
    assert_eq!(settled.status, ReservationStatus::Settled);
}

#[test]
fn a_new_period_begins_by_its_name_and_old_ones_are_settled() {
    let mut ledger = Ledger::default();
    let book = book(vec![
        budget("daily", Scope::Tenant, Period::Day, "10 EUR"),
        budget("monthly", Scope::Tenant, Period::Month, "15 EUR"),
    ]);
    ledger.now = 86_399_999_999;
    assert_eq!(
        ledger.reserve(&book, ask(1, "10 EUR")).verdict,
        Verdict::Allow
    );
    assert_eq!(
        ledger.reserve(&book, ask(2, "1 EUR")).verdict,
        Verdict::Block
    );
    ledger.now += 1;
    assert_eq!(
        ledger.reserve(&book, ask(3, "5 EUR")).verdict,
        Verdict::Allow
    );
    let fourth = ledger.reserve(&book, ask(4, "1 EUR"));
    assert!(fourth.reason.contains("`monthly`"), "{}", fourth.reason);
    ledger.settle(1, Actual::Known(money("7 EUR")));
    assert_eq!(ledger.usage(DAILY), ("7.00 EUR".into(), "0.00 EUR".into()));
    let today = "daily@tenant@2026-03-02";
    assert_eq!(ledger.usage(today), ("0.00 EUR".into(), "5.00 EUR".into()));
    ledger.replay();
}

#[test]
fn editing_a_cap_keeps_the_usage() {
    let mut ledger = Ledger::default();
    ledger.reserve(&daily("10 EUR"), ask(1, "6 EUR"));
    ledger.settle(1, Actual::Known(money("5 EUR")));
    ledger.reserve(&daily("10 EUR"), ask(2, "4 EUR"));
    let used = ("5.00 EUR".to_owned(), "4.00 EUR".to_owned());
    for (number, hard, verdict, kinds) in [
        (
            3,
            "20 EUR",
            Verdict::Allow,
            vec!["reservation.held", "budget.amended", "budget.reserved"],
        ),
        // Lowered below the usage: all that comes is blocked, nothing is lost.
        (
            4,
            "1 EUR",
            Verdict::Block,
            vec!["reservation.refused", "budget.amended", "budget.blocked"],
        ),
        // Another currency under the old name is blocked, not converted.
        (
            5,
            "20 USD",
            Verdict::Block,
            vec!["reservation.refused", "budget.blocked"],
        ),
        (
            6,
            "12 EUR",
            Verdict::Allow,
            vec!["reservation.held", "budget.amended", "budget.reserved"],
        ),
    ] {
        let before = ledger.entries.len();
        let outcome = ledger.reserve(&daily(hard), ask(number, "0 EUR"));
        assert_eq!(outcome.verdict, verdict, "{outcome:?}");
        let mut found = ledger.kinds(before);
        found.retain(|kind| *kind != "budget.alerted");
        assert_eq!(found, kinds);
        assert_eq!(ledger.usage(DAILY), used);
    }
    let mut euros = daily("20 USD");
    euros.budgets[0].hard = "20 USD".parse().unwrap();
    let dollars = ledger.reserve(&euros, ask(7, "0 USD"));
    assert!(
        dollars.reason.contains("needs a new name"),
        "{}",
        dollars.reason
    );
    ledger.replay();
}

#[test]
fn an_alert_is_given_once_for_each_cap() {
    let mut ledger = Ledger::default();
    let mut alerts = |number: u128, hard: &str, cost: &str| {
        let before = ledger.entries.len();
        ledger.reserve(&daily(hard), ask(number, cost));
        let kinds = ledger.kinds(before);
        kinds.iter().filter(|k| **k == "budget.alerted").count()
    };
    for (number, (hard, cost, expected)) in [
        ("10 EUR", "7.999999 EUR", 0),
        ("10 EUR", "0.000001 EUR", 1),
        ("10 EUR", "1 EUR", 0),
        ("20 EUR", "1 EUR", 0),
        ("20 EUR", "6 EUR", 1),
        ("20 EUR", "1 EUR", 0),
        ("10 EUR", "0 EUR", 0),
        ("20 EUR", "0 EUR", 0),
    ]
    .into_iter()
    .enumerate()
    {
        let number = u128::try_from(number).unwrap() + 1;
        assert_eq!(
            alerts(number, hard, cost),
            expected,
            "{number} {hard} {cost}"
        );
    }
    ledger.replay();
}

#[test]
fn every_status_with_every_trigger() {
    use ReservationStatus as S;
    use ReservationTrigger as T;
    let expected = [
        (S::Held, T::Settle, S::Settled),
        (S::Held, T::Release, S::Released),
        (S::Held, T::Expire, S::Expired),
    ];
    for from in S::ALL {
        for trigger in T::ALL {
            let row = expected.iter().find(|(f, t, _)| f == from && t == trigger);
            let next = LIFECYCLE.next(*from, *trigger).ok();
            assert_eq!(next, row.map(|(_, _, to)| *to), "{from} {trigger}");
        }
    }
}

#[test]
fn amounts_and_books_are_strict() {
    for (text, shown) in [
        ("450 EUR", Some("450.00 EUR")),
        ("10 calls", Some("10 calls")),
        ("1 call", Some("1 call")),
        ("0 calls", Some("0 calls")),
        ("10calls", Some("10 calls")),
        ("10", None),
        ("calls", None),
        ("+1 calls", None),
        ("-1 calls", None),
        ("1.5 calls", None),
        ("99999999999999999999 calls", None),
    ] {
        let parsed = text.parse::<Amount>().ok();
        assert_eq!(parsed.map(|a| a.to_string()).as_deref(), shown, "{text}");
    }
    let good = r#"[{"name": "daily", "scope": "tenant", "period": "day", "unit": "money",
        "hard": "450 EUR"}]"#;
    let book: Book = serde_json::from_str(good).unwrap();
    book.check().unwrap();
    assert_eq!(book.budgets[0].alert_at, Ratio::from_ppm(800_000));
    assert!(serde_json::from_str::<Book>(&good.replace("\"hard\"", "\"cap\"")).is_err());
    assert!(
        serde_json::from_str::<Book>(&good.replace("\"hard\": \"450 EUR\"", "\"soft\": null"))
            .is_err()
    );
    let one = || budget("daily", Scope::Tenant, Period::Day, "10 EUR");
    let with = |bend: &dyn Fn(&mut Budget)| {
        let mut bent = one();
        bend(&mut bent);
        vec![bent]
    };
    for (budgets, fault) in [
        (vec![], "declares no budget"),
        (vec![one(), one()], "[1]: the name `daily` stands twice"),
        (
            with(&|b| b.name = "a@b".to_owned()),
            "[0]: `a@b` is not a name",
        ),
        (with(&|b| b.name = String::new()), "[0]: `` is not a name"),
        (
            with(&|b| b.unit = Measure::CheapCalls),
            "[0]: hard: `10.00 EUR` is not",
        ),
        (
            with(&|b| b.soft = "11 EUR".parse().ok()),
            "[0]: soft: `11.00 EUR` is more",
        ),
        (with(&|b| b.soft = "1 USD".parse().ok()), "[0]: soft:"),
        (with(&|b| b.soft = "1 call".parse().ok()), "[0]: soft:"),
        (with(&|b| b.alert_at = Ratio::ZERO), "[0]: alert_at:"),
    ] {
        let found = Book { budgets }.check().unwrap_err().message;
        assert!(found.starts_with(fault), "{found}");
    }
}

/// The fold itself refuses what the operations never record.
#[test]
fn impossible_events_are_refused() {
    let stamp = Stamp {
        at: Timestamp::EPOCH,
        actor: Actor::system("test"),
        entry: EntryId(Uuid::nil()),
        version: 1,
    };
    let terms = daily("10 EUR").budgets[0].terms();
    let opened = CounterEvent::Opened(counter::Opened {
        budget: "daily".to_owned(),
        scope: Scope::Tenant,
        value: "tenant".to_owned(),
        period: "total".to_owned(),
        terms,
    });
    let moved = |amount: &str| counter::Moved {
        reservation: rsv(1),
        amount: amount.parse().unwrap(),
    };
    let empty = Counter::evolve(None, &opened, &stamp).unwrap();
    let dollars = daily("1 USD").budgets[0].terms();
    for event in [
        opened.clone(),
        CounterEvent::Reserved(moved("10.000001 EUR")),
        CounterEvent::Reserved(moved("1 call")),
        CounterEvent::Released(moved("1 EUR")),
        CounterEvent::Expired(moved("1 EUR")),
        CounterEvent::Amended(counter::Amended { terms: dollars }),
    ] {
        assert!(
            Counter::evolve(Some(empty.clone()), &event, &stamp).is_err(),
            "{event:?}"
        );
    }
    let first = CounterEvent::Reserved(moved("1 EUR"));
    assert!(Counter::evolve(None, &first, &stamp).is_err());
    let charge = Charge {
        amount: money("1 EUR"),
        basis: Basis::Reserved,
        tokens: None,
    };
    assert!(Reservation::evolve(None, &ReservationEvent::Settled(charge), &stamp).is_err());
}
