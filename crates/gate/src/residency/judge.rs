//! Whether something may be reached: its entry in the register, its region,
//! and its attestation at the evaluation time.

use super::{Endpoint, FILE, Reached, Settings, Store, Target};
use crate::contract::Step;
use crate::validate::{self, Destination};
use crate::{Capabilities, Rules};
use kernel::names::Name as _;
use kernel::{Timestamp, Verdict};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The rules in force, the register among them.
    pub rules: &'a Rules,
    /// The steps that are to happen.
    pub steps: &'a [&'a Step],
    /// The modules that exist.
    pub capabilities: &'a Capabilities,
    /// The one evaluation time.
    pub at: Timestamp,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// ALLOW or BLOCK.
    pub verdict: Verdict,
    /// Why, as a sentence that a person understands.
    pub reason: String,
    /// What decided it.
    pub inputs: Value,
}

/// Whether these steps may reach what they would reach, and whether this
/// node's stores are where data may be. Where no register is declared, nothing
/// may be reached.
#[must_use]
pub fn check(asked: &Question<'_>) -> Answer {
    let rules = asked.rules;
    let (mut faults, mut seen) = (Vec::new(), Vec::new());
    for step in asked.steps {
        for target in targets(step, asked.capabilities) {
            let (line, found) = of_step(rules, step, &target, asked.at);
            seen.push(line);
            faults.extend(found);
        }
    }
    if let Some(settings) = &rules.residency {
        for store in &rules.stores {
            let target = Target::Store(store.clone());
            seen.push(line(settings, &target, None));
            faults.extend(judge(settings, &target, &BTreeSet::new(), asked.at));
        }
    }
    let inputs = json!({
        "regions": rules.residency.as_ref().map(|s| &s.regions),
        "reached": validate::listed(seen.clone()),
        "refused": validate::listed(faults.iter().cloned().map(Value::from)),
    });
    let fine = match seen.is_empty() {
        true => "nothing outside is reached".to_owned(),
        false => "everything that is reached is in an allowed region and attested".to_owned(),
    };
    Answer {
        verdict: match faults.is_empty() {
            true => Verdict::Allow,
            false => Verdict::Block,
        },
        reason: validate::sentence(fine, faults),
        inputs,
    }
}

fn of_step(rules: &Rules, step: &Step, target: &Target, at: Timestamp) -> (Value, Vec<String>) {
    let Some(settings) = &rules.residency else {
        let fault = format!(
            "step `{}` reaches {target}, and the pack has no `{FILE}`: declare its region and \
             attestation there",
            step.id
        );
        let seen = json!({ "step": step.id, "endpoint": target.to_string() });
        return (seen, vec![fault]);
    };
    let classes = validate::classes(step, &rules.validators.compliance);
    let faults = judge(settings, target, &classes, at).into_iter();
    let faults = faults.map(|fault| format!("step `{}`: {fault}", step.id));
    (line(settings, target, Some(&step.id)), faults.collect())
}

/// What is recorded of something that is reached.
fn line(settings: &Settings, target: &Target, step: Option<&str>) -> Value {
    let found = endpoint_of(settings, target);
    let mut line = json!({
        "endpoint": target.to_string(),
        "entry": found.map(|(name, _)| name),
        "region": found.map(|(_, endpoint)| &endpoint.region),
    });
    if let (Some(step), Some(fields)) = (step, line.as_object_mut()) {
        fields.insert("step".to_owned(), step.into());
    }
    line
}

/// Why an attempt of a step may not reach what it would reach now; empty when
/// it may. Checked again at every attempt: an attestation ends.
pub(crate) fn standing(asked: &Question<'_>) -> Vec<String> {
    let answer = check(asked);
    match answer.verdict.passes() {
        true => Vec::new(),
        false => vec![format!("residency: {}", answer.reason)],
    }
}

