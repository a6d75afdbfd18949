//! The kill switch. Whoever may engage it in the home tenant may engage
//! `global`, which stops every tenant; it is released in the same way.

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
use futures_util::{StreamExt as _, stream};
use gate::KillSwitch;
use gate::access::Permission;
use gate::kill::{self, Scope};
use kernel::{Refusal, StreamId, Unit};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::ToSchema;

/// Tenants that are stopped at the same time.
const TENANTS_AT_ONCE: usize = 64;

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
            "try it without stopping anything",
            drill,
        )
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
    Ok((tag, Json(json!({"version": version, "state": switch}))).into_response())
}

type Work<T> = fn(&mut Unit<'_>, &T) -> Result<KillSwitch, Refusal>;

/// Does `work` in the caller's tenant, and for `global` in all.
async fn everywhere<T>(
    app: &App,
    command: Command<T>,
    scope: &Scope,
    work: Work<T>,
) -> Answer<Response>
where
    T: Clone + Send + Sync + 'static,
{
    let (caller, trace, body) = (command.caller.clone(), command.trace, command.body.clone());
    let global = *scope == Scope::Global;
    if global && !caller.identity().home {
        return Err(
            Problem::new(Kind::Forbidden, "`global` is for the home tenant")
                .hint("use the scope `tenant`"),
        );
    }
    let command = command.on::<KillSwitch>(kill::ID);
    let done = command
        .run(app, move |unit, body| {
            Ok(json!({"state": work(unit, body)?}))
        })
        .await?;
    let mut missed = Vec::new();
    let mut upheld = vec![caller.tenant()];
    if global {
        let body = Arc::new(body);
        let others = app.ledger().store().tenants().await?;
        let others = others.into_iter().filter(|t| *t != caller.tenant());
        let work_in = |tenant| {
            let (body, mut ctx) = (body.clone(), app.ctx(&caller, trace));
            ctx.tenant = tenant;
            async move {
                let run = app.ledger().run(ctx, move |unit| work(unit, &body));
                (tenant, run.await)
            }
        };
        let mut all = stream::iter(others)
            .map(work_in)
            .buffer_unordered(TENANTS_AT_ONCE);
        while let Some((tenant, outcome)) = all.next().await {
            upheld.push(tenant);
            if let Err(refusal) = outcome {
                missed.push(format!("{tenant}: {}", refusal.message));
            }
        }
    }
    app.control().uphold(&upheld).await?;
    match missed.is_empty() {
        true => Ok(done.into_response()),
        false => Err(Problem::new(
            Kind::Unavailable,
            format!("not in every tenant: {}", missed.join("; ")),
        )
        .hint("send the request again, without an `Idempotency-Key`")),
    }
}

async fn engage(State(app): State<App>, command: Command<Stop>) -> Answer<Response> {
    let scope = command.body.scope.clone();
    let work: Work<Stop> = |unit, body| kill::engage(unit, body.scope.clone(), &body.reason);
    everywhere(&app, command, &scope, work).await
}

async fn request(State(app): State<App>, command: Command<Stop>) -> Answer<Response> {
    let scope = command.body.scope.clone();
    let work: Work<Stop> = |unit, body| kill::request_release(unit, &body.scope, &body.reason);
    everywhere(&app, command, &scope, work).await
}

async fn confirm(State(app): State<App>, command: Command<Scoped>) -> Answer<Response> {
    let scope = command.body.scope.clone();
    let work: Work<Scoped> = |unit, body| kill::confirm_release(unit, &body.scope);
    everywhere(&app, command, &scope, work).await
}

async fn drill(State(app): State<App>, command: Command<Drill>) -> Answer<Response> {
    let command = command.on::<KillSwitch>(kill::ID);
    let done = command.run(&app, |unit, body| {
        let drill = kill::drill(unit, body.scope.clone(), &body.note)?;
        Ok::<Value, Refusal>(json!({"drill": drill}))
    });
    Ok(done.await?.into_response())
}
