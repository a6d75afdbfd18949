//! Signing a type of directive off, and taking that back.

use crate::app::App;
use crate::auth::SafeForm;
use crate::gated::Gated;
use crate::http::Trace;
use crate::http::problem::Answer;
use crate::pages::view::Flash;
use crate::pages::visit::away;
use crate::routes::autonomy::Change;
use axum::extract::State;
use axum::response::Response;
use gate::autonomy;
use serde::Deserialize;

/// A type, and why.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Typed {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    reason: String,
}

pub(crate) async fn grant(
    State(app): State<App>,
    trace: Trace,
    form: SafeForm<Typed>,
) -> Answer<Response> {
    let change = (autonomy::grant as Change, Flash::SignedOff);
    changed(&app, trace, form, change).await
}

pub(crate) async fn withdraw(
    State(app): State<App>,
    trace: Trace,
    form: SafeForm<Typed>,
) -> Answer<Response> {
    let change = (autonomy::withdraw as Change, Flash::SignOffTaken);
    changed(&app, trace, form, change).await
}

/// Signs a type off, or takes that back, and says so.
async fn changed(
    app: &App,
    trace: Trace,
    form: SafeForm<Typed>,
    (change, flash): (Change, Flash),
) -> Answer<Response> {
    let gated = Gated::of(app, &form.caller).await?;
    let Typed { kind, reason } = form.fields;
    app.ledger()
        .run(app.ctx(&form.caller, trace), move |unit| {
            gated.still(unit)?;
            change(unit, &gated.env(), &kind, &reason).map(drop)
        })
        .await?;
    away(&format!("/autonomy?done={flash}"))
}
