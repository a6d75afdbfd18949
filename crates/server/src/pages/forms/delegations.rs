//! Giving a delegation and taking one back.

use crate::app::App;
use crate::auth::SafeForm;
use crate::gated::Gated;
use crate::http::problem::Answer;
use crate::http::{Place, Trace};
use crate::pages::view::Flash;
use crate::pages::visit::away;
use crate::routes::active;
use axum::extract::State;
use axum::response::Response;
use gate::approval::Kinds;
use gate::delegation::{self, Grant};
use kernel::{DelegationId, PrincipalId, Span};
use serde::Deserialize;

/// What is given.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Given {
    to: PrincipalId,
    lasts: Span,
    #[serde(default)]
    types: String,
    #[serde(default)]
    reason: String,
}

/// What is taken back.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Taken {
    delegation: DelegationId,
    #[serde(default)]
    reason: String,
}

fn back(done: Flash) -> Answer<Response> {
    away(&format!("/delegations?done={done}"))
}

pub(crate) async fn grant(
    State(app): State<App>,
    trace: Trace,
    form: SafeForm<Given>,
) -> Answer<Response> {
    let gate = Gated::of(&app, &form.caller).await?;
    let given = form.fields;
    let types = given.types.split(',').map(str::trim);
    let kinds = Kinds {
        directive_types: types.filter(|t| !t.is_empty()).map(str::to_owned).collect(),
        ..Kinds::default()
    };
    app.ledger()
        .run(app.ctx(&form.caller, trace), move |unit| {
            gate.still(unit)?;
            let asked = Grant {
                to: active(unit, given.to)?,
                kinds: kinds.clone(),
                until: unit.ctx().now.plus(given.lasts),
                reason: given.reason.clone(),
            };
            delegation::grant(unit, &gate.env(), &asked)
        })
        .await?;
    back(Flash::Delegated)
}

pub(crate) async fn revoke(
    State(app): State<App>,
    trace: Trace,
    Place(id): Place<String>,
    form: SafeForm<Taken>,
) -> Answer<Response> {
    let of: PrincipalId = id.parse()?;
    let taken = form.fields;
    app.ledger()
        .run(app.ctx(&form.caller, trace), move |unit| {
            delegation::revoke(unit, &of.to_string(), taken.delegation, taken.reason.trim())
        })
        .await?;
    back(Flash::DelegationRevoked)
}
