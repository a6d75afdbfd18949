//! The kill switch (GATE-18): what is stopped, by whom and why. One aggregate
//! per tenant, read in the transaction that starts a step, so that no step
//! starts once an engagement is acknowledged. Releasing takes a reason and a
//! second person.

use kernel::{
    Actor, Aggregate, Impossible, Lifecycle, PrincipalKind, Refusal, Role, Stamp, Timestamp, Unit,
    limits,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// The id of a tenant's only kill switch.
pub const ID: &str = "main";
/// How many of the latest drills the state keeps; the ledger keeps all.
pub const DRILLS_KEPT: usize = 32;

/// What an engagement stops. In text `global`, `tenant`, `tool:NAME` or
/// `agent:ID`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everything, everywhere; the shell engages it in every tenant.
    Global,
    /// Everything of the tenant.
    Tenant,
    /// One module.
    Tool(String),
    /// Everything that one principal issued, by its id within its kind.
    Agent(String),
}

impl Scope {
    /// Whether it stops a step of this module in a directive of this issuer.
    #[must_use]
    pub fn covers(&self, module: &str, issued_by: &Actor) -> bool {
        match self {
            Self::Global | Self::Tenant => true,
            Self::Tool(name) => name == module,
            Self::Agent(id) => *id == issued_by.id,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("global"),
            Self::Tenant => f.write_str("tenant"),
            Self::Tool(name) => write!(f, "tool:{name}"),
            Self::Agent(id) => write!(f, "agent:{id}"),
        }
    }
}

impl std::str::FromStr for Scope {
    type Err = Refusal;
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let named = |name: &str| {
            let fine = !name.is_empty()
                && name.len() <= limits::NAME_BYTES_MAX
                && !name.chars().any(char::is_control);
            fine.then(|| name.to_owned())
        };
        let scope = match text.split_once(':') {
            None if text == "global" => Some(Self::Global),
            None if text == "tenant" => Some(Self::Tenant),
            Some(("tool", name)) => named(name).map(Self::Tool),
            Some(("agent", id)) => named(id).map(Self::Agent),
            _ => None,
        };
        scope.ok_or_else(|| {
            Refusal::invalid(format!("`{}` is not a scope", text.escape_debug()))
                .hint("use `global`, `tenant`, `tool:NAME` or `agent:ID`")
        })
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse()
            .map_err(|e: Refusal| serde::de::Error::custom(e.message))
    }
}

kernel::names! {
    /// Where one scope of the switch stands.
    pub enum Status {
        /// Nothing is stopped.
        Released = "released",
        /// Its steps are stopped.
        Engaged = "engaged",
        /// Its steps are stopped; one person wants it released.
        ReleaseRequested = "release_requested",
    }
}

kernel::names! {
    /// What moves one scope of the switch.
    pub enum Trigger {
        /// Stop.
        Engage = "engage",
        /// One person wants it released.
        RequestRelease = "request_release",
        /// Another person agrees.
        ConfirmRelease = "confirm_release",
    }
}

/// The life of one scope. Engaging again takes a request for release back.
pub const LIFECYCLE: Lifecycle<Status, Trigger> = Lifecycle {
    noun: "the kill switch",
    rows: &[
        (Status::Released, Trigger::Engage, Status::Engaged),
        (
            Status::Engaged,
            Trigger::RequestRelease,
            Status::ReleaseRequested,
        ),
        (Status::ReleaseRequested, Trigger::Engage, Status::Engaged),
        (
            Status::ReleaseRequested,
            Trigger::ConfirmRelease,
            Status::Released,
        ),
    ],
};

/// Who wants a scope released, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Who.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// A scope that is stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engagement {
    /// Where it stands; never `released`, for then it is gone.
    pub status: Status,
    /// Who engaged it.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// The request for release, while there is one.
    pub release: Option<Release>,
}

/// A drill: proof that the switch would stop what it should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drill {
    /// The scope that was tried.
    pub scope: Scope,
    /// Who tried it.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// What they say of it.
    pub note: String,
    /// Whether a step within the scope would have been stopped.
    pub passed: bool,
}

/// A scope was stopped, or its release was asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scoped {
    /// The scope.
    pub scope: Scope,
    /// Why.
    pub reason: String,
}

/// A scope was released.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmed {
    /// The scope.
    pub scope: Scope,
    /// Who asked for it.
    pub requested_by: Actor,
}

/// The switch was tried.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drilled {
    /// The scope.
    pub scope: Scope,
    /// What they say of it.
    pub note: String,
    /// Whether a step within the scope would have been stopped.
    pub passed: bool,
}

kernel::events! {
    /// What happens to a kill switch.
    pub enum KillEvent {
        /// A scope was stopped.
        Engaged(Scoped) = "kill_switch.engaged" in Decision,
        /// One person wants it released.
        ReleaseRequested(Scoped) = "kill_switch.release_requested" in Decision,
        /// Another person agreed.
        Released(Confirmed) = "kill_switch.released" in Decision,
        /// It was tried.
        Drilled(Drilled) = "kill_switch.drilled" in System,
    }
}

