//! The scratch store of a replay: states in memory, by stream, within a bound.
//! States that are being folded are open, as the types that they are; when
//! they have filled the memory, they are closed: only their JSON is kept, which
//! is a part of the size, and opened again when their stream goes on.

use super::Difference;
use crate::entry::Entry;
use crate::registry::Registry;
use crate::row::{Row, Rows, Texts};
use crate::store::Document;
use kernel::aggregate::State;
use kernel::{Actor, Stamp, StreamId};
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes that an open state takes beside its content and its name, about.
const STATE_BYTES: usize = 400;
/// How much larger than its JSON an open state is in memory, about.
const STATE_FACTOR: usize = 3;
/// Bytes that a closed state takes beside its JSON and its name, about: its
/// place in the table, of which up to a half is free, and two allocations.
const CLOSED_BYTES: usize = 150;
/// The part of the memory that closed states may fill, in quarters; the rest
/// is for those that are open.
const CLOSED_QUARTERS: usize = 3;

/// A state built by replay.
#[derive(Clone)]
pub struct Rebuilt {
    /// The stream's version.
    pub version: u64,
    /// Position of its first entry.
    pub created_seq: u64,
    /// Position of its last entry.
    pub updated_seq: u64,
    /// The state.
    pub state: Arc<dyn State>,
    /// Bytes of its JSON, about.
    json_bytes: usize,
    /// Its JSON, while it is known.
    body: Option<Box<str>>,
}

/// A closed state.
pub(super) struct Closed {
    version: u64,
    created_seq: u64,
    updated_seq: u64,
    body: Box<str>,
}

impl Closed {
    fn of(rebuilt: &Rebuilt) -> Result<Self, String> {
        let body = match &rebuilt.body {
            Some(body) => body.clone(),
            None => rebuilt.state.body().map_err(|e| e.to_string())?.into(),
        };
        Ok(Self {
            version: rebuilt.version,
            created_seq: rebuilt.created_seq,
            updated_seq: rebuilt.updated_seq,
            body,
        })
    }

    /// Opens the state of this stream.
    ///
    /// # Errors
    /// When the JSON that was made of a state does not make one.
    fn open(self, registry: &Registry, stream: &str) -> Result<Rebuilt, String> {
        let state = registry
            .parse(kind(stream), &self.body)
            .map_err(|e| e.message)?;
        Ok(Rebuilt {
            version: self.version,
            created_seq: self.created_seq,
            updated_seq: self.updated_seq,
            state,
            json_bytes: self.body.len(),
            body: Some(self.body),
        })
    }

    fn weight(&self, name: &str) -> usize {
        CLOSED_BYTES + self.body.len() + name.len()
    }
}

/// A state as it is kept.
pub(super) enum Kept {
    Open(Box<Rebuilt>),
    Closed(Closed),
}

impl Kept {
    pub(super) fn updated_seq(&self) -> u64 {
        match self {
            Self::Open(rebuilt) => rebuilt.updated_seq,
            Self::Closed(closed) => closed.updated_seq,
        }
    }

    /// The state of this stream.
    ///
    /// # Errors
    /// As [`Closed::open`].
    pub(super) fn open(self, registry: &Registry, stream: &str) -> Result<Rebuilt, String> {
        match self {
            Self::Open(rebuilt) => Ok(*rebuilt),
            Self::Closed(closed) => closed.open(registry, stream),
        }
    }

    fn weight(&self, name: &str) -> usize {
        match self {
            Self::Open(rebuilt) => rebuilt.weight(name),
            Self::Closed(closed) => closed.weight(name),
        }
    }
}

/// The first part of a stream's name.
fn kind(stream: &str) -> &str {
    stream.split_once('/').map_or("", |(kind, _)| kind)
}

impl Rebuilt {
    /// The state after one more entry of its stream.
    ///
    /// # Errors
    /// A gap in the stream, or an event that cannot follow.
    pub(super) fn step(
        before: Option<Self>,
        registry: &Registry,
        row: &Row<'_>,
    ) -> Result<Self, String> {
        let (version, created_seq, json_bytes, state) = match before {
            None => (0, row.seq, 0, None),
            Some(b) => (b.version, b.created_seq, b.json_bytes, Some(b.state)),
        };
        if row.stream_version != version + 1 {
            return Err(format!(
                "stream version {} follows {version}",
                row.stream_version
            ));
        }
        let payload = serde_json::from_str(row.payload)
            .map_err(|e| format!("payload does not parse: {e}"))?;
        let stamp = Stamp {
            at: row.at,
            actor: row.actor.parse::<Actor>().map_err(|e| e.message)?,
            entry: row.id,
            version: row.stream_version,
        };
        let state = registry
            .step(kind(row.stream), state, (row.kind, &payload), &stamp)
            .map_err(|e| e.message)?;
        Ok(Self {
            version: row.stream_version,
            created_seq,
            updated_seq: row.seq,
            json_bytes: json_bytes + row.payload.len(),
            state,
            body: None,
        })
    }

    /// The state after this entry of its stream.
    ///
    /// # Errors
    /// A gap in the stream, or an event that cannot follow.
    pub fn after(before: Option<Self>, registry: &Registry, entry: &Entry) -> Result<Self, String> {
        Self::step(before, registry, &Texts::of(entry).row(entry))
    }

