//! A run of stored entries, in order, kept in two allocations however many
//! they are: what is fixed in size, and all texts one after another.

use super::{Row, Texts};
use crate::entry::Entry;
use kernel::{Category, Digest, DirectiveId, EntryId, SnapshotId, Timestamp, TraceId};

/// Positions of a log, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seqs {
    /// The first.
    pub from: u64,
    /// The last.
    pub until: u64,
}

/// A row that could not be read, after those that could.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Its position, as far as it is known.
    pub seq: u64,
    /// What is wrong with it.
    pub what: String,
}

/// A run of stored entries.
#[derive(Debug, Default)]
pub struct Rows {
    slots: Vec<Slot>,
    texts: String,
    /// What came after the rows and could not be read.
    pub broken: Option<Broken>,
    /// Whether the run was cut off for its size and there may be more rows.
    pub more: bool,
}

/// Texts of a row, of which the subject may be absent.
const TEXTS: usize = 5;

#[derive(Debug)]
struct Slot {
    seq: u64,
    id: EntryId,
    stream_version: u64,
    category: Category,
    at: Timestamp,
    trace_id: TraceId,
    causation: Option<EntryId>,
    directive: Option<DirectiveId>,
    snapshot: Option<SnapshotId>,
    payload_hash: Digest,
    prev_hash: Digest,
    hash: Digest,
    start: usize,
    /// Bytes of each text; `None` when it is absent.
    lens: [Option<u32>; TEXTS],
}

impl Rows {
    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }
    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
    /// The position of the last row.
    #[must_use]
    pub fn last_seq(&self) -> Option<u64> {
        self.slots.last().map(|slot| slot.seq)
    }
    /// Bytes that the rows take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.texts.len() + self.slots.len() * size_of::<Slot>()
    }

    /// Takes in a copy of one more row.
    pub fn push(&mut self, row: &Row<'_>) {
        let texts = [
            Some(row.stream),
            Some(row.kind),
            Some(row.actor),
            row.subject,
            Some(row.payload),
        ];
        let start = self.texts.len();
        for text in texts.into_iter().flatten() {
            self.texts.push_str(text);
        }
        self.slots.push(Slot {
            seq: row.seq,
            id: row.id,
            stream_version: row.stream_version,
            category: row.category,
            at: row.at,
            trace_id: row.trace_id,
            causation: row.causation,
            directive: row.directive,
            snapshot: row.snapshot,
            payload_hash: row.payload_hash,
            prev_hash: row.prev_hash,
            hash: row.hash,
            start,
            lens: texts.map(|text| text.map(|t| u32::try_from(t.len()).unwrap_or(u32::MAX))),
        });
    }

    /// Takes in one more entry.
    pub fn push_entry(&mut self, entry: &Entry) {
        self.push(&Texts::of(entry).row(entry));
    }

    /// The rows in order.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.slots.iter().map(|slot| self.row(slot))
    }

    fn row<'a>(&'a self, slot: &Slot) -> Row<'a> {
        let mut at = slot.start;
        let texts = slot.lens.map(|len| {
            let until = at + usize::try_from(len?).unwrap_or(0);
            let text = self.texts.get(at..until);
            at = until;
            text
        });
        let [stream, kind, actor, subject, payload] = texts;
        Row {
            seq: slot.seq,
            id: slot.id,
            stream: stream.unwrap_or_default(),
            stream_version: slot.stream_version,
            kind: kind.unwrap_or_default(),
            category: slot.category,
            at: slot.at,
            actor: actor.unwrap_or_default(),
            trace_id: slot.trace_id,
            causation: slot.causation,
            subject,
            directive: slot.directive,
            snapshot: slot.snapshot,
            payload: payload.unwrap_or_default(),
            payload_hash: slot.payload_hash,
            prev_hash: slot.prev_hash,
            hash: slot.hash,
        }
    }
}
