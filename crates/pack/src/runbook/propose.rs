//! From an incident to the contract of a directive: which runbook applies, and
//! its template filled in from the frozen state. Pure and repeatable.

use super::placeholder::{self, Name, Values, Writing};
use super::{Definition, DirectiveTemplate, Runbook};
use gate::{Contract, Grounding, Step};
use kernel::names::Name as _;
use kernel::{Actor, EvidenceId, IncidentId, Ratio, Refusal, Snapshot, SnapshotId, Subject};
use sense::Severity;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The variables of a runbook's condition.
pub(super) const VARIABLES: &[&str] = &["incident", "subject", "state"];

/// What a proposal is made from.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The incident.
    pub incident: IncidentId,
    /// What it is about.
    pub subject: &'a Subject,
    /// How bad it is.
    pub severity: Severity,
    /// How sure it is.
    pub confidence: Ratio,
    /// The rules that matched.
    pub rules: &'a BTreeSet<String>,
    /// The frozen state of the subject.
    pub snapshot: &'a Snapshot,
    /// The evidence behind the incident.
    pub evidence: &'a BTreeSet<EvidenceId>,
    /// Who issues the directive.
    pub issued_by: &'a Actor,
}

/// A runbook that did not propose, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// The runbook.
    pub runbook: String,
    /// Why not.
    pub reason: Refusal,
}

/// What the runbooks make of a situation.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The runbook that proposes, and its contract.
    pub proposal: Option<(String, Contract)>,
    /// Those that were asked before it and did not propose.
    pub passed_over: Vec<PassedOver>,
}

/// Asks runbooks in their order; the first that applies and can be filled in
/// proposes.
#[must_use]
pub fn choose(runbooks: &[Runbook], situation: &Situation<'_>) -> Choice {
    let mut passed_over = Vec::new();
    for runbook in runbooks {
        match propose(runbook, situation) {
            Ok(contract) => {
                return Choice {
                    proposal: Some((runbook.id().to_owned(), contract)),
                    passed_over,
                };
            }
            Err(reason) => passed_over.push(PassedOver {
                runbook: runbook.id().to_owned(),
                reason,
            }),
        }
    }
    Choice {
        proposal: None,
        passed_over,
    }
}

/// The contract that this runbook proposes.
///
/// # Errors
/// When the runbook does not apply, a placeholder has no value, no evidence of
/// the incident is in the snapshot, or the contract breaks a bound.
pub fn propose(runbook: &Runbook, situation: &Situation<'_>) -> Result<Contract, Refusal> {
    let definition = runbook.definition();
    applies(definition, situation)?;
    if !runbook.when.test(&[
        ("incident", &incident(situation)),
        ("subject", &subject(situation.subject)),
        ("state", &Value::Object(state(situation.snapshot))),
    ])? {
        return Err(Refusal::conflict("its condition `when` is not met"));
    }
    let evidence = groundings(situation);
    if evidence.is_empty() {
        return Err(
            Refusal::unavailable("no evidence of the incident is in the snapshot")
                .hint("declare facts, so that the source's signals set fields of the state"),
        );
    }
    let frame = Frame {
        issued_by: situation.issued_by,
        subject: situation.subject,
        snapshot: situation.snapshot.id()?,
        evidence: &evidence,
    };
    let contract = fill(&definition.directive, situation, &frame)?;
    contract.check()?;
    Ok(contract)
}

fn applies(definition: &Definition, situation: &Situation<'_>) -> Result<(), Refusal> {
    if situation.subject != &situation.snapshot.subject {
        return Err(Refusal::conflict(format!(
            "the snapshot is of `{}`, not of `{}`",
            situation.snapshot.subject, situation.subject
        )));
    }
    if situation.subject.kind() != definition.subject_type {
        return Err(Refusal::conflict(format!(
            "it is for `{}`",
            definition.subject_type
        )));
    }
    if situation.severity < definition.min_severity {
        return Err(Refusal::conflict(format!(
            "it is for severity `{}` and above",
            definition.min_severity
        )));
    }
    let mut rules = definition.rules.iter();
    if !definition.rules.is_empty() && !rules.any(|rule| situation.rules.contains(rule)) {
        return Err(Refusal::conflict(format!(
            "none of its rules matched: `{}`",
            definition.rules.join("`, `")
        )));
    }
    Ok(())
}

