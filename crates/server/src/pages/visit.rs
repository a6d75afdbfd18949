//! A visit to a page: who looks, at what, since when, and the frame that the
//! page is put into.

use super::view::{Flash, Frame, Section, Theme, Viewer};
use crate::app::App;
use crate::auth::Caller;
use crate::http::Query;
use crate::http::problem::{Answer, Kind, Problem};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use flow::identity::Tenant;
use gate::KillSwitch;
use gate::access::Permission;
use kernel::names::Name;
use kernel::{Aggregate, StreamId, Timestamp};
use ledger::DocumentQuery;
use maud::Markup;
use serde::de::DeserializeOwned;

/// The cookie that remembers dark or light.
pub(super) const THEME_COOKIE: &str = "writ_theme";
/// What a page may load and where its forms may go.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'";
/// Approvals that are counted for the mark in the navigation.
const WAITING_COUNTED_MAX: usize = 99;

/// A visit by someone who is signed in.
#[derive(Clone)]
pub(super) struct Visit {
    pub(super) app: App,
    pub(super) caller: Caller,
    pub(super) query: Query,
    pub(super) now: Timestamp,
    theme: Theme,
    here: String,
}

impl FromRequestParts<App> for Visit {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Ok(Self {
            app: app.clone(),
            caller: Caller::from_request_parts(parts, app).await?,
            query: Query::read(&parts.uri)?,
            now: app.now(),
            theme: theme(&parts.headers),
            here: parts.uri.path().to_owned(),
        })
    }
}

/// Dark or light, as the browser was told earlier.
pub(super) fn theme(headers: &HeaderMap) -> Theme {
    let cookies = headers.get_all(header::COOKIE).iter();
    cookies
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == THEME_COOKIE)
        .and_then(|(_, value)| Theme::parse(value))
        .unwrap_or(Theme::System)
}

impl Visit {
    /// Whether the viewer may do this in their tenant.
    pub(super) fn may(&self, permission: Permission) -> bool {
        self.caller.may(&self.app, permission)
    }

    /// The current state of this aggregate, with its position in the log.
    pub(super) async fn find<A: Aggregate>(&self, id: &str) -> Answer<Option<A>> {
        let stream = StreamId::new(A::KIND, id);
        let store = self.app.ledger().store();
        let found = store.document(self.caller.tenant(), &stream).await?;
        found.map(|d| parsed(&stream, &d.body)).transpose()
    }

    /// The current state of this aggregate.
    ///
    /// # Errors
    /// `not_found`, also when it is another tenant's.
    pub(super) async fn get<A: Aggregate>(&self, id: &str) -> Answer<A> {
        let found = self.find::<A>(id).await?;
        found.ok_or_else(|| crate::routes::documents::missing(A::KIND, id))
    }

    /// Current states of a kind, with the id of each.
    pub(super) async fn list<A: Aggregate>(
        &self,
        query: DocumentQuery,
    ) -> Answer<Vec<(String, A)>> {
        let asked = DocumentQuery {
            kind: A::KIND.to_owned(),
            ..query
        };
        let store = self.app.ledger().store();
        let rows = store.documents(self.caller.tenant(), &asked).await?;
        rows.iter()
            .map(|d| Ok((d.stream.id().to_owned(), parsed(&d.stream, &d.body)?)))
            .collect()
    }

    /// The frame of a page.
    pub(super) async fn frame(&self, section: Section) -> Answer<Frame> {
        let tenant = self.caller.tenant();
        let name = self.find::<Tenant>(&tenant.to_string()).await?;
        let waiting = match self.may(Permission::ApprovalRead) {
            true => self.waiting().await?,
            false => 0,
        };
        let stopped = match self.may(Permission::KillRead) {
            true => self.find::<KillSwitch>(gate::kill::ID).await?,
            false => None,
        };
        Ok(Frame {
            now: self.now,
            section,
            theme: self.theme,
            viewer: Some(Viewer {
                name: self.caller.name().to_owned(),
                roles: self.caller.roles().iter().map(|r| r.to_string()).collect(),
                tenant: name.map(|t| t.name).unwrap_or_default(),
                csrf: self.caller.csrf(),
                follows: self.may(Permission::LedgerRead),
                waiting,
                stopped: stopped
                    .iter()
                    .flat_map(|s| s.engaged.keys())
                    .map(ToString::to_string)
                    .collect(),
            }),
            flash: self.query.text("done").and_then(Flash::parse),
            here: self.here.clone(),
        })
    }

    async fn waiting(&self) -> Answer<usize> {
        let query = DocumentQuery {
            kind: gate::Approval::KIND.to_owned(),
            statuses: vec![gate::approval::Status::Pending.name().to_owned()],
            limit: WAITING_COUNTED_MAX,
            ..DocumentQuery::default()
        };
        let store = self.app.ledger().store();
        Ok(store.documents(self.caller.tenant(), &query).await?.len())
    }
}

/// A stored state as its type.
pub(super) fn parsed<A: DeserializeOwned>(stream: &StreamId, body: &str) -> Answer<A> {
    serde_json::from_str(body)
        .map_err(|e| Problem::new(Kind::Integrity, format!("state of `{stream}`: {e}")))
}

/// A page as a response with this status.
pub(super) fn html(status: StatusCode, markup: Markup) -> Response {
    let mut response = (status, Html(markup.into_string())).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    );
    if !status.is_success() {
        response.extensions_mut().insert(crate::http::problem::Page);
    }
    response
}

/// A page that was asked for.
pub(super) fn shown(markup: Markup) -> Answer<Response> {
    Ok(html(StatusCode::OK, markup))
}

/// Away from the form that was posted, to a page that can be loaded again.
pub(super) fn away(path: &str) -> Answer<Response> {
    let target = HeaderValue::from_str(path)
        .map_err(|_| Problem::new(Kind::Internal, "the page to go to is no path"))?;
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(header::LOCATION, target);
    Ok(response)
}
