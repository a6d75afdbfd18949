//! The log as a bundle, streamed: a client that reads slowly holds nothing up
//! but its own place.

use super::table::{Gives, Guard, Parameter, Route};
use crate::app::App;
use crate::auth::Caller;
use crate::http::Query;
use crate::http::problem::Answer;
use crate::http::query::fault;
use crate::lanes::Lane;
use crate::streams::Place;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use gate::access::Permission;
use kernel::Refusal;
use ledger::bundle::{Export, Objects, Scope};

/// The media type of JSON lines.
const JSON_LINES: &str = "application/jsonl";

const PARAMETERS: [Parameter; 3] = [
    Parameter {
        name: "from",
        about: "position of the first entry; the log's first without it",
    },
    Parameter {
        name: "to",
        about: "position of the last entry; the checkpoint's last without it",
    },
    Parameter {
        name: "objects",
        about: "`with` for the large bodies that entries name",
    },
];

pub(super) fn rows() -> Vec<Route> {
    let read = Guard::Own(Permission::LedgerRead);
    vec![
        Route::get(
            "/v1/ledger/export",
            read,
            "the log, or a part of it, as a bundle under the latest checkpoint",
            export,
        )
        .parameters(&PARAMETERS)
        .seeks()
        .gives(Gives::Lines)
        .lane(Lane::Slow),
    ]
}

struct Exporting {
    app: App,
    export: Export,
    _place: Place,
}

async fn export(State(app): State<App>, caller: Caller, query: Query) -> Answer<Response> {
    let objects = match query.text("objects") {
        None => Objects::Without,
        Some("with") => Objects::With,
        Some(_) => return Err(fault("objects", "can only be `with`")),
    };
    let scope = Scope {
        from: query.number("from")?,
        to: query.number("to")?,
        objects,
    };
    let place = app.streams().enter(caller.tenant())?;
    let store = app.ledger().store();
    let export = Export::latest(store, caller.tenant(), &scope).await?;
    let exporting = Exporting {
        app,
        export,
        _place: place,
    };
    let lines = stream::unfold(Some(exporting), |exporting| async move {
        let mut exporting = exporting?;
        let next = exporting.export.next(exporting.app.ledger().store()).await;
        match next.transpose()? {
            Ok(lines) => Some((Ok(Bytes::from(lines)), Some(exporting))),
            // The connection is cut, and the bundle has no end: nobody takes
            // it for a whole one.
            Err(refusal) => Some((Err(cut(refusal)), None)),
        }
    });
    Ok(([(CONTENT_TYPE, JSON_LINES)], Body::from_stream(lines)).into_response())
}

fn cut(refusal: Refusal) -> std::io::Error {
    tracing::error!(error = %refusal, "an export was cut off");
    std::io::Error::other(refusal.message)
}
