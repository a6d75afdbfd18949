//! Problems as pages: the same problem that the API answers, for people. Who
//! is not signed in gets the login page in place of the one asked for.

use super::view::error::{ErrorView, error_page};
use super::view::login::{LoginView, login_page};
use super::view::{Frame, Section};
use super::visit::{self, html};
use crate::app::App;
use crate::http::problem::{Kind, Problem};
use crate::http::trace::Trace;
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// The layer around every page.
pub(super) async fn layer(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let visit = visit::Visit::from_request_parts(&mut parts, &app)
        .await
        .ok();
    let (headers, uri, method) = (
        parts.headers.clone(),
        parts.uri.clone(),
        parts.method.clone(),
    );
    let trace = parts.extensions.get::<Trace>().copied();
    let response = next.run(Request::from_parts(parts, body)).await;
    let Some(problem) = response.extensions().get::<Problem>().cloned() else {
        return response;
    };
    let mut frame = Frame {
        now: app.now(),
        section: Section::None,
        theme: visit::theme(&headers),
        viewer: None,
        flash: None,
        here: "/".to_owned(),
    };
    let mut page = if problem.kind == Kind::Unauthenticated {
        let next = match method {
            Method::GET => uri.path(),
            _ => "/",
        };
        let view = LoginView {
            next: next.to_owned(),
            fault: None,
        };
        html(StatusCode::UNAUTHORIZED, login_page(&frame, &view))
    } else {
        if let Some(visit) = visit
            && let Ok(known) = visit.frame(Section::None).await
        {
            frame = known;
        }
        let view = ErrorView {
            status: problem.status().as_u16(),
            message: problem.detail.clone(),
            hint: problem.hint.clone(),
            trace: trace.map(|t| t.id.to_string()),
            back: (method == Method::POST).then(|| came_from(uri.path())),
        };
        html(problem.status(), error_page(&frame, &view))
    };
    keep(&response, page.headers_mut());
    *page.extensions_mut() = without_problem(&response);
    page
}

/// What answers where no route is: a page for browsers; programs get their
/// problem from the layers outside.
#[allow(
    clippy::unused_async,
    reason = "a handler is asynchronous, whatever it does"
)]
pub(super) async fn nowhere(request: Request) -> Response {
    let path = request.uri().path();
    let accepted = request.headers().get(header::ACCEPT);
    let browser = accepted
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| v.contains("text/html"));
    match browser && !path.starts_with("/v1/") {
        true => Problem::new(
            Kind::NotFound,
            format!("nothing is at `{}`", path.escape_debug()),
        )
        .into_response(),
        false => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The extensions of the answer but the problem, which is shown already.
fn without_problem(response: &Response) -> axum::http::Extensions {
    let mut kept = response.extensions().clone();
    kept.remove::<Problem>();
    kept.insert(crate::http::problem::Page);
    kept
}

fn keep(from: &Response, to: &mut HeaderMap) {
    for name in [header::ALLOW, header::RETRY_AFTER, header::SET_COOKIE] {
        if let Some(value) = from.headers().get(&name) {
            to.insert(name, value.clone());
        }
    }
}

/// The page whose form posts to this path: the path without its last part,
/// and of a step its run.
fn came_from(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    match parts.as_slice() {
        [kind @ ("directives" | "runs" | "incidents"), id, ..] => format!("/{kind}/{id}"),
        ["kill", ..] => "/kill".to_owned(),
        _ => "/".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::came_from;

    #[test]
    fn back_leads_to_the_page_of_the_form() {
        for (posted, page) in [
            ("/directives/dir_1/approve", "/directives/dir_1"),
            ("/directives/dir_1/edit/confirm", "/directives/dir_1"),
            ("/runs/run_1/steps/a/resolve", "/runs/run_1"),
            ("/kill/engage", "/kill"),
            ("/theme", "/"),
            ("//evil/x", "/"),
        ] {
            assert_eq!(came_from(posted), page, "{posted}");
        }
    }
}