/// What stops a step, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoppedBy {
    /// The scope that covers it.
    pub scope: Scope,
    /// Who engaged it.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

impl fmt::Display for StoppedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the kill switch `{}` is engaged since {} by `{}`: {}",
            self.scope, self.at, self.by, self.reason
        )
    }
}

/// A tenant's kill switch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KillSwitch {
    /// What is stopped.
    pub engaged: BTreeMap<Scope, Engagement>,
    /// The latest drills, oldest first.
    pub drills: Vec<Drill>,
}

impl KillSwitch {
    /// What stops a step of this module in a directive of this issuer.
    #[must_use]
    pub fn stops(&self, module: &str, issued_by: &Actor) -> Option<StoppedBy> {
        self.engaged
            .iter()
            .find(|(scope, _)| scope.covers(module, issued_by))
            .map(|(scope, engagement)| StoppedBy {
                scope: scope.clone(),
                by: engagement.by.clone(),
                at: engagement.at,
                reason: engagement.reason.clone(),
            })
    }

    /// Where this scope stands.
    #[must_use]
    pub fn status_of(&self, scope: &Scope) -> Status {
        self.engaged
            .get(scope)
            .map_or(Status::Released, |e| e.status)
    }

    fn engage(&mut self, scoped: &Scoped, stamp: &Stamp) -> Result<(), Impossible> {
        let status = LIFECYCLE.next(self.status_of(&scoped.scope), Trigger::Engage)?;
        let engagement = Engagement {
            status,
            by: stamp.actor.clone(),
            at: stamp.at,
            reason: scoped.reason.clone(),
            release: None,
        };
        self.engaged.insert(scoped.scope.clone(), engagement);
        Ok(())
    }
}

impl Aggregate for KillSwitch {
    const KIND: &'static str = "kill_switch";
    type Event = KillEvent;

    fn evolve(state: Option<Self>, event: &KillEvent, stamp: &Stamp) -> Result<Self, Impossible> {
        let mut next = state.unwrap_or_default();
        match event {
            KillEvent::Engaged(scoped) => next.engage(scoped, stamp)?,
            KillEvent::ReleaseRequested(scoped) => {
                let engagement = next
                    .engaged
                    .get_mut(&scoped.scope)
                    .ok_or_else(|| Impossible::new("release of what is not engaged"))?;
                engagement.status = LIFECYCLE.next(engagement.status, Trigger::RequestRelease)?;
                engagement.release = Some(Release {
                    by: stamp.actor.clone(),
                    at: stamp.at,
                    reason: scoped.reason.clone(),
                });
            }
            KillEvent::Released(confirmed) => {
                LIFECYCLE.next(next.status_of(&confirmed.scope), Trigger::ConfirmRelease)?;
                if confirmed.requested_by == stamp.actor {
                    return Err(Impossible::new("released by one person alone"));
                }
                next.engaged.remove(&confirmed.scope);
            }
            KillEvent::Drilled(drilled) => {
                next.drills.push(Drill {
                    scope: drilled.scope.clone(),
                    by: stamp.actor.clone(),
                    at: stamp.at,
                    note: drilled.note.clone(),
                    passed: drilled.passed,
                });
                if next.drills.len() > DRILLS_KEPT {
                    next.drills.remove(0);
                }
            }
        }
        Ok(next)
    }

    fn status(&self) -> &str {
        if self.engaged.is_empty() {
            "released"
        } else {
            "engaged"
        }
    }
}

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
        .map(std::sync::Arc::unwrap_or_clone)
        .unwrap_or_default())
}

/// What stops a step of this module in a directive of this issuer, now.
///
/// # Errors
/// When storage does not answer: nothing may start then.
pub fn stops(
    unit: &mut Unit<'_>,
    module: &str,
    issued_by: &Actor,
) -> Result<Option<StoppedBy>, Refusal> {
    let found = unit.find::<KillSwitch>(ID)?;
    Ok(found.and_then(|switch| switch.stops(module, issued_by)))
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
    Ok(std::sync::Arc::unwrap_or_clone(state))
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
    Ok(std::sync::Arc::unwrap_or_clone(state))
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
    Ok(std::sync::Arc::unwrap_or_clone(state))
}

/// Tries the switch without stopping anything: folds an engagement of the
/// scope into a copy of the state and checks that a step within it would be
/// stopped. The result is recorded.
///
/// # Errors
/// When the actor is not a person who may, or says nothing of it.
pub fn drill(unit: &mut Unit<'_>, scope: Scope, note: &str) -> Result<Drill, Refusal> {
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
        .is_some_and(|s| s.scope == scope);
    let event = KillEvent::Drilled(Drilled {
        scope,
        note,
        passed,
    });
    let (_, state) = unit.record::<KillSwitch>(ID, event)?;
    state
        .drills
        .last()
        .cloned()
        .ok_or_else(|| Refusal::integrity("a drill left no record"))
}
