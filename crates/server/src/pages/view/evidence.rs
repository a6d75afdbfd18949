//! Evidence and what is believed because of it: references, records,
//! snapshots.

use super::part;
use super::{Frame, chip, json, text};
use kernel::{Ratio, Timestamp};
use maud::{Markup, html};
use serde_json::Value;

/// A reference to evidence, as a step makes it.
#[derive(Clone, Debug)]
pub struct EvidenceRef {
    /// How the step names it.
    pub label: String,
    /// The record, where it is known.
    pub evidence: Option<String>,
}

/// A record that a snapshot rests on.
#[derive(Clone, Debug)]
pub struct GroundView {
    /// The record.
    pub evidence: String,
    /// The entry that filed it.
    pub entry: String,
    /// The kind of source.
    pub source_type: String,
    /// The source's own id.
    pub source_id: String,
    /// Where it can be read.
    pub locator: String,
    /// When it was observed.
    pub observed_at: Timestamp,
}

/// What one source says of a field.
#[derive(Clone, Debug)]
pub struct ClaimView {
    /// The value.
    pub value: Value,
    /// The source.
    pub source: String,
    /// How far it is trusted.
    pub trust: String,
    /// When it was so.
    pub observed_at: Timestamp,
    /// The record.
    pub evidence: String,
}

/// What is believed of a field.
#[derive(Clone, Debug)]
pub struct FieldView {
    /// The field.
    pub field: String,
    /// The claim that won.
    pub claim: ClaimView,
    /// How sure that is.
    pub confidence: Ratio,
    /// Other live claims.
    pub contradictions: Vec<ClaimView>,
}

/// A frozen world state.
#[derive(Clone, Debug)]
pub struct SnapshotView {
    /// Its id.
    pub id: String,
    /// Of what.
    pub subject: String,
    /// The schema, for example `service v1`.
    pub schema: String,
    /// The schema's hash.
    pub schema_hash: String,
    /// The version of the state.
    pub state_version: u64,
    /// Field by field.
    pub fields: Vec<FieldView>,
    /// The records behind it.
    pub grounds: Vec<GroundView>,
}

/// A record of evidence.
#[derive(Clone, Debug)]
pub struct EvidenceView {
    /// Its id.
    pub id: String,
    /// The kind of source.
    pub kind: String,
    /// The source.
    pub source: String,
    /// The source's own id.
    pub source_id: String,
    /// Where it can be read.
    pub locator: String,
    /// What it is about.
    pub subjects: Vec<String>,
    /// How far the source is trusted.
    pub trust: String,
    /// When it was so.
    pub observed_at: Timestamp,
    /// When it was received.
    pub fetched_at: Timestamp,
    /// The part of writ that brought it in.
    pub connector: String,
    /// The media type.
    pub content_type: String,
    /// SHA-256 of the body.
    pub digest: String,
    /// Length in bytes.
    pub bytes: u64,
    /// The body.
    pub body: BodyView,
    /// The entry that filed it.
    pub entry: Option<String>,
}

/// The body of a record.
#[derive(Clone, Debug)]
pub enum BodyView {
    /// Sealed, with what has become of it.
    Sealed(String),
    /// As text.
    Text(String),
    /// The beginning of a long text.
    Cut(String),
    /// It is not text.
    Binary,
    /// It is not kept, or cannot be read.
    Missing,
}

/// References in one line.
#[must_use]
pub fn evidence_refs(refs: &[EvidenceRef]) -> Markup {
    html! {
        @for (at, reference) in refs.iter().enumerate() {
            @if at > 0 { ", " }
            @match &reference.evidence {
                Some(id) => a href={ "/evidence/" (text::segment(id)) } { (text::shown(&reference.label)) },
                None => (text::shown(&reference.label)),
            }
        }
    }
}

/// The records behind a belief.
#[must_use]
pub fn grounds(now: Timestamp, grounds: &[GroundView]) -> Markup {
    html! {
        @if grounds.is_empty() { (part::empty("No evidence.")) }
        ul.evidence {
            @for ground in grounds {
                li {
                    a href={ "/evidence/" (text::segment(&ground.evidence)) } { (text::shown(&ground.source_type)) " " (text::shown(&part::short(&ground.source_id))) }
                    " " span.hint { "observed " (part::brief_time(now, ground.observed_at)) " · entry " (part::id_link(&ground.entry)) }
                    @if !ground.locator.is_empty() { div.locator { (text::outside_link(&ground.locator)) } }
                }
            }
        }
    }
}

