//! What waits for a person.

use super::part;
use super::{Frame, chip, text};
use kernel::{Timestamp, Verdict};
use maud::{Markup, html};

/// One approval that waits.
#[derive(Clone, Debug)]
pub struct ApprovalRow {
    /// The approval.
    pub id: String,
    /// Its directive.
    pub directive: String,
    /// What the directive is for.
    pub objective: String,
    /// What it is about.
    pub subject: String,
    /// Where the approval stands.
    pub status: String,
    /// What it may cost.
    pub budget: String,
    /// The modules that it would use, in order.
    pub modules: Vec<String>,
    /// The gate's word.
    pub verdict: Option<Verdict>,
    /// Why a person is asked.
    pub because: Vec<String>,
    /// How many agreed, of how many.
    pub votes: (usize, u32),
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// Silence is a refusal from here on.
    pub expires_at: Timestamp,
    /// Why the viewer cannot decide; `None` when they can.
    pub closed: Option<String>,
}

/// The inbox.
#[derive(Clone, Debug, Default)]
pub struct ApprovalsView {
    /// What waits, soonest end first.
    pub waiting: Vec<ApprovalRow>,
    /// What was decided lately.
    pub decided: Vec<ApprovalRow>,
}

/// Approvals that wait, as rows.
#[must_use]
pub fn waiting_rows(now: Timestamp, rows: &[ApprovalRow]) -> Markup {
    html! {
        ul.rows.waiting {
            @for row in rows {
                li.row {
                    a.row-link href={ "/directives/" (text::segment(&row.directive)) "#decide" } { (text::shown(&row.objective)) }
                    p.row-marks {
                        @if let Some(verdict) = row.verdict { span.hint { "gate " } (chip::verdict(verdict)) " " }
                        (chip::status(&row.status)) " "
                        span.hint { (row.votes.0) " of " (row.votes.1) " agreed" }
                    }
                    p.row-facts {
                        (part::subject(&row.subject))
                        span { @for (at, module) in row.modules.iter().enumerate() { @if at > 0 { " → " } code { (text::shown(module)) } } }
                        span { "up to " (row.budget) }
                        span { "refused by silence " (part::brief_time(now, row.expires_at)) }
                    }
                    @if let Some(first) = row.because.first() { p.hint { (text::prose(first)) } }
                    @if let Some(closed) = &row.closed { p.hint { "Not for you: " (text::prose(closed)) } }
                }
            }
        }
    }
}

/// Renders the inbox.
#[must_use]
pub fn approvals_page(frame: &Frame, view: &ApprovalsView) -> Markup {
    let now = frame.now;
    let body = html! {
        header.title { h1 { "Approvals" } }
        (part::section("waiting", "Waiting", html! {
            @if view.waiting.is_empty() { (part::empty("Nothing waits for a person.")) }
            (waiting_rows(now, &view.waiting))
        }))
        (part::section("decided", "Decided", html! {
            @if view.decided.is_empty() { (part::empty("Nothing was decided yet.")) }
            ul.rows {
                @for row in &view.decided {
                    li.row {
                        a.row-link href={ "/directives/" (text::segment(&row.directive)) } { (text::shown(&row.objective)) }
                        p.row-marks { (chip::status(&row.status)) }
                        p.row-facts { (part::subject(&row.subject)) (part::brief_time(now, row.requested_at)) a href={ "/why/" (text::segment(&row.id)) } { "why" } }
                    }
                }
            }
        }))
    };
    frame.page("Approvals", body)
}
