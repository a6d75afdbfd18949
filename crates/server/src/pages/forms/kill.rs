//! Engaging the kill switch by one person, releasing it by two.

use super::written;
use crate::app::App;
use crate::auth::{Caller, SafeForm};
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

/// What is tried, and what for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tried {
    scope: Scope,
    #[serde(default)]
    note: String,
}

/// `global` reaches beyond the tenant: only the home tenant's people may.
fn within(caller: &Caller, scope: Scope) -> Answer<Scope> {
    match scope {
        Scope::Global if !caller.identity().home => Err(Problem::new(
            Kind::Forbidden,
            "`global` is for the home tenant",
        )
        .hint("stop everything of this tenant instead")),
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
        None => within(&form.caller, scope)?,
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
    let scope = form.fields.scope;
    app.ledger()
        .run(app.ctx(&form.caller, trace), move |unit| {
            kill::confirm_release(unit, &scope).map(|_| ())
        })
        .await?;
    app.control().look_again(form.caller.tenant()).await;
    back(Flash::Released)
}

pub(crate) async fn drill(
    State(app): State<App>,
    trace: Trace,
    form: SafeForm<Tried>,
) -> Answer<Response> {
    let Tried { scope, note } = form.fields;
    let scope = within(&form.caller, scope)?;
    let ctx = app.ctx(&form.caller, trace);
    app.control().drill(ctx, scope, note).await?;
    back(Flash::Drilled)
}
