//! Policy: Cedar policies of a pack, checked against one fixed schema when
//! they are loaded, named by their hash, and asked at every choke point. An
//! empty or broken set never loads, a policy that fails while it is evaluated
//! blocks, and nothing here knows what any policy is about.

mod cases;
mod engine;
mod facts;
mod lexical;
mod lint;
mod question;
mod scope;

#[cfg(test)]
mod agree;
#[cfg(test)]
mod tests;

pub use cases::{Case, Changed, Expected, compare};
pub use facts::{Facts, HISTORY, complete};
pub use lint::{Known, lint};

use crate::contract::{ActionClass, CostClass};
use crate::history::{FactSet, Measure, SchemaOf};
pub(crate) use engine::Engine;
use kernel::names::Name;
use kernel::{Actor, Digest, PrincipalKind, Role, Subject, Verdict};
pub(crate) use question::{Attribute, Node, Question};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

/// The schema that the policies of every pack are checked against.
pub const SCHEMA: &str = include_str!("schema.cedarschema");
/// The last member of the context in [`SCHEMA`]; facts stand after it.
const LAST_MEMBER: &str = "  \"destination\"?: String,\n";

/// The schema of a pack with these facts: [`SCHEMA`], with the facts as the
/// record `history` of the context.
#[must_use]
pub fn schema(history: &FactSet, of: SchemaOf) -> Cow<'static, str> {
    if history.is_empty() {
        return Cow::Borrowed(SCHEMA);
    }
    let record = history.schema(of);
    let with = format!("{LAST_MEMBER}  \"history\": {record},\n");
    Cow::Owned(SCHEMA.replacen(LAST_MEMBER, &with, 1))
}

/// The choke points as actions of [`SCHEMA`].
pub mod action {
    /// Before a plan is approved.
    pub const PLAN_APPROVAL: &str = "plan_approval";
    /// Before a step is executed.
    pub const STEP_EXECUTION: &str = "step_execution";
    /// Before anything is written outside.
    pub const EXTERNAL_WRITE: &str = "external_write";
    /// Before an operation of cost class EXPENSIVE.
    pub const EXPENSIVE_OPERATION: &str = "expensive_operation";
    /// All of them.
    pub const ALL: [&str; 4] = [
        PLAN_APPROVAL,
        STEP_EXECUTION,
        EXTERNAL_WRITE,
        EXPENSIVE_OPERATION,
    ];
}

/// What is wrong with a policy or the schema, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fault {
    /// The file.
    pub file: String,
    /// The line, from 1; 0 when the fault is not at one place.
    pub line: usize,
    /// The column in characters, from 1; 0 when the fault is not at one place.
    pub column: usize,
    /// What is wrong and, where known, what to do.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}:{}: {}", self.file, self.column, self.message),
        }
    }
}

impl std::error::Error for Fault {}

/// What policy is asked about: one operation on one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// The directive's type.
    #[serde(rename = "directive_type")]
    pub directive_kind: String,
    /// The module (tool).
    pub module: String,
    /// The subject.
    pub subject: Subject,
    /// What it does to the world.
    pub action_class: ActionClass,
    /// How costly it is.
    pub cost_class: CostClass,
}

/// A question to policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Who asks.
    pub principal: Actor,
    /// The principal's roles in the tenant.
    pub roles: Vec<Role>,
    /// The choke point, one of [`action`].
    pub action: String,
    /// What is asked for.
    pub resource: Resource,
    /// What the gate knows; make it with [`Facts`].
    pub context: Map<String, Value>,
}

/// The answer of policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// ALLOW when a policy permits and none forbids; WARN when one of those
    /// that permit is annotated `@advice("warn")`; BLOCK otherwise, and
    /// whenever anything could not be evaluated.
    pub verdict: Verdict,
    /// The ids of the policies that decided, sorted. Empty when nothing
    /// permitted.
    pub determining: Vec<String>,
    /// What could not be evaluated, sorted.
    pub errors: Vec<String>,
}

impl Decision {
    /// Why, in a sentence, for what was asked at this choke point.
    #[must_use]
    pub fn reason(&self, action: &str) -> String {
        let named = self.determining.join("`, `");
        match (
            self.verdict,
            self.determining.is_empty(),
            self.errors.is_empty(),
        ) {
            (Verdict::Allow, _, _) => format!("permitted by `{named}`"),
            (Verdict::Warn, _, _) => format!("permitted with advice by `{named}`"),
            (Verdict::Block, _, false) => "a policy could not be evaluated".to_owned(),
            (Verdict::Block, true, true) => format!("no policy permits `{action}`"),
            (Verdict::Block, false, true) => format!("not permitted; determined by `{named}`"),
        }
    }
}

/// A policy as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Written {
    /// The file.
    pub file: String,
    /// The line at which it begins, from 1.
    pub line: usize,
    /// Its text.
    pub text: String,
}

/// A set of policies that was checked and can be asked.
#[derive(Debug)]
pub struct PolicySet {
    hash: Digest,
    engine: Engine,
    history: FactSet,
}

impl PolicySet {
    /// Parses and checks policies against a schema ([`SCHEMA`] outside tests).
    ///
    /// # Errors
    /// Every fault that was found, sorted by place.
    pub fn load(schema: &str, policies: &[(String, String)]) -> Result<Self, Vec<Fault>> {
        let (engine, hash) = Engine::load(schema, schema, policies)?;
        Ok(Self {
            hash,
            engine,
            history: FactSet::default(),
        })
    }

