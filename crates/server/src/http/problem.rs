//! Problem details (RFC 9457): the one form in which writ says no over HTTP,
//! and the one mapping from refusals to statuses.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kernel::names::Name;
use kernel::{Code, Refusal, TraceId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::limits;

/// What a handler gives.
pub type Answer<T> = Result<T, Problem>;

kernel::names! {
    /// The kinds of problems: the refusals of the core, and what only HTTP has.
    pub enum Kind {
        /// The input is wrong.
        Invalid = "invalid",
        /// Nobody is known to ask.
        Unauthenticated = "unauthenticated",
        /// The principal may not do this.
        Forbidden = "forbidden",
        /// There is no such thing.
        NotFound = "not_found",
        /// The resource has no such method.
        MethodNotAllowed = "method_not_allowed",
        /// It contradicts what is recorded.
        Conflict = "conflict",
        /// The lifecycle has no such move.
        IllegalMove = "illegal_move",
        /// The gate said no.
        Blocked = "blocked",
        /// It changed since it was read.
        PreconditionFailed = "precondition_failed",
        /// The body is too long.
        TooLong = "too_long",
        /// The body is of a type that is not read here.
        UnsupportedMediaType = "unsupported_media_type",
        /// A bound was reached.
        LimitExceeded = "limit_exceeded",
        /// The headers are too long.
        HeadersTooLong = "headers_too_long",
        /// The record contradicts itself.
        Integrity = "integrity",
        /// writ failed.
        Internal = "internal",
        /// Something needed is missing or does not answer.
        Unavailable = "unavailable",
    }
}

impl Kind {
    /// The status and the title.
    #[must_use]
    pub fn meaning(self) -> (StatusCode, &'static str) {
        match self {
            Self::Invalid => (StatusCode::BAD_REQUEST, "The input is wrong"),
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "Nobody is signed in"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "This is not allowed"),
            Self::NotFound => (StatusCode::NOT_FOUND, "There is no such thing"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "No such method here"),
            Self::Conflict => (StatusCode::CONFLICT, "It contradicts what is recorded"),
            Self::IllegalMove => (StatusCode::CONFLICT, "Not possible in this status"),
            Self::Blocked => (StatusCode::CONFLICT, "The gate said no"),
            Self::PreconditionFailed => (StatusCode::PRECONDITION_FAILED, "It has changed"),
            Self::TooLong => (StatusCode::PAYLOAD_TOO_LARGE, "The body is too long"),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Bodies of this type are not read",
            ),
            Self::LimitExceeded => (StatusCode::TOO_MANY_REQUESTS, "A bound was reached"),
            Self::HeadersTooLong => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "The headers are too long",
            ),
            Self::Integrity => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "The record contradicts itself",
            ),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "writ failed"),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Something needed does not answer",
            ),
        }
    }

    /// What a person reads at the problem's type.
    #[must_use]
    pub fn page(self) -> String {
        let (status, title) = self.meaning();
        format!(
            "{}\n\n{title} (HTTP {}).\n\
             `detail` of the problem names the fault, `hint` what to do next,\n\
             and `trace_id` finds it in the log.\n",
            self.name(),
            status.as_u16()
        )
    }

    fn of_code(code: Code) -> Self {
        match code {
            Code::Invalid => Self::Invalid,
            Code::NotFound => Self::NotFound,
            Code::Conflict => Self::Conflict,
            Code::IllegalMove => Self::IllegalMove,
            Code::Forbidden => Self::Forbidden,
            Code::Blocked => Self::Blocked,
            Code::LimitExceeded => Self::LimitExceeded,
            Code::Unavailable => Self::Unavailable,
            Code::Integrity => Self::Integrity,
        }
    }

    fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::Unauthenticated,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            412 => Self::PreconditionFailed,
            413 => Self::TooLong,
            415 => Self::UnsupportedMediaType,
            429 => Self::LimitExceeded,
            431 => Self::HeadersTooLong,
            408 | 503 | 504 => Self::Unavailable,
            500..=599 => Self::Internal,
            _ => Self::Invalid,
        }
    }
}

/// A problem. The request's path and trace are filled in on the way out.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Its kind.
    pub kind: Kind,
    /// What is wrong, for the caller.
    pub detail: String,
    /// What to do next.
    pub hint: Option<String>,
    /// The version of the resource that a precondition did not meet.
    pub version: Option<u64>,
}

