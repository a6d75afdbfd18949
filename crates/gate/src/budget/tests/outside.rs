//! Callers outside of writ: tokens, models, leases, and who may settle what.

use super::*;
use crate::residency;

const SCOUT: &str = "prn_1";

fn call(amount: &str, tokens: u64) -> Call {
    Call {
        amount: money(amount),
        tokens,
        cost_class: CostClass::Cheap,
        directive: None,
        subject: None,
        tool: "chat".into(),
        model: Some(Model {
            provider: "acme".into(),
            name: "large".into(),
        }),
        lease: Span::from_secs(60),
        justification: None,
    }
}

/// A register that knows the provider.
fn acme() -> residency::Settings {
    serde_json::from_value(serde_json::json!({
        "regions": ["eu"],
        "demands": { "retention_max": "30d", "training_allowed": false, "logging_max": "none" },
        "providers": { "acme": { "region": "eu", "attestation": {
            "retention": "none", "training": false, "logging": "none",
            "by": "acme", "at": "2026-01-01T00:00:00Z",
        } } },
    }))
    .unwrap()
}

impl Ledger {
    fn by<T>(
        &mut self,
        actor: Actor,
        work: impl FnOnce(&mut Unit<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let before = std::mem::replace(&mut self.actor, actor);
        let done = self.run(work);
        self.actor = before;
        done
    }
}

fn scout() -> Actor {
    Actor::new(PrincipalKind::Agent, SCOUT)
}

fn models() -> Book {
    book(vec![
        budget("money", Scope::Tenant, Period::Day, "10 EUR"),
        budget("tokens", Scope::Model, Period::Day, "1000 tokens"),
        budget("provider", Scope::Provider, Period::Month, "8 EUR"),
        budget("subject", Scope::Subject, Period::Day, "0 EUR"),
        budget("directive", Scope::Directive, Period::Total, "0 EUR"),
    ])
}

#[test]
fn tokens_and_models_are_counted() {
    let mut ledger = Ledger::default();
    let book = models();
    let reserve = |ledger: &mut Ledger, number, call| {
        ledger.by(scout(), |unit| {
            reserve_call(unit, &book, Some(&acme()), rsv(number), call)
        })
    };
    let first = reserve(&mut ledger, 1, call("2 EUR", 600)).unwrap();
    let counters: Vec<_> = first.findings.iter().map(|f| f.counter.as_str()).collect();
    // What has no subject and no directive is counted under none.
    let (tokens, provider) = ("tokens@acme/large@2026-03-01", "provider@acme@2026-03");
    assert_eq!(counters, ["money@tenant@2026-03-01", tokens, provider]);
    let second = reserve(&mut ledger, 2, call("2 EUR", 401)).unwrap();
    assert_eq!(second.verdict, Verdict::Block);
    assert!(
        second.reason.contains("1001 tokens of 1000 tokens"),
        "{}",
        second.reason
    );

    ledger
        .by(scout(), |unit| {
            settle_call(unit, rsv(1), Some(money("1.50 EUR")), Some(450))
        })
        .unwrap();
    assert_eq!(
        ledger.usage(tokens),
        ("450 tokens".into(), "0 tokens".into())
    );
    assert_eq!(
        ledger.usage(provider),
        ("1.50 EUR".into(), "0.00 EUR".into())
    );

    // What nobody reports counts as set aside: all, the tokens, the money.
    let rows: [(Option<&str>, Option<u64>, &str, &str); 3] = [
        (None, None, "550 tokens", "2.50 EUR"),
        (Some("0.25 EUR"), None, "650 tokens", "2.75 EUR"),
        (None, Some(7), "657 tokens", "3.75 EUR"),
    ];
    for (number, (cost, spent, used, paid)) in (3..).zip(rows) {
        reserve(&mut ledger, number, call("1 EUR", 100)).unwrap();
        let cost = cost.map(money);
        ledger
            .by(scout(), |unit| settle_call(unit, rsv(number), cost, spent))
            .unwrap();
        assert_eq!(ledger.usage(tokens).0, used);
        assert_eq!(ledger.usage(provider).0, paid);
    }
    // More than was set aside is counted in full.
    reserve(&mut ledger, 6, call("1 EUR", 100)).unwrap();
    ledger
        .by(scout(), |unit| {
            settle_call(unit, rsv(6), Some(money("1 EUR")), Some(5_000))
        })
        .unwrap();
    assert_eq!(ledger.usage(tokens).0, "5657 tokens");
    assert_eq!(ledger.counter(tokens).overrun.to_string(), "4900 tokens");
    assert_eq!(ledger.counter(tokens).standing(), Standing::Exhausted);
    // A call that takes no tokens is not held up by them.
    assert_eq!(
        reserve(&mut ledger, 7, call("1 EUR", 0)).unwrap().verdict,
        Verdict::Allow
    );
    ledger.replay();
}

#[test]
fn only_the_holder_or_a_person_settles() {
    let mut ledger = Ledger::default();
    let book = models();
    for number in 1..=3 {
        let asked = ledger.by(scout(), |unit| {
            reserve_call(unit, &book, Some(&acme()), rsv(number), call("1 EUR", 1))
        });
        assert_eq!(asked.unwrap().verdict, Verdict::Allow);
    }
    let other = Actor::new(PrincipalKind::Agent, "prn_2");
    let refused = ledger.by(other.clone(), |unit| release_call(unit, rsv(1)));
    assert_eq!(refused.unwrap_err().code, Code::Forbidden);
    let refused = ledger.by(other, |unit| extend(unit, rsv(1), Span::from_secs(90)));
    assert_eq!(refused.unwrap_err().code, Code::Forbidden);
    let person = Actor::new(PrincipalKind::Human, "prn_3");
    for (number, actor) in [(1, person), (2, scout())] {
        let released = ledger
            .by(actor, |unit| release_call(unit, rsv(number)))
            .unwrap();
        assert_eq!(released.status, ReservationStatus::Released);
    }
    // What a run holds, the run settles.
    ledger.reserve(
        &models(),
        Ask {
            subject: None,
            directive: None,
            ..ask(9, "1 EUR")
        },
    );
    let refused = ledger.by(scout(), |unit| release_call(unit, rsv(9)));
    let refused = refused.unwrap_err();
    assert_eq!(refused.code, Code::Forbidden);
    assert!(refused.message.contains("held by a run"), "{refused}");
    ledger.replay();
}

#[test]
fn a_lease_is_short_and_extended_while_it_lasts() {
    let mut ledger = Ledger::default();
    let book = models();
    let hour = |ledger: &mut Ledger, number, lease| {
        let call = Call {
            lease,
            ..call("1 EUR", 1)
        };
        ledger.by(scout(), |unit| {
            reserve_call(unit, &book, Some(&acme()), rsv(number), call)
        })
    };
    let refused = hour(&mut ledger, 1, Span::from_secs(3_601)).unwrap_err();
    assert!(refused.message.starts_with("lease"), "{refused}");
    hour(&mut ledger, 1, Span::from_secs(60)).unwrap();
    let extend = |ledger: &mut Ledger, seconds| {
        ledger.by(scout(), |unit| {
            extend(unit, rsv(1), Span::from_secs(seconds))
        })
    };
    let expire = |ledger: &mut Ledger| {
        let found = ledger.run(|unit| expire(unit, rsv(1))).unwrap();
        found.status == ReservationStatus::Expired
    };
    ledger.now += 30_000_000;
    extend(&mut ledger, 60).unwrap();
    // A shorter one takes nothing away.
    extend(&mut ledger, 1).unwrap();
    ledger.now += 59_999_999;
    assert!(!expire(&mut ledger));
    ledger.now += 1;
    let late = extend(&mut ledger, 60).unwrap_err();
    assert!(late.message.contains("run out"), "{late}");
    assert!(expire(&mut ledger));
    assert_eq!(extend(&mut ledger, 60).unwrap_err().code, Code::IllegalMove);
    assert_eq!(ledger.usage("provider@acme@2026-03").0, "1.00 EUR");
    ledger.replay();
}
