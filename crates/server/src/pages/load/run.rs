//! One run.

use super::directive::{verdict_view, verdicts};
use super::lists::{objective, run_status};
use crate::http::Place;
use crate::http::problem::Answer;
use crate::pages::view::Section;
use crate::pages::view::run::{AttemptView, RunStepView, RunView, run_page};
use crate::pages::visit::{Visit, shown};
use act::Run;
use act::run::{Phase, Task, TaskStatus};
use axum::response::Response;
use gate::access::Permission;
use kernel::{PrincipalKind, RunId, StreamId, Timestamp, limits};
use ledger::{Entry, EntryQuery, Order};
use serde_json::Value;

/// The attempts of a task, from the entries of the run.
fn attempts(entries: &[Entry], phase: Phase, step: &str) -> Vec<AttemptView> {
    let mut attempts: Vec<AttemptView> = Vec::new();
    for entry in entries {
        let Ok(payload) = serde_json::from_str::<Value>(&entry.payload) else {
            continue;
        };
        let text = |name: &str| payload.get(name).and_then(Value::as_str);
        if text("step") != Some(step) || text("phase") != Some(&phase.to_string()) {
            continue;
        }
        match text("ending") {
            Some(ending) => {
                if let Some(last) = attempts.last_mut() {
                    last.outcome = Some(ending.to_owned());
                    last.ended_at = Some(entry.at);
                    last.reason = text("reason").map(str::to_owned);
                }
            }
            None if payload.get("permit").is_some() => attempts.push(AttemptView {
                number: number(&payload),
                started_at: entry.at,
                ended_at: None,
                outcome: None,
                reason: None,
                permit: text("permit").map(str::to_owned),
            }),
            None => {}
        }
    }
    attempts
}

fn number(payload: &Value) -> u32 {
    let number = payload.get("attempt").and_then(Value::as_u64);
    number.and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
}

fn key(run: RunId, phase: Phase, step: &str) -> Answer<String> {
    Ok(act::engine::idempotency_key(run, phase, step)?)
}

fn compensation(task: &Task) -> String {
    format!("{}, {}", task.module, task.status)
}

fn controls(visit: &Visit, run: &Run) -> Vec<String> {
    if run.ended_at.is_some() || !visit.may(Permission::DirectiveControl) {
        return Vec::new();
    }
    let mut controls = Vec::new();
    let held = run.parked.as_ref().is_some_and(|p| p.held);
    if run.paused.is_some() || held {
        controls.push("resume".to_owned());
    }
    if run.paused.is_none() {
        controls.push("pause".to_owned());
    }
    if run.stop.is_none() {
        controls.push("abort".to_owned());
    }
    controls
}

async fn entries(visit: &Visit, id: &str) -> Answer<Vec<Entry>> {
    let query = EntryQuery {
        stream: Some(StreamId::of::<Run>(id)),
        order: Order::Descending,
        limit: limits::PAGE_ROWS_MAX,
        ..EntryQuery::default()
    };
    let store = visit.app.ledger().store();
    let mut found = store.entries(visit.caller.tenant(), &query).await?;
    found.reverse();
    Ok(found)
}

fn step_view(
    visit: &Visit,
    run: &Run,
    entries: &[Entry],
    (phase, id, task): (Phase, &str, &Task),
    undone_by: Option<&Task>,
) -> Answer<RunStepView> {
    let person = visit.caller.actor().kind == PrincipalKind::Human;
    let resolvable = task.status == TaskStatus::Unknown
        && person
        && visit.may(Permission::DirectiveControl)
        && run
            .parked
            .as_ref()
            .is_some_and(|p| !p.held && p.phase == phase && p.step == id);
    let next_at: Option<Timestamp> = task.retry_at.filter(|_| task.status == TaskStatus::Pending);
    Ok(RunStepView {
        id: id.to_owned(),
        phase: phase.to_string(),
        module: task.module.clone(),
        status: task.status.to_string(),
        idempotency_key: key(run.id, phase, id)?,
        attempts: attempts(entries, phase, id),
        next_at,
        output: Some(task.output.clone()).filter(|o| !o.is_null()),
        proof: task.proof.clone(),
        reason: task.reason.clone(),
        compensation: undone_by.map(compensation),
        resolvable,
    })
}

pub(crate) async fn run(visit: Visit, Place(id): Place<String>) -> Answer<Response> {
    let run = visit.get::<Run>(&id).await?;
    let entries = entries(&visit, &id).await?;
    let records = verdicts(&visit, run.directive).await?;
    let at_steps = records.iter().filter(|r| r.given.question.target != "plan");
    let mut steps = Vec::new();
    for step in &run.steps {
        let doing = (Phase::Step, step.id.as_str(), &step.task);
        let undo = step.compensation.as_ref();
        steps.push(step_view(&visit, &run, &entries, doing, undo)?);
    }
    for step in run.steps.iter().rev() {
        let Some(task) = &step.compensation else {
            continue;
        };
        if task.attempt > 0 || run.stop.is_some() {
            let undoing = (Phase::Compensation, step.id.as_str(), task);
            steps.push(step_view(&visit, &run, &entries, undoing, None)?);
        }
    }
    let waits = run.parked.as_ref().map(|p| p.reasons.join("; "));
    let stopped = run.stop.as_ref().map(|s| s.reason.clone());
    let view = RunView {
        id,
        directive: run.directive.to_string(),
        objective: objective(&visit, &run).await?,
        subject: run
            .subject
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        status: run_status(&run),
        reason: waits
            .or_else(|| run.paused.clone())
            .or_else(|| run.reason.clone())
            .or(stopped),
        started_at: run.created_at,
        ended_at: run.ended_at,
        steps,
        verdicts: at_steps.map(verdict_view).collect(),
        controls: controls(&visit, &run),
    };
    let frame = visit.frame(Section::Runs).await?;
    shown(run_page(&frame, &view))
}