    /// What storage must hold for this state.
    ///
    /// # Errors
    /// When the state has no canonical form.
    pub fn document(&self, stream: &StreamId) -> Result<Document, String> {
        let refs = self.state.refs();
        let body = match &self.body {
            Some(body) => body.to_string(),
            None => self.state.body().map_err(|e| e.to_string())?,
        };
        Ok(Document {
            stream: stream.clone(),
            version: self.version,
            created_seq: self.created_seq,
            updated_seq: self.updated_seq,
            status: self.state.status().to_owned(),
            subject: refs.subject,
            directive: refs.directive,
            due_at: self.state.due(),
            body,
        })
    }

    /// Bytes that it takes in memory, about. Until it is measured again, a
    /// state is taken to have grown by every payload that went into it; it is
    /// measured each time that its version has doubled.
    fn measure(&mut self) {
        if self.version > 1 && self.version.is_power_of_two() {
            self.json_bytes = self.state.body().map_or(self.json_bytes, |b| b.len());
        }
    }

    fn weight(&self, name: &str) -> usize {
        STATE_BYTES + STATE_FACTOR * self.json_bytes + name.len()
    }
}

/// Names of streams from one on and before another; `None` is no end.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    pub(super) from: Box<str>,
    pub(super) until: Option<Box<str>>,
}

impl Names {
    pub(super) fn hold(&self, name: &str) -> bool {
        *self.from <= *name && self.until.as_deref().is_none_or(|until| name < until)
    }
}

/// The states of the streams whose names lie within a range. When they take
/// too much memory even if all of them are closed, the range is cut at the
/// middle of the names, and the states beyond are dropped: another pass over
/// the log builds them.
pub(super) struct States {
    pub(super) names: Names,
    /// How often the range was cut.
    pub(super) cuts: u32,
    /// None while a state is being folded on.
    states: HashMap<Box<str>, Option<Kept>>,
    bytes: usize,
    applied_seq: u64,
    memory_bytes: usize,
}

impl States {
    pub(super) fn new(names: Names, memory_bytes: usize) -> Self {
        Self {
            names,
            cuts: 0,
            states: HashMap::new(),
            bytes: 0,
            applied_seq: 0,
            memory_bytes,
        }
    }

    /// Folds a run of rows. A row that was folded already is skipped.
    ///
    /// # Errors
    /// The first row whose event cannot follow.
    pub(super) fn fold(&mut self, registry: &Registry, rows: &Rows) -> Result<(), Difference> {
        for row in rows.iter() {
            if row.seq <= self.applied_seq {
                continue;
            }
            self.applied_seq = row.seq;
            if self.names.hold(row.stream) {
                self.apply(registry, &row).map_err(|what| Difference {
                    seq: Some(row.seq),
                    stream: Some(row.stream.to_owned()),
                    what,
                })?;
            }
        }
        Ok(())
    }

    fn apply(&mut self, registry: &Registry, row: &Row<'_>) -> Result<(), String> {
        let place = self.states.get_mut(row.stream);
        let before = place.and_then(|place| place.take());
        if let Some(before) = &before {
            self.bytes = self.bytes.saturating_sub(before.weight(row.stream));
        }
        let before = before.map(|kept| kept.open(registry, row.stream));
        let mut after = Rebuilt::step(before.transpose()?, registry, row)?;
        after.measure();
        self.bytes += after.weight(row.stream);
        let after = Some(Kept::Open(Box::new(after)));
        match self.states.get_mut(row.stream) {
            Some(place) => *place = after,
            None => drop(self.states.insert(row.stream.into(), after)),
        }
        if self.bytes > self.memory_bytes {
            self.close()?;
        }
        Ok(())
    }

    /// Closes every open state, and drops those of a part of the names when
    /// that leaves too little room. A single state is kept whatever its size.
    fn close(&mut self) -> Result<(), String> {
        for kept in self.states.values_mut().flatten() {
            if let Kept::Open(rebuilt) = kept {
                *kept = Kept::Closed(Closed::of(rebuilt)?);
            }
        }
        self.weigh();
        let most = self.memory_bytes / 4 * CLOSED_QUARTERS;
        while self.bytes > most && self.states.len() > 1 {
            self.cut();
        }
        Ok(())
    }

    /// Drops the states in the upper half of the names.
    fn cut(&mut self) {
        let mut names: Vec<&str> = self.states.keys().map(AsRef::as_ref).collect();
        let middle = names.len() / 2;
        let (_, middle, _) = names.select_nth_unstable(middle);
        let until: Box<str> = (*middle).into();
        self.states.retain(|name, _| **name < *until);
        self.states.shrink_to_fit();
        self.names.until = Some(until);
        self.cuts += 1;
        self.weigh();
    }

    fn weigh(&mut self) {
        let states = self.states.iter();
        self.bytes = states
            .filter_map(|(name, kept)| Some(kept.as_ref()?.weight(name)))
            .sum();
    }

    /// The states in order of name.
    pub(super) fn into_sorted(self) -> Vec<(Box<str>, Kept)> {
        let states = self.states.into_iter();
        let mut states: Vec<_> = states
            .filter_map(|(name, kept)| Some((name, kept?)))
            .collect();
        states.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        states
    }
}
