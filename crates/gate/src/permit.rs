//! The permit: the gate's word that one attempt of one step may reach the
//! outside. Only this crate can make one, and a module cannot be executed
//! without one (choke points by construction).

use kernel::names::Name;
use kernel::{
    Actor, Aggregate, Digest, DirectiveId, EntryId, Impossible, Lifecycle, PermitId, Refs, Refusal,
    ReservationId, RunId, SnapshotId, Span, Stamp, Subject, TenantId, Timestamp, Unit, VerdictId,
};
use serde::{Deserialize, Serialize};

/// How long a permit holds: it is consumed right after it was recorded. It is
/// shorter than the grace of a step's lease (`act`), so that a step that is
/// begun late ends before another node may call it interrupted.
pub const VALID_FOR: Span = Span::from_secs(20);

kernel::names! {
    /// What a permit is for.
    pub enum Purpose {
        /// To do a step.
        Step = "step",
        /// To undo a step.
        Compensation = "compensation",
    }
}

/// A permit. It cannot be cloned, stored or made outside `gate`; it is used by
/// being consumed: whoever executes a module takes it by value.
///
/// ```
/// fn consume(permit: gate::Permit) -> kernel::PermitId {
///     permit.id()
/// }
/// ```
/// It has no public constructor and no public field:
/// ```compile_fail,E0451
/// fn forged(id: kernel::PermitId, other: gate::Permit) -> gate::Permit {
///     gate::Permit { id, ..other }
/// }
/// ```
/// It cannot be cloned:
/// ```compile_fail,E0599
/// fn twice(permit: gate::Permit) -> (gate::Permit, gate::Permit) {
///     (permit.clone(), permit)
/// }
/// ```
/// It cannot be read from text:
/// ```compile_fail,E0277
/// fn read(text: &str) -> gate::Permit {
///     serde_json::from_str(text).unwrap()
/// }
/// ```
/// And what was consumed cannot be used again:
/// ```compile_fail,E0382
/// fn execute(_: gate::Permit) {}
/// fn twice(permit: gate::Permit) {
///     execute(permit);
///     execute(permit);
/// }
/// ```
#[derive(Debug)]
pub struct Permit {
    pub(crate) id: PermitId,
    pub(crate) tenant: TenantId,
    pub(crate) directive: DirectiveId,
    pub(crate) digest: Digest,
    pub(crate) step: String,
    pub(crate) purpose: Purpose,
    pub(crate) module: String,
    pub(crate) module_version: String,
    pub(crate) issued_by: Actor,
    pub(crate) arguments: Digest,
    pub(crate) snapshot: SnapshotId,
    pub(crate) policy: Digest,
    pub(crate) reservation: ReservationId,
    pub(crate) expires_at: Timestamp,
    pub(crate) entry: EntryId,
}

impl Permit {
    /// Its id, as recorded.
    #[must_use]
    pub fn id(&self) -> PermitId {
        self.id
    }
    /// The tenant that it is for.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }
    /// The directive that it is for.
    #[must_use]
    pub fn directive(&self) -> DirectiveId {
        self.directive
    }
    /// The digest of the contract that was approved.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }
    /// The step that it is for.
    #[must_use]
    pub fn step(&self) -> &str {
        &self.step
    }
    /// Whether the step is to be done or undone.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }
    /// The module that it is for.
    #[must_use]
    pub fn module(&self) -> &str {
        &self.module
    }
    /// The version of the module that the gate knew.
    #[must_use]
    pub fn module_version(&self) -> &str {
        &self.module_version
    }
    /// Who issued the directive.
    #[must_use]
    pub fn issued_by(&self) -> &Actor {
        &self.issued_by
    }
    /// SHA-256 over `writ.arguments.v1`, a line feed and the canonical JSON of
    /// the step's input.
    #[must_use]
    pub fn arguments(&self) -> Digest {
        self.arguments
    }
    /// The snapshot that the verdict was given on.
    #[must_use]
    pub fn snapshot(&self) -> SnapshotId {
        self.snapshot
    }
    /// The hash of the policy set that allowed it.
    #[must_use]
    pub fn policy(&self) -> Digest {
        self.policy
    }
    /// The reservation that pays for it.
    #[must_use]
    pub fn reservation(&self) -> ReservationId {
        self.reservation
    }
    /// From this instant on it is void.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
    /// The entry that records it: the cause of what is done with it.
    #[must_use]
    pub fn entry(&self) -> EntryId {
        self.entry
    }
}

kernel::names! {
    /// Where a permit stands.
    pub enum Status {
        /// Given, not yet consumed.
        Issued = "issued",
        /// Consumed by the start of an attempt.
        Used = "used",
        /// Not consumed in time, or taken back.
        Void = "void",
    }
}

kernel::names! {
    /// What moves a permit.
    pub enum Trigger {
        /// An attempt starts.
        Use = "use",
        /// It is taken back, or its time ended.
        Void = "void",
    }
}

