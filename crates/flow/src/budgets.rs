//! How budgets will stand and how they stood: reads alone.

use gate::budget::{
    Amount, Book, Budget, Counter, CounterEvent, Forecast, Known, Scope, Spend, forecast,
};
use kernel::{Aggregate, Event as _, Refusal, Span, StreamId, TenantId, Timestamp};
use ledger::Store;
use ledger::query::{DocumentQuery, EntryQuery, Order};
use serde::Serialize;

/// Counters that are looked at, the newest.
const COUNTERS_MAX: usize = 200;
/// Entries of a counter that are looked at, the newest.
const MOVES_MAX: usize = 5_000;
/// Most points of what was consumed in a period.
pub const POINTS_MAX: usize = 120;
/// Days that a report goes back, at most.
pub const DAYS_MAX: u32 = 92;

/// How a counter will stand.
#[derive(Clone, Debug, Serialize)]
pub struct Outlook {
    /// The counter's id.
    pub counter: String,
    /// The budget's name.
    pub budget: String,
    /// For what it counts.
    pub value: String,
    /// Consumed and reserved.
    pub used: Amount,
    /// Where a warning begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soft: Option<Amount>,
    /// The hard cap.
    pub hard: Amount,
    /// When the period begins and ends; of a budget that never begins anew,
    /// when it was first spent from, and now.
    pub period: (Timestamp, Timestamp),
    /// What had been consumed, and from when on, in the order of time; no more
    /// than [`POINTS_MAX`] of them.
    pub points: Vec<Point>,
    /// `None` when too little is known.
    pub forecast: Option<Forecast>,
}

/// What had been consumed from an instant on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Point {
    /// The instant.
    pub at: Timestamp,
    /// What had been consumed.
    pub consumed: Amount,
}

/// How the newest counters of the current periods will stand.
///
/// # Errors
/// When storage does not answer, or a record does not parse.
pub async fn outlook(
    store: &dyn Store,
    tenant: TenantId,
    book: &Book,
    now: Timestamp,
) -> Result<Vec<Outlook>, Refusal> {
    let query = DocumentQuery {
        kind: Counter::KIND.to_owned(),
        order: Order::Descending,
        limit: COUNTERS_MAX,
        ..DocumentQuery::default()
    };
    let mut found = Vec::new();
    for document in store.documents(tenant, &query).await? {
        let counter = parsed(&document.stream, &document.body)?;
        let declared = book.budgets.iter().find(|b| b.name == counter.budget);
        let Some(budget) = declared.filter(|b| b.period.key(now, &b.zone) == counter.period) else {
            continue;
        };
        // What was charged after the counter was read is not in it yet.
        let until = document.updated_seq;
        let current = charged(store, tenant, budget, &counter, now, until).await?;
        let points = points(&counter, &current.spend)?;
        let bounds = budget.period.bounds(now, &budget.zone);
        let begun = points.first().map_or(now, |point| point.at);
        let (since, spend) = history(store, tenant, budget, &counter, now, current).await?;
        let used = counter.used()?;
        let known = Known {
            now,
            period: budget.period,
            zone: &budget.zone,
            used,
            hard: counter.terms.hard,
            since,
            spend: &spend,
        };
        found.push(Outlook {
            counter: document.stream.id().to_owned(),
            budget: counter.budget,
            value: counter.value,
            used,
            soft: counter.terms.soft,
            hard: counter.terms.hard,
            period: bounds.unwrap_or((begun, now)),
            points,
            forecast: forecast(&known),
        });
    }
    Ok(found)
}

fn parsed(stream: &StreamId, body: &str) -> Result<Counter, Refusal> {
    serde_json::from_str(body)
        .map_err(|e| Refusal::integrity(format!("state of `{stream}` does not parse: {e}")))
}

/// What had been consumed after each charge. What was charged before the
/// oldest of them is where it begins.
fn points(counter: &Counter, newest_first: &[Spend]) -> Result<Vec<Point>, Refusal> {
    let mut consumed = counter.consumed;
    let mut points = Vec::with_capacity(newest_first.len());
    for spend in newest_first {
        let at = spend.at;
        points.push(Point { at, consumed });
        consumed = consumed.less(&spend.amount)?;
    }
    points.reverse();
    let every = points.len().div_ceil(POINTS_MAX).max(1);
    // Counted from the last, which is what stands now.
    let last = points.len().saturating_sub(1);
    let kept = points.into_iter().enumerate();
    Ok(kept
        .filter(|(at, _)| (last - at).is_multiple_of(every))
        .map(|(_, point)| point)
        .collect())
}

