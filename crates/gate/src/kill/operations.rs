//! Engaging, releasing and drilling the kill switch.

use super::{
    Confirmed, Drill, Drilled, ID, KillEvent, KillSwitch, LIFECYCLE, Measured, Scope, Scoped,
    Status, StoppedBy, Trigger,
};
use kernel::{Actor, PrincipalKind, Refusal, Role, Stamp, Unit};
use std::sync::Arc;

fn text(field: &str, given: &str) -> Result<String, Refusal> {
    crate::contract::bounded(field, given)?;
    Ok(given.trim().to_owned())
}

const HANDS: &[Role] = &[Role::Operator, Role::Approver, Role::Admin];

/// Stopping is safe, so any principal with one of the roles may; letting go
/// takes people.
fn hand(unit: &Unit<'_>, what: &str) -> Result<(), Refusal> {
    let ctx = unit.ctx();
    if ctx.roles.iter().any(|r| HANDS.contains(r)) {
        return Ok(());
    }
    let names: Vec<String> = HANDS.iter().map(ToString::to_string).collect();
    Err(
        Refusal::forbidden(format!("`{}` may not {what}", ctx.actor))
            .hint(format!("it takes one of the roles: {}", names.join(", "))),
    )
}

fn person(unit: &Unit<'_>, what: &str) -> Result<(), Refusal> {
    hand(unit, what)?;
    let actor = &unit.ctx().actor;
    if actor.kind == PrincipalKind::Human {
        return Ok(());
    }
    Err(Refusal::forbidden(format!("`{actor}` may not {what}")).hint("it takes a person"))
}

/// The tenant's kill switch as it stands.
///
/// # Errors
/// When storage does not answer: nothing may start then.
pub fn current(unit: &mut Unit<'_>) -> Result<KillSwitch, Refusal> {
    Ok(unit
        .find::<KillSwitch>(ID)?
        .map(Arc::unwrap_or_clone)
        .unwrap_or_default())
}

/// What stops a step of this module in a directive of this issuer, now: the
/// tenant's own switch, or what stops every tenant.
///
/// # Errors
/// When storage does not answer: nothing may start then.
pub fn stops(
    unit: &mut Unit<'_>,
    everywhere: Option<&StoppedBy>,
    module: &str,
    issued_by: &Actor,
) -> Result<Option<StoppedBy>, Refusal> {
    let found = unit.find::<KillSwitch>(ID)?;
    let own = found.and_then(|switch| switch.stops(module, issued_by));
    Ok(own.or_else(|| everywhere.cloned()))
}

/// Stops a scope. Engaging what is engaged changes nothing and is fine;
/// engaging what waits for its release takes that request back.
///
/// # Errors
/// When the actor may not, or gives no reason.
pub fn engage(unit: &mut Unit<'_>, scope: Scope, reason: &str) -> Result<KillSwitch, Refusal> {
    hand(unit, "engage the kill switch")?;
    let reason = text("reason", reason)?;
    let switch = current(unit)?;
    if switch.status_of(&scope) == Status::Engaged {
        return Ok(switch);
    }
    let event = KillEvent::Engaged(Scoped { scope, reason });
    let (_, state) = unit.record::<KillSwitch>(ID, event)?;
    Ok(Arc::unwrap_or_clone(state))
}

/// Asks for the release of a scope; another person must confirm it.
///
/// # Errors
/// When the actor is not a person who may, gives no reason, or the scope is
/// not engaged or already waits.
pub fn request_release(
    unit: &mut Unit<'_>,
    scope: &Scope,
    reason: &str,
) -> Result<KillSwitch, Refusal> {
    person(unit, "ask for the release of the kill switch")?;
    let reason = text("reason", reason)?;
    let status = current(unit)?.status_of(scope);
    LIFECYCLE
        .next(status, Trigger::RequestRelease)
        .map_err(|e| e.at(scope))?;
    let event = KillEvent::ReleaseRequested(Scoped {
        scope: scope.clone(),
        reason,
    });
    let (_, state) = unit.record::<KillSwitch>(ID, event)?;
    Ok(Arc::unwrap_or_clone(state))
}

/// Confirms the release of a scope that another person asked for.
///
/// # Errors
/// When the actor is not a person who may, asked for it themselves, or no
/// release was asked for.
pub fn confirm_release(unit: &mut Unit<'_>, scope: &Scope) -> Result<KillSwitch, Refusal> {
    person(unit, "release the kill switch")?;
    let switch = current(unit)?;
    LIFECYCLE
        .next(switch.status_of(scope), Trigger::ConfirmRelease)
        .map_err(|e| e.at(scope))?;
    let requested_by = switch
        .engaged
        .get(scope)
        .and_then(|e| e.release.as_ref())
        .map(|r| r.by.clone())
        .ok_or_else(|| Refusal::integrity("a request for release names nobody"))?;
    if requested_by == unit.ctx().actor {
        return Err(Refusal::forbidden(format!(
            "`{requested_by}` asked for this release and cannot confirm it"
        ))
        .hint("a second person must confirm"));
    }
    let event = KillEvent::Released(Confirmed {
        scope: scope.clone(),
        requested_by,
    });
    let (_, state) = unit.record::<KillSwitch>(ID, event)?;
    Ok(Arc::unwrap_or_clone(state))
}

/// Begins a drill: from here on its probe is stopped, and nothing else.
///
/// # Errors
/// When the actor is not a person who may, or says nothing of it.
pub fn begin_drill(unit: &mut Unit<'_>, scope: Scope, note: &str) -> Result<(), Refusal> {
    person(unit, "drill the kill switch")?;
    let reason = text("note", note)?;
    let event = KillEvent::DrillBegun(Scoped { scope, reason });
    unit.record::<KillSwitch>(ID, event).map(drop)
}

/// Tries the switch without stopping anything: folds an engagement of the
/// scope into a copy of the state and checks that a step within it would be
/// stopped. The result is recorded, with what the probe of the drill saw.
///
/// # Errors
/// When the actor is not a person who may, or says nothing of it.
pub fn drill(
    unit: &mut Unit<'_>,
    scope: Scope,
    note: &str,
    measured: Option<Measured>,
) -> Result<Drill, Refusal> {
    person(unit, "drill the kill switch")?;
    let note = text("note", note)?;
    let mut copy = current(unit)?;
    copy.engaged.clear();
    let stamp = Stamp {
        at: unit.ctx().now,
        actor: unit.ctx().actor.clone(),
        entry: kernel::EntryId(uuid::Uuid::nil()),
        version: 0,
    };
    let scoped = Scoped {
        scope: scope.clone(),
        reason: note.clone(),
    };
    copy.engage(&scoped, &stamp)?;
    let module = match &scope {
        Scope::Tool(name) => name.clone(),
        _ => "any".to_owned(),
    };
    let issuer = match &scope {
        Scope::Agent(id) => Actor::new(PrincipalKind::Agent, id),
        _ => Actor::system("drill"),
    };
    let passed = copy
        .stops(&module, &issuer)
        .is_some_and(|s| s.scope == scope)
        && measured.is_none_or(|measured| measured.held);
    let event = KillEvent::Drilled(Drilled {
        scope,
        note,
        passed,
        measured,
    });
    let (_, state) = unit.record::<KillSwitch>(ID, event)?;
    state
        .drills
        .last()
        .cloned()
        .ok_or_else(|| Refusal::integrity("a drill left no record"))
}
