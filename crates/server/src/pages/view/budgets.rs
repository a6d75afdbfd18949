//! Budgets: how much of each is used.

use super::meter::{Gauge, meter};
use super::{Frame, chip, part, text};
use maud::{Markup, html};

/// One counter: one budget, one value of its scope, one period.
#[derive(Clone, Debug)]
pub struct CounterRow {
    /// The budget's name.
    pub budget: String,
    /// For what it counts.
    pub value: String,
    /// In which period.
    pub period: String,
    /// How it stands to its caps.
    pub standing: String,
    /// Consumed for good.
    pub consumed: String,
    /// Set aside for what runs.
    pub reserved: String,
    /// Where a warning begins.
    pub soft: Option<String>,
    /// Where it stops.
    pub hard: String,
    /// For the eye: consumed, then consumed and reserved.
    pub gauge: Gauge,
}

/// A budget as the pack declares it.
#[derive(Clone, Debug)]
pub struct BudgetRow {
    /// Its name.
    pub name: String,
    /// What it is counted by.
    pub scope: String,
    /// How long a period is.
    pub period: String,
    /// Where a warning begins.
    pub soft: Option<String>,
    /// Where it stops.
    pub hard: String,
}

/// The page.
#[derive(Clone, Debug, Default)]
pub struct BudgetsView {
    /// What is counted now.
    pub counters: Vec<CounterRow>,
    /// What the pack declares.
    pub declared: Vec<BudgetRow>,
}

/// Counters with their meters.
#[must_use]
pub fn counter_list(rows: &[CounterRow]) -> Markup {
    html! {
        @if rows.is_empty() { (part::empty("Nothing was spent in this period.")) }
        ul.budgets {
            @for row in rows {
                li {
                    p.budget-head { strong { (text::shown(&row.budget)) } " " span.hint { (text::shown(&row.value)) " · " (text::shown(&row.period)) } " " (chip::status(&row.standing)) }
                    (meter(row.gauge))
                    p.numbers {
                        span { "spent " b { (row.consumed) } }
                        span { "set aside " b { (row.reserved) } }
                        @if let Some(soft) = &row.soft { span { "warns over " b { (soft) } } }
                        span { "cap " b { (row.hard) } }
                    }
                }
            }
        }
    }
}

/// Renders the page.
#[must_use]
pub fn budgets_page(frame: &Frame, view: &BudgetsView) -> Markup {
    let body = html! {
        header.title { h1 { "Budgets" } p.hint { "Money is set aside before anything runs. Over a hard cap, nothing runs." } }
        (part::section("now", "Now", counter_list(&view.counters)))
        (part::section("declared", "Declared by the pack", html! {
            @if view.declared.is_empty() { (part::empty("The pack declares no budget: nothing can be spent.")) } @else {
                div.scroll tabindex="0" role="region" aria-label="Declared budgets" {
                    table {
                        thead { tr { th scope="col" { "Budget" } th scope="col" { "Counted by" } th scope="col" { "Period" } th.num scope="col" { "Warns over" } th.num scope="col" { "Cap" } } }
                        tbody {
                            @for row in &view.declared {
                                tr { th scope="row" { (text::shown(&row.name)) } td { (text::shown(&row.scope)) } td { (text::shown(&row.period)) }
                                    td.num { @match &row.soft { Some(soft) => (soft), None => "never" } } td.num { (row.hard) } }
                            }
                        }
                    }
                }
            }
        }))
    };
    frame.page("Budgets", body)
}
