//! Templates of the pack in force, and directives that are made from them.

use super::directives::{Wanted, drafted};
use super::table::{Guard, Route};
use crate::app::App;
use crate::auth::Caller;
use crate::gated::Gated;
use crate::http::problem::{Answer, Kind, Problem};
use crate::http::{Command, Place};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use gate::access::Permission;
use kernel::Subject;
use pack::Template;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

pub(super) fn rows() -> Vec<Route> {
    let read = Guard::Own(Permission::DirectiveRead);
    let propose = Guard::Own(Permission::DirectivePropose);
    vec![
        Route::get(
            "/v1/templates",
            read,
            "contracts with parameters that the pack declares",
            list,
        ),
        Route::get("/v1/templates/{name}", read, "one template", get),
        Route::post(
            "/v1/templates/{name}/directives",
            propose,
            "write a directive from a template",
            create,
        )
        .unversioned()
        .body::<FromTemplate>()
        .creates(),
    ]
}

/// A directive to be made from a template.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FromTemplate {
    /// What it is about, `type/id`.
    #[schema(value_type = String)]
    subject: Subject,
    /// The parameters by name.
    #[serde(default)]
    #[schema(value_type = Object)]
    parameters: Map<String, Value>,
    /// What it came from, for example the id of an incident.
    #[serde(default)]
    origin: Option<String>,
    /// `draft`, or `propose` to ask the gate for it at once.
    #[serde(default = "draft_by_default")]
    #[schema(value_type = String, required = false)]
    wanted: Wanted,
}

fn draft_by_default() -> Wanted {
    Wanted::Draft
}

fn shown(template: &Template) -> Value {
    let declared = template.definition();
    json!({
        "name": declared.name,
        "title": declared.title,
        "subject_type": declared.subject_type,
        "parameters": declared.parameters,
        "evidence": declared.evidence,
        "directive": declared.directive,
    })
}

async fn list(State(app): State<App>, caller: Caller) -> Answer<Json<Value>> {
    let in_force = app.control().in_force(caller.tenant())?;
    let items: Vec<Value> = in_force.pack.templates.values().map(shown).collect();
    Ok(Json(json!({ "items": items })))
}

fn missing(name: &str) -> Problem {
    let said = format!("no template `{}`", name.escape_debug());
    Problem::new(Kind::NotFound, said).hint("`writ directive templates` names those of the pack")
}

async fn get(
    State(app): State<App>,
    caller: Caller,
    Place(name): Place<String>,
) -> Answer<Json<Value>> {
    let in_force = app.control().in_force(caller.tenant())?;
    let found = in_force.pack.templates.get(&name);
    Ok(Json(shown(found.ok_or_else(|| missing(&name))?)))
}

async fn create(
    State(app): State<App>,
    Place(name): Place<String>,
    command: Command<FromTemplate>,
) -> Answer<Response> {
    let gated = Gated::of(&app, &command.caller).await?;
    let in_force = app.control().in_force(command.caller.tenant())?;
    if !in_force.pack.templates.contains_key(&name) {
        return Err(missing(&name));
    }
    let done = command.run(&app, move |unit, body| {
        gated.still(unit)?;
        let asked = flow::templates::FromTemplate {
            template: &name,
            subject: &body.subject,
            parameters: &body.parameters,
        };
        let contract = flow::templates::contract(unit, &in_force, &asked)?;
        drafted(
            unit,
            &gated.env(),
            contract,
            body.origin.clone(),
            body.wanted,
        )
    });
    Ok(done.await?.with(StatusCode::CREATED))
}
