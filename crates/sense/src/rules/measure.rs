//! One rule over a set of signals: condition, groups, windows, measure,
//! threshold, explanation.

use super::{CompiledRule, GroupKey, RuleReport};
use crate::definition::{Aggregation, Quantity};
use crate::detection::{Detection, detection_id};
use crate::signal::Signal;
use kernel::names::Name;
use kernel::{Refusal, Span, Timestamp, json};
use serde_json::{Value, json as object};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) fn report(rule: &CompiledRule, signals: &[Arc<Signal>]) -> Result<RuleReport, Refusal> {
    // The set, in one order, each once.
    let ordered: BTreeMap<_, _> = signals
        .iter()
        .filter(|s| concerns(rule, s))
        .map(|s| ((s.observed_at, s.id), s.as_ref()))
        .collect();
    let mut faults = Vec::new();
    let mut met = 0;
    let mut late = 0;
    let mut windows: BTreeMap<(GroupKey, Timestamp), Vec<&Signal>> = BTreeMap::new();
    for signal in ordered.values() {
        match rule.condition.test(&[("signal", &view(signal))]) {
            Err(fault) => faults.push((signal.id, fault.message)),
            Ok(false) => {}
            Ok(true) => {
                met += 1;
                let Some(group) = group(rule, signal) else {
                    faults.push((signal.id, "it lacks an attribute of `group_by`".to_owned()));
                    continue;
                };
                for start in starts(rule, signal.observed_at) {
                    if is_late(rule, signal, start) {
                        late += 1;
                    } else {
                        let key = (group.clone(), start);
                        windows.entry(key).or_default().push(signal);
                    }
                }
            }
        }
    }
    let mut highest: Option<Quantity> = None;
    let mut detections = Vec::new();
    // Sliding windows overlap: the same signals make one detection, that of
    // the earliest window.
    let mut seen: BTreeSet<(GroupKey, Vec<_>)> = BTreeSet::new();
    for ((group, start), members) in windows {
        let Some((value, counted)) = measure(rule, &members) else {
            continue;
        };
        highest = highest.max(Some(value));
        if value < rule.definition.threshold {
            continue;
        }
        let mut ids: Vec<_> = counted.iter().map(|s| s.id).collect();
        ids.sort();
        if seen.insert((group.clone(), ids.clone())) {
            detections.push(detection(rule, group, start, value, ids)?);
        }
    }
    detections.sort_by_key(|d| (d.window_start, d.id));
    let why = why(
        rule,
        &detections,
        ordered.len(),
        met,
        late,
        highest,
        &faults,
    );
    Ok(RuleReport {
        rule: rule.definition.id.clone(),
        version: rule.version,
        considered: ordered.len(),
        met,
        faults,
        highest,
        why,
        detections,
    })
}

fn concerns(rule: &CompiledRule, signal: &Signal) -> bool {
    let rule = &rule.definition;
    rule.signal_types.contains(&signal.signal_type) && rule.statuses.contains(&signal.status)
}

/// What a condition sees of a signal.
fn view(signal: &Signal) -> Value {
    object!({
        "id": signal.id,
        "type": signal.signal_type,
        "source": signal.source,
        "subject": { "type": signal.subject.kind(), "id": signal.subject.id() },
        "status": signal.status,
        "severity": signal.severity,
        "confidence": signal.confidence,
        "fingerprint": signal.fingerprint,
        "observed_at": signal.observed_at,
        "attributes": signal.attributes,
    })
}

fn group(rule: &CompiledRule, signal: &Signal) -> Option<GroupKey> {
    let mut keys = BTreeMap::new();
    for key in &rule.definition.group_by {
        let value = match key.as_str() {
            "subject" => continue,
            "source" => signal.source.clone(),
            "type" => signal.signal_type.clone(),
            "fingerprint" => signal.fingerprint.clone(),
            other => {
                let name = other.strip_prefix("attributes.")?;
                text(signal.attributes.get(name)?)?
            }
        };
        keys.insert(key.clone(), value);
    }
    Some((signal.subject.clone(), keys))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => json::canonical(other).ok(),
    }
}

/// The starts of the windows that hold an instant.
fn starts(rule: &CompiledRule, at: Timestamp) -> Vec<Timestamp> {
    let length = rule.definition.window.length;
    let slide = rule.definition.window.slide.unwrap_or(length);
    let mut starts = Vec::new();
    let mut start = at.window_start(slide);
    while start.plus(length) > at {
        starts.push(start);
        let earlier = start.minus(slide);
        if earlier >= start {
            break;
        }
        start = earlier;
    }
    starts
}

fn is_late(rule: &CompiledRule, signal: &Signal, start: Timestamp) -> bool {
    let window = &rule.definition.window;
    window
        .allowed_lateness
        .is_some_and(|allowed| signal.received_at > start.plus(window.length).plus(allowed))
}

