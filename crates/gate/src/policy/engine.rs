//! Cedar behind one small face: text in, checked and sliced by action once;
//! then questions, for which only the entities of the question are built.

use super::lexical::{fault_at, scan};
use super::{Decision, Fault};
use cedar_policy::{
    ActionConstraint, Authorizer, Context, Effect, Entities, Entity, EntityId, EntityTypeName,
    EntityUid, Policy, PolicyId, PolicySet, PrincipalConstraint, Request, RequestValidationError,
    ResourceConstraint, RestrictedExpression, Schema, ValidationMode, Validator,
};
use kernel::{Digest, Verdict};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::str::FromStr;

/// The file name under which faults of the schema are reported.
const SCHEMA_FILE: &str = "schema";

/// An entity of a question.
pub(crate) struct Node<'a> {
    pub(crate) kind: &'a str,
    pub(crate) id: &'a str,
    pub(crate) parents: Vec<(&'a str, &'a str)>,
    pub(crate) attributes: Vec<(&'a str, Attribute<'a>)>,
}

/// An attribute of an entity.
pub(crate) enum Attribute<'a> {
    Text(&'a str),
    Entity(&'a str, &'a str),
}

/// A question.
pub(crate) struct Question<'a> {
    pub(crate) principal: Node<'a>,
    pub(crate) action: &'a str,
    pub(crate) resource: Node<'a>,
    /// Parents of the two that have parents themselves.
    pub(crate) others: Vec<Node<'a>>,
    pub(crate) context: &'a Map<String, Value>,
}

/// What can happen with one action: itself, and the policies that may speak
/// of it.
#[derive(Debug)]
struct Slice {
    uid: EntityUid,
    entity: Option<Entity>,
    policies: PolicySet,
}

/// Policies that were checked and sliced.
#[derive(Debug)]
pub(crate) struct Engine {
    schema: Schema,
    authorizer: Authorizer,
    types: BTreeMap<String, EntityTypeName>,
    slices: BTreeMap<String, Slice>,
    advising: BTreeSet<String>,
    ids: Vec<String>,
    #[cfg(test)]
    whole: PolicySet,
}

#[derive(Serialize)]
struct Hashed<'a> {
    schema: &'a str,
    files: &'a BTreeMap<&'a str, &'a str>,
}

impl Engine {
    /// Parses, checks and slices.
    pub(crate) fn load(
        schema: &str,
        files: &[(String, String)],
    ) -> Result<(Self, Digest), Vec<Fault>> {
        let mut faults = Vec::new();
        let mut by_name = BTreeMap::new();
        for (file, text) in files {
            if by_name.insert(file.as_str(), text.as_str()).is_some() {
                faults.push(whole_file(file, "stands twice in the set"));
            }
        }
        let parsed_schema = parse_schema(schema).map_err(|fault| vec![fault])?;
        let validator = Validator::new(parsed_schema.clone());
        let mut policies: BTreeMap<String, Policy> = BTreeMap::new();
        for (file, text) in &by_name {
            for (place, policy) in parse_file(file, text, &validator, &mut faults) {
                let id = policy.id().to_string();
                if policies.contains_key(&id) {
                    faults.push(fault_at(
                        file,
                        text,
                        place,
                        format!("the id `{id}` stands twice"),
                    ));
                }
                policies.insert(id, policy);
            }
        }
        if faults.is_empty() {
            faults.extend(lint_set(&policies));
        }
        if !faults.is_empty() {
            faults.sort();
            return Err(faults);
        }
        let hashed = Hashed {
            schema,
            files: &by_name,
        };
        let hash = Digest::of_value("writ.policy.v1", &hashed)
            .map_err(|e| vec![whole_file(SCHEMA_FILE, &e.to_string())])?;
        Ok((Self::slice(parsed_schema, &policies)?, hash))
    }

