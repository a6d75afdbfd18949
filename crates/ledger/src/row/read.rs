//! Rows by way of entries, for a store that has no faster one.

use super::{Broken, Rows, Seqs};
use crate::entry::Entry;
use crate::query::EntryQuery;
use crate::store::{Store, StoreFault};
use kernel::TenantId;

/// Entries asked for at a time.
const PAGE: usize = 500;

pub(crate) async fn by_entries<S: Store + ?Sized>(
    store: &S,
    tenant: TenantId,
    seqs: Seqs,
    bytes_max: usize,
) -> Result<Rows, StoreFault> {
    let mut rows = Rows::default();
    let mut next = seqs.from;
    while next <= seqs.until {
        let found = match page(store, tenant, next, seqs.until, PAGE).await {
            Ok(found) => found,
            Err(StoreFault::Unreadable { seq, what, .. }) => {
                one_by_one(store, tenant, (next, seq.saturating_sub(1)), &mut rows).await;
                rows.broken = Some(Broken { seq, what });
                break;
            }
            Err(StoreFault::Damaged(what)) => {
                let last = one_by_one(store, tenant, (next, seqs.until), &mut rows).await;
                let seq = last + 1;
                rows.broken = Some(Broken { seq, what });
                break;
            }
            Err(other) => return Err(other),
        };
        found.iter().for_each(|entry| rows.push_entry(entry));
        match found.last() {
            Some(last) if found.len() == PAGE => next = last.seq + 1,
            _ => break,
        }
        if rows.bytes() >= bytes_max {
            rows.more = next <= seqs.until;
            break;
        }
    }
    Ok(rows)
}

async fn page<S: Store + ?Sized>(
    store: &S,
    tenant: TenantId,
    from: u64,
    until: u64,
    limit: usize,
) -> Result<Vec<Entry>, StoreFault> {
    let query = EntryQuery {
        beyond_seq: from.checked_sub(1),
        until_seq: Some(until),
        limit,
        ..EntryQuery::default()
    };
    store.entries(tenant, &query).await
}

/// Takes in the entries that can still be read one by one, up to a page;
/// returns the position of the last one.
async fn one_by_one<S: Store + ?Sized>(
    store: &S,
    tenant: TenantId,
    (from, until): (u64, u64),
    rows: &mut Rows,
) -> u64 {
    let mut last = from.saturating_sub(1);
    for _ in 0..PAGE {
        match page(store, tenant, last + 1, until, 1).await.as_deref() {
            Ok([entry]) => {
                rows.push_entry(entry);
                last = entry.seq;
            }
            _ => break,
        }
    }
    last
}
