//! Rules decide over plaintext, so none may need an attribute that a personal
//! source keeps sealed.

use super::Fault;
use crate::definition::{Aggregation, Definitions, Source};
use crate::rules::{CompiledRule, Rules};
use kernel::{Refusal, limits};

pub(super) fn check(definitions: &Definitions, rules: &Rules, found: &mut Vec<Fault>) {
    for source in &definitions.sources {
        declared(source, found);
        for attribute in source.attributes() {
            if !source.seals(attribute) {
                continue;
            }
            for rule in rules.iter() {
                let types = &rule.definition.signal_types;
                let concerned = types.iter().any(|name| source.may_give(name));
                if let (true, Some(field)) = (concerned, need(rule, attribute)) {
                    found.push(needed(source, rule, attribute, field));
                }
            }
        }
    }
}

/// The field of the rule that needs the attribute's plaintext.
fn need(rule: &CompiledRule, attribute: &str) -> Option<&'static str> {
    if rule.condition.reads(&["signal", "attributes", attribute]) {
        return Some("condition");
    }
    let definition = &rule.definition;
    match &definition.aggregate {
        Aggregation::Distinct(name) | Aggregation::Sum(name) if name == attribute => {
            return Some("aggregate");
        }
        _ => {}
    }
    let grouped = definition.group_by.iter();
    grouped
        .filter_map(|key| key.strip_prefix("attributes."))
        .any(|name| name == attribute)
        .then_some("group_by")
}

fn needed(source: &Source, rule: &CompiledRule, attribute: &str, field: &str) -> Fault {
    Fault {
        part: "rules",
        name: rule.definition.id.clone(),
        field: field.to_owned(),
        refusal: Refusal::invalid(format!(
            "it needs the attribute `{attribute}`, which the personal source `{}` keeps sealed",
            source.name
        ))
        .hint(
            "take it out of the rule; if it is not personal, name it under `plain_attributes` \
             of the source",
        ),
    }
}

fn declared(source: &Source, found: &mut Vec<Fault>) {
    let mut add = |refusal| {
        found.push(Fault {
            part: "sources",
            name: source.name.clone(),
            field: "plain_attributes".to_owned(),
            refusal,
        });
    };
    if !source.personal && !source.plain_attributes.is_empty() {
        add(Refusal::invalid("every attribute is plain already")
            .hint("mark the source `personal`, or take the list out"));
    }
    let known = source.attributes();
    for name in &source.plain_attributes {
        if !known.contains(name.as_str()) {
            add(Refusal::invalid(format!("unknown attribute `{name}`"))
                .hint("declare it in the mapping's `attributes`"));
        }
    }
    for name in known {
        if source.seals(name) && name.len() > limits::NAME_BYTES_MAX {
            add(Refusal::limit(format!(
                "an attribute's name has {} bytes, allowed are {}",
                name.len(),
                limits::NAME_BYTES_MAX
            )));
        }
    }
}
