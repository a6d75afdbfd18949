//! Checking a runbook when the pack is loaded, so that what it proposes later
//! can only fail for want of facts.

use super::placeholder::{self, Name, Piece};
use super::{Definition, DirectiveTemplate, Runbook, propose};
use crate::fault::Fault;
use crate::yaml::Document;
use gate::{Contract, Grounding, Step};
use kernel::{Actor, Digest, EntryId, Refusal, SnapshotId, Subject};
use sense::Expression;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What runbooks may name; what is absent could not be read and is not judged.
pub(crate) struct Known<'a> {
    /// The rules of the pack.
    pub(crate) rules: Option<&'a BTreeSet<&'a str>>,
    /// The fields of each subject type.
    pub(crate) fields: Option<&'a BTreeMap<&'a str, BTreeSet<&'a str>>>,
    /// The fields of each subject type that stand sealed.
    pub(crate) personal: &'a BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// The modules that the compliance settings allow.
    pub(crate) tools: Option<&'a BTreeSet<String>>,
}

/// Checks and compiles a runbook.
pub(crate) fn compile(
    document: &Document<Definition>,
    known: &Known<'_>,
    faults: &mut Vec<Fault>,
) -> Option<Runbook> {
    let before = faults.len();
    let definition = &document.value;
    let mut add = |path: &[&str], refusal| faults.push(document.places.fault(path, refusal));
    if definition.id.trim().is_empty() {
        add(&["id"], Refusal::invalid("is empty"));
    }
    if definition.title.trim().is_empty() {
        add(&["title"], Refusal::invalid("is empty"));
    }
    for (at, rule) in definition.rules.iter().enumerate() {
        if known
            .rules
            .is_some_and(|rules| !rules.contains(rule.as_str()))
        {
            let refusal = Refusal::invalid(format!("unknown rule `{rule}`"));
            add(
                &["rules", &at.to_string()],
                refusal.hint("declare it in `rules/`"),
            );
        }
    }
    let kind = definition.subject_type.as_str();
    let fields = known.fields.and_then(|fields| fields.get(kind));
    if let (Some(all), None) = (known.fields, fields) {
        let refusal = Refusal::invalid(format!("unknown subject type `{kind}`"));
        let known: Vec<_> = all.keys().copied().collect();
        add(
            &["subject_type"],
            refusal.hint(format!("known: {}", known.join(", "))),
        );
    }
    for (at, step) in definition.directive.steps.iter().enumerate() {
        if known
            .tools
            .is_some_and(|tools| !tools.contains(&step.module))
        {
            add(
                &["directive", "steps", &at.to_string(), "module"],
                module_not_allowed(&step.module),
            );
        }
    }
    let when = match Expression::compile(&definition.when, propose::VARIABLES) {
        Ok(when) => Some(when),
        Err(refusal) => {
            add(&["when"], refusal);
            None
        }
    };
    let none = BTreeSet::new();
    let personal = known.personal.get(kind).unwrap_or(&none);
    for field in personal {
        if when
            .as_ref()
            .is_some_and(|when| when.reads(&["state", field]))
        {
            add(&["when"], sealed_field(field));
        }
    }
    if definition.directive.success_metrics.is_empty() {
        add(
            &["directive", "success_metrics"],
            Refusal::invalid("is empty").hint("say how success is known"),
        );
    }
    contract_fault(document, &definition.directive, faults);
    placeholders(document, fields, personal, faults);
    match when {
        Some(when) if faults.len() == before => Some(Runbook {
            definition: definition.clone(),
            when,
        }),
        _ => None,
    }
}

