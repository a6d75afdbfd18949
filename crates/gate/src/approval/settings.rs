//! Who must agree to what (GATE-15, GATE-16): quorum per action class,
//! separation of duties, how long a request waits, and what may go without a
//! person. The default is a person.

use crate::autonomy::Terms;
use crate::{ActionClass, Capabilities, Contract};
use kernel::names::Name as _;
use kernel::{Role, Span, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

kernel::names! {
    /// A part that someone played in a directive.
    pub enum Duty {
        /// They issued it.
        Issuer = "issuer",
        /// They wrote the version in force.
        Editor = "editor",
    }
}

/// How many must agree, and which roles may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quorum {
    /// How many people; at least one.
    pub needed: u32,
    /// Roles that may decide; one of them is enough.
    pub among: Vec<Role>,
}

impl Default for Quorum {
    fn default() -> Self {
        Self {
            needed: 1,
            among: vec![Role::Approver, Role::Admin],
        }
    }
}

/// Directives by what they do and by their type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kinds {
    /// Those of these action classes.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub action_classes: BTreeSet<ActionClass>,
    /// Those of these types.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub directive_types: BTreeSet<String>,
}

impl Kinds {
    /// Whether none is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.action_classes.is_empty() && self.directive_types.is_empty()
    }

    /// Whether a directive of this class and type is among them.
    #[must_use]
    pub fn has(&self, class: ActionClass, directive_type: &str) -> bool {
        self.action_classes.contains(&class) || self.directive_types.contains(directive_type)
    }
}

/// What may be decided on together with others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bulk {
    /// How many requests at once.
    pub max: u32,
    /// Which directives.
    pub of: Kinds,
}

/// A pack lets no more requests be decided on at once.
const BULK_MAX: u32 = 50;

/// Further roles that may decide when nobody has for so long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Escalation {
    /// How long after it was asked for.
    pub after: Span,
    /// Which roles may decide from then on, besides those before.
    pub to: Vec<Role>,
}

/// The rules of approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Per action class; a class that is not named needs one approver.
    #[serde(default)]
    pub quorum: BTreeMap<ActionClass, Quorum>,
    /// How long a request waits before silence is a refusal.
    pub expires_after: Span,
    /// Whose hands may not approve; both when not given.
    #[serde(default = "both")]
    pub separation_of_duties: BTreeSet<Duty>,
    /// Types of directives on the ladder: what each has to prove before it may
    /// change internal state without a person.
    #[serde(default)]
    pub autonomous: BTreeMap<String, Terms>,
    /// Which directives a person must agree to with a signature of their own
    /// key, so that not even the server can say yes for them.
    #[serde(default, skip_serializing_if = "Kinds::is_empty")]
    pub signatures: Kinds,
    /// Who else may decide when nobody has, soonest first. When nobody answers
    /// at all, silence is a refusal as without it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escalation: Vec<Escalation>,
    /// What may be decided on together with others; nothing when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bulk: Option<Bulk>,
}

fn both() -> BTreeSet<Duty> {
    BTreeSet::from([Duty::Issuer, Duty::Editor])
}

impl Settings {
    /// The quorum of this class.
    #[must_use]
    pub fn quorum_of(&self, class: ActionClass) -> Quorum {
        self.quorum.get(&class).cloned().unwrap_or_default()
    }

    /// The roles that decide on something from the beginning.
    #[must_use]
    pub fn deciding_roles(&self) -> BTreeSet<Role> {
        let classes = ActionClass::ALL.iter();
        classes
            .flat_map(|class| self.quorum_of(*class).among)
            .collect()
    }

