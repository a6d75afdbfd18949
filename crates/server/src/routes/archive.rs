//! The archive over HTTP: which segments the ledger lists, and a run.

use super::documents::PAGING;
use super::table::{Gives, Guard, Route};
use crate::app::App;
use crate::auth::Caller;
use crate::http::cursor::{Page, Paging};
use crate::http::problem::Answer;
use crate::http::{Command, Query};
use crate::lanes::Lane;
use axum::Json;
use axum::extract::State;
use gate::access::Permission;
use kernel::{Aggregate as _, StreamId};
use ledger::archive::{Reach, Segment};
use ledger::{DocumentQuery, Order};
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) fn rows() -> Vec<Route> {
    vec![
        Route::get(
            "/v1/archive",
            Guard::Own(Permission::LedgerRead),
            "the segments of the archive",
            list,
        )
        .parameters(&PAGING)
        .gives(Gives::Page),
        Route::post(
            "/v1/archive/run",
            Guard::Own(Permission::ArchiveRun),
            "seal what is new, store it locked, and read it back",
            run,
        )
        .unversioned()
        .seeks()
        .lane(Lane::Slow),
    ]
}

async fn list(State(app): State<App>, caller: Caller, query: Query) -> Answer<Json<Page<Value>>> {
    let paging = Paging::read(&query, caller.tenant(), "archive", Order::Ascending)?;
    let asked = DocumentQuery {
        kind: Segment::KIND.to_owned(),
        beyond_seq: paging.beyond_seq,
        order: paging.order,
        limit: paging.rows(),
        ..DocumentQuery::default()
    };
    let store = app.ledger().store();
    let rows = store.documents(caller.tenant(), &asked).await?;
    Ok(Json(paging.page(
        rows,
        |d| d.created_seq,
        |d| serde_json::from_str(&d.body).unwrap_or(Value::Null),
    )))
}

/// A run takes no words.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn run(State(app): State<App>, command: Command<Nothing>) -> Answer<Json<Value>> {
    let (tenant, caller, trace) = (
        command.caller.tenant(),
        command.caller.clone(),
        command.trace,
    );
    // The positions name the segments, and verified ones do not change: a
    // repeated request finds them as they were, however many there are.
    let firsts = command.around(&app, async |_, Nothing {}| {
        let ctx = || app.ctx(&caller, trace);
        let done = app.control().archive(tenant, Reach::Head, &ctx).await?;
        let firsts = done.iter().map(|segment| segment.outline.first);
        Ok(firsts.collect::<Vec<u64>>())
    });
    let mut items = Vec::new();
    for first in firsts.await? {
        let stream = StreamId::of::<Segment>(Segment::id(first));
        let found = app.ledger().store().document(tenant, &stream).await?;
        items.extend(found.and_then(|d| serde_json::from_str::<Value>(&d.body).ok()));
    }
    Ok(Json(json!({ "items": items })))
}
