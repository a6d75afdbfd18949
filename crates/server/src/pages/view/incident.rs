//! One incident: how sure, why promoted, what happened, what can be done.

use super::directives::{DirectiveRow, directive_rows};
use super::part::{self, Need, Who};
use super::{Frame, chip, text};
use kernel::{Ratio, Timestamp};
use maud::{Markup, html};

/// One factor of the confidence.
#[derive(Clone, Debug)]
pub struct FactorView {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Ratio,
    /// How much it counts.
    pub weight: Ratio,
    /// What it adds.
    pub contribution: Ratio,
}

/// A detection.
#[derive(Clone, Debug)]
pub struct DetectionView {
    /// Its id.
    pub id: String,
    /// The rule.
    pub rule: String,
    /// How severe.
    pub severity: String,
    /// When, in event time.
    pub at: Timestamp,
    /// Why it matched, in words.
    pub explanation: String,
    /// How many signals it rests on.
    pub signals: usize,
}

/// A record of evidence in a list.
#[derive(Clone, Debug)]
pub struct EvidenceRow {
    /// Its id.
    pub id: String,
    /// The source and its id.
    pub label: String,
    /// When it was observed.
    pub observed_at: Timestamp,
}

/// One line of the timeline.
#[derive(Clone, Debug)]
pub struct Happening {
    /// When.
    pub at: Timestamp,
    /// What, in words.
    pub what: String,
    /// More, in words.
    pub detail: Option<String>,
    /// The category of the entry.
    pub category: String,
    /// Who.
    pub by: Who,
    /// The entry.
    pub entry: String,
    /// What it is about, for a link.
    pub about: Option<String>,
}

/// A move that is allowed from here.
#[derive(Clone, Debug)]
pub struct MoveForm {
    /// The last segment of the form's address, for example `acknowledge`.
    pub action: String,
    /// What the button says.
    pub label: String,
    /// Whether a reason must be given.
    pub reason: Need,
}

/// One incident.
#[derive(Clone, Debug)]
pub struct IncidentView {
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
    /// When it was created.
    pub created_at: Timestamp,
    /// How sure.
    pub confidence: Ratio,
    /// The band.
    pub band: String,
    /// The version of the confidence model.
    pub model: String,
    /// The five factors.
    pub factors: Vec<FactorView>,
    /// Why it was promoted, in words.
    pub promoted: Vec<String>,
    /// The candidate.
    pub candidate: Option<String>,
    /// The bundle.
    pub bundle: Option<String>,
    /// What matched.
    pub detections: Vec<DetectionView>,
    /// What it rests on.
    pub evidence: Vec<EvidenceRow>,
    /// What was proposed because of it.
    pub directives: Vec<DirectiveRow>,
    /// What its investigation concluded.
    pub summary: Option<String>,
    /// What happened, newest first.
    pub timeline: Vec<Happening>,
    /// What the viewer can do.
    pub moves: Vec<MoveForm>,
}

/// Renders it.
#[must_use]
pub fn incident_page(frame: &Frame, view: &IncidentView) -> Markup {
    let now = frame.now;
    let body = html! {
        header.title {
            p.crumb { a href="/incidents" { "Incidents" } " / " (part::full_id(&view.id)) }
            h1 { (text::shown(&view.title)) }
            p.chips { (chip::severity(&view.severity)) " " (chip::status(&view.status)) " " (part::subject(&view.subject)) " "
                span.hint { "opened " } (part::time(now, view.created_at))
                @if !view.moves.is_empty() { a.button.jump href="#act" { "Move it…" } } }
        }
        div.split {
            div.col {
                (part::section("proposed", "Proposed", html! {
                    @if view.directives.is_empty() { (part::empty("Nothing is proposed for it.")) }
                    @if let Some(summary) = &view.summary { p.hint { (text::prose(summary)) } }
                    (directive_rows(now, &view.directives))
                }))
                (part::section("timeline", "Timeline", timeline(now, &view.timeline)))
                (part::section("detections", "Detections", detections(now, &view.detections)))
                (part::section("evidence", "Evidence", html! {
                    @if view.evidence.is_empty() { (part::empty("No evidence.")) }
                    ul.evidence {
                        @for record in &view.evidence {
                            li { a href={ "/evidence/" (text::segment(&record.id)) } { (text::shown(&record.label)) } " "
                                span.hint { "observed " (part::brief_time(now, record.observed_at)) } }
                        }
                    }
                }))
            }
            aside.col.side {
                @if !view.moves.is_empty() { (part::section("act", "Move it", moves(frame, view))) }
                (part::section("confidence", "Confidence", confidence(view)))
            }
        }
    };
    frame.page(&format!("{} {}", view.severity, view.title), body)
}

