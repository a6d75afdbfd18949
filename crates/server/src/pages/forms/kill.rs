//! Engaging the kill switch by one person, releasing it by two.

use super::written;
use crate::app::App;
use crate::auth::SafeForm;
use crate::http::Trace;
use crate::http::problem::{Answer, Kind, Problem};
use crate::pages::view::Flash;
use crate::pages::visit::away;
use axum::extract::State;
use axum::response::Response;
use gate::kill::{self, Scope};
use serde::Deserialize;

/// What is stopped, and why.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Engage {
    scope: Scope,
    #[serde(default)]
    agent: String,
    #[serde(default)]
    reason: String,
}

/// A scope, and why.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scoped {
    scope: Scope,
    #[serde(default)]
    reason: String,
}

/// A page acts in its own tenant only.
fn here(scope: Scope) -> Answer<Scope> {
    match scope {
        Scope::Global => Err(
            Problem::new(Kind::Invalid, "`global` reaches beyond this tenant")
                .hint("use `writ kill`, or the API, in the home tenant"),
        ),
        other => Ok(other),
    }
}

fn back(done: Flash) -> Answer<Response> {
    away(&format!("/kill?done={done}"))
}

pub(crate) async fn engage(
    State(app): State<App>,
    trace: Trace,
    form: SafeForm<Engage>,
) -> Answer<Response> {
    let Engage {
        scope,
        agent,
        reason,
    } = form.fields;
    let scope = match written(&agent) {
        Some(agent) => format!("agent:{agent}").parse()?,
        None => here(scope)?,
    };
    app.ledger()
        .run(app.ctx(&form.caller, trace), move |unit| {
            kill::engage(unit, scope.clone(), reason.trim()).map(|_| ())
        })
        .await?;
    app.control().uphold(form.caller.tenant()).await?;
    back(Flash::Engaged)
}

pub(crate) async fn request_release(
    State(app): State<App>,
    trace: Trace,
    form: SafeForm<Scoped>,
) -> Answer<Response> {
    let Scoped { scope, reason } = form.fields;
    let scope = here(scope)?;
    app.ledger()
        .run(app.ctx(&form.caller, trace), move |unit| {
            kill::request_release(unit, &scope, reason.trim()).map(|_| ())
        })
        .await?;
    back(Flash::ReleaseAsked)
}

pub(crate) async fn confirm_release(
    State(app): State<App>,
    trace: Trace,
    form: SafeForm<Scoped>,
) -> Answer<Response> {
    let scope = here(form.fields.scope)?;
    app.ledger()
        .run(app.ctx(&form.caller, trace), move |unit| {
            kill::confirm_release(unit, &scope).map(|_| ())
        })
        .await?;
    app.control().look_again(form.caller.tenant()).await;
    back(Flash::Released)
}
