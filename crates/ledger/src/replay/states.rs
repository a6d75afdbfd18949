//! The scratch store of a replay: states in memory, by stream, within a bound.

use super::Difference;
use crate::entry::Entry;
use crate::registry::Registry;
use crate::row::{Row, Rows, Texts};
use crate::store::Document;
use kernel::aggregate::State;
use kernel::{Actor, Stamp, StreamId};
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes that a state takes beside its content and its name, about.
const STATE_BYTES: usize = 400;
/// How much larger than its JSON a state is in memory, about.
const STATE_FACTOR: usize = 3;

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
        let kind = row.stream.split_once('/').map_or("", |(kind, _)| kind);
        let state = registry
            .step(kind, state, (row.kind, &payload), &stamp)
            .map_err(|e| e.message)?;
        Ok(Self {
            version: row.stream_version,
            created_seq,
            updated_seq: row.seq,
            json_bytes: json_bytes + row.payload.len(),
            state,
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
        Ok(Document {
            stream: stream.clone(),
            version: self.version,
            created_seq: self.created_seq,
            updated_seq: self.updated_seq,
            status: self.state.status().to_owned(),
            subject: refs.subject,
            directive: refs.directive,
            due_at: self.state.due(),
            body: self.state.body().map_err(|e| e.to_string())?,
        })
    }

    /// Bytes that it takes in memory, about. Until it is measured again, a
    /// state is taken to have grown by every payload that went into it; it is
    /// measured each time that its version has doubled.
    fn weigh(&mut self) -> usize {
        if self.version > 1 && self.version.is_power_of_two() {
            self.json_bytes = self.state.body().map_or(self.json_bytes, |b| b.len());
        }
        STATE_BYTES + STATE_FACTOR * self.json_bytes
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
/// more memory than allowed, the range is cut at the middle of the names, and
/// the states beyond are dropped: another pass over the log builds them.
pub(super) struct States {
    pub(super) names: Names,
    /// How often the range was cut.
    pub(super) cuts: u32,
    states: HashMap<Box<str>, Rebuilt>,
    applied_seq: u64,
    weight: usize,
    memory_bytes: usize,
}

impl States {
    pub(super) fn new(names: Names, memory_bytes: usize) -> Self {
        Self {
            names,
            cuts: 0,
            states: HashMap::new(),
            applied_seq: 0,
            weight: 0,
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
        let (name, before) = match self.states.remove_entry(row.stream) {
            Some((name, before)) => (name, Some(before)),
            None => (row.stream.into(), None),
        };
        let lighter = before.as_ref().map_or(0, |b| {
            STATE_BYTES + STATE_FACTOR * b.json_bytes + name.len()
        });
        let mut after = Rebuilt::step(before, registry, row)?;
        self.weight += after.weigh() + name.len();
        self.weight = self.weight.saturating_sub(lighter);
        self.states.insert(name, after);
        while self.weight > self.memory_bytes && self.states.len() > 1 {
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
        self.weight = self
            .states
            .iter()
            .map(|(name, s)| STATE_BYTES + STATE_FACTOR * s.json_bytes + name.len())
            .sum();
        self.names.until = Some(until);
        self.cuts += 1;
    }

    /// The states in order of name.
    pub(super) fn into_sorted(self) -> Vec<(StreamId, Rebuilt)> {
        let mut states: Vec<_> = self.states.into_iter().collect();
        states.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let named = states.into_iter();
        named
            .map(|(name, state)| (StreamId::from_stored(&name), state))
            .collect()
    }
}
