//! Checking a template when the pack is loaded, so that what it makes later can
//! only fail for want of facts and parameters.

use super::{Definition, Template};
use crate::fault::Fault;
use crate::runbook::placeholder::{Name, Piece, pieces};
use crate::runbook::{Known, contract_fault, each_text, sealed_field, unknown_field};
use crate::yaml::Document;
use kernel::Refusal;
use std::collections::BTreeSet;
use std::sync::Arc;
use world::{Schema, SchemaDefinition};

/// The entity whose fields the parameters are.
const ENTITY: &str = "parameters";

/// Checks and compiles a template.
pub(crate) fn compile(
    document: &Document<Definition>,
    known: &Known<'_>,
    faults: &mut Vec<Fault>,
) -> Option<Template> {
    let before = faults.len();
    let definition = &document.value;
    let mut add = |path: &[&str], refusal| faults.push(document.places.fault(path, refusal));
    for (field, text) in [("name", &definition.name), ("title", &definition.title)] {
        if text.trim().is_empty() {
            add(&[field], Refusal::invalid("is empty"));
        }
    }
    if definition.directive.success_metrics.is_empty() {
        let refusal = Refusal::invalid("is empty").hint("say how success is known");
        add(&["directive", "success_metrics"], refusal);
    }
    let kind = definition.subject_type.as_str();
    let fields = known.fields.and_then(|fields| fields.get(kind));
    if let (Some(all), None) = (known.fields, fields) {
        let names: Vec<_> = all.keys().copied().collect();
        let refusal = Refusal::invalid(format!("unknown subject type `{kind}`"));
        add(
            &["subject_type"],
            refusal.hint(format!("known: {}", names.join(", "))),
        );
    }
    if definition.evidence.is_empty() {
        let refusal = Refusal::invalid("names no field")
            .hint("name the fields whose evidence the steps rest on");
        add(&["evidence"], refusal);
    }
    for (at, field) in definition.evidence.iter().enumerate() {
        if let Some(fields) = fields.filter(|fields| !fields.contains(field.as_str())) {
            add(&["evidence", &at.to_string()], unknown_field(field, fields));
        }
    }
    for (at, step) in definition.directive.steps.iter().enumerate() {
        let allowed = known.tools.is_none_or(|tools| tools.contains(&step.module));
        if !allowed {
            let refusal = crate::runbook::module_not_allowed(&step.module);
            add(&["directive", "steps", &at.to_string(), "module"], refusal);
        }
    }
    let used = placeholders(document, known, faults);
    let parameters = parameters(document, &used, faults);
    contract_fault(document, &definition.directive, faults);
    match parameters {
        Some(parameters) if faults.len() == before => Some(Template {
            definition: definition.clone(),
            parameters: parameters.map(Arc::new),
        }),
        _ => None,
    }
}

/// Checks every placeholder; returns the parameters that are used.
fn placeholders(
    document: &Document<Definition>,
    known: &Known<'_>,
    faults: &mut Vec<Fault>,
) -> BTreeSet<String> {
    let definition = &document.value;
    let kind = definition.subject_type.as_str();
    let fields = known.fields.and_then(|fields| fields.get(kind));
    let personal = known.personal.get(kind);
    let mut used = BTreeSet::new();
    each_text(&definition.directive, &mut |path, text| {
        let mut add = |refusal| faults.push(document.places.fault(path, refusal));
        let pieces = match pieces(text) {
            Ok(pieces) => pieces,
            Err(refusal) => return add(refusal),
        };
        for piece in pieces {
            match piece {
                Piece::Placeholder(Name::Field(name)) => {
                    if personal.is_some_and(|p| p.contains(name.as_str())) {
                        add(sealed_field(&name));
                    }
                    if let Some(fields) = fields.filter(|f| !f.contains(name.as_str())) {
                        add(unknown_field(&name, fields));
                    }
                }
                Piece::Placeholder(Name::Parameter(name)) => {
                    if !definition.parameters.contains_key(&name) {
                        add(Refusal::invalid(format!("unknown parameter `{name}`"))
                            .hint("declare it under `parameters`"));
                    }
                    used.insert(name);
                }
                Piece::Placeholder(Name::IncidentId | Name::IncidentSeverity) => {
                    add(Refusal::invalid("a template knows of no incident")
                        .hint("take a parameter for it"));
                }
                Piece::Placeholder(_) | Piece::Text(_) => {}
            }
        }
    });
    used
}

/// Compiles the parameters: each a field of one entity. `None` when that
/// failed; an entity has fields, so there is none without parameters.
fn parameters(
    document: &Document<Definition>,
    used: &BTreeSet<String>,
    faults: &mut Vec<Fault>,
) -> Option<Option<Schema>> {
    let declared = &document.value.parameters;
    for name in declared.keys().filter(|name| !used.contains(*name)) {
        let refusal = Refusal::invalid(format!("the parameter `{name}` is used nowhere"))
            .hint(format!("write `${{parameter.{name}}}`, or take it out"));
        faults.push(document.places.fault(&["parameters", name], refusal));
    }
    if declared.is_empty() {
        return Some(None);
    }
    let definition = SchemaDefinition {
        entity: ENTITY.to_owned(),
        version: 1,
        title: String::new(),
        fields: declared.clone(),
        critical: Vec::new(),
        personal: Vec::new(),
    };
    let schema = match Schema::compile(definition) {
        Ok(schema) => schema,
        Err(refusal) => {
            let named = declared
                .keys()
                .find(|name| refusal.message.contains(&format!("field `{name}`:")));
            let path: Vec<&str> = std::iter::once("parameters")
                .chain(named.map(String::as_str))
                .collect();
            faults.push(document.places.fault(&path, refusal));
            return None;
        }
    };
    for (name, declared) in declared {
        let default = declared.get("default");
        if let Some(Err(refusal)) = default.map(|value| schema.check_field(name, value)) {
            let path = ["parameters", name, "default"];
            faults.push(document.places.fault(&path, refusal));
        }
    }
    Some(Some(schema))
}
