//! What is done with tenants, principals and keys, and how a token is checked.

use super::key::{Issued, Key, KeyEvent, KeyIssued, KeyRevoked, KeyStatus};
use super::principal::{Created, Disabled, Principal, PrincipalEvent, PrincipalStatus, RolesSet};
use super::tenant::{Founded, Standing, Tenant, TenantEvent};
use super::{Caller, Token};
use kernel::{
    Actor, Aggregate, Digest, KeyId, PrincipalId, PrincipalKind, Refusal, Role, StreamId, TenantId,
    Timestamp, Unit, limits,
};
use ledger::Store;
use subtle::ConstantTimeEq;

/// A principal to be created.
#[derive(Clone, Debug)]
pub struct NewPrincipal {
    /// Its kind; not `system`.
    pub kind: PrincipalKind,
    /// What people call it.
    pub name: String,
    /// Its roles; at least one.
    pub roles: Vec<Role>,
}

/// A key to be issued.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Its id, drawn by the caller, who makes the token from it.
    pub id: KeyId,
    /// Whose it is.
    pub principal: PrincipalId,
    /// What it is for.
    pub name: String,
    /// SHA-256 of the secret.
    pub secret_hash: Digest,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
}

fn named(field: &str, name: &str) -> Result<(), Refusal> {
    let printable = !name.trim().is_empty() && !name.chars().any(char::is_control);
    if printable && name.len() <= limits::NAME_BYTES_MAX {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "`{}` is not a name of 1 to {} printable bytes",
        name.escape_debug(),
        limits::NAME_BYTES_MAX
    ))
    .at(field))
}

/// Founds the tenant of this unit's log.
///
/// # Errors
/// When it exists or its name is not one.
pub fn found_tenant(
    unit: &mut Unit<'_>,
    name: &str,
    standing: Standing,
) -> Result<TenantId, Refusal> {
    named("name", name)?;
    let id = unit.ctx().tenant;
    if unit.find::<Tenant>(id)?.is_some() {
        return Err(Refusal::conflict(format!("tenant `{id}` exists already")));
    }
    let founded = Founded {
        id,
        name: name.to_owned(),
        standing,
    };
    unit.record::<Tenant>(id, TenantEvent::Founded(founded))?;
    Ok(id)
}

/// Creates a principal.
///
/// # Errors
/// When its name is not one, it has no role, or its kind is `system`.
pub fn create_principal(unit: &mut Unit<'_>, new: &NewPrincipal) -> Result<PrincipalId, Refusal> {
    named("name", &new.name)?;
    if new.kind == PrincipalKind::System {
        return Err(Refusal::invalid("`system` is writ itself").at("kind"));
    }
    let roles = sorted(&new.roles)?;
    if new.kind == PrincipalKind::Agent && roles != [Role::Agent] {
        return Err(Refusal::invalid("an agent has the role `agent` and no other").at("roles"));
    }
    let id: PrincipalId = unit.ctx().next_id();
    let created = Created {
        id,
        kind: new.kind,
        name: new.name.clone(),
        roles,
    };
    unit.record::<Principal>(id, PrincipalEvent::Created(created))?;
    Ok(id)
}

fn sorted(roles: &[Role]) -> Result<Vec<Role>, Refusal> {
    let mut roles = roles.to_vec();
    roles.sort_unstable();
    roles.dedup();
    if roles.is_empty() {
        return Err(Refusal::invalid("names no role").at("roles"));
    }
    Ok(roles)
}

/// Replaces a principal's roles.
///
/// # Errors
/// When there is no such principal, or it may not have these roles.
pub fn set_roles(unit: &mut Unit<'_>, id: PrincipalId, roles: &[Role]) -> Result<(), Refusal> {
    let principal = unit.get::<Principal>(id)?;
    let roles = sorted(roles)?;
    if principal.kind == PrincipalKind::Agent && roles != [Role::Agent] {
        return Err(Refusal::invalid("an agent has the role `agent` and no other").at("roles"));
    }
    if principal.roles != roles {
        gate::delegation::withdraw(unit, &id.to_string(), &roles)?;
        unit.record::<Principal>(id, PrincipalEvent::RolesSet(RolesSet { roles }))?;
    }
    Ok(())
}

