//! Directives: propose a contract, change it, control what runs, and read the
//! gate's verdicts.

use super::documents::{FILTERS, PAGING, readable};
use super::identity::Because;
use super::table::{Gives, Guard, Parameter, Route};
use crate::app::App;
use crate::auth::Caller;
use crate::gated::{Gated, proposed_json};
use crate::http::problem::Answer;
use crate::http::{Command, Place, Query};
use crate::lanes::Lane;
use act::engine;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use flow::versions::Difference;
use gate::access::Permission;
use gate::{Contract, Directive, GateEnv, operations};
use kernel::{DirectiveId, Refusal, RunId, Unit};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

pub(super) fn rows() -> Vec<Route> {
    let read = Guard::Own(Permission::DirectiveRead);
    let propose = Guard::Own(Permission::DirectivePropose);
    let control = Guard::Own(Permission::DirectiveControl);
    vec![
        Route::get("/v1/directives", read, "directives", stored::list)
            .parameters(&PAGING)
            .parameters(&FILTERS)
            .gives(Gives::Page),
        Route::post(
            "/v1/directives",
            propose,
            "write a directive and ask for it",
            create,
        )
        .unversioned()
        .body::<NewDirective>()
        .creates(),
        Route::get("/v1/directives/{id}", read, "one directive", stored::get)
            .gives(Gives::Resource),
        Route::get(
            "/v1/directives/{id}/versions",
            read,
            "every version of its contract",
            versions,
        ),
        Route::get(
            "/v1/directives/{id}/diff",
            read,
            "what two versions of its contract differ in",
            difference,
        )
        .parameters(&FROM_TO),
        Route::post(
            "/v1/directives/{id}/propose",
            propose,
            "ask for a draft",
            self::propose,
        )
        .body::<Nothing>(),
        Route::post(
            "/v1/directives/{id}/edit",
            propose,
            "replace the contract",
            edit,
        )
        .body::<Edit>(),
        Route::post(
            "/v1/directives/{id}/retry",
            control,
            "ask the gate afresh",
            retry,
        )
        .body::<Nothing>(),
        Route::post(
            "/v1/directives/{id}/block",
            control,
            "stop it before it runs",
            block,
        )
        .body::<Because>()
        .lane(Lane::Urgent),
        Route::post(
            "/v1/directives/{id}/pause",
            control,
            "halt it between two steps",
            pause,
        )
        .body::<Because>()
        .lane(Lane::Urgent),
        Route::post(
            "/v1/directives/{id}/resume",
            control,
            "let it go on",
            resume,
        )
        .body::<Because>(),
        Route::post(
            "/v1/directives/{id}/abort",
            control,
            "give it up and undo what it did",
            abort,
        )
        .body::<Because>()
        .lane(Lane::Urgent),
        Route::post(
            "/v1/directives/{id}/rollback",
            control,
            "take back what it did",
            rollback,
        )
        .body::<Because>(),
        Route::get(
            "/v1/schemas/directive",
            read,
            "the JSON Schema of a contract",
            schema,
        ),
        Route::get("/v1/verdicts", read, "verdicts of the gate", verdicts::list)
            .parameters(&PAGING)
            .parameters(&FILTERS)
            .gives(Gives::Page),
        Route::get("/v1/verdicts/{id}", read, "one verdict", verdicts::get).gives(Gives::Resource),
        Route::get(
            "/v1/verdicts/{id}/explain",
            read,
            "who asked for what, what decided, and what would have to change",
            explain,
        )
        .lane(Lane::Urgent),
    ]
}

async fn explain(
    State(app): State<App>,
    Place(id): Place<String>,
    caller: Caller,
) -> Answer<Json<Value>> {
    let (_, explanation) = crate::explain::explanation(&app, &caller, &id).await?;
    Ok(Json(json!({"explanation": explanation})))
}

