//! Signing in and out: a token becomes a session. The page with the form is
//! not here.

use super::caller::{Caller, Via, check};
use super::form::{SafeForm, pairs};
use super::session::{self, COOKIE};
use crate::app::{App, Cookies};
use crate::http::problem::{Kind, Problem};
use crate::limits;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

/// Where a person lands after signing in, when the form names nothing.
const LANDING: &str = "/";
/// Where a person lands when the token opens nothing.
const REFUSED: &str = "/login?refused=1";

fn cookie(app: &App, value: &str, seconds: u32) -> Result<HeaderValue, Problem> {
    let secure = match app.settings().cookies {
        Cookies::Secure => "; Secure",
        Cookies::Plain => "",
    };
    let text =
        format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    HeaderValue::from_str(&text)
        .map_err(|_| Problem::new(Kind::Internal, "the cookie cannot be written"))
}

fn to(location: &str, cookie: Option<HeaderValue>) -> Result<Response, Problem> {
    let target = HeaderValue::from_str(location)
        .map_err(|_| Problem::new(Kind::Invalid, "the field `next` is not a path"))?;
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(header::LOCATION, target);
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// A path of this server, and of no other.
fn is_local(path: &str) -> bool {
    let plain = path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    plain && path.starts_with('/') && !path.starts_with("//")
}

/// `POST /login` with the fields `token` and, if wanted, `next`.
///
/// # Errors
/// When the body is no such form, or comes from another site.
pub async fn login(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    refuse_other_sites(request.headers())?;
    if let Some(old) = session::of_cookie(request.headers()) {
        // Whatever session was there before: the new one has a new name.
        app.sessions().close(old);
    }
    let mut token = String::new();
    let mut next = LANDING.to_owned();
    for (name, value) in pairs(request).await? {
        match name.as_str() {
            "token" => token = value.trim().to_owned(),
            "next" if is_local(&value) => next = value,
            "next" => {
                return Err(Problem::new(
                    Kind::Invalid,
                    "the field `next` is not a path",
                ));
            }
            other => {
                let detail = format!("the field `{}` is unknown", other.escape_debug());
                return Err(Problem::new(Kind::Invalid, detail));
            }
        }
    }
    match check(&app, &token, Via::Session, None).await {
        Ok(_) => {
            let bits = [app.entropy().bits(), app.entropy().bits()];
            let value = app.sessions().open(&token, bits, app.now());
            to(&next, Some(cookie(&app, &value, limits::SESSION_SECS)?))
        }
        Err(problem) if problem.kind == Kind::Unauthenticated => to(REFUSED, None),
        Err(problem) => Err(problem),
    }
}

/// A form without fields of its own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoFields {}

/// `POST /logout`.
///
/// # Errors
/// When the post does not come from a page of the session.
pub async fn logout(
    State(app): State<App>,
    headers: HeaderMap,
    form: SafeForm<NoFields>,
) -> Result<Response, Problem> {
    let caller: &Caller = &form.caller;
    if let (Via::Session, Some(value)) = (caller.via(), session::of_cookie(&headers)) {
        app.sessions().close(value);
    }
    to("/login", Some(cookie(&app, "", 0)?))
}

/// Browsers say where a post comes from; a form of another site may not sign
/// a person in as somebody else.
fn refuse_other_sites(headers: &HeaderMap) -> Result<(), Problem> {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    match site {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(super::form::forged()),
    }
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn only_paths_of_this_server_are_landed_on() {
        for fine in ["/", "/incidents/inc_1?x=1"] {
            assert!(is_local(fine), "{fine}");
        }
        for bad in [
            "",
            "x",
            "//evil",
            "/\\evil",
            "https://evil",
            "/a\r\nb",
            "/é",
        ] {
            assert!(!is_local(bad), "{bad}");
        }
    }
}
