//! When a budget starts anew, and what may follow it under its name.

use super::*;

fn berlin(period: Period) -> Budget {
    Budget {
        zone: Zone::parse("Europe/Berlin").unwrap(),
        ..budget("daily", Scope::Tenant, period, "10 EUR")
    }
}

#[test]
fn a_period_ends_where_the_tenant_is() {
    // Clocks go forward on 2026-03-29 and back on 2026-10-25.
    let rows = [
        (
            Period::Day,
            "2026-03-28T23:00:00Z",
            "2026-03-29T21:59:59.999999Z",
            "2026-03-29T22:00:00Z",
        ),
        (
            Period::Day,
            "2026-10-24T22:00:00Z",
            "2026-10-25T22:59:59.999999Z",
            "2026-10-25T23:00:00Z",
        ),
        (
            Period::Month,
            "2026-02-28T23:00:00Z",
            "2026-03-31T21:59:59.999999Z",
            "2026-03-31T22:00:00Z",
        ),
    ];
    for (period, first, last, next) in rows {
        let book = book(vec![berlin(period)]);
        let mut ledger = Ledger::default();
        let mut verdicts = Vec::new();
        for (number, at) in (1..).zip([first, last, next]) {
            ledger.now = Timestamp::parse(at).unwrap().as_micros() - Ledger::START;
            verdicts.push(ledger.reserve(&book, ask(number, "6 EUR")).verdict);
        }
        let wanted = [Verdict::Allow, Verdict::Block, Verdict::Allow];
        assert_eq!(verdicts, wanted, "{period} from {first}");
        ledger.replay();
    }
}

#[test]
fn a_budget_keeps_what_it_counts() {
    let former = book(vec![
        berlin(Period::Day),
        budget("calls", Scope::Tool, Period::Day, "5 calls"),
    ]);
    let with = |change: fn(&mut Budget)| {
        let mut changed = former.clone();
        change(&mut changed.budgets[0]);
        changed.may_follow(&former)
    };
    let caps: [fn(&mut Budget); 3] = [
        |b| b.hard = "90 EUR".parse().unwrap(),
        |b| b.soft = Some("1 EUR".parse().unwrap()),
        |b| b.alert_at = Ratio::ONE,
    ];
    for change in caps {
        with(change).unwrap();
    }
    let identity: [fn(&mut Budget); 4] = [
        |b| b.scope = Scope::Subject,
        |b| b.period = Period::Month,
        |b| b.zone = Zone::UTC,
        |b| (b.unit, b.hard) = (Measure::CheapCalls, Amount::Calls(3)),
    ];
    for change in identity {
        let fault = with(change).unwrap_err();
        assert!(fault.message.starts_with("[0]: `daily` counted"), "{fault}");
        assert!(fault.message.contains("forgotten"), "{fault}");
    }
    // Another name is another budget, and one may be left out.
    with(|b| (b.name, b.period) = ("monthly".into(), Period::Month)).unwrap();
    book(vec![former.budgets[1].clone()])
        .may_follow(&former)
        .unwrap();
}

#[test]
fn a_zone_is_written_in_yaml_and_left_out_when_it_is_utc() {
    let text = r#"{"name":"d","scope":"tenant","period":"day","unit":"money","hard":"1 EUR"}"#;
    let plain: Budget = serde_json::from_str(text).unwrap();
    assert_eq!(plain.zone, Zone::UTC);
    assert!(!serde_json::to_string(&plain).unwrap().contains("zone"));
    let zoned = text.replace("\"unit\"", "\"zone\":\"Asia/Tokyo\",\"unit\"");
    let zoned: Budget = serde_json::from_str(&zoned).unwrap();
    assert_eq!(zoned.zone.name(), "Asia/Tokyo");
    assert!(
        serde_json::to_string(&zoned)
            .unwrap()
            .contains("Asia/Tokyo")
    );
    let bad = text.replace("\"unit\"", "\"zone\":\"Mars\",\"unit\"");
    let fault = serde_json::from_str::<Budget>(&bad)
        .unwrap_err()
        .to_string();
    assert!(fault.contains("`Mars` is no time zone"), "{fault}");
}
