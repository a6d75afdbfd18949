//! Loading a pack: every file is read, everything is checked against
//! everything else, and either the whole pack stands or all of its faults are
//! told, each with file and line.

mod budgets;
mod cross;
mod read;
mod sensing;
mod validators;

use crate::fault::Fault;
use crate::files::{self, Files, Folder};
use crate::model::{ModuleUse, Pack};
use crate::policies;
use crate::runbook;
use crate::templates::{self, Template};
use gate::history::FactSet;
use gate::{Rules, RulesSource};
use kernel::Refusal;
use read::Parts;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use world::Schema;

/// Loads a pack from its files.
///
/// # Errors
/// Every fault that was found, sorted by place.
pub fn load(files: &Files) -> Result<Pack, Vec<Fault>> {
    let mut faults = files::check(files);
    let parts = Parts::read(files, &mut faults);
    let pack = assemble(files, &parts, &mut faults);
    faults.sort();
    faults.dedup();
    match pack {
        Some(pack) if faults.is_empty() => Ok(pack),
        _ if faults.is_empty() => Err(vec![Fault::of_file(
            files::MANIFEST,
            Refusal::integrity("the pack cannot be put together"),
        )]),
        _ => Err(faults),
    }
}

fn assemble(files: &Files, parts: &Parts, faults: &mut Vec<Fault>) -> Option<Pack> {
    let manifest = parts.manifest.as_ref();
    if let Some(manifest) = manifest {
        for (field, refusal) in manifest.value.check() {
            faults.push(manifest.places.fault(&[field], refusal));
        }
    }
    let schemas = schemas(parts, faults);
    let (definitions, catalog) = sensing::compile(parts, faults);
    let names = cross::Names::of(parts);
    let rules = rules(parts, &names, files, faults);
    cross::facts(parts, &schemas, faults);
    cross::validators(parts, &names, faults);
    cross::residency(parts, faults);
    cross::labels(parts, &names, faults);
    let runbooks = runbooks(parts, &names, faults);
    let templates = templates(parts, &names, faults);
    cross::tests(parts, files, &names, faults);
    let policy_tests = policies::tests(files, Folder::PolicyTests, faults);
    let digests = files::digests(files);
    let hash = match files::hash(&digests) {
        Ok(hash) => hash,
        Err(refusal) => {
            faults.push(Fault::of_file(files::MANIFEST, refusal));
            return None;
        }
    };
    Some(Pack {
        manifest: manifest?.value.clone(),
        hash,
        files: digests,
        schemas,
        definitions: definitions?,
        catalog: Arc::new(catalog?),
        rules: Arc::new(rules?),
        modules: modules(parts),
        register: parts.residency.as_ref().map(|d| d.places.clone()),
        policies: policies::texts(files, &mut Vec::new()),
        policy_tests,
        runbooks,
        templates,
        labels: parts
            .labels
            .as_ref()
            .map(|d| d.value.clone())
            .unwrap_or_default(),
        tests: parts.tests.iter().map(|d| d.value.clone()).collect(),
        fixtures: files::within(files, Folder::Fixtures)
            .map(|(path, bytes)| (path.to_owned(), bytes.to_vec()))
            .collect(),
    })
}

fn schemas(parts: &Parts, faults: &mut Vec<Fault>) -> BTreeMap<String, Arc<Schema>> {
    let mut schemas = BTreeMap::new();
    for document in &parts.schemas.found {
        let definition = &document.value;
        match Schema::compile(definition.clone()) {
            Ok(schema) => {
                if schemas
                    .insert(definition.entity.clone(), Arc::new(schema))
                    .is_some()
                {
                    let refusal = Refusal::conflict(format!(
                        "the entity `{}` is declared twice",
                        definition.entity
                    ));
                    faults.push(document.places.fault(&["entity"], refusal));
                }
            }
            Err(refusal) => {
                let path = cross::schema_path(definition, &refusal);
                faults.push(document.places.fault(&path, refusal));
            }
        }
    }
    schemas
}

