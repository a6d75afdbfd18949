//! States as the entries make them: replay beside the live ones, and time
//! travel.

use super::documents::missing;
use super::table::{Guard, Parameter, Route};
use crate::app::App;
use crate::auth::Caller;
use crate::http::problem::{Answer, Kind, Problem};
use crate::http::{Place, Query};
use crate::lanes::Lane;
use crate::view::Resource;
use axum::Json;
use axum::extract::State;
use gate::access::Permission;
use kernel::StreamId;
use ledger::replay::{self, Ask};
use ledger::{AsOf, as_of};
use serde_json::{Value, json};

const AS_OF: Parameter = Parameter {
    name: "as_of",
    about: "as it was after this position of the log, or at this instant",
};

pub(super) fn rows() -> Vec<Route> {
    vec![
        Route::get(
            "/v1/ledger/streams/{kind}/{id}",
            Guard::Own(Permission::LedgerRead),
            "a thing as its entries make it, now or as it was",
            stream,
        )
        .parameters(&[AS_OF]),
        Route::get(
            "/v1/ledger/replay",
            Guard::Own(Permission::LedgerVerify),
            "fold entries again and compare the states",
            replay,
        )
        .parameters(&[
            Parameter {
                name: "stream",
                about: "only this stream, `kind/id`",
            },
            Parameter {
                name: "of",
                about: "only the incident, directive or other thing with this id, with what belongs to it",
            },
            AS_OF,
        ])
        .seeks()
        .lane(Lane::Slow),
    ]
}

async fn stream(
    State(app): State<App>,
    caller: Caller,
    Place((kind, id)): Place<(String, String)>,
    query: Query,
) -> Answer<Json<Value>> {
    let (store, registry) = (app.ledger().store(), app.ledger().registry());
    let tenant = caller.tenant();
    let seq = match query.get::<AsOf>("as_of")? {
        Some(as_of) => as_of::seq_of(store, tenant, as_of).await?,
        None => store.head(tenant).await?.seq,
    };
    let stream = StreamId::new(&kind, &id);
    let found = replay::as_of(store, registry, tenant, &stream, seq).await?;
    let Some(state) = found else {
        // Another tenant's does not exist; one's own may not have existed yet.
        let exists = store.document(tenant, &stream).await?.is_some();
        return Err(match exists {
            true => Problem::new(
                Kind::NotFound,
                format!("`{stream}` had no entry yet at position {seq}"),
            ),
            false => missing(&kind, &id),
        });
    };
    let document = state
        .document(&stream)
        .map_err(|fault| Problem::new(Kind::Integrity, fault))?;
    let erased = app.control().erased_in(tenant, &document.body).await?;
    let mut resource = Resource::of(document)?;
    resource.erased = erased;
    let resource = serde_json::to_value(resource)
        .map_err(|_| Problem::new(Kind::Integrity, "the state has no JSON form"))?;
    Ok(Json(json!({"as_of_seq": seq, "resource": resource})))
}

async fn replay(State(app): State<App>, caller: Caller, query: Query) -> Answer<Json<Value>> {
    let (store, registry) = (app.ledger().store(), app.ledger().registry());
    let ask = Ask {
        stream: query.stream("stream")?,
        of: query.text("of").map(str::to_owned),
        as_of: query.get("as_of")?,
    };
    let report = replay::answer(store, registry, caller.tenant(), &ask, |_| {}).await?;
    Ok(Json(json!({"equal": report.is_equal(), "report": report})))
}