fn placeholders(
    document: &Document<Definition>,
    fields: Option<&BTreeSet<&str>>,
    personal: &BTreeSet<&str>,
    faults: &mut Vec<Fault>,
) {
    each_text(&document.value.directive, &mut |path, text| {
        let mut add = |refusal| faults.push(document.places.fault(path, refusal));
        let pieces = match placeholder::pieces(text) {
            Ok(pieces) => pieces,
            Err(refusal) => return add(refusal),
        };
        for piece in pieces {
            match piece {
                Piece::Placeholder(Name::Field(name)) => {
                    if personal.contains(name.as_str()) {
                        add(sealed_field(&name));
                    }
                    if let Some(fields) = fields.filter(|f| !f.contains(name.as_str())) {
                        add(unknown_field(&name, fields));
                    }
                }
                Piece::Placeholder(Name::Parameter(name)) => {
                    add(
                        Refusal::invalid(format!("a runbook has no parameter `{name}`"))
                            .hint("parameters belong to templates"),
                    );
                }
                Piece::Placeholder(_) | Piece::Text(_) => {}
            }
        }
    });
}

/// Calls `each` with every text of a contract that may hold placeholders, and
/// its path in the file.
pub(crate) fn each_text(directive: &DirectiveTemplate, each: &mut dyn FnMut(&[&str], &str)) {
    each(&["directive", "objective"], &directive.objective);
    for (at, metric) in directive.success_metrics.iter().enumerate() {
        each(&["directive", "success_metrics", &at.to_string()], metric);
    }
    let mut inner = |path: &[&str], value: &Value| {
        placeholder::walk(value, &mut Vec::new(), &mut |below, text| {
            let below = below.iter().map(String::as_str);
            let path: Vec<&str> = path.iter().copied().chain(below).collect();
            each(&path, text);
        });
    };
    for (name, value) in &directive.constraints {
        inner(&["directive", "constraints", name], value);
    }
    for (at, step) in directive.steps.iter().enumerate() {
        let input = Value::Object(step.input.clone());
        inner(&["directive", "steps", &at.to_string(), "input"], &input);
    }
}

/// Adds what is wrong with a contract as far as it can be checked with its
/// placeholders as they stand.
pub(crate) fn contract_fault<T>(
    document: &Document<T>,
    directive: &DirectiveTemplate,
    faults: &mut Vec<Fault>,
) {
    if let Err(refusal) = shape(directive).and_then(|contract| contract.check()) {
        let path = refusal.message.clone();
        faults.push(document.places.fault_at(&["directive"], &path, refusal));
    }
}

pub(crate) fn module_not_allowed(module: &str) -> Refusal {
    Refusal::invalid(format!(
        "the module `{module}` is not allowed, so the gate would always block"
    ))
    .hint("allow it in `validators.yaml` under `compliance.tools.allow`")
}

pub(crate) fn sealed_field(name: &str) -> Refusal {
    Refusal::invalid(format!(
        "it needs the personal field `{name}`, which stands sealed"
    ))
    .hint("decide without it: nothing that decides or acts opens what is personal")
}

pub(crate) fn unknown_field(name: &str, fields: &BTreeSet<&str>) -> Refusal {
    let known: Vec<_> = fields.iter().copied().collect();
    Refusal::invalid(format!("unknown field `{name}`"))
        .hint(format!("known fields: {}", known.join(", ")))
}

/// The contract with its placeholders as they stand: what can be checked of it
/// before there is an incident.
fn shape(template: &DirectiveTemplate) -> Result<Contract, Refusal> {
    let steps = template.steps.iter().map(|step| Step {
        id: step.id.clone(),
        module: step.module.clone(),
        input: step.input.clone(),
        cost: step.cost,
        evidence: vec![Grounding::Entry(EntryId::from(uuid::Uuid::nil()))],
    });
    Ok(Contract {
        issued_by: Actor::system("runbook"),
        role: template.role.clone(),
        kind: template.kind.clone(),
        objective: template.objective.clone(),
        scope: gate::contract::Scope {
            subjects: vec![Subject::new("shape", "x")?],
        },
        constraints: template.constraints.clone(),
        success_metrics: template.success_metrics.clone(),
        budget: template.budget,
        timebox: template.timebox,
        action_class: template.action_class,
        steps: steps.collect(),
        snapshot: SnapshotId(Digest::of(b"")),
    })
}