/// Disables a principal; none of its keys opens anything from then on.
///
/// # Errors
/// When there is no such principal or it is the actor itself.
pub fn disable_principal(
    unit: &mut Unit<'_>,
    id: PrincipalId,
    reason: &str,
) -> Result<(), Refusal> {
    let principal = unit.get::<Principal>(id)?;
    if unit.ctx().actor.id == id.to_string() {
        return Err(Refusal::conflict("nobody disables themselves").hint("ask another admin"));
    }
    if principal.status == PrincipalStatus::Active {
        let reason = reason.to_owned();
        gate::delegation::withdraw(unit, &id.to_string(), &[])?;
        unit.record::<Principal>(id, PrincipalEvent::Disabled(Disabled { reason }))?;
    }
    Ok(())
}

/// Records a key. The token is made and shown by the caller.
///
/// # Errors
/// When there is no such active principal or the key would be expired.
pub fn issue_key(unit: &mut Unit<'_>, new: &NewKey) -> Result<Issued, Refusal> {
    named("name", &new.name)?;
    let principal = unit.get::<Principal>(new.principal)?;
    if principal.status != PrincipalStatus::Active {
        return Err(Refusal::conflict(format!(
            "principal `{}` is disabled",
            new.principal
        )));
    }
    if new.expires_at.is_some_and(|at| at <= unit.ctx().now) {
        return Err(Refusal::invalid("is in the past").at("expires_at"));
    }
    let issued = KeyIssued {
        id: new.id,
        principal: new.principal,
        name: new.name.clone(),
        secret_hash: new.secret_hash,
        expires_at: new.expires_at,
    };
    unit.record::<Key>(new.id, KeyEvent::Issued(issued))?;
    Ok(Issued {
        key: new.id,
        principal: new.principal,
        expires_at: new.expires_at,
    })
}

/// Revokes a key; revoking it again changes nothing.
///
/// # Errors
/// When there is no such key.
pub fn revoke_key(unit: &mut Unit<'_>, id: KeyId, reason: &str) -> Result<(), Refusal> {
    let key = unit.get::<Key>(id)?;
    if key.status == KeyStatus::Active {
        let reason = reason.to_owned();
        unit.record::<Key>(id, KeyEvent::Revoked(KeyRevoked { reason }))?;
    }
    Ok(())
}

/// Checks a token against storage. Every reason gives the same refusal, so
/// that nothing can be learnt from it.
///
/// # Errors
/// `forbidden` when the token opens nothing; `unavailable` when storage does
/// not answer.
pub async fn authenticate(
    store: &dyn Store,
    token: &str,
    now: Timestamp,
) -> Result<Caller, Refusal> {
    let refused = || {
        Refusal::forbidden("the token is not valid")
            .hint("check that it is complete, not expired and not revoked")
    };
    let token = Token::parse(token).ok_or_else(refused)?;
    let key = read::<Key>(store, token.tenant, token.key)
        .await?
        .ok_or_else(refused)?;
    let same = key.secret_hash.0.ct_eq(&token.secret_hash().0);
    let alive = key.status == KeyStatus::Active && key.expires_at.is_none_or(|at| now < at);
    if !bool::from(same) || !alive {
        return Err(refused());
    }
    let principal = read::<Principal>(store, token.tenant, key.principal)
        .await?
        .ok_or_else(refused)?;
    if principal.status != PrincipalStatus::Active {
        return Err(refused());
    }
    let tenant = read::<Tenant>(store, token.tenant, token.tenant)
        .await?
        .ok_or_else(refused)?;
    Ok(Caller {
        tenant: token.tenant,
        actor: Actor::new(principal.kind, principal.id),
        name: principal.name,
        roles: principal.roles,
        key: key.id,
        home: tenant.standing == Standing::Home,
    })
}

async fn read<A: Aggregate>(
    store: &dyn Store,
    tenant: TenantId,
    id: impl std::fmt::Display,
) -> Result<Option<A>, Refusal> {
    let Some(document) = store.document(tenant, &StreamId::of::<A>(id)).await? else {
        return Ok(None);
    };
    serde_json::from_str(&document.body)
        .map(Some)
        .map_err(|e| Refusal::integrity(format!("state of `{}`: {e}", document.stream)))
}
