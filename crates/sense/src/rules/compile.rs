//! The checks behind compiled rules.

use super::{CompiledRule, Rules};
use crate::catalog::Fault;
use crate::definition::{Aggregation, Rule};
use crate::expression::Expression;
use crate::limits;
use kernel::{Digest, Refusal, Span};
use std::sync::Arc;

/// What an explanation may fill in.
pub(super) const PLACEHOLDERS: &[&str] = &[
    "value",
    "threshold",
    "subject",
    "group",
    "window",
    "signals",
];

pub(super) fn compile(rules: &[Rule]) -> Result<Rules, Vec<Fault>> {
    let mut compiled = Rules::default();
    let mut found = Vec::new();
    if rules.len() > limits::RULES_MAX {
        found.push(fault(
            "",
            "",
            Refusal::limit(format!(
                "{} rules, allowed are {}",
                rules.len(),
                limits::RULES_MAX
            )),
        ));
    }
    for rule in rules {
        let faults = check(rule);
        let mut fine = faults.is_empty();
        found.extend(faults);
        let condition = match Expression::compile(&rule.condition, &["signal"]) {
            Ok(condition) => condition,
            Err(refusal) => {
                found.push(fault(&rule.id, "condition", refusal));
                continue;
            }
        };
        let version = match Digest::of_value("writ.rule.v1", rule) {
            Ok(version) => version,
            Err(e) => {
                found.push(fault(&rule.id, "", e.into()));
                continue;
            }
        };
        let entry = Arc::new(CompiledRule {
            definition: rule.clone(),
            version,
            condition,
        });
        if compiled
            .by_id
            .insert(rule.id.clone(), entry.clone())
            .is_some()
        {
            found.push(fault(
                &rule.id,
                "id",
                Refusal::conflict("the id stands twice"),
            ));
            fine = false;
        }
        if fine {
            for name in &rule.signal_types {
                let list = compiled.by_type.entry(name.clone()).or_default();
                list.push(entry.clone());
            }
        }
    }
    if found.is_empty() {
        Ok(compiled)
    } else {
        Err(found)
    }
}

fn fault(rule: &str, field: &str, refusal: Refusal) -> Fault {
    Fault {
        part: "rules",
        name: rule.to_owned(),
        field: field.to_owned(),
        refusal,
    }
}

fn check(rule: &Rule) -> Vec<Fault> {
    let mut found = Vec::new();
    let mut add = |field: &str, refusal: Refusal| found.push(fault(&rule.id, field, refusal));
    if rule.signal_types.is_empty() {
        add("signal_types", Refusal::invalid("it looks at no signals"));
    }
    if rule.statuses.is_empty() {
        add("statuses", Refusal::invalid("it looks at no signals"));
    }
    let length = rule.window.length;
    if length == Span::ZERO {
        add(
            "window.length",
            Refusal::invalid("the window is empty").hint("for example `5m`"),
        );
    }
    if let Some(slide) = rule.window.slide {
        let windows = if slide == Span::ZERO {
            i64::MAX
        } else {
            length.as_micros().div_euclid(slide.as_micros())
        };
        if slide > length {
            add(
                "window.slide",
                Refusal::invalid("signals between two windows would be lost")
                    .hint("slide by the window's length or less"),
            );
        } else if windows > limits::WINDOWS_PER_SIGNAL_MAX {
            add(
                "window.slide",
                Refusal::limit(format!(
                    "a signal would fall into more than {} windows",
                    limits::WINDOWS_PER_SIGNAL_MAX
                )),
            );
        }
    }
    match &rule.aggregate {
        Aggregation::Distinct(name) | Aggregation::Sum(name) if name.is_empty() => {
            add("aggregate", Refusal::invalid("it names no attribute"));
        }
        Aggregation::Rate(per) if *per == Span::ZERO => {
            add("aggregate", Refusal::invalid("per no time at all"));
        }
        _ => {}
    }
    for key in &rule.group_by {
        let attribute = key.strip_prefix("attributes.");
        let known = matches!(key.as_str(), "subject" | "source" | "type" | "fingerprint");
        if !known && attribute.is_none_or(str::is_empty) {
            add(
                "group_by",
                Refusal::invalid(format!("`{key}` makes no group"))
                    .hint("use `subject`, `source`, `type`, `fingerprint` or `attributes.NAME`"),
            );
        }
    }
    if let Some(name) = unknown_placeholder(&rule.explanation) {
        add(
            "explanation",
            Refusal::invalid(format!("unknown placeholder `{{{name}}}`"))
                .hint(format!("known: {}", PLACEHOLDERS.join(", "))),
        );
    }
    found
}

fn unknown_placeholder(template: &str) -> Option<String> {
    template.split('{').skip(1).find_map(|rest| {
        let name = rest.split_once('}').map_or(rest, |(name, _)| name);
        (!PLACEHOLDERS.contains(&name)).then(|| name.to_owned())
    })
}
