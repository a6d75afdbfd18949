//! Why did this happen: the chain from an action back to the raw evidence, as
//! one story from top to bottom.

use super::incident::category_class;
use super::ledger::EntryRow;
use super::{Frame, part, text};
use maud::{Markup, html};

/// One entry of the story.
#[derive(Clone, Debug)]
pub struct ReasonView {
    /// The entry.
    pub row: EntryRow,
    /// What it says, in a sentence.
    pub sentence: String,
    /// The page of what it is about.
    pub about: Option<String>,
    /// The entry that it explains, by position.
    pub explains: Option<u64>,
}

/// A part of the story: entries that belong to one question.
#[derive(Clone, Debug)]
pub struct Chapter {
    /// The question that it answers, for example `Who agreed?`.
    pub question: String,
    /// The entries, oldest first.
    pub reasons: Vec<ReasonView>,
}

/// The story.
#[derive(Clone, Debug)]
pub struct WhyView {
    /// What was asked about.
    pub start: String,
    /// From the action back to the evidence.
    pub chapters: Vec<Chapter>,
    /// Entries in all.
    pub entries: usize,
    /// Whether there is more than is shown.
    pub cut: bool,
}

/// Renders it.
#[must_use]
pub fn why_page(frame: &Frame, view: &WhyView) -> Markup {
    let body = html! {
        header.title {
            p.crumb { "Why / " (part::full_id(&view.start)) }
            h1 { "Why did this happen?" }
            p.hint { "From what was done, at the top, back to what was seen, at the bottom: " (view.entries) " entries of the ledger." }
            @if view.cut {
                p.hint { "There is more than fits here: ask again about an entry from the bottom." }
            }
        }
        @for (at, chapter) in view.chapters.iter().enumerate() {
            (part::section(&format!("part-{at}"), &chapter.question, html! {
                ol.timeline {
                    @for reason in &chapter.reasons {
                        li.(category_class(&reason.row.category)) {
                            p { strong { (text::shown(&reason.sentence)) } " "
                                @if let Some(about) = &reason.about { (part::id_link(about)) " " }
                                (part::time(frame.now, reason.row.at)) }
                            p.hint { a href={ "/ledger/" (text::segment(&reason.row.id)) } { "#" (reason.row.seq) " " (text::shown(&reason.row.kind)) }
                                " by " (part::actor(&reason.row.actor))
                                @if let Some(explains) = reason.explains { " · led to #" (explains) } }
                        }
                    }
                }
            }))
        }
    };
    frame.page("Why", body)
}
