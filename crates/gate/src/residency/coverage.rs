//! Whether everything that can be reached is in the register, in an allowed
//! region, and attested: what `writ residency check` reports.

use super::judge::{endpoint_of, faults};
use super::{FILE, Settings, Store, Target};
use crate::Rules;
use crate::validate::{Compliance, Destination};
use kernel::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One endpoint and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its section and name in the register.
    pub endpoint: String,
    /// The region that it is in.
    pub region: Option<String>,
    /// Who attests it.
    pub by: Option<String>,
    /// Until when, where that is known.
    pub until: Option<Timestamp>,
    /// What is wrong; empty when nothing is.
    pub faults: Vec<String>,
}

/// Every endpoint of the register, every destination that the compliance
/// settings allow, and every store of this node, sorted by name.
#[must_use]
pub fn coverage(rules: &Rules, at: Timestamp) -> Vec<Line> {
    let compliance = &rules.validators.compliance;
    let Some(settings) = &rules.residency else {
        let allowed = compliance.destinations.allow.iter();
        let missing = allowed.map(|pattern| Target::Destination(pattern.clone()));
        let fault = || format!("the pack has no `{FILE}`");
        return missing.map(|target| absent(&target, fault())).collect();
    };
    let none = BTreeSet::new();
    let mut lines = BTreeMap::new();
    for (target, endpoint) in entries(settings) {
        let line = Line {
            region: Some(endpoint.region.clone()),
            by: endpoint.attestation.as_ref().map(|a| a.by.clone()),
            until: endpoint.attestation.as_ref().and_then(|a| a.until),
            faults: faults(settings, &target, endpoint, &none, at)
                .into_iter()
                .map(|fault| fault.said)
                .collect(),
            endpoint: named(&target),
        };
        lines.insert(line.endpoint.clone(), line);
    }
    for pattern in uncovered(settings, compliance) {
        let target = Target::Destination(pattern.to_owned());
        let fault = format!("steps may reach it, and it has no entry in `{FILE}`");
        lines.insert(named(&target), absent(&target, fault));
    }
    for store in missing(settings, &rules.stores) {
        let target = Target::Store(store.clone());
        let fault = format!("this node uses it, and it has no entry in `{FILE}`");
        lines.insert(named(&target), absent(&target, fault));
    }
    lines.into_values().collect()
}

/// The patterns of the compliance settings that no entry of the register
/// covers.
#[must_use]
pub fn uncovered<'c>(settings: &Settings, compliance: &'c Compliance) -> Vec<&'c str> {
    let allowed = compliance.destinations.allow.iter().map(String::as_str);
    let covered = |pattern: &str| {
        let mut known = settings.destinations.keys();
        known.any(|wider| Destination::covers(wider, pattern))
    };
    allowed.filter(|pattern| !covered(pattern)).collect()
}

fn missing<'s>(settings: &Settings, stores: &'s [Store]) -> Vec<&'s Store> {
    let known = |store: &&Store| endpoint_of(settings, &Target::Store((*store).clone())).is_none();
    stores.iter().filter(known).collect()
}

fn entries(settings: &Settings) -> Vec<(Target, &super::Endpoint)> {
    let mut all = Vec::new();
    for (name, endpoint) in &settings.destinations {
        all.push((Target::Destination(name.clone()), endpoint));
    }
    for (name, endpoint) in &settings.tools {
        all.push((Target::Tool(name.clone()), endpoint));
    }
    for (name, endpoint) in &settings.providers {
        all.push((Target::Provider(name.clone()), endpoint));
    }
    for (role, places) in &settings.stores {
        for (at, endpoint) in places {
            let (role, at) = (*role, at.clone());
            all.push((Target::Store(Store { role, at }), endpoint));
        }
    }
    all
}

fn named(target: &Target) -> String {
    format!("{}/{}", target.section(), target.name())
}

fn absent(target: &Target, fault: String) -> Line {
    Line {
        endpoint: named(target),
        region: None,
        by: None,
        until: None,
        faults: vec![fault],
    }
}
