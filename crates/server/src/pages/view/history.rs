//! The facts of history: what policies may ask of the past, and what each tells
//! of a subject and an agent now.

use super::part;
use super::{Frame, chip, text};
use gate::history::{FactStanding, FactStatus, Filter, Measure, Per, Within};
use kernel::Span;
use maud::{Markup, html};

/// The page.
#[derive(Clone, Debug, Default)]
pub struct HistoryView {
    /// The facts; `None` without a pack.
    pub facts: Option<Vec<FactStanding>>,
    /// The subject that is looked up; empty for none.
    pub subject: String,
    /// The agent that is looked up; empty for none.
    pub agent: String,
}

/// Renders it.
#[must_use]
pub fn history_page(frame: &Frame, view: &HistoryView) -> Markup {
    let body = html! {
        header.title {
            p.crumb { a href="/policies" { "Policies" } " / history" }
            h1 { "What happened before" }
            p.hint { "Facts that the pack's policies may ask for. Each is counted on the ledger, in the commit that records what happened." }
        }
        @match view.facts.as_deref() {
            None => (part::empty("No pack is loaded: nothing is allowed.")),
            Some([]) => (part::section("none", "No facts are declared", part::empty(
                "Policies are told nothing of the past. The pack's history.yaml declares facts."))),
            Some(facts) => {
                (for_whom(view))
                @for fact in facts { (part::section(&fact.fact.name, &fact.fact.name, fact_of(frame, fact))) }
            }
        }
    };
    frame.page("What happened before", body)
}

fn for_whom(view: &HistoryView) -> Markup {
    let fields = [
        ("subject", "Subject", "type/id", &view.subject),
        ("agent", "Agent", "agent:id", &view.agent),
    ];
    let used = fields.iter().any(|field| !field.3.is_empty());
    html! {
        form.filters method="get" action="/history" aria-label="For whom" {
            div.grid {
                @for (name, label, form, value) in fields {
                    div.field { label for=(name) { (label) " " span.hint { "(" (form) ")" } }
                        input id=(name) type="text" name=(name) value=(text::plain(value)) autocomplete="off" spellcheck="false"; }
                }
            }
            div.actions { button.primary type="submit" { "Look up" } @if used { a.button href="/history" { "For nobody" } } }
        }
    }
}

fn fact_of(frame: &Frame, of: &FactStanding) -> Markup {
    let now = frame.now;
    let fact = &of.fact;
    html! {
        @if let Some(title) = &fact.title { p { (text::shown(title)) } }
        (part::facts(&[
            ("Tells", html! { span data-fact=(text::plain(&fact.name)) { (told(of)) } }),
            ("For", html! { @match &of.key { Some(key) => code { (text::shown(key)) }, None => span.hint { (lacks(fact.per)) } } }),
            ("Counts", html! { (fact.happening.to_string().replace('_', " ")) (only(&fact.only)) }),
            ("Window", html! { (window(fact.within)) @if let Some(zone) = &fact.zone { ", in " (text::shown(&zone.to_string())) }
                @if !matches!(fact.within, Within::Sliding(_)) { ", which began " (part::brief_time(now, of.window_from)) } }),
            ("Last", html! { @match (of.latest, &of.key) { (Some(at), _) => (part::brief_time(now, at)), (None, Some(_)) if of.status == FactStatus::Ready => span.hint { "never" }, _ => span.hint { "not known" } } }),
            ("Counted", html! {
                @match of.status {
                    FactStatus::Ready => (chip::chip(chip::Tone::Good, "ready")),
                    FactStatus::CountingBack => (chip::chip(chip::Tone::Warn, "counting back")),
                }
                @if let Some(since) = of.counted_since { " as it comes since " (part::brief_time(now, since)) }
                @if of.status == FactStatus::CountingBack { ". Policies that name it block until what happened before is counted." }
            }),
        ]))
    }
}

fn told(of: &FactStanding) -> Markup {
    let number = of.value.as_ref().and_then(serde_json::Value::as_u64);
    html! {
        @match (of.status, &of.key, number, of.fact.measure) {
            (FactStatus::CountingBack, ..) | (_, None, ..) => span.hint { "nothing yet" },
            (_, _, Some(count), Measure::Count) => strong { (count) @if count == 1 { " time" } @else { " times" } },
            (_, _, Some(seconds), Measure::SecondsSince) => strong { (ago(seconds)) " ago" },
            (_, _, None, _) => strong { "never within the window" },
        }
    }
}

fn ago(seconds: u64) -> String {
    let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
    part::span(Span::from_secs(seconds))
}

/// What has to be given to look a fact up.
fn lacks(per: Per) -> &'static str {
    match per {
        Per::Tenant => "everyone",
        Per::Subject => "give a subject",
        Per::Agent => "give an agent",
        Per::SubjectAndAgent => "give a subject and an agent",
    }
}

fn window(within: Within) -> String {
    match within {
        Within::Sliding(span) => format!("the last {}", part::span(span)),
        Within::Day => "the day so far".to_owned(),
        Within::Month => "the month so far".to_owned(),
    }
}

/// What alone counts.
fn only(filter: &Filter) -> Markup {
    let classes: Vec<String> = filter
        .cost_classes
        .iter()
        .map(ToString::to_string)
        .collect();
    let lists: [(&str, Vec<&str>); 6] = [
        ("modules", words(&filter.modules)),
        ("types", words(&filter.directive_types)),
        ("subjects", words(&filter.subject_types)),
        ("cost", words(&classes)),
        ("data", words(&filter.data_classes)),
        ("destinations", words(&filter.destinations)),
    ];
    html! {
        @for (name, all) in lists {
            @if !all.is_empty() { "; " (name) @for word in all { " " code { (text::shown(word)) } } }
        }
    }
}

fn words<'a>(all: impl IntoIterator<Item = &'a String>) -> Vec<&'a str> {
    all.into_iter().map(String::as_str).collect()
}
