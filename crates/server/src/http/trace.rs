//! W3C trace context in and out, the access log, and the last layer before the
//! wire: problems are completed here and panics become problems.

use super::problem::{self, Kind, Problem};
use crate::app::App;
use crate::auth::Identified;
use crate::limits;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kernel::TraceId;
use tokio::time::Instant;
use tracing::Instrument as _;

/// The trace that a request belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The trace.
    pub id: TraceId,
    /// This request's span.
    pub span: u64,
    /// The flags of the trace as they came in.
    pub flags: u8,
}

impl Trace {
    /// The value of the header `traceparent`.
    #[must_use]
    pub fn parent(&self) -> String {
        format!("00-{}-{:016x}-{:02x}", self.id, self.span, self.flags)
    }
}

impl<S: Sync> FromRequestParts<S> for Trace {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let known = parts.extensions.get::<Self>().copied();
        known.ok_or_else(|| Problem::new(Kind::Internal, "the request has no trace"))
    }
}

/// The trace and flags that a `traceparent` names; `None` when it is not one,
/// and then a new trace begins.
#[must_use]
pub fn parse(text: &str) -> Option<(TraceId, u8)> {
    let mut parts = text.split('-');
    let mut next = || parts.next();
    let (version, trace, span, flags) = (next()?, next()?, next()?, next()?);
    let hex = |t: &str, length: usize| {
        t.len() == length
            && t.bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let well_formed = hex(version, 2) && hex(span, 16) && hex(flags, 2);
    let known = version != "ff" && span.bytes().any(|b| b != b'0');
    let complete = version != "00" || next().is_none();
    if !(well_formed && known && complete) {
        return None;
    }
    Some((TraceId::parse(trace)?, u8::from_str_radix(flags, 16).ok()?))
}

fn begin(app: &App, headers: &HeaderMap) -> Trace {
    let given = headers
        .get("traceparent")
        .and_then(|v| v.to_str().ok())
        .and_then(parse);
    let (id, flags) = given.unwrap_or_else(|| (app.entropy().trace(), 0));
    let [_, _, _, _, _, _, _, _, low @ ..] = app.entropy().bits().to_be_bytes();
    Trace {
        id,
        span: u64::from_be_bytes(low).max(1),
        flags,
    }
}

/// The outermost layer of the application.
pub async fn layer(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let trace = begin(&app, request.headers());
    request.extensions_mut().insert(trace);
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let span = tracing::info_span!("request", trace_id = %trace.id, span_id = %format!("{:016x}", trace.span));
    // RFC 9112, 6.1: where a body ends by chunks, another server may have seen it
    // end elsewhere, so nothing that comes after it is taken for a request.
    let by_chunks = request.headers().contains_key(header::TRANSFER_ENCODING);
    let ambiguous = ambiguous(request.headers());
    let last = by_chunks || ambiguous.is_some();
    let response = match oversized(&request).or(ambiguous) {
        Some(problem) => problem.into_response(),
        None => next.run(request).instrument(span).await,
    };
    let mut response = problem::complete(response, &path, trace.id);
    guarded(response.headers_mut());
    if last {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    if let Ok(value) = HeaderValue::from_str(&trace.parent()) {
        response.headers_mut().insert("traceparent", value);
    }
    // What no route matched has no name: paths that people try are unbounded.
    let matched = response.extensions().get::<Matched>().map_or("", |m| m.0);
    let elapsed = began.elapsed();
    app.metrics()
        .answered(method.as_str(), matched, response.status(), elapsed);
    let caller = response.extensions().get::<Identified>();
    let tenant = caller.map(|c| c.tenant.to_string()).unwrap_or_default();
    let actor = caller.map(|c| c.actor.to_string()).unwrap_or_default();
    let duration_ms = elapsed.as_secs_f64() * 1_000.0;
    tracing::info!(
        target: "access",
        method = method.as_str(),
        route = matched,
        status = response.status().as_u16(),
        duration_ms,
        trace_id = %trace.id,
        span_id = %format!("{:016x}", trace.span),
        tenant,
        actor,
        "answered"
    );
    response
}

/// The route that answered, noted on its way out for log and metrics.
#[derive(Clone, Copy, Debug)]
pub struct Matched(pub &'static str);

/// A request for two hosts may be for another one elsewhere.
fn ambiguous(headers: &HeaderMap) -> Option<Problem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    hosts
        .nth(1)
        .map(|_| Problem::new(Kind::Invalid, "the header `Host` stands twice"))
}

fn oversized(request: &Request) -> Option<Problem> {
    let headers = request.headers();
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if headers.len() > limits::HEADERS_MAX || bytes > limits::HEADERS_BYTES_MAX {
        let detail = format!(
            "{} headers with {bytes} bytes, allowed are {} with {}",
            headers.len(),
            limits::HEADERS_MAX,
            limits::HEADERS_BYTES_MAX
        );
        return Some(Problem::new(Kind::HeadersTooLong, detail));
    }
    let target = request
        .uri()
        .path_and_query()
        .map_or(0, |p| p.as_str().len());
    (target > limits::TARGET_BYTES_MAX).then(|| {
        Problem::new(
            Kind::HeadersTooLong,
            format!(
                "the path has {target} bytes, allowed are {}",
                limits::TARGET_BYTES_MAX
            ),
        )
    })
}

/// What a panic in a handler becomes. Its text stays out of answer and log,
/// because nobody knows what it holds; the panic hook says where it was.
#[must_use]
pub fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a handler panicked");
    Problem::new(Kind::Internal, "writ failed on this request")
        .hint("report it with its `trace_id`")
        .into_response()
}

/// Sets the headers that every answer carries, where it has none of its own.
fn guarded(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_parents_are_read_strictly() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let span = "b7ad6b7169203331";
        let good = format!("00-{trace}-{span}-01");
        let (id, flags) = parse(&good).unwrap();
        assert_eq!((id.to_string().as_str(), flags), (trace, 1));
        assert!(parse(&format!("cc-{trace}-{span}-01-later")).is_some());
        let zeros = "0".repeat(32);
        let bad = [
            String::new(),
            "00".into(),
            format!("ff-{trace}-{span}-01"),
            format!("00-{trace}-{span}-01-x"),
            format!("00-{zeros}-{span}-01"),
            format!("00-{trace}-0000000000000000-01"),
            format!("00-{trace}-{span}-1"),
            good.to_uppercase(),
        ];
        for text in bad {
            assert!(parse(&text).is_none(), "{text}");
        }
    }
}
