//! Any order of everything, against sums.

use super::*;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Reserve {
        cents: u32,
        tool: u8,
        subject: u8,
        lease: u32,
    },
    Settle {
        which: prop::sample::Index,
        share: u32,
    },
    Unknown(prop::sample::Index),
    Nothing(prop::sample::Index),
    Wait(u32),
    Cap {
        budget: prop::sample::Index,
        cents: u32,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        6 => (0..400_u32, 0..2_u8, 0..2_u8, 1..5_u32).prop_map(|(cents, tool, subject, lease)| {
            Step::Reserve { cents, tool, subject, lease: lease * 20_000 }
        }),
        2 => (index(), 0..=100_u32).prop_map(|(which, share)| Step::Settle { which, share }),
        1 => index().prop_map(Step::Unknown),
        1 => index().prop_map(Step::Nothing),
        2 => (1..60_000_u32).prop_map(Step::Wait),
        1 => (index(), 0..2_000_u32).prop_map(|(budget, cents)| Step::Cap { budget, cents }),
    ]
}

fn cents(cents: u32) -> Money {
    money(&format!("{}.{:02} EUR", cents / 100, cents % 100))
}

/// Every held reservation whose lease ran out is expired, as the shell does.
fn tick(ledger: &mut Ledger, asked: u128) {
    for number in 1..=asked {
        ledger.run(|unit| expire(unit, rsv(number))).unwrap();
    }
}

/// Each counter is exactly the sum of the reservations that name it.
fn counters_are_sums(ledger: &Ledger) {
    let reader = ledger.states.iter();
    let body = |state: &Arc<dyn State>| state.body().unwrap();
    let mut sums: BTreeMap<String, (Amount, Amount)> = BTreeMap::new();
    for (_, (_, state)) in reader.clone().filter(|(s, _)| s.kind() == "reservation") {
        let found: Reservation = serde_json::from_str(&body(state)).unwrap();
        for line in &found.findings {
            let zero = (line.amount.zero(), line.amount.zero());
            let sum = sums.entry(line.counter.clone()).or_insert(zero);
            let charged = found.charge.map(|charge| match line.amount {
                Amount::Money(_) => Amount::Money(charge.amount),
                Amount::Tokens(_) => charge.tokens.map_or(line.amount, Amount::Tokens),
                Amount::Calls(_) => line.amount,
            });
            match (found.status, charged) {
                (ReservationStatus::Held, _) => sum.1 = sum.1.plus(&line.amount).unwrap(),
                (_, Some(charged)) => sum.0 = sum.0.plus(&charged).unwrap(),
                (_, None) => {}
            }
        }
    }
    for (stream, (_, state)) in reader.filter(|(s, _)| s.kind() == "budget") {
        let found: Counter = serde_json::from_str(&body(state)).unwrap();
        let sum = sums[stream.id()];
        assert_eq!((found.consumed, found.reserved), sum, "{stream}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens in whatever order: no reservation passes a cap, every
    /// counter is the sum of its reservations, nothing is stranded, and the
    /// entries fold to the same states. A failing case prints its seed.
    #[test]
    fn caps_hold_and_nothing_is_lost(steps in prop::collection::vec(step(), 1..60)) {
        let mut ledger = Ledger::default();
        let mut book = book(vec![
            budget("total", Scope::Tenant, Period::Total, "15 EUR"),
            budget("daily", Scope::Tenant, Period::Day, "8 EUR"),
            budget("tool", Scope::Tool, Period::Day, "6 EUR"),
            budget("subject", Scope::Subject, Period::Month, "7 EUR"),
            budget("calls", Scope::Tool, Period::Day, "5 calls"),
        ]);
        book.budgets[0].soft = "10 EUR".parse().ok();
        let mut asked = 0_u128;
        for step in steps {
            let number = |which: &prop::sample::Index| {
                u128::try_from(which.index(usize::try_from(asked).unwrap())).unwrap() + 1
            };
            match step {
                Step::Reserve { cents: cost, tool, subject, lease } => {
                    asked += 1;
                    let asking = Ask {
                        amount: cents(cost),
                        tool: format!("tool{tool}"),
                        subject: Subject::parse(&format!("service/s{subject}")).ok(),
                        lease: Span::from_secs(lease),
                        ..ask(asked, "0 EUR")
                    };
                    let outcome = ledger.reserve(&book, asking);
                    // INVARIANT(cap): held against what each counter says now.
                    for line in outcome.findings.iter().filter(|_| outcome.verdict.passes()) {
                        let counter = ledger.counter(&line.counter);
                        let used = counter.used().unwrap();
                        prop_assert!(!used.exceeds(&line.hard).unwrap(), "{counter:?}");
                        prop_assert_eq!(used, line.after);
                    }
                }
                Step::Wait(seconds) => {
                    ledger.now += i64::from(seconds) * 1_000_000;
                    tick(&mut ledger, asked);
                }
                Step::Cap { budget, cents: cap } => {
                    let at = budget.index(4);
                    book.budgets[at].hard = Amount::Money(cents(cap));
                    book.budgets[at].soft = None;
                }
                Step::Settle { .. } | Step::Unknown(_) | Step::Nothing(_) if asked == 0 => {}
                Step::Settle { which, share } => {
                    let number = number(&which);
                    let state = ledger.run(|unit| unit.get::<Reservation>(rsv(number))).unwrap();
                    let part = state.ask.amount.amount() * rust_decimal::Decimal::new(share.into(), 2);
                    let actual = Actual::Known(Money::new(part, kernel::Currency::EUR).unwrap());
                    let done = ledger.run(|unit| settle(unit, rsv(number), actual));
                    prop_assert_eq!(done.is_err(), state.status == ReservationStatus::Refused);
                }
                Step::Unknown(which) => {
                    let number = number(&which);
                    let done = ledger.run(|unit| settle(unit, rsv(number), Actual::Unknown));
                    let refused = done.err().map(|e| e.code);
                    prop_assert!(matches!(refused, None | Some(Code::IllegalMove)));
                }
                Step::Nothing(which) => {
                    let number = number(&which);
                    let done = ledger.run(|unit| settle(unit, rsv(number), Actual::Nothing));
                    let refused = done.err().map(|e| e.code);
                    prop_assert!(matches!(refused, None | Some(Code::IllegalMove)));
                }
            }
            counters_are_sums(&ledger);
        }
        ledger.now += 1_000_000_000_000;
        tick(&mut ledger, asked);
        counters_are_sums(&ledger);
        for (stream, (_, state)) in &ledger.states {
            prop_assert_ne!(state.status(), "held", "{} is stranded", stream);
            prop_assert!(state.due().is_none());
        }
        ledger.replay();
    }
}
