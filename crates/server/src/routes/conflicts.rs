//! Conflicts: which directives wait because others change the same subjects.

use super::documents;
use super::table::{Gives, Guard, Route};
use crate::http::Query;
use crate::http::cursor::Page;
use crate::http::problem::Answer;
use crate::view::Resource;
use crate::{app::App, auth::Caller};
use axum::Json;
use axum::extract::State;
use gate::access::Permission;
use gate::conflict::{Claim, Status};
use kernel::Aggregate;
use kernel::names::Name;

pub(super) fn rows() -> Vec<Route> {
    let read = Guard::Own(Permission::DirectiveRead);
    vec![
        Route::get(
            "/v1/conflicts",
            read,
            "subjects that directives wait to change",
            list,
        )
        .parameters(&documents::PAGING)
        .gives(Gives::Page),
    ]
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Answer<Json<Page<Resource>>> {
    let contended = Status::Contended.name();
    documents::list_in(&app, &caller, &query, (Claim::KIND, contended))
        .await
        .map(Json)
}
