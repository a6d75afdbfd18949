//! One incident, with the candidate that it was, its detections, its evidence
//! and what was proposed because of it.

use super::common::Names;
use super::lists::directive_row;
use crate::http::Place;
use crate::http::problem::Answer;
use crate::pages::view::Section;
use crate::pages::view::directives::DirectiveRow;
use crate::pages::view::incident::{
    DetectionView, EvidenceRow, FactorView, Happening, IncidentView, MoveForm, incident_page,
};
use crate::pages::view::part::{self, Need};
use crate::pages::visit::{Visit, shown};
use axum::response::Response;
use gate::Directive;
use gate::access::Permission;
use kernel::names::Name;
use ledger::{EntryQuery, Order};
use sense::assessment::Decision;
use sense::bundle::Bundle;
use sense::candidate::Candidate;
use sense::detection::Detection;
use sense::incident::{Incident, IncidentTrigger, LIFECYCLE};
use sense::investigation::Investigation;
use world::Evidence;

/// Detections and records of evidence shown at most, each.
const SHOWN_MAX: usize = 40;
/// Entries of its directives that join the timeline, at most.
const JOINED_MAX: usize = 100;

fn moves(visit: &Visit, incident: &Incident) -> Vec<MoveForm> {
    if !visit.may(Permission::IncidentManage) {
        return Vec::new();
    }
    let form = |trigger: IncidentTrigger| {
        // Mitigation is not a word of a person but the start of a directive.
        let label = match trigger {
            IncidentTrigger::Acknowledge => "Acknowledge",
            IncidentTrigger::Resolve => "Resolve",
            IncidentTrigger::Close => "Close",
            IncidentTrigger::Mitigate => return None,
        };
        let need = match trigger {
            IncidentTrigger::Acknowledge => Need::Optional,
            _ => Need::Required,
        };
        Some(MoveForm {
            action: trigger.name().to_owned(),
            label: label.to_owned(),
            reason: need,
        })
    };
    let allowed = LIFECYCLE.allowed(incident.status);
    allowed.into_iter().filter_map(form).collect()
}

fn factors(decision: &Decision) -> Vec<FactorView> {
    let factors = decision.confidence.factors.iter();
    factors
        .map(|f| FactorView {
            name: f.name.to_string(),
            value: f.value,
            weight: f.weight,
            contribution: f.contribution,
        })
        .collect()
}

async fn detections(visit: &Visit, incident: &Incident) -> Answer<Vec<DetectionView>> {
    let mut views = Vec::new();
    for id in incident.detections.iter().take(SHOWN_MAX) {
        let Some(found) = visit.find::<Detection>(&id.to_string()).await? else {
            continue;
        };
        views.push(DetectionView {
            id: id.to_string(),
            rule: format!("{} ({})", found.title, found.rule),
            severity: found.severity.to_string(),
            at: found.window_start,
            explanation: found.explanation.clone(),
            signals: found.signals.len(),
        });
    }
    Ok(views)
}

async fn evidence(visit: &Visit, bundle: Option<&Bundle>) -> Answer<Vec<EvidenceRow>> {
    let mut rows = Vec::new();
    let ids = bundle.iter().flat_map(|b| b.evidence.iter());
    for id in ids.take(SHOWN_MAX) {
        let Some(record) = visit.find::<Evidence>(&id.to_string()).await? else {
            continue;
        };
        rows.push(EvidenceRow {
            id: id.to_string(),
            label: format!(
                "{} {} {}",
                record.source,
                record.evidence_type,
                part::short(&record.source_id)
            ),
            observed_at: record.observed_at,
        });
    }
    Ok(rows)
}

/// What an entry of a directive says in an incident's timeline.
fn says(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "directive.drafted" => "A mitigation was drafted",
        "directive.approval_awaited" => "It waits for approval",
        "directive.approved" => "It was approved",
        "directive.blocked" => "It was blocked",
        "directive.edited" => "Its contract was edited",
        "directive.started" => "It started",
        "directive.paused" => "It was paused",
        "directive.resumed" => "It went on",
        "directive.completed" => "It was completed",
        "directive.aborted" => "It was aborted",
        "directive.expired" => "It expired",
        "approval.rejected" => "It was rejected",
        "approval.endorsed" => "A person agreed",
        "run.completed" => "Its run was completed",
        "run.failed" => "Its run failed",
        "run.canceled" => "Its run was canceled",
        _ => return None,
    })
}

