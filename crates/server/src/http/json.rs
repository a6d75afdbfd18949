//! Strict JSON bodies: UTF-8, bounded in size and depth, no key twice, no
//! unknown field, `application/json` only.

use super::problem::{self, Kind, Problem};
use crate::limits;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

/// A body that was read strictly.
#[derive(Clone, Debug)]
pub struct StrictJson<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for StrictJson<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let value = read(request).await?;
        typed(value).map(StrictJson)
    }
}

/// The request's body as a value.
///
/// # Errors
/// When it is not strict JSON.
pub async fn read(request: Request) -> Result<Value, Problem> {
    is_json(request.headers())?;
    let bytes = bytes(request).await?;
    let mut value = kernel::json::parse(&bytes).map_err(|fault| match fault {
        kernel::json::JsonFault::TooLong { .. } => problem::too_long(),
        other => Problem::new(Kind::Invalid, format!("the body: {other}")),
    })?;
    whole(&mut value);
    Ok(value)
}

/// Makes `2.0` and `2e0` the integer that they are: JSON knows one kind of
/// number, and the canonical form is the same.
fn whole(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            let float = number.as_f64().unwrap_or(f64::NAN);
            #[allow(clippy::cast_possible_truncation, reason = "checked at once")]
            let integer = float as i64;
            let is_exact = integer.unsigned_abs() <= limits::INTEGER_MAX;
            if is_exact && float.fract() == 0.0 {
                *number = integer.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole),
        Value::Object(members) => members.values_mut().for_each(whole),
        _ => {}
    }
}

/// The value as a `T`.
///
/// # Errors
/// What does not fit, with the field's name.
pub fn typed<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    // Derived readers take a list for a struct, field by field: not here.
    if !value.is_object() {
        return Err(Problem::new(Kind::Invalid, "the body: it is no object"));
    }
    serde_json::from_value(value)
        .map_err(|fault| Problem::new(Kind::Invalid, format!("the body: {fault}")))
}

/// The raw body, within the bound.
///
/// # Errors
/// When it is too long or the client stopped sending.
pub async fn bytes(request: Request) -> Result<Bytes, Problem> {
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limits::BODY_BYTES_MAX) {
        return Err(problem::too_long());
    }
    let reading = axum::body::to_bytes(request.into_body(), limits::BODY_BYTES_MAX);
    let Ok(read) = timeout(limits::BODY_TIMEOUT, reading).await else {
        let seconds = limits::BODY_TIMEOUT.as_secs();
        let detail = format!("the body did not arrive within {seconds} s");
        return Err(Problem::new(Kind::Invalid, detail).hint("send it whole, and faster"));
    };
    read.map_err(|fault| {
        let mut cause: Option<&dyn std::error::Error> = Some(&fault);
        while let Some(error) = cause {
            if error.to_string().contains("length limit exceeded") {
                return problem::too_long();
            }
            cause = error.source();
        }
        Problem::new(Kind::Invalid, "the body ended before it was complete")
    })
}

/// Whether a body of these headers is JSON in UTF-8.
///
/// # Errors
/// `unsupported_media_type` when it is not.
pub fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    let mut parts = given.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let utf8 = parts.all(|parameter| {
        let parameter = parameter.to_ascii_lowercase();
        !parameter.starts_with("charset=") || parameter.trim_matches('"').ends_with("utf-8")
    });
    if essence.eq_ignore_ascii_case("application/json") && utf8 {
        return Ok(());
    }
    Err(Problem::new(
        Kind::UnsupportedMediaType,
        format!("the content type is `{}`", given.escape_debug()),
    )
    .hint("send `Content-Type: application/json`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    #[derive(serde::Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Shape {
        a: u8,
    }

    async fn refused(content_type: &str, body: impl Into<Body>) -> Problem {
        let request = Request::builder()
            .header(header::CONTENT_TYPE, content_type)
            .body(body.into())
            .unwrap();
        StrictJson::<Shape>::from_request(request, &())
            .await
            .unwrap_err()
    }

    #[tokio::test]
    async fn a_whole_number_is_an_integer_however_it_is_written() {
        for body in ["{\"a\":2}", "{\"a\":2.0}", "{\"a\":20e-1}", "{\"a\":0.2e1}"] {
            let request = Request::builder()
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(body))
                .unwrap();
            let read = StrictJson::<Shape>::from_request(request, &()).await;
            assert_eq!(read.unwrap().0.a, 2, "{body}");
        }
        refused("application/json", "{\"a\":2.5}").await;
    }

    #[tokio::test]
    async fn hostile_bodies_name_their_fault() {
        let json = "application/json; charset=UTF-8";
        let cases: [(&str, Vec<u8>, Kind, &str); 9] = [
            (json, b"{".to_vec(), Kind::Invalid, "line 1"),
            (json, b"".to_vec(), Kind::Invalid, "EOF"),
            (
                json,
                b"{\"a\":1,\"a\":2}".to_vec(),
                Kind::Invalid,
                "stands twice",
            ),
            (json, b"{\"a\":1,\"zz\":2}".to_vec(), Kind::Invalid, "zz"),
            (
                json,
                b"{\"a\":\"x\"}".to_vec(),
                Kind::Invalid,
                "expected u8",
            ),
            (json, b"\"\xff\"".to_vec(), Kind::Invalid, "not UTF-8"),
            (json, "[".repeat(500).into_bytes(), Kind::Invalid, "nested"),
            (
                json,
                vec![b' '; limits::BODY_BYTES_MAX + 1],
                Kind::TooLong,
                "bytes",
            ),
            (
                "text/plain",
                b"{\"a\":1}".to_vec(),
                Kind::UnsupportedMediaType,
                "text/plain",
            ),
        ];
        for (content_type, body, kind, says) in cases {
            let problem = refused(content_type, body).await;
            assert_eq!(problem.kind, kind, "{problem:?}");
            assert!(problem.detail.contains(says), "{problem:?}");
        }
        let latin = refused("application/json; charset=latin1", "{\"a\":1}").await;
        assert_eq!(latin.kind, Kind::UnsupportedMediaType);
    }
}
