//! Listings of directives and of runs.

use super::part::{self, Pager, Who};
use super::{Frame, chip, text};
use kernel::Timestamp;
use maud::{Markup, html};

/// One directive in a list.
#[derive(Clone, Debug)]
pub struct DirectiveRow {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub objective: String,
    /// Where it stands.
    pub status: String,
    /// What it is about.
    pub subject: String,
    /// What it may cost.
    pub budget: String,
    /// Who issued it.
    pub issued_by: Who,
    /// When it was drafted.
    pub drafted_at: Timestamp,
}

/// One run in a list.
#[derive(Clone, Debug)]
pub struct RunRow {
    /// Its id.
    pub id: String,
    /// What its directive is for.
    pub objective: String,
    /// Where it stands.
    pub status: String,
    /// What it is about.
    pub subject: String,
    /// Steps done, of how many.
    pub done: (usize, usize),
    /// When it began.
    pub started_at: Timestamp,
    /// Whether a step waits for a person.
    pub parked: bool,
}

/// A listing with its filter.
#[derive(Clone, Debug)]
pub struct Listing<R> {
    /// The rows.
    pub rows: Vec<R>,
    /// Every status that can be asked for.
    pub statuses: Vec<String>,
    /// The status that was asked for.
    pub status: Option<String>,
    /// Further pages.
    pub pager: Pager,
}

/// The links that filter a listing by status.
#[must_use]
pub fn filter(path: &str, statuses: &[String], current: Option<&str>) -> Markup {
    html! {
        nav.filter aria-label="Filter by status" {
            ul {
                li { a href=(path) aria-current=[current.is_none().then_some("true")] { "All" } }
                @for status in statuses {
                    li { a href={ (path) "?status=" (text::segment(status)) } aria-current=[(current == Some(status)).then_some("true")] { (status.replace('_', " ")) } }
                }
            }
        }
    }
}

/// Directives as rows.
#[must_use]
pub fn directive_rows(now: Timestamp, rows: &[DirectiveRow]) -> Markup {
    html! {
        ul.rows {
            @for row in rows {
                li.row {
                    a.row-link href={ "/directives/" (text::segment(&row.id)) } { (text::shown(&row.objective)) }
                    p.row-marks { (chip::status(&row.status)) }
                    p.row-facts { (part::subject(&row.subject)) span { (row.budget) } span { "by " (part::actor(&row.issued_by)) } (part::brief_time(now, row.drafted_at)) }
                }
            }
        }
    }
}

/// Runs as rows.
#[must_use]
pub fn run_rows(now: Timestamp, rows: &[RunRow]) -> Markup {
    html! {
        ul.rows {
            @for row in rows {
                li.row {
                    a.row-link href={ "/runs/" (text::segment(&row.id)) } { (text::shown(&row.objective)) }
                    p.row-marks { (chip::status(&row.status)) @if row.parked { " " (chip::chip(chip::Tone::Warn, "a step waits for you")) } }
                    p.row-facts { (part::subject(&row.subject)) span { (row.done.0) " of " (row.done.1) " steps" } (part::brief_time(now, row.started_at)) }
                }
            }
        }
    }
}

/// The page of directives.
#[must_use]
pub fn directives_page(frame: &Frame, view: &Listing<DirectiveRow>) -> Markup {
    let body = html! {
        header.title { h1 { "Directives" } p.hint { "What is proposed, agreed to, done or stopped." } }
        (filter("/directives", &view.statuses, view.status.as_deref()))
        @if view.rows.is_empty() { (part::empty("No directive here.")) }
        (directive_rows(frame.now, &view.rows))
        (view.pager)
    };
    frame.page("Directives", body)
}

/// The page of runs.
#[must_use]
pub fn runs_page(frame: &Frame, view: &Listing<RunRow>) -> Markup {
    let body = html! {
        header.title { h1 { "Runs" } p.hint { "Executions of approved directives." } }
        (filter("/runs", &view.statuses, view.status.as_deref()))
        @if view.rows.is_empty() { (part::empty("No run here.")) }
        (run_rows(frame.now, &view.rows))
        (view.pager)
    };
    frame.page("Runs", body)
}
