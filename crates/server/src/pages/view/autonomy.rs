//! The ladder of earned autonomy: how far each type of directive has come,
//! what proves it, signing it off and taking that back.

use super::part::{self, Need, Who};
use super::{Frame, chip, text};
use gate::autonomy::{Proof, Rung};
use kernel::Timestamp;
use maud::{Markup, html};

/// What threw a type back.
#[derive(Clone, Debug)]
pub struct SetbackView {
    /// When.
    pub at: Timestamp,
    /// Whether it was a violation; otherwise a run did not succeed.
    pub violation: bool,
    /// What happened.
    pub reason: String,
    /// How many runs had been counted.
    pub runs: u32,
    /// The directive.
    pub directive: String,
}

/// A type of directive.
#[derive(Clone, Debug)]
pub struct RungView {
    /// The type.
    pub kind: String,
    /// How far it has come.
    pub rung: Rung,
    /// Who signed it off, when and why.
    pub granted: Option<(Who, Timestamp, String)>,
    /// How many approved runs succeeded since the last setback.
    pub runs: u32,
    /// How many must.
    pub needed: u32,
    /// How many succeeded without a person.
    pub alone: u32,
    /// What has to be proved.
    pub proofs: Vec<Proof>,
    /// What threw it back, newest first.
    pub setbacks: Vec<SetbackView>,
}

/// What the viewer may do with the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Sign a type off.
    Grant,
    /// Take a sign-off back.
    Withdraw,
}

/// The page.
#[derive(Clone, Debug, Default)]
pub struct LadderView {
    /// The types on the ladder.
    pub types: Vec<RungView>,
    /// What the viewer may do.
    pub rights: Vec<Right>,
}

/// Renders it.
#[must_use]
pub fn ladder_page(frame: &Frame, view: &LadderView) -> Markup {
    let body = html! {
        header.title {
            h1 { "Autonomy" }
            p.hint { "A type of directive runs without a person only while the ledger itself proves that it may, and a person has signed it off. Any violation or failed run takes it back at once." }
        }
        @if view.types.is_empty() {
            (part::section("none", "Nothing is on the ladder", part::empty(
                "A person approves every change. The pack's approvals.yaml puts types on the ladder, under `autonomous`.")))
        }
        @for of in &view.types { (part::section(&of.kind, &of.kind, rung(frame, view, of))) }
    };
    frame.page("Autonomy", body)
}

fn tone(rung: Rung) -> chip::Tone {
    match rung {
        Rung::Supervised => chip::Tone::Calm,
        Rung::Eligible => chip::Tone::Wait,
        Rung::Autonomous => chip::Tone::Live,
    }
}

fn rung(frame: &Frame, view: &LadderView, of: &RungView) -> Markup {
    let now = frame.now;
    html! {
        p data-rung=(of.rung.to_string()) {
            (chip::chip(tone(of.rung), &of.rung.to_string())) " "
            @match of.rung {
                Rung::Supervised => "A person approves every run.",
                Rung::Eligible => "Everything is proved; a person has to sign it off.",
                Rung::Autonomous => "It runs without a person.",
            }
            @if of.alone > 0 { " " (of.alone) " succeeded without one." }
        }
        progress.rungs value=(of.runs.min(of.needed)) max=(of.needed) aria-label={ (of.runs) " of " (of.needed) " approved runs" } {}
        ul.tight.proofs {
            @for proof in &of.proofs {
                li { @if proof.holds { (chip::chip(chip::Tone::Good, "proved")) } @else { (chip::chip(chip::Tone::Wait, "open")) }
                    " " (text::shown(&proof.text)) }
            }
        }
        @if let Some((who, at, reason)) = &of.granted {
            p.hint { "Signed off by " (part::actor(who)) ", " (part::brief_time(now, *at)) ": " (text::shown(reason)) }
        }
        @if !of.setbacks.is_empty() { (setbacks(now, &of.setbacks)) }
        (decide(frame, view, of))
    }
}

fn setbacks(now: Timestamp, all: &[SetbackView]) -> Markup {
    html! {
        details {
            summary { "What threw it back (" (all.len()) ")" }
            ul.tight {
                @for setback in all {
                    li {
                        @if setback.violation { (chip::chip(chip::Tone::Bad, "violation")) } @else { (chip::chip(chip::Tone::Warn, "failed run")) }
                        " " (part::brief_time(now, setback.at)) ", at " (setback.runs) " runs: " (text::shown(&setback.reason)) " "
                        (part::id_link(&setback.directive))
                    }
                }
            }
        }
    }
}

fn decide(frame: &Frame, view: &LadderView, of: &RungView) -> Markup {
    let may = |right| view.rights.contains(&right);
    let (word, action, need) = match (of.granted.is_some(), of.rung) {
        (true, _) if may(Right::Withdraw) => {
            ("Take the sign-off back", "withdraw", "Why take it back")
        }
        (false, Rung::Eligible) if may(Right::Grant) => ("Sign it off", "grant", "Why sign it off"),
        _ => return Markup::default(),
    };
    let field = format!("{action}-{}", of.kind);
    part::form(
        frame,
        &format!("/autonomy/{action}"),
        action,
        html! {
            input type="hidden" name="type" value=(of.kind);
            (part::reason_field(&field, need, Need::Required))
            button.primary type="submit" { (word) }
        },
    )
}
