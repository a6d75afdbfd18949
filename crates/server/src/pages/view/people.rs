//! Principals and the public half of their keys.

use super::{Frame, chip, part, text};
use kernel::Timestamp;
use maud::{Markup, html};

/// A key.
#[derive(Clone, Debug)]
pub struct KeyRow {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// Whether it opens anything.
    pub status: String,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
}

/// A principal.
#[derive(Clone, Debug)]
pub struct PrincipalRow {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Its roles.
    pub roles: Vec<String>,
    /// Whether it is active.
    pub status: String,
    /// Its keys.
    pub keys: Vec<KeyRow>,
}

/// Renders the page.
#[must_use]
pub fn principals_page(frame: &Frame, rows: &[PrincipalRow]) -> Markup {
    let now = frame.now;
    let body = html! {
        header.title { h1 { "Principals" } p.hint { "Who may speak to writ. Keys are shown once, when they are made; here is their public half." } }
        @if rows.is_empty() { (part::empty("No principal.")) }
        ul.rows {
            @for row in rows {
                li.row {
                    p.row-name { strong { (text::shown(&row.name)) } }
                    p.row-marks { (chip::status(&row.status)) " " span.hint { (text::pieces(&row.kind)) } " " @for role in &row.roles { code.tag { (role) } " " } }
                    p.row-facts { (part::full_id(&row.id)) }
                    @if !row.keys.is_empty() {
                        ul.tight {
                            @for key in &row.keys {
                                li { (chip::status(&key.status)) " " (text::shown(&key.name)) " " (part::id_text(&key.id)) " issued " (part::brief_time(now, key.issued_at))
                                    @if let Some(at) = key.expires_at { ", ends " (part::brief_time(now, at)) } }
                            }
                        }
                    }
                }
            }
        }
    };
    frame.page("Principals", body)
}