fn confidence(view: &IncidentView) -> Markup {
    let thousandths = |ratio: Ratio| ratio.ppm() / 1_000;
    html! {
        p.big { (format!("{:.2}", view.confidence)) " " (chip::chip(chip::Tone::Calm, &view.band)) }
        table.factors {
            caption.sr { "What adds up to the confidence" }
            thead { tr { th scope="col" { "Factor" } th scope="col" { "Value × weight" } th.num scope="col" { "Adds" } } }
            tbody {
                @for factor in &view.factors {
                    tr {
                        th scope="row" { (text::shown(&factor.name.replace('_', " "))) }
                        td { (super::meter::bar(thousandths(factor.value))) span.hint { (format!("{:.2}", factor.value)) " × " (format!("{:.2}", factor.weight)) } }
                        td.num { (format!("{:.3}", factor.contribution)) }
                    }
                }
            }
        }
        h3 { "Why promoted" }
        ul.tight { @for reason in &view.promoted { li { (text::prose(reason)) } } }
        p.hint { "Model " (text::shown(&view.model))
            @if let Some(candidate) = &view.candidate { " · candidate " (part::id_link(candidate)) }
            @if let Some(bundle) = &view.bundle { " · bundle " (part::id_text(bundle)) } }
    }
}

fn moves(frame: &Frame, view: &IncidentView) -> Markup {
    let base = format!("/incidents/{}", text::segment(&view.id));
    html! {
        @for (at, allowed) in view.moves.iter().enumerate() {
            (part::form(frame, &format!("{base}/{}", text::segment(&allowed.action)), "move", html! {
                (part::reason_field(&format!("reason-{at}"), if allowed.reason == Need::Required { "Why" } else { "Note" }, allowed.reason))
                button.primary[at == 0] type="submit" { (allowed.label) }
            }))
        }
    }
}

fn detections(now: Timestamp, detections: &[DetectionView]) -> Markup {
    html! {
        @if detections.is_empty() { (part::empty("No detection.")) }
        ul.detections {
            @for detection in detections {
                li {
                    p { strong { (text::shown(&detection.rule)) } " " (chip::severity(&detection.severity)) " " (part::brief_time(now, detection.at)) }
                    p { (text::prose(&detection.explanation)) }
                    p.hint { (detection.signals) " signals · " (part::id_link(&detection.id)) }
                }
            }
        }
    }
}

/// Happenings as a vertical line.
#[must_use]
pub fn timeline(now: Timestamp, happenings: &[Happening]) -> Markup {
    html! {
        @if happenings.is_empty() { (part::empty("Nothing yet.")) }
        ol.timeline {
            @for happening in happenings {
                li.(category_class(&happening.category)) {
                    p { strong { (text::prose(&happening.what)) } " "
                        @if let Some(about) = &happening.about { (part::id_link(about)) " " }
                        (part::time(now, happening.at)) }
                    @if let Some(detail) = &happening.detail { p { (text::prose(detail)) } }
                    p.hint { "by " (part::actor(&happening.by)) " · entry " (part::id_link(&happening.entry)) }
                }
            }
        }
    }
}

/// The class of a category, for the colour of its point on a line; the words
/// beside it say the same.
#[must_use]
pub fn category_class(category: &str) -> &'static str {
    match category {
        "SIGNAL" | "EVIDENCE" => "c-fact",
        "DECISION" | "VALIDATION" => "c-check",
        "APPROVAL" => "c-person",
        "ACTION" | "TOOL_CALL" | "OUTCOME" => "c-act",
        "BUDGET" => "c-money",
        _ => "c-other",
    }
}
