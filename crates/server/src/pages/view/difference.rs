//! Two versions of a contract, field by field.

use super::part::{self, Who};
use super::{Frame, text};
use kernel::Timestamp;
use maud::{Markup, html};

/// One field that differs.
#[derive(Clone, Debug)]
pub struct ChangeRow {
    /// Its path.
    pub path: String,
    /// What it was, as JSON; `None` when it was not there.
    pub before: Option<String>,
    /// What it is, as JSON; `None` when it is gone.
    pub after: Option<String>,
}

/// A version that can be compared.
#[derive(Clone, Debug)]
pub struct VersionRow {
    /// Which one, from 1.
    pub revision: u32,
    /// Its digest.
    pub digest: String,
    /// Who wrote it.
    pub by: Who,
    /// When.
    pub at: Timestamp,
}

/// The page.
#[derive(Clone, Debug)]
pub struct DifferenceView {
    /// The directive.
    pub directive: String,
    /// The version that is compared.
    pub from: u32,
    /// The one that it is compared with.
    pub to: u32,
    /// Every version.
    pub versions: Vec<VersionRow>,
    /// What differs.
    pub changes: Vec<ChangeRow>,
}

fn choice(name: &str, label: &str, view: &DifferenceView, chosen: u32) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            select id=(name) name=(name) {
                @for version in &view.versions {
                    option value=(version.revision) selected[version.revision == chosen] { "Version " (version.revision) }
                }
            }
        }
    }
}

/// Renders the page.
#[must_use]
pub fn difference_page(frame: &Frame, view: &DifferenceView) -> Markup {
    let here = format!("/directives/{}", text::segment(&view.directive));
    let body = html! {
        header.title {
            p.crumb { a href="/directives" { "Directives" } " / " a href=(here) { (text::pieces(&part::short(&view.directive))) } }
            h1 { "Version " (view.from) " and version " (view.to) }
        }
        form.filters method="get" action={ (here) "/diff" } {
            (choice("from", "Compare", view, view.from))
            (choice("to", "with", view, view.to))
            button type="submit" { "Show the difference" }
        }
        (part::section("changes", "What differs", html! {
            @if view.changes.is_empty() { (part::empty("Nothing.")) } @else {
                div.scroll tabindex="0" role="region" aria-label="Fields that differ" {
                    table.stack {
                        thead { tr { th scope="col" { "Field" } th scope="col" { "Was" } th scope="col" { "Is" } } }
                        tbody {
                            @for row in &view.changes {
                                tr { th scope="row" { (text::shown(&row.path)) }
                                    td data-label="Was" { (side(row.before.as_deref(), "not there")) } td data-label="Is" { (side(row.after.as_deref(), "gone")) } }
                            }
                        }
                    }
                }
            }
        }))
        (part::section("versions", "Versions", html! {
            ul.tight {
                @for version in &view.versions {
                    li { "Version " (version.revision) " " (part::id_text(&version.digest)) " by " (part::actor(&version.by)) " " (part::brief_time(frame.now, version.at)) }
                }
            }
        }))
    };
    frame.page("What two versions differ in", body)
}

fn side(value: Option<&str>, absent: &str) -> Markup {
    match value {
        Some(value) => html! { code { (text::shown(value)) } },
        None => html! { span.hint { (absent) } },
    }
}
