//! How people and programs meet writ over HTTP: the API under `/v1`, server-
//! sent events, metrics, sessions, and the pages. Nothing is decided here: a
//! handler reads strictly, checks who asks, and hands the command on.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod app;
pub mod auth;
pub mod authorisation;
pub mod gated;
pub mod http;
pub mod lanes;
pub mod limits;
pub mod metrics;
pub mod openapi;
pub mod pages;
pub mod patient;
pub mod routes;
pub mod runbooks;
pub mod streams;
pub mod threads;
pub mod view;
pub mod witness;

mod explain;
mod guard;
mod inbox;

pub use app::{App, Cookies, Settings};
pub use http::listen::serve;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use tower_http::catch_panic::CatchPanicLayer;

/// Every row of the one table: what [`router`] is made of, and nothing else.
/// `cargo xtask tidy` sees that no route is mounted beside it.
#[must_use]
pub fn rows() -> Vec<routes::Route> {
    let mut rows = routes::rows();
    rows.extend(pages::rows());
    rows
}

/// The whole application.
pub fn router(app: App) -> Router {
    let routes = routes::mount(&app, routes::rows()).merge(pages::router(&app));
    dressed(app, routes)
}

/// These routes within the layers that every route shares, from the inside
/// out: panics as problems; traces, guarding headers and the access log.
pub fn dressed(app: App, routes: Router<App>) -> Router {
    routes
        .layer(DefaultBodyLimit::max(limits::BODY_BYTES_MAX))
        .layer(CatchPanicLayer::custom(http::trace::panicked))
        .layer(from_fn_with_state(app.clone(), http::trace::layer))
        .with_state(app)
}
