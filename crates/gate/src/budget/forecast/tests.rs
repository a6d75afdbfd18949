//! Forecasts against synthetic spend whose end is known.

use super::*;
use kernel::Money;

const HOUR: i64 = 3_600_000_000;
/// 2026-03-02T00:00:00Z, a Monday.
const START: i64 = 1_772_409_600_000_000;

fn at(hour: i64) -> Timestamp {
    Timestamp::from_micros(START + hour * HOUR)
}

fn cents(amount: u64) -> Amount {
    let text = format!("{}.{:02} EUR", amount / 100, amount % 100);
    Amount::Money(Money::parse(&text, None).unwrap())
}

/// What is spent in each hour, in cents, and charged at its end.
fn spent(shape: fn(i64) -> u64, hours: i64) -> Vec<Spend> {
    let hours = 0..hours;
    let spend = hours.map(|hour| Spend {
        at: at(hour + 1),
        amount: cents(shape(hour)),
    });
    spend.collect()
}

fn total(spend: &[Spend]) -> Amount {
    let zero = cents(0);
    spend
        .iter()
        .fold(zero, |sum, s| sum.plus(&s.amount).unwrap())
}

fn steady(_: i64) -> u64 {
    1_000
}
/// From 8 to 18 on weekdays.
fn office(hour: i64) -> u64 {
    let (day, of_day) = (hour.div_euclid(24), hour.rem_euclid(24));
    if day % 7 < 5 && (8..18).contains(&of_day) {
        3_360
    } else {
        0
    }
}
/// A tenth more each day.
fn rising(hour: i64) -> u64 {
    let day = u32::try_from(hour / 24).unwrap();
    (0..day).fold(400, |rate, _| rate * 11 / 10)
}
/// All of a day at once, at an hour that differs from day to day.
fn bursts(hour: i64) -> u64 {
    let (day, of_day) = (hour.div_euclid(24), hour.rem_euclid(24));
    if of_day == day * 7 % 24 { 24_000 } else { 0 }
}

/// Hours by which a forecast of a budget of no period is off, this long before
/// its cap is reached in truth.
fn error(shape: fn(i64) -> u64, ahead: i64) -> i64 {
    let all = spent(shape, 24 * 30);
    let breach = 24 * 14;
    let hard = total(&all[..usize::try_from(breach).unwrap()]);
    let now = breach - ahead;
    let before = &all[..usize::try_from(now).unwrap()];
    let known = Known {
        now: at(now),
        period: Period::Total,
        zone: &Zone::UTC,
        used: total(before),
        hard,
        since: at(0),
        spend: before,
    };
    let found = forecast(&known).unwrap().breach.unwrap();
    (found.as_micros() - at(breach).as_micros()) / HOUR
}

/// The error in hours, 24 and 72 hours before the cap is reached. A change of
/// the method shows here.
#[test]
fn the_error_on_synthetic_spend_is_known() {
    type Row = (&'static str, fn(i64) -> u64, i64, i64);
    let rows: [Row; 4] = [
        ("steady", steady, 0, 0),
        ("office hours", office, -24, -39),
        ("a tenth more each day", rising, 10, 41),
        ("bursts", bursts, 0, 0),
    ];
    let found: Vec<_> = rows
        .iter()
        .map(|(name, shape, ..)| (*name, error(*shape, 24), error(*shape, 72)))
        .collect();
    let wanted: Vec<_> = rows
        .iter()
        .map(|(name, _, day, three)| (*name, *day, *three))
        .collect();
    assert_eq!(found, wanted);
}

#[test]
fn a_budget_of_a_day_names_the_hour_today_or_tomorrow() {
    let spend = spent(steady, 48);
    let foreseen = |hour: i64, hard: u64| {
        let now = usize::try_from(hour).unwrap();
        let known = Known {
            now: at(hour),
            period: Period::Day,
            zone: &Zone::UTC,
            used: total(&spend[24..now]),
            hard: cents(hard),
            since: at(0),
            spend: &spend[..now],
        };
        forecast(&known).unwrap()
    };
    // 10 EUR an hour, on the second day.
    assert_eq!(foreseen(36, 18_000).breach, Some(at(42)));
    assert_eq!(
        foreseen(36, 24_001).breach,
        None,
        "240 EUR a day are within"
    );
    // Reached in the last hour.
    assert_eq!(foreseen(25, 23_500).breach, Some(at(47)));
    assert_eq!(foreseen(47, 23_500).breach, Some(at(47)));
    assert_eq!(
        foreseen(36, 12_000).breach,
        Some(at(36)),
        "it is used up now"
    );
    let found = foreseen(36, 18_000);
    assert_eq!(
        (found.since, found.spent, found.ends),
        (at(12), cents(24_000), Some(at(48)))
    );
}

#[test]
fn a_day_that_is_within_today_may_not_be_tomorrow() {
    // A slow morning; since then 20 EUR an hour.
    let spend: Vec<_> = spent(|hour| if hour < 12 { 0 } else { 2_000 }, 24);
    let known = Known {
        now: at(23),
        period: Period::Day,
        zone: &Zone::UTC,
        used: total(&spend[..23]),
        hard: cents(25_000),
        since: at(12),
        spend: &spend[..23],
    };
    assert_eq!(forecast(&known).unwrap().breach, Some(at(36)));
}

#[test]
fn too_little_is_no_forecast_and_nothing_spent_is_none() {
    let spend = spent(steady, 2);
    let zone = Zone::UTC;
    let known = |since: Timestamp, spend| Known {
        now: at(2),
        period: Period::Month,
        zone: &zone,
        used: cents(0),
        hard: cents(100),
        since,
        spend,
    };
    let late = Timestamp::from_micros(at(1).as_micros() + 1);
    assert_eq!(forecast(&known(late, &spend)), None);
    let idle = forecast(&known(at(1), &[])).unwrap();
    assert_eq!((idle.breach, idle.spent), (None, cents(0)));
}
