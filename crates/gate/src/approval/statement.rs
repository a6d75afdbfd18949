//! What a person signs when they decide, and whether a signature on it counts
//! (GATE-15). The bytes stand in `docs/approvals.md`. A statement says
//! everything that the decision is bound to, so that it verifies without a
//! server, and no other decision can be made of it.

use super::Requested;
use crate::signing_key::{Assertion, PublicKey, SigningKey, tagged};
use kernel::{
    Actor, ApprovalId, Digest, DirectiveId, Refusal, SigningKeyId, SnapshotId, Span, TenantId,
    Timestamp, VerdictId, json,
};
use serde::{Deserialize, Serialize};

/// The domain of a statement.
const DOMAIN: &str = "writ.decision.v1";
/// The domain of what was shown.
const SHOWN_DOMAIN: &str = "writ.shown.v1";
/// A statement that was made longer ago than this is not taken any more: who
/// signed and did not send decides again.
pub const STATEMENT_AGE_MAX: Span = Span::from_secs(10 * 60);
/// The clock of a person's machine may be ahead of writ's by this much.
pub const CLOCK_AHEAD_MAX: Span = Span::from_secs(2 * 60);

kernel::names! {
    /// What a person decided.
    pub enum Choice {
        /// Yes.
        Approve = "approve",
        /// No.
        Reject = "reject",
    }
}

/// What a person says when they decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Whose log it stands in.
    pub tenant: TenantId,
    /// The request that is answered.
    pub approval: ApprovalId,
    /// The directive.
    pub directive: DirectiveId,
    /// The version of its contract.
    pub digest: Digest,
    /// The frozen world state.
    pub snapshot: SnapshotId,
    /// The verdicts that were shown.
    pub verdicts: Vec<VerdictId>,
    /// The hash of the rules that gave them.
    pub rules: Digest,
    /// The digest of all that was shown; see [`shown`].
    pub shown: Digest,
    /// From this instant on, silence was a refusal.
    pub expires_at: Timestamp,
    /// Yes or no.
    pub decision: Choice,
    /// Why, where they said.
    pub reason: Option<String>,
    /// Who decides.
    pub principal: Actor,
    /// In whose place, where they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<Actor>,
    /// The key that signs it.
    pub key: SigningKeyId,
    /// When they decided, by the clock of their machine.
    pub made_at: Timestamp,
}

/// A statement with its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// What was said.
    pub statement: Statement,
    /// The signature over [`Statement::message`], in base64; of a passkey over
    /// what its authenticator made of it.
    pub signature: String,
    /// What the authenticator signed, when the key is a passkey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passkey: Option<Assertion>,
}

/// The digest of what a person is shown: SHA-256 over `writ.shown.v1`, a line
/// feed and the canonical JSON of contract, verdict, rules and the reasons why
/// a person is asked. Who signs computes it from what they were given.
///
/// # Errors
/// When a part has no canonical form.
pub fn shown<C: Serialize, V: Serialize>(
    contract: &C,
    verdict: &V,
    rules: Digest,
    because: &[String],
) -> Result<Digest, Refusal> {
    shown_as(contract, &json::canonical(verdict)?, rules, because)
}

/// As [`shown`], of a verdict that is canonical JSON already.
///
/// # Errors
/// As [`shown`].
pub(crate) fn shown_as<C: Serialize>(
    contract: &C,
    verdict: &str,
    rules: Digest,
    because: &[String],
) -> Result<Digest, Refusal> {
    // The members stand in the order of their names.
    let all = format!(
        "{SHOWN_DOMAIN}\n{{\"because\":{},\"contract\":{},\"rules\":\"{rules}\",\"verdict\":{verdict}}}",
        json::canonical(&because)?,
        json::canonical(contract)?,
    );
    Ok(Digest::of(all.as_bytes()))
}

/// Who decides what, and how: what the request itself does not say.
#[derive(Clone, Debug)]
pub struct Word {
    /// Whose log it stands in.
    pub tenant: TenantId,
    /// Yes or no.
    pub decision: Choice,
    /// Why, where they said.
    pub reason: Option<String>,
    /// Who decides.
    pub principal: Actor,
    /// In whose place, where they do.
    pub on_behalf_of: Option<Actor>,
    /// The key that signs it.
    pub key: SigningKeyId,
    /// When.
    pub made_at: Timestamp,
}

