//! The ports: what the pure core needs from outside, as traits. Adapters stand
//! in the shells; `testkit` has a twin of each.

use crate::{Span, Timestamp, TraceId};
use async_trait::async_trait;
use std::collections::BTreeMap;

/// Where time comes from.
pub trait Clock: Send + Sync {
    /// The current instant.
    fn now(&self) -> Timestamp;
}

/// Where unpredictable bits come from.
pub trait Entropy: Send + Sync {
    /// 128 unpredictable bits, never the same twice.
    fn bits(&self) -> u128;

    /// A new trace id.
    fn trace(&self) -> TraceId {
        loop {
            if let Some(trace) = TraceId::new(self.bits()) {
                return trace;
            }
        }
    }
}

/// A secret by reference: `env:NAME` or `file:PATH`.
pub trait Secrets: Send + Sync {
    /// The secret's bytes.
    ///
    /// # Errors
    /// A refusal that names the reference, never the secret.
    fn resolve(&self, reference: &str) -> Result<Vec<u8>, crate::Refusal>;
}

/// A request to the outside over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// The absolute URL.
    pub url: String,
    /// Headers; names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
    /// The whole exchange may take this long.
    pub timeout: Span,
    /// The answer's body may be this long, in bytes.
    pub answer_bytes_max: usize,
    /// Whether private, loopback and link-local addresses may be reached.
    pub private_ranges_allowed: bool,
}

/// The answer to an [`HttpRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// Headers; names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body, complete.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpFault {
    /// The request never left: nothing happened outside.
    #[error("not sent: {0}")]
    NotSent(String),
    /// It may have left, and no complete answer came: whether anything
    /// happened outside is unknown.
    #[error("no answer: {0}")]
    NoAnswer(String),
}

/// Sends HTTP requests. Redirects are not followed.
#[async_trait]
pub trait Http: Send + Sync {
    /// Sends one request and waits for its answer.
    async fn send(&self, request: HttpRequest) -> Result<HttpAnswer, HttpFault>;
}