mod stored {
    super::readable!("directive");
}
mod verdicts {
    super::readable!("verdict");
}

kernel::names! {
    /// What is wanted of a new directive.
    pub(super) enum Wanted {
        /// Only that it is written down.
        Draft = "draft",
        /// That the gate is asked for it.
        Propose = "propose",
    }
}

fn propose_by_default() -> Wanted {
    Wanted::Propose
}

/// A directive to be written.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewDirective {
    /// The contract; its schema is at `/v1/schemas/directive`.
    #[schema(value_type = Object)]
    contract: Contract,
    /// What it came from, for example the id of an incident.
    #[serde(default)]
    origin: Option<String>,
    /// `propose`, or `draft` to write it down only.
    #[serde(default = "propose_by_default")]
    #[schema(value_type = String, required = false)]
    wanted: Wanted,
}

/// A contract that replaces the one in force.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Edit {
    /// The contract as it is wanted.
    #[schema(value_type = Object)]
    contract: Contract,
}

/// A body with nothing in it.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

async fn schema() -> Json<Value> {
    Json(gate::contract::schema())
}

/// What the API says of a directive after it was changed.
fn standing(unit: &mut Unit<'_>, id: DirectiveId) -> Result<Value, Refusal> {
    let directive = unit.get::<Directive>(id)?;
    Ok(json!({
        "directive": id,
        "digest": directive.digest,
        "status": directive.status,
        "approval": directive.approval,
        "run": directive.run,
        "waits_for": directive.waits_for,
    }))
}

/// Which versions are compared.
const FROM_TO: [Parameter; 2] = [
    Parameter {
        name: "from",
        about: "the version that is compared, from 1; without it, the one before `to`",
    },
    Parameter {
        name: "to",
        about: "the version that it is compared with; without it, the one in force",
    },
];

async fn versions(
    State(app): State<App>,
    caller: Caller,
    Place(id): Place<String>,
) -> Answer<Json<Value>> {
    let items = app.control().versions(caller.tenant(), id.parse()?).await?;
    Ok(Json(json!({ "items": items })))
}

async fn difference(
    State(app): State<App>,
    caller: Caller,
    Place(id): Place<String>,
    query: Query,
) -> Answer<Json<Difference>> {
    let (from, to) = (query.version("from")?, query.version("to")?);
    let found = app
        .control()
        .difference(caller.tenant(), id.parse()?, (from, to));
    Ok(Json(found.await?))
}

/// Writes a directive down, and asks for it where that is wanted.
pub(super) fn drafted(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    contract: Contract,
    origin: Option<String>,
    wanted: Wanted,
) -> Result<Value, Refusal> {
    let id = operations::draft(unit, contract, origin)?;
    let outcome = match wanted {
        Wanted::Draft => Value::Null,
        Wanted::Propose => proposed_json(&operations::propose(unit, env, id)?),
    };
    let mut answer = standing(unit, id)?;
    if let Some(object) = answer.as_object_mut() {
        object.insert("outcome".into(), outcome);
    }
    Ok(answer)
}

async fn create(State(app): State<App>, command: Command<NewDirective>) -> Answer<Response> {
    let gated = Gated::of(&app, &command.caller).await?;
    let done = command.run(&app, move |unit, body| {
        gated.still(unit)?;
        let (contract, origin) = (body.contract.clone(), body.origin.clone());
        drafted(unit, &gated.env(), contract, origin, body.wanted)
    });
    Ok(done.await?.with(StatusCode::CREATED))
}

async fn propose(
    State(app): State<App>,
    Place(id): Place<String>,
    command: Command<Nothing>,
) -> Answer<Response> {
    let id: DirectiveId = id.parse()?;
    let gated = Gated::of(&app, &command.caller).await?;
    let done = command.on::<Directive>(id).run(&app, move |unit, _| {
        gated.still(unit)?;
        let outcome = operations::propose(unit, &gated.env(), id)?;
        Ok(json!({"directive": id, "outcome": proposed_json(&outcome)}))
    });
    Ok(done.await?.into_response())
}

