//! Runs, and what they spend: budgets and reservations.

use super::documents::{FILTERS, PAGING, readable};
use super::table::{Gives, Guard, Route};
use crate::app::App;
use crate::auth::Caller;
use crate::http::problem::Answer;
use crate::http::{Command, Place};
use act::Run;
use act::run::{Phase, Resolution};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use gate::access::Permission;
use kernel::RunId;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

pub(super) fn rows() -> Vec<Route> {
    let run = Guard::Own(Permission::RunRead);
    let control = Guard::Own(Permission::DirectiveControl);
    let budget = Guard::Own(Permission::BudgetRead);
    let listed = |row: Route| {
        row.parameters(&PAGING)
            .parameters(&FILTERS)
            .gives(Gives::Page)
    };
    vec![
        listed(Route::get("/v1/runs", run, "runs", stored::list)),
        Route::get("/v1/runs/{id}", run, "one run", stored::get).gives(Gives::Resource),
        Route::post(
            "/v1/runs/{id}/resolve",
            control,
            "say what came of a step whose result is unknown",
            resolve,
        )
        .body::<Resolve>(),
        Route::get(
            "/v1/budgets",
            budget,
            "the budgets of the pack in force",
            book,
        ),
        listed(Route::get(
            "/v1/budget-counters",
            budget,
            "what is consumed and reserved",
            counters::list,
        )),
        Route::get(
            "/v1/budget-counters/{*id}",
            budget,
            "one counter",
            counters::get,
        )
        .gives(Gives::Resource),
        listed(Route::get(
            "/v1/reservations",
            budget,
            "reservations",
            reservations::list,
        )),
        Route::get(
            "/v1/reservations/{id}",
            budget,
            "one reservation",
            reservations::get,
        )
        .gives(Gives::Resource),
    ]
}

mod stored {
    super::readable!("run");
}
mod counters {
    super::readable!("budget");
}
mod reservations {
    super::readable!("reservation");
}

/// A person's word on a step whose result is unknown.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Resolve {
    /// The step.
    step: String,
    /// `step` for doing it, `compensation` for undoing it.
    #[schema(value_type = String)]
    phase: Phase,
    /// `succeeded` or `failed`.
    #[schema(value_type = String)]
    resolution: Resolution,
    /// How they know.
    reason: String,
}

async fn resolve(
    State(app): State<App>,
    Place(id): Place<String>,
    command: Command<Resolve>,
) -> Answer<Response> {
    let id: RunId = id.parse()?;
    let modules = app.control().modules().clone();
    let done = command.on::<Run>(id).run(&app, move |unit, body| {
        act::engine::resolve_unknown(
            unit,
            &modules,
            id,
            body.phase,
            &body.step,
            body.resolution,
            &body.reason,
        )?;
        let run = unit.get::<Run>(id)?;
        Ok(json!({"run": id, "status": run.status}))
    });
    Ok(done.await?.into_response())
}

async fn book(State(app): State<App>, caller: Caller) -> Answer<Json<Value>> {
    let in_force = app.control().in_force(caller.tenant())?;
    Ok(Json(json!({"items": in_force.pack.rules.budgets})))
}