/// Why this provider may not be called; empty when it may.
pub(crate) fn provider(settings: Option<&Settings>, name: &str, at: Timestamp) -> Vec<String> {
    let target = Target::Provider(name.to_owned());
    match settings {
        Some(settings) => judge(settings, &target, &BTreeSet::new(), at),
        None => vec![format!(
            "the pack has no `{FILE}`: declare the region and attestation of {target} there"
        )],
    }
}

/// Why data may not be kept in a store of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreFault {
    /// The path of the rule in the register.
    pub rule: Vec<String>,
    /// Why, naming the store.
    pub said: String,
}

/// What is wrong with the places of these stores; empty when nothing is.
#[must_use]
pub fn faults_of_stores(settings: &Settings, stores: &[Store], at: Timestamp) -> Vec<StoreFault> {
    let none = BTreeSet::new();
    let mut all = Vec::new();
    for store in stores {
        let target = Target::Store(store.clone());
        let found = found(settings, &target, &none, at).into_iter();
        all.extend(found.map(|Fault { rule, said }| {
            let path = match rule {
                Rule::Register => vec!["stores", store.role.name()],
                Rule::Entry => vec!["stores", store.role.name(), &store.at],
                Rule::Regions => vec!["regions"],
                Rule::Class(class) => vec!["data_classes", class],
                Rule::Demands => vec!["demands"],
            };
            StoreFault {
                rule: path.into_iter().map(str::to_owned).collect(),
                said,
            }
        }));
    }
    all
}

/// The endpoints that a step would reach, as the register names them.
pub(crate) fn reached(rules: &Rules, step: &Step, capabilities: &Capabilities) -> Vec<Reached> {
    let Some(settings) = &rules.residency else {
        return Vec::new();
    };
    let targets = targets(step, capabilities);
    let named = targets.iter().filter_map(|target| {
        let (name, endpoint) = endpoint_of(settings, target)?;
        Some(recorded(target, name, endpoint))
    });
    named.collect()
}

fn recorded(target: &Target, name: &str, endpoint: &Endpoint) -> Reached {
    Reached {
        endpoint: format!("{}/{name}", target.section()),
        region: endpoint.region.clone(),
    }
}

impl Settings {
    /// The provider's endpoint, as it is recorded.
    pub(crate) fn reached_provider(&self, name: &str) -> Option<Reached> {
        let target = Target::Provider(name.to_owned());
        let (name, endpoint) = endpoint_of(self, &target)?;
        Some(recorded(&target, name, endpoint))
    }
}

/// What a step would reach: the hosts of its input, its own first; or, where a
/// module writes outside and names none, what that module writes to. A module
/// that nobody knows writes outside.
fn targets(step: &Step, capabilities: &Capabilities) -> Vec<Target> {
    let hosts = validate::hosts(step);
    if !hosts.is_empty() {
        return hosts.into_iter().map(Target::Destination).collect();
    }
    let capability = capabilities.get(&step.module);
    match capability.is_none_or(|c| c.writes_outside) {
        true => vec![Target::Tool(step.module.clone())],
        false => Vec::new(),
    }
}

/// The entry of the register for something that is reached: the exact one, or
/// the longest pattern that covers it.
#[must_use]
pub fn endpoint_of<'s>(settings: &'s Settings, target: &Target) -> Option<(&'s str, &'s Endpoint)> {
    let exact = |map: &'s std::collections::BTreeMap<String, Endpoint>, name: &str| {
        map.get_key_value(name).map(|(name, e)| (name.as_str(), e))
    };
    match target {
        Target::Tool(name) => exact(&settings.tools, name),
        Target::Provider(name) => exact(&settings.providers, name),
        Target::Store(store) => exact(settings.stores.get(&store.role)?, &store.at),
        Target::Destination(host) => {
            let host = Destination::at(host)?;
            let covering = settings
                .destinations
                .iter()
                .filter(|(p, _)| host.matches(p));
            covering
                .max_by_key(|(pattern, _)| (!pattern.starts_with('*'), pattern.len()))
                .map(|(pattern, endpoint)| (pattern.as_str(), endpoint))
        }
    }
}

