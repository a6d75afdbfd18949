//! What was observed and what became of it: evidence, signals, detections,
//! candidates, incidents, world states and snapshots.

use super::documents::{self, FILTERS, PAGING, readable};
use super::table::{Gives, Guard, Route};
use crate::app::App;
use crate::auth::Caller;
use crate::http::problem::{Answer, Kind, Problem};
use crate::http::{Command, Place};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use gate::access::Permission;
use kernel::{IncidentId, StreamId, Unit};
use ledger::entry::Shown;
use ledger::{Entry, EntryQuery};
use sense::incident::{self, Incident};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use world::evidence::Body;

/// Entries of one stream that a timeline shows at most, newest kept.
const TIMELINE_ENTRIES_MAX: usize = 500;
/// Directives of one incident that a timeline follows at most.
const TIMELINE_DIRECTIVES_MAX: usize = 16;

/// A listing and a single read of one kind.
fn readable_rows(list: Route, get: Route) -> [Route; 2] {
    [
        list.parameters(&PAGING)
            .parameters(&FILTERS)
            .gives(Gives::Page),
        get.gives(Gives::Resource),
    ]
}

pub(super) fn rows() -> Vec<Route> {
    let signal = Guard::Own(Permission::SignalRead);
    let incident = Guard::Own(Permission::IncidentRead);
    let manage = Guard::Own(Permission::IncidentManage);
    let evidence = Guard::Own(Permission::EvidenceRead);
    let snapshot = Guard::Own(Permission::SnapshotRead);
    let mut rows: Vec<Route> = [
        readable_rows(
            Route::get(
                "/v1/evidence",
                evidence,
                "records of evidence",
                evidences::list,
            ),
            Route::get(
                "/v1/evidence/{id}",
                evidence,
                "one record of evidence",
                evidences::get,
            ),
        ),
        readable_rows(
            Route::get("/v1/signals", signal, "signals", signals::list),
            Route::get("/v1/signals/{id}", signal, "one signal", signals::get),
        ),
        readable_rows(
            Route::get(
                "/v1/dead-letters",
                signal,
                "what could not be read",
                letters::list,
            ),
            Route::get(
                "/v1/dead-letters/{id}",
                signal,
                "one dead letter",
                letters::get,
            ),
        ),
        readable_rows(
            Route::get(
                "/v1/detections",
                signal,
                "rules that matched",
                detections::list,
            ),
            Route::get(
                "/v1/detections/{id}",
                signal,
                "one detection",
                detections::get,
            ),
        ),
        readable_rows(
            Route::get(
                "/v1/candidates",
                signal,
                "candidates for promotion",
                candidates::list,
            ),
            Route::get(
                "/v1/candidates/{id}",
                signal,
                "one candidate",
                candidates::get,
            ),
        ),
        readable_rows(
            Route::get("/v1/bundles", signal, "evidence bundles", bundles::list),
            Route::get(
                "/v1/bundles/{id}",
                signal,
                "one evidence bundle",
                bundles::get,
            ),
        ),
        readable_rows(
            Route::get("/v1/incidents", incident, "incidents", incidents::list),
            Route::get(
                "/v1/incidents/{id}",
                incident,
                "one incident",
                incidents::get,
            ),
        ),
        readable_rows(
            Route::get(
                "/v1/investigations",
                incident,
                "investigations of incidents",
                investigations::list,
            ),
            Route::get(
                "/v1/investigations/{id}",
                incident,
                "one investigation",
                investigations::get,
            ),
        ),
        readable_rows(
            Route::get(
                "/v1/states",
                snapshot,
                "what is believed of subjects",
                states::list,
            ),
            Route::get(
                "/v1/states/{*id}",
                snapshot,
                "what is believed of one subject",
                states::get,
            ),
        ),
        readable_rows(
            Route::get(
                "/v1/snapshots",
                snapshot,
                "frozen world states",
                snapshots::list,
            ),
            Route::get(
                "/v1/snapshots/{id}",
                snapshot,
                "one frozen world state",
                snapshots::get,
            ),
        ),
    ]
    .into_iter()
    .flatten()
    .collect();
    rows.extend([
        Route::get(
            "/v1/evidence/{id}/body",
            evidence,
            "the raw body as it came",
            raw_body,
        )
        .gives(Gives::AsTaken),
        Route::get(
            "/v1/incidents/{id}/timeline",
            incident,
            "what happened, in order",
            timeline,
        ),
        Route::post(
            "/v1/incidents/{id}/acknowledge",
            manage,
            "take an incident",
            acknowledge,
        )
        .body::<Note>(),
        Route::post(
            "/v1/incidents/{id}/resolve",
            manage,
            "say that the cause is gone",
            resolve,
        )
        .body::<Note>(),
        Route::post(
            "/v1/incidents/{id}/close",
            manage,
            "make an incident history",
            close,
        )
        .body::<Note>(),
    ]);
    rows
}

