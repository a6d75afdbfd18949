//! Confirming and taking back the keys that people sign with. A passkey is
//! registered by the script of the page, through the API.

use super::{Because, Nothing};
use crate::app::App;
use crate::auth::SafeForm;
use crate::http::problem::Answer;
use crate::http::{Place, Trace};
use crate::pages::view::Flash;
use crate::pages::visit::away;
use axum::extract::State;
use axum::response::Response;
use gate::signing_key;
use kernel::SigningKeyId;

fn back(done: Flash) -> Answer<Response> {
    away(&format!("/signing-keys?done={done}"))
}

pub(crate) async fn confirm(
    State(app): State<App>,
    trace: Trace,
    Place(id): Place<String>,
    form: SafeForm<Nothing>,
) -> Answer<Response> {
    let id: SigningKeyId = id.parse()?;
    app.ledger()
        .run(app.ctx(&form.caller, trace), move |unit| {
            signing_key::confirm(unit, id)
        })
        .await?;
    back(Flash::KeyConfirmed)
}

pub(crate) async fn revoke(
    State(app): State<App>,
    trace: Trace,
    Place(id): Place<String>,
    form: SafeForm<Because>,
) -> Answer<Response> {
    let id: SigningKeyId = id.parse()?;
    let reason = form.fields.reason;
    app.ledger()
        .run(app.ctx(&form.caller, trace), move |unit| {
            signing_key::revoke(unit, id, reason.trim())
        })
        .await?;
    back(Flash::KeyRevoked)
}
