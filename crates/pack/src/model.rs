//! A pack that was loaded: everything in it is checked and compiled.

use crate::fault::Fault;
use crate::labels::Labels;
use crate::manifest::Manifest;
use crate::runbook::Runbook;
use crate::templates::Template;
use crate::testing::Case;
use crate::yaml::Places;
use gate::{Capabilities, Rules, residency};
use kernel::{Digest, Refusal, Subject, Timestamp};
use sense::Definitions;
use sense::catalog::Catalog;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use world::Schema;

/// A pack. Cheap to share, never changed.
#[derive(Debug)]
pub struct Pack {
    /// Name, version, title.
    pub manifest: Manifest,
    /// The content hash: SHA-256 over `writ.pack.v1`, a line feed and the
    /// canonical JSON of `files`.
    pub hash: Digest,
    /// SHA-256 of each file, by path.
    pub files: BTreeMap<String, Digest>,
    /// The schema of each entity type.
    pub schemas: BTreeMap<String, Arc<Schema>>,
    /// What is sensed, as declared.
    pub definitions: Definitions,
    /// What is sensed, compiled.
    pub catalog: Arc<Catalog>,
    /// The rules of the gate.
    pub rules: Arc<Rules>,
    /// The runbooks, in the order in which they are asked.
    pub runbooks: Vec<Runbook>,
    /// Contracts of directives with parameters, by name.
    pub templates: BTreeMap<String, Template>,
    /// What people call things.
    pub labels: Labels,
    /// The policies as written, by file.
    pub policies: Vec<(String, String)>,
    /// The pack's tests of its policies.
    pub policy_tests: Vec<gate::policy::Case>,
    /// The pack's own tests.
    pub tests: Vec<Case>,
    /// Recorded input, by path.
    pub fixtures: BTreeMap<String, Vec<u8>>,
    /// Where runbooks and templates name modules.
    pub(crate) modules: Vec<ModuleUse>,
    /// Where the rules of the register of residency stand.
    pub(crate) register: Option<Places>,
}

/// A place where a runbook or a template names a module.
#[derive(Clone, Debug)]
pub(crate) struct ModuleUse {
    pub(crate) module: String,
    pub(crate) file: String,
    pub(crate) place: (u64, u64),
}

impl Pack {
    /// The schema of the subject's type.
    ///
    /// # Errors
    /// `unavailable` when the pack declares none: nothing is decided of such a
    /// subject.
    pub fn schema_of(&self, subject: &Subject) -> Result<&Arc<Schema>, Refusal> {
        self.schemas.get(subject.kind()).ok_or_else(|| {
            Refusal::unavailable(format!("no schema of `{}`", subject.kind()))
                .hint("a pack declares it in `schemas/`")
        })
    }

    /// What is wrong with the pack where these modules exist, beside what
    /// keeps it from loading.
    #[must_use]
    pub fn lint(&self, capabilities: &Capabilities) -> Vec<Fault> {
        let mut faults = self.check_modules(capabilities);
        faults.extend(self.check_residency());
        faults.extend(self.lint_policies(&self.policies, capabilities));
        faults
    }

    /// What lints find in policies that stand in this pack, or beside it.
    #[must_use]
    pub fn lint_policies(
        &self,
        policies: &[(String, String)],
        capabilities: &Capabilities,
    ) -> Vec<Fault> {
        let known = self.known(Some(capabilities));
        let found = gate::policy::lint(policies, &known);
        found.into_iter().map(Fault::of_policy).collect()
    }

    /// The names that policies of the pack may use.
    pub(crate) fn known(&self, capabilities: Option<&Capabilities>) -> gate::policy::Known {
        let kinds = self
            .runbooks
            .iter()
            .map(|r| r.definition().directive.kind.clone());
        let autonomous = self.rules.approvals.autonomous.keys().cloned();
        let templates = self.templates.values();
        let kinds = kinds.chain(templates.map(|t| t.definition().directive.kind.clone()));
        gate::policy::Known {
            tools: capabilities.map(|c| c.keys().cloned().collect()),
            subject_types: Some(self.schemas.keys().cloned().collect()),
            directive_types: Some(kinds.chain(autonomous).collect()),
            history: self.rules.history.clone(),
        }
    }

    /// Modules that runbooks and templates name and that do not exist.
    #[must_use]
    pub fn check_modules(&self, capabilities: &Capabilities) -> Vec<Fault> {
        let unknown = self
            .modules
            .iter()
            .filter(|used| !capabilities.contains_key(&used.module));
        let known: BTreeSet<_> = capabilities.keys().map(String::as_str).collect();
        let hint = format!("known: {}", Vec::from_iter(known).join(", "));
        unknown
            .map(|used| {
                let refusal = Refusal::invalid(format!("unknown module `{}`", used.module));
                Fault::at(&used.file, used.place, refusal.hint(&hint))
            })
            .collect()
    }

    /// The same on a node that keeps data in these stores.
    ///
    /// # Errors
    /// Never in practice: a pack that is being put in force is held by nobody
    /// else.
    pub fn kept_in(&mut self, stores: &[residency::Store]) -> Result<(), Refusal> {
        let rules = Arc::get_mut(&mut self.rules)
            .ok_or_else(|| Refusal::integrity("the rules of the pack are in use already"))?;
        rules.stores = stores.to_vec();
        Ok(())
    }

    /// Why this pack's data may not be kept in the stores of this node, each with
    /// the place of the rule; empty when it may.
    #[must_use]
    pub fn check_stores(&self, at: Timestamp) -> Vec<Fault> {
        let Some(settings) = &self.rules.residency else {
            return Vec::new();
        };
        let found = residency::faults_of_stores(settings, &self.rules.stores, at).into_iter();
        found
            .map(|residency::StoreFault { rule, said }| {
                let refusal = Refusal::unavailable(said);
                match &self.register {
                    Some(places) => places.fault(&rule, refusal),
                    None => Fault::of_file(residency::FILE, refusal),
                }
            })
            .collect()
    }

    /// Destinations that steps may reach and that nobody says a region of. Packs
    /// that were loaded before there was such a register load all the same, and
    /// their steps reach nothing.
    #[must_use]
    pub fn check_residency(&self) -> Vec<Fault> {
        let compliance = &self.rules.validators.compliance;
        let fault = |pattern: &str, hint: &str| {
            let said = format!("steps may reach `{pattern}`, and nobody says its region");
            Fault::of_file(residency::FILE, Refusal::invalid(said).hint(hint))
        };
        match &self.rules.residency {
            Some(settings) => residency::uncovered(settings, compliance)
                .into_iter()
                .map(|pattern| fault(pattern, "name it under `destinations`"))
                .collect(),
            None => {
                let allowed = compliance.destinations.allow.iter();
                let hint = "add the file, with the allowed `regions` and the `destinations`";
                allowed.map(|pattern| fault(pattern, hint)).collect()
            }
        }
    }

    /// One line that says what is in it.
    #[must_use]
    pub fn summary(&self) -> String {
        format!(
            "{} {}: {} schemas, {} sources, {} signal types, {} rules, {} policies, {} budgets, {} runbooks, {} tests",
            self.manifest.name,
            self.manifest.version,
            self.schemas.len(),
            self.definitions.sources.len(),
            self.definitions.signal_types.len(),
            self.definitions.rules.len(),
            self.rules.policy.ids().len(),
            self.rules.budgets.budgets.len(),
            self.runbooks.len(),
            self.tests.len(),
        )
    }
}
