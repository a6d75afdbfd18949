//! Reading current states of any kind: one listing and one single read that
//! the areas share. A caller sees its own tenant only; what is another
//! tenant's does not exist for it.

use super::table::Parameter;
use crate::app::App;
use crate::auth::Caller;
use crate::http::command::etag;
use crate::http::cursor::{Page, Paging};
use crate::http::problem::{Answer, Kind, Problem};
use crate::http::query::Query;
use crate::view::Resource;
use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kernel::{Aggregate, StreamId};
use ledger::{Document, DocumentQuery, Order};

/// The parameters of a page of anything.
pub const PAGING: [Parameter; 3] = [
    Parameter {
        name: "limit",
        about: "rows at most, 1 to 200; 50 when it is not given",
    },
    Parameter {
        name: "cursor",
        about: "`next_cursor` of the page before",
    },
    Parameter {
        name: "order",
        about: "`asc` or `desc` by position in the log",
    },
];

/// The parameters that filter current states.
pub const FILTERS: [Parameter; 3] = [
    Parameter {
        name: "status",
        about: "only in these statuses, separated by commas",
    },
    Parameter {
        name: "subject",
        about: "only about this subject, `type/id`",
    },
    Parameter {
        name: "directive",
        about: "only of this directive",
    },
];

/// A page of the states of this kind in the caller's tenant, newest first
/// when the request says nothing else.
///
/// # Errors
/// `invalid` parameters; `unavailable` storage.
pub async fn list(app: &App, caller: &Caller, query: &Query, kind: &str) -> Answer<Page<Resource>> {
    let statuses = query.text("status").unwrap_or_default();
    list_in(app, caller, query, (kind, statuses)).await
}

/// The same of those in these statuses, separated by commas; all when empty.
///
/// # Errors
/// As [`list`].
pub async fn list_in(
    app: &App,
    caller: &Caller,
    query: &Query,
    (kind, statuses): (&str, &str),
) -> Answer<Page<Resource>> {
    let paging = Paging::read(query, caller.tenant(), kind, Order::Descending)?;
    let asked = DocumentQuery {
        kind: kind.to_owned(),
        statuses: statuses
            .split(',')
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
            .collect(),
        subject: query.get("subject")?,
        directive: query.get("directive")?,
        beyond_seq: paging.beyond_seq,
        order: paging.order,
        limit: paging.rows(),
    };
    let rows = app
        .ledger()
        .store()
        .documents(caller.tenant(), &asked)
        .await?;
    let page = paging.page(rows, |d| d.created_seq, Resource::of);
    Ok(Page {
        items: page.items.into_iter().collect::<Answer<_>>()?,
        next_cursor: page.next_cursor,
    })
}

/// The state of this kind with this id in the caller's tenant.
///
/// # Errors
/// `not_found`, also when it is another tenant's.
pub async fn find(app: &App, caller: &Caller, kind: &str, id: &str) -> Answer<Document> {
    let store = app.ledger().store();
    let found = store
        .document(caller.tenant(), &StreamId::new(kind, id))
        .await?;
    found.ok_or_else(|| missing(kind, id))
}

/// There is no such thing.
#[must_use]
pub fn missing(kind: &str, id: &str) -> Problem {
    let id = id.escape_debug();
    Problem::new(
        Kind::NotFound,
        format!("no {} `{id}`", kind.replace('_', " ")),
    )
}

/// The same as a response with its `ETag`; 304 when the caller has it already.
///
/// # Errors
/// `not_found`, also when it is another tenant's.
pub async fn get(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    (kind, id): (&str, &str),
) -> Answer<Response> {
    let document = find(app, caller, kind, id).await?;
    let control = app.control();
    let erased = control.erased_in(caller.tenant(), &document.body).await?;
    if erased.is_empty() {
        return show(headers, document);
    }
    // An erasure leaves the version as it is, so whoever has that version may
    // not know of it yet: the answer is given whole.
    let tag = [(header::ETAG, etag(document.version))];
    let mut resource = Resource::of(document)?;
    resource.erased = erased;
    Ok((tag, Json(resource)).into_response())
}

/// The response about this state.
///
/// # Errors
/// `integrity` when its body is no JSON.
pub fn show(headers: &HeaderMap, document: Document) -> Answer<Response> {
    let tag = etag(document.version);
    let held = headers.get(header::IF_NONE_MATCH) == Some(&tag);
    let mut response = match held {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Json(Resource::of(document)?).into_response(),
    };
    response.headers_mut().insert(header::ETAG, tag);
    Ok(response)
}

/// The state itself, typed.
///
/// # Errors
/// `not_found`; `integrity` when what is stored is not an `A`.
pub async fn state<A: Aggregate>(app: &App, caller: &Caller, id: &str) -> Answer<(Document, A)> {
    let document = find(app, caller, A::KIND, id).await?;
    let state = serde_json::from_str(&document.body).map_err(|_| {
        Problem::new(
            Kind::Integrity,
            format!("the state of `{}` does not parse", document.stream),
        )
    })?;
    Ok((document, state))
}

/// Makes the two handlers of a kind of aggregate: `list` and `get`.
macro_rules! readable {
    ($kind:expr) => {
        pub(super) async fn list(
            axum::extract::State(app): axum::extract::State<$crate::app::App>,
            caller: $crate::auth::Caller,
            query: $crate::http::Query,
        ) -> $crate::http::Answer<axum::Json<$crate::http::cursor::Page<$crate::view::Resource>>> {
            $crate::routes::documents::list(&app, &caller, &query, $kind)
                .await
                .map(axum::Json)
        }

        pub(super) async fn get(
            axum::extract::State(app): axum::extract::State<$crate::app::App>,
            caller: $crate::auth::Caller,
            headers: axum::http::HeaderMap,
            $crate::http::Place(id): $crate::http::Place<String>,
        ) -> $crate::http::Answer<axum::response::Response> {
            $crate::routes::documents::get(&app, &caller, &headers, ($kind, &id)).await
        }
    };
}
pub(crate) use readable;
