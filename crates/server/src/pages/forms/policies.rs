//! Enforcing a set of policies, and withdrawing one.

use crate::app::App;
use crate::auth::SafeForm;
use crate::http::Trace;
use crate::http::problem::Answer;
use crate::pages::view::Flash;
use crate::pages::visit::away;
use axum::extract::State;
use axum::response::Response;
use kernel::Digest;
use serde::Deserialize;

/// A set, and why.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetMoved {
    set: Digest,
    #[serde(default)]
    reason: String,
}

pub(crate) async fn promote(
    State(app): State<App>,
    trace: Trace,
    form: SafeForm<SetMoved>,
) -> Answer<Response> {
    let ctx = app.ctx(&form.caller, trace);
    let SetMoved { set, reason } = form.fields;
    app.control()
        .promote_policies(ctx, None, set, reason.trim().to_owned())
        .await?;
    away(&format!("/policies?done={}", Flash::Promoted))
}

pub(crate) async fn withdraw_set(
    State(app): State<App>,
    trace: Trace,
    form: SafeForm<SetMoved>,
) -> Answer<Response> {
    let ctx = app.ctx(&form.caller, trace);
    let SetMoved { set, reason } = form.fields;
    app.control()
        .withdraw_policies(ctx, None, set, reason.trim().to_owned())
        .await?;
    away(&format!("/policies?done={}", Flash::SetWithdrawn))
}
