//! Compliance: are the tool, the fields, the data classes and the destinations
//! of a step allowed? Deny wins over allow, and what no list allows is
//! blocked.

use super::url::Destination;
use super::{Compliance, Finding, Input, UNCLASSIFIED, Validator, report};
use crate::contract::Step;
use kernel::Verdict;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(super) fn run(input: &Input<'_>) -> Finding {
    let settings = &input.settings.compliance;
    let steps = input.steps();
    let mut faults = Vec::new();
    let mut destinations = BTreeSet::new();
    for step in &steps {
        check(step, settings, &mut faults, &mut destinations);
    }
    let verdict = match faults.is_empty() {
        true => Verdict::Allow,
        false => Verdict::Block,
    };
    let fine = "tools, fields, data classes and destinations are allowed".to_owned();
    let reason = super::sentence(fine, faults.iter().map(|(text, _)| text.clone()));
    let tools: BTreeSet<_> = steps.iter().map(|step| &step.module).collect();
    report(
        Validator::Compliance,
        verdict,
        reason,
        json!({
            "tools": tools,
            "destinations": destinations,
            "refused": super::listed(faults.into_iter().map(|(_, value)| value)),
        }),
    )
}

/// The hosts that a step would reach, as its input names them; those that
/// cannot be read are left out, and [`run`] blocks them.
#[must_use]
pub fn destinations(step: &Step) -> BTreeSet<String> {
    hosts(step).into_iter().collect()
}

/// The same, the host of the step's own field first: the fewer fields it
/// stands in, the earlier.
pub(crate) fn hosts(step: &Step) -> Vec<String> {
    let root = Value::Object(step.input.clone());
    let mut fields = Vec::new();
    walk(&root, &mut Vec::new(), &mut fields);
    fields.retain(|(path, _)| names_destination(path));
    fields.sort_by_key(|(path, _)| path.len());
    let mut hosts = Vec::new();
    for (_, value) in &fields {
        let host = destination(value).ok().map(|d| d.to_string());
        hosts.extend(host.filter(|host| !hosts.contains(host)));
    }
    hosts
}

/// The classes of the data that a step's input holds.
pub(crate) fn classes(step: &Step, settings: &Compliance) -> BTreeSet<String> {
    let root = Value::Object(step.input.clone());
    let mut fields = Vec::new();
    walk(&root, &mut Vec::new(), &mut fields);
    let of = |(path, value): &(Vec<String>, &Value)| classes_of(settings, path, value);
    let found = fields.iter().flat_map(of);
    found.map(str::to_owned).collect()
}

/// The classes of one field. An object is made of its fields; only what holds
/// a value of its own has a class.
fn classes_of<'s>(settings: &'s Compliance, path: &[String], value: &Value) -> BTreeSet<&'s str> {
    let of = settings.data_classes.of.iter();
    let mut named = of.filter(|(pattern, _)| covers(pattern, path)).peekable();
    match named.peek() {
        Some(_) => named.map(|(_, class)| class.as_str()).collect(),
        None if leaf_free(value) => BTreeSet::new(),
        None => BTreeSet::from([UNCLASSIFIED]),
    }
}

/// Whether a pattern (as in the data classes) covers a field of the step's
/// input.
pub(crate) fn holds(step: &Step, patterns: &BTreeSet<String>) -> bool {
    let root = Value::Object(step.input.clone());
    let mut fields = Vec::new();
    walk(&root, &mut Vec::new(), &mut fields);
    fields.iter().any(|(path, _)| any(patterns, path))
}

/// Whether the step reaches a host that a pattern covers; `*` covers any. An
/// address that cannot be read is any host.
pub(crate) fn reaches(step: &Step, patterns: &BTreeSet<String>) -> bool {
    let root = Value::Object(step.input.clone());
    let mut fields = Vec::new();
    walk(&root, &mut Vec::new(), &mut fields);
    let mut named = fields.iter().filter(|(path, _)| names_destination(path));
    named.any(|(_, value)| match destination(value) {
        Ok(host) => patterns.iter().any(|p| p == "*" || host.matches(p)),
        Err(_) => true,
    })
}