/// The life of a permit.
pub const LIFECYCLE: Lifecycle<Status, Trigger> = Lifecycle {
    noun: "a permit",
    rows: &[
        (Status::Issued, Trigger::Use, Status::Used),
        (Status::Issued, Trigger::Void, Status::Void),
    ],
};

/// A permit was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issued {
    /// The permit.
    pub permit: PermitId,
    /// The directive that it is for.
    pub directive: DirectiveId,
    /// The version of the contract that was approved.
    pub digest: Digest,
    /// The run.
    pub run: RunId,
    /// The target, as in the verdicts: `step/ID` or `compensation/ID`.
    pub target: String,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// The module.
    pub module: String,
    /// Its version. Permits of before it was bound name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module_version: Option<String>,
    /// The digest of the module's input.
    pub arguments: Digest,
    /// The verdicts that let it through.
    pub verdicts: Vec<VerdictId>,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The hash of the policy set.
    pub policy: Digest,
    /// The reservation that pays.
    pub reservation: ReservationId,
    /// What it is about.
    pub subject: Option<Subject>,
    /// From this instant on it is void.
    pub expires_at: Timestamp,
}

/// A permit was consumed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Used {
    /// The digest of the input that it was consumed for.
    pub arguments: Digest,
}

/// A permit is void.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Voided {
    /// Why.
    pub reason: String,
}

kernel::events! {
    /// What happens to a permit.
    pub enum PermitEvent {
        /// It was given.
        Issued(Issued) = "permit.issued" in Decision,
        /// It was consumed.
        Used(Used) = "permit.used" in Action,
        /// It is void.
        Voided(Voided) = "permit.voided" in Decision,
    }
}

/// What the ledger knows of a permit. Holding it permits nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PermitRecord {
    /// As it was given.
    pub issued: Issued,
    /// Where it stands.
    pub status: Status,
    /// The latest entry of the stream.
    pub entry: EntryId,
}

impl Aggregate for PermitRecord {
    const KIND: &'static str = "permit";
    type Event = PermitEvent;

    fn evolve(state: Option<Self>, event: &PermitEvent, stamp: &Stamp) -> Result<Self, Impossible> {
        let (mut state, trigger) = match (state, event) {
            (None, PermitEvent::Issued(issued)) => {
                return Ok(Self {
                    issued: issued.clone(),
                    status: Status::Issued,
                    entry: stamp.entry,
                });
            }
            (Some(state), PermitEvent::Used(_)) => (state, Trigger::Use),
            (Some(state), PermitEvent::Voided(_)) => (state, Trigger::Void),
            _ => return Err(Impossible::new("a permit is issued once, and first")),
        };
        state.status = LIFECYCLE.next(state.status, trigger)?;
        state.entry = stamp.entry;
        Ok(state)
    }

    fn status(&self) -> &str {
        self.status.name()
    }

    fn refs(&self) -> Refs {
        Refs {
            subject: self.issued.subject.clone(),
            directive: Some(self.issued.directive),
            snapshot: Some(self.issued.snapshot),
        }
    }

    fn due(&self) -> Option<Timestamp> {
        (self.status == Status::Issued).then_some(self.issued.expires_at)
    }
}

/// Records that a permit is consumed. Call it in the unit that records the
/// start of the attempt, with the permit that is then moved into the module
/// call. Returns the entry, the cause of what follows.
///
/// # Errors
/// When it was consumed before, is void, or its time has ended.
pub fn redeem(unit: &mut Unit<'_>, permit: &Permit) -> Result<EntryId, Refusal> {
    let record = unit.get::<PermitRecord>(permit.id)?;
    LIFECYCLE.next(record.status, Trigger::Use)?;
    if unit.ctx().now >= permit.expires_at {
        return Err(Refusal::conflict(format!(
            "the permit `{}` ended at {}",
            permit.id, permit.expires_at
        ))
        .hint("ask the gate again"));
    }
    let before = unit.caused_by(Some(permit.entry));
    let event = PermitEvent::Used(Used {
        arguments: permit.arguments,
    });
    let recorded = unit.record::<PermitRecord>(permit.id, event);
    unit.caused_by(before);
    Ok(recorded?.0)
}

/// The tick of permits: one that was not consumed in time is void.
///
/// # Errors
/// When there is no such permit.
pub fn expire(unit: &mut Unit<'_>, id: PermitId) -> Result<Status, Refusal> {
    let record = unit.get::<PermitRecord>(id)?;
    if record.due().is_none_or(|due| unit.ctx().now < due) {
        return Ok(record.status);
    }
    let event = PermitEvent::Voided(Voided {
        reason: "it was not consumed in time".to_owned(),
    });
    let (_, record) = unit.record::<PermitRecord>(id, event)?;
    Ok(record.status)
}
