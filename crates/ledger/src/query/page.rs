//! A page of entries. Log order is the order of every listing, and instants
//! follow it but for clocks that were set back, so a query by time is answered
//! over the positions whose span of time can hold an answer, and over no
//! others. The same for every store.

use super::{EntryQuery, Order};
use crate::entry::Entry;
use crate::merkle::{SPAN_LEVELS, Span, TILE_WIDTH};
use crate::store::{Store, StoreFault};
use kernel::{TenantId, Timestamp};

/// Spans read at a time.
const SPANS: usize = 4_096;
/// The level of the largest spans.
const TOP: u8 = SPAN_LEVELS - 1;

/// The entries that match, in the order of the log, as [`Store::entries`]
/// gives them; a time range is sought, not scanned.
///
/// # Errors
/// When storage does not answer, or a span that it must hold is missing.
pub async fn page(
    store: &dyn Store,
    tenant: TenantId,
    query: &EntryQuery,
) -> Result<Vec<Entry>, StoreFault> {
    if query.from.is_none() && query.until.is_none() {
        return store.entries(tenant, query).await;
    }
    let mut search = Search {
        store,
        tenant,
        query,
        bounds: bounds(query),
        run: None,
        found: Vec::new(),
    };
    let (low, high) = search.bounds;
    if low > high || query.limit == 0 {
        return Ok(Vec::new());
    }
    let mut parts = search.parts().await?;
    if query.order == Order::Descending {
        parts.reverse();
    }
    for part in parts {
        if !search.enter(part).await? {
            break;
        }
    }
    search.end_run().await?;
    Ok(search.found)
}

/// The first and the last position that the cursors of a query leave.
fn bounds(query: &EntryQuery) -> (u64, u64) {
    let (beyond, until) = (query.beyond_seq, query.until_seq);
    match query.order {
        Order::Ascending => (
            beyond.map_or(1, |seq| seq.saturating_add(1)),
            until.unwrap_or(u64::MAX),
        ),
        Order::Descending => (
            until.unwrap_or(1).max(1),
            beyond.map_or(u64::MAX, |seq| seq.saturating_sub(1)),
        ),
    }
}

/// Neighbouring positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// A full tile.
    Tile(Span),
    /// Those after the last full tile.
    Tail(u64),
}

/// How the instants of a span lie to the range that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overlap {
    None,
    Part,
    Whole,
}

fn overlap(span: &Span, from: Option<Timestamp>, until: Option<Timestamp>) -> Overlap {
    let before = from.is_some_and(|from| span.at_max < from);
    let after = until.is_some_and(|until| span.at_min >= until);
    let starts = from.is_none_or(|from| span.at_min >= from);
    let ends = until.is_none_or(|until| span.at_max < until);
    match (before || after, starts && ends) {
        (true, _) => Overlap::None,
        (false, true) => Overlap::Whole,
        (false, false) => Overlap::Part,
    }
}

struct Search<'a> {
    store: &'a dyn Store,
    tenant: TenantId,
    query: &'a EntryQuery,
    bounds: (u64, u64),
    /// Neighbouring positions that can hold answers and were not read yet.
    run: Option<(u64, u64)>,
    found: Vec<Entry>,
}

impl Search<'_> {
    /// The whole log in its order: the largest full tiles, the small ones
    /// after them, and the tail. Those outside the bounds are left out.
    async fn parts(&self) -> Result<Vec<Part>, StoreFault> {
        let large = TILE_WIDTH.pow(u32::from(TOP) + 1);
        let first = (self.bounds.0 - 1) / large;
        let mut parts = self.spans(TOP, first, u64::MAX).await?;
        let small = (first + parts.len() as u64) * (large / TILE_WIDTH);
        parts.extend(self.spans(0, small, u64::MAX).await?);
        let end = parts.last().map_or(small * TILE_WIDTH, |s| s.seqs().1);
        let mut parts: Vec<_> = parts.into_iter().map(Part::Tile).collect();
        parts.push(Part::Tail(end + 1));
        Ok(parts)
    }

    /// Spans of a level from this one on, at most `count`, within the bounds.
    async fn spans(&self, level: u8, from: u64, count: u64) -> Result<Vec<Span>, StoreFault> {
        let mut spans: Vec<Span> = Vec::new();
        while (spans.len() as u64) < count {
            let next = from + spans.len() as u64;
            let rest = usize::try_from(count - spans.len() as u64).unwrap_or(SPANS);
            let rows = rest.min(SPANS);
            let page = self.store.spans(self.tenant, level, next, rows).await?;
            let ended = page.len() < rows;
            for (index, span) in (next..).zip(&page) {
                if span.index != index {
                    return Err(StoreFault::Damaged(format!(
                        "span {index} of level {level} of the log of {} is missing",
                        self.tenant
                    )));
                }
            }
            let beyond = page.last().is_some_and(|s| s.seqs().1 >= self.bounds.1);
            spans.extend(page);
            if ended || beyond {
                break;
            }
        }
        Ok(spans)
    }

    /// Takes in the next part of the log in the order of the query. Returns
    /// whether more is wanted.
    async fn enter(&mut self, part: Part) -> Result<bool, StoreFault> {
        let (from, until) = (self.query.from, self.query.until);
        let span = match part {
            Part::Tail(first) => return self.extend((first, u64::MAX)).await,
            Part::Tile(span) => span,
        };
        match overlap(&span, from, until) {
            Overlap::None => Ok(true),
            Overlap::Whole => self.extend(span.seqs()).await,
            Overlap::Part if span.level == 0 => self.extend(span.seqs()).await,
            Overlap::Part => {
                let first = span.index * TILE_WIDTH;
                let mut below = self.spans(span.level - 1, first, TILE_WIDTH).await?;
                if self.query.order == Order::Descending {
                    below.reverse();
                }
                for span in below {
                    let can = overlap(&span, from, until) != Overlap::None;
                    if can && !self.extend(span.seqs()).await? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }

    /// Adds these positions to the run, or reads the run and starts the next.
    async fn extend(&mut self, (first, last): (u64, u64)) -> Result<bool, StoreFault> {
        let (first, last) = (first.max(self.bounds.0), last.min(self.bounds.1));
        if first > last {
            return Ok(true);
        }
        if let Some(run) = &mut self.run {
            if run.1.saturating_add(1) == first {
                run.1 = last;
                return Ok(true);
            }
            if last.saturating_add(1) == run.0 {
                run.0 = first;
                return Ok(true);
            }
            self.end_run().await?;
        }
        self.run = Some((first, last));
        Ok(self.found.len() < self.query.limit)
    }

    /// Reads the positions of the run.
    async fn end_run(&mut self) -> Result<(), StoreFault> {
        let Some((first, last)) = self.run.take() else {
            return Ok(());
        };
        let limit = self.query.limit.saturating_sub(self.found.len());
        if limit == 0 {
            return Ok(());
        }
        let (beyond, until) = match self.query.order {
            Order::Ascending => (first - 1, last),
            Order::Descending => (last.saturating_add(1), first),
        };
        let query = EntryQuery {
            beyond_seq: Some(beyond),
            until_seq: Some(until),
            limit,
            ..self.query.clone()
        };
        let rows = self.store.entries(self.tenant, &query).await?;
        self.found.extend(rows);
        Ok(())
    }
}
