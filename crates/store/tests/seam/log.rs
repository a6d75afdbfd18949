//! Batches by hand: a log as the committer would write it, with entries that
//! a test chooses.

use kernel::{
    Actor, Category, Digest, DirectiveId, EntryId, SnapshotId, StreamId, Subject, TenantId,
    Timestamp, TraceId,
};
use ledger::merkle::Frontier;
use ledger::{Batch, Document, Entry, Head};
use std::collections::BTreeMap;
use testkit::Dice;

/// The end of a log, and what has been written to it.
pub(crate) struct Log {
    pub(crate) tenant: TenantId,
    pub(crate) head: Head,
    pub(crate) entries: Vec<Entry>,
    pub(crate) documents: BTreeMap<StreamId, Document>,
    frontier: Frontier,
    dice: Dice,
    /// Others write this log, too: each entry gets a stream of its own.
    is_joined: bool,
}

const KINDS: [&str; 4] = ["door.opened", "door.closed", "lamp.lit", "lamp.out"];
const CATEGORIES: [Category; 3] = [Category::Action, Category::System, Category::Budget];
const STATUSES: [&str; 3] = ["open", "closed", "lost"];

pub(crate) fn stream(n: usize) -> StreamId {
    StreamId::new(["door", "lamp"][n % 2], format!("n{n}"))
}
pub(crate) fn actor(n: usize) -> Actor {
    Actor::system(["alice", "bob", "carol"][n % 3])
}
pub(crate) fn subject(n: usize) -> Option<Subject> {
    (!n.is_multiple_of(3)).then(|| Subject::new("house", &format!("h{}", n % 5)).unwrap())
}
pub(crate) fn trace(n: usize) -> TraceId {
    TraceId::new(1 + n as u128 % 7).unwrap()
}
pub(crate) fn directive(n: usize) -> Option<DirectiveId> {
    n.is_multiple_of(2)
        .then(|| DirectiveId(uuid::Uuid::from_u128(n as u128 % 4)))
}
pub(crate) fn at(n: usize) -> Timestamp {
    Timestamp::from_micros(1_770_000_000_000_000 + n as i64 * 1_000)
}
pub(crate) fn kind(n: usize) -> &'static str {
    KINDS[n % KINDS.len()]
}
pub(crate) fn category(n: usize) -> Category {
    CATEGORIES[n % CATEGORIES.len()]
}
pub(crate) fn status(n: usize) -> &'static str {
    STATUSES[n % STATUSES.len()]
}

impl Log {
    pub(crate) fn new(tenant: TenantId, seed: u64) -> Self {
        Self {
            tenant,
            head: Head::EMPTY,
            entries: Vec::new(),
            documents: BTreeMap::new(),
            frontier: Frontier::default(),
            dice: Dice::new(seed),
            is_joined: false,
        }
    }

    /// A log that others write, too, from where it stands in this store.
    pub(crate) async fn join(store: &dyn ledger::Store, tenant: TenantId, seed: u64) -> Self {
        let head = store.head(tenant).await.unwrap();
        Self {
            head,
            frontier: Frontier::load(store, tenant, head).await.unwrap(),
            is_joined: true,
            ..Self::new(tenant, seed)
        }
    }

    /// A log that others write, too, with its head here; its tree is not known.
    pub(crate) fn at(tenant: TenantId, seed: u64, head: Head) -> Self {
        Self {
            head,
            is_joined: true,
            ..Self::new(tenant, seed)
        }
    }

    /// The next entries, with everything chosen by chance among a few.
    pub(crate) fn some(&mut self, count: usize) -> Batch {
        let expected = self.head;
        let entries: Vec<Entry> = (0..count).map(|_| self.next()).collect();
        self.entries.extend(entries.iter().cloned());
        let mut documents = BTreeMap::new();
        for entry in &entries {
            let document = self.document(entry);
            self.documents
                .insert(entry.stream.clone(), document.clone());
            documents.insert(entry.stream.clone(), document);
        }
        Batch {
            tenant: self.tenant,
            expected,
            entries,
            documents: documents.into_values().collect(),
            objects: Vec::new(),
            grown: self.frontier.take_grown(),
        }
    }

    fn next(&mut self) -> Entry {
        let dice = &mut self.dice;
        // Some are so long that a store need not keep them twice.
        let text = "é \\u0000".repeat(if self.head.seq.is_multiple_of(2) {
            1
        } else {
            60
        });
        let payload = format!("{{\"n\":{},\"text\":\"{text}\"}}", self.head.seq);
        let id = (u128::from(dice.bits()) << 64) | u128::from(dice.bits());
        let id = EntryId(uuid::Uuid::from_u128(id));
        let stream = if self.is_joined {
            StreamId::new("door", id)
        } else {
            stream(dice.roll(12))
        };
        let before = self.documents.get(&stream).map_or(0, |d| d.version);
        let pending = self.entries.iter().rev().find(|e| e.stream == stream);
        let snapshot = SnapshotId(Digest::of(payload.as_bytes()));
        let mut entry = Entry {
            seq: self.head.seq + 1,
            id,
            stream_version: pending.map_or(before, |e| e.stream_version.max(before)) + 1,
            stream,
            kind: kind(dice.roll(4)).into(),
            category: category(dice.roll(3)),
            at: at(dice.roll(1000)),
            actor: actor(dice.roll(3)),
            trace_id: trace(dice.roll(7)),
            causation: (dice.roll(2) == 0)
                .then(|| EntryId(uuid::Uuid::from_u128(id.0.as_u128() ^ 1))),
            subject: subject(dice.roll(15)),
            directive: directive(dice.roll(8)),
            snapshot: (dice.roll(2) == 0).then_some(snapshot),
            payload_hash: Digest::of(payload.as_bytes()),
            payload,
            prev_hash: self.head.hash,
            hash: Digest::ZERO,
        };
        entry.hash = entry.computed_hash(self.tenant);
        self.head = Head {
            seq: entry.seq,
            hash: entry.hash,
        };
        self.frontier.push(entry.hash, entry.at);
        // Two entries of one batch may be of one stream.
        let document = self.document(&entry);
        self.documents.insert(entry.stream.clone(), document);
        entry
    }

    fn document(&mut self, entry: &Entry) -> Document {
        let before = self.documents.get(&entry.stream);
        let created_seq = before.map_or(entry.seq, |d| d.created_seq);
        Document {
            stream: entry.stream.clone(),
            version: entry.stream_version,
            created_seq,
            updated_seq: entry.seq,
            status: status(usize::try_from(entry.seq).unwrap()).into(),
            subject: entry.subject.clone(),
            directive: entry.directive,
            due_at: entry.seq.is_multiple_of(3).then_some(entry.at),
            body: format!(
                "{{\"ü\":{},\"version\":{}}}",
                entry.payload, entry.stream_version
            ),
        }
    }
}
