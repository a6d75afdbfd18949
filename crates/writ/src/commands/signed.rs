//! Signing a decision. What is signed is computed here from what was received
//! and shown; a digest of the server's is compared with it and never taken for
//! it.

use super::{escaped, needed};
use crate::client::Client;
use crate::failure::Failure;
use crate::person_key::PersonKey;
use crate::render;
use connect::SystemClock;
use gate::approval::{Choice, Signed, Statement, Word, shown};
use gate::verdict::Given;
use gate::{Approval, Contract};
use kernel::Actor;
use kernel::port::Clock as _;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A request with all that it is bound to, whose parts fit together.
pub(crate) struct Bound {
    approval: Approval,
    contract: Contract,
    given: Given,
}

fn typed<T: DeserializeOwned>(value: &Value, path: &str) -> Result<T, Failure> {
    let found = render::at(value, path).cloned().unwrap_or(Value::Null);
    serde_json::from_value(found).map_err(|e| {
        Failure::failed(format!("the server's `{path}` is not understood: {e}"))
            .hint("what is not understood is not signed; use the writ of the server's version")
    })
}

impl Bound {
    /// Reads what this approval is bound to.
    pub(crate) async fn read(client: &Client, waiting: &Value) -> Result<Self, Failure> {
        let directive = needed(waiting, "state.request.binding.directive")?;
        let path = format!("/v1/directives/{}", escaped(directive));
        let directive = client.get(&path).await?;
        let approval: Approval = typed(waiting, "state")?;
        let [verdict] = approval.request.binding.verdicts.as_slice() else {
            return Err(Failure::failed("the request is not bound to one verdict"));
        };
        let path = format!("/v1/verdicts/{}", escaped(&verdict.to_string()));
        let verdict = client.get(&path).await?;
        let bound = Self {
            approval,
            contract: typed(&directive, "state.contract")?,
            given: typed(&verdict, "state.given")?,
        };
        match bound.faults()?.as_slice() {
            [] => Ok(bound),
            faults => Err(Failure::integrity(format!(
                "what the server shows is not what it asks to be signed: {}",
                faults.join("; ")
            ))
            .hint("sign nothing; keep the answers and ask whoever runs this server")),
        }
    }

    /// Where the request does not fit the parts that were received.
    fn faults(&self) -> Result<Vec<String>, Failure> {
        let request = &self.approval.request;
        let bound = &request.binding;
        let mut faults = Vec::new();
        let mut same = |what: &str, received: String, asked: String| {
            if received != asked {
                faults.push(format!("{what} is `{received}`, asked for is `{asked}`"));
            }
        };
        let digest = self.contract.digest()?;
        let question = &self.given.question;
        same("the contract", digest.to_string(), bound.digest.to_string());
        same(
            "the snapshot of the contract",
            self.contract.snapshot.to_string(),
            bound.snapshot.to_string(),
        );
        same(
            "the verdict",
            question.id()?.to_string(),
            bound.verdicts.iter().map(ToString::to_string).collect(),
        );
        same(
            "the contract of the verdict",
            question.digest.to_string(),
            bound.digest.to_string(),
        );
        let all = shown(&self.contract, &self.given, bound.rules, &request.because)?;
        same("what is shown", all.to_string(), bound.shown.to_string());
        Ok(faults)
    }

    /// All that is signed, for a person to read.
    pub(crate) fn text(&self) -> Result<String, Failure> {
        let contract = serde_json::to_value(&self.contract)
            .map_err(|e| Failure::failed(format!("the contract cannot be shown: {e}")))?;
        let mut text = format!("{contract:#}\n");
        for result in &self.given.results {
            let reason = result.reason.escape_debug();
            text.push_str(&format!(
                "{:<5}  {:<14} {reason}\n",
                result.verdict, result.check
            ));
        }
        for why in &self.approval.request.because {
            text.push_str(&format!("asked   because {}\n", why.escape_debug()));
        }
        Ok(text)
    }

    /// The digest of the contract that was received.
    pub(crate) fn digest(&self) -> Result<String, Failure> {
        Ok(self.contract.digest()?.to_string())
    }

    /// The decision on it, signed as the caller.
    pub(crate) async fn sign(
        &self,
        client: &Client,
        key: &PersonKey,
        (decision, reason): (Choice, Option<String>),
        on_behalf_of: Option<Actor>,
    ) -> Result<Value, Failure> {
        let me = client.get("/v1/me").await?;
        let word = Word {
            tenant: needed(&me, "tenant")?.parse()?,
            decision,
            reason,
            principal: needed(&me, "actor")?.parse()?,
            on_behalf_of,
            key: key.id()?,
            made_at: SystemClock.now(),
        };
        let statement = Statement::of(&self.approval.request, word);
        let signature = key.sign(&statement.message()?);
        let signed = Signed {
            statement,
            signature,
            passkey: None,
        };
        serde_json::to_value(&signed)
            .map_err(|e| Failure::failed(format!("the statement cannot be sent: {e}")))
    }
}
