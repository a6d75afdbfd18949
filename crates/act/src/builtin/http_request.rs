//! `http.request`: one request to an allowed host, with a declared read after
//! the write as its proof and a declared request that undoes it.
//!
//! The idempotency key goes out as `Idempotency-Key` with every method that
//! writes. GET, HEAD, PUT and DELETE can be sent again (RFC 9110, 9.2.2); POST
//! and PATCH only where the input says `idempotency: honoured`.

use super::exchange::{Exchange, SecretHeader, check_headers, output_schema};
use super::outside::{HttpSettings, Outside};
use crate::module::{
    Compensation, Manifest, Module, ModuleCtx, Outcome, OutcomeStatus, Verification, excerpt,
};
use crate::retry::RetryPolicy;
use async_trait::async_trait;
use gate::{ActionClass, CostClass, Permit};
use kernel::{Refusal, Span};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The module's name.
const NAME: &str = "http.request";
/// How long one exchange may take when the input says nothing.
const TIMEOUT_DEFAULT: Span = Span::from_secs(10);
/// How long one exchange may take at most.
const TIMEOUT_MAX: Span = Span::from_secs(120);

kernel::names! {
    /// Whether the other side honours the idempotency key.
    enum Idempotency {
        /// A second request with the same key does nothing new.
        Honoured = "honoured",
        /// It does the same again.
        Ignored = "ignored",
    }
}

/// What is asked of the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    method: String,
    url: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    secret_headers: BTreeMap<String, SecretHeader>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    json: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    expect_status: Vec<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    idempotency: Option<Idempotency>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verify: Option<Verify>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    compensate: Option<Box<Input>>,
}

/// A read after the write.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Verify {
    url: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    secret_headers: BTreeMap<String, SecretHeader>,
    /// A JSON pointer (RFC 6901) into the answer.
    pointer: String,
    /// What must stand there.
    equals: Value,
}

impl Input {
    fn read(input: &Map<String, Value>) -> Result<Self, Refusal> {
        Self::deserialize(&Value::Object(input.clone()))
            .map_err(|e| Refusal::invalid(format!("no request: {e}")))
    }

    fn safe(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD")
    }

    fn idempotent(&self) -> bool {
        match self.idempotency {
            Some(Idempotency::Honoured) => true,
            Some(Idempotency::Ignored) => self.safe(),
            None => matches!(self.method.as_str(), "GET" | "HEAD" | "PUT" | "DELETE"),
        }
    }

    fn timeout(&self) -> Span {
        self.timeout.unwrap_or(TIMEOUT_DEFAULT)
    }

    /// What a status means: a gateway that heard nothing leaves it open, an
    /// overloaded service asks to come again, and the rest is an answer.
    fn meaning(&self, status: u16) -> OutcomeStatus {
        let expected = if self.expect_status.is_empty() {
            (200..300).contains(&status)
        } else {
            self.expect_status.contains(&status)
        };
        match status {
            _ if expected => OutcomeStatus::Success,
            408 | 425 | 429 | 503 => OutcomeStatus::Error,
            502 | 504 if self.safe() => OutcomeStatus::Error,
            502 | 504 => OutcomeStatus::Unknown,
            500..=599 if self.idempotent() => OutcomeStatus::Error,
            _ => OutcomeStatus::Failure,
        }
    }
}

/// The module `http.request`.
pub struct HttpRequestModule {
    manifest: Manifest,
    outside: Outside,
}

impl HttpRequestModule {
    /// The module, within these settings.
    ///
    /// # Errors
    /// When the settings are not well-formed.
    pub fn new(settings: &HttpSettings) -> Result<Self, Refusal> {
        let manifest = Manifest {
            name: NAME.to_owned(),
            version: "1.0.0".to_owned(),
            input_schema: input_schema(),
            output_schema: output_schema(),
            cost_class: CostClass::Cheap,
            action_class: ActionClass::InternalMutation,
            requires_approval: false,
            writes_outside: true,
            reversible: true,
            idempotent: false,
            timeout: TIMEOUT_DEFAULT,
            retry: RetryPolicy {
                attempts_max: 4,
                base: Span::from_secs(1),
                factor: 2,
                cap: Span::from_secs(30),
            },
        };
        Ok(Self {
            manifest,
            outside: Outside::new(settings)?,
        })
    }

