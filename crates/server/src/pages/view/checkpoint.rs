//! The signed checkpoint on the ledger's page, and on an entry's page the
//! check that the entry is in the tree that was signed.

use super::{Frame, chip, part, text};
use kernel::Timestamp;
use maud::{Markup, html};

/// The newest checkpoint of a log.
#[derive(Clone, Debug)]
pub struct CheckpointView {
    /// Entries that it covers.
    pub size: u64,
    /// Entries in the log.
    pub head: u64,
    /// The root of the tree.
    pub root: String,
    /// The key that signed.
    pub key: String,
    /// When.
    pub at: Timestamp,
    /// Who cosigned, and when.
    pub cosigners: Vec<(String, Timestamp)>,
    /// The note.
    pub note: String,
}

/// Whether an entry is in the tree that was signed.
#[derive(Clone, Debug)]
pub enum InclusionView {
    /// It is; checked when the page was made.
    Proven {
        /// Entries in the tree.
        size: u64,
        /// The root.
        root: String,
        /// The hashes beside the way from the leaf to the root.
        proof: Vec<String>,
        /// When the checkpoint was signed.
        at: Timestamp,
        /// How many witnesses cosigned it.
        cosigners: usize,
    },
    /// It came after the newest checkpoint.
    Waiting,
    /// The proof does not hold.
    Broken(String),
}

/// The section on the ledger's page.
#[must_use]
pub fn checkpoint(frame: &Frame, view: Option<&CheckpointView>) -> Markup {
    let body = html! {
        @match view {
            None => (part::empty("No checkpoint was signed yet. One is signed soon after there is something new.")),
            Some(view) => {
                p {
                    (chip::chip(chip::Tone::Good, "signed")) " " strong { "The first " (view.size) " entries" } " "
                    (part::time(frame.now, view.at)) "."
                    @if view.head > view.size { " " (view.head - view.size) " more since." }
                }
                (part::facts(&[
                    ("Root", part::full_id(&view.root)),
                    ("Key", part::full_id(&view.key)),
                    ("Cosigned by", cosigners(frame, view)),
                ]))
                details {
                    summary { "The note, for whoever wants to keep it" }
                    pre.note tabindex="0" { @for line in view.note.lines() { (text::pieces(line)) "\n" } }
                }
                p.hint { "Keep it somewhere else: with it, history that was rewritten is found. " code { "writ ledger verify --against FILE" } }
            }
        }
    };
    part::section("checkpoint", "Signed checkpoint", body)
}

fn cosigners(frame: &Frame, view: &CheckpointView) -> Markup {
    html! {
        @if view.cosigners.is_empty() { span.hint { "no witness" } } @else {
            ul.tight { @for (name, at) in &view.cosigners { li { (text::shown(name)) " " (part::time(frame.now, *at)) } } }
        }
    }
}

/// The section on an entry's page.
#[must_use]
pub fn inclusion(frame: &Frame, view: &InclusionView) -> Markup {
    let body = html! {
        @match view {
            InclusionView::Proven { size, root, proof, at, cosigners } => {
                p {
                    (chip::chip(chip::Tone::Good, "proven")) " In the checkpoint of " strong { (size) " entries" } ", signed "
                    (part::time(frame.now, *at))
                    @match cosigners { 0 => {} 1 => " and cosigned by one witness", n => { " and cosigned by " (n) " witnesses" } }
                    "."
                }
                details {
                    summary { (proof.len()) " hashes lead from this entry to the root" }
                    ol.tight { @for hash in proof { li { (part::full_id(hash)) } } }
                    p.hint { "Root " (part::full_id(root)) }
                }
            },
            InclusionView::Waiting => p { (chip::chip(chip::Tone::Wait, "waiting")) " It came after the newest checkpoint; the next one covers it." },
            InclusionView::Broken(what) => div role="alert" { p { (chip::chip(chip::Tone::Bad, "not proven")) " " (text::prose(what)) } },
        }
    };
    part::section("inclusion", "Proof", body)
}
