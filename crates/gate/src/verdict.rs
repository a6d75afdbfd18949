//! Verdicts as they are recorded (GATE-4): what was asked at a choke point,
//! every result, the inputs that decided, and the aggregate. How they are
//! reached stands in `choke`.

use crate::policy;
use kernel::{
    Aggregate, Digest, DirectiveId, EntryId, Impossible, Refs, Refusal, ReservationId, SnapshotId,
    Stamp, Subject, Timestamp, Verdict, VerdictId,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

kernel::names! {
    /// The four moments at which the gate is asked (GATE-3).
    pub enum ChokePoint {
        /// Before a plan is approved.
        PlanApproval = "plan_approval",
        /// Before a step is executed.
        StepExecution = "step_execution",
        /// Before something outside is written.
        ExternalWrite = "external_write",
        /// Before an operation of cost class EXPENSIVE, whatever it does.
        ExpensiveOperation = "expensive_operation",
    }
}

/// What a verdict is about. Asked again with the same, the gate answers with
/// the recorded verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The directive.
    pub directive: DirectiveId,
    /// The version of its contract.
    pub digest: Digest,
    /// The moment.
    pub choke_point: ChokePoint,
    /// What is about to be done: `plan`, `step/ID` or `compensation/ID`, with
    /// `#N` after it from the second round on.
    pub target: String,
    /// The frozen world state.
    pub snapshot: SnapshotId,
}

impl Question {
    /// SHA-256 over `writ.verdict.v1`, a line feed and the canonical JSON.
    ///
    /// # Errors
    /// When it has no canonical form.
    pub fn id(&self) -> Result<VerdictId, Refusal> {
        Ok(VerdictId(Digest::of_value("writ.verdict.v1", self)?))
    }
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckResult {
    /// Which check, for example `freshness` or `budget`.
    pub check: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// Why, in a sentence.
    pub reason: String,
    /// The inputs that decided.
    pub inputs: Value,
    /// Where it is written what to do, where the pack says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
}

/// A verdict was given.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// What was asked.
    pub question: Question,
    /// Every result, in the fixed order.
    pub results: Vec<CheckResult>,
    /// The worst of them.
    pub verdict: Verdict,
    /// The one time at which everything was evaluated.
    pub evaluated_at: Timestamp,
    /// The hash of the policy set.
    pub policy: Digest,
    /// The hash of all rules, the policy set among them.
    pub rules: Digest,
    /// The policies that determined the policy's result.
    pub determining: Vec<String>,
    /// The reservation that pays, where one was made.
    pub reservation: Option<ReservationId>,
    /// What it is about.
    pub subject: Option<Subject>,
    /// What policy was asked, so that it can be asked again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<policy::Request>,
    /// What policy would have answered with the set that runs in shadow, where
    /// one does. It counts for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<CheckResult>,
}

/// The verdict stands, and yet no permit was given.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withheld {
    /// Which attempt asked.
    pub attempt: u32,
    /// Why not.
    pub reasons: Vec<String>,
}

kernel::events! {
    /// What happens to a verdict.
    pub enum VerdictEvent {
        /// It was given.
        Given(Arc<Given>) = "gate.verdict_given" in Validation,
        /// It let through, but what is checked at every attempt did not.
        Withheld(Withheld) = "gate.permit_withheld" in Validation,
    }
}

/// A recorded verdict.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerdictRecord {
    /// Its id.
    pub id: VerdictId,
    /// As it was given; never changes.
    pub given: Arc<Given>,
    /// Why the latest permit was withheld; empty when none was.
    pub withheld: Vec<String>,
    /// The entry that gave it.
    pub entry: EntryId,
}

impl VerdictRecord {
    /// The aggregate.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.given.verdict
    }

    /// The reasons of every result with this verdict, named by check.
    #[must_use]
    pub fn reasons(&self, verdict: Verdict) -> Vec<String> {
        let with = self.given.results.iter().filter(|r| r.verdict == verdict);
        with.map(|r| format!("{}: {}", r.check, r.reason)).collect()
    }

    /// The result of this check.
    #[must_use]
    pub fn result(&self, check: &str) -> Option<&CheckResult> {
        self.given.results.iter().find(|r| r.check == check)
    }
}

impl Aggregate for VerdictRecord {
    const KIND: &'static str = "verdict";
    type Event = VerdictEvent;

    fn evolve(
        state: Option<Self>,
        event: &VerdictEvent,
        stamp: &Stamp,
    ) -> Result<Self, Impossible> {
        match (state, event) {
            (None, VerdictEvent::Given(given)) => {
                let worst = Verdict::aggregate(given.results.iter().map(|r| r.verdict));
                if worst != given.verdict {
                    return Err(Impossible::new(format!(
                        "the results make {worst}, recorded is {}",
                        given.verdict
                    )));
                }
                Ok(Self {
                    id: given.question.id()?,
                    given: given.clone(),
                    withheld: Vec::new(),
                    entry: stamp.entry,
                })
            }
            (Some(mut state), VerdictEvent::Withheld(withheld)) => {
                state.withheld.clone_from(&withheld.reasons);
                Ok(state)
            }
            (None, VerdictEvent::Withheld(_)) => {
                Err(Impossible::new("a permit withheld under no verdict"))
            }
            (Some(_), VerdictEvent::Given(_)) => Err(Impossible::new("a verdict is given once")),
        }
    }

    fn status(&self) -> &str {
        self.given.verdict.name()
    }

    fn refs(&self) -> Refs {
        Refs {
            subject: self.given.subject.clone(),
            directive: Some(self.given.question.directive),
            snapshot: Some(self.given.question.snapshot),
        }
    }
}