fn incident(situation: &Situation<'_>) -> Value {
    json!({
        "id": situation.incident,
        "severity": situation.severity,
        "confidence": situation.confidence,
        "rules": situation.rules,
    })
}

fn subject(subject: &Subject) -> Value {
    json!({ "type": subject.kind(), "id": subject.id() })
}

/// What is believed of each field. Whether sources contradict each other is
/// judged at the gate, not here.
fn state(snapshot: &Snapshot) -> Map<String, Value> {
    let fields = snapshot.fields.iter();
    fields
        .map(|(name, belief)| (name.clone(), belief.claim.value.clone()))
        .collect()
}

/// The incident's evidence that the snapshot rests on: what the grounding
/// validator will find.
fn groundings(situation: &Situation<'_>) -> Vec<Grounding> {
    let grounds = situation.snapshot.grounds.iter();
    grounds
        .filter(|ground| situation.evidence.contains(&ground.evidence))
        .map(|ground| Grounding::Entry(ground.entry))
        .collect()
}

/// What a contract has that stands in no text.
pub(crate) struct Frame<'a> {
    pub(crate) issued_by: &'a Actor,
    pub(crate) subject: &'a Subject,
    pub(crate) snapshot: SnapshotId,
    pub(crate) evidence: &'a [Grounding],
}

/// A contract with every placeholder filled in.
pub(crate) fn fill(
    template: &DirectiveTemplate,
    values: &dyn Values,
    frame: &Frame<'_>,
) -> Result<Contract, Refusal> {
    let plain = |text: &String| placeholder::text(text, values, Writing::Plain);
    let mut constraints = std::collections::BTreeMap::new();
    for (name, value) in &template.constraints {
        let filled = placeholder::fill(value, values, Writing::Plain)?;
        constraints.insert(name.clone(), filled);
    }
    let mut steps = Vec::new();
    for step in &template.steps {
        steps.push(Step {
            id: step.id.clone(),
            module: step.module.clone(),
            input: placeholder::fill_map(&step.input, values)
                .map_err(|e| e.at(format!("step `{}`", step.id)))?,
            cost: step.cost,
            evidence: frame.evidence.to_vec(),
        });
    }
    Ok(Contract {
        issued_by: frame.issued_by.clone(),
        role: template.role.clone(),
        kind: template.kind.clone(),
        objective: plain(&template.objective)?,
        scope: gate::contract::Scope {
            subjects: vec![frame.subject.clone()],
        },
        constraints,
        success_metrics: template
            .success_metrics
            .iter()
            .map(plain)
            .collect::<Result<_, _>>()?,
        budget: template.budget,
        timebox: template.timebox,
        action_class: template.action_class,
        steps,
        snapshot: frame.snapshot,
    })
}

impl Values for Situation<'_> {
    fn value(&self, name: &Name) -> Result<Value, Refusal> {
        Ok(match name {
            Name::Subject => self.subject.to_string().into(),
            Name::SubjectId => self.subject.id().into(),
            Name::SubjectType => self.subject.kind().into(),
            Name::IncidentId => self.incident.to_string().into(),
            Name::IncidentSeverity => self.severity.name().into(),
            Name::Field(field) => {
                let belief = self.snapshot.fields.get(field).ok_or_else(|| {
                    Refusal::unavailable(format!("nothing is known of the field `{field}`"))
                        .hint("test it in `when` with `has(state.FIELD)`")
                })?;
                belief.claim.value.clone()
            }
            Name::Parameter(name) => {
                return Err(Refusal::invalid(format!(
                    "a runbook has no parameter `{name}`"
                )));
            }
        })
    }
}
