//! Signing keys: what people sign their decisions with. Only public halves
//! come here.

use super::directives::Nothing;
use super::documents::{FILTERS, PAGING, readable};
use super::identity::Because;
use super::table::{Gives, Guard, Route};
use crate::app::App;
use crate::http::problem::Answer;
use crate::http::{Command, Place};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use gate::SigningKey;
use gate::access::Permission;
use gate::signing_key::{self, Algorithm, Assertion, Passkey, PublicKey, Registration};
use kernel::SigningKeyId;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

pub(super) fn rows() -> Vec<Route> {
    let read = Guard::Own(Permission::ApprovalRead);
    let own = Guard::Own(Permission::SigningKeyRegister);
    let manage = Guard::Own(Permission::SigningKeyManage);
    vec![
        Route::get(
            "/v1/signing-keys",
            read,
            "the public keys that people sign decisions with",
            stored::list,
        )
        .parameters(&PAGING)
        .parameters(&FILTERS)
        .gives(Gives::Page),
        Route::get(
            "/v1/signing-keys/{id}",
            read,
            "one signing key, without its private half",
            stored::get,
        )
        .gives(Gives::Resource),
        Route::post(
            "/v1/signing-keys",
            own,
            "register a key of one's own; a second person confirms it",
            register,
        )
        .unversioned()
        .body::<RegisterKey>()
        .creates(),
        Route::post(
            "/v1/signing-keys/{id}/confirm",
            manage,
            "confirm that a key is its person's; what it signs counts from then on",
            confirm,
        )
        .body::<Nothing>(),
        Route::post(
            "/v1/signing-keys/{id}/revoke",
            own,
            "take a key back; nothing that it signed counts any more",
            revoke,
        )
        .body::<Because>(),
    ]
}

mod stored {
    super::readable!("signing_key");
}

/// A key to be registered.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RegisterKey {
    /// `ed25519`, `passkey-es256` or `passkey-ed25519`.
    #[schema(value_type = String)]
    algorithm: Algorithm,
    /// The public half in base64.
    public_key: String,
    /// What its person calls it.
    name: String,
    /// The key's signature over key, principal and tenant: see
    /// `docs/approvals.md`.
    proof: String,
    /// Credential and origin, when it is a passkey.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    passkey: Option<Passkey>,
    /// What its authenticator signed, when it is a passkey.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    assertion: Option<Assertion>,
}

async fn register(State(app): State<App>, command: Command<RegisterKey>) -> Answer<Response> {
    let done = command.run(&app, |unit, body| {
        let asked = Registration {
            public: PublicKey {
                algorithm: body.algorithm,
                public_key: body.public_key.clone(),
                passkey: body.passkey.clone(),
            },
            name: body.name.clone(),
            proof: body.proof.clone(),
            assertion: body.assertion.clone(),
        };
        let id = signing_key::register(unit, &asked)?;
        Ok(json!({"id": id, "status": "registered"}))
    });
    Ok(done.await?.with(StatusCode::CREATED))
}

async fn confirm(
    State(app): State<App>,
    Place(id): Place<String>,
    command: Command<Nothing>,
) -> Answer<Response> {
    let id: SigningKeyId = id.parse()?;
    let done = command.on::<SigningKey>(id).run(&app, move |unit, _| {
        signing_key::confirm(unit, id)?;
        Ok(json!({"id": id, "status": "active"}))
    });
    Ok(done.await?.into_response())
}

async fn revoke(
    State(app): State<App>,
    Place(id): Place<String>,
    command: Command<Because>,
) -> Answer<Response> {
    let id: SigningKeyId = id.parse()?;
    let done = command.on::<SigningKey>(id).run(&app, move |unit, body| {
        signing_key::revoke(unit, id, body.reason()?)?;
        Ok(json!({"id": id, "status": "revoked"}))
    });
    Ok(done.await?.into_response())
}
