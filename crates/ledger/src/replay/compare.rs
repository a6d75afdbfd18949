//! What replay built beside what storage holds, in order of name.

use super::states::{Kept, Names};
use super::{DIFFERENCES_MAX, Difference, Source, stream};
use crate::registry::Registry;
use crate::store::{Document, StoreFault};
use crate::verify::blocking;
use kernel::{Digest, StreamId};
use sha2::{Digest as _, Sha256};
use std::iter::Peekable;
use std::sync::Arc;
use std::vec::IntoIter;

/// States read from storage at a time.
const PAGE: usize = 2_000;

/// A stream with the state that replay built and the one that storage holds.
pub(super) struct Pair {
    pub(super) stream: StreamId,
    pub(super) made: Option<Kept>,
    /// `None` when nothing is to be compared; else what storage holds.
    pub(super) live: Option<Option<Document>>,
}

/// What was compared so far.
#[derive(Default)]
pub(super) struct Compared {
    hasher: Sha256,
    pub(super) states: u64,
    pub(super) differences: Vec<Difference>,
}

impl Compared {
    pub(super) fn state_hash(&self) -> Digest {
        Digest(self.hasher.clone().finalize().into())
    }

    pub(super) fn is_full(&self) -> bool {
        self.differences.len() >= DIFFERENCES_MAX
    }

    pub(super) fn note(&mut self, difference: Difference) {
        if !self.is_full() {
            self.differences.push(difference);
        }
    }

    /// Hashes and compares these, which stand in order of name.
    pub(super) fn take(
        mut self,
        registry: &Registry,
        pairs: impl IntoIterator<Item = Pair>,
    ) -> Self {
        for pair in pairs {
            let Pair { stream, made, live } = pair;
            let seq = live
                .as_ref()
                .and_then(Option::as_ref)
                .map(|live| live.updated_seq)
                .or(made.as_ref().map(Kept::updated_seq));
            if let Err(what) = self.one(registry, &stream, made, live.as_ref()) {
                self.note(Difference {
                    seq,
                    stream: Some(stream.to_string()),
                    what,
                });
            }
        }
        self
    }

    fn one(
        &mut self,
        registry: &Registry,
        stream: &StreamId,
        made: Option<Kept>,
        live: Option<&Option<Document>>,
    ) -> Result<(), String> {
        let Some(made) = made else {
            return Err("storage holds a state that no entry made".into());
        };
        let made = made.open(registry, stream.as_str())?.document(stream)?;
        self.states += 1;
        let head = format!("{}\n{}\n", made.stream, made.version);
        for part in [head.as_bytes(), made.body.as_bytes(), b"\n"] {
            self.hasher.update(part);
        }
        match live {
            None => Ok(()),
            Some(None) => Err("storage holds no state of it".into()),
            Some(Some(live)) => same(&made, live),
        }
    }
}

fn same(made: &Document, live: &Document) -> Result<(), String> {
    let checks = [
        ("version", made.version == live.version),
        ("position", made.updated_seq == live.updated_seq),
        ("first position", made.created_seq == live.created_seq),
        ("status", made.status == live.status),
        ("subject", made.subject == live.subject),
        ("directive", made.directive == live.directive),
        ("due time", made.due_at == live.due_at),
        ("state", made.body == live.body),
    ];
    match checks.iter().find(|(_, equal)| !equal) {
        None => Ok(()),
        Some((what, _)) => Err(format!("its {what} is not what its entries make")),
    }
}

