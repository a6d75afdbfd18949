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
use gate::access::Permission;
use gate::autonomy::{self, Standing};
use gate::{Autonomy, GateEnv};
use kernel::{Refusal, Unit};
use serde_json::{Value, json};

/// Of a type, for a reason; what holds for it then.
pub(crate) type Change = fn(&mut Unit<'_>, &GateEnv<'_>, &str, &str) -> Result<Standing, Refusal>;

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
    changed(&app, kind, command, autonomy::grant).await
}

async fn withdraw(
    State(app): State<App>,
    Place(kind): Place<String>,
    command: Command<Because>,
) -> Answer<Response> {
    changed(&app, kind, command, autonomy::withdraw).await
}

/// Signs a type off, or takes that back.
async fn changed(
    app: &App,
    kind: String,
    command: Command<Because>,
    change: Change,
) -> Answer<Response> {
    let gated = Gated::of(app, &command.caller).await?;
    let command = command.on::<Autonomy>(&kind);
    let done = command.run(app, move |unit, body| {
        gated.still(unit)?;
        let standing = change(unit, &gated.env(), &kind, body.reason()?)?;
        Ok(json!({"state": standing}))
    });
    Ok(done.await?.into_response())
}
