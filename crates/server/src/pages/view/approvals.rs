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
    /// The roles that it was escalated to, because nobody answered.
    pub escalated: Vec<String>,
    /// Why the viewer cannot decide; `None` when they can.
    pub closed: Option<String>,
}

/// What the inbox is filtered by, and what it could be.
#[derive(Clone, Debug, Default)]
pub struct FilterView {
    /// Types of directives that wait.
    pub types: Vec<String>,
    /// Action classes of what waits.
    pub classes: Vec<String>,
    /// Who issued what waits: actor and name.
    pub issuers: Vec<(String, String)>,
    /// The chosen type.
    pub directive_type: String,
    /// The chosen class.
    pub class: String,
    /// The chosen issuer.
    pub issuer: String,
    /// The chosen subject.
    pub subject: String,
    /// The chosen status.
    pub status: String,
    /// Every status that was decided.
    pub statuses: Vec<String>,
    /// Whether only what the viewer may decide on.
    pub decidable: bool,
    /// Whether only what nobody answered in time.
    pub overdue: bool,
}

impl FilterView {
    /// Whether anything is left out.
    fn used(&self) -> bool {
        let texts = [
            &self.directive_type,
            &self.class,
            &self.issuer,
            &self.subject,
            &self.status,
        ];
        self.decidable || self.overdue || texts.iter().any(|text| !text.is_empty())
    }
}

/// The inbox.
#[derive(Clone, Debug, Default)]
pub struct ApprovalsView {
    /// What waits, soonest end first.
    pub waiting: Vec<ApprovalRow>,
    /// What was decided lately.
    pub decided: Vec<ApprovalRow>,
    /// The filter.
    pub filter: FilterView,
    /// Whether policy lets several be decided on at once.
    pub bulk: bool,
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
                    @if !row.escalated.is_empty() {
                        p.escalated { span.sign aria-hidden="true" { "▲ " } "Nobody answered in time: it also asks " (row.escalated.join(", ")) }
                    }
                    @if let Some(first) = row.because.first() { p.hint { (text::prose(first)) } }
                    @if let Some(closed) = &row.closed { p.hint { "Not for you: " (text::prose(closed)) } }
                }
            }
        }
    }
}

fn choice(id: &str, name: &str, label: &str, all: &[(String, String)], chosen: &str) -> Markup {
    html! {
        div.field {
            label for=(id) { (label) }
            select id=(id) name=(name) {
                option value="" { "all" }
                @for (value, words) in all {
                    option value=(value) selected[value == chosen] { (text::plain(words)) }
                }
            }
        }
    }
}

fn filter(view: &FilterView) -> Markup {
    let named = |all: &[String]| -> Vec<(String, String)> {
        let words = |name: &String| (name.clone(), name.replace('_', " "));
        all.iter().map(words).collect()
    };
    // A type is a name, and stands as it is written.
    let types = view.types.iter().map(|name| (name.clone(), name.clone()));
    let types: Vec<_> = types.collect();
    html! {
        details.filters #filters open[view.used()] {
            summary { "Filter" }
            form method="get" action="/approvals" aria-label="Filter" { div.grid {
            (choice("kind", "type", "Type", &types, &view.directive_type))
            (choice("class", "class", "Does", &named(&view.classes), &view.class))
            (choice("issuer", "issuer", "Issued by", &view.issuers, &view.issuer))
            div.field {
                label for="subject" { "Subject" }
                input #subject type="text" name="subject" value=(text::plain(&view.subject)) placeholder="service/checkout";
            }
            (choice("status", "status", "Decided as", &named(&view.statuses), &view.status))
            div.field.ticks {
                label { input type="checkbox" name="decidable" value="true" checked[view.decidable]; " I may decide" }
                label { input type="checkbox" name="overdue" value="true" checked[view.overdue]; " Overdue" }
            }
            }
            div.actions { button type="submit" { "Filter" } " " a href="/approvals" { "Show all" } } }
        }
    }
}

/// Renders the inbox.
#[must_use]
pub fn approvals_page(frame: &Frame, view: &ApprovalsView) -> Markup {
    let now = frame.now;
    let body = html! {
        header.title {
            h1 { "Approvals" }
            p { a href="/delegations" { "Delegations" } " · " a href="/signing-keys" { "Signing keys" }
                @if view.bulk { " · " a #bulk href="/approvals/bulk" { "Decide on several…" } } }
        }
        (filter(&view.filter))
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