async fn joined(
    visit: &Visit,
    names: &Names,
    incident: &Incident,
    directives: &[DirectiveRow],
) -> Answer<Vec<Happening>> {
    let mut happenings: Vec<Happening> = incident
        .timeline
        .iter()
        .map(|note| Happening {
            at: note.at,
            what: note.text.clone(),
            detail: None,
            category: "SIGNAL".to_owned(),
            by: names.who(&note.actor),
            entry: note.entry.to_string(),
            about: None,
        })
        .collect();
    for row in directives {
        let query = EntryQuery {
            directive: row.id.parse().ok(),
            order: Order::Descending,
            limit: JOINED_MAX,
            ..EntryQuery::default()
        };
        let store = visit.app.ledger().store();
        let entries = store.entries(visit.caller.tenant(), &query).await?;
        for entry in &entries {
            let Some(what) = says(&entry.kind) else {
                continue;
            };
            happenings.push(Happening {
                at: entry.at,
                what: what.to_owned(),
                detail: None,
                category: entry.category.to_string(),
                by: names.who(&entry.actor),
                entry: entry.id.to_string(),
                about: Some(entry.stream.id().to_owned()),
            });
        }
    }
    happenings.sort_by(|a, b| (b.at, &b.entry).cmp(&(a.at, &a.entry)));
    Ok(happenings)
}

/// Directives that work on it, and the one that its investigation proposed.
async fn proposed(
    visit: &Visit,
    names: &Names,
    incident: &Incident,
) -> Answer<(Vec<DirectiveRow>, Option<String>)> {
    let investigation = visit
        .find::<Investigation>(&incident.id.to_string())
        .await?;
    let mut ids = incident.directives.clone();
    if let Some(directive) = investigation.as_ref().and_then(|i| i.directive)
        && !ids.contains(&directive)
    {
        ids.push(directive);
    }
    let mut rows = Vec::new();
    for id in ids {
        if let Some(found) = visit.find::<Directive>(&id.to_string()).await? {
            rows.push(directive_row(names, &found));
        }
    }
    Ok((
        rows,
        investigation.map(|i| i.summary).filter(|s| !s.is_empty()),
    ))
}

pub(crate) async fn incident(visit: Visit, Place(id): Place<String>) -> Answer<Response> {
    let incident = visit.get::<Incident>(&id).await?;
    let names = Names::of(&visit).await?;
    let candidate = visit
        .find::<Candidate>(&incident.candidate.to_string())
        .await?;
    let decision = candidate.and_then(|c| c.decision);
    let bundle = visit.find::<Bundle>(&incident.bundle.to_string()).await?;
    let (directives, summary) = proposed(&visit, &names, &incident).await?;
    let timeline = joined(&visit, &names, &incident, &directives).await?;
    let view = IncidentView {
        id,
        title: incident.title.clone(),
        severity: incident.severity.to_string(),
        status: incident.status.to_string(),
        subject: incident.subject.to_string(),
        created_at: incident.created_at,
        confidence: incident.confidence,
        band: decision
            .as_ref()
            .map(|d| d.confidence.band.to_string())
            .unwrap_or_default(),
        model: decision
            .as_ref()
            .map(|d| d.confidence.version.clone())
            .unwrap_or_default(),
        factors: decision.as_ref().map(factors).unwrap_or_default(),
        promoted: decision.map(|d| d.reasons).unwrap_or_default(),
        candidate: Some(incident.candidate.to_string()),
        bundle: Some(incident.bundle.to_string()),
        detections: detections(&visit, &incident).await?,
        evidence: evidence(&visit, bundle.as_ref()).await?,
        directives,
        summary,
        timeline,
        moves: moves(&visit, &incident),
    };
    let frame = visit.frame(Section::Incidents).await?;
    shown(incident_page(&frame, &view))
}