/// Why something may not be reached; empty when it may.
fn judge(
    settings: &Settings,
    target: &Target,
    classes: &BTreeSet<String>,
    at: Timestamp,
) -> Vec<String> {
    let found = found(settings, target, classes, at).into_iter();
    found.map(|fault| fault.said).collect()
}

/// A rule of the register.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule<'s> {
    /// That everything has an entry.
    Register,
    /// The allowed regions.
    Regions,
    /// Those of a class of data.
    Class(&'s str),
    /// What the entry itself says.
    Entry,
    /// What an attestation must say.
    Demands,
}

/// What is wrong, and by which rule.
#[derive(Clone, Debug)]
pub(super) struct Fault<'s> {
    pub(super) rule: Rule<'s>,
    pub(super) said: String,
}

fn found<'s>(
    settings: &'s Settings,
    target: &Target,
    classes: &BTreeSet<String>,
    at: Timestamp,
) -> Vec<Fault<'s>> {
    match endpoint_of(settings, target) {
        Some((_, endpoint)) => faults(settings, target, endpoint, classes, at),
        None => vec![Fault {
            rule: Rule::Register,
            said: format!(
                "{target} has no entry: name `{}` under `{}` in `{FILE}`",
                target.name(),
                target.section()
            ),
        }],
    }
}

/// What is wrong with an entry of the register.
pub(super) fn faults<'s>(
    settings: &'s Settings,
    target: &Target,
    endpoint: &Endpoint,
    classes: &BTreeSet<String>,
    at: Timestamp,
) -> Vec<Fault<'s>> {
    let (region, mut faults) = (&endpoint.region, Vec::new());
    let mut fault = |rule, said| faults.push(Fault { rule, said });
    if !settings.regions.hold(region) {
        let said = format!(
            "{target} is in region `{region}`, allowed is {}: use one in an allowed region",
            settings.regions
        );
        fault(Rule::Regions, said);
    }
    let keeps_all = matches!(target, Target::Store(store) if store.role.keeps_data());
    for (class, allowed) in &settings.data_classes {
        if (keeps_all || classes.contains(class)) && !allowed.hold(region) {
            let said = format!(
                "{target} is in region `{region}`, and data of class `{class}` may only be in \
                 {allowed}"
            );
            fault(Rule::Class(class), said);
        }
    }
    let Some(attestation) = &endpoint.attestation else {
        let said = format!("{target} has no attestation: add one to its entry in `{FILE}`");
        fault(Rule::Entry, said);
        return faults;
    };
    if at < attestation.at {
        let said = format!(
            "the attestation of {target} holds from {} on",
            attestation.at
        );
        fault(Rule::Entry, said);
    }
    if let Some(until) = attestation.until.filter(|until| at >= *until) {
        let said = format!(
            "the attestation of {target} ended at {until}: have `{}` renew it",
            attestation.by
        );
        fault(Rule::Entry, said);
    }
    let demands = &settings.demands;
    // Writ's own stores keep what the ledger's rules say.
    let own = matches!(target, Target::Store(_));
    if !own && attestation.retention > demands.retention_max {
        let said = format!(
            "{target} keeps data (retention `{}`, at most `{}` is allowed)",
            attestation.retention, demands.retention_max
        );
        fault(Rule::Demands, said);
    }
    if attestation.training && !demands.training_allowed {
        let said = format!("{target} trains models on data, which is not allowed");
        fault(Rule::Demands, said);
    }
    if attestation.logging > demands.logging_max {
        let said = format!(
            "{target} logs `{}`, at most `{}` is allowed",
            attestation.logging, demands.logging_max
        );
        fault(Rule::Demands, said);
    }
    faults
}
