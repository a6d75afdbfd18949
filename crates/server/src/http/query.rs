//! Query parameters. Which ones a route takes stands in its row; the guard
//! has refused the others before a handler reads one.

use super::problem::{Kind, Problem};
use crate::limits;
use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use kernel::{Refusal, StreamId};
use std::collections::BTreeMap;
use std::str::FromStr;

/// The parameters of a request, each given once.
#[derive(Clone, Debug, Default)]
pub struct Query(BTreeMap<String, String>);

impl Query {
    /// Reads them; a parameter that stands twice is a fault.
    ///
    /// # Errors
    /// `invalid`, naming the parameter.
    pub fn read(uri: &Uri) -> Result<Self, Problem> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|e| Problem::new(Kind::Invalid, format!("the query: {}", e.body_text())))?;
        let mut known = BTreeMap::new();
        for (name, value) in pairs.0 {
            if known.contains_key(&name) {
                return Err(fault(&name, "stands twice"));
            }
            known.insert(name, value);
        }
        Ok(Self(known))
    }

    /// Refuses what is not among `names`.
    ///
    /// # Errors
    /// `invalid`, naming the first parameter that is unknown.
    pub fn only(&self, names: &[&str]) -> Result<(), Problem> {
        match self.0.keys().find(|k| !names.contains(&k.as_str())) {
            None => Ok(()),
            Some(name) if names.is_empty() => {
                Err(fault(name, "is unknown").hint("this route takes no parameter"))
            }
            Some(name) => {
                Err(fault(name, "is unknown")
                    .hint(format!("this route takes: {}", names.join(", "))))
            }
        }
    }

    /// The text of a parameter.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter, parsed.
    ///
    /// # Errors
    /// `invalid`, naming the parameter and what is wrong with it.
    pub fn get<T: FromStr<Err = Refusal>>(&self, name: &str) -> Result<Option<T>, Problem> {
        let parsed = self.text(name).map(str::parse).transpose();
        parsed.map_err(|e: Refusal| Problem::from(e.at(name)))
    }

    /// A stream, `kind/id`.
    ///
    /// # Errors
    /// `invalid`, naming the parameter.
    pub fn stream(&self, name: &str) -> Result<Option<StreamId>, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let (kind, id) = text.split_once('/').unwrap_or_default();
        let is_kind = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let is_id = !id.is_empty() && !id.chars().any(|c| c.is_whitespace() || c.is_control());
        match is_kind && is_id {
            true => Ok(Some(StreamId::from_stored(text))),
            false => Err(fault(name, "is not a stream")
                .hint("write `kind/id`, for example `directive/dir_…`")),
        }
    }

    /// The number of a version.
    ///
    /// # Errors
    /// `invalid`, naming the parameter.
    pub fn version(&self, name: &str) -> Result<Option<u32>, Problem> {
        let parsed = self.text(name).map(str::parse::<u32>).transpose();
        parsed.map_err(|_| fault(name, "is not the number of a version"))
    }

    /// A number.
    ///
    /// # Errors
    /// `invalid`, naming the parameter.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let parsed = text.parse::<u64>().ok();
        match parsed.filter(|number| *number <= limits::INTEGER_MAX) {
            Some(number) => Ok(Some(number)),
            None => {
                let what = format!("is not a whole number of at most {}", limits::INTEGER_MAX);
                Err(fault(name, &what))
            }
        }
    }

    /// Every parameter but these, for a digest of the filters.
    pub fn without<'a>(
        &'a self,
        names: &'a [&str],
    ) -> impl Iterator<Item = (&'a str, &'a str)> + 'a {
        let kept = self.0.iter().filter(|(k, _)| !names.contains(&k.as_str()));
        kept.map(|(k, v)| (k.as_str(), v.as_str()))
    }
}

/// A fault of this parameter.
pub(crate) fn fault(name: &str, what: &str) -> Problem {
    Problem::new(
        Kind::Invalid,
        format!("the parameter `{}` {what}", name.escape_debug()),
    )
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::read(&parts.uri)
    }
}