    fn slice(schema: Schema, policies: &BTreeMap<String, Policy>) -> Result<Self, Vec<Fault>> {
        let fault = |what: String| vec![whole_file(SCHEMA_FILE, &what)];
        let actions = schema.action_entities().map_err(|e| fault(e.to_string()))?;
        let mut slices = BTreeMap::new();
        for uid in schema.actions() {
            let mut set = PolicySet::new();
            for policy in policies.values() {
                if speaks_of(policy, uid, &actions) {
                    set.add(policy.clone()).map_err(|e| fault(e.to_string()))?;
                }
            }
            let slice = Slice {
                uid: uid.clone(),
                entity: actions.get(uid).cloned(),
                policies: set,
            };
            slices.insert(uid.id().unescaped().to_owned(), slice);
        }
        let types = schema
            .entity_types()
            .map(|name| (name.to_string(), name.clone()))
            .collect();
        let advises = |policy: &&Policy| policy.annotation("advice").is_some();
        Ok(Self {
            authorizer: Authorizer::new(),
            types,
            slices,
            advising: policies
                .values()
                .filter(advises)
                .map(|p| p.id().to_string())
                .collect(),
            ids: policies.keys().cloned().collect(),
            #[cfg(test)]
            whole: PolicySet::from_policies(policies.values().cloned())
                .map_err(|e| fault(e.to_string()))?,
            schema,
        })
    }

    /// The ids of the policies, sorted.
    pub(crate) fn ids(&self) -> &[String] {
        &self.ids
    }

    /// Answers a question; whatever cannot be evaluated blocks.
    pub(crate) fn answer(&self, question: &Question<'_>) -> Decision {
        let Some(slice) = self.slices.get(question.action) else {
            return blocked(format!("the schema has no action `{}`", question.action));
        };
        self.evaluate(question, slice, &slice.policies)
    }

    /// As [`Engine::answer`], over all policies: what slicing must agree with.
    #[cfg(test)]
    pub(crate) fn answer_unsliced(&self, question: &Question<'_>) -> Decision {
        self.evaluate(question, &self.slices[question.action], &self.whole)
    }

    fn evaluate(&self, question: &Question<'_>, slice: &Slice, policies: &PolicySet) -> Decision {
        let (request, entities) = match self.build(question, slice) {
            Ok(built) => built,
            Err(error) => return blocked(error),
        };
        let response = self.authorizer.is_authorized(&request, policies, &entities);
        let diagnostics = response.diagnostics();
        let mut errors: Vec<_> = diagnostics.errors().map(ToString::to_string).collect();
        errors.sort();
        let mut determining: Vec<_> = diagnostics.reason().map(ToString::to_string).collect();
        determining.sort();
        let verdict = match response.decision() {
            // Cedar skips a policy that fails; a forbid that fails must not
            // be as if it did not stand there.
            _ if !errors.is_empty() => Verdict::Block,
            cedar_policy::Decision::Deny => Verdict::Block,
            cedar_policy::Decision::Allow
                if determining.iter().any(|id| self.advising.contains(id)) =>
            {
                Verdict::Warn
            }
            cedar_policy::Decision::Allow => Verdict::Allow,
        };
        Decision {
            verdict,
            determining,
            errors,
        }
    }

    fn build(&self, question: &Question<'_>, slice: &Slice) -> Result<(Request, Entities), String> {
        let principal = self.entity(&question.principal)?;
        let resource = self.entity(&question.resource)?;
        // Cedar's text would print the values, here and below.
        let context = Context::from_pairs(expressions(question.context)?)
            .map_err(|_| "a value of the context is not well-formed".to_owned())?;
        let request = Request::new(
            principal.uid(),
            slice.uid.clone(),
            resource.uid(),
            context,
            Some(&self.schema),
        )
        .map_err(|e| match e {
            RequestValidationError::InvalidContext(_) => {
                format!(
                    "the context does not fit the schema of `{}`",
                    question.action
                )
            }
            other => other.to_string(),
        })?;
        let mut nodes = vec![principal, resource];
        nodes.extend(slice.entity.clone());
        for other in &question.others {
            nodes.push(self.entity(other)?);
        }
        let entities = Entities::from_entities(nodes, None).map_err(|e| e.to_string())?;
        Ok((request, entities))
    }

