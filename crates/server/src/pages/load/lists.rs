//! Listings: incidents, candidates, signals, directives, approvals, runs.

use super::common::{Names, in_status, pager, paging};
use crate::http::problem::Answer;
use crate::inbox::{Filter, Inbox};
use crate::pages::view::Section;
use crate::pages::view::approvals::{ApprovalRow, ApprovalsView, FilterView, approvals_page};
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
use std::collections::BTreeSet;

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

/// An approval as a row of the inbox.
pub(super) async fn approval_row(
    visit: &Visit,
    inbox: &Inbox,
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
        escalated: approval
            .escalated_to
            .iter()
            .map(ToString::to_string)
            .collect(),
        closed: inbox.seats(&approval).err(),
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
    let inbox = Inbox::of(&visit.app, &visit.caller).await?;
    let mut rows = Vec::new();
    for found in visit
        .list::<Approval>(in_status(&[pending], WAITING_MAX))
        .await?
    {
        rows.push(approval_row(visit, &inbox, found).await?);
    }
    rows.sort_by_key(|r| (r.closed.is_some(), r.expires_at));
    Ok(rows)
}

/// What the inbox could be filtered by, and is.
async fn filter_view(
    visit: &Visit,
    names: &Names,
    statuses: Vec<String>,
) -> Answer<(FilterView, Filter)> {
    let filter = Filter::read(&visit.query)?;
    let text = |name: &str| visit.query.text(name).unwrap_or_default().to_owned();
    let pending = in_status(&[gate::approval::Status::Pending.name()], WAITING_MAX);
    let waiting = visit.list::<Approval>(pending).await?;
    let about = || waiting.iter().filter_map(|(_, a)| a.request.about.as_ref());
    let (types, classes): (BTreeSet<_>, BTreeSet<_>) = about()
        .map(|a| (a.directive_type.clone(), a.action_class.to_string()))
        .unzip();
    let issuers: BTreeSet<_> = about().map(|a| &a.issued_by).collect();
    let named = |actor: &kernel::Actor| {
        let who = names.who(actor);
        (who.actor.clone(), who.name.unwrap_or(who.actor))
    };
    let view = FilterView {
        types: types.into_iter().collect(),
        classes: classes.into_iter().collect(),
        issuers: issuers.into_iter().map(named).collect(),
        directive_type: text("type"),
        class: text("class"),
        issuer: text("issuer"),
        subject: text("subject"),
        status: text("status"),
        statuses,
        decidable: filter.decidable,
        overdue: filter.overdue,
    };
    Ok((view, filter))
}

pub(crate) async fn approvals(visit: Visit) -> Answer<Response> {
    let pending = gate::approval::Status::Pending.name();
    let statuses = words::<gate::approval::Status>();
    let statuses: Vec<_> = statuses.into_iter().filter(|s| s != pending).collect();
    let names = Names::of(&visit).await?;
    let (view, filter) = filter_view(&visit, &names, statuses.clone()).await?;
    let subject = match view.subject.is_empty() {
        true => None,
        false => visit.query.get("subject")?,
    };
    let inbox = Inbox::of(&visit.app, &visit.caller).await?;
    let sought = |statuses: &[&str], limit: usize| DocumentQuery {
        subject: subject.clone(),
        ..in_status(statuses, limit)
    };
    let mut rows = Vec::new();
    for (id, approval) in visit
        .list::<Approval>(sought(&[pending], WAITING_MAX))
        .await?
    {
        if filter.keeps(&approval, &inbox) {
            rows.push(approval_row(&visit, &inbox, (id, approval)).await?);
        }
    }
    rows.sort_by_key(|r| (r.closed.is_some(), r.expires_at));
    let decided: Vec<&str> = match view.status.as_str() {
        "" => statuses.iter().map(String::as_str).collect(),
        one => vec![one],
    };
    // Whether the viewer may decide, and whether it is overdue, is asked of
    // what waits.
    let of_decided = Filter {
        decidable: false,
        overdue: false,
        ..filter
    };
    let mut done = Vec::new();
    for (id, approval) in visit
        .list::<Approval>(sought(&decided, DECIDED_MAX))
        .await?
    {
        if of_decided.keeps(&approval, &inbox) {
            done.push(approval_row(&visit, &inbox, (id, approval)).await?);
        }
    }
    let in_force = visit.app.control().in_force(visit.caller.tenant()).ok();
    let view = ApprovalsView {
        waiting: rows,
        decided: done,
        filter: view,
        bulk: in_force.is_some_and(|f| f.pack.rules.approvals.bulk.is_some()),
    };
    let frame = visit.frame(Section::Approvals).await?;
    shown(approvals_page(&frame, &view))
}
