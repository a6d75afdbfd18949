//! Giving and taking back delegations.

use super::{AT_ONCE_MAX, DelegationEvent, Delegations, Granted, LASTS_MAX, Revoked, TYPES_MAX};
use crate::GateEnv;
use crate::approval::Kinds;
use crate::contract::bounded;
use kernel::{Actor, DelegationId, PrincipalKind, Refusal, Role, Timestamp, Unit};

/// What a person gives.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Who decides in their place.
    pub to: Actor,
    /// What it is for; everything when nothing is named.
    pub kinds: Kinds,
    /// From this instant on it gives nothing.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
}

/// Lets another person decide in the actor's place.
///
/// # Errors
/// When the actor is no person with a role that decides, the other is none or
/// the same, it would end too late or has ended, or there are too many.
pub fn grant(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    asked: &Grant,
) -> Result<DelegationId, Refusal> {
    let ctx = unit.ctx();
    let (actor, now) = (ctx.actor.clone(), ctx.now);
    let deciding = env.rules.approvals.deciding_roles();
    let mut roles: Vec<Role> = ctx.roles.clone();
    roles.retain(|role| deciding.contains(role));
    if actor.kind != PrincipalKind::Human || roles.is_empty() {
        let names: Vec<_> = deciding.iter().map(ToString::to_string).collect();
        return Err(Refusal::forbidden(format!(
            "`{actor}` may decide on nothing by its own roles"
        ))
        .hint(format!(
            "who delegates is a person with one of: {}",
            names.join(", ")
        )));
    }
    if asked.to.kind != PrincipalKind::Human || asked.to == actor {
        return Err(Refusal::invalid("must be another person").at("to"));
    }
    bounded("reason", &asked.reason)?;
    fitting(&asked.kinds)?;
    if asked.until <= now {
        return Err(Refusal::invalid("is not in the future").at("until"));
    }
    if asked.until > now.plus(LASTS_MAX) {
        return Err(Refusal::limit(format!("is more than {LASTS_MAX} ahead"))
            .hint("give it again when it ends")
            .at("until"));
    }
    let given = unit.find::<Delegations>(&actor.id)?;
    let in_force = given
        .iter()
        .flat_map(|g| &g.given)
        .filter(|known| known.is_in_force(now));
    if in_force.count() >= AT_ONCE_MAX {
        return Err(Refusal::limit(format!(
            "a person may have {AT_ONCE_MAX} delegations in force"
        ))
        .hint("revoke one of them"));
    }
    let delegation: DelegationId = unit.ctx().next_id();
    let granted = Granted {
        delegation,
        to: asked.to.clone(),
        roles,
        kinds: asked.kinds.clone(),
        until: asked.until,
        reason: asked.reason.trim().to_owned(),
    };
    unit.record::<Delegations>(&actor.id, DelegationEvent::Granted(granted))?;
    Ok(delegation)
}

fn fitting(kinds: &Kinds) -> Result<(), Refusal> {
    let types = &kinds.directive_types;
    if types.len() > TYPES_MAX {
        return Err(Refusal::limit(format!(
            "names {} types, allowed are {TYPES_MAX}",
            types.len()
        ))
        .at("directive_types"));
    }
    types
        .iter()
        .try_for_each(|name| bounded("directive_types", name))
}

/// Takes a delegation of this person back.
///
/// # Errors
/// When the actor is neither that person nor an admin, gives no reason, or
/// there is none that stands.
pub fn revoke(
    unit: &mut Unit<'_>,
    of: &str,
    delegation: DelegationId,
    reason: &str,
) -> Result<(), Refusal> {
    bounded("reason", reason)?;
    let found = unit.get::<Delegations>(of)?;
    let ctx = unit.ctx();
    if ctx.actor != found.by && !ctx.roles.contains(&Role::Admin) {
        return Err(Refusal::forbidden(format!(
            "`{}` may not revoke what `{}` delegated",
            ctx.actor, found.by
        ))
        .hint("its giver may, and who has the role admin"));
    }
    let known = found
        .given
        .iter()
        .find(|d| d.granted.delegation == delegation);
    let known = known.ok_or_else(|| {
        Refusal::not_found(format!("`{}` gave no delegation `{delegation}`", found.by))
    })?;
    if known.revoked.is_some() {
        return Err(Refusal::illegal_move("the delegation is revoked already"));
    }
    let revoked = Revoked {
        delegation,
        reason: reason.trim().to_owned(),
    };
    unit.record::<Delegations>(of, DelegationEvent::Revoked(revoked))?;
    Ok(())
}

/// Takes back what this person gave by roles that they have no more. For the
/// unit that changes their roles.
///
/// # Errors
/// Never by itself.
pub fn withdraw(unit: &mut Unit<'_>, of: &str, roles: &[Role]) -> Result<(), Refusal> {
    let Some(found) = unit.find::<Delegations>(of)? else {
        return Ok(());
    };
    let now = unit.ctx().now;
    for known in found.given.iter().filter(|d| d.is_in_force(now)) {
        if known.granted.roles.iter().all(|role| roles.contains(role)) {
            continue;
        }
        let revoked = Revoked {
            delegation: known.granted.delegation,
            reason: "its giver has these roles no more".to_owned(),
        };
        unit.record::<Delegations>(of, DelegationEvent::Revoked(revoked))?;
    }
    Ok(())
}
