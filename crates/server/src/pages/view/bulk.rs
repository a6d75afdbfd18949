//! Deciding on several requests at once: each is shown before the one button.

use super::gate::{VerdictView, verdict_panel};
use super::part::{self, Need, Who};
use super::{Frame, chip, json, text};
use kernel::{Timestamp, Verdict};
use maud::{Markup, html};
use serde_json::Value;

/// A request that may be decided on together with others.
#[derive(Clone, Debug)]
pub struct BulkRow {
    /// The approval.
    pub id: String,
    /// Its directive.
    pub directive: String,
    /// The digest of the contract.
    pub digest: String,
    /// What the directive is for.
    pub objective: String,
    /// What it is about.
    pub subject: String,
    /// The type of the directive.
    pub kind: String,
    /// Who issued it.
    pub issued_by: Who,
    /// What its steps cost.
    pub cost: String,
    /// Each step's module and input.
    pub steps: Vec<(String, Value)>,
    /// The gate's word.
    pub verdict: Option<VerdictView>,
    /// Why a person is asked.
    pub because: Vec<String>,
    /// Silence is a refusal from here on.
    pub expires_at: Timestamp,
}

/// What came of one decision.
#[derive(Clone, Debug)]
pub struct BulkResult {
    /// The directive's page, where it is known.
    pub directive: String,
    /// What the directive is for.
    pub objective: String,
    /// What came of it.
    pub result: String,
    /// Why it was refused.
    pub detail: Option<String>,
}

/// The page.
#[derive(Clone, Debug, Default)]
pub struct BulkView {
    /// How many may be decided on at once; `None` when policy wants each alone.
    pub max: Option<usize>,
    /// The requests.
    pub rows: Vec<BulkRow>,
    /// What came of the decisions that were just taken.
    pub results: Vec<BulkResult>,
}

/// Renders the page.
#[must_use]
pub fn bulk_page(frame: &Frame, view: &BulkView) -> Markup {
    let body = html! {
        header.title {
            p.crumb { a href="/approvals" { "Approvals" } " / several" }
            h1 { "Decide on several" }
            @match view.max {
                Some(max) => p.hint { "Tick what you looked at, " (max) " at most. Each is decided on and recorded by itself." },
                None => p.hint { "Policy wants each request decided on alone." },
            }
        }
        @if !view.results.is_empty() { (part::section("results", "What came of it", results(view))) }
        @if view.rows.is_empty() { (part::empty("Nothing waits that you may decide on together with others.")) }
        @else {
            div data-still {
                (part::form(frame, "/approvals/bulk", "bulk", html! {
                    ol.bulk { @for row in &view.rows { (request(frame.now, row)) } }
                    (part::reason_field("bulk-reason", "Note", Need::Optional))
                    button.primary.good type="submit" { "Approve what is ticked" }
                }))
            }
        }
    };
    frame.page("Decide on several", body)
}

fn results(view: &BulkView) -> Markup {
    html! {
        ul.tight {
            @for result in &view.results {
                li {
                    (chip::status(&result.result)) " "
                    a href={ "/directives/" (text::segment(&result.directive)) } { (text::shown(&result.objective)) }
                    @if let Some(detail) = &result.detail { ": " (text::prose(detail)) }
                }
            }
        }
    }
}

fn request(now: Timestamp, row: &BulkRow) -> Markup {
    let id = format!("tick-{}", row.id);
    html! {
        li.card id=(row.id) {
            p.tick {
                input type="checkbox" id=(id) name=(row.id) value=(row.digest);
                " " label for=(id) { strong { (text::shown(&row.objective)) } }
            }
            p.row-facts {
                (part::subject(&row.subject))
                span { (text::shown(&row.kind)) " by " (part::actor(&row.issued_by)) }
                span { "costs up to " b { (row.cost) } }
                span { "refused by silence " (part::brief_time(now, row.expires_at)) }
                a href={ "/directives/" (text::segment(&row.directive)) } { "the whole directive" }
            }
            @for (module, input) in &row.steps { p { code.tag { (text::shown(module)) } } (json::pretty(input)) }
            @if let Some(verdict) = &row.verdict {
                p { "Gate " (chip::verdict(verdict.verdict)) }
                @if verdict.verdict != Verdict::Allow {
                    ul.tight {
                        @for check in verdict.checks.iter().filter(|c| c.verdict != Verdict::Allow) {
                            li { (chip::verdict(check.verdict)) " " (text::shown(&check.check)) ": " (text::prose(&check.reason)) }
                        }
                    }
                }
                details { summary { "Every result of the gate" } (verdict_panel(now, verdict)) }
            }
            ul.tight { @for reason in &row.because { li { (text::prose(reason)) } } }
        }
    }
}
