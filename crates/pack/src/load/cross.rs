//! What only shows when files are read side by side: fields that no schema
//! has, facts that name no attribute, tests that name no fixture.

use super::read::{Parts, Whole};
use crate::fault::Fault;
use crate::files::Files;
use crate::runbook::unknown_field;
use crate::yaml::Document;
use kernel::names::Name as _;
use kernel::{EvidenceType, Refusal};
use sense::definition::{FactValue, Mapping, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use world::{Schema, SchemaDefinition};

/// Names that are referred to across files. A set is absent when a file of its
/// kind could not be read: what it does not hold is then not judged.
pub(super) struct Names<'a> {
    pub(super) rules: Option<BTreeSet<&'a str>>,
    pub(super) fields: Option<BTreeMap<&'a str, BTreeSet<&'a str>>>,
    /// The fields of each subject type that stand sealed.
    pub(super) personal: BTreeMap<&'a str, BTreeSet<&'a str>>,
    sources: Option<BTreeSet<&'a str>>,
    runbooks: Option<BTreeSet<&'a str>>,
    directive_types: Option<BTreeSet<&'a str>>,
}

impl<'a> Names<'a> {
    pub(super) fn of(parts: &'a Parts) -> Self {
        let rules = parts.rules.found.iter().map(|d| d.value.id.as_str());
        let sources = parts.sources.found.iter().map(|d| d.value.name.as_str());
        let runbooks = parts.runbooks.iter().map(|d| d.value.id.as_str());
        let types = parts
            .runbooks
            .iter()
            .map(|d| d.value.directive.kind.as_str());
        let fields = parts.schemas.found.iter().map(|d| {
            let names = d.value.fields.keys().map(String::as_str);
            (d.value.entity.as_str(), names.collect())
        });
        let personal = parts.schemas.found.iter().map(|d| {
            let names = d.value.personal.iter().map(String::as_str);
            (d.value.entity.as_str(), names.collect())
        });
        let runbooks_whole = parts.runbooks_whole == Whole::Yes;
        Self {
            personal: personal.collect(),
            rules: (parts.rules.whole == Whole::Yes).then(|| rules.collect()),
            sources: (parts.sources.whole == Whole::Yes).then(|| sources.collect()),
            runbooks: runbooks_whole.then(|| runbooks.collect()),
            directive_types: runbooks_whole.then(|| types.collect()),
            fields: (parts.schemas.whole == Whole::Yes && !parts.schemas.found.is_empty())
                .then(|| fields.collect()),
        }
    }

    /// The fields of all subject types.
    pub(super) fn every_field(&self) -> Option<BTreeSet<&'a str>> {
        let fields = self.fields.as_ref()?;
        Some(fields.values().flatten().copied().collect())
    }
}

/// Where in a schema's file a fault of compiling it belongs.
pub(super) fn schema_path(definition: &SchemaDefinition, refusal: &Refusal) -> Vec<String> {
    let message = refusal.message.as_str();
    let field = definition
        .fields
        .keys()
        .find(|name| message.contains(&format!("field `{name}`:")));
    if let Some(field) = field {
        return vec!["fields".to_owned(), field.clone()];
    }
    let lists = [
        ("critical", &definition.critical),
        ("personal", &definition.personal),
    ];
    for (list, names) in lists {
        if message.contains(&format!("{list} field")) {
            let unknown = names
                .iter()
                .position(|name| !definition.fields.contains_key(name));
            let at = unknown.unwrap_or_default().to_string();
            return vec![list.to_owned(), at];
        }
    }
    for part in ["version", "fields"] {
        if message.contains(&format!("`{part}`")) {
            return vec![part.to_owned()];
        }
    }
    vec!["entity".to_owned()]
}

/// Facts must fit the schema of the source's subjects: a state that does not
/// fit is refused, and the signal would be lost with it.
pub(super) fn facts(
    parts: &Parts,
    schemas: &BTreeMap<String, Arc<Schema>>,
    faults: &mut Vec<Fault>,
) {
    if parts.schemas.whole == Whole::No {
        return;
    }
    for document in &parts.sources.found {
        let source = &document.value;
        let kind = match &source.mapping {
            Mapping::AlertmanagerV4(mapping) => &mapping.subject.kind,
            Mapping::Json(mapping) => &mapping.subject.kind,
        };
        match schemas.get(kind) {
            Some(schema) => facts_of(document, source, schema, faults),
            None => {
                let mapping = match &source.mapping {
                    Mapping::AlertmanagerV4(_) => "alertmanager_v4",
                    Mapping::Json(_) => "json",
                };
                // A schema that did not compile was told already.
                let declared = parts.schemas.found.iter();
                if !declared.into_iter().any(|d| d.value.entity == *kind) {
                    let refusal =
                        Refusal::invalid(format!("no schema of the subject type `{kind}`"))
                            .hint("declare it in `schemas/`");
                    let path = ["mapping", mapping, "subject", "kind"];
                    faults.push(document.places.fault(&path, refusal));
                }
            }
        }
    }
}

