//! What replay built beside what storage holds, in order of name.

use super::states::{Names, Rebuilt};
use super::{DIFFERENCES_MAX, Difference, Source, stream};
use crate::store::{Document, StoreFault};
use crate::verify::blocking;
use kernel::{Digest, StreamId};
use sha2::{Digest as _, Sha256};
use std::iter::Peekable;
use std::vec::IntoIter;

/// States read from storage at a time.
const PAGE: usize = 500;

/// A stream with the state that replay built and the one that storage holds.
pub(super) struct Pair {
    pub(super) stream: StreamId,
    pub(super) rebuilt: Option<Rebuilt>,
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
    pub(super) fn take(mut self, pairs: impl IntoIterator<Item = Pair>) -> Self {
        for pair in pairs {
            let live = pair.live.as_ref().and_then(Option::as_ref);
            let seq = live
                .map(|live| live.updated_seq)
                .or(pair.rebuilt.as_ref().map(|r| r.updated_seq));
            if let Err(what) = self.one(&pair) {
                self.note(Difference {
                    seq,
                    stream: Some(pair.stream.to_string()),
                    what,
                });
            }
        }
        self
    }

    fn one(&mut self, pair: &Pair) -> Result<(), String> {
        let Some(rebuilt) = &pair.rebuilt else {
            return Err("storage holds a state that no entry made".into());
        };
        let made = rebuilt.document(&pair.stream)?;
        self.states += 1;
        let head = format!("{}\n{}\n", made.stream, made.version);
        for part in [head.as_bytes(), made.body.as_bytes(), b"\n"] {
            self.hasher.update(part);
        }
        match &pair.live {
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
    states: Vec<(StreamId, Rebuilt)>,
    mut compared: Compared,
) -> Result<Compared, StoreFault> {
    let mut rebuilt = states.into_iter().peekable();
    let mut after = before(&names.from);
    loop {
        let page = source
            .store
            .all_documents(source.tenant, after.as_ref(), PAGE)
            .await?;
        let is_last = page.len() < PAGE
            || page.last().is_some_and(|last| {
                let name = last.stream.as_str();
                names.until.as_deref().is_some_and(|until| name >= until)
            });
        after = page.last().map(|last| last.stream.clone());
        let mut pairs = Vec::with_capacity(page.len());
        for live in page {
            if names.hold(live.stream.as_str()) {
                below(&mut rebuilt, Some(&live.stream), &mut pairs);
                pairs.push(pair(source, &mut rebuilt, live, &mut compared).await?);
            }
        }
        if is_last {
            below(&mut rebuilt, None, &mut pairs);
        }
        compared = blocking(move || compared.take(pairs)).await?;
        if is_last || compared.is_full() {
            return Ok(compared);
        }
    }
}

/// Hashes the states of these names; there is nothing to compare them with.
pub(super) async fn alone(
    states: Vec<(StreamId, Rebuilt)>,
    compared: Compared,
) -> Result<Compared, StoreFault> {
    blocking(move || {
        let pairs = states.into_iter().map(|(stream, state)| Pair {
            stream,
            rebuilt: Some(state),
            live: None,
        });
        compared.take(pairs)
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

/// Moves the rebuilt states below this name, of which storage has none.
fn below(
    rebuilt: &mut Peekable<IntoIter<(StreamId, Rebuilt)>>,
    name: Option<&StreamId>,
    pairs: &mut Vec<Pair>,
) {
    let is_below = |(stream, _): &(StreamId, Rebuilt)| name.is_none_or(|name| stream < name);
    while let Some((stream, state)) = rebuilt.next_if(is_below) {
        pairs.push(Pair {
            stream,
            rebuilt: Some(state),
            live: Some(None),
        });
    }
}

async fn pair(
    source: &Source<'_>,
    rebuilt: &mut Peekable<IntoIter<(StreamId, Rebuilt)>>,
    live: Document,
    compared: &mut Compared,
) -> Result<Pair, StoreFault> {
    let found = rebuilt.next_if(|(stream, _)| *stream == live.stream);
    let mut state = found.map(|(_, state)| state);
    if live.updated_seq > source.end.seq {
        let before = state.clone();
        state = match stream::go_on(source, &live.stream, state, live.updated_seq).await? {
            Ok(state) => state,
            Err(difference) => {
                compared.note(difference);
                before
            }
        };
    }
    Ok(Pair {
        stream: live.stream.clone(),
        rebuilt: state,
        live: Some(Some(live)),
    })
}
