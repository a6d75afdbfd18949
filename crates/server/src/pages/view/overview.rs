//! The first page: what waits for you, what is going on, whether all is well.

use super::approvals::{ApprovalRow, waiting_rows};
use super::budgets::{CounterRow, counter_list};
use super::directives::{RunRow, run_rows};
use super::incidents::{IncidentRow, incident_rows};
use super::ledger::{EntryRow, entry_rows};
use super::{Frame, part};
use maud::{Markup, html};

/// The first page. `None` means that the viewer's roles do not allow it.
#[derive(Clone, Debug, Default)]
pub struct OverviewView {
    /// What waits for a person.
    pub approvals: Option<Vec<ApprovalRow>>,
    /// Incidents that are not over.
    pub incidents: Option<Vec<IncidentRow>>,
    /// Runs that are not over.
    pub runs: Option<Vec<RunRow>>,
    /// The fullest budgets.
    pub budgets: Option<Vec<CounterRow>>,
    /// The end of the ledger: position and hash.
    pub head: Option<(u64, String)>,
    /// The latest entries, newest first.
    pub entries: Option<Vec<EntryRow>>,
}

/// Renders it.
#[must_use]
pub fn overview_page(frame: &Frame, view: &OverviewView) -> Markup {
    let now = frame.now;
    let stopped = frame.viewer.as_ref().is_some_and(|v| !v.stopped.is_empty());
    let body = html! {
        header.title { h1 { "Overview" } }
        @if let Some(approvals) = &view.approvals {
            (part::section("waiting", "Waits for you", html! {
                @if approvals.is_empty() { (part::empty("Nothing waits for a person.")) }
                (waiting_rows(now, approvals))
            }))
        }
        div.split.even {
            div.col {
                @if let Some(incidents) = &view.incidents {
                    (part::section("incidents", "Open incidents", html! {
                        @if incidents.is_empty() { (part::empty("No incident is open.")) }
                        (incident_rows(now, incidents))
                        p.more { a href="/incidents" { "All incidents" } }
                    }))
                }
                @if let Some(runs) = &view.runs {
                    (part::section("runs", "Running", html! {
                        @if runs.is_empty() { (part::empty("Nothing runs.")) }
                        (run_rows(now, runs))
                        p.more { a href="/runs" { "All runs" } }
                    }))
                }
            }
            div.col {
                (part::section("state", "State", html! {
                    (part::facts(&[
                        ("Kill switch", html! {
                            @if stopped { (super::chip::status("engaged")) } @else { (super::chip::chip(super::chip::Tone::Good, "not engaged")) }
                            " " a href="/kill" { "Kill switch" }
                        }),
                        ("Ledger", html! {
                            @match &view.head {
                                Some((seq, hash)) => { (seq) " entries, head " (part::id_text(hash)) " · " a href="/ledger#prove" { "Verify" } }
                                None => span.hint { "your roles do not show it" }
                            }
                        }),
                    ]))
                }))
                @if let Some(budgets) = &view.budgets {
                    (part::section("budgets", "Budgets", html! {
                        (counter_list(budgets))
                        p.more { a href="/budgets" { "All budgets" } }
                    }))
                }
            }
        }
        @if let Some(entries) = &view.entries {
            (part::section("entries", "Latest entries", html! {
                (entry_rows(now, entries))
                p.more { a href="/ledger" { "The ledger" } }
            }))
        }
    };
    frame.page("Overview", body)
}
