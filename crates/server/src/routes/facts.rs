//! Facts of history: what the pack's policies may ask of the past, and what
//! each tells of a subject and an agent now.

use super::table::{Guard, Parameter, Route};
use crate::app::App;
use crate::auth::Caller;
use crate::http::Query;
use crate::http::problem::Answer;
use axum::Json;
use axum::extract::State;
use gate::access::Permission;
use kernel::{Actor, Subject};
use serde_json::{Value, json};

/// For whom facts are looked up.
pub(crate) const FOR_WHOM: [Parameter; 2] = [
    Parameter {
        name: "subject",
        about: "what the facts of a subject tell of this one, `type/id`",
    },
    Parameter {
        name: "agent",
        about: "what the facts of an agent tell of this one, `kind:id`",
    },
];

pub(super) fn rows() -> Vec<Route> {
    vec![
        Route::get(
            "/v1/history",
            Guard::Own(Permission::DirectiveRead),
            "the facts of history that policies may ask for, and what each tells now",
            list,
        )
        .parameters(&FOR_WHOM),
    ]
}

/// For whom; an empty parameter is none.
///
/// # Errors
/// `invalid`, naming the parameter.
pub(crate) fn for_whom(query: &Query) -> Answer<(Option<Subject>, Option<Actor>)> {
    let given = |name: &str| query.text(name).is_some_and(|text| !text.is_empty());
    let subject = match given("subject") {
        true => query.get("subject")?,
        false => None,
    };
    let agent = match given("agent") {
        true => query.get("agent")?,
        false => None,
    };
    Ok((subject, agent))
}

async fn list(State(app): State<App>, caller: Caller, query: Query) -> Answer<Json<Value>> {
    let (subject, agent) = for_whom(&query)?;
    let facts = app
        .control()
        .facts(caller.tenant(), subject.as_ref(), agent.as_ref());
    Ok(Json(json!({"items": facts.await?})))
}
