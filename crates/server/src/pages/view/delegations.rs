//! Who decides in whose place: giving a delegation, and taking one back.

use super::part::{self, Need, Who};
use super::{Frame, chip, text};
use kernel::Timestamp;
use maud::{Markup, html};

/// A delegation.
#[derive(Clone, Debug)]
pub struct DelegationRow {
    /// Its id.
    pub id: String,
    /// The principal whose place it is.
    pub of: String,
    /// Whose place it is.
    pub by: Who,
    /// Who decides.
    pub to: Who,
    /// What it is for; empty for everything.
    pub kinds: Vec<String>,
    /// `in force`, `ended` or `revoked`.
    pub status: String,
    /// Until when.
    pub until: Timestamp,
    /// When it was given.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// Who took it back, and why.
    pub revoked: Option<(Who, String)>,
    /// Whether the viewer may take it back.
    pub may_revoke: bool,
}

/// The page.
#[derive(Clone, Debug, Default)]
pub struct DelegationsView {
    /// Whom the viewer may let decide: id and name. Empty when they may not
    /// delegate.
    pub people: Vec<(String, String)>,
    /// The delegations, newest first.
    pub rows: Vec<DelegationRow>,
}

/// How long a delegation can be given for.
pub const LASTS: [(&str, &str); 6] = [
    ("8h", "8 hours"),
    ("1d", "1 day"),
    ("3d", "3 days"),
    ("7d", "a week"),
    ("14d", "two weeks"),
    ("30d", "30 days"),
];

/// Renders the page.
#[must_use]
pub fn delegations_page(frame: &Frame, view: &DelegationsView) -> Markup {
    let body = html! {
        header.title {
            h1 { "Delegations" }
            p.hint { "Who decides in whose place. It is recorded with each decision, ends by itself, and cannot be handed on." }
        }
        @if !view.people.is_empty() {
            (part::section("grant", "Let somebody decide for you", grant(frame, view)))
        }
        (part::section("given", "Given", html! {
            @if view.rows.is_empty() { (part::empty("Nobody has delegated anything.")) }
            ul.rows { @for row in &view.rows { (delegation(frame, row)) } }
        }))
    };
    frame.page("Delegations", body)
}

fn grant(frame: &Frame, view: &DelegationsView) -> Markup {
    part::form(
        frame,
        "/delegations",
        "grant",
        html! {
            div.field {
                label for="to" { "Who" }
                select #to name="to" required {
                    @for (id, name) in &view.people { option value=(id) { (text::plain(name)) } }
                }
            }
            div.field {
                label for="lasts" { "For how long" }
                select #lasts name="lasts" {
                    @for (value, words) in LASTS { option value=(value) { (words) } }
                }
            }
            div.field {
                label for="types" { "Types of directives, separated by commas" span.hint { " (all when empty)" } }
                input #types type="text" name="types" maxlength="1000";
            }
            (part::reason_field("grant-reason", "Why", Need::Required))
            button.primary type="submit" { "Delegate" }
        },
    )
}

fn delegation(frame: &Frame, row: &DelegationRow) -> Markup {
    let now = frame.now;
    html! {
        li.row id=(row.id) {
            p.row-name { strong { (part::actor(&row.to)) } " for " strong { (part::actor(&row.by)) } }
            p.row-marks { (chip::status(&row.status)) }
            p.row-facts {
                span { "given " (part::brief_time(now, row.at)) }
                span { @if row.until > now { "ends " } @else { "ended " } (part::brief_time(now, row.until)) }
                @if row.kinds.is_empty() { span { "everything" } } @else { span { "only " (text::shown(&row.kinds.join(", "))) } }
            }
            p { (text::prose(&row.reason)) }
            @if let Some((by, why)) = &row.revoked { p.hint { "Revoked by " (part::actor(by)) ": " (text::prose(why)) } }
            @if row.may_revoke {
                details {
                    summary { "Revoke" }
                    (part::form(frame, &format!("/delegations/{}/revoke", text::segment(&row.of)), "revoke", html! {
                        input type="hidden" name="delegation" value=(row.id);
                        (part::reason_field(&format!("why-{}", row.id), "Why", Need::Required))
                        button.bad type="submit" { "Revoke this delegation" }
                    }))
                }
            }
        }
    }
}
