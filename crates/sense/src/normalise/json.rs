//! Any JSON, read by the JSON Pointers and CEL expressions of the pack.

use super::{Bad, Raw};
use crate::catalog::CompiledSource;
use crate::definition::{Extract, JsonMapping, TimeForm};
use crate::severity::SignalStatus;
use kernel::Timestamp;
use kernel::names::Name;
use serde_json::{Map, Value};

/// One item.
pub(super) fn item(
    source: &CompiledSource,
    mapping: &JsonMapping,
    item: &Value,
) -> Result<Raw, Bad> {
    let reader = Reader { source, item };
    let type_text = reader.text("type", &mapping.signal_type.from)?;
    let signal_type = mapping.signal_type.map.get(&type_text).cloned();
    let observed_at = reader.instant("observed_at", &mapping.observed_at, mapping.time)?;
    let began_at = match &mapping.began_at {
        None => observed_at,
        Some(extract) => match reader.value("began_at", extract)? {
            None => observed_at,
            Some(_) => reader.instant("began_at", extract, mapping.time)?,
        },
    };
    let status = match &mapping.status {
        None => SignalStatus::Firing,
        Some(extract) => reader.status(extract)?,
    };
    let severity_text = match &mapping.severity {
        None => None,
        Some(extract) => match reader.value("severity", extract)? {
            None => None,
            Some(_) => Some(reader.text("severity", extract)?),
        },
    };
    let by_source = severity_text
        .as_ref()
        .and_then(|text| mapping.severities.get(text).copied());
    let mut attributes = Map::new();
    for (name, extract) in &mapping.attributes {
        if let Some(value) = reader.value(name, extract)? {
            attributes.insert(name.clone(), value);
        }
    }
    Ok(Raw {
        signal_type: signal_type.unwrap_or(type_text),
        type_path: place(&mapping.signal_type.from),
        subject_kind: mapping.subject.kind.clone(),
        subject_id: reader.text("subject.id", &mapping.subject.id)?,
        subject_path: place(&mapping.subject.id),
        fingerprint: reader.text("id", &mapping.id)?,
        status,
        severity: (severity_text, by_source),
        severity_path: mapping.severity.as_ref().map(place).unwrap_or_default(),
        observed_at,
        began_at: match status {
            SignalStatus::Firing => observed_at,
            SignalStatus::Resolved => began_at,
        },
        time_path: place(&mapping.observed_at),
        attributes,
    })
}

/// The pointer of an extract, as far as it has one.
fn place(extract: &Extract) -> String {
    match extract {
        Extract::Pointer(pointer) => pointer.clone(),
        Extract::Cel(_) | Extract::Constant(_) => String::new(),
    }
}

struct Reader<'a> {
    source: &'a CompiledSource,
    item: &'a Value,
}

impl Reader<'_> {
    /// The value of an extract; null counts as missing.
    fn value(&self, field: &str, extract: &Extract) -> Result<Option<Value>, Bad> {
        let found = match extract {
            Extract::Pointer(pointer) => self.item.pointer(pointer).cloned(),
            Extract::Constant(value) => Some(value.clone()),
            Extract::Cel(text) => {
                let expression = self
                    .source
                    .expression(text)
                    .ok_or_else(|| Bad::new("", format!("`{field}` was not compiled")))?;
                let value = expression
                    .value(&[("item", self.item)])
                    .map_err(|e| Bad::new("", format!("mapping of `{field}`: {e}")))?;
                Some(value)
            }
        };
        Ok(found.filter(|value| !value.is_null()))
    }

    fn needed(&self, field: &str, extract: &Extract) -> Result<Value, Bad> {
        self.value(field, extract)?
            .ok_or_else(|| Bad::new(place(extract), format!("`{field}` is missing")))
    }

    fn text(&self, field: &str, extract: &Extract) -> Result<String, Bad> {
        match self.needed(field, extract)? {
            Value::String(text) => Ok(text),
            Value::Number(number) if !number.is_f64() => Ok(number.to_string()),
            Value::Bool(b) => Ok(b.to_string()),
            _ => Err(Bad::new(
                place(extract),
                format!("`{field}` is neither text nor a whole number"),
            )),
        }
    }

    fn status(&self, extract: &Extract) -> Result<SignalStatus, Bad> {
        let found = match self.needed("status", extract)? {
            Value::Bool(true) => Some(SignalStatus::Firing),
            Value::Bool(false) => Some(SignalStatus::Resolved),
            Value::String(text) => SignalStatus::parse(&text),
            _ => None,
        };
        found.ok_or_else(|| {
            Bad::new(
                place(extract),
                "`status` is neither `firing` nor `resolved` nor a boolean",
            )
        })
    }

    fn instant(&self, field: &str, extract: &Extract, form: TimeForm) -> Result<Timestamp, Bad> {
        let value = self.needed(field, extract)?;
        let scale = match form {
            TimeForm::Rfc3339 => {
                let text = value
                    .as_str()
                    .ok_or_else(|| Bad::new(place(extract), format!("`{field}` is not text")))?;
                return Timestamp::parse(text).map_err(|e| Bad::of(place(extract), &e));
            }
            TimeForm::UnixSeconds => 1_000_000,
            TimeForm::UnixMillis => 1_000,
        };
        value
            .as_i64()
            .and_then(|number| number.checked_mul(scale))
            .map(Timestamp::from_micros)
            .ok_or_else(|| {
                Bad::new(
                    place(extract),
                    format!("`{field}` is not a whole number ({form})"),
                )
            })
    }
}
