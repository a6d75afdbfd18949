//! From a template and parameters to the contract of a directive. Pure and
//! repeatable.

use super::Template;
use crate::runbook::placeholder::{Name, Values};
use crate::runbook::{Frame, fill};
use gate::{Contract, Grounding};
use kernel::{Actor, Refusal, Snapshot, Subject};
use serde_json::{Map, Value};

/// What a contract is made for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What it is about.
    pub subject: &'a Subject,
    /// The frozen state of the subject.
    pub snapshot: &'a Snapshot,
    /// The parameters by name.
    pub parameters: &'a Map<String, Value>,
    /// Who issues the directive.
    pub issued_by: &'a Actor,
}

impl Template {
    /// The contract that this template makes.
    ///
    /// # Errors
    /// When the template is for other subjects, a parameter is missing, unknown
    /// or does not fit, a field has no value, or the contract breaks a bound.
    pub fn contract(&self, asked: &Asked<'_>) -> Result<Contract, Refusal> {
        let definition = &self.definition;
        if asked.subject.kind() != definition.subject_type {
            return Err(Refusal::invalid(format!(
                "the template `{}` is for `{}`, not for `{}`",
                definition.name, definition.subject_type, asked.subject
            ))
            .at("subject"));
        }
        if asked.subject != &asked.snapshot.subject {
            return Err(Refusal::integrity("the snapshot is of another subject"));
        }
        let parameters = self.parameters(asked.parameters)?;
        let evidence = self.evidence(asked.snapshot)?;
        let filled = Filled {
            asked,
            parameters: &parameters,
        };
        let frame = Frame {
            issued_by: asked.issued_by,
            subject: asked.subject,
            snapshot: asked.snapshot.id()?,
            evidence: &evidence,
        };
        let contract = fill(&definition.directive, &filled, &frame)?;
        contract.check()?;
        Ok(contract)
    }

    /// The parameters with their defaults; all that is wrong with them is told
    /// at once.
    fn parameters(&self, given: &Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
        let declared = &self.definition.parameters;
        let (mut faults, mut all) = (Vec::new(), Map::new());
        for name in given.keys().filter(|name| !declared.contains_key(*name)) {
            faults.push(format!("there is no parameter `{}`", name.escape_debug()));
        }
        for (name, schema) in declared {
            match given.get(name).or_else(|| schema.get("default")) {
                None => faults.push(format!("the parameter `{name}` is missing")),
                Some(value) => match self.parameters.as_ref().map(|s| s.check_field(name, value)) {
                    Some(Err(refusal)) => faults.push(refusal.message),
                    _ => drop(all.insert(name.clone(), value.clone())),
                },
            }
        }
        if faults.is_empty() {
            return Ok(all);
        }
        let names: Vec<_> = declared.keys().map(|name| format!("`{name}`")).collect();
        let known = match names.is_empty() {
            true => "it takes none".to_owned(),
            false => format!("it takes {}", names.join(", ")),
        };
        Err(Refusal::invalid(faults.join("; "))
            .hint(known)
            .at("parameters"))
    }

    /// The evidence of the fields that the steps rest on.
    fn evidence(&self, snapshot: &Snapshot) -> Result<Vec<Grounding>, Refusal> {
        let mut entries = Vec::new();
        for field in &self.definition.evidence {
            let evidence = value_of(snapshot, field)?.1;
            let grounds = snapshot.grounds.iter();
            let of_field = grounds.filter(|ground| ground.evidence == evidence);
            entries.extend(of_field.map(|ground| ground.entry));
        }
        entries.sort_unstable();
        entries.dedup();
        Ok(entries.into_iter().map(Grounding::Entry).collect())
    }
}

fn value_of(snapshot: &Snapshot, field: &str) -> Result<(Value, kernel::EvidenceId), Refusal> {
    let belief = snapshot.fields.get(field).ok_or_else(|| {
        Refusal::unavailable(format!("nothing is known of the field `{field}`"))
            .hint("it begins with the first evidence that says it")
    })?;
    Ok((belief.claim.value.clone(), belief.claim.evidence))
}

struct Filled<'a> {
    asked: &'a Asked<'a>,
    parameters: &'a Map<String, Value>,
}

impl Values for Filled<'_> {
    fn value(&self, name: &Name) -> Result<Value, Refusal> {
        let subject = self.asked.subject;
        Ok(match name {
            Name::Subject => subject.to_string().into(),
            Name::SubjectId => subject.id().into(),
            Name::SubjectType => subject.kind().into(),
            Name::Field(field) => value_of(self.asked.snapshot, field)?.0,
            Name::Parameter(name) => {
                let found = self.parameters.get(name).cloned();
                found
                    .ok_or_else(|| Refusal::invalid(format!("the parameter `{name}` is missing")))?
            }
            Name::IncidentId | Name::IncidentSeverity => {
                return Err(Refusal::invalid("a template knows of no incident"));
            }
        })
    }
}
