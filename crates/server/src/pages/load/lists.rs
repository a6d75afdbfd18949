//! Listings: incidents, candidates, signals, directives, approvals, runs.

use super::common::{Names, in_status, pager, paging};
use crate::http::problem::Answer;
use crate::pages::view::Section;
use crate::pages::view::approvals::{ApprovalRow, ApprovalsView, approvals_page};
use crate::pages::view::directives::{DirectiveRow, Listing, RunRow, directives_page, runs_page};
use crate::pages::view::incidents::{IncidentRow, incidents_page};
use crate::pages::view::sensed::{CandidateRow, SignalRow, candidates_page, signals_page};
use crate::pages::visit::{Visit, shown};
use act::Run;
use act::run::TaskStatus;
use axum::response::Response;
use gate::{Approval, Directive, VerdictRecord};
use kernel::names::Name;
use kernel::{Aggregate, Verdict};
use ledger::DocumentQuery;
use sense::Signal;
use sense::candidate::{Candidate, CandidateStatus};
use sense::incident::{Incident, IncidentStatus};

/// Decided approvals below the inbox.
const DECIDED_MAX: usize = 20;
/// Approvals that wait and are shown.
pub(super) const WAITING_MAX: usize = 99;
/// Longest summary of a signal's attributes, in characters.
const SUMMARY_CHARS_MAX: usize = 240;

/// A page of the states of this kind, filtered by `?status=`.
async fn listing<A: Aggregate, R>(
    visit: &Visit,
    path: &str,
    statuses: Vec<String>,
    row: impl Fn(&str, &A) -> R,
) -> Answer<Listing<R>> {
    let paging = paging(visit, path)?;
    let status = visit.query.text("status").map(str::to_owned);
    let query = DocumentQuery {
        kind: A::KIND.to_owned(),
        statuses: status.iter().cloned().collect(),
        beyond_seq: paging.beyond_seq,
        order: paging.order,
        limit: paging.rows(),
        ..DocumentQuery::default()
    };
    let store = visit.app.ledger().store();
    let documents = store.documents(visit.caller.tenant(), &query).await?;
    let page = paging.page(documents, |d| d.created_seq, |d| d);
    let mut rows = Vec::new();
    for document in &page.items {
        let state = crate::pages::visit::parsed::<A>(&document.stream, &document.body)?;
        rows.push(row(document.stream.id(), &state));
    }
    Ok(Listing {
        rows,
        statuses,
        status,
        pager: pager(visit, path, page.next_cursor),
    })
}

fn words<N: Name + ToString>() -> Vec<String> {
    N::ALL.iter().map(|n| n.to_string()).collect()
}

pub(super) fn incident_row(incident: &Incident) -> IncidentRow {
    IncidentRow {
        id: incident.id.to_string(),
        title: incident.title.clone(),
        severity: incident.severity.to_string(),
        status: incident.status.to_string(),
        subject: incident.subject.to_string(),
        confidence: incident.confidence,
        created_at: incident.created_at,
    }
}

pub(crate) async fn incidents(visit: Visit) -> Answer<Response> {
    let statuses = words::<IncidentStatus>();
    let row = |_: &str, incident: &Incident| incident_row(incident);
    let view = listing(&visit, "/incidents", statuses, row).await?;
    let frame = visit.frame(Section::Incidents).await?;
    shown(incidents_page(&frame, &view))
}

pub(crate) async fn candidates(visit: Visit) -> Answer<Response> {
    let row = |id: &str, candidate: &Candidate| {
        let decision = candidate.decision.as_ref();
        let (confidence, band) = match decision {
            Some(d) => (d.confidence.value, d.confidence.band),
            None => (candidate.provisional.confidence, candidate.provisional.band),
        };
        CandidateRow {
            id: id.to_owned(),
            subject: candidate.subject.to_string(),
            status: candidate.status.to_string(),
            reasons: decision.map(|d| d.reasons.clone()).unwrap_or_default(),
            confidence: Some((confidence, band.to_string())),
            rules: decision
                .map_or_else(|| candidate.provisional.rules.clone(), |d| d.rules.clone()),
            incident: decision.and_then(|d| d.incident).map(|i| i.to_string()),
            opened_at: candidate.opened_at,
        }
    };
    let view = listing(&visit, "/candidates", words::<CandidateStatus>(), row).await?;
    let frame = visit.frame(Section::Candidates).await?;
    shown(candidates_page(&frame, &view))
}

