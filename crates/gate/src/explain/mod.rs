//! A verdict explained (GATE-21): who asked for what, which check stopped it
//! on which input and under which version of which policy, and what would have
//! to change. A pure function of the record and the rules that are asked.

mod counterfactual;
mod remedy;

pub use counterfactual::{Bound, Change};

use crate::policy::{PolicySet, Written};
use crate::verdict::CheckResult;
use crate::{Approval, ChokePoint, Directive, Rules, VerdictRecord};
use kernel::{
    Actor, Digest, DirectiveId, Role, SnapshotId, Subject, Timestamp, Verdict, VerdictId,
};
use serde::Serialize;
use serde_json::Value;

/// Where the runbooks are served.
pub const RUNBOOKS: &str = "/runbooks/";

/// Who asked.
#[derive(Clone, Debug, Serialize)]
pub struct Asker {
    /// Who issued the directive.
    pub issued_by: Actor,
    /// In which roles.
    pub roles: Vec<Role>,
    /// Who else wrote on the contract.
    pub editors: Vec<Actor>,
    /// What it came from, for example an incident.
    pub origin: Option<String>,
}

/// What was asked.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    /// The directive.
    pub directive: DirectiveId,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is for.
    pub objective: String,
    /// What it is about.
    pub subject: Option<Subject>,
    /// The version of its contract.
    pub digest: Digest,
    /// Whether that version is in force.
    pub in_force: bool,
    /// The moment.
    pub choke_point: ChokePoint,
    /// What was about to be done.
    pub target: String,
    /// The frozen world state.
    pub snapshot: SnapshotId,
}

/// The rules that were asked.
#[derive(Clone, Debug, Serialize)]
pub struct Under {
    /// The hash of the policy set.
    pub policy: Digest,
    /// Whether that set is in force.
    pub policy_in_force: bool,
    /// The hash of all rules.
    pub rules: Digest,
    /// Whether those rules are in force.
    pub rules_in_force: bool,
    /// The policies that determined policy's answer, as they are written;
    /// those of a set that is in force no more have only their ids.
    pub determining: Vec<Determining>,
}

/// A policy that determined an answer.
#[derive(Clone, Debug, Serialize)]
pub struct Determining {
    /// Its id.
    pub id: String,
    /// As it is written.
    pub written: Option<Written>,
}

/// What one check found, and what would have to change.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The check.
    pub check: String,
    /// What it said.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// The input that decided.
    pub inputs: Value,
    /// What would have to change, each by itself; empty for what passed.
    pub remedies: Vec<String>,
    /// Where the runbook is served, or where the pack says it is.
    pub runbook: String,
}

/// A verdict explained.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The verdict.
    pub id: VerdictId,
    /// What it was.
    pub verdict: Verdict,
    /// In one sentence.
    pub summary: String,
    /// When everything was evaluated.
    pub evaluated_at: Timestamp,
    /// Who asked.
    pub who: Asker,
    /// What was asked.
    pub what: Asked,
    /// Under which rules.
    pub under: Under,
    /// What each check found, in the order in which they are asked.
    pub checks: Vec<Line>,
    /// What policy looked at that would by itself have changed its answer;
    /// empty when it passed, or when its set is in force no more.
    pub changes: Vec<Change>,
    /// Why the latest permit was withheld although the verdict let it go.
    pub withheld: Vec<String>,
}

/// What a verdict is explained with.
#[derive(Clone, Copy, Debug)]
pub struct Material<'a> {
    /// The verdict.
    pub record: &'a VerdictRecord,
    /// Its directive, as it stands.
    pub directive: &'a Directive,
    /// The approval that the directive waits for or has.
    pub approval: Option<&'a Approval>,
    /// The rules in force.
    pub rules: &'a Rules,
}