mod evidences {
    super::readable!("evidence");
}
mod signals {
    super::readable!("signal");
}
mod letters {
    super::readable!("dead_letter");
}
mod detections {
    super::readable!("detection");
}
mod candidates {
    super::readable!("candidate");
}
mod bundles {
    super::readable!("bundle");
}
mod incidents {
    super::readable!("incident");
}
mod investigations {
    super::readable!("investigation");
}
mod states {
    super::readable!("state");
}
mod snapshots {
    super::readable!("snapshot");
}

/// What a person says with a move of an incident.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Note {
    /// What they say; may be empty.
    #[serde(default)]
    note: String,
}

type Move =
    fn(&mut Unit<'_>, IncidentId, &str) -> Result<std::sync::Arc<Incident>, kernel::Refusal>;

async fn moved(app: &App, id: &str, command: Command<Note>, work: Move) -> Answer<Response> {
    let id: IncidentId = id.parse()?;
    let command = command.on::<Incident>(id);
    let done = command.run(app, move |unit, body| {
        let incident = work(unit, id, &body.note)?;
        Ok(json!({"id": id, "status": incident.status}))
    });
    Ok(done.await?.into_response())
}

async fn acknowledge(
    State(app): State<App>,
    Place(id): Place<String>,
    command: Command<Note>,
) -> Answer<Response> {
    moved(&app, &id, command, incident::acknowledge).await
}

async fn resolve(
    State(app): State<App>,
    Place(id): Place<String>,
    command: Command<Note>,
) -> Answer<Response> {
    moved(&app, &id, command, incident::resolve).await
}

async fn close(
    State(app): State<App>,
    Place(id): Place<String>,
    command: Command<Note>,
) -> Answer<Response> {
    moved(&app, &id, command, incident::close).await
}

async fn timeline(
    State(app): State<App>,
    caller: Caller,
    Place(id): Place<String>,
) -> Answer<Json<Value>> {
    let (_, incident) = documents::state::<Incident>(&app, &caller, &id).await?;
    let of_stream = |kind: &str| EntryQuery {
        stream: Some(StreamId::new(kind, &id)),
        ..EntryQuery::default()
    };
    let mut queries = vec![of_stream("incident"), of_stream("investigation")];
    let directives = incident.directives.iter().take(TIMELINE_DIRECTIVES_MAX);
    queries.extend(directives.map(|directive| EntryQuery {
        directive: Some(*directive),
        ..EntryQuery::default()
    }));
    let mut entries: BTreeMap<u64, Entry> = BTreeMap::new();
    let mut truncated = incident.directives.len() > TIMELINE_DIRECTIVES_MAX;
    for query in queries {
        let query = EntryQuery {
            limit: TIMELINE_ENTRIES_MAX + 1,
            order: ledger::Order::Descending,
            ..query
        };
        let mut found = app
            .ledger()
            .store()
            .entries(caller.tenant(), &query)
            .await?;
        truncated |= found.len() > TIMELINE_ENTRIES_MAX;
        found.truncate(TIMELINE_ENTRIES_MAX);
        entries.extend(found.into_iter().map(|e| (e.seq, e)));
    }
    let items: Vec<_> = entries.values().map(Shown).collect();
    Ok(Json(json!({"items": items, "truncated": truncated})))
}

/// The raw body of a record. It came from outside: a browser must neither
/// guess what it is nor run it.
async fn raw_body(
    State(app): State<App>,
    caller: Caller,
    Place(id): Place<String>,
) -> Answer<Response> {
    let (_, evidence) = documents::state::<world::Evidence>(&app, &caller, &id).await?;
    let bytes = match evidence.body {
        Body::Inline(text) => text.into_bytes(),
        Body::Object(digest) => {
            let found = app.ledger().store().object(caller.tenant(), digest).await?;
            found.ok_or_else(|| Problem::new(Kind::Integrity, "the raw body is missing"))?
        }
    };
    let essence = match evidence.sealed_under.is_empty() {
        true => evidence.content_type.split(';').next().unwrap_or_default(),
        // What is kept of a personal body is its sealed form.
        false => "application/json",
    };
    let kind = match essence.trim() {
        "application/json" => "application/json",
        "text/plain" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    };
    let name = format!("attachment; filename=\"{}\"", evidence.id);
    let mut response = ([(header::CONTENT_TYPE, kind)], bytes).into_response();
    let headers = response.headers_mut();
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("sandbox; default-src 'none'"),
    );
    Ok(response)
}
