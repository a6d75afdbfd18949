//! A request that changes state: who, in which trace, with which strict body,
//! at most once per `Idempotency-Key`, and only on the version that
//! `If-Match` names. The check of the version runs within the unit of work.

use super::json;
use super::problem::{Kind, Problem};
use super::trace::Trace;
use crate::app::App;
use crate::auth::Caller;
use axum::Json;
use axum::extract::{FromRequest, OriginalUri, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kernel::{Aggregate, Ctx, Digest, Refusal, Unit};
use ledger::request::{self, Key};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The header that makes a request happen once.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The version that a resource must have; `None` means any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IfMatch(pub Option<u64>);

/// The entity tag of a version.
#[must_use]
pub fn etag(version: u64) -> HeaderValue {
    // Digits and quotes are valid in a header.
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}

fn if_match(headers: &HeaderMap) -> Result<Option<IfMatch>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(Some(IfMatch(None)));
    }
    let version = text
        .strip_prefix('"')
        .and_then(|t| t.strip_suffix('"'))
        .and_then(|t| t.parse().ok());
    match version {
        Some(version) => Ok(Some(IfMatch(Some(version)))),
        None => Err(Problem::new(
            Kind::Invalid,
            format!("the header `If-Match` is `{}`", text.escape_debug()),
        )
        .hint("send the `ETag` of the resource as it was given, or `*`")),
    }
}

type VersionOf = fn(&mut Unit<'_>, &str) -> Result<u64, Refusal>;

/// A request that changes state.
#[derive(Clone, Debug)]
pub struct Command<T> {
    /// Who asks.
    pub caller: Caller,
    /// The trace.
    pub trace: Trace,
    /// The body.
    pub body: T,
    if_match: Option<IfMatch>,
    key: Option<Key>,
    resource: Option<(VersionOf, String)>,
}

/// What was done, durable.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Done<R> {
    /// What the operation returned.
    pub answer: R,
    /// The version of the resource after it, where the command named one.
    pub version: Option<u64>,
}

impl<R: Serialize> Done<R> {
    /// The response with this status.
    pub fn with(self, status: StatusCode) -> Response {
        let mut response = (status, Json(&self.answer)).into_response();
        if let Some(version) = self.version {
            response.headers_mut().insert(header::ETAG, etag(version));
        }
        response
    }
}

impl<R: Serialize> IntoResponse for Done<R> {
    fn into_response(self) -> Response {
        self.with(StatusCode::OK)
    }
}

impl<T: DeserializeOwned> FromRequest<App> for Command<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &App) -> Result<Self, Problem> {
        let headers = request.headers();
        let if_match = if_match(headers)?;
        let key = headers.get(IDEMPOTENCY_KEY).cloned();
        let extensions = request.extensions();
        let caller = extensions
            .get::<Caller>()
            .cloned()
            .ok_or_else(|| Problem::unauthenticated("nobody is known to ask"))?;
        let trace = extensions
            .get::<Trace>()
            .copied()
            .ok_or_else(|| Problem::new(Kind::Internal, "the request has no trace"))?;
        let path = extensions
            .get::<OriginalUri>()
            .map_or_else(|| request.uri().path(), |uri| uri.path())
            .to_owned();
        let method = request.method().to_string();
        let body = body(request).await?;
        let key = match key {
            None => None,
            Some(key) => {
                let asked = json!({"method": method, "path": path, "body": body});
                let digest = Digest::of_value("writ.request.v1", &asked).map_err(Refusal::from)?;
                let text = String::from_utf8_lossy(key.as_bytes()).into_owned();
                Some(Key::new(&caller.actor().to_string(), &text, digest)?)
            }
        };
        Ok(Self {
            body: json::typed(body)?,
            caller,
            trace,
            if_match,
            key,
            resource: None,
        })
    }
}

/// The body; none at all stands for an empty object.
async fn body(request: Request) -> Result<Value, Problem> {
    let typeless = !request.headers().contains_key(header::CONTENT_TYPE);
    if !typeless {
        return json::read(request).await;
    }
    match json::bytes(request).await?.is_empty() {
        true => Ok(Value::Object(Map::new())),
        false => Err(
            Problem::new(Kind::UnsupportedMediaType, "the body has no content type")
                .hint("send `Content-Type: application/json`"),
        ),
    }
}