    fn entity(&self, node: &Node<'_>) -> Result<Entity, String> {
        let parents: Result<HashSet<_>, _> = node
            .parents
            .iter()
            .map(|(kind, id)| self.uid(kind, id))
            .collect();
        let mut attributes = std::collections::HashMap::with_capacity(node.attributes.len());
        for (name, attribute) in &node.attributes {
            let expression = match attribute {
                Attribute::Text(text) => RestrictedExpression::new_string((*text).to_owned()),
                Attribute::Entity(kind, id) => {
                    RestrictedExpression::new_entity_uid(self.uid(kind, id)?)
                }
            };
            attributes.insert((*name).to_owned(), expression);
        }
        Entity::new(self.uid(node.kind, node.id)?, attributes, parents?).map_err(|e| e.to_string())
    }

    fn uid(&self, kind: &str, id: &str) -> Result<EntityUid, String> {
        let name = self
            .types
            .get(kind)
            .ok_or_else(|| format!("the schema has no entity type `{kind}`"))?;
        Ok(EntityUid::from_type_name_and_id(
            name.clone(),
            EntityId::new(id),
        ))
    }
}

fn blocked(error: String) -> Decision {
    Decision {
        verdict: Verdict::Block,
        determining: Vec::new(),
        errors: vec![error],
    }
}

/// The context as Cedar expressions. Absent and null are the same; numbers
/// with a fraction are refused, because Cedar has no floats.
fn expressions(
    context: &Map<String, Value>,
) -> Result<Vec<(String, RestrictedExpression)>, String> {
    let given = context.iter().filter(|(_, value)| !value.is_null());
    given
        .map(|(name, value)| {
            let made = expression(value).map_err(|e| format!("context `{name}`: {e}"))?;
            Ok((name.clone(), made))
        })
        .collect()
}

fn expression(value: &Value) -> Result<RestrictedExpression, String> {
    match value {
        Value::Null => Err("null has no place in a list or record".to_owned()),
        Value::Bool(value) => Ok(RestrictedExpression::new_bool(*value)),
        Value::String(text) => Ok(RestrictedExpression::new_string(text.clone())),
        Value::Number(number) => number
            .as_i64()
            .map(RestrictedExpression::new_long)
            .ok_or_else(|| format!("`{number}` is not a whole number of 64 bits")),
        Value::Array(items) => {
            let items: Result<Vec<_>, _> = items.iter().map(expression).collect();
            Ok(RestrictedExpression::new_set(items?))
        }
        Value::Object(fields) => match fields.get("__extn") {
            Some(extension) if fields.len() == 1 => decimal(extension),
            _ => {
                if let Some(reserved) = fields.keys().find(|key| key.starts_with("__")) {
                    return Err(format!("the key `{reserved}` is reserved"));
                }
                RestrictedExpression::new_record(expressions(fields)?).map_err(|e| e.to_string())
            }
        },
    }
}

/// `{"fn": "decimal", "arg": "1.50"}`, the only extension that is taken.
fn decimal(extension: &Value) -> Result<RestrictedExpression, String> {
    let argument = extension.get("arg").and_then(Value::as_str);
    match (extension.get("fn").and_then(Value::as_str), argument) {
        (Some("decimal"), Some(text)) => Ok(RestrictedExpression::new_decimal(text)),
        _ => Err("only decimals may be written as an extension".to_owned()),
    }
}

fn whole_file(file: &str, message: &str) -> Fault {
    Fault {
        file: file.to_owned(),
        line: 0,
        column: 0,
        message: message.to_owned(),
    }
}

fn parse_schema(text: &str) -> Result<Schema, Fault> {
    scan_schema(text)?;
    let (schema, warnings) = Schema::from_cedarschema_str(text).map_err(|e| {
        describe(SCHEMA_FILE, text, &e)
            .into_iter()
            .next()
            .unwrap_or_else(|| whole_file(SCHEMA_FILE, &e.to_string()))
    })?;
    match warnings.into_iter().next() {
        None => Ok(schema),
        Some(warning) => Err(whole_file(SCHEMA_FILE, &warning.to_string())),
    }
}

/// A schema is bounded like a policy, but for its length in words: dots and
/// signs stand in no expression there.
fn scan_schema(text: &str) -> Result<(), Fault> {
    scan(SCHEMA_FILE, text).map(drop)
}

