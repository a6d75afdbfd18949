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
    /// What became of the steps that were under way.
    pub swept: Option<String>,
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
    /// How long until nothing was let through, and until that was acknowledged,
    /// in milliseconds.
    pub took_ms: Option<(u64, u64)>,
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
    /// What stops every tenant, where another tenant's people have engaged it.
    pub everywhere: Option<String>,
    /// Whether the viewer's tenant may stop every tenant.
    pub home: bool,
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
                @if view.rights.contains(&Right::Engage) {
                    (part::section("engage", "Engage", engage(frame, view)))
                    (part::section("drill", "Drill", drill(frame, view)))
                }
                @else { (part::section("engage", "Engage", part::empty("Your roles do not allow it."))) }
            }
            div.col {
                (part::section("now", "Now", html! {
                    @if let Some(why) = &view.everywhere { p.engagement data-scope="global" { (chip::status("engaged")) " Every tenant is stopped: " (text::shown(why)) } }
                    @else if view.engaged.is_empty() { p { (chip::chip(chip::Tone::Good, "not engaged")) " Nothing is stopped." } }
                    @for engaged in &view.engaged { (engagement(frame, view, engaged)) }
                }))
                (part::section("drills", "Drills", html! {
                    @if view.drills.is_empty() { (part::empty("The switch was never tried.")) }
                    ul.tight {
                        @for drill in &view.drills {
                            li { @if drill.passed { (chip::chip(chip::Tone::Good, "passed")) } @else { (chip::chip(chip::Tone::Bad, "failed")) }
                                " " code { (text::shown(&drill.scope)) } " by " (part::actor(&drill.by)) ", " (part::brief_time(now, drill.at)) ": " (text::shown(&drill.note))
                                @if let Some((stopped, acknowledged)) = drill.took_ms { span.hint.took { " nothing was let through after " (stopped) " ms; acknowledged after " (acknowledged) " ms" } } }
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
            div.field { label for="scope" { "Stop" } select #scope name="scope" { (scopes(view)) } }
            div.field {
                label for="agent" { "or all directives of one principal " span.hint { "(its id; leave empty for the scope above)" } }
                input #agent type="text" name="agent" autocomplete="off" spellcheck="false";
            }
            div.field {
                label for="engage-reason" { "Why" }
                // One press is enough; what is known by then may be added.
                textarea #engage-reason name="reason" rows="2" maxlength="4000" required { "stopped by hand" }
            }
            button.bad.primary type="submit" { span.sign aria-hidden="true" { "■ " } "Engage the kill switch" }
        },
    )
}

fn scopes(view: &KillView) -> Markup {
    html! {
        option value="tenant" { "everything of this tenant" }
        @if view.home { option value="global" { "everything of every tenant" } }
        @for tool in &view.tools { option value={ "tool:" (tool) } { "the module " (text::plain(tool)) } }
    }
}

fn drill(frame: &Frame, view: &KillView) -> Markup {
    part::form(
        frame,
        "/kill/drill",
        "drill",
        html! {
            p.hint { "Stops a probe in the way of the real switch, and nothing else." }
            div.field { label for="drill-scope" { "Try" } select #drill-scope name="scope" { (scopes(view)) } }
            div.field {
                label for="drill-note" { "What for" }
                input #drill-note type="text" name="note" required maxlength="400" value="a drill";
            }
            button type="submit" { "Try it" }
        },
    )
}

fn engagement(frame: &Frame, view: &KillView, engaged: &EngagementView) -> Markup {
    let now = frame.now;
    let may = view.rights.contains(&Right::Release);
    let field = format!("release-{}", engaged.scope);
    html! {
        div.engagement data-scope=(engaged.scope) {
            p { (chip::status(&engaged.status)) " " strong { (text::shown(&engaged.scope)) } " by " (part::actor(&engaged.by)) " " (part::time(now, engaged.at)) }
            p { (text::shown(&engaged.reason)) }
            @if let Some(swept) = &engaged.swept { p.hint.swept { (text::shown(swept)) } }
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
