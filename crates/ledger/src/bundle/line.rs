//! The lines of a bundle, written and parsed. What the members must be is
//! checked here; whether they are true is checked in [`super::read`].

use super::{FORMAT, SEQ_MAX};
use crate::entry::Entry;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kernel::json::{self, JsonFault};
use kernel::{
    Actor, Category, Digest, DirectiveId, EntryId, SnapshotId, StreamId, Subject, TenantId,
    Timestamp, TraceId, limits,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The checkpoint as a signed note.
    pub checkpoint: String,
    /// Position of the first entry.
    pub first: u64,
    /// [`FORMAT`].
    pub format: String,
    /// Keys that may have signed, for information.
    pub keys: Vec<String>,
    /// Position of the last entry.
    pub last: u64,
    /// The range proof.
    pub proof: Vec<Digest>,
    /// Whose log.
    pub tenant: TenantId,
}

impl Head {
    /// The head as a line.
    ///
    /// # Errors
    /// Never for a head that can be made.
    pub fn to_line(&self) -> Result<Vec<u8>, JsonFault> {
        Ok(line(json::canonical(self)?))
    }

    /// The head in this line; `None` when it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let head: Self = serde_json::from_str(text).ok()?;
        let fits = head.format == FORMAT && 1 <= head.first && head.first <= head.last;
        (fits && head.last <= SEQ_MAX).then_some(head)
    }

    /// The leaves of the tree that the entries are, from 0.
    #[must_use]
    pub fn leaves(&self) -> std::ops::Range<u64> {
        self.first.saturating_sub(1)..self.last
    }
}

fn line(mut text: String) -> Vec<u8> {
    text.push('\n');
    text.into_bytes()
}

/// An entry as a line. The payload must be canonical, as it is in a log.
#[must_use]
pub fn entry_line(tenant: TenantId, entry: &Entry) -> Vec<u8> {
    let mut line = format!("{{\"hash\":\"{}\",\"header\":", entry.hash).into_bytes();
    line.extend(entry.header(tenant));
    line.extend(b",\"payload\":");
    line.extend(entry.payload.as_bytes());
    line.extend(b"}\n");
    line
}

/// A large body as a line.
#[must_use]
pub fn object_line(digest: Digest, bytes: &[u8]) -> Vec<u8> {
    let encoded = STANDARD.encode(bytes);
    line(format!(
        "{{\"bytes\":\"{encoded}\",\"digest\":\"{digest}\"}}"
    ))
}

/// The last line.
#[must_use]
pub fn end_line(entries: u64, objects: u64) -> Vec<u8> {
    line(format!(
        "{{\"end\":{{\"entries\":{entries},\"objects\":{objects}}}}}"
    ))
}

/// Header and payload with the bytes that they have in the line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts<'a> {
    hash: Digest,
    #[serde(borrow)]
    header: &'a RawValue,
    #[serde(borrow)]
    payload: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    actor: Actor,
    at: Timestamp,
    category: Category,
    causation: Option<EntryId>,
    directive: Option<DirectiveId>,
    id: EntryId,
    kind: String,
    payload_hash: Digest,
    prev_hash: Digest,
    seq: u64,
    snapshot: Option<SnapshotId>,
    stream: String,
    stream_version: u64,
    subject: Option<Subject>,
    tenant: TenantId,
    trace_id: TraceId,
}

/// The entry in this canonical line, and the tenant that it names; `None` when
/// the line is no entry's.
pub(crate) fn parse_entry(text: &str) -> Option<(TenantId, Entry)> {
    let parts: Parts<'_> = serde_json::from_str(text).ok()?;
    let header: Header = serde_json::from_str(parts.header.get()).ok()?;
    let positions = [header.seq, header.stream_version];
    let named = !header.kind.is_empty() && !header.stream.is_empty();
    let fits = named && positions.iter().all(|n| (1..=SEQ_MAX).contains(n));
    if !fits || parts.payload.get().len() > limits::ENTRY_PAYLOAD_BYTES_MAX {
        return None;
    }
    let entry = Entry {
        seq: header.seq,
        id: header.id,
        stream: StreamId::from_stored(&header.stream),
        stream_version: header.stream_version,
        kind: header.kind,
        category: header.category,
        at: header.at,
        actor: header.actor,
        trace_id: header.trace_id,
        causation: header.causation,
        subject: header.subject,
        directive: header.directive,
        snapshot: header.snapshot,
        payload: parts.payload.get().to_owned(),
        payload_hash: header.payload_hash,
        prev_hash: header.prev_hash,
        hash: parts.hash,
    };
    // A member that is written in another way than writ does, such as an
    // instant with an offset or a `null`, would be hashed in another way.
    let same = entry.header(header.tenant) == parts.header.get().as_bytes();
    same.then_some((header.tenant, entry))
}

/// An object's line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectParts {
    bytes: String,
    digest: Digest,
}

/// The large body in this line with the digest that it claims; `None` when
/// the line is no object's.
pub(crate) fn parse_object(text: &str) -> Option<(Digest, Vec<u8>)> {
    let parts: ObjectParts = serde_json::from_str(text).ok()?;
    Some((parts.digest, STANDARD.decode(parts.bytes).ok()?))
}
