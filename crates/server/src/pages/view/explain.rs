//! A verdict explained: what stopped it, what would have to change, who asked
//! for what, and under which rules. And the runbooks that it leads to.

use super::gate::{VerdictView, verdict_panel};
use super::part::{self, Who};
use super::{Frame, chip, text};
use gate::explain::{Explanation, Line, RUNBOOKS, Under};
use kernel::Verdict;
use maud::{Markup, PreEscaped, html};

/// The page.
#[derive(Clone, Debug)]
pub struct ExplainView {
    /// The explanation.
    pub explanation: Explanation,
    /// Who issued the directive.
    pub issued_by: Who,
    /// Who else wrote on it.
    pub editors: Vec<Who>,
    /// The verdict itself.
    pub verdict: VerdictView,
}

/// Renders it.
#[must_use]
pub fn explain_page(frame: &Frame, view: &ExplainView) -> Markup {
    let of = &view.explanation;
    let found: Vec<&Line> = of
        .checks
        .iter()
        .filter(|c| c.verdict != Verdict::Allow)
        .collect();
    let body = html! {
        header.title {
            p { (chip::verdict(of.verdict)) " " (part::time(frame.now, of.evaluated_at)) }
            h1 { (text::prose(&of.summary)) }
        }
        div.split {
            div.col {
                (part::section("change", "What would have to change", html! {
                    @if found.is_empty() && of.withheld.is_empty() { (part::empty("Nothing: every check let it pass.")) }
                    @for why in &of.withheld { p.fault { span.sign aria-hidden="true" { "✕ " } "Permit withheld: " (text::prose(why)) } }
                    @for line in &found { (way_out(line)) }
                }))
                (part::section("verdict", "All checks", verdict_panel(frame.now, &view.verdict)))
            }
            aside.col.side {
                (part::section("asked", "Who asked for what", asked(view)))
                (part::section("rules", "Under which rules", rules(&of.under)))
            }
        }
    };
    frame.page("Verdict explained", body)
}

fn way_out(line: &Line) -> Markup {
    html! {
        div.way data-check=(line.check) {
            h3 { (chip::verdict(line.verdict)) " " (text::pieces(&line.check.replace('_', " "))) }
            p { (text::prose(&line.reason)) }
            ul.tight { @for remedy in &line.remedies { li { (text::prose(remedy)) } } }
            p {
                @if line.runbook.starts_with(RUNBOOKS) { a href=(line.runbook) { "Runbook" span.sr { " for " (text::shown(&line.check)) } } }
                @else { "Runbook: " (text::outside_link(&line.runbook)) }
            }
        }
    }
}

fn asked(view: &ExplainView) -> Markup {
    let (who, what) = (&view.explanation.who, &view.explanation.what);
    let roles: Vec<_> = who.roles.iter().map(ToString::to_string).collect();
    part::facts(&[
        (
            "Issued by",
            html! { (part::actor(&view.issued_by)) @if !roles.is_empty() { " " span.hint { (roles.join(", ")) } } },
        ),
        (
            "Edited by",
            html! {
                @if view.editors.is_empty() { span.hint { "nobody" } }
                @for editor in &view.editors { (part::actor(editor)) " " }
            },
        ),
        (
            "Because of",
            html! { @match &who.origin { Some(origin) => (part::id_link(origin)), None => span.hint { "nothing recorded" } } },
        ),
        ("Directive", part::id_link(&what.directive.to_string())),
        ("Objective", text::prose(&what.objective)),
        (
            "Subject",
            html! { @match &what.subject { Some(subject) => (part::subject(&subject.to_string())), None => "" } },
        ),
        (
            "Asked about",
            html! { (text::shown(&what.target)) " at " (text::pieces(&what.choke_point.to_string().replace('_', " "))) },
        ),
        (
            "Version",
            html! { (part::id_text(&what.digest.to_string())) " " (in_force(what.in_force)) },
        ),
        ("Snapshot", part::id_link(&what.snapshot.to_string())),
        (
            "Led to it",
            html! { a href={ "/why/" (view.explanation.id) } { "the chain of causes" } },
        ),
    ])
}

fn in_force(yes: bool) -> Markup {
    match yes {
        true => chip::chip(chip::Tone::Good, "in force"),
        false => chip::chip(chip::Tone::Calm, "replaced since"),
    }
}

fn rules(under: &Under) -> Markup {
    html! {
        (part::facts(&[
            ("Policy set", html! { (part::id_text(&under.policy.to_string())) " " (in_force(under.policy_in_force)) }),
            ("All rules", html! { (part::id_text(&under.rules.to_string())) " " (in_force(under.rules_in_force)) }),
        ]))
        @if under.determining.is_empty() { p.hint { "No policy determined the answer: what none permits is denied." } }
        @for policy in &under.determining {
            div.policy {
                p { code.tag { (text::shown(&policy.id)) }
                    @if let Some(written) = &policy.written { " " span.hint { (text::shown(&written.file)) ":" (written.line) } } }
                @match &policy.written {
                    Some(written) => pre { code { (text::shown(&written.text)) } },
                    None => p.hint { "Its set is in force no more." },
                }
            }
        }
    }
}

/// Renders a runbook of ours.
#[must_use]
pub fn runbook_page(frame: &Frame, markdown: &str) -> Markup {
    let title = markdown.lines().next().unwrap_or_default();
    let title = title.trim_start_matches("# ");
    let mut rendered = String::new();
    pulldown_cmark::html::push_html(&mut rendered, pulldown_cmark::Parser::new(markdown));
    frame.page(title, html! { article.runbook { (PreEscaped(rendered)) } })
}
