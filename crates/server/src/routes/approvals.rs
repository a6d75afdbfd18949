//! Approvals: a person's decision, bound to the digest that they saw.

use super::bulk;
use super::documents::{self, FILTERS, PAGING};
use super::table::{Gives, Guard, Route};
use crate::app::App;
use crate::auth::Caller;
use crate::gated::{Gated, decided_json, proposed_json};
use crate::http::cursor::Page;
use crate::http::problem::Answer;
use crate::http::{Command, Place, Query};
use crate::inbox;
use crate::lanes::Lane;
use crate::view::Resource;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use gate::access::Permission;
use gate::approval::Signed;
use gate::operations::{self, Approve, EditAndApprove, Reject};
use gate::{Approval, Contract};
use kernel::{Actor, Aggregate as _, ApprovalId, Digest};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

pub(super) fn rows() -> Vec<Route> {
    let read = Guard::Own(Permission::ApprovalRead);
    let decide = Guard::Own(Permission::ApprovalDecide);
    vec![
        Route::get(
            "/v1/approvals",
            read,
            "what waits for a person, and what was decided",
            list,
        )
        .parameters(&PAGING)
        .parameters(&FILTERS)
        .parameters(&inbox::FILTERS)
        .gives(Gives::Page)
        .lane(Lane::Urgent),
        Route::get("/v1/approvals/{id}", read, "one approval", get)
            .gives(Gives::Resource)
            .lane(Lane::Urgent),
        Route::post(
            "/v1/approvals/decide",
            decide,
            "decide on several requests, each on its own, where policy allows it",
            bulk::decide,
        )
        .unversioned()
        .body::<bulk::Decisions>()
        .lane(Lane::Urgent),
        Route::post(
            "/v1/approvals/{id}/approve",
            decide,
            "agree to what was seen",
            approve,
        )
        .body::<Yes>()
        .lane(Lane::Urgent),
        Route::post(
            "/v1/approvals/{id}/reject",
            decide,
            "refuse what was seen",
            reject,
        )
        .body::<No>()
        .lane(Lane::Urgent),
        Route::post(
            "/v1/approvals/{id}/edit",
            decide,
            "change the contract and agree",
            edit,
        )
        .body::<Changed>()
        .lane(Lane::Urgent),
    ]
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Answer<Json<Page<Resource>>> {
    inbox::list(&app, &caller, &query).await.map(Json)
}

/// A yes.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Yes {
    /// The digest of the directive that was seen.
    #[schema(value_type = String)]
    digest: Digest,
    /// Why, if it is to be said.
    #[serde(default)]
    reason: Option<String>,
    /// The statement with its signature, where policy demands one: see
    /// `docs/approvals.md`.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    signed: Option<Signed>,
    /// In whose place, `human:prn_…`, where the caller decides by delegation.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    on_behalf_of: Option<Actor>,
}

/// A no.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct No {
    /// The digest of the directive that was seen.
    #[schema(value_type = String)]
    digest: Digest,
    /// Why.
    reason: String,
    /// The statement with its signature, if it is to be signed.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    signed: Option<Signed>,
    /// In whose place, `human:prn_…`, where the caller decides by delegation.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    on_behalf_of: Option<Actor>,
}

/// A yes to a changed contract.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Changed {
    /// The digest of the directive that was seen.
    #[schema(value_type = String)]
    digest: Digest,
    /// The contract as it is wanted.
    #[schema(value_type = Object)]
    contract: Contract,
    /// Why, if it is to be said.
    #[serde(default)]
    reason: Option<String>,
}

async fn get(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Place(id): Place<String>,
) -> Answer<Response> {
    documents::get(&app, &caller, &headers, (Approval::KIND, &id)).await
}

async fn approve(
    State(app): State<App>,
    Place(id): Place<String>,
    command: Command<Yes>,
) -> Answer<Response> {
    let id: ApprovalId = id.parse()?;
    let gated = Gated::of(&app, &command.caller).await?;
    let done = command.on::<Approval>(id).run(&app, move |unit, body| {
        gated.still(unit)?;
        let yes = Approve {
            approval: id,
            seen: body.digest,
            reason: body.reason.clone(),
            signed: body.signed.clone(),
            on_behalf_of: body.on_behalf_of.clone(),
        };
        let decided = operations::approve(unit, &gated.env(), &yes)?;
        Ok(json!({"approval": id, "decision": decided_json(&decided)}))
    });
    Ok(done.await?.into_response())
}

async fn reject(
    State(app): State<App>,
    Place(id): Place<String>,
    command: Command<No>,
) -> Answer<Response> {
    let id: ApprovalId = id.parse()?;
    let done = command.on::<Approval>(id).run(&app, move |unit, body| {
        let no = Reject {
            approval: id,
            seen: body.digest,
            reason: body.reason.clone(),
            signed: body.signed.clone(),
            on_behalf_of: body.on_behalf_of.clone(),
        };
        operations::reject(unit, &no)?;
        Ok(json!({"approval": id, "decision": {"result": "rejected"}}))
    });
    Ok(done.await?.into_response())
}

async fn edit(
    State(app): State<App>,
    Place(id): Place<String>,
    command: Command<Changed>,
) -> Answer<Response> {
    let id: ApprovalId = id.parse()?;
    let gated = Gated::of(&app, &command.caller).await?;
    let done = command.on::<Approval>(id).run(&app, move |unit, body| {
        gated.still(unit)?;
        let asked = EditAndApprove {
            approval: id,
            seen: body.digest,
            contract: body.contract.clone(),
            reason: body.reason.clone(),
        };
        let edited = operations::edit_and_approve(unit, &gated.env(), asked)?;
        Ok(json!({
            "approval": id,
            "digest": edited.digest,
            "outcome": proposed_json(&edited.proposed),
            "decision": edited.decided.as_ref().map(decided_json),
        }))
    });
    Ok(done.await?.into_response())
}