    fn check_one(&self, input: &Input) -> Result<(), Refusal> {
        self.outside
            .destination(&input.url)
            .map_err(|e| e.at("url"))?;
        check_headers(&input.headers, &input.secret_headers)?;
        self.may_carry(&input.secret_headers, &input.url)?;
        if input.json.is_some() && input.body.is_some() {
            return Err(Refusal::invalid("stands beside `json`").at("body"));
        }
        if input.timeout() == Span::ZERO || input.timeout() > TIMEOUT_MAX {
            return Err(Refusal::invalid(format!(
                "must be more than `0s`, at most `{TIMEOUT_MAX}`"
            ))
            .at("timeout"));
        }
        if let Some(verify) = &input.verify {
            self.check_verify(verify).map_err(|e| e.at("verify"))?;
        }
        if let Some(compensate) = &input.compensate {
            if compensate.compensate.is_some() {
                return Err(Refusal::invalid("a compensation has none itself").at("compensate"));
            }
            self.check_one(compensate).map_err(|e| e.at("compensate"))?;
        }
        Ok(())
    }

    fn check_verify(&self, verify: &Verify) -> Result<(), Refusal> {
        self.outside
            .destination(&verify.url)
            .map_err(|e| e.at("url"))?;
        check_headers(&verify.headers, &verify.secret_headers)?;
        self.may_carry(&verify.secret_headers, &verify.url)
    }

    /// Whether these secrets are for the host of this URL.
    fn may_carry(
        &self,
        secrets: &BTreeMap<String, SecretHeader>,
        url: &str,
    ) -> Result<(), Refusal> {
        secrets.iter().try_for_each(|(name, header)| {
            self.outside
                .may_carry(&header.reference, url)
                .map_err(|e| e.at(format!("secret_headers.{name}")))
        })
    }

    fn exchange(&self, input: &Input, ctx: &ModuleCtx) -> Result<Exchange, Refusal> {
        let mut headers = input.headers.clone();
        if !input.safe() {
            headers.insert("idempotency-key".to_owned(), ctx.idempotency_key.clone());
        }
        let body = match (&input.json, &input.body) {
            (Some(json), _) => {
                headers
                    .entry("content-type".to_owned())
                    .or_insert_with(|| "application/json".to_owned());
                kernel::json::canonical(json)?.into_bytes()
            }
            (None, Some(text)) => text.clone().into_bytes(),
            (None, None) => Vec::new(),
        };
        let mut exchange = Exchange {
            method: input.method.clone(),
            to: self.outside.destination(&input.url)?,
            headers,
            body,
            timeout: input.timeout(),
            secrets: Vec::new(),
        };
        self.may_carry(&input.secret_headers, &input.url)?;
        exchange.add_secrets(&input.secret_headers, ctx)?;
        Ok(exchange)
    }

    /// Sends the request of this input.
    pub(crate) async fn request(&self, input: &Map<String, Value>, ctx: &ModuleCtx) -> Outcome {
        let prepared = Input::read(input).and_then(|input| {
            let exchange = self.exchange(&input, ctx)?;
            Ok((input, exchange))
        });
        match prepared {
            Err(refusal) => Outcome::error(refusal.to_string()),
            Ok((input, exchange)) => {
                let answered = exchange.send(ctx).await;
                answered.outcome(|status| input.meaning(status))
            }
        }
    }

