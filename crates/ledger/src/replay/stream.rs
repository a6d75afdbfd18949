//! Replay of single streams: one, or those that belong to an incident or a
//! directive, as they are now or as of a position.

use super::compare::{Compared, Pair};
use super::fold::Rebuilt;
use super::sort::Record;
use super::{Difference, Report, Source};
use crate::entry::Head;
use crate::query::EntryQuery;
use crate::registry::Registry;
use crate::row::Texts;
use crate::store::{Store, StoreFault};
use crate::verify::Checker;
use crate::why;
use kernel::{DirectiveId, Refusal, StreamId, TenantId};
use std::collections::BTreeSet;

/// Entries read at a time.
const PAGE: usize = 500;
/// Streams that one incident or directive may bring into a replay.
pub const STREAMS_MAX: usize = 10_000;

/// Folds the entries of a stream after `before`, up to a position. Each entry
/// must have the payload and the header that it claims; its place in the chain
/// is for `verify` to check.
pub(super) async fn go_on(
    source: &Source<'_>,
    stream: &StreamId,
    before: Option<Rebuilt>,
    until_seq: u64,
) -> Result<Result<Option<Rebuilt>, Difference>, StoreFault> {
    let mut checker = Checker::new(source.tenant);
    let mut state = before;
    loop {
        let query = EntryQuery {
            stream: Some(stream.clone()),
            beyond_seq: state.as_ref().map(|s| s.updated_seq),
            until_seq: Some(until_seq),
            limit: PAGE,
            ..EntryQuery::default()
        };
        let difference = |seq, what| Difference {
            seq: Some(seq),
            stream: Some(stream.to_string()),
            what,
        };
        let page = match source.store.entries(source.tenant, &query).await {
            Ok(page) => page,
            Err(StoreFault::Unreadable { seq, what, .. }) => return Ok(Err(difference(seq, what))),
            Err(other) => return Err(other),
        };
        for entry in &page {
            let texts = Texts::of(entry);
            let row = texts.row(entry);
            let stepped = match checker.holds(&row) {
                Ok(()) => Rebuilt::step(state.take(), source.registry, &Record::of(&row)),
                Err(what) => Err(what.to_owned()),
            };
            match stepped {
                Ok(after) => state = Some(after),
                Err(what) => return Ok(Err(difference(entry.seq, what))),
            }
        }
        if page.len() < PAGE {
            return Ok(Ok(state));
        }
    }
}

/// The state of a stream as of a position; `None` before its first entry.
///
/// # Errors
/// `integrity` with the position when an entry is not what it was; storage
/// that does not answer.
pub async fn as_of(
    store: &dyn Store,
    registry: &Registry,
    tenant: TenantId,
    stream: &StreamId,
    until_seq: u64,
) -> Result<Option<Rebuilt>, Refusal> {
    let source = Source {
        store,
        registry,
        tenant,
        end: Head::EMPTY,
    };
    let found = go_on(&source, stream, None, until_seq).await?;
    found.map_err(|difference| {
        Refusal::integrity(format!(
            "entry {} of `{stream}`: {}",
            difference.seq.unwrap_or(0),
            difference.what
        ))
        .hint("run `writ ledger verify`, then restore from a backup")
    })
}

/// Replays these streams alone. Without a position they are compared with
/// their live states; as of a position there is nothing to compare with, and
/// a fault in their entries is the only difference.
///
/// # Errors
/// When storage does not answer.
pub async fn streams(
    store: &dyn Store,
    registry: &Registry,
    tenant: TenantId,
    streams: &BTreeSet<StreamId>,
    until_seq: Option<u64>,
) -> Result<Report, StoreFault> {
    let source = Source {
        store,
        registry,
        tenant,
        end: Head::EMPTY,
    };
    let mut compared = Compared::default();
    let mut entries = 0;
    for stream in streams {
        let (live, until) = match until_seq {
            Some(until) => (None, until),
            None => {
                // In this order: what was appended before is in the state.
                let head = store.head(tenant).await?;
                let live = store.document(tenant, stream).await?;
                let moved = live.as_ref().map_or(0, |live| live.updated_seq);
                (Some(live), head.seq.max(moved))
            }
        };
        match go_on(&source, stream, None, until).await? {
            Err(difference) => compared.note(difference),
            Ok(None) if live.as_ref().is_none_or(Option::is_none) => {}
            Ok(rebuilt) => {
                entries += rebuilt.as_ref().map_or(0, |r| r.version);
                let stream = stream.clone();
                let pair = Pair {
                    stream,
                    made: rebuilt.map(Ok),
                    live,
                };
                compared = compared.take([pair]);
            }
        }
        if compared.is_full() {
            break;
        }
    }
    Ok(Report {
        tenant,
        as_of_seq: until_seq,
        entries,
        spilled_bytes: 0,
        states: compared.states,
        state_hash: compared.state_hash(),
        differences: compared.differences,
    })
}

/// The streams that belong to an incident, a directive, or anything else with
/// an id: those of every kind with this id, what led to it (as `why` finds
/// it), and, of each directive that it names, every stream with an entry that
/// belongs to the directive.
///
/// # Errors
/// `not_found` when there is no such thing; storage that does not answer.
pub async fn belonging(
    store: &dyn Store,
    registry: &Registry,
    tenant: TenantId,
    id: &str,
) -> Result<BTreeSet<StreamId>, Refusal> {
    let mut found = BTreeSet::new();
    for (kind, _) in registry.kinds() {
        let stream = StreamId::new(kind, id);
        if store.document(tenant, &stream).await?.is_some() {
            found.insert(stream);
        }
    }
    let mut directives: BTreeSet<DirectiveId> = DirectiveId::parse(id).into_iter().collect();
    for reason in why::why(store, tenant, id).await?.reasons {
        let own = found.contains(&reason.entry.stream) && reason.entry.stream.id() == id;
        directives.extend(reason.entry.directive.filter(|_| own));
        found.insert(reason.entry.stream);
    }
    for directive in directives {
        of_directive(store, tenant, directive, &mut found).await?;
    }
    Ok(found)
}

async fn of_directive(
    store: &dyn Store,
    tenant: TenantId,
    directive: DirectiveId,
    found: &mut BTreeSet<StreamId>,
) -> Result<(), Refusal> {
    let mut beyond_seq = None;
    loop {
        let query = EntryQuery {
            directive: Some(directive),
            beyond_seq,
            limit: PAGE,
            ..EntryQuery::default()
        };
        let page = store.entries(tenant, &query).await?;
        beyond_seq = page.last().map(|last| last.seq);
        let is_last = page.len() < PAGE;
        found.extend(page.into_iter().map(|entry| entry.stream));
        if found.len() > STREAMS_MAX {
            return Err(Refusal::limit(format!(
                "more than {STREAMS_MAX} streams belong to `{directive}`"
            ))
            .hint("replay the whole log, or one stream at a time"));
        }
        if is_last {
            return Ok(());
        }
    }
}
