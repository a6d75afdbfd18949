//! Requests that may be decided on together, as a page, and what came of it.

use super::common::{Names, in_status};
use super::directive::verdict_view;
use super::lists::WAITING_MAX;
use crate::app::App;
use crate::auth::SafeForm;
use crate::gated::Gated;
use crate::http::Trace;
use crate::http::problem::Answer;
use crate::inbox::Inbox;
use crate::pages::forms::written;
use crate::pages::view::Section;
use crate::pages::view::bulk::{BulkResult, BulkRow, BulkView, bulk_page};
use crate::pages::visit::{Visit, shown};
use crate::routes::bulk::{OneDecision, fitting, one};
use axum::extract::State;
use axum::response::Response;
use gate::approval::{Choice, Status};
use gate::operations;
use gate::{Approval, Directive, VerdictRecord};
use kernel::Refusal;
use kernel::names::Name as _;
use serde_json::Value;
use std::collections::BTreeMap;

/// What waits, may be decided on with others, and by the visitor themselves.
async fn rows(visit: &Visit, gated: &Gated) -> Answer<Vec<BulkRow>> {
    let env = gated.env();
    let Some(bulk) = &env.rules.approvals.bulk else {
        return Ok(Vec::new());
    };
    let (names, inbox) = (
        Names::of(visit).await?,
        Inbox::of(&visit.app, &visit.caller).await?,
    );
    let pending = in_status(&[Status::Pending.name()], WAITING_MAX);
    let mut rows = Vec::new();
    for (id, approval) in visit.list::<Approval>(pending).await? {
        let request = &approval.request;
        let own = inbox
            .seats(&approval)
            .is_ok_and(|seats| seats.contains(&None));
        let Some(about) = request.about.as_ref().filter(|_| own && !request.signed) else {
            continue;
        };
        if bulk.of.has(about.action_class, &about.directive_type) {
            rows.push(row(visit, &names, id, &approval).await?);
        }
    }
    rows.sort_by_key(|row| row.expires_at);
    Ok(rows)
}

async fn row(visit: &Visit, names: &Names, id: String, approval: &Approval) -> Answer<BulkRow> {
    let request = &approval.request;
    let bound = &request.binding;
    let directive = visit.get::<Directive>(&bound.directive.to_string()).await?;
    let contract = &directive.contract;
    let verdict = match bound.verdicts.first() {
        None => None,
        Some(id) => visit.find::<VerdictRecord>(&id.to_string()).await?,
    };
    let steps = contract.steps.iter();
    Ok(BulkRow {
        id,
        directive: bound.directive.to_string(),
        digest: bound.digest.to_string(),
        objective: contract.objective.clone(),
        subject: contract
            .subject()
            .map(ToString::to_string)
            .unwrap_or_default(),
        kind: contract.kind.clone(),
        issued_by: names.who(&contract.issued_by),
        cost: contract.cost()?.to_string(),
        steps: steps
            .map(|s| (s.module.clone(), Value::Object(s.input.clone())))
            .collect(),
        verdict: verdict.as_ref().map(verdict_view),
        because: request.because.clone(),
        expires_at: request.expires_at,
    })
}

async fn page(visit: &Visit, gated: &Gated, results: Vec<BulkResult>) -> Answer<Response> {
    let view = BulkView {
        max: operations::bulk_max(&gated.env()).ok(),
        rows: rows(visit, gated).await?,
        results,
    };
    let frame = visit.frame(Section::Approvals).await?;
    shown(bulk_page(&frame, &view))
}

pub(crate) async fn bulk(visit: Visit) -> Answer<Response> {
    let gated = Gated::of(&visit.app, &visit.caller).await?;
    page(&visit, &gated, Vec::new()).await
}

/// Takes the decisions that were ticked, each by itself, and says of each what
/// came of it.
pub(crate) async fn decide(
    State(app): State<App>,
    trace: Trace,
    visit: Visit,
    form: SafeForm<BTreeMap<String, String>>,
) -> Answer<Response> {
    let gated = Gated::of(&app, &form.caller).await?;
    let mut fields = form.fields;
    let reason = fields.remove("reason").and_then(|text| written(&text));
    let decisions: Result<Vec<OneDecision>, Refusal> = fields
        .into_iter()
        .map(|(approval, digest)| {
            let digest = kernel::Digest::parse(&digest)
                .ok_or_else(|| Refusal::invalid("is no digest").at(&approval))?;
            Ok(OneDecision {
                approval: approval.parse()?,
                digest,
                decision: Choice::Approve,
                reason: reason.clone(),
                signed: None,
                on_behalf_of: None,
            })
        })
        .collect();
    let decisions = decisions?;
    fitting(&gated, &decisions)?;
    let mut results = Vec::with_capacity(decisions.len());
    for decision in decisions {
        let approval = visit
            .get::<Approval>(&decision.approval.to_string())
            .await?;
        let directive = approval.request.binding.directive.to_string();
        let objective = visit.get::<Directive>(&directive).await?.contract.objective;
        let answer = one(&app, (&form.caller, trace), &gated, decision).await;
        let text = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
        results.push(BulkResult {
            directive,
            objective,
            result: text("result").unwrap_or_default(),
            detail: text("detail"),
        });
    }
    page(&visit, &gated, results).await
}
