//! The kill switch: what is stopped, stopping more, releasing by two people.

use super::incident::{Happening, timeline};
use super::part::{self, Need, Who};
use super::{Frame, chip, text};
use kernel::Timestamp;
use maud::{Markup, html};

/// A scope that is stopped.
#[derive(Clone, Debug)]
pub struct EngagementView {
    /// The scope, for example `tenant`.
    pub scope: String,
    /// `engaged` or `release_requested`.
    pub status: String,
    /// Who.
    pub by: Who,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// Who asked for its release, when and why.
    pub release: Option<(Who, Timestamp, String)>,
    /// Whether the viewer is the one who asked, and so cannot confirm.
    pub own_request: bool,
}

/// A drill.
#[derive(Clone, Debug)]
pub struct DrillView {
    /// The scope.
    pub scope: String,
    /// Who.
    pub by: Who,
    /// When.
    pub at: Timestamp,
    /// What they say.
    pub note: String,
    /// Whether it would have stopped a step.
    pub passed: bool,
}

/// What the viewer may do with the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Engage it.
    Engage,
    /// Release it.
    Release,
}

/// The page.
#[derive(Clone, Debug, Default)]
pub struct KillView {
    /// What is stopped.
    pub engaged: Vec<EngagementView>,
    /// Modules that can be stopped.
    pub tools: Vec<String>,
    /// Drills, newest first.
    pub drills: Vec<DrillView>,
    /// What happened, newest first.
    pub history: Vec<Happening>,
    /// What the viewer may do.
    pub rights: Vec<Right>,
}

/// Renders it.
#[must_use]
pub fn kill_page(frame: &Frame, view: &KillView) -> Markup {
    let now = frame.now;
    let body = html! {
        header.title { h1 { "Kill switch" } p.hint { "While it is engaged, no step within its scope starts. Releasing takes a reason and a second person." } }
        div.split {
            aside.col.side {
                @if view.rights.contains(&Right::Engage) { (part::section("engage", "Engage", engage(frame, view))) }
                @else { (part::section("engage", "Engage", part::empty("Your roles do not allow it."))) }
            }
            div.col {
                (part::section("now", "Now", html! {
                    @if view.engaged.is_empty() { p { (chip::chip(chip::Tone::Good, "not engaged")) " Nothing is stopped." } }
                    @for engaged in &view.engaged { (engagement(frame, view, engaged)) }
                }))
                (part::section("drills", "Drills", html! {
                    @if view.drills.is_empty() { (part::empty("The switch was never tried.")) }
                    ul.tight {
                        @for drill in &view.drills {
                            li { @if drill.passed { (chip::chip(chip::Tone::Good, "passed")) } @else { (chip::chip(chip::Tone::Bad, "failed")) }
                                " " code { (text::shown(&drill.scope)) } " by " (part::actor(&drill.by)) ", " (part::brief_time(now, drill.at)) ": " (text::shown(&drill.note)) }
                        }
                    }
                }))
                (part::section("history", "History", timeline(now, &view.history)))
            }
        }
    };
    frame.page("Kill switch", body)
}

fn engage(frame: &Frame, view: &KillView) -> Markup {
    part::form(
        frame,
        "/kill/engage",
        "engage",
        html! {
            div.field {
                label for="scope" { "Stop" }
                select #scope name="scope" {
                    option value="tenant" { "everything of this tenant" }
                    @for tool in &view.tools { option value={ "tool:" (tool) } { "the module " (text::plain(tool)) } }
                }
            }
            div.field {
                label for="agent" { "or all directives of one principal " span.hint { "(its id; leave empty for the scope above)" } }
                input #agent type="text" name="agent" autocomplete="off" spellcheck="false";
            }
            (part::reason_field("engage-reason", "Why", Need::Required))
            button.bad.primary type="submit" { span.sign aria-hidden="true" { "■ " } "Engage the kill switch" }
        },
    )
}

fn engagement(frame: &Frame, view: &KillView, engaged: &EngagementView) -> Markup {
    let now = frame.now;
    let may = view.rights.contains(&Right::Release) && engaged.scope != "global";
    let field = format!("release-{}", engaged.scope);
    html! {
        div.engagement data-scope=(engaged.scope) {
            p { (chip::status(&engaged.status)) " " strong { (text::shown(&engaged.scope)) } " by " (part::actor(&engaged.by)) " " (part::time(now, engaged.at)) }
            p { (text::shown(&engaged.reason)) }
            @if engaged.scope == "global" {
                p.closed { "It was engaged for every tenant, and is released from the command line: " code { "writ kill" } "." }
            }
            @if let Some((who, at, reason)) = &engaged.release {
                p { "Release asked for by " (part::actor(who)) ", " (part::brief_time(now, *at)) ": " (text::shown(reason)) }
                @if engaged.own_request { p.closed { "You asked for it: another person must confirm." } }
                @else if may {
                    (part::form(frame, "/kill/confirm-release", "release", html! {
                        input type="hidden" name="scope" value=(engaged.scope);
                        button.primary type="submit" { "Confirm the release" }
                    }))
                }
            } @else if may {
                (part::form(frame, "/kill/request-release", "release", html! {
                    input type="hidden" name="scope" value=(engaged.scope);
                    (part::reason_field(&field, "Why release", Need::Required))
                    button type="submit" { "Ask for release" }
                }))
            }
        }
    }
}
