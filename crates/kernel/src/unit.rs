//! The unit of work: what one command reads and records. It folds each event
//! as it is recorded, so that the rest of the command sees it, and yields
//! drafts that are appended as one unit or not at all. Pure: storage stands
//! behind [`Reader`].

use crate::aggregate::{Stamp, State};
use crate::{
    Aggregate, Category, Ctx, Digest, DirectiveId, EntryId, Event, Refusal, SnapshotId, Subject,
    limits,
};
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The name of a stream: the kind of aggregate and its id, `directive/dir_…`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(Arc<str>);

impl StreamId {
    /// The stream of this aggregate.
    #[must_use]
    pub fn new(kind: &str, id: impl fmt::Display) -> Self {
        Self(format!("{kind}/{id}").into())
    }
    /// The stream of the aggregate `A` with this id.
    #[must_use]
    pub fn of<A: Aggregate>(id: impl fmt::Display) -> Self {
        Self::new(A::KIND, id)
    }
    /// A stream from its stored name.
    #[must_use]
    pub fn from_stored(name: &str) -> Self {
        Self(name.into())
    }
    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The kind of aggregate.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.0.split_once('/').map_or("", |(kind, _)| kind)
    }
    /// The id within the kind.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, id)| id)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an entry refers to, for queries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refs {
    /// The subject that it is about.
    pub subject: Option<Subject>,
    /// The directive that it belongs to.
    pub directive: Option<DirectiveId>,
    /// The snapshot that it is bound to.
    pub snapshot: Option<SnapshotId>,
}

/// A current state as storage holds it.
#[derive(Clone)]
pub enum Held {
    /// In memory, already typed.
    Typed(u64, Arc<dyn State>),
    /// As canonical JSON.
    Json(u64, String),
}

/// Reads current states for a command. Implemented by the ledger over its
/// store, and by the test kit in memory.
pub trait Reader {
    /// The state of this stream, if it has any entry.
    ///
    /// # Errors
    /// When storage does not answer; the command is refused.
    fn held(&self, stream: &StreamId) -> Result<Option<Held>, Refusal>;
}

/// One entry that is to be appended.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its id.
    pub id: EntryId,
    /// Its stream.
    pub stream: StreamId,
    /// The version of the stream after it, from 1.
    pub version: u64,
    /// Its kind.
    pub kind: &'static str,
    /// Its category.
    pub category: Category,
    /// What caused it.
    pub causation: Option<EntryId>,
    /// What it refers to.
    pub refs: Refs,
    /// Canonical JSON.
    pub payload: String,
}

/// A state that a command changed, or only read: then both versions are one.
#[derive(Clone)]
pub struct Changed {
    /// The stream.
    pub stream: StreamId,
    /// The version that the command found: the expectation.
    pub found: u64,
    /// The version that it leaves.
    pub version: u64,
    /// The state that it leaves.
    pub state: Arc<dyn State>,
}

/// What a command wants to append, as one unit.
#[derive(Clone, Default)]
pub struct Work {
    /// The entries in order.
    pub drafts: Vec<Draft>,
    /// The states after them.
    pub changed: Vec<Changed>,
    /// States that were read as JSON and left as they were, so that whoever
    /// read them need not again.
    pub read: Vec<Changed>,
    /// Large bodies, by digest.
    pub objects: Vec<(Digest, Vec<u8>)>,
}

struct Slot {
    found: u64,
    version: u64,
    state: Option<Arc<dyn State>>,
    /// Whether it was read as JSON.
    is_parsed: bool,
}

/// The unit of work of one command.
pub struct Unit<'a> {
    reader: &'a dyn Reader,
    ctx: &'a Ctx,
    slots: BTreeMap<StreamId, Slot>,
    causation: Option<EntryId>,
    work: Work,
}

impl<'a> Unit<'a> {
    /// A unit that reads through `reader` under these circumstances.
    #[must_use]
    pub fn new(reader: &'a dyn Reader, ctx: &'a Ctx) -> Self {
        Self {
            reader,
            ctx,
            slots: BTreeMap::new(),
            causation: ctx.causation,
            work: Work::default(),
        }
    }