impl<T: Send + Sync + 'static> Command<T> {
    /// The circumstances of the command, drawn now.
    #[must_use]
    pub fn ctx(&self, app: &App) -> Ctx {
        app.ctx(&self.caller, self.trace)
    }

    /// The resource that `If-Match` speaks of.
    #[must_use]
    pub fn on<A: Aggregate>(mut self, id: impl std::fmt::Display) -> Self {
        let version: VersionOf = |unit, id| unit.version::<A>(id);
        self.resource = Some((version, id.to_string()));
        self
    }

    /// Circumstances, key and body, for an operation that runs its own unit.
    ///
    /// # Errors
    /// `invalid` when `If-Match` was sent, which has no meaning there.
    pub fn prepared(self, app: &App) -> Result<(Ctx, Option<Key>, T), Problem> {
        if self.if_match.is_some() {
            return Err(meaningless());
        }
        Ok((self.ctx(app), self.key, self.body))
    }

    /// Does work that runs its own units, and lies partly outside the ledger:
    /// the key's answer is recorded after it, and a repeated request gets that.
    /// Only a crash between the two lets it be done again.
    ///
    /// # Errors
    /// What the work refuses; `invalid` when `If-Match` was sent.
    pub async fn around<R, F>(self, app: &App, work: F) -> Result<R, Problem>
    where
        R: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
        F: AsyncFnOnce(Ctx, T) -> Result<R, Refusal>,
    {
        let after = self.ctx(app);
        let (ctx, once, body) = self.prepared(app)?;
        let Some(once) = once else {
            return Ok(work(ctx, body).await?);
        };
        let store = app.ledger().store();
        if let Some(first) = request::answered(store, ctx.tenant, &once).await? {
            return Ok(first);
        }
        let answer = work(ctx, body).await?;
        let recorded = move |_: &mut Unit<'_>| Ok(answer.clone());
        let run = app.ledger().run_once(after, Some(once), recorded);
        Ok(run.await?.answer)
    }

    /// Runs the operation as one unit in the caller's tenant.
    ///
    /// # Errors
    /// What the operation refuses, and `precondition_failed`.
    pub async fn run<R, F>(self, app: &App, decide: F) -> Result<Done<R>, Problem>
    where
        R: Serialize + DeserializeOwned + Send + 'static,
        F: Fn(&mut Unit<'_>, &T) -> Result<R, Refusal> + Send + 'static,
    {
        let ctx = self.ctx(app);
        if self.if_match.is_some() && self.resource.is_none() {
            return Err(meaningless());
        }
        let wanted = self.if_match.and_then(|m| m.0);
        let (body, resource) = (self.body, self.resource);
        // The operation's refusals have no word for a failed precondition, so
        // the version that was found leaves the unit beside the refusal.
        let stale = Arc::new(AtomicU64::new(0));
        let found = stale.clone();
        let run = app.ledger().run_once(ctx, self.key, move |unit| {
            if let (Some(wanted), Some((version_of, id))) = (wanted, &resource) {
                let version = version_of(unit, id)?;
                if version != 0 && version != wanted {
                    found.store(version, Ordering::Relaxed);
                    return Err(changed(wanted, version));
                }
            }
            found.store(0, Ordering::Relaxed);
            let answer = decide(unit, &body)?;
            let version = resource
                .as_ref()
                .map(|(version_of, id)| version_of(unit, id))
                .transpose()?;
            Ok(Done { answer, version })
        });
        match run.await {
            Ok(committed) => Ok(committed.answer),
            Err(refusal) => match stale.load(Ordering::Relaxed) {
                0 => Err(refusal.into()),
                version => Err(Problem {
                    kind: Kind::PreconditionFailed,
                    version: Some(version),
                    ..refusal.into()
                }),
            },
        }
    }
}

/// Of `If-Match` where no resource is meant.
pub(crate) fn meaningless() -> Problem {
    Problem::new(Kind::Invalid, "`If-Match` has no meaning on this route")
}

/// Of `Idempotency-Key` where a repeated request is done again.
pub(crate) fn each_time() -> Problem {
    Problem::new(
        Kind::Invalid,
        "`Idempotency-Key` has no meaning on this route",
    )
    .hint("leave it out: each request is done, and its answer is kept nowhere")
}

fn changed(wanted: u64, version: u64) -> Refusal {
    Refusal::conflict(format!(
        "the resource is at version {version}, `If-Match` names {wanted}"
    ))
    .hint("read it again and decide on what it is now")
}
