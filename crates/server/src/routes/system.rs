//! What operators and probes ask: is it up, is it ready, which version,
//! metrics, the document of the API, pages about problems, signing in.

use super::table::{Gives, Guard, Route};
use crate::app::App;
use crate::auth::Caller;
use crate::http::Place;
use crate::http::problem::{Answer, Kind, Problem};
use crate::lanes::Lane;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use gate::access::Permission;
use kernel::names::Name;
use serde_json::{Value, json};

pub(super) fn rows() -> Vec<Route> {
    let metrics = Guard::Installation(Permission::MetricsRead);
    vec![
        Route::get(
            "/healthz",
            Guard::Open,
            "whether the process answers",
            health,
        )
        .lane(Lane::Urgent),
        Route::get(
            "/readyz",
            Guard::Open,
            "whether writ can do its work",
            ready,
        )
        .lane(Lane::Urgent),
        Route::get(
            "/metrics",
            metrics,
            "metrics in the text format of Prometheus",
            self::metrics,
        )
        .gives(Gives::Text),
        Route::get("/openapi.json", Guard::Open, "this document", document),
        Route::get(
            "/problems/{kind}",
            Guard::Open,
            "what a kind of problem means",
            problem,
        )
        .gives(Gives::Text),
        Route::get(
            "/v1/version",
            Guard::Open,
            "which version of writ this is",
            version,
        ),
        Route::get("/v1/me", Guard::SignedIn, "who the caller is", me),
    ]
}

#[allow(
    clippy::unused_async,
    reason = "a handler is asynchronous, whatever it does"
)]
async fn health() -> Json<Value> {
    Json(json!({"status": "up"}))
}

async fn ready(State(app): State<App>) -> Answer<Json<Value>> {
    app.readiness().await?;
    Ok(Json(json!({"status": "ready"})))
}

async fn metrics(State(app): State<App>) -> Answer<Response> {
    app.metrics().follow(&app).await?;
    let text = app.metrics().text()?;
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

async fn document(State(app): State<App>) -> Json<Value> {
    Json(crate::openapi::document(app.settings().version))
}

async fn problem(Place(name): Place<String>) -> Answer<String> {
    Kind::parse(&name)
        .map(Kind::page)
        .ok_or_else(|| Problem::new(Kind::NotFound, "no problem is called so"))
}

async fn version(State(app): State<App>) -> Json<Value> {
    Json(json!({"version": app.settings().version, "api": "v1"}))
}

async fn me(State(app): State<App>, caller: Caller) -> Json<Value> {
    let all = Permission::ALL.iter();
    let permissions: Vec<_> = all.filter(|p| caller.may(&app, **p)).collect();
    Json(json!({
        "tenant": caller.tenant(),
        "actor": caller.actor(),
        "name": caller.name(),
        "roles": caller.roles(),
        "key": caller.key(),
        "permissions": permissions,
        "csrf": caller.csrf(),
    }))
}
