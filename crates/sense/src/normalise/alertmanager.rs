//! The webhook of Prometheus Alertmanager, version 4 of its payload
//! (<https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>).
//! Strict on what is needed; other fields are another's business.

use super::{Bad, Raw};
use crate::definition::{AlertmanagerMapping, ValueForm};
use crate::severity::SignalStatus;
use kernel::names::Name;
use kernel::{Digest, Refusal, Timestamp};
use serde_json::{Map, Value};

/// The alerts of a payload.
pub(super) fn alerts(payload: &Value) -> Result<&[Value], Refusal> {
    match payload.get("version").and_then(Value::as_str) {
        Some("4") => {}
        Some(other) => {
            return Err(Refusal::invalid(format!(
                "version `{}` of the payload is not known",
                other.escape_debug()
            ))
            .at("/version")
            .hint("writ reads version `4`"));
        }
        None => {
            return Err(Refusal::invalid("no version in text")
                .at("/version")
                .hint("this is not Alertmanager's webhook payload"));
        }
    }
    match payload.get("alerts") {
        Some(Value::Array(alerts)) => Ok(alerts),
        _ => Err(Refusal::invalid("no list of alerts").at("/alerts")),
    }
}

/// How many alerts Alertmanager left out (`max_alerts`).
pub(super) fn truncated(payload: &Value) -> Result<u64, Refusal> {
    match payload.get("truncatedAlerts") {
        None | Some(Value::Null) => Ok(0),
        Some(number) => number
            .as_u64()
            .ok_or_else(|| Refusal::invalid("not a count").at("/truncatedAlerts")),
    }
}

/// One alert.
pub(super) fn item(mapping: &AlertmanagerMapping, alert: &Value) -> Result<Raw, Bad> {
    if !alert.is_object() {
        return Err(Bad::new("", "not an object"));
    }
    let labels = texts(alert, "labels")?;
    let annotations = match alert.get("annotations") {
        None | Some(Value::Null) => Map::new(),
        Some(_) => texts(alert, "annotations")?,
    };
    let status = text(alert, "status")?;
    let status = SignalStatus::parse(status)
        .ok_or_else(|| Bad::new("/status", "neither `firing` nor `resolved`"))?;
    let began_at = instant(alert, "startsAt")?;
    let observed_at = match status {
        SignalStatus::Firing => began_at,
        SignalStatus::Resolved => instant(alert, "endsAt")?,
    };
    let (subject_id, subject_path) = subject(mapping, &labels)?;
    let signal_type = signal_type(mapping, &labels)?;
    let severity = &mapping.severity;
    let severity_text = label(&labels, &severity.label);
    let by_source = severity_text
        .and_then(|t| severity.map.get(t).copied())
        .or(severity.default);
    let mut attributes = Map::new();
    for (name, attribute) in &mapping.attributes {
        let path = pointer(&attribute.from);
        let found = match attribute.from.split_once('.') {
            Some(("labels", key)) => label(&labels, key),
            Some(("annotations", key)) => label(&annotations, key),
            _ => alert.get("generatorURL").and_then(Value::as_str),
        };
        if let Some(found) = found {
            let value = read_as(found, attribute.form)
                .ok_or_else(|| Bad::new(path, format!("not a {} for `{name}`", attribute.form)))?;
            attributes.insert(name.clone(), value);
        }
    }
    Ok(Raw {
        signal_type,
        type_path: format!("/labels/{}", mapping.signal_type.label),
        subject_kind: mapping.subject.kind.clone(),
        subject_id,
        subject_path,
        fingerprint: fingerprint(alert, &labels)?,
        status,
        severity: (severity_text.map(str::to_owned), by_source),
        severity_path: format!("/labels/{}", severity.label),
        observed_at,
        began_at,
        time_path: "/endsAt".to_owned(),
        attributes,
    })
}

fn text<'a>(alert: &'a Value, field: &str) -> Result<&'a str, Bad> {
    alert
        .get(field)
        .and_then(Value::as_str)
        .ok_or_else(|| Bad::new(format!("/{field}"), "missing or not text"))
}

fn texts(alert: &Value, field: &str) -> Result<Map<String, Value>, Bad> {
    let Some(Value::Object(fields)) = alert.get(field) else {
        return Err(Bad::new(format!("/{field}"), "missing or not an object"));
    };
    match fields.iter().find(|(_, value)| !value.is_string()) {
        Some((name, _)) => Err(Bad::new(format!("/{field}/{name}"), "not text")),
        None => Ok(fields.clone()),
    }
}

fn instant(alert: &Value, field: &str) -> Result<Timestamp, Bad> {
    Timestamp::parse(text(alert, field)?).map_err(|e| Bad::of(format!("/{field}"), &e))
}

fn label<'a>(labels: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    labels.get(name).and_then(Value::as_str)
}

fn subject(
    mapping: &AlertmanagerMapping,
    labels: &Map<String, Value>,
) -> Result<(String, String), Bad> {
    let names = mapping.subject.labels.iter();
    let mut found = names.filter_map(|name| label(labels, name).map(|id| (name, id)));
    match found.find(|(_, id)| !id.is_empty()) {
        Some((name, id)) => Ok((id.to_owned(), format!("/labels/{name}"))),
        None => Err(Bad::new(
            "/labels",
            format!(
                "none of the labels `{}` names the subject",
                mapping.subject.labels.join("`, `")
            ),
        )),
    }
}

fn signal_type(mapping: &AlertmanagerMapping, labels: &Map<String, Value>) -> Result<String, Bad> {
    let by = &mapping.signal_type;
    let path = format!("/labels/{}", by.label);
    let value = label(labels, &by.label);
    value
        .and_then(|value| by.map.get(value))
        .or(by.default.as_ref())
        .cloned()
        .ok_or_else(|| {
            let shown: String = value.unwrap_or_default().chars().take(80).collect();
            Bad::new(path, format!("no signal type is mapped to `{shown}`"))
        })
}

/// Alertmanager's own fingerprint, or one made of the labels, which is what
/// Alertmanager does too.
fn fingerprint(alert: &Value, labels: &Map<String, Value>) -> Result<String, Bad> {
    match alert.get("fingerprint") {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        None | Some(Value::Null) => Digest::of_value("writ.fingerprint.v1", labels)
            .map(|digest| digest.to_string())
            .map_err(|e| Bad::new("/labels", e.to_string())),
        Some(_) => Err(Bad::new("/fingerprint", "not text")),
    }
}

fn pointer(from: &str) -> String {
    format!("/{}", from.replacen('.', "/", 1))
}

fn read_as(text: &str, form: ValueForm) -> Option<Value> {
    match form {
        ValueForm::Text => Some(Value::from(text)),
        ValueForm::Boolean => text.parse::<bool>().ok().map(Value::from),
        ValueForm::Number => {
            let number: f64 = text.trim().parse().ok()?;
            serde_json::Number::from_f64(number).map(Value::Number)
        }
    }
}
