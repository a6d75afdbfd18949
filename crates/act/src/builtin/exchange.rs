//! One request over HTTP and what its answer means. Shared by the modules that
//! speak HTTP; keeps secrets out of what is recorded.

use super::outside::Destination;
use crate::limits;
use crate::module::{ModuleCtx, Outcome, OutcomeStatus, excerpt};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use kernel::port::{HttpAnswer, HttpFault, HttpRequest};
use kernel::{Digest, Refusal, Span};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use url::form_urlencoded;

/// Headers of an answer that may stand in the record.
const HEADERS_RECORDED: [&str; 7] = [
    "content-type",
    "content-length",
    "date",
    "etag",
    "location",
    "retry-after",
    "x-request-id",
];

/// Headers that a request may not set: they belong to the connection, to the
/// module, or carry secrets.
const HEADERS_REFUSED: [&str; 14] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "keep-alive",
    "expect",
    "proxy-authorization",
    "proxy-connection",
    "idempotency-key",
    "authorization",
    "cookie",
];

/// A header whose value is a secret, by reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretHeader {
    /// `env:NAME` or `file:PATH`.
    pub(super) reference: String,
    /// What stands before the secret, for example `Bearer `.
    #[serde(default)]
    pub(super) prefix: String,
}

/// Checks the names and values of headers that an input gives.
pub(super) fn check_headers(
    plain: &BTreeMap<String, String>,
    secret: &BTreeMap<String, SecretHeader>,
) -> Result<(), Refusal> {
    for (name, value) in plain {
        let place = format!("headers.{name}");
        check_name(name).map_err(|e| e.at(&place))?;
        if HEADERS_REFUSED.contains(&name.as_str()) {
            return Err(Refusal::invalid("may not be set here")
                .at(place)
                .hint("name a secret by reference in `secret_headers`"));
        }
        if !value.chars().all(printable) {
            return Err(Refusal::invalid("holds a control or non-ASCII character").at(place));
        }
    }
    for (name, header) in secret {
        let place = format!("secret_headers.{name}");
        check_name(name).map_err(|e| e.at(&place))?;
        let allowed = matches!(name.as_str(), "authorization" | "cookie");
        if HEADERS_REFUSED.contains(&name.as_str()) && !allowed {
            return Err(Refusal::invalid("may not be set here").at(place));
        }
        if !header.prefix.chars().all(printable) {
            return Err(Refusal::invalid("holds a control or non-ASCII character").at(place));
        }
    }
    Ok(())
}

fn printable(c: char) -> bool {
    c == ' ' || c.is_ascii_graphic()
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let token = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if name.is_empty() || !name.chars().all(token) {
        return Err(Refusal::invalid("is no header name").hint("write it in lower case"));
    }
    Ok(())
}

/// One request, before it is sent.
pub(super) struct Exchange {
    /// The method.
    pub(super) method: String,
    /// Where it goes.
    pub(super) to: Destination,
    /// Headers; names in lower case.
    pub(super) headers: BTreeMap<String, String>,
    /// The body.
    pub(super) body: Vec<u8>,
    /// How long it may take.
    pub(super) timeout: Span,
    /// Secrets that it carries: none of them may stand in the record.
    pub(super) secrets: Vec<String>,
}

impl Exchange {
    /// Puts the secret headers in.
    ///
    /// # Errors
    /// When a secret cannot be resolved or is no header value.
    pub(super) fn add_secrets(
        &mut self,
        headers: &BTreeMap<String, SecretHeader>,
        ctx: &ModuleCtx,
    ) -> Result<(), Refusal> {
        for (name, header) in headers {
            let bytes = ctx.secrets.resolve(&header.reference)?;
            let text = String::from_utf8(bytes).ok();
            let text = text.filter(|t| !t.is_empty() && t.chars().all(printable));
            let text = text.ok_or_else(|| {
                Refusal::unavailable(format!(
                    "the secret `{}` is empty or no header value",
                    header.reference
                ))
            })?;
            let value = format!("{}{text}", header.prefix);
            self.headers.insert(name.clone(), value);
            self.secrets.push(text);
        }
        Ok(())
    }

