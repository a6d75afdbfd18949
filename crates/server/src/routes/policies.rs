//! Sets of policies apart from the pack: try them in shadow, enforce them,
//! withdraw them, and ask what they would have decided.

use super::table::{Guard, Route};
use crate::app::App;
use crate::auth::Caller;
use crate::http::command::etag;
use crate::http::problem::Answer;
use crate::http::{Command, StrictJson};
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use flow::policies::Texts;
use gate::access::Permission;
use kernel::{Digest, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

pub(super) fn rows() -> Vec<Route> {
    let read = Guard::Own(Permission::PackRead);
    let load = Guard::Own(Permission::PackLoad);
    vec![
        Route::get(
            "/v1/policy",
            read,
            "the sets of policies beside the pack, and what is enforced",
            list,
        ),
        Route::post(
            "/v1/policy/shadow",
            load,
            "upload a set of policies and run it in shadow",
            shadow,
        )
        .unversioned()
        .body::<SetFiles>(),
        Route::post(
            "/v1/policy/promote",
            load,
            "enforce the set that is in shadow",
            promote,
        )
        .unversioned()
        .seeks()
        .body::<SetMove>(),
        Route::post("/v1/policy/withdraw", load, "ask a set no more", withdraw)
            .unversioned()
            .seeks()
            .body::<SetMove>(),
        Route::post(
            "/v1/policy/simulate",
            load,
            "what a set would have decided",
            simulate,
        )
        .unversioned()
        .each_time()
        .body::<SimulatedSet>(),
    ]
}

/// The files of a set.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetFiles {
    /// Text by name, `NAME.cedar`.
    files: Texts,
}

/// Which set, and why.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetMove {
    /// The digest over its files.
    #[schema(value_type = String)]
    set: Digest,
    /// Why.
    reason: String,
}

/// A set, and since when to ask again.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SimulatedSet {
    /// Text by name, `NAME.cedar`.
    files: Texts,
    /// The instant, RFC 3339.
    #[schema(value_type = String)]
    since: Timestamp,
}

async fn list(State(app): State<App>, caller: Caller) -> Answer<Response> {
    let (sets, version) = app.control().policies(caller.tenant()).await?;
    let in_force = app.control().in_force(caller.tenant())?;
    let rules = &in_force.pack.rules;
    let shadow = rules.shadow.as_ref().map(gate::policy::PolicySet::hash);
    let body = json!({
        "version": version,
        "state": sets,
        "enforced": rules.policy.hash(),
        "shadow": shadow,
    });
    Ok(([(header::ETAG, etag(version))], Json(body)).into_response())
}

async fn shadow(State(app): State<App>, command: Command<SetFiles>) -> Answer<Response> {
    let (ctx, key, body) = command.prepared(&app)?;
    let (set, state) = app.control().shadow_policies(ctx, key, body.files).await?;
    Ok(Json(json!({"set": set, "state": state})).into_response())
}

async fn promote(State(app): State<App>, command: Command<SetMove>) -> Answer<Response> {
    let (ctx, key, body) = command.prepared(&app)?;
    let control = app.control();
    let moved = control.promote_policies(ctx, key, body.set, body.reason);
    Ok(Json(json!({"state": moved.await?})).into_response())
}

async fn withdraw(State(app): State<App>, command: Command<SetMove>) -> Answer<Response> {
    let (ctx, key, body) = command.prepared(&app)?;
    let control = app.control();
    let moved = control.withdraw_policies(ctx, key, body.set, body.reason);
    Ok(Json(json!({"state": moved.await?})).into_response())
}

async fn simulate(
    State(app): State<App>,
    caller: Caller,
    StrictJson(body): StrictJson<SimulatedSet>,
) -> Answer<Json<Value>> {
    let control = app.control();
    let simulation = control.simulate_policies(caller.tenant(), &body.files, body.since);
    Ok(Json(json!({"simulation": simulation.await?})))
}
