//! What replay built beside what storage holds, in order of name.

use super::fold::{Made, Rebuilt};
use super::{DIFFERENCES_MAX, Difference, Source, stream};
use crate::registry::Registry;
use crate::store::{Document, StoreFault};
use crate::verify::blocking;
use kernel::{Digest, StreamId};
use sha2::{Digest as _, Sha256};
use std::cmp::Ordering;
use std::collections::VecDeque;

/// States read from storage at a time.
const PAGE: usize = 1_000;

/// A stream with the state that replay built and the one that storage holds.
pub(super) struct Pair {
    pub(super) stream: StreamId,
    pub(super) made: Option<Result<Rebuilt, Difference>>,
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
            if let Err(difference) = self.one(pair) {
                self.note(difference);
            }
        }
        self
    }

    fn one(&mut self, pair: Pair) -> Result<(), Difference> {
        let Pair { stream, made, live } = pair;
        let made = made.transpose()?;
        let stored = live.as_ref().and_then(Option::as_ref);
        let seq = stored
            .map(|live| live.updated_seq)
            .or(made.as_ref().map(|made| made.updated_seq));
        let difference = |what| Difference {
            seq,
            stream: Some(stream.to_string()),
            what,
        };
        let Some(made) = made else {
            return Err(difference(
                "storage holds a state that no entry made".into(),
            ));
        };
        let made = made.document(&stream).map_err(difference)?;
        self.states += 1;
        let head = format!("{}\n{}\n", made.stream, made.version);
        for part in [head.as_bytes(), made.body.as_bytes(), b"\n"] {
            self.hasher.update(part);
        }
        match &live {
            None => Ok(()),
            Some(None) => Err(difference("storage holds no state of it".into())),
            Some(Some(live)) => same(&made, live).map_err(difference),
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

/// The states that storage holds, read on in order of name.
#[derive(Default)]
struct Live {
    held: VecDeque<Document>,
    /// The name of the last one that was read.
    last: Option<StreamId>,
    ended: bool,
}

impl Live {
    /// The next state whose name is not beyond `until`; `None` is no bound.
    async fn next(
        &mut self,
        source: &Source<'_>,
        until: Option<&StreamId>,
    ) -> Result<Option<Document>, StoreFault> {
        if self.held.is_empty() && !self.ended {
            let after = self.last.as_ref();
            let page = source.store.all_documents(source.tenant, after, PAGE);
            let page = page.await?;
            self.ended = page.len() < PAGE;
            self.last = page
                .last()
                .map(|last| last.stream.clone())
                .or(self.last.take());
            self.held.extend(page);
        }
        let is_beyond = |live: &Document| until.is_some_and(|until| live.stream > *until);
        Ok(match self.held.front().is_none_or(is_beyond) {
            true => None,
            false => self.held.pop_front(),
        })
    }
}

/// The comparison of a whole log's states, as they are built in order of name.
pub(super) struct Comparing<'a> {
    source: Source<'a>,
    /// `None` when there is nothing to compare with.
    live: Option<Live>,
    compared: Compared,
}

impl<'a> Comparing<'a> {
    /// With the live states, or of what was built alone.
    pub(super) fn new(source: Source<'a>, with_live: bool) -> Self {
        Self {
            source,
            live: with_live.then(Live::default),
            compared: Compared::default(),
        }
    }

    pub(super) fn registry(&self) -> &Registry {
        self.source.registry
    }

    pub(super) fn is_full(&self) -> bool {
        self.compared.is_full()
    }

    /// What was compared, when the rest is left.
    pub(super) fn so_far(self) -> Compared {
        self.compared
    }

    /// Compares the states that were built next. What storage holds before the
    /// last of them, no entry made.
    pub(super) async fn take(&mut self, made: Vec<Made>) -> Result<(), StoreFault> {
        let until = made.last().map(|last| last.stream.clone());
        match until {
            None => Ok(()),
            Some(until) => self.until(made, Some(&until)).await,
        }
    }

    /// Ends the comparison: what storage holds beyond, no entry made.
    pub(super) async fn end(mut self) -> Result<Compared, StoreFault> {
        self.until(Vec::new(), None).await?;
        Ok(self.compared)
    }

    async fn until(&mut self, made: Vec<Made>, until: Option<&StreamId>) -> Result<(), StoreFault> {
        let mut made = made.into_iter().peekable();
        loop {
            let mut pairs = Vec::new();
            while pairs.len() < PAGE {
                match self.pair(&mut made, until).await? {
                    Some(pair) => pairs.push(pair),
                    None => break,
                }
            }
            let is_last = pairs.len() < PAGE;
            let compared = std::mem::take(&mut self.compared);
            self.compared = blocking(move || compared.take(pairs)).await?;
            if is_last || self.is_full() {
                return Ok(());
            }
        }
    }

    async fn pair(
        &mut self,
        made: &mut std::iter::Peekable<std::vec::IntoIter<Made>>,
        until: Option<&StreamId>,
    ) -> Result<Option<Pair>, StoreFault> {
        let alone = |made: Made, live| Pair {
            stream: made.stream,
            made: Some(made.state),
            live,
        };
        let Some(live) = &mut self.live else {
            return Ok(made.next().map(|made| alone(made, None)));
        };
        let next = made.peek().map(|made| &made.stream).or(until);
        let Some(live) = live.next(&self.source, next).await? else {
            return Ok(made.next().map(|made| alone(made, Some(None))));
        };
        let found = made.next_if(|made| made.stream.cmp(&live.stream) == Ordering::Equal);
        let made = found.map(|made| made.state);
        moved_on(&self.source, made, live).await.map(Some)
    }
}

/// The state beside the one that storage holds. One that has moved on since is
/// first brought to where storage holds it.
async fn moved_on(
    source: &Source<'_>,
    made: Option<Result<Rebuilt, Difference>>,
    live: Document,
) -> Result<Pair, StoreFault> {
    let made = match made {
        Some(Err(difference)) => Some(Err(difference)),
        made if live.updated_seq <= source.end.seq => made,
        made => {
            let before = made.and_then(Result::ok);
            let now = stream::go_on(source, &live.stream, before, live.updated_seq);
            now.await?.transpose()
        }
    };
    Ok(Pair {
        stream: live.stream.clone(),
        made,
        live: Some(Some(live)),
    })
}