/// The fields of a snapshot.
#[must_use]
pub fn snapshot_panel(now: Timestamp, view: &SnapshotView) -> Markup {
    html! {
        p.hint { "Snapshot " (part::id_link(&view.id)) " of " (part::subject(&view.subject)) ", "
            (text::shown(&view.schema)) ", state version " (view.state_version) }
        div.scroll tabindex="0" role="region" aria-label="Fields" {
            table.stack {
                thead { tr { th scope="col" { "Field" } th scope="col" { "Value" } th.num scope="col" { "Sure" } th scope="col" { "Source" } th scope="col" { "Age" } } }
                tbody {
                    @for field in &view.fields {
                        tr.conflict[!field.contradictions.is_empty()] {
                            th scope="row" { (text::shown(&field.field)) }
                            td data-label="Value" { (json::inline(&field.claim.value))
                                @for other in &field.contradictions {
                                    p.contradiction { (chip::chip(chip::Tone::Warn, "contradicted")) " "
                                        (text::shown(&other.source)) " says " (json::inline(&other.value)) ", "
                                        (part::brief_time(now, other.observed_at)) " " (part::id_link(&other.evidence)) }
                                }
                            }
                            td.num data-label="Sure" { (format!("{:.2}", field.confidence)) }
                            td data-label="Source" { a href={ "/evidence/" (text::segment(&field.claim.evidence)) } { (text::shown(&field.claim.source)) }
                                " " span.hint { (text::shown(&field.claim.trust.replace('_', " "))) } }
                            td data-label="Age" { (part::brief_time(now, field.claim.observed_at)) }
                        }
                    }
                }
            }
        }
    }
}

/// The page of a snapshot.
#[must_use]
pub fn snapshot_page(frame: &Frame, view: &SnapshotView) -> Markup {
    let body = html! {
        header.title {
            p.crumb { "Snapshot / " (part::full_id(&view.id)) }
            h1 { (text::shown(&view.subject)) }
            p.hint { (text::shown(&view.schema)) ", schema " (part::id_text(&view.schema_hash)) " · a frozen world state: it never changes." }
        }
        (part::section("fields", "What was believed", snapshot_panel(frame.now, view)))
        (part::section("evidence", "Evidence", grounds(frame.now, &view.grounds)))
    };
    frame.page(&format!("Snapshot of {}", view.subject), body)
}

/// The page of a record of evidence.
#[must_use]
pub fn evidence_page(frame: &Frame, view: &EvidenceView) -> Markup {
    let now = frame.now;
    let body = html! {
        header.title {
            p.crumb { "Evidence / " (part::full_id(&view.id)) }
            h1 { (text::shown(&view.source)) " " (text::shown(&view.kind)) }
        }
        (part::section("facts", "Where it comes from", part::facts(&[
            ("Source", html! { (text::shown(&view.source)) @if !view.source_id.is_empty() { " " code { (text::shown(&view.source_id)) } } }),
            ("Trust", text::shown(&view.trust.replace('_', " "))),
            ("Read at", html! { @if view.locator.is_empty() { "nowhere else" } @else { (text::outside_link(&view.locator)) } }),
            ("Subjects", html! { @for subject in &view.subjects { (part::subject(subject)) " " } }),
            ("Observed", part::time(now, view.observed_at)),
            ("Received", html! { (part::time(now, view.fetched_at)) " by " (text::shown(&view.connector)) }),
            ("Body", html! { (view.bytes) " bytes of " (text::shown(&view.content_type)) }),
            ("SHA-256", part::full_id(&view.digest)),
            ("Entry", html! { @if let Some(entry) = &view.entry { (part::id_link(entry)) } }),
        ])))
        (part::section("body", "As it came", match &view.body {
            BodyView::Text(text) => json::pretty_text(text),
            BodyView::Cut(text) => html! { (json::pretty_text(text)) p.hint { "The rest is left out here; the API gives all of it." } },
            BodyView::Binary => part::empty("It is not text. The API gives the bytes."),
            BodyView::Sealed(fate) => html! { p.sealed { (text::shown(fate)) } },
            BodyView::Missing => part::empty("The body is not kept in this store."),
        }))
    };
    frame.page("Evidence", body)
}