type Faults = Vec<(String, Value)>;

fn check(step: &Step, settings: &Compliance, faults: &mut Faults, reached: &mut BTreeSet<String>) {
    let mut refuse = |kind: &str, name: &str, why: &str| {
        faults.push((
            format!("step `{}`: {kind} `{name}` {why}", step.id),
            json!({ "step": step.id, "kind": kind, "name": name, "why": why }),
        ));
    };
    let tools = &settings.tools;
    let exact = |list: &BTreeSet<String>, name: &str| list.contains(name);
    if let Some(why) = refused(
        exact(&tools.deny, &step.module),
        exact(&tools.allow, &step.module),
    ) {
        refuse("tool", &step.module, why);
    }

    let mut fields = Vec::new();
    let root = Value::Object(step.input.clone());
    walk(&root, &mut Vec::new(), &mut fields);
    let mut classes = BTreeSet::new();
    for (path, value) in &fields {
        let shown = path.join(".");
        let (deny, allow) = (&settings.fields.deny, &settings.fields.allow);
        if let Some(why) = refused(any(deny, path), leaf_free(value) || any(allow, path)) {
            refuse("field", &shown, why);
        }
        classes.extend(classes_of(settings, path, value));
        if names_destination(path) {
            match destination(value) {
                Err(why) => refuse("destination", &shown, why),
                Ok(destination) => {
                    let lists = &settings.destinations;
                    let denied = lists.deny.iter().any(|p| destination.denied_by(p));
                    let allowed = lists.allow.iter().any(|p| destination.matches(p));
                    if let Some(why) = refused(denied, allowed) {
                        refuse("destination", &destination.to_string(), why);
                    }
                    reached.insert(destination.to_string());
                }
            }
        }
    }
    for class in classes {
        let lists = &settings.data_classes;
        if let Some(why) = refused(exact(&lists.deny, class), exact(&lists.allow, class)) {
            refuse("data class", class, why);
        }
    }
}

/// Why something is refused, by whether it is denied and whether allowed.
fn refused(denied: bool, allowed: bool) -> Option<&'static str> {
    match (denied, allowed) {
        (true, _) => Some("is denied"),
        (false, false) => Some("is not allowed"),
        (false, true) => None,
    }
}

fn destination(value: &Value) -> Result<Destination, &'static str> {
    let text = value.as_str().ok_or("is not text, so it has no host")?;
    Destination::of(text).map_err(|_| "is not a plain `https://` or `http://` URL")
}

/// Whether a field says where something is sent: it is called `url`, and does
/// not stand in a body, which is data that is sent.
fn names_destination(path: &[String]) -> bool {
    match path.split_last() {
        Some((last, above)) => last == "url" && above.iter().all(|name| name != "body"),
        None => false,
    }
}

/// Whether a value is an object or list with content: its fields are checked
/// one by one.
fn leaf_free(value: &Value) -> bool {
    match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty() && items.iter().all(leaf_free),
        _ => false,
    }
}

/// Every field with its path, parents before children. The items of a list
/// have the list's path.
fn walk<'v>(value: &'v Value, path: &mut Vec<String>, out: &mut Vec<(Vec<String>, &'v Value)>) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                path.push(name.clone());
                out.push((path.clone(), inner));
                walk(inner, path, out);
                path.pop();
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, path, out)),
        _ => {}
    }
}

fn any(patterns: &BTreeSet<String>, path: &[String]) -> bool {
    patterns.iter().any(|pattern| covers(pattern, path))
}

/// Whether a pattern covers a path: `*` all, `*.name` that name at any depth
/// and what is below, `a.b` that field and what is below. Compared name by
/// name, so that a key with a dot in it equals no two names.
fn covers(pattern: &str, path: &[String]) -> bool {
    if pattern == "*" {
        return true;
    }
    if let Some(name) = pattern.strip_prefix("*.") {
        return path.iter().any(|part| part == name);
    }
    let mut parts = path.iter();
    pattern
        .split('.')
        .all(|wanted| parts.next().is_some_and(|part| part == wanted))
}
