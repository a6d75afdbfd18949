//! One record of a tenant's log, the bytes that its hash covers, and the head
//! of a log.
//!
//! `payload_hash` is SHA-256 of the payload's canonical JSON (RFC 8785).
//! `hash` is SHA-256 of `writ.entry.v1`, a line feed, and the canonical JSON of
//! the header: an object with `tenant` and every field of [`Entry`] but `payload`
//! and `hash`, absent ones left out ([`crate::row`]). The header names the
//! tenant and the previous entry's hash, so that an entry fits in one place of
//! one log only.

use kernel::{
    Actor, Category, Digest, DirectiveId, EntryId, SnapshotId, StreamId, Subject, TenantId,
    Timestamp, TraceId,
};

pub use crate::row::DOMAIN;
use crate::row::{Preimage, Texts};
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Borrow;

/// An entry (LED-1), with what it refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Position in the tenant's log, contiguous from 1.
    pub seq: u64,
    /// Its id.
    pub id: EntryId,
    /// Its stream.
    pub stream: StreamId,
    /// Position in the stream, contiguous from 1.
    pub stream_version: u64,
    /// What happened, for example `directive.approved`.
    pub kind: String,
    /// What it is about.
    pub category: Category,
    /// When the command was.
    pub at: Timestamp,
    /// Who acted.
    pub actor: Actor,
    /// The trace that it belongs to.
    pub trace_id: TraceId,
    /// What caused it.
    pub causation: Option<EntryId>,
    /// The subject that it is about.
    pub subject: Option<Subject>,
    /// The directive that it belongs to.
    pub directive: Option<DirectiveId>,
    /// The snapshot that it is bound to.
    pub snapshot: Option<SnapshotId>,
    /// Canonical JSON.
    pub payload: String,
    /// SHA-256 of the payload.
    pub payload_hash: Digest,
    /// Hash of the entry before; zero for the first.
    pub prev_hash: Digest,
    /// Hash of this entry.
    pub hash: Digest,
}

impl Entry {
    /// The canonical JSON of the header.
    #[must_use]
    pub fn header(&self, tenant: TenantId) -> Vec<u8> {
        let texts = Texts::of(self);
        let mut preimage = Preimage::new(tenant);
        let bytes = preimage.write(&texts.row(self));
        bytes.get(DOMAIN.len()..).unwrap_or_default().to_vec()
    }

    /// The entry as people and programs see it, as a value.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        // It has neither keys that are not text nor numbers without a form.
        serde_json::to_value(Shown(self)).unwrap_or_default()
    }

    /// The hash that this entry must have in this tenant's log.
    #[must_use]
    pub fn computed_hash(&self, tenant: TenantId) -> Digest {
        Preimage::new(tenant).hash(&Texts::of(self).row(self))
    }
}

/// An entry as people and programs see it: every field, the payload as JSON. It
/// is written out as it stands in the log, and not read first.
#[derive(Clone, Debug)]
pub struct Shown<E: Borrow<Entry>>(pub E);

impl<E: Borrow<Entry>> Serialize for Shown<E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entry: &Entry = self.0.borrow();
        let payload: Option<&RawValue> = serde_json::from_str(&entry.payload).ok();
        let mut fields = serializer.serialize_struct("Entry", 17)?;
        fields.serialize_field("seq", &entry.seq)?;
        fields.serialize_field("id", &entry.id)?;
        fields.serialize_field("stream", entry.stream.as_str())?;
        fields.serialize_field("stream_version", &entry.stream_version)?;
        fields.serialize_field("kind", &entry.kind)?;
        fields.serialize_field("category", &entry.category)?;
        fields.serialize_field("at", &entry.at)?;
        fields.serialize_field("actor", &entry.actor)?;
        fields.serialize_field("trace_id", &entry.trace_id)?;
        fields.serialize_field("causation", &entry.causation)?;
        fields.serialize_field("subject", &entry.subject)?;
        fields.serialize_field("directive", &entry.directive)?;
        fields.serialize_field("snapshot", &entry.snapshot)?;
        fields.serialize_field("payload", &payload)?;
        fields.serialize_field("payload_hash", &entry.payload_hash)?;
        fields.serialize_field("prev_hash", &entry.prev_hash)?;
        fields.serialize_field("hash", &entry.hash)?;
        fields.end()
    }
}

/// The end of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last entry's position; 0 for an empty log.
    pub seq: u64,
    /// The last entry's hash; zero for an empty log.
    pub hash: Digest,
}

impl Head {
    /// The head of an empty log.
    pub const EMPTY: Self = Self {
        seq: 0,
        hash: Digest::ZERO,
    };
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn sample() -> (TenantId, Entry) {
        let tenant: TenantId = "ten_00000000000070008000000000000001".parse().unwrap();
        let payload = "{\"a\":1}".to_owned();
        let mut entry = Entry {
            seq: 1,
            id: "ent_00000000000070008000000000000002".parse().unwrap(),
            stream: StreamId::new("door", "front \"é\u{1}"),
            stream_version: 1,
            kind: "door.opened".into(),
            category: Category::Action,
            at: Timestamp::parse("2026-03-01T04:05:06.789Z").unwrap(),
            actor: Actor::system("test"),
            trace_id: TraceId::parse("0000000000000000000000000000000a").unwrap(),
            causation: None,
            subject: Some(Subject::parse("service/checkout").unwrap()),
            directive: None,
            snapshot: None,
            payload_hash: Digest::of(payload.as_bytes()),
            payload,
            prev_hash: Digest::ZERO,
            hash: Digest::ZERO,
        };
        entry.hash = entry.computed_hash(tenant);
        (tenant, entry)
    }

    #[test]
    fn the_header_is_canonical_json() {
        let (tenant, mut entry) = sample();
        entry.causation = Some(entry.id);
        entry.directive = Some("dir_00000000000070008000000000000003".parse().unwrap());
        entry.snapshot = Some(SnapshotId(Digest::of(b"x")));
        let header = entry.header(tenant);
        let value = kernel::json::parse(&header).unwrap();
        assert_eq!(value.as_object().unwrap().len(), 16);
        assert_eq!(
            kernel::json::canonical(&value).unwrap().into_bytes(),
            header
        );
    }

    #[test]
    fn the_hash_has_a_known_vector() {
        let (tenant, entry) = sample();
        let by_hand = format!(
            "writ.entry.v1\n{{\"actor\":\"system:test\",\"at\":\"2026-03-01T04:05:06.789000Z\",\
             \"category\":\"ACTION\",\"id\":\"{}\",\"kind\":\"door.opened\",\
             \"payload_hash\":\"015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862\",\
             \"prev_hash\":\"{}\",\"seq\":1,\"stream\":\"door/front \\\"é\\u0001\",\
             \"stream_version\":1,\"subject\":\"service/checkout\",\"tenant\":\"{tenant}\",\
             \"trace_id\":\"0000000000000000000000000000000a\"}}",
            entry.id,
            Digest::ZERO
        );
        assert_eq!(entry.hash, Digest::of(by_hand.as_bytes()));
    }
}