    /// The circumstances.
    #[must_use]
    pub fn ctx(&self) -> &'a Ctx {
        self.ctx
    }

    /// The state of the aggregate with this id, with what this unit recorded.
    ///
    /// # Errors
    /// When storage does not answer or holds what is not an `A`.
    pub fn find<A: Aggregate>(&mut self, id: impl fmt::Display) -> Result<Option<Arc<A>>, Refusal> {
        let stream = StreamId::of::<A>(id);
        let slot = self.slot::<A>(&stream)?;
        slot.state
            .clone()
            .map(|s| typed::<A>(&stream, s))
            .transpose()
    }

    /// The state of the aggregate with this id.
    ///
    /// # Errors
    /// As [`Unit::find`], and `not_found` when there is none.
    pub fn get<A: Aggregate>(&mut self, id: impl fmt::Display) -> Result<Arc<A>, Refusal> {
        let id = id.to_string();
        self.find::<A>(&id)?
            .ok_or_else(|| Refusal::not_found(format!("no {} `{id}`", A::KIND.replace('_', " "))))
    }

    /// The version of the aggregate's stream, 0 when it has no entry.
    ///
    /// # Errors
    /// As [`Unit::find`].
    pub fn version<A: Aggregate>(&mut self, id: impl fmt::Display) -> Result<u64, Refusal> {
        Ok(self.slot::<A>(&StreamId::of::<A>(id))?.version)
    }

    /// Records an event and folds it. Returns the new entry's id and state.
    ///
    /// # Errors
    /// When the event cannot follow the state or a bound is reached.
    pub fn record<A: Aggregate>(
        &mut self,
        id: impl fmt::Display,
        event: A::Event,
    ) -> Result<(EntryId, Arc<A>), Refusal> {
        if self.work.drafts.len() >= limits::UNIT_ENTRIES_MAX {
            return Err(Refusal::limit(format!(
                "one command may append at most {} entries",
                limits::UNIT_ENTRIES_MAX
            )));
        }
        let payload = event.payload()?;
        if payload.len() > limits::ENTRY_PAYLOAD_BYTES_MAX {
            return Err(Refusal::limit(format!(
                "the payload of `{}` has {} bytes, allowed are {}",
                event.kind(),
                payload.len(),
                limits::ENTRY_PAYLOAD_BYTES_MAX
            )));
        }
        let stream = StreamId::of::<A>(id);
        let ctx = self.ctx;
        let entry: EntryId = ctx.next_id();
        let slot = self.slot::<A>(&stream)?;
        let before = match slot.state.clone() {
            Some(state) => Some(Arc::unwrap_or_clone(typed::<A>(&stream, state)?)),
            None => None,
        };
        let stamp = Stamp {
            at: ctx.now,
            actor: ctx.actor.clone(),
            entry,
            version: slot.version + 1,
        };
        let after = Arc::new(A::evolve(before, &event, &stamp)?);
        slot.version = stamp.version;
        slot.state = Some(after.clone());
        self.work.drafts.push(Draft {
            id: entry,
            stream,
            version: stamp.version,
            kind: event.kind(),
            category: event.category(),
            causation: self.causation,
            refs: Aggregate::refs(after.as_ref()),
            payload,
        });
        Ok((entry, after))
    }

    /// From here on, recorded entries are caused by this one. Returns the
    /// cause that was in force, so that it can be put back.
    pub fn caused_by(&mut self, entry: Option<EntryId>) -> Option<EntryId> {
        std::mem::replace(&mut self.causation, entry)
    }

    /// Keeps a large body beside the ledger, by its digest, in the same
    /// transaction.
    pub fn keep_object(&mut self, bytes: Vec<u8>) -> Digest {
        let digest = Digest::of(&bytes);
        if !self.work.objects.iter().any(|(d, _)| *d == digest) {
            self.work.objects.push((digest, bytes));
        }
        digest
    }

    /// The payload of an entry that this unit recorded, as canonical JSON.
    #[must_use]
    pub fn payload(&self, entry: EntryId) -> Option<&str> {
        let recorded = self.work.drafts.iter().rev().find(|d| d.id == entry);
        recorded.map(|draft| draft.payload.as_str())
    }

    /// Whether anything was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.work.drafts.is_empty()
    }

    /// What is to be appended.
    #[must_use]
    pub fn finish(self) -> Work {
        let mut work = self.work;
        for (stream, slot) in self.slots {
            let Some(state) = slot.state else { continue };
            let left = Changed {
                stream,
                found: slot.found,
                version: slot.version,
                state,
            };
            if left.version > left.found {
                work.changed.push(left);
            } else if slot.is_parsed {
                work.read.push(left);
            }
        }
        work
    }

    fn slot<A: Aggregate>(&mut self, stream: &StreamId) -> Result<&mut Slot, Refusal> {
        if !self.slots.contains_key(stream) {
            let held = self.reader.held(stream)?;
            let is_parsed = matches!(held, Some(Held::Json(..)));
            let (version, state) = match held {
                None => (0, None),
                Some(Held::Typed(version, state)) => (version, Some(state)),
                Some(Held::Json(version, body)) => {
                    let state: A = serde_json::from_str(&body).map_err(|e| {
                        Refusal::integrity(format!("state of `{stream}` does not parse: {e}"))
                            .hint("run `writ replay` to compare it with its entries")
                    })?;
                    (version, Some(Arc::new(state) as Arc<dyn State>))
                }
            };
            let found = version;
            self.slots.insert(
                stream.clone(),
                Slot {
                    found,
                    version,
                    state,
                    is_parsed,
                },
            );
        }
        self.slots
            .get_mut(stream)
            .ok_or_else(|| Refusal::integrity(format!("`{stream}` was not loaded")))
    }
}

