//! Budgets: the counters of the current periods, and what the pack declares.

use super::common::{gauge, newest, share};
use crate::http::problem::Answer;
use crate::pages::view::Section;
use crate::pages::view::budgets::{
    Ahead, BudgetRow, BudgetsView, BurnView, CounterRow, budgets_page,
};
use crate::pages::view::meter::Burn;
use crate::pages::visit::{Visit, shown};
use axum::response::Response;
use flow::budgets::Outlook;
use gate::budget::{Counter, Forecast};
use kernel::{Timestamp, limits};
use std::cmp::Reverse;

/// The newest counters.
pub(super) async fn counters(visit: &Visit) -> Answer<Vec<CounterRow>> {
    let found = visit.list::<Counter>(newest(limits::PAGE_ROWS_MAX)).await?;
    found.iter().map(|(_, counter)| row(counter)).collect()
}

fn row(counter: &Counter) -> Answer<CounterRow> {
    let terms = &counter.terms;
    let used = counter.used()?;
    Ok(CounterRow {
        budget: counter.budget.clone(),
        value: counter.value.clone(),
        period: counter.period.clone(),
        standing: counter.standing().to_string(),
        consumed: counter.consumed.to_string(),
        reserved: counter.reserved.to_string(),
        soft: terms.soft.map(|s| s.to_string()),
        hard: terms.hard.to_string(),
        gauge: gauge(&counter.consumed, &used, terms.soft.as_ref(), &terms.hard),
    })
}

/// Most burn-downs that the page draws.
const BURNS_MAX: usize = 12;

/// Thousandths of a period that are over at this instant.
fn along((begin, end): (Timestamp, Timestamp), at: Timestamp) -> u32 {
    let (gone, whole) = (at.since(begin), end.since(begin));
    let whole = i128::from(whole.as_micros()).max(1);
    let thousandths = i128::from(gone.as_micros()) * 1_000 / whole;
    u32::try_from(thousandths.clamp(0, 1_000)).unwrap_or(1_000)
}

/// Where the forecast leads: to the cap, or to where the end of the period is.
fn leads(outlook: &Outlook, now: Timestamp) -> Option<(u32, u32)> {
    let forecast = outlook.forecast.as_ref()?;
    let (_, end) = outlook.period;
    if let Some(breach) = forecast.breach.filter(|at| *at < end) {
        return Some((along(outlook.period, breach), 1_000));
    }
    let rate = u64::from(share(&forecast.spent, &outlook.hard));
    let window = now.since(forecast.since).as_micros().max(1);
    let left = end.since(now).as_micros();
    let more = i128::from(rate) * i128::from(left) / i128::from(window);
    let used = share(&outlook.used, &outlook.hard);
    let more = u32::try_from(more.max(0)).unwrap_or(u32::MAX);
    Some((1_000, used.saturating_add(more)))
}

fn burn(outlook: &Outlook, now: Timestamp) -> BurnView {
    let (hard, period) = (&outlook.hard, outlook.period);
    let points = outlook.points.iter();
    let spent = |f: &Forecast| f.spent.to_string();
    BurnView {
        budget: outlook.budget.clone(),
        value: outlook.value.clone(),
        period,
        used: outlook.used.to_string(),
        hard: hard.to_string(),
        drawn: Burn {
            points: points
                .map(|point| (along(period, point.at), share(&point.consumed, hard)))
                .collect(),
            now: (along(period, now), share(&outlook.used, hard)),
            ahead: leads(outlook, now),
            soft: outlook.soft.as_ref().map(|soft| share(soft, hard)),
        },
        ahead: match &outlook.forecast {
            None => Ahead::Unknown,
            Some(f) => match f.breach {
                Some(at) => Ahead::Breach(at, spent(f), f.since),
                None => Ahead::Holds(spent(f), f.since),
            },
        },
    }
}

/// The counters of the current periods, those that reach their cap first.
async fn burns(visit: &Visit) -> Answer<Vec<BurnView>> {
    let tenant = visit.caller.tenant();
    let Ok(in_force) = visit.app.control().in_force(tenant) else {
        return Ok(Vec::new());
    };
    let (store, book) = (visit.app.ledger().store(), &in_force.pack.rules.budgets);
    let mut found = flow::budgets::outlook(store, tenant, book, visit.now).await?;
    let soonest = |o: &Outlook| {
        let breach = o.forecast.as_ref().and_then(|f| f.breach);
        (breach.is_none(), breach, Reverse(share(&o.used, &o.hard)))
    };
    found.sort_by_key(soonest);
    let shown = found.iter().take(BURNS_MAX);
    Ok(shown.map(|outlook| burn(outlook, visit.now)).collect())
}

pub(crate) async fn budgets(visit: Visit) -> Answer<Response> {
    let declared = match visit.app.control().in_force(visit.caller.tenant()) {
        Err(_) => Vec::new(),
        Ok(in_force) => in_force
            .pack
            .rules
            .budgets
            .budgets
            .iter()
            .map(|budget| BudgetRow {
                name: budget.name.clone(),
                scope: budget.scope.to_string(),
                period: budget.period.to_string(),
                soft: budget.soft.map(|s| s.to_string()),
                hard: budget.hard.to_string(),
            })
            .collect(),
    };
    let view = BudgetsView {
        burns: burns(&visit).await?,
        counters: counters(&visit).await?,
        declared,
    };
    let frame = visit.frame(Section::Budgets).await?;
    shown(budgets_page(&frame, &view))
}
