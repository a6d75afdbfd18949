//! Session state: saved, read, deleted and verified under a name.

use super::directives::Nothing;
use super::documents::{self, FILTERS, PAGING};
use super::table::{Gives, Guard, Route};
use crate::app::App;
use crate::auth::Caller;
use crate::http::command::etag;
use crate::http::cursor::Page;
use crate::http::{Answer, Command, Place, Query, Trace};
use crate::view::Resource;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use flow::session::{Session, operations};
use gate::access::Permission;
use kernel::Aggregate as _;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

pub(super) fn rows() -> Vec<Route> {
    let read = Guard::Own(Permission::SessionRead);
    let write = Guard::Own(Permission::SessionWrite);
    vec![
        Route::get("/v1/sessions", read, "sessions, without their states", list)
            .parameters(&PAGING)
            .parameters(&FILTERS)
            .gives(Gives::Page),
        Route::get(
            "/v1/sessions/{name}",
            read,
            "the state of a session; the reading is recorded",
            get,
        ),
        Route::post("/v1/sessions/{name}/save", write, "save a session", save).body::<Save>(),
        Route::post(
            "/v1/sessions/{name}/delete",
            write,
            "delete a session; its history stays",
            delete,
        )
        .body::<Delete>(),
        Route::post(
            "/v1/sessions/{name}/verify",
            write,
            "compare the stored state of a session with its SHA-256",
            verify,
        )
        .unversioned(),
        Route::get(
            "/v1/session-cache",
            read,
            "how often the cache had what was read",
            cache,
        ),
    ]
}

/// A state to be saved.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Save {
    /// Any JSON.
    state: Value,
}

/// Why a session is deleted.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Delete {
    /// Why.
    reason: String,
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Answer<Json<Page<Resource>>> {
    documents::list(&app, &caller, &query, Session::KIND)
        .await
        .map(Json)
}

async fn get(
    State(app): State<App>,
    caller: Caller,
    trace: Trace,
    Place(name): Place<String>,
) -> Answer<Response> {
    let ctx = app.ctx(&caller, trace);
    let held = app.control().read_session(ctx, name.clone()).await?;
    let tag = [(header::ETAG, etag(held.version))];
    let body = json!({
        "name": name,
        "version": held.version,
        "digest": held.session.digest,
        "bytes": held.session.bytes,
        "changed_at": held.session.changed_at,
        "changed_by": held.session.changed_by,
        "state": held.state,
    });
    Ok((tag, Json(body)).into_response())
}

async fn save(
    State(app): State<App>,
    Place(name): Place<String>,
    command: Command<Save>,
) -> Answer<Response> {
    let bytes = operations::bytes(&command.body.state)?;
    let (tenant, saved) = (command.caller.tenant(), bytes.clone());
    let command = command.on::<Session>(&name);
    let done = command
        .run(&app, move |unit, _| operations::save(unit, &name, &saved))
        .await?;
    let digest = done.answer.digest;
    app.control().cache_session(tenant, digest, bytes).await;
    Ok(done.into_response())
}

async fn delete(
    State(app): State<App>,
    Place(name): Place<String>,
    command: Command<Delete>,
) -> Answer<Response> {
    let tenant = command.caller.tenant();
    let command = command.on::<Session>(&name);
    let done = command
        .run(&app, move |unit, body| {
            operations::delete(unit, &name, &body.reason)
        })
        .await?;
    app.control()
        .forget_session(tenant, done.answer.digest)
        .await;
    Ok(done.into_response())
}

async fn verify(
    State(app): State<App>,
    Place(name): Place<String>,
    command: Command<Nothing>,
) -> Answer<Json<Value>> {
    let (ctx, key, _) = command.prepared(&app)?;
    let verification = app.control().verify_session(ctx, key, name).await?;
    Ok(Json(json!({
        "intact": verification.finding == flow::session::Finding::Intact,
        "verification": verification,
    })))
}

async fn cache(State(app): State<App>, _: Caller) -> Json<Value> {
    let counts = app.control().session_cache();
    Json(json!({"counts": counts, "hit_ratio": counts.hit_ratio()}))
}
