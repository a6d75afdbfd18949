//! The pages for people.

use crate::app::App;
use crate::routes::{self, Route};
use axum::Router;

/// Every row of the pages; see [`crate::routes::table`].
#[must_use]
pub fn rows() -> Vec<Route> {
    Vec::new()
}

/// The pages, mounted at `/`.
#[must_use]
pub fn router(app: &App) -> Router<App> {
    routes::mount(app, rows())
}
