//! The directive contract (who, what, scope, constraints, success metrics,
//! budget, timebox, steps, snapshot), its checks and its digest. The directive
//! that carries it lives in `directive`.

use kernel::{Actor, Digest, EntryId, Money, Refusal, SnapshotId, Span, Subject, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

kernel::names! {
    /// What an action does to the world; decides who must agree.
    pub enum ActionClass {
        /// Reads or computes, changes nothing.
        InternalNonDestructive = "internal_non_destructive",
        /// Changes state inside the tenant.
        InternalMutation = "internal_mutation",
        /// Touches people outside.
        ExternalHumanTouch = "external_human_touch",
        /// Asks or escalates.
        Clarification = "clarification",
    }
}

kernel::names! {
    /// How costly an operation is.
    pub enum CostClass {
        /// Free or nearly so.
        Cheap = "CHEAP",
        /// Costs something.
        Medium = "MEDIUM",
        /// Always passes the gate again, whatever it reads or writes.
        Expensive = "EXPENSIVE",
    }
}

/// What a module says of a step with one input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// Whether it can be sent again under the same key without a second
    /// effect.
    pub idempotent: bool,
    /// Whether it says how it is undone.
    pub reversible: bool,
}

/// Answers what a module says of a step with this input. Pure.
#[derive(Clone)]
pub struct TraitsOf(Arc<Judge>);

type Judge = dyn Fn(&Map<String, Value>) -> Traits + Send + Sync;

impl TraitsOf {
    /// By this function.
    #[must_use]
    pub fn new(of: impl Fn(&Map<String, Value>) -> Traits + Send + Sync + 'static) -> Self {
        Self(Arc::new(of))
    }

    /// The traits of a step with this input.
    #[must_use]
    pub fn of(&self, input: &Map<String, Value>) -> Traits {
        (self.0)(input)
    }
}

/// Neither, whatever the input.
impl Default for TraitsOf {
    fn default() -> Self {
        Self::new(|_| Traits::default())
    }
}

impl fmt::Debug for TraitsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TraitsOf")
    }
}

/// What a module declares and the gate needs to know of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Capability {
    /// The module's name.
    pub name: String,
    /// The module's version.
    pub version: String,
    /// How costly it is.
    pub cost_class: CostClass,
    /// The least action class that a step with it has.
    pub action_class: ActionClass,
    /// Whether it always needs a person.
    pub requires_approval: bool,
    /// Whether it writes outside writ.
    pub writes_outside: bool,
    /// Whether a compensation can be declared.
    pub reversible: bool,
    /// What it says of a step, by its input.
    #[serde(skip)]
    pub traits: TraitsOf,
}

/// The modules that exist, by name.
pub type Capabilities = BTreeMap<String, Capability>;

/// Evidence that grounds a step, named in one of three ways.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Grounding {
    /// By the source's own id.
    Source {
        /// The kind of source, for example `alert`.
        source_type: String,
        /// The source's id.
        source_id: String,
    },
    /// By the ledger entry that filed it.
    Entry(#[schemars(with = "String")] EntryId),
    /// By where it can be read.
    Locator(String),
}

/// One step of a directive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its name, unique within the directive.
    pub id: String,
    /// The module that does it.
    pub module: String,
    /// The module's input, an object.
    pub input: Map<String, Value>,
    /// What is set aside for it before it starts.
    #[schemars(with = "String")]
    pub cost: Money,
    /// Evidence that it rests on; at least one.
    pub evidence: Vec<Grounding>,
}

/// What a directive may touch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// The subjects; the first is what the snapshot describes.
    #[schemars(with = "Vec<String>")]
    pub subjects: Vec<Subject>,
}

/// The contract of a directive (GATE-1). Every field must be given; unknown
/// fields are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// Who issues it.
    #[schemars(with = "String")]
    pub issued_by: Actor,
    /// The role that it is addressed to.
    pub role: String,
    /// The type of directive, for example `incident.mitigate`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is for, in a sentence.
    pub objective: String,
    /// What it may touch.
    pub scope: Scope,
    /// What it must keep to, by name.
    pub constraints: BTreeMap<String, Value>,
    /// How success is known.
    pub success_metrics: Vec<String>,
    /// The most that it may cost.
    #[schemars(with = "String")]
    pub budget: Money,
    /// How long it may take from its proposal.
    #[schemars(with = "String")]
    pub timebox: Span,
    /// What it does to the world.
    #[schemars(with = "String")]
    pub action_class: ActionClass,
    /// What is done, in order; at least one.
    pub steps: Vec<Step>,
    /// The frozen world state that it was decided on.
    #[schemars(with = "String")]
    pub snapshot: SnapshotId,
}

