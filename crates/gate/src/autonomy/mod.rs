//! Earned autonomy (GATE-17): what the ledger itself proves of a type of
//! directive that stands on the ladder. One aggregate per type. Runs that
//! people approved and that succeeded count; a violation or a run that did not
//! succeed takes the count and the grant away in the same unit. What the count
//! is held against stands in [`terms`], how it is read in [`assess`].

mod assess;
mod operations;
mod terms;

pub(crate) use assess::least_confidence;
pub use assess::{Proof, Rung, Standing, assess};
pub use operations::{grant, ladder, setback, withdraw};
pub(crate) use operations::{lacking, open, ran, violated};
pub use terms::{RUNS_MIN, Terms};

use kernel::{
    Actor, Aggregate, Digest, DirectiveId, EntryId, Impossible, Ratio, Stamp, Timestamp, VerdictId,
};
use serde::{Deserialize, Serialize};

/// How many of the latest counted runs the state keeps, which confidence is
/// held against; the ledger keeps all.
pub const RUNS_KEPT: usize = 50;
/// How many of the latest setbacks the state keeps; the ledger keeps all.
pub const SETBACKS_KEPT: usize = 16;

/// A type came onto the ladder.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// The type of directive.
    pub kind: String,
}

/// A directive of the type was completed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ran {
    /// The directive.
    pub directive: DirectiveId,
    /// Whether a person had approved it.
    pub human_approved: bool,
    /// The least confidence of its snapshot.
    pub confidence: Ratio,
}

/// Something went against the type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Against {
    /// The directive.
    pub directive: DirectiveId,
    /// The verdict that found a violation; without one a run did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<VerdictId>,
    /// What happened.
    pub reason: String,
}

/// A person signed the type off.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Granted {
    /// Why.
    pub reason: String,
    /// The terms that were met: SHA-256 over `writ.autonomy.v1`, a line feed
    /// and their canonical JSON. Under other terms the grant counts for
    /// nothing.
    pub terms: Digest,
    /// How many runs had been counted.
    pub runs: u32,
}

/// A person took the grant back.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdrawn {
    /// Why.
    pub reason: String,
}

kernel::events! {
    /// What happens to the autonomy of a type of directive.
    pub enum AutonomyEvent {
        /// The type came onto the ladder.
        Opened(Opened) = "autonomy.opened" in System,
        /// A directive of the type was completed.
        Ran(Ran) = "autonomy.run_counted" in Outcome,
        /// The gate found a violation.
        Violated(Against) = "autonomy.violated" in Decision,
        /// A run did not succeed.
        Failed(Against) = "autonomy.run_failed" in Outcome,
        /// A person signed it off.
        Granted(Granted) = "autonomy.granted" in Approval,
        /// A person took the grant back.
        Withdrawn(Withdrawn) = "autonomy.withdrawn" in Approval,
    }
}

/// A run that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    /// The directive.
    pub directive: DirectiveId,
    /// When it was completed.
    pub at: Timestamp,
    /// The least confidence of its snapshot.
    pub confidence: Ratio,
}

/// What threw a type back, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setback {
    /// What happened.
    pub what: Against,
    /// When.
    pub at: Timestamp,
    /// How many runs had been counted.
    pub runs: u32,
    /// Whether it took a grant away.
    pub granted: bool,
}

/// A sign-off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Who.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// The terms that were met.
    pub terms: Digest,
    /// How many runs had been counted.
    pub runs: u32,
}

/// A sign-off that a person took back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakenBack {
    /// Who.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// What is known of a type of directive on the ladder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Autonomy {
    /// The type of directive.
    pub kind: String,
    /// How many runs that people approved succeeded since the last setback.
    pub runs: u32,
    /// The latest of them, oldest first.
    pub counted: Vec<Counted>,
    /// How many runs without a person succeeded since the last setback.
    pub alone: u32,
    /// What threw it back, the latest last.
    pub setbacks: Vec<Setback>,
    /// The sign-off in force.
    pub grant: Option<Grant>,
    /// The last sign-off that a person took back.
    pub withdrawn: Option<TakenBack>,
    /// The latest entry of the stream.
    pub entry: EntryId,
}

impl Autonomy {
    fn opened(kind: &str, stamp: &Stamp) -> Self {
        Self {
            kind: kind.to_owned(),
            runs: 0,
            counted: Vec::new(),
            alone: 0,
            setbacks: Vec::new(),
            grant: None,
            withdrawn: None,
            entry: stamp.entry,
        }
    }

    fn count(&mut self, ran: &Ran, stamp: &Stamp) {
        if !ran.human_approved {
            self.alone = self.alone.saturating_add(1);
            return;
        }
        self.runs = self.runs.saturating_add(1);
        self.counted.push(Counted {
            directive: ran.directive,
            at: stamp.at,
            confidence: ran.confidence,
        });
        if self.counted.len() > RUNS_KEPT {
            self.counted.remove(0);
        }
    }

    /// Everything is to be earned again.
    fn throw_back(&mut self, what: &Against, stamp: &Stamp) {
        self.setbacks.push(Setback {
            what: what.clone(),
            at: stamp.at,
            runs: self.runs,
            granted: self.grant.is_some(),
        });
        if self.setbacks.len() > SETBACKS_KEPT {
            self.setbacks.remove(0);
        }
        (self.runs, self.alone, self.grant) = (0, 0, None);
        self.counted.clear();
    }

    fn sign_off(&mut self, granted: &Granted, stamp: &Stamp) -> Result<(), Impossible> {
        if granted.runs != self.runs {
            return Err(Impossible::new(format!(
                "signed off at {} runs, counted are {}",
                granted.runs, self.runs
            )));
        }
        self.grant = Some(Grant {
            by: stamp.actor.clone(),
            at: stamp.at,
            reason: granted.reason.clone(),
            terms: granted.terms,
            runs: granted.runs,
        });
        Ok(())
    }

    fn take_back(&mut self, withdrawn: &Withdrawn, stamp: &Stamp) -> Result<(), Impossible> {
        if self.grant.take().is_none() {
            return Err(Impossible::new("a sign-off taken back that is not there"));
        }
        self.withdrawn = Some(TakenBack {
            by: stamp.actor.clone(),
            at: stamp.at,
            reason: withdrawn.reason.clone(),
        });
        Ok(())
    }
}

impl Aggregate for Autonomy {
    const KIND: &'static str = "autonomy";
    type Event = AutonomyEvent;

    fn evolve(
        state: Option<Self>,
        event: &AutonomyEvent,
        stamp: &Stamp,
    ) -> Result<Self, Impossible> {
        let mut next = match (state, event) {
            (None, AutonomyEvent::Opened(opened)) => return Ok(Self::opened(&opened.kind, stamp)),
            (None, _) => return Err(Impossible::new("a type begins by coming onto the ladder")),
            (Some(_), AutonomyEvent::Opened(_)) => {
                return Err(Impossible::new("a type comes onto the ladder once"));
            }
            (Some(state), _) => state,
        };
        match event {
            AutonomyEvent::Opened(_) => {}
            AutonomyEvent::Ran(ran) => next.count(ran, stamp),
            AutonomyEvent::Violated(what) | AutonomyEvent::Failed(what) => {
                next.throw_back(what, stamp);
            }
            AutonomyEvent::Granted(granted) => next.sign_off(granted, stamp)?,
            AutonomyEvent::Withdrawn(withdrawn) => next.take_back(withdrawn, stamp)?,
        }
        next.entry = stamp.entry;
        Ok(next)
    }

    fn status(&self) -> &str {
        match self.grant {
            Some(_) => "granted",
            None => "supervised",
        }
    }
}
