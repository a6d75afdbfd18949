//! What comes over HTTP: deliveries of sources, queries and cursors.

use crate::definitions::incident;
use http::Uri;
use kernel::TenantId;
use ledger::Order;
use sense::normalise;
use serde_json::Value;
use server::http::Query;
use server::http::cursor::Paging;

/// A delivery, whose first line is the name of its source: every item is read
/// or rejected at its place, and what was rejected is rejected again by itself.
///
/// # Panics
/// When that does not hold.
pub fn webhook(bytes: &[u8]) -> bool {
    let Some(end) = bytes.iter().position(|b| *b == b'\n') else {
        return false;
    };
    let (source, body) = (&bytes[..end], &bytes[end + 1..]);
    let (Ok(source), Ok(payload)) = (str::from_utf8(source), kernel::json::parse(body)) else {
        return false;
    };
    let catalog = &incident().catalog;
    let Ok(parsed) = normalise::read(catalog, source, &payload) else {
        return false;
    };
    for rejected in &parsed.rejected {
        assert!(!rejected.reason.is_empty(), "{rejected:?}");
        let item = item_of(&payload, &rejected.path);
        assert!(
            item,
            "`{}` is a place in the payload or below it",
            rejected.path
        );
        assert!(normalise::read_item(catalog, source, &rejected.item).is_err());
    }
    let definition = &catalog.source(source).expect("it was read").definition;
    sense::personal::body_subjects(definition, &parsed).expect("a source stands for a subject");
    sense::personal::parts(definition, &parsed).expect("what was read has a canonical form");
    !parsed.observations.is_empty()
}

/// Whether the path leads into the payload: some beginning of it stands there.
fn item_of(payload: &Value, path: &str) -> bool {
    path.is_empty()
        || path.starts_with('/') && {
            let ends = path
                .match_indices('/')
                .map(|(at, _)| at)
                .chain([path.len()]);
            ends.filter(|end| *end > 0)
                .any(|end| payload.pointer(&path[..end]).is_some())
        }
}

/// A query with the parameters of pages. A cursor that is opened says where its
/// page begins; nobody makes one but the listing itself.
///
/// # Panics
/// When that does not hold.
pub fn query(bytes: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(bytes) else {
        return false;
    };
    // What follows a `#` is never sent.
    let text = text.split('#').next().unwrap_or_default();
    let Ok(uri) = format!("/v1/x?{text}").parse::<Uri>() else {
        return false;
    };
    let Ok(query) = Query::read(&uri) else {
        return false;
    };
    let tenant: TenantId = crate::seeds::tenant();
    let mut taken = false;
    for order in [Order::Ascending, Order::Descending] {
        let Ok(paging) = Paging::read(&query, tenant, "x", order) else {
            continue;
        };
        taken = true;
        assert!((1..=kernel::limits::PAGE_ROWS_MAX).contains(&paging.limit));
        let page = paging.page(vec![7_u64; paging.rows()], |seq| *seq, |seq| seq);
        let next = page.next_cursor.expect("another page follows");
        let again = format!("/v1/x?{}&cursor={next}", without_cursor(text));
        if let Ok(again) = again.parse::<Uri>()
            && let Ok(again) = Query::read(&again)
        {
            let again = Paging::read(&again, tenant, "x", order).expect("a cursor is opened");
            assert_eq!(again.beyond_seq, Some(7));
        }
    }
    let _ = (
        query.number("limit"),
        query.version("version"),
        query.get::<ledger::AsOf>("as_of"),
    );
    taken
}

fn without_cursor(text: &str) -> String {
    let kept = text
        .split('&')
        .filter(|pair| *pair != "cursor" && !pair.starts_with("cursor="));
    kept.collect::<Vec<_>>().join("&")
}