/// What was charged to this counter and the one of the period before, and from
/// when on that is all.
async fn history(
    store: &dyn Store,
    tenant: TenantId,
    budget: &Budget,
    counter: &Counter,
    now: Timestamp,
    current: Charged,
) -> Result<(Timestamp, Vec<Spend>), Refusal> {
    let window = now.minus(budget.period.window());
    let Charged {
        mut since,
        mut spend,
        is_whole,
    } = current;
    let bounds = budget.period.bounds(now, &budget.zone);
    if let Some((begin, _)) = bounds.filter(|(begin, _)| is_whole && window < *begin) {
        let before = begin.minus(Span::from_micros(1));
        let earlier = charged(store, tenant, budget, counter, before, u64::MAX).await?;
        let unit = counter.terms.hard;
        // A period in which nothing was counted, or in another currency, tells
        // nothing.
        if earlier.spend.iter().all(|s| s.amount.same_unit(&unit)) {
            since = since.min(earlier.since);
            spend.extend(earlier.spend);
        }
    }
    Ok((since.max(window), spend))
}

/// What was charged in a period.
struct Charged {
    /// From when on `spend` is all there was.
    since: Timestamp,
    spend: Vec<Spend>,
    /// Whether nothing of the period is left out.
    is_whole: bool,
}

/// Reads what was charged in the period that holds this instant, up to a
/// position of the log.
async fn charged(
    store: &dyn Store,
    tenant: TenantId,
    budget: &Budget,
    counter: &Counter,
    at: Timestamp,
    until: u64,
) -> Result<Charged, Refusal> {
    let id = Counter::id_of(budget, &counter.value, at);
    let query = EntryQuery {
        stream: Some(StreamId::of::<Counter>(id)),
        order: Order::Descending,
        limit: MOVES_MAX,
        ..EntryQuery::default()
    };
    let entries = store.entries(tenant, &query).await?;
    let is_whole = entries.len() < MOVES_MAX;
    let (mut since, mut spend) = (Timestamp::from_micros(i64::MAX), Vec::new());
    for entry in entries.into_iter().filter(|entry| entry.seq <= until) {
        since = since.min(entry.at);
        let payload = serde_json::from_str(&entry.payload)
            .map_err(|e| Refusal::integrity(format!("entry `{}`: {e}", entry.id)))?;
        let amount = match CounterEvent::decode(&entry.kind, &payload)? {
            CounterEvent::Settled(settled) => settled.charged,
            CounterEvent::Expired(moved) => moved.amount,
            _ => continue,
        };
        spend.push(Spend {
            at: entry.at,
            amount,
        });
    }
    Ok(Charged {
        since,
        spend,
        is_whole,
    })
}

/// How one day of a budget compares with what was meant to be spent.
#[derive(Clone, Debug, Serialize)]
pub struct Variance {
    /// The budget's name.
    pub budget: String,
    /// The day.
    pub day: String,
    /// What was meant to be spent: the budget's target, or the hard cap of
    /// that day.
    pub target: Amount,
    /// What was.
    pub consumed: Amount,
    /// How much more than the target; nothing when less.
    pub over: Amount,
    /// How much less than the target; nothing when more.
    pub under: Amount,
}

/// The days of the tenant's own budgets of a day, today last.
///
/// # Errors
/// As [`outlook`].
pub async fn variance(
    store: &dyn Store,
    tenant: TenantId,
    book: &Book,
    now: Timestamp,
    days: u32,
) -> Result<Vec<Variance>, Refusal> {
    let mut found = Vec::new();
    for budget in &book.budgets {
        if budget.scope != Scope::Tenant || budget.period != gate::budget::Period::Day {
            continue;
        }
        for day in days_until(budget, now, days.min(DAYS_MAX)) {
            let id = Counter::id_of(budget, "tenant", day);
            let stream = StreamId::of::<Counter>(id);
            let document = store.document(tenant, &stream).await?;
            let counter = document.map(|found| parsed(&stream, &found.body));
            let day = budget.period.key(day, &budget.zone);
            found.push(compared(budget, day, counter.transpose()?.as_ref())?);
        }
    }
    Ok(found)
}

/// An instant in each of the last days, the earliest first.
fn days_until(budget: &Budget, now: Timestamp, days: u32) -> Vec<Timestamp> {
    let mut each = Vec::new();
    let mut at = now;
    for _ in 0..days {
        each.push(at);
        let (begin, _) = budget.zone.day(at);
        at = begin.minus(Span::from_micros(1));
    }
    each.reverse();
    each
}

fn compared(budget: &Budget, day: String, counter: Option<&Counter>) -> Result<Variance, Refusal> {
    // The cap of that day, which may have been another, in another currency.
    let cap = counter.map_or(budget.hard, |counter| counter.terms.hard);
    let target = budget.target.filter(|target| target.same_unit(&cap));
    let target = target.unwrap_or(cap);
    let consumed = counter.map_or(target.zero(), |counter| counter.consumed);
    let (over, under) = match consumed.exceeds(&target)? {
        true => (consumed.less(&target)?, target.zero()),
        false => (target.zero(), target.less(&consumed)?),
    };
    Ok(Variance {
        budget: budget.name.clone(),
        day,
        target,
        consumed,
        over,
        under,
    })
}
