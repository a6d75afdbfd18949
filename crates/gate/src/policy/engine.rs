//! Cedar behind one small face: text in, checked and sliced by action and
//! scope once; then questions, for which only the entities of the question are
//! built and only the policies that it can concern are asked.

use super::lexical::{fault_at, scan};
use super::question::{Builder, Question};
use super::scope::{Index, Needs};
use super::{Decision, Fault, Written};
use cedar_policy::{
    ActionConstraint, Authorizer, Effect, Entities, Entity, EntityUid, Policy, PolicyId, PolicySet,
    PrincipalConstraint, ResourceConstraint, Schema, ValidationMode, Validator,
};
use kernel::{Digest, Verdict};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

/// The file name under which faults of the schema are reported.
const SCHEMA_FILE: &str = "schema";

/// What can happen with one action: itself, and where the groups that may
/// speak of it are found.
#[derive(Debug)]
struct Slice {
    uid: EntityUid,
    entity: Option<Entity>,
    index: Index,
}

/// Policies that were checked and sliced.
#[derive(Debug)]
pub(crate) struct Engine {
    builder: Builder,
    authorizer: Authorizer,
    /// Policies that speak of the same actions and need the same of a question
    /// are asked together.
    groups: Vec<PolicySet>,
    slices: BTreeMap<String, Slice>,
    advising: BTreeSet<String>,
    ids: Vec<String>,
    /// Where each policy begins: file and line.
    places: BTreeMap<String, Place>,
    #[cfg(test)]
    whole: PolicySet,
}

#[derive(Serialize)]
struct Hashed<'a> {
    schema: &'a str,
    files: &'a BTreeMap<&'a str, &'a str>,
}

/// Where a policy stands. Its id is shown with what cannot be printed written
/// out, so that it is another text than the id itself.
#[derive(Debug)]
struct Place {
    file: String,
    line: usize,
    id: PolicyId,
}

impl Engine {
    /// Parses, checks and slices. Policies are checked against one schema, and
    /// questions are held to another, in which more may be missing.
    pub(crate) fn load(
        schema: &str,
        questions: &str,
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
        let of_questions = match questions == schema {
            true => parsed_schema.clone(),
            false => parse_schema(questions).map_err(|fault| vec![fault])?,
        };
        let validator = Validator::new(parsed_schema);
        let mut policies: BTreeMap<String, Policy> = BTreeMap::new();
        let mut places = BTreeMap::new();
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
                let line = fault_at(file, text, place, String::new()).line;
                let place = Place {
                    file: (*file).to_owned(),
                    line,
                    id: policy.id().clone(),
                };
                places.insert(id.clone(), place);
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
        Ok((Self::slice(of_questions, &policies, places)?, hash))
    }

    fn slice(
        schema: Schema,
        policies: &BTreeMap<String, Policy>,
        places: BTreeMap<String, Place>,
    ) -> Result<Self, Vec<Fault>> {
        let fault = |what: String| vec![whole_file(SCHEMA_FILE, &what)];
        let actions = schema.action_entities().map_err(|e| fault(e.to_string()))?;
        let uids: Vec<EntityUid> = schema.actions().cloned().collect();
        let mut grouped: BTreeMap<(Vec<bool>, Needs), Vec<Policy>> = BTreeMap::new();
        for policy in policies.values() {
            let speaks = uids.iter().map(|uid| speaks_of(policy, uid, &actions));
            let alike = (speaks.collect(), Needs::of(policy));
            grouped.entry(alike).or_default().push(policy.clone());
        }
        let mut slices = BTreeMap::new();
        for (at, uid) in uids.iter().enumerate() {
            let needs = grouped.keys().enumerate();
            let needs = needs
                .filter(|(_, (speaks, _))| speaks.get(at) == Some(&true))
                .map(|(number, (_, needs))| (number, needs.clone()));
            let slice = Slice {
                uid: uid.clone(),
                // An action in no group is what it is without its entity.
                entity: grouped_action(uid, &actions),
                index: Index::new(needs.collect()),
            };
            slices.insert(uid.id().unescaped().to_owned(), slice);
        }
        let groups: Result<Vec<_>, _> = grouped
            .into_values()
            .map(PolicySet::from_policies)
            .collect();
        let advises = |policy: &&Policy| policy.annotation("advice").is_some();
        Ok(Self {
            builder: Builder::new(schema),
            authorizer: Authorizer::new(),
            groups: groups.map_err(|e| fault(e.to_string()))?,
            slices,
            advising: policies
                .values()
                .filter(advises)
                .map(|p| p.id().to_string())
                .collect(),
            ids: policies.keys().cloned().collect(),
            places,
            #[cfg(test)]
            whole: PolicySet::from_policies(policies.values().cloned())
                .map_err(|e| fault(e.to_string()))?,
        })
    }

