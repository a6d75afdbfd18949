//! What is personal over HTTP: what an erasure would take, the erasure, opening
//! with a reason, and the keyring. Sealed values stand sealed in every other
//! answer; only `POST /v1/personal/open` shows what they hold.

use super::documents;
use super::table::{Gives, Guard, Parameter, Route};
use crate::app::App;
use crate::auth::Caller;
use crate::http::problem::Answer;
use crate::http::{Command, Query};
use crate::lanes::Lane;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use flow::personal::{SubjectKey, erase};
use gate::access::Permission;
use kernel::{Refusal, Subject};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

pub(super) fn rows() -> Vec<Route> {
    let read = Guard::Own(Permission::KeyringRead);
    let rotate = Guard::Own(Permission::KeyringRotate);
    let open = Guard::Own(Permission::PersonalOpen);
    let erase = Guard::Own(Permission::PersonalErase);
    vec![
        Route::get(
            "/v1/personal/preview",
            erase,
            "what erasing a subject would make unreadable",
            preview,
        )
        .parameters(&[Parameter {
            name: "subject",
            about: "of which subject, `type/id`",
        }])
        .seeks()
        .lane(Lane::Slow),
        Route::post(
            "/v1/personal/erase",
            erase,
            "destroy the keys of a subject, for good",
            self::erase,
        )
        .seeks()
        .body::<Erase>(),
        Route::post(
            "/v1/personal/readmit",
            erase,
            "take in what is personal of an erased subject again",
            readmit,
        )
        .seeks()
        .body::<Whom>(),
        Route::post(
            "/v1/personal/open",
            open,
            "show what is sealed in a thing; recorded",
            self::open,
        )
        .unversioned()
        .each_time()
        .seeks()
        .body::<Open>(),
        Route::get(
            "/v1/keyring",
            read,
            "the subjects with keys, and what became of them",
            list,
        )
        .parameters(&documents::PAGING)
        .parameters(&documents::FILTERS)
        .gives(Gives::Page),
        Route::post(
            "/v1/keyring/rotate",
            rotate,
            "renew the tenant key, or the key of one subject",
            self::rotate,
        )
        .unversioned()
        .seeks()
        .body::<Rotate>(),
    ]
}

/// Whose keys to destroy, and why.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Erase {
    /// `type/id`.
    #[schema(value_type = String)]
    subject: Subject,
    /// Why; it stays on the ledger and must name no person.
    reason: String,
    /// The subject once more, so that nobody erases by a slip.
    #[schema(value_type = String)]
    confirm: Subject,
}

/// Whom to let in again, and why.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Whom {
    /// `type/id`.
    #[schema(value_type = String)]
    subject: Subject,
    /// Why.
    reason: String,
}

/// What to open, and why.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Open {
    /// `evidence`, `signal`, `state`, `snapshot` or `dead_letter`.
    kind: String,
    /// Its id.
    id: String,
    /// Why.
    reason: String,
}

/// Which key to renew.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rotate {
    /// The subject, `type/id`; without one the tenant's key.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    subject: Option<Subject>,
}

async fn preview(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Answer<Json<flow::personal::Preview>> {
    let subject: Option<Subject> = query.get("subject")?;
    let subject = subject.ok_or_else(|| {
        Refusal::invalid("no subject is named").hint("add `?subject=type/id` to the address")
    })?;
    let control = app.control();
    let preview = control.erasure_preview(caller.tenant(), &subject).await?;
    Ok(Json(preview))
}

async fn erase(State(app): State<App>, command: Command<Erase>) -> Answer<Response> {
    let tenant = command.caller.tenant();
    let subject = command.body.subject.clone();
    let command = command.on::<SubjectKey>(&subject);
    let done = command
        .run(&app, |unit, body| {
            if body.confirm != body.subject {
                return Err(Refusal::invalid(format!(
                    "`{}` is not the subject `{}`",
                    body.confirm, body.subject
                ))
                .at("confirm")
                .hint("repeat the subject that is to be erased"));
            }
            erase::order(unit, &body.subject, &body.reason)?;
            Ok(body.subject.clone())
        })
        .await?;
    // The order is durable: a fault from here on is made good by the tick.
    let carried = app.control().carry_out_erasure(tenant, subject.clone());
    let status = match carried.await {
        Ok(()) => "erased",
        Err(refusal) => {
            tracing::warn!(error = %refusal, "an erasure waits for the keyring");
            "erasing"
        }
    };
    let answer = json!({"subject": done.answer, "status": status});
    Ok(Json(answer).into_response())
}

async fn readmit(State(app): State<App>, command: Command<Whom>) -> Answer<Response> {
    let subject = command.body.subject.clone();
    let command = command.on::<SubjectKey>(&subject);
    let done = command.run(&app, |unit, body| {
        let status = erase::readmit(unit, &body.subject, &body.reason)?;
        Ok(json!({"subject": body.subject, "status": status}))
    });
    Ok(done.await?.into_response())
}

/// The answer holds what is personal: nobody may keep it on the way, and the
/// record of answers by idempotency key never sees it.
async fn open(State(app): State<App>, command: Command<Open>) -> Answer<Response> {
    let (ctx, _, body) = command.prepared(&app)?;
    let what = (body.kind.as_str(), body.id.as_str());
    let opened = app.control().open_sealed(ctx, what, &body.reason).await?;
    let mut response = Json(opened).into_response();
    let never = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, never);
    Ok(response)
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Answer<Json<crate::http::cursor::Page<crate::view::Resource>>> {
    let kind = <SubjectKey as kernel::Aggregate>::KIND;
    documents::list(&app, &caller, &query, kind).await.map(Json)
}

async fn rotate(State(app): State<App>, command: Command<Rotate>) -> Answer<Json<Value>> {
    let (ctx, once, body) = command.prepared(&app)?;
    let (control, command) = (app.control(), (ctx, once));
    Ok(Json(match body.subject {
        Some(subject) => {
            let key = control.rotate_subject_key(command, subject.clone()).await?;
            json!({"subject": subject, "key": key})
        }
        None => {
            let done = control.rotate_tenant_key(command).await?;
            json!({"generation": done.generation, "subjects": done.subjects})
        }
    }))
}
