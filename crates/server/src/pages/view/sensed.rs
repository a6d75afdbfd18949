//! What was sensed and is no incident (yet): candidates and signals.

use super::directives::{Listing, filter};
use super::{Frame, chip, part, text};
use kernel::{Ratio, Timestamp};
use maud::{Markup, html};

/// A candidate.
#[derive(Clone, Debug)]
pub struct CandidateRow {
    /// Its id.
    pub id: String,
    /// What it is about.
    pub subject: String,
    /// Where it stands.
    pub status: String,
    /// Why, for example why it was refused.
    pub reasons: Vec<String>,
    /// How sure it is, once that was computed.
    pub confidence: Option<(Ratio, String)>,
    /// The rules that matched.
    pub rules: Vec<String>,
    /// The incident that it became.
    pub incident: Option<String>,
    /// When it began.
    pub opened_at: Timestamp,
}

/// A signal.
#[derive(Clone, Debug)]
pub struct SignalRow {
    /// Its id.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// How severe.
    pub severity: String,
    /// Firing or resolved.
    pub status: String,
    /// Attributes, in one line.
    pub summary: String,
    /// When it was so.
    pub observed_at: Timestamp,
    /// The record of evidence.
    pub evidence: Option<String>,
}

/// Renders the page of candidates.
#[must_use]
pub fn candidates_page(frame: &Frame, view: &Listing<CandidateRow>) -> Markup {
    let now = frame.now;
    let body = html! {
        header.title { h1 { "Candidates" } p.hint { "What may become an incident, and what was refused, with its reason. Nothing is dropped silently." } }
        (filter("/candidates", &view.statuses, view.status.as_deref()))
        @if view.rows.is_empty() { (part::empty("No candidate here.")) }
        ul.rows {
            @for row in &view.rows {
                li.row {
                    a.row-link href={ "/why/" (text::segment(&row.id)) } { (text::shown(&row.subject)) }
                    p.row-marks { (chip::status(&row.status))
                        @if let Some((confidence, band)) = &row.confidence { " " span.hint { "confidence " (format!("{confidence:.2}")) " " (band) } } }
                    p.row-facts { @for rule in &row.rules { code.tag { (text::shown(rule)) } } (part::brief_time(now, row.opened_at))
                        @if let Some(incident) = &row.incident { span { "became " (part::id_link(incident)) } } }
                    @for reason in &row.reasons { p { (text::prose(reason)) } }
                }
            }
        }
        (view.pager)
    };
    frame.page("Candidates", body)
}

/// Renders the page of signals.
#[must_use]
pub fn signals_page(frame: &Frame, view: &Listing<SignalRow>) -> Markup {
    let now = frame.now;
    let body = html! {
        header.title { h1 { "Signals" } p.hint { "Normalised observations. The same observation twice is one signal." } }
        (filter("/signals", &view.statuses, view.status.as_deref()))
        @if view.rows.is_empty() { (part::empty("No signal here.")) }
        ul.rows {
            @for row in &view.rows {
                li.row {
                    a.row-link href={ "/why/" (text::segment(&row.id)) } { (text::shown(&row.kind)) }
                    p.row-marks { (chip::severity(&row.severity)) " " (chip::status(&row.status)) }
                    p.row-facts { (part::subject(&row.subject)) (part::brief_time(now, row.observed_at))
                        @if let Some(evidence) = &row.evidence { a href={ "/evidence/" (text::segment(evidence)) } { "raw" } } }
                    @if !row.summary.is_empty() { p { (text::shown(&row.summary)) } }
                }
            }
        }
        (view.pager)
    };
    frame.page("Signals", body)
}