pub(crate) async fn signals(visit: Visit) -> Answer<Response> {
    let row = |id: &str, signal: &Signal| SignalRow {
        id: id.to_owned(),
        kind: signal.signal_type.clone(),
        subject: signal.subject.to_string(),
        severity: signal.severity.to_string(),
        status: signal.status.to_string(),
        summary: summary(signal),
        observed_at: signal.observed_at,
        evidence: signal.evidence.first().map(|e| e.id.to_string()),
    };
    let view = listing(&visit, "/signals", words::<sense::SignalStatus>(), row).await?;
    let frame = visit.frame(Section::Signals).await?;
    shown(signals_page(&frame, &view))
}

fn summary(signal: &Signal) -> String {
    let pairs = signal.attributes.iter().map(|(name, value)| match value {
        serde_json::Value::String(text) => format!("{name}: {text}"),
        other => format!("{name}: {other}"),
    });
    let whole = pairs.collect::<Vec<_>>().join(" · ");
    match whole.char_indices().nth(SUMMARY_CHARS_MAX) {
        Some((at, _)) => format!("{}…", whole.get(..at).unwrap_or("")),
        None => whole,
    }
}

pub(super) fn directive_row(names: &Names, directive: &Directive) -> DirectiveRow {
    DirectiveRow {
        id: directive.id.to_string(),
        objective: directive.contract.objective.clone(),
        status: directive.status.to_string(),
        subject: directive
            .contract
            .subject()
            .map(ToString::to_string)
            .unwrap_or_default(),
        budget: directive.contract.budget.to_string(),
        issued_by: names.who(&directive.contract.issued_by),
        drafted_at: directive.drafted_at,
    }
}

pub(crate) async fn directives(visit: Visit) -> Answer<Response> {
    let names = Names::of(&visit).await?;
    let row = |_: &str, directive: &Directive| directive_row(&names, directive);
    let statuses = words::<gate::directive::Status>();
    let view = listing(&visit, "/directives", statuses, row).await?;
    let frame = visit.frame(Section::Directives).await?;
    shown(directives_page(&frame, &view))
}

pub(super) fn run_row(run: &Run, objective: String) -> RunRow {
    let done = run
        .steps
        .iter()
        .filter(|s| s.task.status == TaskStatus::Succeeded);
    RunRow {
        id: run.id.to_string(),
        objective,
        status: run_status(run),
        subject: run
            .subject
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        done: (done.count(), run.steps.len()),
        started_at: run.created_at,
        parked: run.parked.is_some(),
    }
}

/// Where a run stands, halted and waiting runs told apart.
pub(super) fn run_status(run: &Run) -> String {
    match (&run.paused, run.ended_at) {
        (Some(_), None) => "paused".to_owned(),
        _ if run.rolled_back_at.is_some() => "rolled_back".to_owned(),
        _ => run.status.to_string(),
    }
}

/// What the directive of a run is for.
pub(super) async fn objective(visit: &Visit, run: &Run) -> Answer<String> {
    let directive = visit.find::<Directive>(&run.directive.to_string()).await?;
    Ok(directive.map_or_else(|| run.id.to_string(), |d| d.contract.objective))
}

pub(crate) async fn runs(visit: Visit) -> Answer<Response> {
    let row = |_: &str, run: &Run| run.clone();
    let found = listing(&visit, "/runs", words::<act::run::RunStatus>(), row).await?;
    let mut rows = Vec::new();
    for run in &found.rows {
        rows.push(run_row(run, objective(&visit, run).await?));
    }
    let view = Listing {
        rows,
        statuses: found.statuses,
        status: found.status,
        pager: found.pager,
    };
    let frame = visit.frame(Section::Runs).await?;
    shown(runs_page(&frame, &view))
}

