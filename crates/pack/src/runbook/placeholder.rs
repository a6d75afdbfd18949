//! Placeholders in the texts of a runbook or a template: `${subject.id}`,
//! `${incident.id}`, `${field.NAME}`, `${parameter.NAME}` and so on; `$$` stands for `$`. There are no conditions and
//! no loops: a text is filled in or refused.
//!
//! A text that is one placeholder and nothing else becomes the value itself,
//! with its type. In a text under a key `url`, what is filled in behind the
//! beginning is percent-encoded, so that a value cannot change where the
//! request goes.

use kernel::Refusal;
use serde_json::{Map, Value};

/// What a placeholder may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// The subject in full, `type/id`.
    Subject,
    /// The subject's id.
    SubjectId,
    /// The subject's type.
    SubjectType,
    /// The incident's id.
    IncidentId,
    /// The incident's severity.
    IncidentSeverity,
    /// A field of the snapshot.
    Field(String),
    /// A parameter of a template.
    Parameter(String),
}

const KNOWN: &str = "`subject`, `subject.id`, `subject.type`, `field.NAME`; in runbooks \
     `incident.id` and `incident.severity`; in templates `parameter.NAME`";

impl Name {
    fn parse(text: &str) -> Result<Self, Refusal> {
        Ok(match text {
            "subject" => Self::Subject,
            "subject.id" => Self::SubjectId,
            "subject.type" => Self::SubjectType,
            "incident.id" => Self::IncidentId,
            "incident.severity" => Self::IncidentSeverity,
            other => match other.split_once('.') {
                Some(("field", name)) if !name.is_empty() => Self::Field(name.to_owned()),
                Some(("parameter", name)) if !name.is_empty() => Self::Parameter(name.to_owned()),
                _ => {
                    return Err(Refusal::invalid(format!(
                        "unknown placeholder `${{{}}}`",
                        other.escape_debug()
                    ))
                    .hint(format!("known are {KNOWN}")));
                }
            },
        })
    }
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    Placeholder(Name),
}