/// Explains a verdict.
#[must_use]
pub fn explain(of: &Material<'_>) -> Explanation {
    let given = &of.record.given;
    let rules = of.rules;
    let same_set = (rules.policy.hash() == given.policy).then_some(&rules.policy);
    let changes = match same_set {
        Some(set) if policy_blocked(&given.results) => counterfactual::changes(set, &given.asked),
        _ => Vec::new(),
    };
    let line = |result: &CheckResult| Line {
        check: result.check.clone(),
        verdict: result.verdict,
        reason: result.reason.clone(),
        inputs: result.inputs.clone(),
        remedies: match result.verdict {
            Verdict::Allow => Vec::new(),
            Verdict::Warn | Verdict::Block => remedy::of(of, result, &changes),
        },
        runbook: match &result.runbook {
            Some(own) => own.clone(),
            None => runbook(&result.check),
        },
    };
    Explanation {
        id: of.record.id,
        verdict: given.verdict,
        summary: summary(of),
        evaluated_at: given.evaluated_at,
        who: asker(of.directive),
        what: asked(of),
        under: Under {
            policy: given.policy,
            policy_in_force: same_set.is_some(),
            rules: given.rules,
            rules_in_force: rules.hash == given.rules,
            determining: determining(&given.determining, same_set),
        },
        checks: given.results.iter().map(line).collect(),
        changes,
        withheld: of.record.withheld.clone(),
    }
}

/// Where the runbook of a check is served. The checks that a pack brings share
/// one.
#[must_use]
pub fn runbook(check: &str) -> String {
    let known = RUNBOOK_OF.iter().find(|name| **name == check);
    format!("{RUNBOOKS}{}", known.copied().unwrap_or("rule"))
}

/// The checks that have a runbook of their own.
pub const RUNBOOK_OF: [&str; 10] = [
    "freshness",
    "grounding",
    "contradiction",
    "compliance",
    "residency",
    "conflict",
    "policy",
    "budget",
    "approval",
    "kill_switch",
];

fn policy_blocked(results: &[CheckResult]) -> bool {
    let stops = |r: &CheckResult| r.check == "policy" && !r.verdict.passes();
    results.iter().any(stops)
}

fn summary(of: &Material<'_>) -> String {
    let given = &of.record.given;
    let what = format!(
        "`{}` of `{}`",
        given.question.target, of.directive.contract.kind
    );
    let stops = of.record.reasons(Verdict::Block);
    match (given.verdict, stops.as_slice(), of.record.withheld.first()) {
        (Verdict::Block, [first], _) => format!("{what} was stopped: {first}"),
        (Verdict::Block, [first, more @ ..], _) => {
            format!("{what} was stopped: {first}; and {} more", more.len())
        }
        (_, _, Some(why)) => format!("{what} passed, and yet no permit was given: {why}"),
        (Verdict::Warn, ..) => {
            let first = of.record.reasons(Verdict::Warn);
            format!(
                "{what} passed with a warning: {}",
                first.first().map_or("", String::as_str)
            )
        }
        _ => format!("{what} passed"),
    }
}

fn asker(directive: &Directive) -> Asker {
    Asker {
        issued_by: directive.contract.issued_by.clone(),
        roles: directive.issuer_roles.clone(),
        editors: directive.editors.iter().cloned().collect(),
        origin: directive.origin.clone(),
    }
}

fn asked(of: &Material<'_>) -> Asked {
    let (question, directive) = (&of.record.given.question, of.directive);
    Asked {
        directive: directive.id,
        kind: directive.contract.kind.clone(),
        objective: directive.contract.objective.clone(),
        subject: directive.contract.subject().cloned(),
        digest: question.digest,
        in_force: directive.digest == question.digest,
        choke_point: question.choke_point,
        target: question.target.clone(),
        snapshot: question.snapshot,
    }
}

fn determining(ids: &[String], set: Option<&PolicySet>) -> Vec<Determining> {
    ids.iter()
        .map(|id| Determining {
            id: id.clone(),
            written: set.and_then(|set| set.written(id)),
        })
        .collect()
}