impl Statement {
    /// The statement about this request.
    #[must_use]
    pub fn of(request: &Requested, word: Word) -> Self {
        let bound = &request.binding;
        Self {
            tenant: word.tenant,
            approval: request.approval,
            directive: bound.directive,
            digest: bound.digest,
            snapshot: bound.snapshot,
            verdicts: bound.verdicts.clone(),
            rules: bound.rules,
            shown: bound.shown,
            expires_at: request.expires_at,
            decision: word.decision,
            reason: word.reason,
            principal: word.principal,
            on_behalf_of: word.on_behalf_of,
            key: word.key,
            made_at: word.made_at,
        }
    }

    /// The bytes that are signed: `writ.decision.v1`, a line feed and the
    /// canonical JSON.
    ///
    /// # Errors
    /// Never for a value of this type.
    pub fn message(&self) -> Result<Vec<u8>, Refusal> {
        tagged(DOMAIN, self)
    }

    /// What it says that the request does not.
    #[must_use]
    pub fn word(&self) -> Word {
        Word {
            tenant: self.tenant,
            decision: self.decision,
            reason: self.reason.clone(),
            principal: self.principal.clone(),
            on_behalf_of: self.on_behalf_of.clone(),
            key: self.key,
            made_at: self.made_at,
        }
    }

    /// The members in which another statement differs.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let members = |s: &Self| match serde_json::to_value(s) {
            Ok(serde_json::Value::Object(members)) => members,
            _ => serde_json::Map::new(),
        };
        let (mine, theirs) = (members(self), members(other));
        let names = mine
            .keys()
            .chain(theirs.keys().filter(|k| !mine.contains_key(*k)));
        let differ = names.filter(|name| mine.get(*name) != theirs.get(*name));
        differ.cloned().collect()
    }
}

impl Signed {
    /// What is wrong with the signature under this key as it stands, for this
    /// decision on this request; `None` when it counts.
    #[must_use]
    pub fn fault(&self, request: &Requested, word: &Word, key: &SigningKey) -> Option<String> {
        let said = &self.statement;
        if key.owner != word.principal {
            return Some(format!(
                "the key `{}` is `{}`'s, not `{}`'s",
                said.key, key.owner, word.principal
            ));
        }
        if let Some(fault) = key.fault() {
            return Some(fault);
        }
        let expected = Statement::of(request, word.clone());
        let differ = said.differences(&expected);
        if !differ.is_empty() {
            return Some(format!(
                "what was signed is not this decision on this request; it differs in: {}",
                differ.join(", ")
            ));
        }
        let verified = self.verified(&key.registered.public);
        verified.err().map(|refusal| refusal.message)
    }

    /// Verifies the signature with this public key alone.
    ///
    /// # Errors
    /// When the statement names another key, or the signature is not the key's
    /// over the statement.
    pub fn verified(&self, key: &PublicKey) -> Result<(), Refusal> {
        let said = &self.statement;
        let id = key.id()?;
        if said.key != id {
            return Err(Refusal::integrity(format!(
                "it names the key `{}`, and this is `{id}`",
                said.key
            )));
        }
        key.verify(&said.message()?, &self.signature, self.passkey.as_ref())
            .map_err(|fault| {
                Refusal::integrity(format!(
                    "the signature is not by the key `{id}`, or not over this statement: {fault}"
                ))
            })
    }

    /// Why a statement comes at the wrong time; `None` when it does not.
    #[must_use]
    pub fn untimely(&self, request: &Requested, now: Timestamp) -> Option<String> {
        let made_at = self.statement.made_at;
        if made_at > now.plus(CLOCK_AHEAD_MAX) {
            return Some(format!("it was signed at {made_at}, which is yet to come"));
        }
        if made_at.plus(STATEMENT_AGE_MAX) <= now {
            return Some(format!(
                "it was signed at {made_at}, more than {STATEMENT_AGE_MAX} ago"
            ));
        }
        (made_at >= request.expires_at).then(|| {
            format!(
                "it was signed at {made_at}, when the request had ended at {}",
                request.expires_at
            )
        })
    }
}