/// The JSON Schema (draft 2020-12) of [`Contract`].
#[must_use]
pub fn schema() -> Value {
    schemars::schema_for!(Contract).to_value()
}

impl Contract {
    /// SHA-256 over `writ.directive.v1`, a line feed and the canonical JSON:
    /// identifies this version of the contract.
    ///
    /// # Errors
    /// When the contract has no canonical form.
    pub fn digest(&self) -> Result<Digest, Refusal> {
        Ok(Digest::of_value("writ.directive.v1", self)?)
    }

    /// The step with this id.
    #[must_use]
    pub fn step(&self, id: &str) -> Option<&Step> {
        self.steps.iter().find(|s| s.id == id)
    }

    /// The first subject of the scope: what the directive is about.
    #[must_use]
    pub fn subject(&self) -> Option<&Subject> {
        self.scope.subjects.first()
    }

    /// The written justification, where one is given: the text under
    /// `justification` among the constraints. EXPENSIVE operations need it.
    #[must_use]
    pub fn justification(&self) -> Option<&str> {
        self.constraints
            .get("justification")
            .and_then(Value::as_str)
    }

    /// What all steps cost together.
    ///
    /// # Errors
    /// When a step is in another currency than the budget.
    pub fn cost(&self) -> Result<Money, Refusal> {
        let mut total = Money::zero(self.budget.currency());
        for (at, step) in self.steps.iter().enumerate() {
            total = total
                .plus(&step.cost)
                .map_err(|e| e.at(format!("steps[{at}].cost")))?;
        }
        Ok(total)
    }

    /// The top-level fields in which this contract differs from `other`.
    ///
    /// # Errors
    /// When either has no JSON form.
    pub fn changed_from(&self, other: &Self) -> Result<Vec<String>, Refusal> {
        let form = |contract: &Self| match serde_json::to_value(contract) {
            Ok(Value::Object(fields)) => Ok(fields),
            _ => Err(Refusal::invalid("the contract has no JSON form")),
        };
        let (mine, theirs) = (form(self)?, form(other)?);
        let changed = mine.iter().filter(|(name, v)| theirs.get(*name) != Some(v));
        Ok(changed.map(|(name, _)| name.clone()).collect())
    }

    /// Checks the contract by itself: bounds, unique steps, budget that covers
    /// the steps, evidence named.
    ///
    /// # Errors
    /// The first fault, with the path of its field.
    pub fn check(&self) -> Result<(), Refusal> {
        for (field, text) in [
            ("role", &self.role),
            ("type", &self.kind),
            ("objective", &self.objective),
        ] {
            bounded(field, text)?;
        }
        if self.scope.subjects.is_empty() {
            return Err(Refusal::invalid("names no subject").at("scope.subjects"));
        }
        if self.timebox == Span::ZERO {
            return Err(Refusal::invalid("must be longer than nothing").at("timebox"));
        }
        if self.steps.is_empty() || self.steps.len() > limits::DIRECTIVE_STEPS_MAX {
            return Err(Refusal::invalid(format!(
                "has {} steps, allowed are 1 to {}",
                self.steps.len(),
                limits::DIRECTIVE_STEPS_MAX
            ))
            .at("steps"));
        }
        let mut ids = BTreeSet::new();
        for (at, step) in self.steps.iter().enumerate() {
            let place = format!("steps[{at}]");
            bounded("id", &step.id).map_err(|e| e.at(&place))?;
            bounded("module", &step.module).map_err(|e| e.at(&place))?;
            if !ids.insert(&step.id) {
                return Err(
                    Refusal::invalid(format!("the id `{}` stands twice", step.id)).at(place),
                );
            }
            if step.evidence.is_empty() {
                return Err(Refusal::invalid("names no evidence").at(format!("{place}.evidence")));
            }
        }
        let total = self.cost()?;
        if total.exceeds(&self.budget)? {
            return Err(Refusal::invalid(format!(
                "the steps cost `{total}`, the budget is `{}`",
                self.budget
            ))
            .at("budget"));
        }
        Ok(())
    }
}

/// Checks that a text is neither empty nor too long.
pub(crate) fn bounded(field: &str, text: &str) -> Result<(), Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::invalid("is empty").at(field));
    }
    if text.len() > limits::TEXT_BYTES_MAX {
        return Err(Refusal::invalid(format!(
            "has {} bytes, allowed are {}",
            text.len(),
            limits::TEXT_BYTES_MAX
        ))
        .at(field));
    }
    Ok(())
}