/// A problem as it is written.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Written<'a> {
    /// What kind of problem it is: the path of a page about it.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: &'a str,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this request.
    pub detail: &'a str,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'a str>,
    /// The path that was asked for.
    pub instance: &'a str,
    /// Finds the request in the log.
    pub trace_id: String,
}

impl Problem {
    /// A problem of this kind.
    #[must_use]
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            hint: None,
            version: None,
        }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Nobody is known to ask.
    #[must_use]
    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(Kind::Unauthenticated, detail)
            .hint("send `Authorization: Bearer writ_…`, or sign in at `/login`")
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.kind.meaning().0
    }

    /// The response about the request at `instance` in this trace.
    #[must_use]
    pub fn response(&self, instance: &str, trace: Option<TraceId>) -> Response {
        let (status, title) = self.kind.meaning();
        let written = Written {
            kind: format!("/problems/{}", self.kind),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            hint: self.hint.as_deref(),
            instance,
            trace_id: trace.map(|t| t.to_string()).unwrap_or_default(),
        };
        let body = serde_json::to_vec(&written).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if matches!(self.kind, Kind::LimitExceeded | Kind::Unavailable) {
            let seconds = HeaderValue::from(limits::RETRY_AFTER_SECS);
            headers.insert(header::RETRY_AFTER, seconds);
        }
        if self.kind == Kind::Unauthenticated {
            let scheme = HeaderValue::from_static("Bearer realm=\"writ\"");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        if let Some(version) = self.version {
            headers.insert(header::ETAG, super::command::etag(version));
        }
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self {
            kind: Kind::of_code(refusal.code),
            detail: refusal.message,
            hint: refusal.hint,
            version: None,
        }
    }
}

impl From<ledger::StoreFault> for Problem {
    fn from(fault: ledger::StoreFault) -> Self {
        Refusal::from(fault).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.response("", None);
        response.extensions_mut().insert(self);
        response
    }
}

/// The response as a problem, when it says no in another form: what routing
/// and extractors of the framework answer by themselves, and problems that do
/// not yet name the request.
#[must_use]
pub fn complete(response: Response, instance: &str, trace: TraceId) -> Response {
    let status = response.status();
    let known = response.extensions().get::<Problem>().cloned();
    let foreign = status.is_client_error() || status.is_server_error();
    let page = response.extensions().get::<Page>().is_some();
    let problem = match known {
        Some(problem) => problem,
        None if foreign && !page => foreign_problem(status, instance),
        None => return response,
    };
    let (before, _) = response.into_parts();
    let mut answer = problem.response(instance, Some(trace));
    keep(&before.headers, answer.headers_mut());
    *answer.extensions_mut() = before.extensions;
    answer
}

/// Marks a response that says no in a form of its own, for example an HTML
/// page, and is left as it is.
#[derive(Clone, Copy, Debug)]
pub struct Page;

fn keep(from: &HeaderMap, to: &mut HeaderMap) {
    for name in [header::ALLOW, header::SET_COOKIE] {
        if let Some(value) = from.get(&name) {
            to.insert(name, value.clone());
        }
    }
}

fn foreign_problem(status: StatusCode, instance: &str) -> Problem {
    let kind = Kind::of_status(status);
    match kind {
        Kind::NotFound => Problem::new(kind, format!("nothing is at `{instance}`"))
            .hint("`/openapi.json` lists every route"),
        Kind::MethodNotAllowed => Problem::new(kind, format!("`{instance}` has no such method"))
            .hint("the header `Allow` lists the methods"),
        Kind::TooLong => too_long(),
        _ => Problem::new(kind, kind.meaning().1.to_lowercase()),
    }
}

/// The body is too long.
#[must_use]
pub fn too_long() -> Problem {
    Problem::new(
        Kind::TooLong,
        format!("the body has more than {} bytes", limits::BODY_BYTES_MAX),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_status() {
        let expected = [400, 404, 409, 409, 403, 409, 429, 503, 500];
        for (code, status) in Code::ALL.iter().zip(expected) {
            assert_eq!(Kind::of_code(*code).meaning().0.as_u16(), status, "{code}");
        }
    }

    #[test]
    fn retry_after_stands_on_overload_only() {
        for kind in Kind::ALL {
            let response = Problem::new(*kind, "x").response("/", None);
            let has = response.headers().contains_key(header::RETRY_AFTER);
            assert_eq!(
                has,
                [429, 503].contains(&response.status().as_u16()),
                "{kind}"
            );
        }
    }
}
