//! The kill switch.

use super::common::Names;
use crate::http::problem::Answer;
use crate::pages::view::Section;
use crate::pages::view::incident::Happening;
use crate::pages::view::kill::{DrillView, EngagementView, KillView, Right, kill_page};
use crate::pages::visit::{Visit, shown};
use axum::response::Response;
use gate::KillSwitch;
use gate::access::Permission;
use gate::kill::{Sweep, UnderWay};
use kernel::{Span, StreamId};
use ledger::{Entry, EntryQuery, Order};
use serde_json::Value;

/// Entries of its history.
const HISTORY_MAX: usize = 50;

fn happening(names: &Names, entry: &Entry) -> Happening {
    let payload: Value = serde_json::from_str(&entry.payload).unwrap_or_default();
    let text = |name: &str| payload.get(name).and_then(Value::as_str);
    let what = match entry.kind.as_str() {
        "kill_switch.engaged" => "Engaged",
        "kill_switch.release_requested" => "Release asked for",
        "kill_switch.released" => "Released",
        "kill_switch.sweeping" => "Steps under way",
        "kill_switch.swept" => "No step under way",
        "kill_switch.drill_begun" => "Drill begun",
        _ => "Tried",
    };
    Happening {
        at: entry.at,
        what: format!("{what}: {}", text("scope").unwrap_or_default()),
        detail: text("reason").or(text("note")).map(str::to_owned),
        category: entry.category.to_string(),
        by: names.who(&entry.actor),
        entry: entry.id.to_string(),
        about: None,
    }
}

/// What stops every tenant; the home tenant sees it among its own.
async fn everywhere(visit: &Visit) -> Answer<Option<String>> {
    if visit.caller.identity().home {
        return Ok(None);
    }
    let found = visit
        .app
        .control()
        .everywhere(visit.caller.tenant())
        .await?;
    Ok(found.map(|stopped| stopped.reason))
}

fn swept(sweep: &Sweep) -> String {
    let ended = |step: &UnderWay| match &step.came_to {
        Some(came_to) => format!("{} of {}: {came_to}", step.step, step.run),
        None => format!(
            "{} of {}: under way ({})",
            step.step, step.run, step.on_engage
        ),
    };
    let steps: Vec<_> = sweep.steps.iter().map(ended).collect();
    match steps.is_empty() {
        true => "No step was under way.".to_owned(),
        false => format!("Under way then: {}", steps.join("; ")),
    }
}

fn millis(span: Span) -> u64 {
    u64::try_from(span.as_micros() / 1_000).unwrap_or_default()
}

pub(crate) async fn kill(visit: Visit) -> Answer<Response> {
    let names = Names::of(&visit).await?;
    let switch = visit
        .find::<KillSwitch>(gate::kill::ID)
        .await?
        .unwrap_or_default();
    let query = EntryQuery {
        stream: Some(StreamId::of::<KillSwitch>(gate::kill::ID)),
        order: Order::Descending,
        limit: HISTORY_MAX,
        ..EntryQuery::default()
    };
    let store = visit.app.ledger().store();
    let entries = store.entries(visit.caller.tenant(), &query).await?;
    let mut rights = Vec::new();
    if visit.may(Permission::KillEngage) {
        rights.push(Right::Engage);
    }
    if visit.may(Permission::KillRelease) {
        rights.push(Right::Release);
    }
    let engaged = switch
        .engaged
        .iter()
        .map(|(scope, engagement)| EngagementView {
            scope: scope.to_string(),
            status: engagement.status.to_string(),
            by: names.who(&engagement.by),
            at: engagement.at,
            reason: engagement.reason.clone(),
            release: engagement
                .release
                .as_ref()
                .map(|r| (names.who(&r.by), r.at, r.reason.clone())),
            swept: engagement.sweep.as_ref().map(swept),
            own_request: engagement
                .release
                .as_ref()
                .is_some_and(|r| r.by == *visit.caller.actor()),
        });
    let drills = switch.drills.iter().rev().map(|drill| DrillView {
        scope: drill.scope.to_string(),
        by: names.who(&drill.by),
        at: drill.at,
        note: drill.note.clone(),
        passed: drill.passed,
        took_ms: drill
            .measured
            .map(|m| (millis(m.stopped_after), millis(m.acknowledged_after))),
    });
    let view = KillView {
        engaged: engaged.collect(),
        everywhere: everywhere(&visit).await?,
        home: visit.caller.identity().home,
        tools: visit.app.control().capabilities().keys().cloned().collect(),
        drills: drills.collect(),
        history: entries.iter().map(|e| happening(&names, e)).collect(),
        rights,
    };
    let frame = visit.frame(Section::Kill).await?;
    shown(kill_page(&frame, &view))
}