/// The measure of a window and the signals that it was taken from. `None` when
/// a sum has nothing to add.
fn measure<'a>(rule: &CompiledRule, members: &[&'a Signal]) -> Option<(Quantity, Vec<&'a Signal>)> {
    let count = |number: usize| Quantity::whole(i64::try_from(number).unwrap_or(i64::MAX));
    match &rule.definition.aggregate {
        Aggregation::Count => Some((count(members.len()), members.to_vec())),
        Aggregation::Distinct(name) => {
            let having: Vec<(&Signal, String)> = members
                .iter()
                .filter_map(|s| Some((*s, text(s.attributes.get(name)?)?)))
                .collect();
            let different: BTreeSet<_> = having.iter().map(|(_, value)| value).collect();
            let value = count(different.len());
            Some((value, having.into_iter().map(|(s, _)| s).collect()))
        }
        Aggregation::Sum(name) => {
            let having: Vec<(&Signal, Quantity)> = members
                .iter()
                .filter_map(|s| {
                    let number = s.attributes.get(name)?.as_f64()?;
                    Some((*s, Quantity::from_f64(number)?))
                })
                .collect();
            let sum = having
                .iter()
                .fold(Quantity::default(), |sum, (_, number)| sum.plus(*number));
            (!having.is_empty()).then(|| (sum, having.into_iter().map(|(s, _)| s).collect()))
        }
        Aggregation::Rate(per) => {
            let rate = rate(members.len(), *per, rule.definition.window.length);
            Some((rate, members.to_vec()))
        }
    }
}

/// `count` signals over `length`, per `per`; rounded down to a millionth.
fn rate(count: usize, per: Span, length: Span) -> Quantity {
    let millionths = i128::try_from(count)
        .unwrap_or(i128::MAX)
        .saturating_mul(i128::from(per.as_micros()))
        .saturating_mul(i128::from(Quantity::whole(1).millionths()));
    let rate = millionths / i128::from(length.as_micros().max(1));
    Quantity::from_millionths(i64::try_from(rate).unwrap_or(i64::MAX))
}

fn detection(
    rule: &CompiledRule,
    (subject, group): GroupKey,
    start: Timestamp,
    value: Quantity,
    signals: Vec<kernel::SignalId>,
) -> Result<Detection, Refusal> {
    let id = detection_id(rule.version, &subject, &group, start, &signals)?;
    let definition = &rule.definition;
    let end = start.plus(definition.window.length);
    let group_text = if group.is_empty() {
        subject.to_string()
    } else {
        let parts: Vec<_> = group.iter().map(|(k, v)| format!("{k}={v}")).collect();
        parts.join(", ")
    };
    let filled = [
        ("value", value.to_string()),
        ("threshold", definition.threshold.to_string()),
        ("subject", subject.to_string()),
        ("group", group_text),
        ("window", definition.window.length.to_string()),
        ("signals", signals.len().to_string()),
    ];
    let explanation = fill(&definition.explanation, &filled);
    Ok(Detection {
        id,
        rule: definition.id.clone(),
        rule_version: rule.version,
        title: definition.title.clone(),
        subject,
        group,
        window_start: start,
        window_end: end,
        value,
        threshold: definition.threshold,
        severity: definition.severity,
        signals,
        explanation,
    })
}

/// Fills placeholders in one pass, so that a value with braces in it is not
/// read as a placeholder.
fn fill(template: &str, values: &[(&str, String)]) -> String {
    let mut parts = template.split('{');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let Some((name, rest)) = part.split_once('}') else {
            text.push('{');
            text.push_str(part);
            continue;
        };
        let value = values.iter().find(|(known, _)| *known == name);
        text.push_str(value.map_or("", |(_, value)| value.as_str()));
        text.push_str(rest);
    }
    text
}

fn why(
    rule: &CompiledRule,
    detections: &[Detection],
    considered: usize,
    met: usize,
    late: usize,
    highest: Option<Quantity>,
    faults: &[(kernel::SignalId, String)],
) -> String {
    let definition = &rule.definition;
    let mut text = match (detections.first(), highest) {
        (Some(first), _) => first.explanation.clone(),
        (None, _) if considered == 0 => {
            let statuses: Vec<_> = definition.statuses.iter().map(|s| s.name()).collect();
            format!(
                "no {} signal of type {}",
                statuses.join(" or "),
                definition.signal_types.join(" or ")
            )
        }
        (None, _) if met == 0 => format!(
            "none of {considered} signals met `{}`",
            definition.condition
        ),
        (None, None) => format!("none of {met} signals could be measured"),
        (None, Some(highest)) => format!(
            "the highest measure of any {} window is {highest}, the threshold is {}",
            definition.window.length, definition.threshold
        ),
    };
    if late > 0 {
        text.push_str(&format!("; {late} came too late for their window"));
    }
    if let Some((signal, fault)) = faults.first() {
        text.push_str(&format!(
            "; the condition failed on {} signals, first on {signal}: {fault}",
            faults.len()
        ));
    }
    text
}
