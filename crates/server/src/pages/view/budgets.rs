//! Budgets: how much of each is used.

use super::meter::{Burn, Gauge, burn, meter};
use super::{Frame, chip, part, text};
use kernel::Timestamp;
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

/// How a budget is burnt down in its period.
#[derive(Clone, Debug)]
pub struct BurnView {
    /// The budget's name.
    pub budget: String,
    /// For what it counts.
    pub value: String,
    /// When the period begins, and ends.
    pub period: (Timestamp, Timestamp),
    /// Consumed and set aside.
    pub used: String,
    /// Where it stops.
    pub hard: String,
    /// For the eye.
    pub drawn: Burn,
    /// What the forecast says.
    pub ahead: Ahead,
}

/// What a forecast says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ahead {
    /// Too little is known.
    Unknown,
    /// The cap is not reached, at what was spent since then.
    Holds(String, Timestamp),
    /// The cap is reached in that hour, at what was spent since then.
    Breach(Timestamp, String, Timestamp),
}

/// The page.
#[derive(Clone, Debug, Default)]
pub struct BudgetsView {
    /// How the budgets that count now are burnt down.
    pub burns: Vec<BurnView>,
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

fn burn_down(now: Timestamp, view: &BurnView) -> Markup {
    html! {
        figure.burn-down {
            figcaption {
                strong { (text::shown(&view.budget)) } " " span.hint { (text::shown(&view.value)) } " "
                (view.used) " of " (view.hard) " "
                @match &view.ahead {
                    Ahead::Breach(at, ..) => { (chip::chip(chip::Tone::Warn, "cap ahead")) " " (part::time(now, *at)) }
                    Ahead::Holds(..) => (chip::chip(chip::Tone::Good, "holds")),
                    Ahead::Unknown => (chip::chip(chip::Tone::Calm, "too early to say")),
                }
            }
            (burn(&view.drawn))
            p.axis aria-hidden="true" { span { (part::absolute(view.period.0)) } span { (part::absolute(view.period.1)) } }
            p.hint {
                @match &view.ahead {
                    Ahead::Unknown => "Less than an hour is known; a forecast needs more.",
                    Ahead::Holds(spent, since) => { (spent) " were spent since " (part::brief_time(now, *since)) "; going on like this, the cap is not reached in this period or the next." }
                    Ahead::Breach(at, spent, since) => { (spent) " were spent since " (part::brief_time(now, *since)) "; going on like this, the cap is reached in the hour of " (part::absolute(*at)) "." }
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
        @if !view.burns.is_empty() {
            (part::section("burn", "Burn-down and forecast", html! {
                p.hint { "What was consumed, under the cap and the line from which it warns; dashed, where the mean of the last time leads." }
                div.burns { @for of in &view.burns { (burn_down(frame.now, of)) } }
            }))
        }
        (part::section("now", "Now", counter_list(&view.counters)))
        (part::section("declared", "Declared by the pack", html! {
            @if view.declared.is_empty() { (part::empty("The pack declares no budget: nothing can be spent.")) } @else {
                div.scroll tabindex="0" role="region" aria-label="Declared budgets" {
                    table.stack {
                        thead { tr { th scope="col" { "Budget" } th scope="col" { "Counted by" } th scope="col" { "Period" } th.num scope="col" { "Warns over" } th.num scope="col" { "Cap" } } }
                        tbody {
                            @for row in &view.declared {
                                tr { th scope="row" { (text::shown(&row.name)) } td data-label="Counted by" { (text::shown(&row.scope)) } td data-label="Period" { (text::shown(&row.period)) }
                                    td.num data-label="Warns over" { @match &row.soft { Some(soft) => (soft), None => "never" } } td.num data-label="Cap" { (row.hard) } }
                            }
                        }
                    }
                }
            }
        }))
    };
    frame.page("Budgets", body)
}
