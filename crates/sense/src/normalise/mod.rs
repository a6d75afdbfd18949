//! Normalising: a foreign payload becomes observations. What is wrong with the
//! payload as a whole refuses it; what is wrong with one item rejects that item
//! with the failing field's path, and the others go on.

mod alertmanager;
mod json;

use crate::catalog::{Catalog, CompiledSource};
use crate::definition::Mapping;
use crate::limits;
use crate::severity::{Severity, SignalStatus};
use crate::signal::Observation;
use kernel::{Refusal, Subject, Timestamp, limits as kernel_limits};
use serde_json::{Map, Value};

/// An item that is no valid signal.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejected {
    /// The failing field: JSON Pointer from the root of the payload.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
    /// The item as it came.
    pub item: Value,
}

/// A payload, read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// The valid items, in the payload's order.
    pub observations: Vec<Observation>,
    /// The others.
    pub rejected: Vec<Rejected>,
    /// Items that the source says it left out.
    pub truncated: u64,
}

/// Reads a payload of this source.
///
/// # Errors
/// When there is no such source, the payload is not of the source's form, or
/// it holds too many items.
pub fn read(catalog: &Catalog, source: &str, payload: &Value) -> Result<Parsed, Refusal> {
    let source = catalog.source(source)?;
    let mut parsed = Parsed::default();
    let items: Vec<(String, &Value)> = match &source.definition.mapping {
        Mapping::AlertmanagerV4(_) => {
            parsed.truncated = alertmanager::truncated(payload)?;
            let alerts = alertmanager::alerts(payload)?;
            numbered("/alerts", alerts)
        }
        Mapping::Json(mapping) => match payload.pointer(&mapping.items) {
            Some(Value::Array(items)) => numbered(&mapping.items, items),
            Some(one) => vec![(mapping.items.clone(), one)],
            None => {
                return Err(
                    Refusal::invalid(format!("nothing stands at `{}`", mapping.items))
                        .hint("the pack's mapping of this source expects the items there"),
                );
            }
        },
    };
    if items.len() > limits::PAYLOAD_ITEMS_MAX {
        return Err(Refusal::limit(format!(
            "the payload holds {} items, allowed are {}",
            items.len(),
            limits::PAYLOAD_ITEMS_MAX
        ))
        .hint("let the source send smaller groups"));
    }
    for (path, item) in items {
        match one(catalog, source, item) {
            Ok(observation) => parsed.observations.push(observation),
            Err(bad) => parsed.rejected.push(Rejected {
                path: format!("{path}{}", bad.path),
                reason: bad.reason,
                item: item.clone(),
            }),
        }
    }
    Ok(parsed)
}

/// Reads one item of a payload again, for a dead letter.
///
/// # Errors
/// When there is no such source or the item is still not valid.
pub fn read_item(catalog: &Catalog, source: &str, item: &Value) -> Result<Observation, Refusal> {
    let source = catalog.source(source)?;
    one(catalog, source, item).map_err(|bad| Refusal::invalid(bad.reason).at(bad.path))
}

fn numbered<'a>(path: &str, items: &'a [Value]) -> Vec<(String, &'a Value)> {
    let items = items.iter().enumerate();
    items
        .map(|(index, item)| (format!("{path}/{index}"), item))
        .collect()
}

fn one(catalog: &Catalog, source: &CompiledSource, item: &Value) -> Result<Observation, Bad> {
    let raw = match &source.definition.mapping {
        Mapping::AlertmanagerV4(mapping) => alertmanager::item(mapping, item)?,
        Mapping::Json(mapping) => json::item(source, mapping, item)?,
    };
    finish(catalog, raw)
}

/// What is wrong with an item.
struct Bad {
    /// JSON Pointer from the item.
    path: String,
    reason: String,
}

impl Bad {
    fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            reason: reason.into(),
        }
    }
    fn of(path: impl Into<String>, refusal: &Refusal) -> Self {
        Self::new(path, refusal.to_string())
    }
}

/// An item with its parts found but not yet checked against the catalogue.
struct Raw {
    signal_type: String,
    type_path: String,
    subject_kind: String,
    subject_id: String,
    subject_path: String,
    fingerprint: String,
    status: SignalStatus,
    /// The source's text, and what the source's own tables make of it.
    severity: (Option<String>, Option<Severity>),
    severity_path: String,
    observed_at: Timestamp,
    began_at: Timestamp,
    time_path: String,
    attributes: Map<String, Value>,
}

fn finish(catalog: &Catalog, raw: Raw) -> Result<Observation, Bad> {
    let declared = catalog.signal_type(&raw.signal_type).ok_or_else(|| {
        let shown: String = raw.signal_type.chars().take(80).collect();
        Bad::new(&raw.type_path, format!("unknown signal type `{shown}`"))
    })?;
    let subject = Subject::new(&raw.subject_kind, &raw.subject_id)
        .map_err(|e| Bad::of(&raw.subject_path, &e))?;
    let (text, by_source) = raw.severity;
    let severity = declared
        .severity(text.as_deref())
        .or(by_source)
        .or(declared.definition.severity)
        .ok_or_else(|| {
            Bad::new(
                &raw.severity_path,
                "no table gives a severity and the signal type has none",
            )
        })?;
    if raw.began_at > raw.observed_at {
        return Err(Bad::new(&raw.time_path, "it ended before it began"));
    }
    if raw.fingerprint.is_empty() || raw.fingerprint.len() > kernel_limits::NAME_BYTES_MAX {
        return Err(Bad::new(
            "",
            format!(
                "the fingerprint has {} bytes, allowed are 1 to {}",
                raw.fingerprint.len(),
                kernel_limits::NAME_BYTES_MAX
            ),
        ));
    }
    let attributes: Map<String, Value> = raw
        .attributes
        .into_iter()
        .map(|(name, value)| (name, plain(value)))
        .collect();
    let length = kernel::json::canonical(&attributes)
        .map_err(|e| Bad::new("", e.to_string()))?
        .len();
    if length > limits::ATTRIBUTES_BYTES_MAX {
        return Err(Bad::new(
            "",
            format!(
                "the attributes have {length} bytes, allowed are {}",
                limits::ATTRIBUTES_BYTES_MAX
            ),
        ));
    }
    declared
        .check(&attributes)
        .map_err(|(path, reason)| Bad::new("", format!("attributes{path}: {reason}")))?;
    Ok(Observation {
        signal_type: raw.signal_type,
        subject,
        fingerprint: raw.fingerprint,
        status: raw.status,
        severity,
        observed_at: raw.observed_at,
        began_at: raw.began_at,
        ttl: declared.definition.ttl,
        attributes,
    })
}

/// Numbers without a fraction as integers, as canonical JSON writes them: a
/// condition must see the same before and after the ledger.
fn plain(value: Value) -> Value {
    const EXACT: f64 = 9_007_199_254_740_991.0;
    match value {
        Value::Number(n) if n.is_f64() => {
            let number = n.as_f64().unwrap_or(f64::NAN);
            if number.fract() == 0.0 && (-EXACT..=EXACT).contains(&number) {
                #[allow(
                    clippy::cast_possible_truncation,
                    reason = "the range was checked in the line above"
                )]
                let whole = number as i64;
                Value::from(whole)
            } else {
                Value::Number(n)
            }
        }
        Value::Array(items) => Value::Array(items.into_iter().map(plain).collect()),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(k, v)| (k, plain(v))).collect())
        }
        other => other,
    }
}