/// Compares the states of these names, built from the entries up to `end`,
/// with those that storage holds. A state that has moved on since is first
/// brought to where storage holds it.
pub(super) async fn with_live(
    source: &Source<'_>,
    names: &Names,
    states: Vec<(Box<str>, Kept)>,
    mut compared: Compared,
) -> Result<Compared, StoreFault> {
    let registry = Arc::new(source.registry.clone());
    let mut states = states.into_iter().peekable();
    let mut ahead = page(source, names, before(&names.from)).await?;
    loop {
        let Page { held, after } = ahead;
        let mut pairs = Vec::with_capacity(held.len());
        for live in held {
            below(&mut states, Some(live.stream.as_str()), &mut pairs);
            pairs.push(pair(source, &mut states, live, &mut compared).await?);
        }
        if after.is_none() {
            below(&mut states, None, &mut pairs);
        }
        let registry = registry.clone();
        let compare = blocking(move || compared.take(&registry, pairs));
        let Some(after) = after else {
            return compare.await;
        };
        let (next, done) = tokio::join!(page(source, names, Some(after)), compare);
        (ahead, compared) = (next?, done?);
        if compared.is_full() {
            return Ok(compared);
        }
    }
}

/// States that storage holds of some names, and the stream after which there
/// may be more.
struct Page {
    held: Vec<Document>,
    after: Option<StreamId>,
}

async fn page(
    source: &Source<'_>,
    names: &Names,
    after: Option<StreamId>,
) -> Result<Page, StoreFault> {
    let store = source.store;
    let mut held = store
        .all_documents(source.tenant, after.as_ref(), PAGE)
        .await?;
    let beyond = |name: &str| names.until.as_deref().is_some_and(|until| name >= until);
    let last = held.last().map(|last| last.stream.clone());
    let after = last.filter(|last| held.len() == PAGE && !beyond(last.as_str()));
    held.retain(|live| names.hold(live.stream.as_str()));
    Ok(Page { held, after })
}

/// Hashes the states of these names; there is nothing to compare them with.
pub(super) async fn alone(
    source: &Source<'_>,
    states: Vec<(Box<str>, Kept)>,
    compared: Compared,
) -> Result<Compared, StoreFault> {
    let registry = source.registry.clone();
    blocking(move || {
        let pairs = states.into_iter().map(|(name, state)| Pair {
            stream: StreamId::from_stored(&name),
            made: Some(state),
            live: None,
        });
        compared.take(&registry, pairs)
    })
    .await
}

/// A name after which every name from `from` on stands: its own without the
/// last letter.
fn before(from: &str) -> Option<StreamId> {
    let mut chars = from.chars();
    chars.next_back()?;
    Some(StreamId::from_stored(chars.as_str())).filter(|name| !name.as_str().is_empty())
}

type States = Peekable<IntoIter<(Box<str>, Kept)>>;

/// Moves the states below this name, of which storage has none.
fn below(states: &mut States, until: Option<&str>, pairs: &mut Vec<Pair>) {
    let is_below = |(name, _): &(Box<str>, Kept)| until.is_none_or(|until| **name < *until);
    while let Some((name, state)) = states.next_if(is_below) {
        pairs.push(Pair {
            stream: StreamId::from_stored(&name),
            made: Some(state),
            live: Some(None),
        });
    }
}

async fn pair(
    source: &Source<'_>,
    states: &mut States,
    live: Document,
    compared: &mut Compared,
) -> Result<Pair, StoreFault> {
    let stream = live.stream.clone();
    let found = states.next_if(|(name, _)| **name == *stream.as_str());
    let mut made = found.map(|(_, state)| state);
    if live.updated_seq > source.end.seq {
        let state = made
            .take()
            .map(|made| made.open(source.registry, stream.as_str()));
        let before = match state.transpose() {
            Ok(before) => before,
            Err(what) => {
                compared.note(Difference {
                    seq: None,
                    stream: Some(stream.to_string()),
                    what,
                });
                None
            }
        };
        let now = stream::go_on(source, &stream, before.clone(), live.updated_seq).await?;
        let now = now.unwrap_or_else(|difference| {
            compared.note(difference);
            before
        });
        made = now.map(|state| Kept::Open(Box::new(state)));
    }
    Ok(Pair {
        stream,
        made,
        live: Some(Some(live)),
    })
}
