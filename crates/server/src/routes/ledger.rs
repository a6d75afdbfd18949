//! The ledger over HTTP: entries by any key, the head, and the proofs.

use super::documents::PAGING;
use super::table::{Gives, Guard, Parameter, Route};
use crate::app::App;
use crate::auth::Caller;
use crate::http::cursor::{Page, Paging};
use crate::http::problem::{Answer, Kind, Problem};
use crate::http::{Place, Query};
use crate::lanes::Lane;
use axum::Json;
use axum::extract::State;
use gate::access::Permission;
use kernel::{EntryId, Timestamp, TraceId};
use ledger::entry::Shown;
use ledger::{Entry, EntryQuery, Order};
use serde_json::{Value, json};

/// The parameters that filter entries.
pub(super) const FILTERS: [Parameter; 9] = [
    Parameter {
        name: "stream",
        about: "only of this stream, `kind/id`",
    },
    Parameter {
        name: "kind",
        about: "only of this kind, for example `directive.approved`",
    },
    Parameter {
        name: "category",
        about: "only of this category",
    },
    Parameter {
        name: "actor",
        about: "only by this actor, `kind:id`",
    },
    Parameter {
        name: "subject",
        about: "only about this subject, `type/id`",
    },
    Parameter {
        name: "trace",
        about: "only of this trace",
    },
    Parameter {
        name: "directive",
        about: "only of this directive",
    },
    Parameter {
        name: "from",
        about: "not before this instant",
    },
    Parameter {
        name: "until",
        about: "before this instant",
    },
];

/// The positions that bound a listing.
const BETWEEN: [Parameter; 2] = [
    Parameter {
        name: "after",
        about: "only after this position of the log",
    },
    Parameter {
        name: "before",
        about: "only before this position of the log",
    },
];

pub(super) fn rows() -> Vec<Route> {
    let read = Guard::Own(Permission::LedgerRead);
    let prove = Guard::Own(Permission::LedgerVerify);
    vec![
        Route::get("/v1/ledger/entries", read, "entries by any key", list)
            .parameters(&PAGING)
            .parameters(&FILTERS)
            .parameters(&BETWEEN)
            .gives(Gives::Page),
        Route::get("/v1/ledger/entries/{id}", read, "one entry", entry),
        Route::get("/v1/ledger/head", read, "the end of the log", head),
        Route::get(
            "/v1/ledger/why/{id}",
            read,
            "everything that led to an entry or a thing",
            why,
        ),
        Route::get(
            "/v1/ledger/verify",
            prove,
            "check every entry's payload, place and hash, the tree and its checkpoints",
            verify,
        )
        .lane(Lane::Slow),
    ]
}

/// The filters of a request.
pub(super) fn filters(query: &Query) -> Answer<EntryQuery> {
    let trace = match query.text("trace") {
        None => None,
        Some(text) => Some(TraceId::parse(text).ok_or_else(|| {
            Problem::new(
                Kind::Invalid,
                format!("trace: `{}` is not a trace id", text.escape_debug()),
            )
        })?),
    };
    let instant = |name: &str| -> Answer<Option<Timestamp>> {
        let parsed = query.text(name).map(Timestamp::parse).transpose();
        parsed.map_err(|e| e.at(name).into())
    };
    Ok(EntryQuery {
        stream: query.stream("stream")?,
        kind: query.text("kind").map(str::to_owned),
        category: query.get("category")?,
        actor: query.get("actor")?,
        subject: query.get("subject")?,
        trace,
        directive: query.get("directive")?,
        from: instant("from")?,
        until: instant("until")?,
        ..EntryQuery::default()
    })
}

/// The query within the positions of the request.
fn between(query: &Query, asked: EntryQuery) -> Answer<EntryQuery> {
    let (after, before) = (query.number("after")?, query.number("before")?);
    let (beyond, until) = match asked.order {
        Order::Ascending => (
            asked.beyond_seq.max(after),
            before.map(|seq| seq.saturating_sub(1)),
        ),
        Order::Descending => (
            asked.beyond_seq.into_iter().chain(before).min(),
            after.map(|seq| seq.saturating_add(1)),
        ),
    };
    Ok(EntryQuery {
        beyond_seq: beyond,
        until_seq: until,
        ..asked
    })
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Answer<Json<Page<Shown<Entry>>>> {
    let paging = Paging::read(&query, caller.tenant(), "ledger", Order::Ascending)?;
    let asked = EntryQuery {
        beyond_seq: paging.beyond_seq,
        order: paging.order,
        limit: paging.rows(),
        ..filters(&query)?
    };
    let asked = between(&query, asked)?;
    let store = app.ledger().store();
    let rows = ledger::query::page(store, caller.tenant(), &asked).await?;
    Ok(Json(paging.page(rows, |e| e.seq, Shown)))
}

async fn entry(
    State(app): State<App>,
    caller: Caller,
    Place(id): Place<String>,
) -> Answer<Json<Shown<Entry>>> {
    let id: EntryId = id.parse()?;
    let found = app.ledger().store().entry(caller.tenant(), id).await?;
    let entry = found.ok_or_else(|| super::documents::missing("entry", &id.to_string()))?;
    Ok(Json(Shown(entry)))
}

async fn head(State(app): State<App>, caller: Caller) -> Answer<Json<Value>> {
    let head = app.ledger().store().head(caller.tenant()).await?;
    Ok(Json(json!({"seq": head.seq, "hash": head.hash})))
}

async fn why(
    State(app): State<App>,
    caller: Caller,
    Place(id): Place<String>,
) -> Answer<Json<Value>> {
    let store = app.ledger().store();
    let answer = ledger::why::why(store, caller.tenant(), &id).await?;
    Ok(Json(ledger::why::to_json(&answer)))
}

async fn verify(State(app): State<App>, caller: Caller) -> Answer<Json<Value>> {
    let store = app.ledger().store();
    let report = ledger::verify::log(store, caller.tenant(), |_| {}).await?;
    // The tree stands on the entries, so it is looked at after them.
    let tree = match report.is_intact() {
        true => Some(ledger::checkpoint::audit(store, caller.tenant(), &[], |_| {}).await?),
        false => None,
    };
    let intact = tree.as_ref().is_some_and(|tree| tree.fault.is_none());
    Ok(Json(
        json!({"intact": intact, "report": report, "tree": tree}),
    ))
}