    /// The ids of the policies, sorted.
    pub(crate) fn ids(&self) -> &[String] {
        &self.ids
    }

    /// A policy as it is written.
    pub(crate) fn written(&self, id: &str) -> Option<Written> {
        let place = self.places.get(id)?;
        let policy = self.groups.iter().find_map(|g| g.policy(&place.id))?;
        Some(Written {
            file: place.file.clone(),
            line: place.line,
            text: policy.to_string(),
        })
    }

    /// Answers a question; whatever cannot be evaluated blocks.
    pub(crate) fn answer(&self, question: &Question<'_>) -> Decision {
        let Some(slice) = self.slices.get(question.action) else {
            return blocked(format!("the schema has no action `{}`", question.action));
        };
        let concerned = slice.index.concerned(question);
        let sets = concerned.iter().filter_map(|at| self.groups.get(*at));
        self.evaluate(question, slice, sets)
    }

    /// As [`Engine::answer`], over all policies: what slicing must agree with.
    #[cfg(test)]
    pub(crate) fn answer_unsliced(&self, question: &Question<'_>) -> Decision {
        self.evaluate(question, &self.slices[question.action], [&self.whole])
    }

    /// How many policies a question meets.
    #[cfg(test)]
    pub(crate) fn concerned(&self, question: &Question<'_>) -> usize {
        let found = self.slices[question.action].index.concerned(question);
        let sets = found.iter().map(|at| &self.groups[*at]);
        sets.map(PolicySet::num_of_policies).sum()
    }

    /// Asks each set and puts the answers together as one set of all of them
    /// would answer.
    fn evaluate<'a>(
        &self,
        question: &Question<'_>,
        slice: &Slice,
        sets: impl IntoIterator<Item = &'a PolicySet>,
    ) -> Decision {
        let built = self
            .builder
            .build(question, &slice.uid, slice.entity.as_ref());
        let (request, entities) = match built {
            Ok(built) => built,
            Err(error) => return blocked(error),
        };
        let (mut permits, mut forbids, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for policies in sets {
            let response = self.authorizer.is_authorized(&request, policies, &entities);
            let diagnostics = response.diagnostics();
            errors.extend(diagnostics.errors().map(ToString::to_string));
            let determining = diagnostics.reason().map(ToString::to_string);
            match response.decision() {
                cedar_policy::Decision::Allow => permits.extend(determining),
                // No reason is given where merely nothing permits.
                cedar_policy::Decision::Deny => forbids.extend(determining),
            }
        }
        self.merge(permits, forbids, errors)
    }

    fn merge(
        &self,
        permits: Vec<String>,
        forbids: Vec<String>,
        mut errors: Vec<String>,
    ) -> Decision {
        let denied = permits.is_empty() || !forbids.is_empty();
        let mut determining = if forbids.is_empty() { permits } else { forbids };
        determining.sort();
        errors.sort();
        let advised = || determining.iter().any(|id| self.advising.contains(id));
        let verdict = match denied {
            // Cedar skips a policy that fails; a forbid that fails must not
            // be as if it did not stand there.
            _ if !errors.is_empty() => Verdict::Block,
            true => Verdict::Block,
            false if advised() => Verdict::Warn,
            false => Verdict::Allow,
        };
        Decision {
            verdict,
            determining,
            errors,
        }
    }
}

fn blocked(error: String) -> Decision {
    Decision {
        verdict: Verdict::Block,
        determining: Vec::new(),
        errors: vec![error],
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
pub(super) fn place_of(policy: &Policy, starts: &[usize]) -> usize {
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

/// The entity of an action that is in a group.
fn grouped_action(uid: &EntityUid, actions: &Entities) -> Option<Entity> {
    let grouped = actions.ancestors(uid)?.next().is_some();
    actions.get(uid).filter(|_| grouped).cloned()
}

/// Whether a policy can apply to an action, by its scope alone.
pub(super) fn speaks_of(policy: &Policy, action: &EntityUid, actions: &Entities) -> bool {
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
