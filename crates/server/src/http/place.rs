//! What varies in a path, with problems instead of the framework's plain text.

use super::problem::{Kind, Problem};
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// The varying parts of the path.
#[derive(Clone, Debug)]
pub struct Place<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Place<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(value)| Self(value)).map_err(|fault| {
            Problem::new(Kind::Invalid, format!("the path: {}", fault.body_text()))
        })
    }
}
