//! The ledger: entries, one entry, and the proofs over all of them.

use super::checkpoint::{self, CheckpointView, InclusionView};
use super::part::{self, Pager, Who};
use super::{Frame, chip, json, text};
use kernel::Timestamp;
use maud::{Markup, html};

/// One entry in a list.
#[derive(Clone, Debug)]
pub struct EntryRow {
    /// Position.
    pub seq: u64,
    /// Its id.
    pub id: String,
    /// What happened.
    pub kind: String,
    /// What it is about.
    pub category: String,
    /// The stream's name.
    pub stream: String,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Who,
    /// The subject.
    pub subject: Option<String>,
}

/// What is filtered by, as it was asked for.
#[derive(Clone, Debug, Default)]
pub struct EntryFilter {
    /// The category.
    pub category: String,
    /// The kind.
    pub kind: String,
    /// The subject.
    pub subject: String,
    /// The directive.
    pub directive: String,
    /// The actor.
    pub actor: String,
    /// The trace.
    pub trace: String,
    /// The stream.
    pub stream: String,
    /// The first instant.
    pub from: String,
    /// The instant after the last.
    pub until: String,
}

/// What a proof said.
#[derive(Clone, Debug)]
pub enum ProofView {
    /// Verification found nothing wrong.
    Intact {
        /// Entries that hold.
        entries: u64,
        /// The last hash.
        head: String,
    },
    /// Verification found this.
    Broken {
        /// Entries that hold before the fault.
        entries: u64,
        /// Position of the first fault.
        seq: Option<u64>,
        /// The entry, where it can be read.
        entry: Option<String>,
        /// What is wrong.
        what: Vec<String>,
    },
    /// Replay builds the same states.
    Equal {
        /// Entries folded.
        entries: u64,
        /// States built.
        states: u64,
        /// Their hash.
        hash: String,
    },
    /// Replay builds other states.
    Differs {
        /// Where and what.
        differences: Vec<String>,
    },
}

/// The page.
#[derive(Clone, Debug, Default)]
pub struct LedgerView {
    /// The end of the log.
    pub head: (u64, String),
    /// The rows, newest first.
    pub rows: Vec<EntryRow>,
    /// Every category.
    pub categories: Vec<String>,
    /// What is filtered by.
    pub filter: EntryFilter,
    /// Further pages.
    pub pager: Pager,
    /// What a proof said, when one was asked for.
    pub proof: Option<ProofView>,
    /// Whether the viewer may ask for a proof.
    pub provable: bool,
    /// The newest checkpoint.
    pub checkpoint: Option<CheckpointView>,
}

/// One entry.
#[derive(Clone, Debug)]
pub struct EntryView {
    /// What a list shows of it.
    pub row: EntryRow,
    /// Position in its stream.
    pub stream_version: u64,
    /// The trace.
    pub trace_id: String,
    /// What caused it.
    pub causation: Option<String>,
    /// The directive.
    pub directive: Option<String>,
    /// The snapshot.
    pub snapshot: Option<String>,
    /// What it caused.
    pub caused: Vec<EntryRow>,
    /// Canonical JSON.
    pub payload: String,
    /// SHA-256 of the payload.
    pub payload_hash: String,
    /// Hash of the entry before.
    pub prev_hash: String,
    /// Its hash.
    pub hash: String,
    /// Whether the hashes hold, computed when the page was made.
    pub holds: bool,
    /// The neighbours in the log.
    pub neighbours: (Option<String>, Option<String>),
    /// Whether it is in the tree that was signed.
    pub inclusion: InclusionView,
}