/// Why the visitor cannot decide on this approval; `None` when they can.
pub(super) fn closed(visit: &Visit, approval: &Approval) -> Option<String> {
    let caller = &visit.caller;
    let request = &approval.request;
    let voted = approval.votes.iter().any(|v| v.by == *caller.actor());
    if approval.status != gate::approval::Status::Pending {
        return Some(format!("the approval is {}", approval.status));
    }
    if !visit.may(gate::access::Permission::ApprovalDecide) {
        return Some("your roles do not decide on approvals".to_owned());
    }
    if caller.actor().kind != kernel::PrincipalKind::Human {
        return Some("only a person decides".to_owned());
    }
    if !caller.roles().iter().any(|r| request.among.contains(r)) {
        let among: Vec<_> = request.among.iter().map(ToString::to_string).collect();
        return Some(format!("it takes one of the roles: {}", among.join(", ")));
    }
    if request.barred.contains(caller.actor()) {
        return Some("you wrote it, so another person must agree".to_owned());
    }
    voted.then(|| "you have agreed already; another person must too".to_owned())
}

/// An approval as a row of the inbox.
pub(super) async fn approval_row(
    visit: &Visit,
    (id, approval): (String, Approval),
) -> Answer<ApprovalRow> {
    let request = &approval.request;
    let binding = &request.binding;
    let directive = visit
        .get::<Directive>(&binding.directive.to_string())
        .await?;
    let verdict = verdict(visit, &approval).await?;
    let contract = &directive.contract;
    Ok(ApprovalRow {
        id,
        directive: binding.directive.to_string(),
        objective: contract.objective.clone(),
        subject: contract
            .subject()
            .map(ToString::to_string)
            .unwrap_or_default(),
        status: approval.status.to_string(),
        budget: contract.budget.to_string(),
        modules: contract.steps.iter().map(|s| s.module.clone()).collect(),
        verdict,
        because: request.because.clone(),
        votes: (approval.votes.len(), request.needed),
        requested_at: approval.requested_at,
        expires_at: request.expires_at,
        closed: closed(visit, &approval),
    })
}

async fn verdict(visit: &Visit, approval: &Approval) -> Answer<Option<Verdict>> {
    let mut worst = None;
    for id in &approval.request.binding.verdicts {
        let record = visit.find::<VerdictRecord>(&id.to_string()).await?;
        worst = worst.max(record.map(|r| r.verdict()));
    }
    Ok(worst)
}

/// What waits, the soonest end first.
pub(super) async fn waiting(visit: &Visit) -> Answer<Vec<ApprovalRow>> {
    let pending = gate::approval::Status::Pending.name();
    let mut rows = Vec::new();
    for found in visit
        .list::<Approval>(in_status(&[pending], WAITING_MAX))
        .await?
    {
        rows.push(approval_row(visit, found).await?);
    }
    rows.sort_by_key(|r| (r.closed.is_some(), r.expires_at));
    Ok(rows)
}

pub(crate) async fn approvals(visit: Visit) -> Answer<Response> {
    let decided: Vec<_> = words::<gate::approval::Status>()
        .into_iter()
        .filter(|s| s != gate::approval::Status::Pending.name())
        .collect();
    let decided: Vec<&str> = decided.iter().map(String::as_str).collect();
    let mut view = ApprovalsView {
        waiting: waiting(&visit).await?,
        ..ApprovalsView::default()
    };
    for found in visit
        .list::<Approval>(in_status(&decided, DECIDED_MAX))
        .await?
    {
        view.decided.push(approval_row(&visit, found).await?);
    }
    let frame = visit.frame(Section::Approvals).await?;
    shown(approvals_page(&frame, &view))
}
