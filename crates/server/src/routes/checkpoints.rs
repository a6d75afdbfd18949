//! Checkpoints, proofs and the log's keys over HTTP.

use super::directives::Nothing;
use super::identity::Because;
use super::table::{Gives, Guard, Parameter, Route};
use crate::app::App;
use crate::auth::Caller;
use crate::http::problem::{Answer, Kind, Problem};
use crate::http::query::fault;
use crate::http::{Command, Query};
use axum::Json;
use axum::extract::State;
use gate::access::Permission;
use kernel::EntryId;
use ledger::checkpoint::{self, Consistency, log_keys};
use serde_json::{Value, json};

const INCLUSION: [Parameter; 3] = [
    Parameter {
        name: "entry",
        about: "the entry, by its id",
    },
    Parameter {
        name: "seq",
        about: "or by its position",
    },
    Parameter {
        name: "size",
        about: "entries in the tree; those of the newest checkpoint when it is not given",
    },
];

const CONSISTENCY: [Parameter; 2] = [
    Parameter {
        name: "from",
        about: "entries in the older tree",
    },
    Parameter {
        name: "to",
        about: "entries in the newer tree; those of the newest checkpoint when it is not given",
    },
];

pub(super) fn rows() -> Vec<Route> {
    let read = Guard::Own(Permission::LedgerRead);
    let sign = Guard::Own(Permission::LedgerSign);
    vec![
        Route::get(
            "/v1/ledger/checkpoint",
            read,
            "the newest signed checkpoint with its cosignatures",
            latest,
        )
        .seeks(),
        Route::post(
            "/v1/ledger/checkpoint",
            sign,
            "sign a checkpoint now, if there is news",
            sign_now,
        )
        .unversioned()
        .body::<Nothing>(),
        Route::get(
            "/v1/ledger/proofs/inclusion",
            read,
            "the proof that an entry is in the log",
            inclusion,
        )
        .parameters(&INCLUSION)
        .seeks(),
        Route::get(
            "/v1/ledger/proofs/consistency",
            read,
            "the proof that the log has only grown",
            consistency,
        )
        .parameters(&CONSISTENCY)
        .seeks(),
        Route::get("/v1/ledger/keys", read, "the keys of the log", keys).gives(Gives::Object),
        Route::post(
            "/v1/ledger/keys/rotate",
            sign,
            "make a new key that signs from now on",
            rotate,
        )
        .unversioned()
        .body::<Because>(),
    ]
}

async fn latest(State(app): State<App>, caller: Caller) -> Answer<Json<Value>> {
    let recent = checkpoint::checkpoints(app.ledger().store(), caller.tenant()).await?;
    match recent.latest() {
        Some(signed) => Ok(Json(checkpoint::shown(signed)?)),
        None => Err(Problem::new(Kind::NotFound, "no checkpoint was signed yet")
            .hint("have one signed with `writ ledger checkpoint --sign`")),
    }
}

async fn sign_now(State(app): State<App>, command: Command<Nothing>) -> Answer<Json<Value>> {
    let work = async |ctx, _| {
        let signed = flow::checkpoints::sign(app.control(), ctx).await?;
        checkpoint::shown(&signed)
    };
    Ok(Json(command.around(&app, work).await?))
}

async fn inclusion(State(app): State<App>, caller: Caller, query: Query) -> Answer<Json<Value>> {
    let store = app.ledger().store();
    let entry: Option<EntryId> = query.get("entry")?;
    let seq = match (entry, query.number("seq")?) {
        (Some(id), None) => {
            let found = store.entry(caller.tenant(), id).await?;
            found
                .ok_or_else(|| super::documents::missing("entry", &id.to_string()))?
                .seq
        }
        (None, Some(seq)) => seq,
        _ => return Err(fault("entry", "or `seq` must be given, and not both")),
    };
    let size = query.number("size")?;
    let proven = checkpoint::prove(store, caller.tenant(), seq, size).await?;
    let mut shown = json!(proven);
    if let Some(object) = shown.as_object_mut() {
        object.insert("text".to_owned(), json!(proven.to_text()));
    }
    Ok(Json(shown))
}

async fn consistency(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Answer<Json<Consistency>> {
    let store = app.ledger().store();
    let from = query
        .number("from")?
        .ok_or_else(|| fault("from", "is missing"))?;
    let to = match query.number("to")? {
        Some(to) => to,
        None => {
            let recent = checkpoint::checkpoints(store, caller.tenant()).await?;
            recent.latest().map_or(0, |latest| latest.size)
        }
    };
    let proven = checkpoint::prove_growth(store, caller.tenant(), from, to).await?;
    Ok(Json(proven))
}

async fn keys(State(app): State<App>, caller: Caller) -> Answer<Json<Value>> {
    let keys = log_keys(app.ledger().store(), caller.tenant()).await?;
    Ok(Json(json!({"items": keys.keys})))
}

async fn rotate(State(app): State<App>, command: Command<Because>) -> Answer<Json<Value>> {
    let (ctx, once, body) = command.prepared(&app)?;
    let signer = &app.control().signing()?.signer;
    let command = (ctx, once);
    let key = signer.rotate(app.ledger(), command, body.reason()?).await?;
    Ok(Json(json!({"key": key.to_string()})))
}