/// Compiles the rules of the gate. Each part is checked by itself first, so
/// that its faults have places.
fn rules(
    parts: &Parts,
    names: &cross::Names<'_>,
    files: &Files,
    faults: &mut Vec<Fault>,
) -> Option<Rules> {
    let before = faults.len();
    if let Some(document) = &parts.validators
        && let Err(refusal) = document.value.check()
    {
        let path = refusal.message.clone();
        faults.push(document.places.fault_at(&[], &path, refusal));
    }
    let book = budgets::book(parts, faults);
    if let Some(document) = &parts.approvals {
        for message in document.value.faults() {
            let own = message.strip_prefix("approvals.").unwrap_or(&message);
            let refusal = Refusal::invalid(own);
            faults.push(document.places.fault_at(&[], own, refusal));
        }
    }
    let conditions = validators::compile(parts, names, faults);
    if let Some(document) = &parts.conflicts {
        for (at, message) in document.value.faults() {
            let path = ["pairs", &at.to_string()];
            let refusal = Refusal::invalid(message);
            faults.push(document.places.fault(&path, refusal));
        }
    }
    if let Some(document) = &parts.residency
        && let Err(refusal) = document.value.check()
    {
        let path = refusal.message.clone();
        faults.push(document.places.fault_at(&[], &path, refusal));
    }
    let history = history(parts, faults);
    let policies = policies::texts(files, faults);
    // Policies may name facts, so that those must be known to judge them.
    if let Some(history) = &history {
        faults.extend(
            policies::load(&policies, history)
                .err()
                .into_iter()
                .flatten(),
        );
    }
    if faults.len() > before {
        return None;
    }
    let source = RulesSource {
        validators: parts.validators.as_ref()?.value.clone(),
        budgets: book?.value.clone(),
        approvals: parts.approvals.as_ref()?.value.clone(),
        kill_switch: parts
            .kill_switch
            .as_ref()
            .map(|d| d.value)
            .unwrap_or_default(),
        conflicts: parts
            .conflicts
            .as_ref()
            .map(|d| d.value.clone())
            .unwrap_or_default(),
        // One that could not be read is a fault already.
        residency: parts.residency.as_ref().map(|d| d.value.clone()),
        history: parts
            .history
            .as_ref()
            .map(|d| d.value.facts.clone())
            .unwrap_or_default(),
    };
    match Rules::compile(source, conditions?, &policies) {
        Ok(rules) => Some(rules),
        Err(found) => {
            faults.extend(found.into_iter().map(Fault::of_policy));
            None
        }
    }
}

/// The facts that policies may name; `None` when they cannot be told.
fn history(parts: &Parts, faults: &mut Vec<Fault>) -> Option<FactSet> {
    let Some(document) = &parts.history else {
        return Some(FactSet::default());
    };
    let validators = parts.validators.as_ref()?;
    let classes = &validators.value.compliance.data_classes.of;
    match FactSet::compile(&document.value.facts, classes) {
        Ok(facts) => Some(facts),
        Err(found) => {
            faults.extend(policies::placed(document, found));
            None
        }
    }
}

/// What runbooks and templates may name.
fn known<'a>(parts: &'a Parts, names: &'a cross::Names<'a>) -> runbook::Known<'a> {
    runbook::Known {
        rules: names.rules.as_ref(),
        fields: names.fields.as_ref(),
        personal: &names.personal,
        tools: parts
            .validators
            .as_ref()
            .map(|d| &d.value.compliance.tools.allow),
    }
}

fn templates(
    parts: &Parts,
    names: &cross::Names<'_>,
    faults: &mut Vec<Fault>,
) -> BTreeMap<String, Template> {
    let known = known(parts, names);
    let mut compiled = BTreeMap::new();
    for document in &parts.templates {
        let name = document.value.name.clone();
        let template = templates::compile(document, &known, faults);
        let twice = template.and_then(|template| compiled.insert(name.clone(), template));
        if twice.is_some() {
            let refusal = Refusal::conflict(format!("the name `{name}` stands twice"));
            faults.push(document.places.fault(&["name"], refusal));
        }
    }
    compiled
}

fn runbooks(
    parts: &Parts,
    names: &cross::Names<'_>,
    faults: &mut Vec<Fault>,
) -> Vec<runbook::Runbook> {
    let known = known(parts, names);
    let mut ids = BTreeSet::new();
    let mut compiled = Vec::new();
    for document in &parts.runbooks {
        let id = document.value.id.as_str();
        if !ids.insert(id) {
            let refusal = Refusal::conflict(format!("the id `{id}` stands twice"));
            faults.push(document.places.fault(&["id"], refusal));
        }
        compiled.extend(runbook::compile(document, &known, faults));
    }
    compiled
}

fn modules(parts: &Parts) -> Vec<ModuleUse> {
    let runbooks = parts
        .runbooks
        .iter()
        .map(|d| (&d.value.directive, &d.places));
    let templates = parts
        .templates
        .iter()
        .map(|d| (&d.value.directive, &d.places));
    let mut uses = Vec::new();
    for (directive, places) in runbooks.chain(templates) {
        for (at, step) in directive.steps.iter().enumerate() {
            let path = ["directive", "steps", &at.to_string(), "module"];
            uses.push(ModuleUse {
                module: step.module.clone(),
                file: places.file().to_owned(),
                place: places.of(&path),
            });
        }
    }
    uses
}
