//! Tests of policies as data, and questions that two sets answer differently.

use super::{Decision, Facts, PolicySet, Request, Resource};
use crate::ChokePoint;
use kernel::names::Name;
use kernel::{Actor, Role, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A question, and the answer that it must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows, in a sentence; unique in its pack.
    pub name: String,
    /// Who asks, `human:prn_1`.
    pub principal: Actor,
    /// The principal's roles in the tenant.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// The choke point.
    pub action: ChokePoint,
    /// What is asked for.
    pub resource: Resource,
    /// What the gate knows.
    pub context: Facts,
    /// The answer.
    pub expect: Expected,
}

/// The answer that a case must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The verdict.
    pub verdict: Verdict,
    /// The policies that determine it; none where nothing permits.
    #[serde(default)]
    pub determining: BTreeSet<String>,
}

impl Case {
    /// The question.
    #[must_use]
    pub fn request(&self) -> Request {
        Request {
            principal: self.principal.clone(),
            roles: self.roles.clone(),
            action: self.action.name().to_owned(),
            resource: self.resource.clone(),
            context: self.context.context(),
        }
    }

    /// How the answer differs from the expected one; empty when it does not.
    #[must_use]
    pub fn faults(&self, set: &PolicySet) -> Vec<String> {
        let request = self.request();
        let decision = set.decide(&set.fitted(&request));
        let unknown = set.unknown_facts(&request).into_iter();
        let mut faults: Vec<String> = unknown
            .map(|name| format!("no fact is called `{name}`"))
            .collect();
        faults.extend(decision.errors);
        if decision.verdict != self.expect.verdict {
            faults.push(format!(
                "the verdict is {}, expected is {}",
                decision.verdict, self.expect.verdict
            ));
        }
        let determining: BTreeSet<String> = decision.determining.into_iter().collect();
        if determining != self.expect.determining {
            let named = |ids: &BTreeSet<String>| match ids.is_empty() {
                true => "no policy".to_owned(),
                false => format!("`{}`", Vec::from_iter(ids.iter().cloned()).join("`, `")),
            };
            faults.push(format!(
                "determined by {}, expected is {}",
                named(&determining),
                named(&self.expect.determining)
            ));
        }
        faults
    }
}

/// A question that two sets answer differently.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Changed {
    /// What the question is called where it comes from.
    pub question: String,
    /// What the one set answers.
    pub before: Decision,
    /// What the other answers.
    pub after: Decision,
}

/// The questions that the sets answer differently. Another policy that
/// determines the same verdict makes no difference.
#[must_use]
pub fn compare(
    before: &PolicySet,
    after: &PolicySet,
    questions: &[(String, Request)],
) -> Vec<Changed> {
    let changed = |(name, request): &(String, Request)| {
        let before = before.decide(&before.fitted(request));
        let after = after.decide(&after.fitted(request));
        (before.verdict != after.verdict).then(|| Changed {
            question: name.clone(),
            before,
            after,
        })
    };
    questions.iter().filter_map(changed).collect()
}
