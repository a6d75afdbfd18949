//! The list of incidents.

use super::directives::{Listing, filter};
use super::part;
use super::{Frame, chip, text};
use kernel::{Ratio, Timestamp};
use maud::{Markup, html};

/// One incident in a list.
#[derive(Clone, Debug)]
pub struct IncidentRow {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub title: String,
    /// How severe.
    pub severity: String,
    /// Where it stands.
    pub status: String,
    /// What it is about.
    pub subject: String,
    /// How sure it is.
    pub confidence: Ratio,
    /// When it was created.
    pub created_at: Timestamp,
}

/// Incidents as rows.
#[must_use]
pub fn incident_rows(now: Timestamp, rows: &[IncidentRow]) -> Markup {
    html! {
        ul.rows {
            @for row in rows {
                li.row {
                    a.row-link href={ "/incidents/" (text::segment(&row.id)) } { (text::shown(&row.title)) }
                    p.row-marks { (chip::severity(&row.severity)) " " (chip::status(&row.status)) }
                    p.row-facts { (part::subject(&row.subject)) span { "confidence " (format!("{:.2}", row.confidence)) } (part::brief_time(now, row.created_at)) (part::id_text(&row.id)) }
                }
            }
        }
    }
}

/// The page.
#[must_use]
pub fn incidents_page(frame: &Frame, view: &Listing<IncidentRow>) -> Markup {
    let body = html! {
        header.title { h1 { "Incidents" } }
        (filter("/incidents", &view.statuses, view.status.as_deref()))
        @if view.rows.is_empty() { (part::empty("No incident here.")) }
        (incident_rows(frame.now, &view.rows))
        (view.pager)
    };
    frame.page("Incidents", body)
}
