//! `webhook.send`: one signed message by Standard Webhooks 1.0.0. The
//! idempotency key is the `webhook-id`, by which receivers drop repeats.

use super::exchange::{Exchange, output_schema};
use super::outside::{HttpSettings, Outside};
use crate::module::{Manifest, Module, ModuleCtx, Outcome, OutcomeStatus};
use crate::retry::RetryPolicy;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gate::{ActionClass, CostClass, Permit};
use hmac::{Hmac, KeyInit as _, Mac as _};
use kernel::{Refusal, Span};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::Sha256;
use std::collections::BTreeMap;

/// What a secret's text form begins with.
const SECRET_PREFIX: &str = "whsec_";
/// How long a delivery may take; the standard asks for 15 to 30 seconds.
const TIMEOUT: Span = Span::from_secs(20);

/// What is asked of the module.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    url: String,
    payload: Map<String, Value>,
    secret: String,
}

/// The value of `webhook-signature`: `v1,` and the base64 of the HMAC-SHA256
/// over `id.timestamp.body`, the timestamp in whole seconds.
///
/// # Errors
/// When the secret is empty, or begins with `whsec_` and is no base64.
pub fn signature(secret: &[u8], id: &str, at_secs: i64, body: &[u8]) -> Result<String, Refusal> {
    let key = match secret.strip_prefix(SECRET_PREFIX.as_bytes()) {
        None => secret.to_vec(),
        Some(encoded) => STANDARD
            .decode(encoded)
            .map_err(|_| Refusal::unavailable("the webhook secret is no base64"))?,
    };
    if key.is_empty() {
        return Err(Refusal::unavailable("the webhook secret is empty"));
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(&key)
        .map_err(|_| Refusal::unavailable("the webhook secret is no key"))?;
    mac.update(format!("{id}.{at_secs}.").as_bytes());
    mac.update(body);
    Ok(format!(
        "v1,{}",
        STANDARD.encode(mac.finalize().into_bytes())
    ))
}

/// The module `webhook.send`.
pub struct WebhookSend {
    manifest: Manifest,
    outside: Outside,
}

impl WebhookSend {
    /// The module, within these settings.
    ///
    /// # Errors
    /// When the settings are not well-formed.
    pub fn new(settings: &HttpSettings) -> Result<Self, Refusal> {
        let manifest = Manifest {
            name: "webhook.send".to_owned(),
            version: "1.0.0".to_owned(),
            input_schema: json!({
                "type": "object",
                "additionalProperties": false,
                "required": ["url", "payload", "secret"],
                "properties": {
                    "url": { "type": "string", "maxLength": 2048 },
                    "payload": { "type": "object" },
                    "secret": { "type": "string", "pattern": "^(env|file):.+$", "maxLength": 512 },
                },
            }),
            output_schema: output_schema(),
            cost_class: CostClass::Cheap,
            // Who reads the message at the other end is not known here.
            action_class: ActionClass::ExternalHumanTouch,
            requires_approval: false,
            writes_outside: true,
            reversible: false,
            idempotent: true,
            timeout: TIMEOUT,
            retry: RetryPolicy {
                attempts_max: 6,
                base: Span::from_secs(5),
                factor: 4,
                cap: Span::from_secs(600),
            },
        };
        Ok(Self {
            manifest,
            outside: Outside::new(settings)?,
        })
    }

    fn exchange(&self, input: &Map<String, Value>, ctx: &ModuleCtx) -> Result<Exchange, Refusal> {
        let input = read(input)?;
        let body = kernel::json::canonical(&input.payload)?.into_bytes();
        self.outside.may_carry(&input.secret, &input.url)?;
        let secret = ctx.secrets.resolve(&input.secret)?;
        let at_secs = ctx.now.as_micros().div_euclid(1_000_000);
        let signature = signature(&secret, &ctx.idempotency_key, at_secs, &body)?;
        let headers = BTreeMap::from([
            ("content-type".to_owned(), "application/json".to_owned()),
            ("webhook-id".to_owned(), ctx.idempotency_key.clone()),
            ("webhook-timestamp".to_owned(), at_secs.to_string()),
            ("webhook-signature".to_owned(), signature),
        ]);
        Ok(Exchange {
            method: "POST".to_owned(),
            to: self.outside.destination(&input.url)?,
            headers,
            body,
            timeout: TIMEOUT,
            secrets: Vec::new(),
        })
    }

    /// Sends the message of this input.
    pub(crate) async fn deliver(&self, input: &Map<String, Value>, ctx: &ModuleCtx) -> Outcome {
        match self.exchange(input, ctx) {
            Err(refusal) => Outcome::error(refusal.to_string()),
            Ok(exchange) => exchange.send(ctx).await.outcome(meaning),
        }
    }
}

/// The standard's reading: 2xx is delivered, 410 ends the subscription, and
/// the rest is worth another attempt under the same id.
fn meaning(status: u16) -> OutcomeStatus {
    match status {
        200..=299 => OutcomeStatus::Success,
        410 => OutcomeStatus::Failure,
        502 | 504 => OutcomeStatus::Unknown,
        _ => OutcomeStatus::Error,
    }
}

fn read(input: &Map<String, Value>) -> Result<Input, Refusal> {
    Input::deserialize(&Value::Object(input.clone()))
        .map_err(|e| Refusal::invalid(format!("no message: {e}")))
}

#[async_trait]
impl Module for WebhookSend {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn execute(&self, _: Permit, input: &Map<String, Value>, ctx: &ModuleCtx) -> Outcome {
        self.deliver(input, ctx).await
    }

    fn check(&self, input: &Map<String, Value>) -> Result<(), Refusal> {
        let input = read(input)?;
        self.outside
            .destination(&input.url)
            .map_err(|e| e.at("url"))?;
        self.outside
            .may_carry(&input.secret, &input.url)
            .map_err(|e| e.at("secret"))
    }
}
