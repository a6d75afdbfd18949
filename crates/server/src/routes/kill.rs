//! The kill switch. Whoever may engage it in the home tenant may engage
//! `global`, which stops every tenant, those founded later among them.

use super::table::{Guard, Route};
use crate::app::App;
use crate::auth::Caller;
use crate::http::problem::{Answer, Kind, Problem};
use crate::http::{Command, command::etag};
use crate::lanes::Lane;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use gate::KillSwitch;
use gate::access::Permission;
use gate::kill::{self, Scope};
use kernel::{Refusal, StreamId};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

pub(super) fn rows() -> Vec<Route> {
    let read = Guard::Own(Permission::KillRead);
    let engage = Guard::Own(Permission::KillEngage);
    let release = Guard::Own(Permission::KillRelease);
    let rows = vec![
        Route::get(
            "/v1/kill-switch",
            read,
            "what is stopped, by whom and why",
            get,
        ),
        Route::post("/v1/kill-switch/engage", engage, "stop", self::engage).body::<Stop>(),
        Route::post(
            "/v1/kill-switch/request-release",
            release,
            "ask for the release; another person confirms it",
            request,
        )
        .body::<Stop>(),
        Route::post(
            "/v1/kill-switch/confirm-release",
            release,
            "release what another person wants released",
            confirm,
        )
        .body::<Scoped>(),
        Route::post(
            "/v1/kill-switch/drill",
            engage,
            "try it: stops a probe in the real way, and nothing else",
            drill,
        )
        .unversioned()
        .body::<Drill>(),
    ];
    rows.into_iter().map(|r| r.lane(Lane::Urgent)).collect()
}

/// What to stop, or to release, and why.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Stop {
    /// `tenant`, `tool:NAME`, `agent:ID` or, in the home tenant, `global`.
    #[schema(value_type = String)]
    scope: Scope,
    /// Why.
    reason: String,
}

/// What to release.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Scoped {
    /// As it was engaged.
    #[schema(value_type = String)]
    scope: Scope,
}

/// What to try.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Drill {
    /// What would be stopped.
    #[schema(value_type = String)]
    scope: Scope,
    /// What it is for.
    note: String,
}

async fn get(State(app): State<App>, caller: Caller) -> Answer<Response> {
    let stream = StreamId::of::<KillSwitch>(kill::ID);
    let found = app
        .ledger()
        .store()
        .document(caller.tenant(), &stream)
        .await?;
    let version = found.as_ref().map_or(0, |d| d.version);
    let switch: KillSwitch = match found {
        None => KillSwitch::default(),
        Some(document) => serde_json::from_str(&document.body)
            .map_err(|_| Problem::new(Kind::Integrity, "the kill switch does not parse"))?,
    };
    let tag = [(header::ETAG, etag(version))];
    let everywhere = app.control().everywhere(caller.tenant()).await?;
    let answer = json!({"version": version, "state": switch, "everywhere": everywhere});
    Ok((tag, Json(answer)).into_response())
}

/// Only the home tenant's people may stop every tenant.
fn within(caller: &Caller, scope: &Scope) -> Answer<()> {
    match scope {
        Scope::Global if !caller.identity().home => Err(Problem::new(
            Kind::Forbidden,
            "`global` is for the home tenant",
        )
        .hint("use the scope `tenant`")),
        _ => Ok(()),
    }
}

/// Answered when it holds on every node.
async fn engage(State(app): State<App>, command: Command<Stop>) -> Answer<Response> {
    within(&command.caller, &command.body.scope)?;
    let tenant = command.caller.tenant();
    let command = command.on::<KillSwitch>(kill::ID);
    let done = command.run(&app, |unit, body| {
        let state = kill::engage(unit, body.scope.clone(), &body.reason)?;
        Ok::<Value, Refusal>(json!({"state": state}))
    });
    let done = done.await?;
    app.control().uphold(tenant).await?;
    Ok(done.into_response())
}

async fn request(State(app): State<App>, command: Command<Stop>) -> Answer<Response> {
    let command = command.on::<KillSwitch>(kill::ID);
    let done = command.run(&app, |unit, body| {
        let state = kill::request_release(unit, &body.scope, &body.reason)?;
        Ok::<Value, Refusal>(json!({"state": state}))
    });
    Ok(done.await?.into_response())
}

async fn confirm(State(app): State<App>, command: Command<Scoped>) -> Answer<Response> {
    let tenant = command.caller.tenant();
    let command = command.on::<KillSwitch>(kill::ID);
    let done = command.run(&app, |unit, body| {
        let state = kill::confirm_release(unit, &body.scope)?;
        Ok::<Value, Refusal>(json!({"state": state}))
    });
    let done = done.await?;
    app.control().look_again(tenant).await;
    Ok(done.into_response())
}

async fn drill(State(app): State<App>, command: Command<Drill>) -> Answer<Response> {
    within(&command.caller, &command.body.scope)?;
    let control = app.control().clone();
    let done = command.around(&app, async move |ctx, body| {
        let drill = control.drill(ctx, body.scope, body.note).await?;
        Ok(json!({"drill": drill}))
    });
    Ok(Json(done.await?).into_response())
}