    /// What is wrong with the settings by themselves.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.expires_after == Span::ZERO {
            faults.push("approvals.expires_after: must be longer than nothing".to_owned());
        }
        for (class, quorum) in &self.quorum {
            if quorum.needed == 0 {
                faults.push(format!(
                    "approvals.quorum.{class}: at least one person must agree"
                ));
            }
            if quorum.among.is_empty() {
                faults.push(format!("approvals.quorum.{class}: no role may decide"));
            }
        }
        for (kind, terms) in &self.autonomous {
            faults.extend(terms.faults(&format!("approvals.autonomous.{kind}")));
        }
        faults.extend(self.faults_of_escalation());
        if let Some(bulk) = &self.bulk {
            if !(2..=BULK_MAX).contains(&bulk.max) {
                faults.push(format!("approvals.bulk.max: is not 2 to {BULK_MAX}"));
            }
            if bulk.of.is_empty() {
                faults.push("approvals.bulk.of: names nothing".to_owned());
            }
        }
        faults
    }

    fn faults_of_escalation(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.escalation.len() > ESCALATIONS_MAX {
            faults.push(format!(
                "approvals.escalation: has {} steps, allowed are {ESCALATIONS_MAX}",
                self.escalation.len()
            ));
        }
        let mut before = Span::ZERO;
        for (at, step) in self.escalation.iter().enumerate() {
            let place = format!("approvals.escalation.{at}");
            if step.to.is_empty() {
                faults.push(format!("{place}.to: names no role"));
            }
            if let Some(role) = step.to.iter().find(|role| !DECIDES.contains(role)) {
                faults.push(format!(
                    "{place}.to: who has the role `{role}` decides on nothing"
                ));
            }
            if step.after <= before {
                faults.push(format!("{place}.after: must be longer than `{before}`"));
            }
            if step.after >= self.expires_after {
                faults.push(format!(
                    "{place}.after: comes when silence is a refusal already, after `{}`",
                    self.expires_after
                ));
            }
            before = step.after;
        }
        faults
    }
}

/// Roles whose people may be asked to decide.
const DECIDES: [Role; 3] = [Role::Operator, Role::Approver, Role::Admin];

/// A request is escalated no more often.
const ESCALATIONS_MAX: usize = 8;

/// The one of two classes that asks more of people.
#[must_use]
pub fn stronger(a: ActionClass, b: ActionClass) -> ActionClass {
    let strength = |class| match class {
        ActionClass::InternalNonDestructive => 0,
        ActionClass::Clarification => 1,
        ActionClass::InternalMutation => 2,
        ActionClass::ExternalHumanTouch => 3,
    };
    if strength(b) > strength(a) { b } else { a }
}

/// The strongest of the contract's own class and those of its modules; a
/// module that nobody knows counts as touching people.
#[must_use]
pub fn effective_class(contract: &Contract, capabilities: &Capabilities) -> ActionClass {
    let of_modules = contract.steps.iter().map(|step| {
        capabilities
            .get(&step.module)
            .map_or(ActionClass::ExternalHumanTouch, |c| c.action_class)
    });
    of_modules.fold(contract.action_class, stronger)
}

/// Why a person must agree; empty when the directive may go on by itself.
/// `lacking` is what keeps it from changing state alone; it is asked only
/// where that is what it would do.
///
/// # Errors
/// As `lacking`.
pub fn needs_approval<E>(
    contract: &Contract,
    capabilities: &Capabilities,
    settings: &Settings,
    plan: Verdict,
    lacking: impl FnOnce() -> Result<Vec<String>, E>,
) -> Result<Vec<String>, E> {
    let mut because = Vec::new();
    let class = effective_class(contract, capabilities);
    if settings.signatures.has(class, &contract.kind) {
        because.push("it takes the signature of a person".to_owned());
    }
    match class {
        ActionClass::ExternalHumanTouch => because.push("it touches people outside".to_owned()),
        ActionClass::InternalMutation => because.extend(lacking()?),
        ActionClass::InternalNonDestructive | ActionClass::Clarification => {}
    }
    let wary: BTreeSet<&str> = contract
        .steps
        .iter()
        .filter(|s| {
            capabilities
                .get(&s.module)
                .is_none_or(|c| c.requires_approval)
        })
        .map(|s| s.module.as_str())
        .collect();
    for module in wary {
        because.push(format!("the module `{module}` requires approval"));
    }
    if plan != Verdict::Allow {
        because.push(format!("the gate's verdict on the plan is {plan}"));
    }
    Ok(because)
}