    async fn read_back(
        &self,
        verify: &Verify,
        timeout: Span,
        ctx: &ModuleCtx,
    ) -> Result<Verification, Refusal> {
        let mut exchange = Exchange {
            method: "GET".to_owned(),
            to: self.outside.destination(&verify.url)?,
            headers: verify.headers.clone(),
            body: Vec::new(),
            timeout,
            secrets: Vec::new(),
        };
        self.may_carry(&verify.secret_headers, &verify.url)?;
        exchange.add_secrets(&verify.secret_headers, ctx)?;
        let answered = exchange.send(ctx).await;
        let answer = match &answered.result {
            Err(fault) => return Ok(Verification::Unread(answered.clean(&fault.to_string()))),
            Ok(answer) if !(200..300).contains(&answer.status) => {
                let why = format!("the read has status `{}`", answer.status);
                return Ok(Verification::Unread(why));
            }
            Ok(answer) => answer,
        };
        let read = match kernel::json::parse(&answer.body) {
            // A fault may name what stands there, and that may be what was sent.
            Err(fault) => return Ok(Verification::Unread(answered.clean(&fault.to_string()))),
            Ok(read) => read,
        };
        let found = read.pointer(&verify.pointer);
        let mut proof = json!({
            "url": verify.url,
            "status": answer.status,
            "pointer": verify.pointer,
            "expected": verify.equals,
        });
        if found == Some(&verify.equals) {
            return Ok(Verification::Confirmed(proof));
        }
        if let (Some(proof), Some(found)) = (proof.as_object_mut(), found) {
            let text = answered.clean(&found.to_string());
            proof.insert("found".to_owned(), excerpt(&text, 256).into());
        }
        Ok(Verification::Denied(proof))
    }
}

#[async_trait]
impl Module for HttpRequestModule {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn execute(&self, _: Permit, input: &Map<String, Value>, ctx: &ModuleCtx) -> Outcome {
        self.request(input, ctx).await
    }

    fn check(&self, input: &Map<String, Value>) -> Result<(), Refusal> {
        self.check_one(&Input::read(input)?)
    }

    fn idempotent(&self, input: &Map<String, Value>) -> bool {
        Input::read(input).is_ok_and(|input| input.idempotent())
    }

    /// The request's own time, and the same again for the read after it.
    fn timeout(&self, input: &Map<String, Value>) -> Span {
        match Input::read(input) {
            Err(_) => TIMEOUT_DEFAULT,
            Ok(input) if input.verify.is_some() => {
                Span::from_micros(input.timeout().as_micros() * 2)
            }
            Ok(input) => input.timeout(),
        }
    }

    fn compensation(&self, input: &Map<String, Value>, _: &Value) -> Option<Compensation> {
        let undo = input.get("compensate")?.as_object()?;
        Some(Compensation {
            module: NAME.to_owned(),
            input: undo.clone(),
        })
    }

    async fn verify(&self, input: &Map<String, Value>, ctx: &ModuleCtx) -> Verification {
        let Ok(Input {
            verify: Some(verify),
            timeout,
            ..
        }) = Input::read(input)
        else {
            return Verification::NotDeclared;
        };
        let timeout = timeout.unwrap_or(TIMEOUT_DEFAULT);
        match self.read_back(&verify, timeout, ctx).await {
            Ok(verification) => verification,
            Err(refusal) => Verification::Unread(refusal.message),
        }
    }
}

fn input_schema() -> Value {
    let text = json!({ "type": "string", "maxLength": 2048 });
    let headers = json!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": { "type": "string", "maxLength": 2048 },
    });
    let secret_headers = json!({
        "type": "object",
        "maxProperties": 8,
        "additionalProperties": {
            "type": "object",
            "additionalProperties": false,
            "required": ["reference"],
            "properties": {
                "reference": { "type": "string", "pattern": "^(env|file):.+$", "maxLength": 512 },
                "prefix": { "type": "string", "maxLength": 64 },
            },
        },
    });
    json!({
        "$ref": "#/$defs/request",
        "$defs": {
            "request": {
                "type": "object",
                "additionalProperties": false,
                "required": ["method", "url"],
                "properties": {
                    "method": { "enum": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] },
                    "url": text,
                    "headers": headers,
                    "secret_headers": secret_headers,
                    "json": {},
                    "body": { "type": "string", "maxLength": 65536 },
                    "expect_status": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 16,
                        "items": { "type": "integer", "minimum": 200, "maximum": 599 },
                    },
                    "timeout": { "type": "string", "maxLength": 32 },
                    "idempotency": { "enum": ["honoured", "ignored"] },
                    "verify": {
                        "type": "object",
                        "additionalProperties": false,
                        "required": ["url", "pointer", "equals"],
                        "properties": {
                            "url": text,
                            "headers": headers,
                            "secret_headers": secret_headers,
                            "pointer": { "type": "string", "pattern": "^(/.*)?$", "maxLength": 512 },
                            "equals": {},
                        },
                    },
                    "compensate": { "$ref": "#/$defs/request" },
                },
            },
        },
    })
}
