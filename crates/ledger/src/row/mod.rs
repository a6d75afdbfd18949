//! An entry as it is stored, its texts borrowed and not yet taken apart.
//! Whoever checks a whole log needs no more than this: the hashed bytes are
//! written straight from it ([`Preimage`]), and the texts are only looked at
//! for their form. [`Rows`] is a run of them in two allocations.

mod header;
mod read;
mod rows;

pub(crate) use read::by_entries;

pub use header::{DOMAIN, Preimage};
pub use rows::{Broken, Rows, Seqs};

use crate::entry::Entry;
use kernel::{
    Actor, Category, Digest, DirectiveId, EntryId, SnapshotId, StreamId, Subject, Timestamp,
    TraceId,
};

/// One stored entry: what is fixed in size is read, texts are borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// Position in the tenant's log.
    pub seq: u64,
    /// Its id.
    pub id: EntryId,
    /// The name of its stream.
    pub stream: &'a str,
    /// Position in the stream.
    pub stream_version: u64,
    /// What happened.
    pub kind: &'a str,
    /// What it is about.
    pub category: Category,
    /// When the command was.
    pub at: Timestamp,
    /// Who acted, `kind:id`.
    pub actor: &'a str,
    /// The trace that it belongs to.
    pub trace_id: TraceId,
    /// What caused it.
    pub causation: Option<EntryId>,
    /// The subject, `type/id`.
    pub subject: Option<&'a str>,
    /// The directive that it belongs to.
    pub directive: Option<DirectiveId>,
    /// The snapshot that it is bound to.
    pub snapshot: Option<SnapshotId>,
    /// Canonical JSON.
    pub payload: &'a str,
    /// SHA-256 of the payload.
    pub payload_hash: Digest,
    /// Hash of the entry before.
    pub prev_hash: Digest,
    /// Hash of this entry.
    pub hash: Digest,
}

/// What is said of a column whose text no entry can have.
#[must_use]
pub fn unreadable(column: &str, text: &str) -> String {
    format!(
        "column `{column}`: `{}` cannot be read",
        text.escape_debug()
    )
}

impl Row<'_> {
    /// Checks that the texts have a form that an entry can have. What passes
    /// is what [`Row::entry`] reads, and writes as the same text.
    ///
    /// # Errors
    /// The first column that cannot be read.
    pub fn check(&self) -> Result<(), String> {
        if !Actor::is_text(self.actor) {
            return Err(unreadable("actor", self.actor));
        }
        match self.subject {
            Some(subject) if !Subject::is_text(subject) => Err(unreadable("subject", subject)),
            _ => Ok(()),
        }
    }

    /// The entry in this row.
    ///
    /// # Errors
    /// As [`Row::check`].
    pub fn entry(&self) -> Result<Entry, String> {
        let subject = |text: &str| Subject::parse(text).map_err(|_| unreadable("subject", text));
        Ok(Entry {
            seq: self.seq,
            id: self.id,
            stream: StreamId::from_stored(self.stream),
            stream_version: self.stream_version,
            kind: self.kind.to_owned(),
            category: self.category,
            at: self.at,
            actor: self
                .actor
                .parse()
                .map_err(|_| unreadable("actor", self.actor))?,
            trace_id: self.trace_id,
            causation: self.causation,
            subject: self.subject.map(subject).transpose()?,
            directive: self.directive,
            snapshot: self.snapshot,
            payload: self.payload.to_owned(),
            payload_hash: self.payload_hash,
            prev_hash: self.prev_hash,
            hash: self.hash,
        })
    }
}

/// The texts of an entry that its types write themselves.
pub(crate) struct Texts {
    actor: String,
    subject: Option<String>,
}

impl Texts {
    pub(crate) fn of(entry: &Entry) -> Self {
        Self {
            actor: entry.actor.to_string(),
            subject: entry.subject.as_ref().map(ToString::to_string),
        }
    }

    /// The row of `entry`, whose texts these are.
    pub(crate) fn row<'a>(&'a self, entry: &'a Entry) -> Row<'a> {
        Row {
            seq: entry.seq,
            id: entry.id,
            stream: entry.stream.as_str(),
            stream_version: entry.stream_version,
            kind: &entry.kind,
            category: entry.category,
            at: entry.at,
            actor: &self.actor,
            trace_id: entry.trace_id,
            causation: entry.causation,
            subject: self.subject.as_deref(),
            directive: entry.directive,
            snapshot: entry.snapshot,
            payload: &entry.payload,
            payload_hash: entry.payload_hash,
            prev_hash: entry.prev_hash,
            hash: entry.hash,
        }
    }
}

#[cfg(test)]
mod tests;
