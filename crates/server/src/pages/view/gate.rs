//! What the gate said: verdicts, budget effect, kill switch. Shared by the
//! directive, the run and the kill switch page.

use super::meter::{Gauge, meter};
use super::part::{self, Who};
use super::{chip, json, text};
use kernel::{Timestamp, Verdict};
use maud::{Markup, html};
use serde_json::Value;

/// One check of a verdict.
#[derive(Clone, Debug)]
pub struct CheckView {
    /// Which check.
    pub check: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// What decided.
    pub inputs: Value,
    /// Where it is written what to do.
    pub runbook: Option<String>,
}

/// A recorded verdict.
#[derive(Clone, Debug)]
pub struct VerdictView {
    /// Its id.
    pub id: String,
    /// The moment, for example `plan_approval`.
    pub choke_point: String,
    /// What was asked about.
    pub target: String,
    /// The aggregate.
    pub verdict: Verdict,
    /// When everything was evaluated.
    pub evaluated_at: Timestamp,
    /// The hash of the policy set.
    pub policy: String,
    /// The hash of all rules.
    pub rules: String,
    /// The policies that determined the policy's result.
    pub determining: Vec<String>,
    /// Every check, in the fixed order.
    pub checks: Vec<CheckView>,
    /// Why the latest permit was withheld.
    pub withheld: Vec<String>,
}

/// What one budget says to a reservation.
#[derive(Clone, Debug)]
pub struct BudgetLine {
    /// The budget.
    pub budget: String,
    /// What it says.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// Used before.
    pub before: String,
    /// What is asked for.
    pub amount: String,
    /// Used afterwards.
    pub after: String,
    /// Where a warning begins.
    pub soft: Option<String>,
    /// Where it stops.
    pub cap: String,
    /// The same for the eye.
    pub gauge: Gauge,
}

/// What a kill switch stops.
#[derive(Clone, Debug)]
pub struct StopView {
    /// The scope.
    pub scope: String,
    /// Since when.
    pub at: Timestamp,
    /// By whom.
    pub by: Who,
    /// Why.
    pub reason: String,
}

fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// A verdict with each check, its reason and the inputs that decided.
#[must_use]
pub fn verdict_panel(now: Timestamp, view: &VerdictView) -> Markup {
    html! {
        div.verdict id={ "verdict-" (view.id) } {
            p.verdict-head {
                (chip::verdict(view.verdict)) " "
                strong { (text::pieces(&words(&view.choke_point))) } " "
                span.hint { (text::shown(&view.target)) " · evaluated " (part::brief_time(now, view.evaluated_at)) }
            }
            @for reason in &view.withheld {
                p.fault { span.sign aria-hidden="true" { "✕ " } "Permit withheld: " (text::prose(reason)) }
            }
            table.checks {
                caption.sr { "Checks of the gate at " (text::pieces(&words(&view.choke_point))) }
                thead { tr { th scope="col" { "Check" } th scope="col" { "Result" } th scope="col" { "Why" } } }
                tbody {
                    @for check in &view.checks {
                        tr data-check=(check.check) {
                            th scope="row" { (text::shown(&words(&check.check))) }
                            td { (chip::verdict(check.verdict)) }
                            td {
                                (text::prose(&check.reason))
                                @if let (Some(runbook), false) = (&check.runbook, check.verdict == Verdict::Allow) {
                                    " " span.hint { "Runbook: " (text::outside_link(runbook)) }
                                }
                                @if has_inputs(&check.inputs) {
                                    details id={ "in-" (view.id) "-" (check.check) } {
                                        summary { "What decided" span.sr { " " (text::pieces(&words(&check.check))) } }
                                        (json::pretty(&check.inputs))
                                    }
                                }
                            }
                        }
                    }
                }
            }
            (part::facts(&[
                ("Determining policies", html! {
                    @if view.determining.is_empty() { span.hint { "none: what no policy permits is denied" } }
                    @for id in &view.determining { code.tag { (text::shown(id)) } " " }
                }),
                ("Policy set", html! { a href="/packs" { (part::id_text(&view.policy)) } }),
                ("All rules", part::id_text(&view.rules)),
                ("Explained", part::id_link(&view.id)),
            ]))
        }
    }
}

/// Verdicts in a list: those that let through are folded up.
#[must_use]
pub fn verdict_list(now: Timestamp, views: &[VerdictView]) -> Markup {
    html! {
        @for view in views {
            details.folded id={ "fold-" (view.id) } open[view.verdict != Verdict::Allow || !view.withheld.is_empty()] {
                summary {
                    (chip::verdict(view.verdict)) " " (text::pieces(&words(&view.choke_point))) " " (text::shown(&view.target)) " "
                    (part::brief_time(now, view.evaluated_at))
                }
                (verdict_panel(now, view))
            }
        }
    }
}

fn has_inputs(inputs: &Value) -> bool {
    match inputs {
        Value::Null => false,
        Value::Object(members) => !members.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    }
}

/// What a directive does to each budget.
#[must_use]
pub fn budget_effect(lines: &[BudgetLine]) -> Markup {
    html! {
        @if lines.is_empty() { (part::empty("No budget was asked yet.")) }
        ul.budgets {
            @for line in lines {
                li {
                    p.budget-head { strong { (text::shown(&line.budget)) } " " (chip::verdict(line.verdict)) }
                    (meter(line.gauge))
                    p.numbers {
                        span { "before " b { (line.before) } }
                        span { "this " b { "+ " (line.amount) } }
                        span { "after " b { (line.after) } }
                        @if let Some(soft) = &line.soft { span { "warns over " b { (soft) } } }
                        span { "cap " b { (line.cap) } }
                    }
                    @if line.verdict != Verdict::Allow { p.hint { (text::prose(&line.reason)) } }
                }
            }
        }
    }
}

/// What the kill switch says.
#[must_use]
pub fn stops(now: Timestamp, stops: &[StopView]) -> Markup {
    html! {
        @if stops.is_empty() {
            p { (chip::chip(chip::Tone::Good, "not engaged")) " Nothing stops this directive." }
        }
        @for stop in stops {
            p {
                (chip::chip(chip::Tone::Bad, "engaged")) " " code { (text::shown(&stop.scope)) }
                " by " (part::actor(&stop.by)) ", " (part::brief_time(now, stop.at)) ": " (text::prose(&stop.reason))
            }
        }
    }
}