/// The policies of one file with their places, under their own ids. What is
/// wrong goes to `faults`.
fn parse_file(
    file: &str,
    text: &str,
    validator: &Validator,
    faults: &mut Vec<Fault>,
) -> Vec<(usize, Policy)> {
    let starts = match scan(file, text) {
        Ok(starts) => starts,
        Err(fault) => {
            faults.push(fault);
            return Vec::new();
        }
    };
    let parsed = match PolicySet::from_str(text) {
        Ok(parsed) => parsed,
        Err(errors) => {
            faults.extend(describe(file, text, &errors));
            return Vec::new();
        }
    };
    if parsed.templates().next().is_some() {
        faults.push(whole_file(
            file,
            "templates are not supported; write the principal and the resource out",
        ));
        return Vec::new();
    }
    let checked = validator.validate(&parsed, ValidationMode::Strict);
    for error in checked.validation_errors() {
        faults.extend(describe(file, text, error));
    }
    for warning in checked.validation_warnings() {
        faults.extend(describe(file, text, warning));
    }
    let mut named = Vec::new();
    for policy in parsed.policies() {
        let place = place_of(policy, &starts);
        match lint_policy(policy) {
            Err(message) => faults.push(fault_at(file, text, place, message)),
            Ok(id) => named.push((place, policy.new_id(PolicyId::new(id)))),
        }
    }
    named.sort_by_key(|(place, _)| *place);
    named
}

/// Where a parsed policy begins: Cedar names them `policy0`, `policy1`… in
/// their order.
fn place_of(policy: &Policy, starts: &[usize]) -> usize {
    let number = policy.id().to_string();
    let number = number.strip_prefix("policy").and_then(|n| n.parse().ok());
    number
        .and_then(|n: usize| starts.get(n))
        .copied()
        .unwrap_or(0)
}

/// The policy's id, when the policy may stand in a set at all.
fn lint_policy(policy: &Policy) -> Result<String, String> {
    let id = policy
        .annotation("id")
        .filter(|id| !id.trim().is_empty())
        .ok_or("the policy has no `@id(\"…\")`; it is how decisions name it")?;
    let everything = policy.principal_constraint() == PrincipalConstraint::Any
        && policy.action_constraint() == ActionConstraint::Any
        && policy.resource_constraint() == ResourceConstraint::Any
        && !policy.has_non_scope_constraint();
    if everything && policy.effect() == Effect::Forbid {
        return Err(format!(
            "`{id}` forbids everything; narrow it or take it out"
        ));
    }
    match (policy.annotation("advice"), policy.effect()) {
        (None, _) | (Some("warn"), Effect::Permit) => Ok(id.to_owned()),
        (Some(_), Effect::Forbid) => Err(format!("`{id}` forbids, so it cannot advise")),
        (Some(other), Effect::Permit) => Err(format!(
            "`{id}` has the unknown advice `{other}`; write `@advice(\"warn\")`"
        )),
    }
}

/// What is wrong with the policies taken together.
fn lint_set(policies: &BTreeMap<String, Policy>) -> Option<Fault> {
    if policies.is_empty() {
        return Some(whole_file(
            "policies",
            "the set is empty and would deny everything",
        ));
    }
    let permits = policies.values().any(|p| p.effect() == Effect::Permit);
    (!permits).then(|| {
        whole_file(
            "policies",
            "no policy permits anything, so the set would deny everything",
        )
    })
}

/// Whether a policy can apply to an action, by its scope alone.
fn speaks_of(policy: &Policy, action: &EntityUid, actions: &Entities) -> bool {
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(one) => one == *action,
        ActionConstraint::In(several) => several
            .iter()
            .any(|group| group == action || actions.is_ancestor_of(group, action)),
    }
}

/// A diagnostic and those it relates to, each at its place.
fn describe(file: &str, text: &str, error: &dyn miette::Diagnostic) -> Vec<Fault> {
    let all = std::iter::once(error).chain(error.related().into_iter().flatten());
    let one = |diagnostic: &dyn miette::Diagnostic| {
        let mut message = diagnostic.to_string();
        if let Some(help) = diagnostic.help() {
            message.push_str(&format!(" ({help})"));
        }
        match diagnostic.labels().and_then(|mut labels| labels.next()) {
            Some(label) => fault_at(file, text, label.offset(), message),
            None => whole_file(file, &message),
        }
    };
    all.map(one).collect()
}
