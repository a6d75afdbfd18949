//! The kill switch (GATE-18): what is stopped, by whom and why. One aggregate
//! per tenant, read in the transaction that admits a step; that of the home
//! tenant also holds `global`, which every admission is given. What is admitted
//! is stopped still by the fence (`act::fence`). Releasing takes a reason and
//! a second person.

mod operations;
mod scope;
pub mod sweep;

pub use operations::{
    begin_drill, confirm_release, current, drill, engage, request_release, stops,
};
pub use scope::Scope;
pub use sweep::{OnEngage, Settings, Steps, Sweep, UnderWay};

use crate::permit::Purpose;
use kernel::{Actor, Aggregate, Impossible, Lifecycle, Span, Stamp, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The id of a tenant's only kill switch.
pub const ID: &str = "main";
/// How many of the latest drills the state keeps; the ledger keeps all.
pub const DRILLS_KEPT: usize = 32;

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
    /// What became of the steps that were under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep: Option<Sweep>,
}

impl Engagement {
    /// Whether no step that was under way then is under way now.
    #[must_use]
    pub fn is_swept(&self) -> bool {
        self.sweep.as_ref().is_some_and(|s| s.ended_at.is_some())
    }
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
    /// What the probe saw, where one was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
}

/// What a probe saw while its drill went the way of an engagement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// How long it took until it was acknowledged.
    pub acknowledged_after: Span,
    /// How long it took until the probe was let through for the last time.
    pub stopped_after: Span,
    /// Whether it was not let through after the acknowledgement.
    pub held: bool,
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
    /// What the probe saw, where one was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
}

kernel::events! {
    /// What happens to a kill switch.
    pub enum KillEvent {
        /// A scope was stopped.
        Engaged(Scoped) = "kill_switch.engaged" in Decision,
        /// Steps were under way.
        Sweeping(Steps) = "kill_switch.sweeping" in System,
        /// None of them is any more.
        Swept(Steps) = "kill_switch.swept" in System,
        /// One person wants it released.
        ReleaseRequested(Scoped) = "kill_switch.release_requested" in Decision,
        /// Another person agreed.
        Released(Confirmed) = "kill_switch.released" in Decision,
        /// Its probe is stopped.
        DrillBegun(Scoped) = "kill_switch.drill_begun" in System,
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

impl StoppedBy {
    fn of(scope: &Scope, engagement: &Engagement) -> Self {
        Self {
            scope: scope.clone(),
            by: engagement.by.clone(),
            at: engagement.at,
            reason: engagement.reason.clone(),
        }
    }
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
    /// The scope whose drill stops the probe, while one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drilling: Option<Scope>,
}

impl KillSwitch {
    /// What stops a step of this module in a directive of this issuer.
    #[must_use]
    pub fn stops(&self, module: &str, issued_by: &Actor) -> Option<StoppedBy> {
        self.engaged
            .iter()
            .find(|(scope, _)| scope.covers(module, issued_by))
            .map(|(scope, engagement)| StoppedBy::of(scope, engagement))
    }

    /// What keeps a call of this module, for this purpose, in a directive of
    /// this issuer. Undoing is kept by the scope of its own module only: undoing
    /// is what an engagement is for.
    #[must_use]
    pub fn bars(&self, purpose: Purpose, module: &str, issued_by: &Actor) -> Option<StoppedBy> {
        let own = || Scope::Tool(module.to_owned());
        match purpose {
            Purpose::Compensation if self.status_of(&own()) == Status::Released => None,
            Purpose::Compensation | Purpose::Step => self.stops(module, issued_by),
        }
    }

    /// What stops the steps of every tenant, where this is the switch of the
    /// home tenant.
    #[must_use]
    pub fn everywhere(&self) -> Option<StoppedBy> {
        let engagement = self.engaged.get(&Scope::Global)?;
        Some(StoppedBy::of(&Scope::Global, engagement))
    }

    /// Where this scope stands.
    #[must_use]
    pub fn status_of(&self, scope: &Scope) -> Status {
        self.engaged
            .get(scope)
            .map_or(Status::Released, |e| e.status)
    }

    fn sweep_of(&mut self, scope: &Scope) -> Result<&mut Sweep, Impossible> {
        let found = self.engaged.get_mut(scope);
        let engagement = found.ok_or_else(|| Impossible::new("a sweep of what is not engaged"))?;
        Ok(engagement.sweep.get_or_insert_default())
    }

    pub(super) fn engage(&mut self, scoped: &Scoped, stamp: &Stamp) -> Result<(), Impossible> {
        let status = LIFECYCLE.next(self.status_of(&scoped.scope), Trigger::Engage)?;
        let engagement = Engagement {
            status,
            by: stamp.actor.clone(),
            at: stamp.at,
            reason: scoped.reason.clone(),
            release: None,
            sweep: None,
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
            KillEvent::Sweeping(found) => {
                let sweep = next.sweep_of(&found.scope)?;
                sweep.steps.extend(found.steps.iter().cloned());
            }
            KillEvent::Swept(found) => {
                let sweep = next.sweep_of(&found.scope)?;
                sweep.steps.clone_from(&found.steps);
                sweep.ended_at = Some(stamp.at);
            }
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
            KillEvent::DrillBegun(begun) => next.drilling = Some(begun.scope.clone()),
            KillEvent::Drilled(drilled) => {
                next.drilling = None;
                next.drills.push(Drill {
                    scope: drilled.scope.clone(),
                    by: stamp.actor.clone(),
                    at: stamp.at,
                    note: drilled.note.clone(),
                    passed: drilled.passed,
                    measured: drilled.measured,
                });
                if next.drills.len() > DRILLS_KEPT {
                    next.drills.remove(0);
                }
            }
        }
        Ok(next)
    }

    /// Until every engagement is swept, from the first of them on.
    fn due(&self) -> Option<Timestamp> {
        let open = self.engaged.values().filter(|e| !e.is_swept());
        open.map(|e| e.at).min()
    }

    fn status(&self) -> &str {
        if self.engaged.is_empty() {
            "released"
        } else {
            "engaged"
        }
    }
}
