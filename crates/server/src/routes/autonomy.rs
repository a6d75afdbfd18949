//! Earned autonomy: how far each type of directive has come, signing it off
//! and taking that back.

use super::identity::Because;
use super::table::{Guard, Route};
use crate::app::App;
use crate::auth::Caller;
use crate::gated::Gated;
use crate::http::problem::{Answer, Kind, Problem};
use crate::http::{Command, Place};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use gate::Autonomy;
use gate::access::Permission;
use gate::autonomy;
use serde_json::{Value, json};

pub(super) fn rows() -> Vec<Route> {
    let read = Guard::Own(Permission::DirectiveRead);
    vec![
        Route::get(
            "/v1/autonomy",
            read,
            "how far each type of directive on the ladder has come",
            list,
        ),
        Route::get(
            "/v1/autonomy/{kind}",
            read,
            "what the ledger proves of one type of directive",
            get,
        ),
        Route::post(
            "/v1/autonomy/{kind}/grant",
            Guard::Own(Permission::AutonomyGrant),
            "sign a type off: its directives may run without a person",
            grant,
        )
        .body::<Because>(),
        Route::post(
            "/v1/autonomy/{kind}/withdraw",
            Guard::Own(Permission::AutonomyWithdraw),
            "take a sign-off back",
            withdraw,
        )
        .body::<Because>(),
    ]
}

async fn list(State(app): State<App>, caller: Caller) -> Answer<Json<Value>> {
    let items = app.control().ladder(caller.tenant()).await?;
    Ok(Json(json!({"items": items})))
}

async fn get(
    State(app): State<App>,
    Place(kind): Place<String>,
    caller: Caller,
) -> Answer<Json<Value>> {
    let ladder = app.control().ladder(caller.tenant()).await?;
    let found = ladder.into_iter().find(|standing| standing.kind == kind);
    let standing = found.ok_or_else(|| {
        Problem::new(Kind::NotFound, "no such type is on the ladder")
            .hint("the pack's `approvals.yaml` names the types under `autonomous`")
    })?;
    Ok(Json(json!({"state": standing})))
}

async fn grant(
    State(app): State<App>,
    Place(kind): Place<String>,
    command: Command<Because>,
) -> Answer<Response> {
    let gated = Gated::of(&app, &command.caller).await?;
    let command = command.on::<Autonomy>(&kind);
    let done = command.run(&app, move |unit, body| {
        gated.still(unit)?;
        let standing = autonomy::grant(unit, &gated.env(), &kind, body.reason()?)?;
        Ok(json!({"state": standing}))
    });
    Ok(done.await?.into_response())
}

async fn withdraw(
    State(app): State<App>,
    Place(kind): Place<String>,
    command: Command<Because>,
) -> Answer<Response> {
    let gated = Gated::of(&app, &command.caller).await?;
    let command = command.on::<Autonomy>(&kind);
    let done = command.run(&app, move |unit, body| {
        gated.still(unit)?;
        let standing = autonomy::withdraw(unit, &gated.env(), &kind, body.reason()?)?;
        Ok(json!({"state": standing}))
    });
    Ok(done.await?.into_response())
}