    /// Parses and checks policies that may name these facts.
    ///
    /// # Errors
    /// Every fault that was found, sorted by place.
    pub fn with_history(
        history: &FactSet,
        policies: &[(String, String)],
    ) -> Result<Self, Vec<Fault>> {
        let of_policies = schema(history, SchemaOf::Policies);
        let of_questions = schema(history, SchemaOf::Questions);
        let (engine, hash) = Engine::load(&of_policies, &of_questions, policies)?;
        Ok(Self {
            hash,
            engine,
            history: history.clone(),
        })
    }

    /// The facts that a question states and this set does not know.
    #[must_use]
    pub fn unknown_facts(&self, request: &Request) -> Vec<String> {
        let stated = request.context.get(HISTORY).and_then(Value::as_object);
        let names = stated.into_iter().flat_map(Map::keys);
        names
            .filter(|name| !self.history.iter().any(|fact| fact.name == **name))
            .cloned()
            .collect()
    }

    /// Whether a question that was asked of another set tells every count that
    /// this one may ask for.
    #[must_use]
    pub fn is_told(&self, request: &Request) -> bool {
        let stated = request.context.get(HISTORY).and_then(Value::as_object);
        let counts = self.history.iter().filter(|f| f.measure == Measure::Count);
        let mut counts = counts.map(|fact| &fact.name);
        counts.all(|name| stated.is_some_and(|stated| stated.contains_key(name)))
    }

    /// A question that was asked of another set, or that a test states, as
    /// this one takes it: facts that it does not know are left out, and counts
    /// that are not stated are 0.
    #[must_use]
    pub fn fitted<'a>(&self, request: &'a Request) -> Cow<'a, Request> {
        if self.history.is_empty() && !request.context.contains_key(HISTORY) {
            return Cow::Borrowed(request);
        }
        let mut request = request.clone();
        let stated = request.context.remove(HISTORY);
        if !self.history.is_empty() {
            let mut stated = match stated {
                Some(Value::Object(stated)) => stated,
                _ => Map::new(),
            };
            stated.retain(|name, _| self.history.iter().any(|fact| fact.name == *name));
            self.history.complete(&mut stated);
            request.context.insert(HISTORY.to_owned(), stated.into());
        }
        Cow::Owned(request)
    }

    /// SHA-256 over `writ.policy.v1`, a line feed and the canonical JSON of
    /// `{"files": {name: text}, "schema": text}`: the version of the set.
    #[must_use]
    pub fn hash(&self) -> Digest {
        self.hash
    }

    /// The ids of the policies, sorted.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.engine.ids().to_vec()
    }

    /// A policy of the set as it is written.
    #[must_use]
    pub fn written(&self, id: &str) -> Option<Written> {
        self.engine.written(id)
    }

    /// Answers a question. The same question to the same set has the same
    /// answer always.
    #[must_use]
    pub fn decide(&self, request: &Request) -> Decision {
        let subject = request.resource.subject.to_string();
        self.engine.answer(&question(request, &subject))
    }

    /// Answers several questions as one: the worst verdict, and all that
    /// determined any of them. No question at all blocks.
    #[must_use]
    pub fn decide_all(&self, requests: &[Request]) -> Decision {
        let (mut verdict, mut determining, mut errors) = (None, BTreeSet::new(), BTreeSet::new());
        for request in requests {
            let decision = self.decide(request);
            verdict = verdict.max(Some(decision.verdict));
            determining.extend(decision.determining);
            errors.extend(decision.errors);
        }
        Decision {
            verdict: verdict.unwrap_or(Verdict::Block),
            determining: determining.into_iter().collect(),
            errors: errors.into_iter().collect(),
        }
    }
}

fn question<'a>(request: &'a Request, subject: &'a str) -> Question<'a> {
    let resource = &request.resource;
    Question {
        principal: principal(&request.principal, &request.roles),
        action: &request.action,
        resource: Node {
            kind: "Operation",
            id: &resource.module,
            parents: vec![("Tool", &resource.module), ("Subject", subject)],
            attributes: vec![
                ("directive_type", Attribute::Text(&resource.directive_kind)),
                ("tool", Attribute::Text(&resource.module)),
                ("subject", Attribute::Text(subject)),
                ("subject_type", Attribute::Text(resource.subject.kind())),
                (
                    "action_class",
                    Attribute::Entity("ActionClass", resource.action_class.name()),
                ),
                (
                    "cost_class",
                    Attribute::Entity("CostClass", resource.cost_class.name()),
                ),
            ],
        },
        others: vec![Node {
            kind: "Subject",
            id: subject,
            parents: vec![("SubjectType", resource.subject.kind())],
            attributes: Vec::new(),
        }],
        context: &request.context,
    }
}

/// The principal of a question, in its roles.
pub(crate) fn principal<'a>(actor: &'a Actor, roles: &[Role]) -> Node<'a> {
    Node {
        kind: match actor.kind {
            PrincipalKind::Human => "Human",
            PrincipalKind::Agent => "Agent",
            PrincipalKind::Service => "Service",
            PrincipalKind::System => "System",
        },
        id: &actor.id,
        parents: roles.iter().map(|role| ("Role", role.name())).collect(),
        attributes: vec![("id", Attribute::Text(&actor.id))],
    }
}
