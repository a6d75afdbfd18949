//! Evidence records: immutable, filed once, named by their content. The id is
//! SHA-256 over `writ.evidence.v1`, a line feed and the canonical JSON of
//! `{digest, source, type}`: the same raw body of the same source is one
//! record, however often it comes. Of a personal body only the sealed form is
//! filed, and its mark stands in the id in place of the digest, because a
//! digest of what was erased would let anyone try guesses.

use kernel::{
    Aggregate, Digest, EntryId, EvidenceId, EvidenceType, Ground, Impossible, Refs, Refusal,
    Sealed, Stamp, Subject, Timestamp, Trust, Unit, json, limits,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Most subjects that one record may name.
pub const SUBJECTS_MAX: usize = 1_024;

/// Where the raw body is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// Here, as text.
    Inline(String),
    /// In the object store, under the digest of its bytes.
    Object(Digest),
}

/// What place the body of evidence has among what is sealed of its subjects.
pub const SEALED_PLACE: &str = "evidence";

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The body as it came.
    Plain(Vec<u8>),
    /// The body, sealed before it came here.
    Sealed(Sealed),
}

/// What is filed: a raw body and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filing {
    /// The kind of source.
    pub evidence_type: EvidenceType,
    /// The source, for example `alertmanager`.
    pub source: String,
    /// The source's own id for it; empty when it has none.
    pub source_id: String,
    /// Where it can be read, for example a URL; empty when unknown.
    pub locator: String,
    /// What it is about, as far as is known.
    pub subjects: Vec<Subject>,
    /// How far the source is trusted.
    pub trust: Trust,
    /// When it was so.
    pub observed_at: Timestamp,
    /// The part of writ that brought it in, for example `webhook`.
    pub connector: String,
    /// The media type of the body.
    pub content_type: String,
    /// The body.
    pub body: Content,
}

/// A record of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// By content.
    pub id: EvidenceId,
    /// The kind of source.
    #[serde(rename = "type")]
    pub evidence_type: EvidenceType,
    /// The source.
    pub source: String,
    /// The source's own id for it; empty when it has none.
    pub source_id: String,
    /// Where it can be read; empty when unknown.
    pub locator: String,
    /// What it is about, sorted, without repetition.
    pub subjects: Vec<Subject>,
    /// How far the source is trusted.
    pub trust: Trust,
    /// When it was so.
    pub observed_at: Timestamp,
    /// When writ received it.
    pub fetched_at: Timestamp,
    /// The part of writ that brought it in.
    pub connector: String,
    /// The media type of the body.
    pub content_type: String,
    /// SHA-256 of the body as it is kept: of a personal one, of its sealed
    /// form.
    pub digest: Digest,
    /// The length in bytes of the body as it is kept.
    pub bytes: u64,
    /// The raw body; of a personal one, its sealed form as JSON.
    pub body: Body,
    /// Whose keys a personal body is sealed under; empty for any other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sealed_under: Vec<Subject>,
    /// The entry that filed it; absent in the entry itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<EntryId>,
}

impl Evidence {
    /// The record as the ground of a belief.
    ///
    /// # Errors
    /// When the record has not been filed.
    pub fn ground(&self) -> Result<Ground, Refusal> {
        let entry = self
            .entry
            .ok_or_else(|| Refusal::integrity(format!("`{}` has no entry", self.id)))?;
        Ok(Ground {
            evidence: self.id,
            entry,
            source_type: self.evidence_type.to_string(),
            source_id: self.source_id.clone(),
            locator: self.locator.clone(),
            observed_at: self.observed_at,
        })
    }
}

kernel::events! {
    /// What happens to a record of evidence: it is filed, once.
    pub enum EvidenceEvent {
        /// It was filed.
        Filed(Evidence) = "evidence.filed" in Evidence,
    }
}

impl Aggregate for Evidence {
    const KIND: &'static str = "evidence";
    type Event = EvidenceEvent;

    fn evolve(
        state: Option<Self>,
        event: &EvidenceEvent,
        stamp: &Stamp,
    ) -> Result<Self, Impossible> {
        let EvidenceEvent::Filed(filed) = event;
        match state {
            None => Ok(Self {
                entry: Some(stamp.entry),
                ..filed.clone()
            }),
            Some(_) => Err(Impossible::new("evidence is filed once")),
        }
    }
    fn status(&self) -> &'static str {
        "filed"
    }
    fn refs(&self) -> Refs {
        let only = match self.subjects.as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        };
        Refs {
            subject: only,
            ..Refs::default()
        }
    }
}

/// The outcome of filing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filed {
    /// The record.
    pub id: EvidenceId,
    /// The entry that filed it, now or earlier.
    pub entry: EntryId,
    /// Whether it was filed now.
    pub new: bool,
}

#[derive(Serialize)]
struct Identity<'a> {
    source: &'a str,
    digest: Digest,
    #[serde(rename = "type")]
    evidence_type: EvidenceType,
}

