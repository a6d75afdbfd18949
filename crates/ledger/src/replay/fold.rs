//! Entries in the order of their streams, folded into one state after another.

use super::Difference;
use super::sort::{Batch, Record};
use crate::entry::Entry;
use crate::registry::Registry;
use crate::row::Texts;
use crate::store::{Document, StoreFault};
use kernel::aggregate::State;
use kernel::{Actor, Stamp, StreamId};
use std::sync::Arc;

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
        record: &Record<'_>,
    ) -> Result<Self, String> {
        let (version, created_seq, state) = match before {
            None => (0, record.seq, None),
            Some(b) => (b.version, b.created_seq, Some(b.state)),
        };
        if record.stream_version != version + 1 {
            return Err(format!(
                "stream version {} follows {version}",
                record.stream_version
            ));
        }
        let payload = serde_json::from_str(record.payload)
            .map_err(|e| format!("payload does not parse: {e}"))?;
        let stamp = Stamp {
            at: record.at,
            actor: record.actor.parse::<Actor>().map_err(|e| e.message)?,
            entry: record.id,
            version: record.stream_version,
        };
        let state = registry
            .step(kind(record.stream), state, (record.kind, &payload), &stamp)
            .map_err(|e| e.message)?;
        Ok(Self {
            version: record.stream_version,
            created_seq,
            updated_seq: record.seq,
            state,
        })
    }

    /// The state after this entry of its stream.
    ///
    /// # Errors
    /// A gap in the stream, or an event that cannot follow.
    pub fn after(before: Option<Self>, registry: &Registry, entry: &Entry) -> Result<Self, String> {
        Self::step(before, registry, &Record::of(&Texts::of(entry).row(entry)))
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
}

/// A stream with its state, or with what is wrong with its entries.
pub(super) struct Made {
    pub(super) stream: StreamId,
    pub(super) state: Result<Rebuilt, Difference>,
}

impl Made {
    /// The stream after one more entry; what is wrong stays.
    fn step(self, registry: &Registry, record: &Record<'_>) -> Self {
        let Self { stream, state } = self;
        let state = state.and_then(|before| stepped(Some(before), registry, record));
        Self { stream, state }
    }

    fn first(registry: &Registry, record: &Record<'_>) -> Self {
        Self {
            stream: StreamId::from_stored(record.stream),
            state: stepped(None, registry, record),
        }
    }
}

fn stepped(
    before: Option<Rebuilt>,
    registry: &Registry,
    record: &Record<'_>,
) -> Result<Rebuilt, Difference> {
    Rebuilt::step(before, registry, record).map_err(|what| Difference {
        seq: Some(record.seq),
        stream: Some(record.stream.to_owned()),
        what,
    })
}

/// The fold of records in the order of their streams. It holds one state.
pub(super) struct Folding {
    registry: Registry,
    open: Option<Made>,
    /// Records folded so far.
    pub(super) folded: u64,
}

impl Folding {
    pub(super) fn new(registry: Registry) -> Self {
        Self {
            registry,
            open: None,
            folded: 0,
        }
    }

    /// Folds these records; returns the streams that ended, in order of name.
    /// No records are the end of the last stream.
    ///
    /// # Errors
    /// A record that is not what was written.
    pub(super) fn take(mut self, batch: &Batch) -> Result<(Self, Vec<Made>), StoreFault> {
        let mut ended = Vec::new();
        for record in batch.records() {
            let record = record.ok_or_else(|| {
                StoreFault::Damaged("the scratch file does not hold what was written".into())
            })?;
            self.open = Some(match self.open.take() {
                Some(made) if made.stream.as_str() == record.stream => {
                    made.step(&self.registry, &record)
                }
                other => {
                    ended.extend(other);
                    Made::first(&self.registry, &record)
                }
            });
            self.folded += 1;
        }
        if batch.is_empty() {
            ended.extend(self.open.take());
        }
        Ok((self, ended))
    }
}
