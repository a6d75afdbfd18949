//! Why: the chain of causes, parted into the questions that a person asks.

use super::common::Names;
use crate::http::Place;
use crate::http::problem::Answer;
use crate::pages::view::Section;
use crate::pages::view::part;
use crate::pages::view::why::{Chapter, ReasonView, WhyView, why_page};
use crate::pages::visit::{Visit, shown};
use axum::response::Response;
use kernel::Category;
use ledger::Entry;
use ledger::why;
use std::collections::BTreeMap;

/// The questions, from what was done back to what was seen.
const QUESTIONS: [&str; 7] = [
    "What was done?",
    "Who paid?",
    "Who agreed?",
    "What did the gate say?",
    "Who proposed it?",
    "What was concluded?",
    "What was seen?",
];

/// Which question an entry answers, as a place in [`QUESTIONS`].
fn question(entry: &Entry) -> usize {
    match (entry.stream.kind(), entry.category) {
        ("verdict", _) => 3,
        (_, Category::Action | Category::ToolCall | Category::Outcome) => 0,
        ("permit" | "run", _) => 0,
        (_, Category::Budget) => 1,
        (_, Category::Approval) => 2,
        (_, Category::Validation) => 3,
        ("directive", _) | (_, Category::Intent) => 4,
        (_, Category::Signal | Category::Evidence) => 6,
        _ => 5,
    }
}

/// An entry in words: its kind, read aloud.
fn sentence(entry: &Entry) -> String {
    let (noun, verb) = entry.kind.split_once('.').unwrap_or((&entry.kind, ""));
    let words = format!("{noun} {verb}").replace('_', " ");
    let mut letters = words.trim().chars();
    match letters.next() {
        Some(first) => format!("{}{}", first.to_uppercase(), letters.as_str()),
        None => words,
    }
}

fn view(names: &Names, start: String, answer: &why::Answer) -> WhyView {
    let reasons = &answer.reasons;
    let seqs: BTreeMap<_, _> = reasons.iter().map(|r| (r.entry.id, r.entry.seq)).collect();
    let mut chapters: Vec<Chapter> = QUESTIONS
        .iter()
        .map(|question| Chapter {
            question: (*question).to_owned(),
            reasons: Vec::new(),
        })
        .collect();
    for reason in reasons {
        let id = reason.entry.stream.id();
        let told = ReasonView {
            row: names.row(&reason.entry),
            sentence: sentence(&reason.entry),
            about: part::page_of(id).map(|_| id.to_owned()),
            explains: reason.explains.and_then(|e| seqs.get(&e).copied()),
        };
        if let Some(chapter) = chapters.get_mut(question(&reason.entry)) {
            chapter.reasons.push(told);
        }
    }
    chapters.retain(|c| !c.reasons.is_empty());
    WhyView {
        start,
        chapters,
        entries: reasons.len(),
        cut: answer.cut,
    }
}

pub(crate) async fn why(visit: Visit, Place(id): Place<String>) -> Answer<Response> {
    let store = visit.app.ledger().store();
    let answer = why::why(store, visit.caller.tenant(), &id).await?;
    let names = Names::of(&visit).await?;
    let frame = visit.frame(Section::None).await?;
    shown(why_page(&frame, &view(&names, id, &answer)))
}