/// Entries as a table.
#[must_use]
pub fn entry_rows(now: Timestamp, rows: &[EntryRow]) -> Markup {
    html! {
        @if rows.is_empty() { (part::empty("No entry here.")) } @else {
            div.scroll tabindex="0" role="region" aria-label="Entries" {
                table.entries {
                    thead { tr { th.num scope="col" { "#" } th scope="col" { "What" } th scope="col" { "About" } th scope="col" { "Who" } th scope="col" { "When" } } }
                    tbody {
                        @for row in rows {
                            tr.row {
                                td.num { (row.seq) }
                                th scope="row" { a.row-link href={ "/ledger/" (text::segment(&row.id)) } { (text::shown(&row.kind)) } " " span.category { (row.category) } }
                                td { @match &row.subject { Some(subject) => (part::subject(subject)), None => span.hint { (text::shown(&short_stream(&row.stream))) } } }
                                td { (part::actor(&row.actor)) }
                                td { (part::brief_time(now, row.at)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn short_stream(stream: &str) -> String {
    match stream.split_once('/') {
        Some((kind, id)) => format!("{kind}/{}", part::short(id)),
        None => stream.to_owned(),
    }
}

/// Renders the page.
#[must_use]
pub fn ledger_page(frame: &Frame, view: &LedgerView) -> Markup {
    let body = html! {
        header.title {
            h1 { "Ledger" }
            p.hint { (view.head.0) " entries, head " (part::id_text(&view.head.1)) ". Nothing here can be changed or deleted." }
        }
        (checkpoint::checkpoint(frame, view.checkpoint.as_ref()))
        (part::section("prove", "Prove it", prove(view)))
        (filter(view))
        (entry_rows(frame.now, &view.rows))
        (view.pager)
    };
    frame.page("Ledger", body)
}

fn prove(view: &LedgerView) -> Markup {
    html! {
        @if let Some(proof) = &view.proof { div data-still { (proof_result(proof)) } }
        @if view.provable {
            div.actions {
                a.button.primary #verify href="/ledger/verify#prove" { "Verify every hash" }
                a.button #replay href="/ledger/replay#prove" { "Replay every state" }
            }
        } @else { (part::empty("Your roles do not allow you to verify.")) }
    }
}

fn proof_result(proof: &ProofView) -> Markup {
    html! {
        @match proof {
            ProofView::Intact { entries, head } => div.proof.good role="status" {
                p { (chip::chip(chip::Tone::Good, "verified")) " " strong { (entries) " entries hold." } " Every payload, every header, every link to the entry before." }
                p.hint { "Head " (part::full_id(head)) }
            },
            ProofView::Broken { entries, seq, entry, what } => div.proof.bad role="alert" {
                p { (chip::chip(chip::Tone::Bad, "broken")) " "
                    @match seq { Some(seq) => strong { "The first bad entry is " (seq) "." }, None => strong { "The storage is damaged." } }
                    " " (entries) " entries before it hold." }
                @if let Some(entry) = entry { p { "It is " (part::id_link(entry)) "." } }
                ul.tight { @for fault in what { li { (text::prose(fault)) } } }
            },
            ProofView::Equal { entries, states, hash } => div.proof.good role="status" {
                p { (chip::chip(chip::Tone::Good, "equal")) " " strong { (entries) " entries fold into the same " (states) " states." } }
                p.hint { "State hash " (part::full_id(hash)) }
            },
            ProofView::Differs { differences } => div.proof.bad role="alert" {
                p { (chip::chip(chip::Tone::Bad, "differs")) " " strong { "The entries fold into other states than the live ones." } }
                ul.tight { @for difference in differences { li { (text::prose(difference)) } } }
            },
        }
    }
}

fn filter(view: &LedgerView) -> Markup {
    let filter = &view.filter;
    let fields = [
        ("kind", "Kind", &filter.kind),
        ("subject", "Subject", &filter.subject),
        ("directive", "Directive", &filter.directive),
        ("actor", "Actor", &filter.actor),
        ("trace", "Trace", &filter.trace),
        ("stream", "Stream", &filter.stream),
        ("from", "From", &filter.from),
        ("until", "Before", &filter.until),
    ];
    let used = !filter.category.is_empty() || fields.iter().any(|f| !f.2.is_empty());
    html! {
        details.filters #filters open[used] {
            summary { "Filter" @if used { " (in use)" } }
            form method="get" action="/ledger" {
                div.grid {
                    div.field {
                        label for="category" { "Category" }
                        select #category name="category" {
                            option value="" { "any" }
                            @for category in &view.categories { option value=(category) selected[*category == filter.category] { (category) } }
                        }
                    }
                    @for (name, label, value) in fields {
                        div.field { label for=(name) { (label) } input id=(name) type="text" name=(name) value=(text::plain(value)) autocomplete="off" spellcheck="false"; }
                    }
                }
                div.actions { button.primary type="submit" { "Filter" } @if used { a.button href="/ledger" { "All entries" } } }
            }
        }
    }
}

/// Renders an entry.
#[must_use]
pub fn entry_page(frame: &Frame, view: &EntryView) -> Markup {
    let row = &view.row;
    let body = html! {
        header.title {
            p.crumb { a href="/ledger" { "Ledger" } " / " (part::full_id(&row.id)) }
            h1 { "#" (row.seq) " " (text::shown(&row.kind)) }
            p.chips { span.category { (row.category) } " " (part::time(frame.now, row.at)) " by " (part::actor(&row.actor)) " "
                @if view.holds { (chip::chip(chip::Tone::Good, "hashes hold")) } @else { (chip::chip(chip::Tone::Bad, "hashes do not hold")) } }
        }
        div.split {
            div.col {
                (part::section("payload", "Payload", json::pretty_text(&view.payload)))
                @if !view.caused.is_empty() { (part::section("caused", "What it led to", entry_rows(frame.now, &view.caused))) }
            }
            aside.col.side {
                (part::section("links", "Links", html! {
                    (part::facts(&[
                        ("Stream", html! { (text::shown(&short_stream(&row.stream))) ", version " (view.stream_version) }),
                        ("Subject", html! { @if let Some(subject) = &row.subject { (part::subject(subject)) } @else { span.hint { "none" } } }),
                        ("Caused by", link(view.causation.as_deref())),
                        ("Directive", link(view.directive.as_deref())),
                        ("Snapshot", link(view.snapshot.as_deref())),
                        ("Trace", html! { a.id href={ "/ledger?trace=" (text::segment(&view.trace_id)) } title=(text::plain(&view.trace_id)) { (text::pieces(&part::short(&view.trace_id))) } }),
                    ]))
                    p { a href={ "/why/" (text::segment(&row.id)) } { "Why did this happen?" } }
                    nav.pager aria-label="Neighbours" {
                        @if let Some(before) = &view.neighbours.0 { a.button href={ "/ledger/" (text::segment(before)) } { "« Entry before" } }
                        @if let Some(after) = &view.neighbours.1 { a.button href={ "/ledger/" (text::segment(after)) } { "Entry after »" } }
                    }
                }))
                (checkpoint::inclusion(frame, &view.inclusion))
                (part::section("hashes", "Hashes", part::facts(&[
                    ("Payload", part::full_id(&view.payload_hash)),
                    ("Entry before", part::full_id(&view.prev_hash)),
                    ("This entry", part::full_id(&view.hash)),
                ])))
            }
        }
    };
    frame.page(&format!("#{} {}", row.seq, row.kind), body)
}

fn link(id: Option<&str>) -> Markup {
    html! { @match id { Some(id) => (part::id_link(id)), None => span.hint { "none" } } }
}
