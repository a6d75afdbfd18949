//! Several decisions at once, where policy allows it: each is checked and
//! recorded on its own, and the answer says of each what came of it.

use crate::app::App;
use crate::auth::Caller;
use crate::gated::{Gated, decided_json};
use crate::http::problem::Answer;
use crate::http::{Command, Trace};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use gate::approval::{Choice, Signed};
use gate::operations::{self, Approve, Reject};
use kernel::{Actor, ApprovalId, Digest, Refusal};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// Decisions on several requests.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Decisions {
    /// One for each request; as many as policy allows.
    decisions: Vec<OneDecision>,
}

/// A decision on one of several requests.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OneDecision {
    /// The request.
    #[schema(value_type = String)]
    pub(crate) approval: ApprovalId,
    /// The digest of the directive that was seen.
    #[schema(value_type = String)]
    pub(crate) digest: Digest,
    /// `approve` or `reject`.
    #[schema(value_type = String)]
    pub(crate) decision: Choice,
    /// Why; a no needs it.
    #[serde(default)]
    pub(crate) reason: Option<String>,
    /// The statement with its signature, where policy demands one.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub(crate) signed: Option<Signed>,
    /// In whose place, where the caller decides by delegation.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(crate) on_behalf_of: Option<Actor>,
}

/// Refuses a list that is empty, too long or names a request twice.
pub(crate) fn fitting(gated: &Gated, decisions: &[OneDecision]) -> Result<(), Refusal> {
    if decisions.is_empty() {
        return Err(Refusal::invalid("names no request").at("decisions"));
    }
    let max = operations::bulk_max(&gated.env())?;
    if decisions.len() > max {
        return Err(Refusal::limit(format!(
            "{} decisions at once, allowed are {max}",
            decisions.len()
        ))
        .hint("decide in several parts, having looked at each")
        .at("decisions"));
    }
    let mut seen = BTreeSet::new();
    match decisions.iter().find(|one| !seen.insert(one.approval)) {
        None => Ok(()),
        Some(twice) => {
            Err(Refusal::invalid(format!("names `{}` twice", twice.approval)).at("decisions"))
        }
    }
}

/// Takes one decision of several, as a command of its own.
pub(crate) async fn one(
    app: &App,
    (caller, trace): (&Caller, Trace),
    gated: &Gated,
    one: OneDecision,
) -> Value {
    let (gated, approval) = (gated.clone(), one.approval);
    let work = move |unit: &mut kernel::Unit<'_>| {
        gated.still(unit)?;
        let env = gated.env();
        operations::in_bulk(unit, &env, one.approval)?;
        let (signed, on_behalf_of) = (one.signed.clone(), one.on_behalf_of.clone());
        if one.decision == Choice::Reject {
            let no = Reject {
                signed,
                on_behalf_of,
                ..Reject::of(
                    one.approval,
                    one.digest,
                    one.reason.as_deref().unwrap_or(""),
                )
            };
            operations::reject(unit, &no)?;
            return Ok(json!({"result": "rejected"}));
        }
        let yes = Approve {
            reason: one.reason.clone(),
            signed,
            on_behalf_of,
            ..Approve::to(one.approval, one.digest)
        };
        operations::approve(unit, &env, &yes).map(|decided| decided_json(&decided))
    };
    let done = app.ledger().run(app.ctx(caller, trace), work).await;
    let mut answer = match done {
        Ok(committed) => committed.answer,
        Err(refusal) => json!({
            "result": "refused",
            "code": refusal.code,
            "detail": refusal.message,
            "hint": refusal.hint,
        }),
    };
    if let Some(members) = answer.as_object_mut() {
        members.insert("approval".into(), approval.to_string().into());
    }
    answer
}

pub(super) async fn decide(
    State(app): State<App>,
    command: Command<Decisions>,
) -> Answer<Response> {
    let gated = Gated::of(&app, &command.caller).await?;
    let (caller, trace) = (command.caller.clone(), command.trace);
    let at = app.clone();
    let done = command.around(&app, async move |_, body: Decisions| {
        fitting(&gated, &body.decisions)?;
        let mut results = Vec::with_capacity(body.decisions.len());
        for decision in body.decisions {
            results.push(one(&at, (&caller, trace), &gated, decision).await);
        }
        Ok(json!({"results": results}))
    });
    Ok(Json(done.await?).into_response())
}
