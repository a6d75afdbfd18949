//! Budgets: the counters of the current periods, and what the pack declares.

use super::common::{gauge, newest};
use crate::http::problem::Answer;
use crate::pages::view::Section;
use crate::pages::view::budgets::{BudgetRow, BudgetsView, CounterRow, budgets_page};
use crate::pages::visit::{Visit, shown};
use axum::response::Response;
use gate::budget::Counter;
use kernel::limits;

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
        counters: counters(&visit).await?,
        declared,
    };
    let frame = visit.frame(Section::Budgets).await?;
    shown(budgets_page(&frame, &view))
}
