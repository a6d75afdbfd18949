//! Runs, and what became of their steps.

use super::documents::{FILTERS, PAGING, readable};
use super::table::{Gives, Guard, Route};
use crate::app::App;
use crate::http::problem::Answer;
use crate::http::{Command, Place};
use act::Run;
use act::run::{Phase, Resolution};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use gate::access::Permission;
use kernel::RunId;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

pub(super) fn rows() -> Vec<Route> {
    let run = Guard::Own(Permission::RunRead);
    let control = Guard::Own(Permission::DirectiveControl);
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
    ]
}

mod stored {
    super::readable!("run");
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