fn facts_of(
    document: &Document<Source>,
    source: &Source,
    schema: &Schema,
    faults: &mut Vec<Fault>,
) {
    let attributes = source.attributes();
    let fields: BTreeSet<&str> = schema
        .definition()
        .fields
        .keys()
        .map(String::as_str)
        .collect();
    for (at, fact) in source.facts.iter().enumerate() {
        let at = at.to_string();
        if !fields.contains(fact.field.as_str()) {
            let refusal = unknown_field(&fact.field, &fields);
            faults.push(document.places.fault(&["facts", &at, "field"], refusal));
            continue;
        }
        for (side, value) in [("firing", &fact.firing), ("resolved", &fact.resolved)] {
            let path = ["facts", at.as_str(), side];
            match value {
                None => {}
                Some(value) if personal(source, schema, &fact.field, value).is_some() => {
                    let refusal = personal(source, schema, &fact.field, value);
                    faults.extend(refusal.map(|r| document.places.fault(&path, r)));
                }
                Some(FactValue::Constant(value)) => {
                    if let Err(refusal) = schema.check_field(&fact.field, value) {
                        faults.push(document.places.fault(&path, refusal));
                    }
                }
                Some(FactValue::Attribute(name)) if !attributes.contains(name.as_str()) => {
                    let refusal = Refusal::invalid(format!("unknown attribute `{name}`"))
                        .hint("declare it in the mapping's `attributes`");
                    faults.push(document.places.fault(&path, refusal));
                }
                Some(FactValue::Attribute(_)) => {}
            }
        }
    }
}

/// What is personal stays sealed from the source to the state, and nothing
/// that is not sealed gets into a personal field: why this fact breaks that.
fn personal(source: &Source, schema: &Schema, field: &str, value: &FactValue) -> Option<Refusal> {
    let entity = &schema.reference().entity;
    match (schema.is_personal(field), value) {
        (false, FactValue::Constant(_)) => None,
        (false, FactValue::Attribute(name)) => source.seals(name).then(|| {
            Refusal::invalid(format!(
                "`{field}` takes the attribute `{name}`, which is personal"
            ))
            .hint(format!(
                "name `{field}` under `personal` in the schema of `{entity}`, or `{name}` under \
                 `plain_attributes` of the source"
            ))
        }),
        (true, FactValue::Constant(_)) => Some(
            Refusal::invalid(format!("`{field}` is personal and takes no constant"))
                .hint("let it take an attribute of a personal source"),
        ),
        (true, FactValue::Attribute(name)) if !source.seals(name) => Some(
            Refusal::invalid(format!(
                "`{field}` is personal, and the source would keep `{name}` in plaintext"
            ))
            .hint("mark the source `personal: true`, and the attribute not as plain"),
        ),
        (true, FactValue::Attribute(name)) if name != field => Some(
            Refusal::invalid(format!(
                "the personal field `{field}` takes an attribute of another name, `{name}`"
            ))
            .hint(format!(
                "call the attribute `{field}`: a sealed value opens in the place of its name only"
            )),
        ),
        (true, FactValue::Attribute(_)) => None,
    }
}

/// Limits on fields that nobody has guard nothing.
pub(super) fn validators(parts: &Parts, names: &Names<'_>, faults: &mut Vec<Fault>) {
    let Some(document) = &parts.validators else {
        return;
    };
    let settings = &document.value;
    if let Some(fields) = names.every_field() {
        for name in settings.freshness.fields.keys() {
            if !fields.contains(name.as_str()) {
                let path = ["freshness", "fields", name];
                faults.push(document.places.fault(&path, unknown_field(name, &fields)));
            }
        }
        for name in &settings.contradiction.fields {
            if !fields.contains(name.as_str()) {
                let path = ["contradiction", "fields"];
                faults.push(document.places.fault(&path, unknown_field(name, &fields)));
            }
        }
    }
    for name in settings.freshness.evidence.keys() {
        if EvidenceType::parse(name).is_none() {
            let refusal = Refusal::invalid(format!("unknown type of evidence `{name}`"))
                .hint("for example `alert` or `telemetry`");
            let path = ["freshness", "evidence", name];
            faults.push(document.places.fault(&path, refusal));
        }
    }
}