fn typed<A: Aggregate>(stream: &StreamId, state: Arc<dyn State>) -> Result<Arc<A>, Refusal> {
    let any: Arc<dyn Any + Send + Sync> = state;
    any.downcast::<A>()
        .map_err(|_| Refusal::integrity(format!("`{stream}` is not a `{}`", A::KIND)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Actor, Impossible, TenantId, Timestamp, TraceId};
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, Serialize, Deserialize)]
    struct Added {
        by: u32,
    }
    crate::events! {
        enum CounterEvent { Added(Added) = "counter.added" in System }
    }
    #[derive(Clone, Debug, Serialize, Deserialize)]
    struct Counter {
        total: u32,
    }
    impl Aggregate for Counter {
        const KIND: &'static str = "counter";
        type Event = CounterEvent;
        fn evolve(
            state: Option<Self>,
            event: &CounterEvent,
            _: &Stamp,
        ) -> Result<Self, Impossible> {
            let CounterEvent::Added(added) = event;
            let total = state.map_or(0, |s| s.total).checked_add(added.by);
            Ok(Self {
                total: total.ok_or_else(|| Impossible::new("overflow"))?,
            })
        }
        fn status(&self) -> &'static str {
            "counting"
        }
    }

    struct One;
    impl Reader for One {
        fn held(&self, stream: &StreamId) -> Result<Option<Held>, Refusal> {
            Ok((stream.id() == "old").then(|| Held::Json(3, "{\"total\":10}".into())))
        }
    }

    fn ctx() -> Ctx {
        Ctx::new(
            TenantId(uuid::Uuid::nil()),
            Timestamp::EPOCH,
            Actor::system("test"),
            TraceId::new(1).unwrap(),
            7,
        )
    }

    #[test]
    fn a_unit_sees_what_it_recorded_and_yields_expectations() {
        let ctx = ctx();
        let mut unit = Unit::new(&One, &ctx);
        unit.record::<Counter>("old", CounterEvent::Added(Added { by: 1 }))
            .unwrap();
        let (_, state) = unit
            .record::<Counter>("old", CounterEvent::Added(Added { by: 2 }))
            .unwrap();
        assert_eq!(state.total, 13);
        assert!(unit.find::<Counter>("new").unwrap().is_none());
        let entry = unit.work.drafts[1].id;
        assert_eq!(unit.payload(entry), Some("{\"by\":2}"));
        assert_eq!(unit.payload(EntryId(uuid::Uuid::nil())), None);
        assert_eq!(
            unit.get::<Counter>("new").unwrap_err().code,
            crate::Code::NotFound
        );
        let work = unit.finish();
        assert_eq!(
            work.drafts.iter().map(|d| d.version).collect::<Vec<_>>(),
            [4, 5]
        );
        assert_eq!(work.changed.len(), 1, "what was only read is not changed");
        assert_eq!((work.changed[0].found, work.changed[0].version), (3, 5));
        assert_eq!(work.drafts[0].payload, "{\"by\":1}");
        assert!(work.read.is_empty());
    }

    #[test]
    fn what_was_parsed_and_left_is_handed_back() {
        let ctx = ctx();
        let mut unit = Unit::new(&One, &ctx);
        assert!(unit.find::<Counter>("new").unwrap().is_none());
        assert_eq!(unit.get::<Counter>("old").unwrap().total, 10);
        let work = unit.finish();
        let read: Vec<_> = work
            .read
            .iter()
            .map(|r| (r.stream.id(), r.found, r.version))
            .collect();
        assert_eq!(read, [("old", 3, 3)]);
        assert!(work.changed.is_empty() && work.drafts.is_empty());
    }

    #[test]
    fn an_impossible_event_is_refused_and_leaves_nothing() {
        let ctx = ctx();
        let mut unit = Unit::new(&One, &ctx);
        let fault = unit.record::<Counter>("old", CounterEvent::Added(Added { by: u32::MAX }));
        assert_eq!(fault.unwrap_err().code, crate::Code::Integrity);
        assert!(unit.is_empty());
        assert_eq!(unit.get::<Counter>("old").unwrap().total, 10);
    }
}