async fn retry(
    State(app): State<App>,
    Place(id): Place<String>,
    command: Command<Nothing>,
) -> Answer<Response> {
    let id: DirectiveId = id.parse()?;
    let gated = Gated::of(&app, &command.caller).await?;
    let done = command.on::<Directive>(id).run(&app, move |unit, _| {
        gated.still(unit)?;
        let outcome = operations::retry(unit, &gated.env(), id)?;
        Ok(json!({"directive": id, "outcome": proposed_json(&outcome)}))
    });
    Ok(done.await?.into_response())
}

async fn edit(
    State(app): State<App>,
    Place(id): Place<String>,
    command: Command<Edit>,
) -> Answer<Response> {
    let id: DirectiveId = id.parse()?;
    let gated = Gated::of(&app, &command.caller).await?;
    let done = command.on::<Directive>(id).run(&app, move |unit, body| {
        gated.still(unit)?;
        let edited = operations::edit(unit, &gated.env(), id, body.contract.clone())?;
        let outcome = edited.proposed.as_ref().map(proposed_json);
        Ok(json!({"directive": id, "digest": edited.digest, "outcome": outcome}))
    });
    Ok(done.await?.into_response())
}

/// The run of a directive, when it has one.
fn run_of(unit: &mut Unit<'_>, id: DirectiveId) -> Result<Option<RunId>, Refusal> {
    Ok(unit.get::<Directive>(id)?.run)
}

fn no_run(id: DirectiveId) -> Refusal {
    Refusal::illegal_move(format!("the directive `{id}` has no run"))
}

type Control = fn(&mut Unit<'_>, DirectiveId, &str) -> Result<(), Refusal>;

async fn controlled(
    app: &App,
    id: &str,
    command: Command<Because>,
    work: Control,
) -> Answer<Response> {
    let id: DirectiveId = id.parse()?;
    let done = command.on::<Directive>(id).run(app, move |unit, body| {
        work(unit, id, body.reason()?)?;
        standing(unit, id)
    });
    Ok(done.await?.into_response())
}

async fn block(
    State(app): State<App>,
    Place(id): Place<String>,
    command: Command<Because>,
) -> Answer<Response> {
    controlled(&app, &id, command, operations::block).await
}

async fn pause(
    State(app): State<App>,
    Place(id): Place<String>,
    command: Command<Because>,
) -> Answer<Response> {
    controlled(&app, &id, command, |unit, id, reason| {
        match run_of(unit, id)? {
            Some(run) => engine::pause(unit, run, reason),
            None => operations::pause(unit, id, reason),
        }
    })
    .await
}

async fn resume(
    State(app): State<App>,
    Place(id): Place<String>,
    command: Command<Because>,
) -> Answer<Response> {
    controlled(&app, &id, command, |unit, id, reason| {
        match run_of(unit, id)? {
            Some(run) => engine::resume(unit, run, reason).map(drop),
            None => operations::resume(unit, id),
        }
    })
    .await
}

async fn abort(
    State(app): State<App>,
    Place(id): Place<String>,
    command: Command<Because>,
) -> Answer<Response> {
    controlled(&app, &id, command, |unit, id, reason| {
        match run_of(unit, id)? {
            Some(run) => engine::abort(unit, run, reason).map(drop),
            None => operations::abort(unit, id, reason),
        }
    })
    .await
}

async fn rollback(
    State(app): State<App>,
    Place(id): Place<String>,
    command: Command<Because>,
) -> Answer<Response> {
    controlled(&app, &id, command, |unit, id, reason| {
        let run = run_of(unit, id)?.ok_or_else(|| no_run(id))?;
        engine::rollback(unit, run, reason, act::limits::ROLLBACK_WINDOW).map(drop)
    })
    .await
}