/// A narrower list of regions for a class of data that nothing has narrows
/// nothing.
pub(super) fn residency(parts: &Parts, faults: &mut Vec<Fault>) {
    let (Some(document), Some(validators)) = (&parts.residency, &parts.validators) else {
        return;
    };
    let classes = &validators.value.compliance.data_classes;
    for class in document.value.data_classes.keys() {
        let mut known = classes
            .of
            .values()
            .chain(&classes.allow)
            .chain(&classes.deny);
        if class != gate::validate::UNCLASSIFIED && !known.any(|name| name == class) {
            let refusal = Refusal::invalid(format!("unknown class of data `{class}`"))
                .hint("declare it in `validators.yaml` under `compliance.data_classes`");
            faults.push(document.places.fault(&["data_classes", class], refusal));
        }
    }
}

/// A label of what does not exist is a misspelt one.
pub(super) fn labels(parts: &Parts, names: &Names<'_>, faults: &mut Vec<Fault>) {
    let Some(document) = &parts.labels else {
        return;
    };
    let labels = &document.value;
    if let Some(fields) = &names.fields {
        let kinds: BTreeSet<&str> = fields.keys().copied().collect();
        let unknown_kind = |kind: &str| {
            Refusal::invalid(format!("unknown subject type `{kind}`")).hint(format!(
                "known: {}",
                Vec::from_iter(kinds.clone()).join(", ")
            ))
        };
        for kind in labels.subject_types.keys() {
            if !kinds.contains(kind.as_str()) {
                let path = ["subject_types", kind];
                faults.push(document.places.fault(&path, unknown_kind(kind)));
            }
        }
        for (kind, of_fields) in &labels.fields {
            let Some(known) = fields.get(kind.as_str()) else {
                let path = ["fields", kind];
                faults.push(document.places.fault(&path, unknown_kind(kind)));
                continue;
            };
            for field in of_fields.keys() {
                if !known.contains(field.as_str()) {
                    let path = ["fields", kind, field];
                    faults.push(document.places.fault(&path, unknown_field(field, known)));
                }
            }
        }
    }
    if let Some(types) = &names.directive_types {
        for kind in labels.directive_types.keys() {
            if !types.contains(kind.as_str()) {
                let refusal = Refusal::invalid(format!("no runbook proposes `{kind}`"));
                let path = ["directive_types", kind];
                faults.push(document.places.fault(&path, refusal));
            }
        }
    }
}

/// Tests must name what is there.
pub(super) fn tests(parts: &Parts, files: &Files, names: &Names<'_>, faults: &mut Vec<Fault>) {
    let mut seen = BTreeSet::new();
    for document in &parts.tests {
        let case = &document.value;
        let mut add = |path: &[&str], refusal| faults.push(document.places.fault(path, refusal));
        if !seen.insert(case.name.as_str()) {
            let refusal = Refusal::conflict(format!("the name `{}` stands twice", case.name));
            add(&["name"], refusal);
        }
        if case.play.is_empty() {
            add(&["play"], Refusal::invalid("plays nothing"));
        }
        for (at, played) in case.play.iter().enumerate() {
            let at = at.to_string();
            if !files.contains_key(&played.fixture) || !played.fixture.starts_with("fixtures/") {
                let refusal = Refusal::invalid(format!("no fixture `{}`", played.fixture))
                    .hint("write its path, for example `fixtures/first.json`");
                add(&["play", &at, "fixture"], refusal);
            }
            let unknown = |set: &Option<BTreeSet<&str>>, name: &str| {
                set.as_ref().is_some_and(|set| !set.contains(name))
            };
            if unknown(&names.sources, &played.source) {
                let refusal = Refusal::invalid(format!("unknown source `{}`", played.source));
                add(&["play", &at, "source"], refusal);
            }
        }
        if let Some(late) = case.play.iter().rposition(|p| p.at > case.settle_at) {
            let refusal = Refusal::invalid("the test ends before this is played");
            add(&["play", &late.to_string(), "at"], refusal);
        }
        for rule in case.expect.detections.keys() {
            if names
                .rules
                .as_ref()
                .is_some_and(|r| !r.contains(rule.as_str()))
            {
                let refusal = Refusal::invalid(format!("unknown rule `{rule}`"));
                add(&["expect", "detections", rule], refusal);
            }
        }
        for (at, incident) in case.expect.incidents.iter().enumerate() {
            let Some(proposal) = &incident.proposes else {
                continue;
            };
            let known = names.runbooks.as_ref();
            if known.is_some_and(|r| !r.contains(proposal.runbook.as_str())) {
                let refusal = Refusal::invalid(format!("unknown runbook `{}`", proposal.runbook));
                let path = [
                    "expect",
                    "incidents",
                    &at.to_string(),
                    "proposes",
                    "runbook",
                ];
                add(&path, refusal);
            }
        }
    }
}
