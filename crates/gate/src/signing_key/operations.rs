//! Registering, confirming and revoking signing keys.

use super::{
    Assertion, Confirmed, Counted, LIFECYCLE, Possession, PublicKey, Registered, Revoked,
    SigningKey, SigningKeyEvent, Status, Trigger,
};
use crate::contract::bounded;
use kernel::{PrincipalKind, Refusal, Role, SigningKeyId, Unit};

/// A key that its person registers.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The public half.
    pub public: PublicKey,
    /// What its person calls it.
    pub name: String,
    /// Its signature over the [`Possession`], in base64.
    pub proof: String,
    /// What its authenticator signed, when it is a passkey.
    pub assertion: Option<Assertion>,
}

fn person(unit: &Unit<'_>, what: &str) -> Result<(), Refusal> {
    let actor = &unit.ctx().actor;
    if actor.kind == PrincipalKind::Human {
        return Ok(());
    }
    Err(Refusal::forbidden(format!("`{actor}` may not {what}")).hint("it takes a person"))
}

/// Registers a key of the actor. It counts once a second person confirmed it.
///
/// # Errors
/// When the actor is no person, the key is none or was registered before, or
/// the proof is not by it.
pub fn register(unit: &mut Unit<'_>, asked: &Registration) -> Result<SigningKeyId, Refusal> {
    person(unit, "register a signing key")?;
    bounded("name", &asked.name)?;
    let key = asked.public.id()?;
    if let Some(known) = unit.find::<SigningKey>(key)? {
        return Err(Refusal::conflict(format!(
            "the key `{key}` was registered by `{}` at {} and is {}",
            known.owner, known.registered_at, known.status
        ))
        .hint("make a new key: one key is registered once, by one person"));
    }
    let possession = Possession {
        key,
        principal: unit.ctx().actor.clone(),
        tenant: unit.ctx().tenant,
    };
    let message = possession.message()?;
    asked
        .public
        .verify(&message, &asked.proof, asked.assertion.as_ref())
        .map_err(|fault| {
            Refusal::invalid(format!(
                "is not this key's over key, principal and tenant: {fault}"
            ))
            .hint("sign as yourself, with the private half of the key that you register")
            .at("proof")
        })?;
    let registered = Registered {
        key,
        public: asked.public.clone(),
        name: asked.name.trim().to_owned(),
        proof: asked.proof.clone(),
        assertion: asked.assertion.clone(),
    };
    unit.record::<SigningKey>(key, SigningKeyEvent::Registered(registered))?;
    count(unit, key, asked.assertion.as_ref())?;
    Ok(key)
}

/// Records how often an authenticator says that it has signed. One that does
/// not say more than before was copied, and one of the copies signed.
pub(crate) fn count(
    unit: &mut Unit<'_>,
    key: SigningKeyId,
    assertion: Option<&Assertion>,
) -> Result<(), Refusal> {
    let Some(assertion) = assertion else {
        return Ok(());
    };
    let counter = assertion.counter()?;
    let before = unit.get::<SigningKey>(key)?.counter;
    if counter == 0 && before == 0 {
        return Ok(());
    }
    if counter <= before {
        return Err(Refusal::forbidden(format!(
            "the passkey's counter is {counter} and was {before} before: it was copied, or this \
             signature is an old one"
        ))
        .hint("revoke the key and register another one"));
    }
    unit.record::<SigningKey>(key, SigningKeyEvent::Counted(Counted { counter }))?;
    Ok(())
}

/// Confirms that a key is its person's; from here on it counts.
///
/// # Errors
/// When the actor is not another person with the role `admin`, or the key does
/// not wait for it.
pub fn confirm(unit: &mut Unit<'_>, key: SigningKeyId) -> Result<(), Refusal> {
    person(unit, "confirm a signing key")?;
    let ctx = unit.ctx();
    let (actor, admin) = (ctx.actor.clone(), ctx.roles.contains(&Role::Admin));
    if !admin {
        return Err(
            Refusal::forbidden(format!("`{actor}` may not confirm signing keys"))
                .hint("it takes a person with the role admin"),
        );
    }
    let found = unit.get::<SigningKey>(key)?;
    LIFECYCLE.next(found.status, Trigger::Confirm)?;
    if found.owner == actor {
        return Err(Refusal::forbidden(format!(
            "`{actor}` registered this key and cannot confirm it"
        ))
        .hint("a second person must, having heard the id of the key from you"));
    }
    let owner = found.owner.clone();
    unit.record::<SigningKey>(key, SigningKeyEvent::Confirmed(Confirmed { owner }))?;
    Ok(())
}

/// Takes a key back: nothing that it signed counts from here on, also not for
/// an approval that was given and has not done its work.
///
/// # Errors
/// When the actor is neither its person nor an admin, gives no reason, or it
/// is revoked already.
pub fn revoke(unit: &mut Unit<'_>, key: SigningKeyId, reason: &str) -> Result<(), Refusal> {
    bounded("reason", reason)?;
    let found = unit.get::<SigningKey>(key)?;
    let ctx = unit.ctx();
    if found.owner != ctx.actor && !ctx.roles.contains(&Role::Admin) {
        return Err(Refusal::forbidden(format!(
            "`{}` may not revoke the key of `{}`",
            ctx.actor, found.owner
        ))
        .hint("its person may, and who has the role admin"));
    }
    LIFECYCLE.next(found.status, Trigger::Revoke)?;
    let reason = reason.trim().to_owned();
    unit.record::<SigningKey>(key, SigningKeyEvent::Revoked(Revoked { reason }))?;
    Ok(())
}

impl SigningKey {
    /// Why what this key signs does not count; `None` when it does.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let key = self.registered.key;
        match self.status {
            Status::Active => None,
            Status::Registered => Some(format!("no second person confirmed the key `{key}` yet")),
            Status::Revoked => Some(format!("the key `{key}` is revoked")),
        }
    }
}
