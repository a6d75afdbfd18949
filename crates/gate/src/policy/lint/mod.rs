//! Lints of policies: what would load and yet not do what its author means. A
//! name that nobody has, a permit that can never decide, a policy that can
//! never match, a policy that forbids everything through an attribute that is
//! never there. Each is told with its place.

mod logic;
mod names;

#[cfg(test)]
mod tests;

use super::Fault;
use super::engine::place_of;
use super::lexical::{fault_at, scan};
use crate::history::{FactSet, SchemaOf};
use cedar_policy::pst::Template;
use cedar_policy::{Effect, Policy, PolicySet, Schema};
use std::collections::BTreeSet;
use std::str::FromStr;

/// The names that policies may use. A kind of names that is not known is not
/// judged.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The modules.
    pub tools: Option<BTreeSet<String>>,
    /// The types of subjects.
    pub subject_types: Option<BTreeSet<String>>,
    /// Types of directives. People may propose others, so that only what looks
    /// like a misspelt one is a fault.
    pub directive_types: Option<BTreeSet<String>>,
    /// What the pack counts.
    pub history: FactSet,
}

/// A policy with what lints need of it.
struct Linted<'a> {
    file: &'a str,
    text: &'a str,
    /// Where it begins and ends in its file.
    span: (usize, usize),
    id: String,
    policy: Policy,
    body: Template,
}

impl Linted<'_> {
    fn fault(&self, message: String) -> Fault {
        fault_at(self.file, self.text, self.span.0, message)
    }

    /// At the first place where this literal stands, or where the policy
    /// begins.
    fn fault_at_literal(&self, literal: &str, message: String) -> Fault {
        let own = self.text.get(self.span.0..self.span.1).unwrap_or_default();
        let at = own.find(&format!("\"{literal}\"")).unwrap_or(0);
        fault_at(self.file, self.text, self.span.0 + at, message)
    }

    fn place(&self) -> String {
        let at = self.fault(String::new());
        format!("{}:{}", at.file, at.line)
    }

    fn permits(&self) -> bool {
        self.policy.effect() == Effect::Permit
    }
}

/// Lints policies that load against the schema of these facts; texts that do
/// not parse are not judged here.
#[must_use]
pub fn lint(files: &[(String, String)], known: &Known) -> Vec<Fault> {
    let mut all = Vec::new();
    for (file, text) in files {
        all.extend(read(file, text));
    }
    let text = super::schema(&known.history, SchemaOf::Policies);
    let Ok((schema, _)) = Schema::from_cedarschema_str(&text) else {
        return Vec::new();
    };
    let attributes = logic::Attributes::of(&text);
    let mut faults: Vec<Fault> = all.iter().flat_map(|p| names::faults(p, known)).collect();
    faults.extend(all.iter().filter_map(logic::never_matches));
    faults.extend(
        all.iter()
            .filter_map(|p| logic::forbids_all(p, &attributes)),
    );
    faults.extend(logic::shadowed(&all, &attributes, &schema));
    faults.sort();
    faults
}

fn read<'a>(file: &'a str, text: &'a str) -> Vec<Linted<'a>> {
    let (Ok(starts), Ok(set)) = (scan(file, text), PolicySet::from_str(text)) else {
        return Vec::new();
    };
    let linted = |policy: &Policy| {
        let start = place_of(policy, &starts);
        let end = starts.iter().copied().find(|s| *s > start);
        Some(Linted {
            file,
            text,
            span: (start, end.unwrap_or(text.len())),
            id: policy.annotation("id")?.to_owned(),
            policy: policy.clone(),
            body: policy.to_pst().ok()?.body().clone(),
        })
    };
    set.policies().filter_map(linted).collect()
}
