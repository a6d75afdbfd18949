//! The files that pages load: built in, so that the binary needs no folder
//! beside it and no other host.

use crate::routes::{Gives, Guard, Route};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kernel::Digest;

const STYLE: &str = include_str!("../../static/app.css");
const SCRIPT: &str = include_str!("../../static/app.js");
const PASSKEY: &str = include_str!("../../static/passkey.js");
const ICON: &str = include_str!("../../static/icon.svg");

pub(super) fn rows() -> Vec<Route> {
    let file = |path, summary, handler: fn(HeaderMap) -> Response| {
        Route::get(
            path,
            Guard::Open,
            summary,
            move |headers: HeaderMap| async move { handler(headers) },
        )
        .gives(Gives::Raw)
    };
    vec![
        file("/static/app.css", "the style of the pages", |h| {
            answer(&h, STYLE, "text/css; charset=utf-8")
        }),
        file("/static/app.js", "the script of the pages", |h| {
            answer(&h, SCRIPT, "text/javascript; charset=utf-8")
        }),
        file("/static/passkey.js", "the script of passkeys", |h| {
            answer(&h, PASSKEY, "text/javascript; charset=utf-8")
        }),
        file("/static/icon.svg", "the icon", |h| {
            answer(&h, ICON, "image/svg+xml")
        }),
    ]
}

/// The file, or 304 when the browser has it: it asks each time, so that an
/// upgrade shows at once.
fn answer(headers: &HeaderMap, body: &'static str, media_type: &'static str) -> Response {
    let tag = format!("\"{}\"", Digest::of(body.as_bytes()));
    let known = headers.get(header::IF_NONE_MATCH);
    let mut response = match known.is_some_and(|k| k.as_bytes() == tag.as_bytes()) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => body.into_response(),
    };
    let set = response.headers_mut();
    set.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    set.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        set.insert(header::ETAG, tag);
    }
    response
}
