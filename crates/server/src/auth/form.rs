//! Posts from pages: a form whose field `csrf` must be the session's own.

use super::caller::{Caller, Via};
use crate::app::App;
use crate::http::json;
use crate::http::problem::{Kind, Problem};
use axum::extract::{FromRequest, Request};
use axum::http::header;
use serde::de::DeserializeOwned;

/// The body of a form that belongs to the caller's session.
#[derive(Clone, Debug)]
pub struct SafeForm<T> {
    /// Who posted.
    pub caller: Caller,
    /// The fields, without `csrf`.
    pub fields: T,
}

/// The pairs of a form body.
pub(super) async fn pairs(request: Request) -> Result<Vec<(String, String)>, Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let essence = kind
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.split(';').next())
        .unwrap_or_default();
    if !essence
        .trim()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded")
    {
        return Err(Problem::new(
            Kind::UnsupportedMediaType,
            "the body is not a form",
        ));
    }
    let bytes = json::bytes(request).await?;
    let again = Request::builder()
        .method("POST")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(axum::body::Body::from(bytes))
        .map_err(|_| Problem::new(Kind::Internal, "the form cannot be read"))?;
    axum::Form::<Vec<(String, String)>>::from_request(again, &())
        .await
        .map(|form| form.0)
        .map_err(|fault| Problem::new(Kind::Invalid, format!("the form: {}", fault.body_text())))
}

impl<T: DeserializeOwned> FromRequest<App> for SafeForm<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let caller =
            <Caller as axum::extract::FromRequestParts<App>>::from_request_parts(&mut parts, app)
                .await?;
        let pairs = pairs(Request::from_parts(parts, body)).await?;
        let mut fields = serde_json::Map::new();
        let mut csrf = String::new();
        for (name, value) in pairs {
            if name == "csrf" {
                csrf = value;
            } else if fields.insert(name.clone(), value.into()).is_some() {
                let detail = format!("the field `{}` stands twice", name.escape_debug());
                return Err(Problem::new(Kind::Invalid, detail));
            }
        }
        if caller.via() == Via::Session && !caller.csrf_is(&csrf) {
            return Err(forged());
        }
        let fields = serde_json::from_value(fields.into())
            .map_err(|fault| Problem::new(Kind::Invalid, format!("the form: {fault}")))?;
        Ok(Self { caller, fields })
    }
}

/// The refusal of a post that does not come from a page of the session.
#[must_use]
pub(crate) fn forged() -> Problem {
    Problem::new(
        Kind::Forbidden,
        "the request does not come from a page of this session",
    )
    .hint("load the page again; a program sends a bearer token or `X-CSRF-Token`")
}