/// Reads the pieces of a text.
pub(crate) fn pieces(text: &str) -> Result<Vec<Piece>, Refusal> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        if let Some(after) = from.strip_prefix("$$") {
            plain.push('$');
            rest = after;
        } else if let Some(after) = from.strip_prefix("${") {
            let (name, after) = after.split_once('}').ok_or_else(|| {
                Refusal::invalid("a placeholder is not closed").hint("write `${NAME}`")
            })?;
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Placeholder(Name::parse(name.trim())?));
            rest = after;
        } else {
            return Err(Refusal::invalid("`$` stands alone")
                .hint("write `$$` for the sign itself, `${NAME}` for a value"));
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

/// Calls `each` with every text in a value and its path.
pub(crate) fn walk(value: &Value, path: &mut Vec<String>, each: &mut dyn FnMut(&[String], &str)) {
    match value {
        Value::String(text) => each(path, text),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(index.to_string());
                walk(item, path, each);
                path.pop();
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                path.push(name.clone());
                walk(field, path, each);
                path.pop();
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Gives the values of placeholders.
pub(crate) trait Values {
    /// The value of this placeholder.
    ///
    /// # Errors
    /// When there is none.
    fn value(&self, name: &Name) -> Result<Value, Refusal>;
}

/// How a value stands in a longer text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writing {
    /// As it is.
    Plain,
    /// Percent-encoded, but for what the text begins with.
    Url,
}

/// A text with its placeholders filled in.
pub(crate) fn text(text: &str, values: &dyn Values, writing: Writing) -> Result<String, Refusal> {
    let mut filled = String::new();
    for piece in pieces(text)? {
        match piece {
            Piece::Text(plain) => filled.push_str(&plain),
            Piece::Placeholder(name) => {
                let value = scalar(&name, &values.value(&name)?)?;
                match writing {
                    Writing::Url if !filled.is_empty() => encode(&value, &mut filled),
                    Writing::Url | Writing::Plain => filled.push_str(&value),
                }
            }
        }
    }
    Ok(filled)
}

/// A value with the placeholders of all its texts filled in.
pub(crate) fn fill(value: &Value, values: &dyn Values, writing: Writing) -> Result<Value, Refusal> {
    Ok(match value {
        Value::String(raw) => match pieces(raw)?.as_slice() {
            [Piece::Placeholder(name)] => values.value(name)?,
            _ => Value::String(text(raw, values, writing)?),
        },
        Value::Array(items) => items
            .iter()
            .map(|item| fill(item, values, writing))
            .collect::<Result<_, _>>()?,
        Value::Object(fields) => Value::Object(fill_map(fields, values)?),
        other => other.clone(),
    })
}

/// An object with the placeholders of all its texts filled in.
pub(crate) fn fill_map(
    fields: &Map<String, Value>,
    values: &dyn Values,
) -> Result<Map<String, Value>, Refusal> {
    let mut filled = Map::new();
    for (name, value) in fields {
        let writing = match name.as_str() {
            "url" => Writing::Url,
            _ => Writing::Plain,
        };
        filled.insert(name.clone(), fill(value, values, writing)?);
    }
    Ok(filled)
}

fn scalar(name: &Name, value: &Value) -> Result<String, Refusal> {
    match value {
        Value::String(text) if text.chars().any(char::is_control) => Err(Refusal::invalid(
            format!("the value of {name:?} holds control characters"),
        )),
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(kernel::json::canonical(value)?),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(Refusal::invalid(format!(
            "the value of {name:?} is no text and cannot stand within one"
        ))),
    }
}

/// Percent-encodes all but the unreserved characters (RFC 3986, 2.3).
fn encode(value: &str, into: &mut String) {
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                into.push(char::from(byte));
            }
            other => into.push_str(&format!("%{other:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct Fixed;
    impl Values for Fixed {
        fn value(&self, name: &Name) -> Result<Value, Refusal> {
            Ok(match name {
                Name::SubjectId => "a/../b c".into(),
                Name::Field(field) => match field.as_str() {
                    "number" => json!(3),
                    "base" => json!("https://x.example.net"),
                    "list" => json!([1]),
                    "line" => json!("a\nb"),
                    _ => return Err(Refusal::unavailable("none")),
                },
                _ => "other".into(),
            })
        }
    }

    #[test]
    fn texts_and_values() {
        for (template, expected) in [
            (json!("plain"), json!("plain")),
            (json!(""), json!("")),
            (json!("${field.number}"), json!(3)),
            (json!("n = ${field.number}!"), json!("n = 3!")),
            (json!("$$ and $${x}"), json!("$ and ${x}")),
            (json!("${subject.id}"), json!("a/../b c")),
            (
                json!({"a": ["${field.list}", true]}),
                json!({"a": [[1], true]}),
            ),
            (
                json!({"url": "${field.base}/s/${subject.id}?q=1"}),
                json!({"url": "https://x.example.net/s/a%2F..%2Fb%20c?q=1"}),
            ),
            (
                json!({"text": "${field.base}/${subject.id}"}),
                json!({"text": "https://x.example.net/a/../b c"}),
            ),
        ] {
            assert_eq!(fill(&template, &Fixed, Writing::Plain).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_refused() {
        for (template, says) in [
            ("${", "not closed"),
            ("${subject.id", "not closed"),
            ("cost: 5$", "stands alone"),
            ("$x", "stands alone"),
            ("${}", "unknown placeholder"),
            ("${env.HOME}", "unknown placeholder"),
            ("${field.}", "unknown placeholder"),
            ("x ${field.list}", "no text"),
            ("x ${field.line}", "control characters"),
            ("${field.gone}", "none"),
        ] {
            let fault = fill(&json!(template), &Fixed, Writing::Plain).unwrap_err();
            assert!(fault.message.contains(says), "{template}: {fault}");
        }
    }
}
