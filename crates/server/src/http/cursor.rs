//! Pages of listings. A cursor is opaque: the position after which the next
//! page begins and a tag that binds it to tenant, route and filters. Listings
//! are ordered by position in the log, so writes meanwhile move nothing.

use super::problem::{Kind, Problem};
use super::query::{Query, fault};
use crate::limits;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::{Digest, TenantId, limits as bounds};
use ledger::Order;
use serde::Serialize;

/// The parameters that every listing takes.
pub const PARAMETERS: [&str; 3] = ["limit", "cursor", "order"];

/// Which page is asked for.
#[derive(Clone, Debug)]
pub struct Paging {
    /// Rows at most.
    pub limit: usize,
    /// Beyond this position.
    pub beyond_seq: Option<u64>,
    /// Which way.
    pub order: Order,
    binding: Digest,
}

/// A page.
#[derive(Debug, Serialize)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Asks for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

impl Paging {
    /// Reads the page parameters of a request to this route of this tenant.
    ///
    /// # Errors
    /// `invalid`, naming the parameter.
    pub fn read(
        query: &Query,
        tenant: TenantId,
        route: &str,
        order_default: Order,
    ) -> Result<Self, Problem> {
        let limit = match query.number("limit")? {
            None => bounds::PAGE_ROWS_DEFAULT,
            Some(n) => usize::try_from(n)
                .ok()
                .filter(|n| (1..=bounds::PAGE_ROWS_MAX).contains(n))
                .ok_or_else(|| fault("limit", &format!("is not 1 to {}", bounds::PAGE_ROWS_MAX)))?,
        };
        let order = match query.text("order") {
            None => order_default,
            Some("asc") => Order::Ascending,
            Some("desc") => Order::Descending,
            Some(_) => return Err(fault("order", "is neither `asc` nor `desc`")),
        };
        // The limit may change from page to page; everything else may not.
        let filters: Vec<_> = query.without(&["limit", "cursor", "order"]).collect();
        let direction = format!("{order:?}");
        let bound = (tenant, route, direction, filters);
        let binding = Digest::of_value("writ.cursor.v1", &bound)
            .map_err(|e| Problem::new(Kind::Invalid, e.to_string()))?;
        let mut paging = Self {
            limit,
            beyond_seq: None,
            order,
            binding,
        };
        if let Some(text) = query.text("cursor") {
            let seq = paging.open(text).ok_or_else(|| {
                fault("cursor", "is not one of this listing")
                    .hint("take `next_cursor` as it was given, with the same filters")
            })?;
            paging.beyond_seq = Some(seq);
        }
        Ok(paging)
    }

    /// A page of rows that were read with one more than the limit, so that it
    /// is known whether another page follows.
    #[must_use]
    pub fn page<T, U>(
        &self,
        mut rows: Vec<T>,
        seq: impl Fn(&T) -> u64,
        show: impl Fn(T) -> U,
    ) -> Page<U> {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let last = rows.last().map(seq).filter(|_| more);
        Page {
            next_cursor: last.map(|seq| self.close(seq)),
            items: rows.into_iter().map(show).collect(),
        }
    }

    /// How many rows to read for [`Paging::page`].
    #[must_use]
    pub fn rows(&self) -> usize {
        self.limit + 1
    }

    fn tag(&self, seq: [u8; 8]) -> [u8; 8] {
        let mut bytes = self.binding.0.to_vec();
        bytes.extend(seq);
        let [tag @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = Digest::of(&bytes).0;
        let [tag @ .., _, _, _, _, _, _, _, _] = tag;
        tag
    }

    /// The cursor that goes on beyond this position.
    pub(crate) fn close(&self, seq: u64) -> String {
        let seq = seq.to_be_bytes();
        URL_SAFE_NO_PAD.encode([seq, self.tag(seq)].concat())
    }

    fn open(&self, text: &str) -> Option<u64> {
        if text.len() > limits::CURSOR_BYTES_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (seq, tag) = bytes.split_first_chunk::<8>()?;
        (tag == self.tag(*seq)).then(|| u64::from_be_bytes(*seq))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paging(query: &str, tenant: u128) -> Result<Paging, Problem> {
        let uri = format!("/v1/x?{query}").parse().unwrap();
        let query = Query::read(&uri).unwrap();
        let tenant = format!("ten_{tenant:032x}").parse().unwrap();
        Paging::read(&query, tenant, "/v1/x", Order::Descending)
    }

    #[test]
    fn a_cursor_opens_its_own_listing_only() {
        let cursor = paging("status=open", 1).unwrap().close(77);
        let again = paging(&format!("status=open&limit=7&cursor={cursor}"), 1).unwrap();
        assert_eq!((again.beyond_seq, again.limit), (Some(77), 7));
        for (query, tenant) in [
            ("status=closed", 1),
            ("status=open", 2),
            ("", 1),
            ("status=open&order=asc", 1),
        ] {
            let asked = format!("{query}&cursor={cursor}");
            assert!(paging(&asked, tenant).is_err(), "{query} {tenant}");
        }
        for at in 0..cursor.len() {
            let mut bytes = cursor.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let tampered = String::from_utf8(bytes).unwrap();
            let fault = paging(&format!("status=open&cursor={tampered}"), 1).unwrap_err();
            assert_eq!(fault.status().as_u16(), 400);
        }
    }

    #[test]
    fn limits_are_exact() {
        for (limit, fine) in [
            ("0", false),
            ("1", true),
            ("200", true),
            ("201", false),
            ("x", false),
            ("-1", false),
        ] {
            assert_eq!(
                paging(&format!("limit={limit}"), 1).is_ok(),
                fine,
                "{limit}"
            );
        }
    }

    #[test]
    fn the_last_page_has_no_cursor() {
        let paging = paging("limit=2", 1).unwrap();
        assert!(
            paging
                .page(vec![5, 4, 3], |n| *n, |n| n)
                .next_cursor
                .is_some()
        );
        assert!(paging.page(vec![5, 4], |n| *n, |n| n).next_cursor.is_none());
    }
}