    /// Sends it.
    pub(super) async fn send(self, ctx: &ModuleCtx) -> Answered {
        let request = HttpRequest {
            method: self.method,
            url: self.to.url,
            headers: self.headers,
            body: self.body,
            timeout: self.timeout.min(ctx.timeout()),
            answer_bytes_max: limits::ANSWER_BYTES_MAX,
            private_ranges_allowed: self.to.private_ranges_allowed,
        };
        Answered {
            result: ctx.http.send(request).await,
            secrets: self.secrets,
        }
    }
}

/// What came back.
pub(super) struct Answered {
    /// The answer or the fault.
    pub(super) result: Result<HttpAnswer, HttpFault>,
    secrets: Vec<String>,
}

impl Answered {
    /// The text without any secret that was sent: some services send back what
    /// they were sent, as it was or encoded.
    pub(super) fn clean(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        for form in self.secrets.iter().flat_map(|secret| forms(secret)) {
            clean = clean.replace(&form, "[secret]");
        }
        clean
    }

    /// What may stand in the record of an answer: status, some headers, and
    /// the beginning of the body, without the secrets that were sent.
    fn record(&self, answer: &HttpAnswer) -> Value {
        let headers: BTreeMap<&str, String> = answer
            .headers
            .iter()
            .filter(|(name, _)| HEADERS_RECORDED.contains(&name.as_str()))
            .map(|(name, value)| (name.as_str(), self.clean(value)))
            .collect();
        let text = self.clean(&String::from_utf8_lossy(&answer.body));
        let start = excerpt(&text, limits::ANSWER_EXCERPT_BYTES_MAX);
        json!({
            "status": answer.status,
            "headers": headers,
            "body": start,
            "body_truncated": start.len() < text.len(),
            "body_bytes": answer.body.len(),
            "body_digest": Digest::of(&answer.body),
        })
    }

    /// What the answer means for the step.
    pub(super) fn outcome(&self, meaning: impl Fn(u16) -> OutcomeStatus) -> Outcome {
        let answer = match &self.result {
            Err(HttpFault::NotSent(why)) => {
                return Outcome::error(format!("not sent: {}", self.clean(why)));
            }
            Err(HttpFault::NoAnswer(why)) => {
                return Outcome::unknown(format!("no answer: {}", self.clean(why)));
            }
            Ok(answer) => answer,
        };
        let reason = format!("the answer has status `{}`", answer.status);
        let outcome = match meaning(answer.status) {
            OutcomeStatus::Success => Outcome::success(Value::Null),
            OutcomeStatus::Failure => Outcome::failure(reason),
            OutcomeStatus::Error | OutcomeStatus::NotBegun => Outcome::error(reason),
            OutcomeStatus::Unknown | OutcomeStatus::CutOff => Outcome::unknown(reason),
        };
        outcome
            .costing(gate::budget::Actual::Unknown)
            .with_output(self.record(answer))
    }
}

/// How a secret may come back: as it is, in a string of JSON, in an address,
/// in base64.
fn forms(secret: &str) -> Vec<String> {
    let quoted = Value::String(secret.to_owned()).to_string();
    let address: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let mut forms = vec![
        secret.to_owned(),
        quoted.trim_matches('"').to_owned(),
        address.to_lowercase(),
        address,
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
    ];
    forms.retain(|form| !form.is_empty());
    forms
}

/// The JSON Schema of what [`Answered::outcome`] puts in an output.
pub(super) fn output_schema() -> Value {
    json!({
        "type": "object",
        "required": ["status", "headers", "body", "body_truncated", "body_bytes", "body_digest"],
        "properties": {
            "status": { "type": "integer" },
            "headers": { "type": "object" },
            "body": { "type": "string" },
            "body_truncated": { "type": "boolean" },
            "body_bytes": { "type": "integer" },
            "body_digest": { "type": "string" },
        },
    })
}
