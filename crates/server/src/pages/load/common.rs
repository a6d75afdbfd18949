//! What many pages read: names of principals, entries as rows, meters.

use crate::http::cursor::Paging;
use crate::http::problem::Answer;
use crate::pages::view::ledger::EntryRow;
use crate::pages::view::meter::Gauge;
use crate::pages::view::part::{Pager, Who};
use crate::pages::view::text;
use crate::pages::visit::Visit;
use flow::identity::Principal;
use gate::budget::Amount;
use kernel::{Actor, PrincipalKind, limits};
use ledger::{DocumentQuery, Entry, Order};
use std::collections::BTreeMap;

/// What principals are called, by their id.
#[derive(Default)]
pub(super) struct Names(BTreeMap<String, String>);

impl Names {
    /// The names of the visitor's tenant.
    pub(super) async fn of(visit: &Visit) -> Answer<Self> {
        let query = DocumentQuery {
            limit: limits::PAGE_ROWS_MAX,
            ..DocumentQuery::default()
        };
        let rows = visit.list::<Principal>(query).await?;
        Ok(Self(rows.into_iter().map(|(id, p)| (id, p.name)).collect()))
    }

    /// This actor for a page.
    pub(super) fn who(&self, actor: &Actor) -> Who {
        let name = match actor.kind {
            PrincipalKind::System => Some(format!("writ ({})", actor.id)),
            _ => self.0.get(&actor.id).cloned(),
        };
        Who {
            actor: actor.to_string(),
            name,
        }
    }

    /// An entry as a row.
    pub(super) fn row(&self, entry: &Entry) -> EntryRow {
        EntryRow {
            seq: entry.seq,
            id: entry.id.to_string(),
            kind: entry.kind.clone(),
            category: entry.category.to_string(),
            stream: entry.stream.to_string(),
            at: entry.at,
            actor: self.who(&entry.actor),
            subject: entry.subject.as_ref().map(ToString::to_string),
        }
    }
}

/// The newest states of a kind, within a bound.
pub(super) fn newest(limit: usize) -> DocumentQuery {
    DocumentQuery {
        order: Order::Descending,
        limit,
        ..DocumentQuery::default()
    }
}

/// The newest states of a kind in one of these statuses.
pub(super) fn in_status(statuses: &[&str], limit: usize) -> DocumentQuery {
    DocumentQuery {
        statuses: statuses.iter().map(|s| (*s).to_owned()).collect(),
        ..newest(limit)
    }
}

/// The links to further pages of the listing at `path`.
pub(super) fn pager(visit: &Visit, path: &str, next: Option<String>) -> Pager {
    let kept: Vec<(&str, &str)> = visit
        .query
        .without(&["cursor", "done"])
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let address = |cursor: Option<&str>| {
        let pairs = kept.iter().copied().chain(cursor.map(|c| ("cursor", c)));
        let written: Vec<String> = pairs
            .map(|(name, value)| format!("{}={}", text::segment(name), text::segment(value)))
            .collect();
        match written.is_empty() {
            true => path.to_owned(),
            false => format!("{path}?{}", written.join("&")),
        }
    };
    let later = visit.query.text("cursor").is_some();
    Pager {
        next: next.map(|cursor| address(Some(&cursor))),
        first: later.then(|| address(None)),
    }
}

/// The page of a listing that is asked for, newest first.
pub(super) fn paging(visit: &Visit, route: &str) -> Answer<Paging> {
    let tenant = visit.caller.tenant();
    Paging::read(&visit.query, tenant, route, Order::Descending)
}

/// Thousandths of a cap; the greatest number when there is nothing to divide
/// by.
pub(super) fn share(part: &Amount, cap: &Amount) -> u32 {
    let thousandths = match (part, cap) {
        (Amount::Money(part), Amount::Money(cap)) if part.currency() == cap.currency() => {
            let scaled = part.amount().checked_mul(1_000.into());
            scaled
                .and_then(|s| s.checked_div(cap.amount()))
                .and_then(|s| u32::try_from(s.trunc()).ok())
        }
        (Amount::Calls(part), Amount::Calls(cap)) | (Amount::Tokens(part), Amount::Tokens(cap)) => {
            part.checked_mul(1_000)
                .and_then(|s| s.checked_div(*cap))
                .and_then(|s| u32::try_from(s).ok())
        }
        _ => None,
    };
    match thousandths {
        Some(known) => known,
        None if part.is_zero() => 0,
        None => u32::MAX,
    }
}

/// A gauge of what is used before and afterwards.
pub(super) fn gauge(before: &Amount, after: &Amount, soft: Option<&Amount>, cap: &Amount) -> Gauge {
    Gauge {
        before: share(before, cap),
        after: share(after, cap),
        soft: soft.map(|s| share(s, cap)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_caps() {
        let money = |text: &str| text.parse::<Amount>().unwrap();
        for (part, cap, expected) in [
            ("0 EUR", "450 EUR", 0),
            ("45 EUR", "450 EUR", 100),
            ("450 EUR", "450 EUR", 1_000),
            ("900 EUR", "450 EUR", 2_000),
            ("1 EUR", "0 EUR", u32::MAX),
            ("0 EUR", "0 EUR", 0),
            ("1 USD", "1 EUR", u32::MAX),
            ("3 calls", "4 calls", 750),
            ("3 calls", "0 calls", u32::MAX),
        ] {
            assert_eq!(
                share(&money(part), &money(cap)),
                expected,
                "{part} of {cap}"
            );
        }
    }
}
