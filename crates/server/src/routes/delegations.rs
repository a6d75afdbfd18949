//! Delegations: who decides in whose place, and until when.

use super::documents::{FILTERS, PAGING, readable};
use super::table::{Gives, Guard, Route};
use crate::app::App;
use crate::gated::Gated;
use crate::http::problem::Answer;
use crate::http::{Command, Place};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use flow::identity::{Principal, PrincipalStatus};
use gate::ActionClass;
use gate::access::Permission;
use gate::approval::Kinds;
use gate::delegation::{self, Delegations, Grant};
use kernel::{Actor, DelegationId, PrincipalId, Refusal, Timestamp, Unit};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeSet;
use utoipa::ToSchema;

pub(super) fn rows() -> Vec<Route> {
    let read = Guard::Own(Permission::ApprovalRead);
    let decide = Guard::Own(Permission::ApprovalDecide);
    vec![
        Route::get(
            "/v1/delegations",
            read,
            "who lets whom decide in their place",
            stored::list,
        )
        .parameters(&PAGING)
        .parameters(&FILTERS)
        .gives(Gives::Page),
        Route::get(
            "/v1/delegations/{id}",
            read,
            "what one person delegated",
            stored::get,
        )
        .gives(Gives::Resource),
        Route::post(
            "/v1/delegations",
            decide,
            "let another person decide in the caller's place, until an instant",
            grant,
        )
        .unversioned()
        .seeks()
        .body::<Delegate>()
        .creates(),
        Route::post(
            "/v1/delegations/{id}/revoke",
            decide,
            "take back one delegation of a person",
            revoke,
        )
        .body::<TakeBack>(),
    ]
}

mod stored {
    super::readable!("delegation");
}

/// A delegation to be given.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Delegate {
    /// The person who decides in the caller's place.
    #[schema(value_type = String)]
    to: PrincipalId,
    /// From this instant on it gives nothing; at most 30 days ahead.
    #[schema(value_type = String, format = "date-time")]
    until: Timestamp,
    /// Only directives of these action classes; with no class and no type, all.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    action_classes: BTreeSet<ActionClass>,
    /// Only directives of these types.
    #[serde(default)]
    directive_types: BTreeSet<String>,
    /// Why.
    reason: String,
}

/// A delegation to be taken back.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TakeBack {
    /// Which.
    #[schema(value_type = String)]
    delegation: DelegationId,
    /// Why.
    reason: String,
}

/// The actor of a principal that is there and may act.
pub(crate) fn active(unit: &mut Unit<'_>, id: PrincipalId) -> Result<Actor, Refusal> {
    let principal = unit.get::<Principal>(id).map_err(|e| e.at("to"))?;
    match principal.status {
        PrincipalStatus::Active => Ok(Actor::new(principal.kind, id)),
        PrincipalStatus::Disabled => {
            Err(Refusal::conflict(format!("principal `{id}` is disabled")).at("to"))
        }
    }
}

async fn grant(State(app): State<App>, command: Command<Delegate>) -> Answer<Response> {
    let gated = Gated::of(&app, &command.caller).await?;
    let done = command.run(&app, move |unit, body| {
        gated.still(unit)?;
        let asked = Grant {
            to: active(unit, body.to)?,
            kinds: Kinds {
                action_classes: body.action_classes.clone(),
                directive_types: body.directive_types.clone(),
            },
            until: body.until,
            reason: body.reason.clone(),
        };
        let delegation = delegation::grant(unit, &gated.env(), &asked)?;
        let by = unit.ctx().actor.id.clone();
        Ok(json!({"id": by, "delegation": delegation, "until": body.until}))
    });
    Ok(done.await?.with(StatusCode::CREATED))
}

async fn revoke(
    State(app): State<App>,
    Place(id): Place<String>,
    command: Command<TakeBack>,
) -> Answer<Response> {
    let of: PrincipalId = id.parse()?;
    let done = command.on::<Delegations>(of).run(&app, move |unit, body| {
        delegation::revoke(unit, &of.to_string(), body.delegation, &body.reason)?;
        Ok(json!({"id": of, "delegation": body.delegation, "status": "revoked"}))
    });
    Ok(done.await?.into_response())
}
