//! The pack in force: read it, check and compare another one, load it.

use super::table::{Guard, Route};
use crate::app::App;
use crate::auth::Caller;
use crate::http::problem::{Answer, Kind, Problem};
use crate::http::{Command, StrictJson};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flow::force::PackRecord;
use gate::access::Permission;
use kernel::StreamId;
use pack::Files;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::ToSchema;

pub(super) fn rows() -> Vec<Route> {
    let read = Guard::Own(Permission::PackRead);
    let load = Guard::Own(Permission::PackLoad);
    vec![
        Route::get("/v1/packs/active", read, "the pack in force", active),
        Route::post("/v1/packs/check", load, "name every fault of a pack", check)
            .unversioned()
            .each_time()
            .body::<PackFiles>(),
        Route::post(
            "/v1/packs/diff",
            load,
            "what loading a pack would change",
            diff,
        )
        .unversioned()
        .each_time()
        .body::<PackFiles>(),
        Route::post("/v1/packs/load", load, "load a pack", self::load)
            .unversioned()
            .body::<PackFiles>(),
    ]
}

/// A file of a pack.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum FileBody {
    /// As text.
    Text(String),
    /// As bytes in base64.
    Base64(String),
}

/// The files of a pack.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PackFiles {
    /// By path from the pack's root.
    files: BTreeMap<String, FileBody>,
}

impl PackFiles {
    fn bytes(self) -> Answer<Files> {
        let read = |(path, body): (String, FileBody)| {
            let bytes = match body {
                FileBody::Text(text) => text.into_bytes(),
                FileBody::Base64(text) => STANDARD.decode(text).map_err(|_| {
                    let path = path.escape_debug();
                    Problem::new(Kind::Invalid, format!("files.{path}: is no base64"))
                })?,
            };
            Ok((path, bytes))
        };
        self.files.into_iter().map(read).collect()
    }
}

async fn active(State(app): State<App>, caller: Caller) -> Answer<Json<Value>> {
    let in_force = app.control().in_force(caller.tenant())?;
    let pack = &in_force.pack;
    let sources: Vec<_> = pack.definitions.sources.iter().map(|s| &s.name).collect();
    Ok(Json(json!({
        "manifest": pack.manifest,
        "hash": pack.hash,
        "version": in_force.version,
        "files": pack.files,
        "sources": sources,
        "summary": pack.summary(),
    })))
}

async fn check(
    State(app): State<App>,
    StrictJson(body): StrictJson<PackFiles>,
) -> Answer<Json<Value>> {
    let (hash, faults) = match pack::load(&body.bytes()?) {
        Ok(pack) => (Some(pack.hash), pack.lint(app.control().capabilities())),
        Err(faults) => (None, faults),
    };
    Ok(Json(
        json!({"sound": faults.is_empty(), "hash": hash, "faults": faults}),
    ))
}

async fn diff(
    State(app): State<App>,
    caller: Caller,
    StrictJson(body): StrictJson<PackFiles>,
) -> Answer<Json<Value>> {
    let files = body.bytes()?;
    let digests = files
        .iter()
        .map(|(path, bytes)| (path.clone(), kernel::Digest::of(bytes)))
        .collect();
    let stream = StreamId::of::<PackRecord>(flow::force::ID);
    let found = app
        .ledger()
        .store()
        .document(caller.tenant(), &stream)
        .await?;
    let before = match found {
        None => BTreeMap::new(),
        Some(document) => {
            let record: PackRecord = serde_json::from_str(&document.body)
                .map_err(|_| Problem::new(Kind::Integrity, "the pack's record does not parse"))?;
            record.loaded.files
        }
    };
    Ok(Json(
        json!({"diff": pack::diff::between(&before, &digests)}),
    ))
}

async fn load(State(app): State<App>, command: Command<PackFiles>) -> Answer<Response> {
    let (ctx, key, body) = command.prepared(&app)?;
    let loaded = app.control().load_pack(ctx, key, body.bytes()?).await?;
    Ok(Json(json!({"loaded": loaded})).into_response())
}