/// The id of a body with this digest from this source.
///
/// # Errors
/// Never in practice: the identity always has a canonical form.
pub fn evidence_id(
    source: &str,
    digest: Digest,
    evidence_type: EvidenceType,
) -> Result<EvidenceId, Refusal> {
    let identity = Identity {
        source,
        digest,
        evidence_type,
    };
    Ok(EvidenceId(Digest::of_value("writ.evidence.v1", &identity)?))
}

/// Files a raw body. A body that is already filed is left as it is.
///
/// # Errors
/// When a text is longer than allowed, too many subjects are named, or storage
/// does not answer.
pub fn file(unit: &mut Unit<'_>, filing: Filing) -> Result<Filed, Refusal> {
    let kept = Kept::of(&filing.body)?;
    let id = evidence_id(&filing.source, kept.identity, filing.evidence_type)?;
    if let Some(known) = unit.find::<Evidence>(id)? {
        let entry = known.ground()?.entry;
        return Ok(Filed {
            id,
            entry,
            new: false,
        });
    }
    check(&filing)?;
    let bytes = u64::try_from(kept.bytes.len()).unwrap_or(u64::MAX);
    let digest = Digest::of(&kept.bytes);
    let body = keep(unit, kept.bytes)?;
    let mut subjects = filing.subjects;
    subjects.sort();
    subjects.dedup();
    let record = Evidence {
        id,
        evidence_type: filing.evidence_type,
        source: filing.source,
        source_id: filing.source_id,
        locator: filing.locator,
        subjects,
        trust: filing.trust,
        observed_at: filing.observed_at,
        fetched_at: unit.ctx().now,
        connector: filing.connector,
        content_type: filing.content_type,
        digest,
        bytes,
        body,
        sealed_under: kept.sealed_under,
        entry: None,
    };
    let (entry, _): (EntryId, Arc<Evidence>) =
        unit.record::<Evidence>(id, EvidenceEvent::Filed(record))?;
    Ok(Filed {
        id,
        entry,
        new: true,
    })
}

/// A body as it is kept, and what names it.
struct Kept {
    bytes: Vec<u8>,
    identity: Digest,
    sealed_under: Vec<Subject>,
}

impl Kept {
    fn of(content: &Content) -> Result<Self, Refusal> {
        match content {
            Content::Plain(bytes) => Ok(Self {
                identity: Digest::of(bytes),
                bytes: bytes.clone(),
                sealed_under: Vec::new(),
            }),
            Content::Sealed(sealed) if sealed.place == SEALED_PLACE => Ok(Self {
                identity: sealed.mark()?,
                bytes: sealed.to_text()?.into_bytes(),
                sealed_under: sealed.keys.iter().map(|k| k.subject.clone()).collect(),
            }),
            Content::Sealed(sealed) => Err(Refusal::integrity(format!(
                "what is sealed as `{}` is no evidence",
                sealed.place
            ))),
        }
    }
}

fn check(filing: &Filing) -> Result<(), Refusal> {
    let names = [
        ("source", &filing.source, limits::NAME_BYTES_MAX),
        ("source_id", &filing.source_id, limits::NAME_BYTES_MAX),
        ("connector", &filing.connector, limits::NAME_BYTES_MAX),
        ("content_type", &filing.content_type, limits::NAME_BYTES_MAX),
        ("locator", &filing.locator, limits::TEXT_BYTES_MAX),
    ];
    for (field, text, max) in names {
        if text.len() > max {
            return Err(Refusal::limit(format!(
                "`{field}` of evidence has {} bytes, allowed are {max}",
                text.len()
            )));
        }
    }
    if filing.source.is_empty() {
        return Err(Refusal::invalid("evidence names no source")
            .hint("every record says where it comes from"));
    }
    if filing.subjects.len() > SUBJECTS_MAX {
        return Err(Refusal::limit(format!(
            "evidence names {} subjects, allowed are {SUBJECTS_MAX}",
            filing.subjects.len()
        )));
    }
    Ok(())
}

/// Text that stays short even as a JSON string is kept in the entry, all else
/// in the object store: control characters take six bytes each in JSON, so the
/// written form is what counts.
fn keep(unit: &mut Unit<'_>, body: Vec<u8>) -> Result<Body, Refusal> {
    if body.len() > limits::EVIDENCE_INLINE_BYTES_MAX {
        return Ok(Body::Object(unit.keep_object(body)));
    }
    match String::from_utf8(body) {
        Ok(text) if json::canonical(&text)?.len() <= 2 * limits::EVIDENCE_INLINE_BYTES_MAX => {
            Ok(Body::Inline(text))
        }
        Ok(text) => Ok(Body::Object(unit.keep_object(text.into_bytes()))),
        Err(raw) => Ok(Body::Object(unit.keep_object(raw.into_bytes()))),
    }
}
