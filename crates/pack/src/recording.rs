//! Recorded input, moved in time: every instant in a recorded body is shifted
//! by the same length, so that a recording can be played as if it happened
//! now. Nothing else of the body changes.

use kernel::{Refusal, Span, Timestamp, json};
use serde_json::Value;

/// Which way instants are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shift {
    /// To later.
    Later(Span),
    /// To earlier.
    Earlier(Span),
}

impl Shift {
    /// The shift that takes one instant to another.
    #[must_use]
    pub fn between(from: Timestamp, to: Timestamp) -> Self {
        if to >= from {
            Self::Later(to.since(from))
        } else {
            Self::Earlier(from.since(to))
        }
    }

    fn apply(self, at: Timestamp) -> Timestamp {
        match self {
            Self::Later(span) => at.plus(span),
            Self::Earlier(span) => at.minus(span),
        }
    }
}

/// Instants before this stand for "none" in foreign payloads (Go writes the
/// year 1) and are left as they are.
const OLDEST: Timestamp = Timestamp::EPOCH;

/// The latest instant in a recorded JSON body.
///
/// # Errors
/// When the body is not strict JSON.
pub fn latest(body: &[u8]) -> Result<Option<Timestamp>, Refusal> {
    let mut found = None;
    visit(&mut json::parse(body)?, &mut |at| {
        found = found.max(Some(at));
        at
    });
    Ok(found)
}

/// A recorded JSON body with every instant moved.
///
/// # Errors
/// When the body is not strict JSON.
pub fn shifted(body: &[u8], shift: Shift) -> Result<Vec<u8>, Refusal> {
    let mut value = json::parse(body)?;
    visit(&mut value, &mut |at| shift.apply(at));
    Ok(json::canonical(&value)?.into_bytes())
}

/// Calls `each` with every text that is an instant in full, and puts there
/// what it gives back.
fn visit(value: &mut Value, each: &mut dyn FnMut(Timestamp) -> Timestamp) {
    match value {
        Value::String(text) => {
            if let Some(at) = instant(text) {
                let moved = each(at);
                if moved != at {
                    *text = moved.to_string();
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| visit(item, each)),
        Value::Object(fields) => fields.values_mut().for_each(|field| visit(field, each)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn instant(text: &str) -> Option<Timestamp> {
    let shaped = text.len() >= 20 && text.as_bytes().get(10) == Some(&b'T');
    let parsed = shaped.then(|| Timestamp::parse(text).ok()).flatten();
    parsed.filter(|at| *at > OLDEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"alerts":[{"startsAt":"2026-03-01T10:00:00.5Z","endsAt":"0001-01-01T00:00:00Z"}],"note":"at 2026-03-01T10:00:00Z","day":"2026-03-01"}"#;

    #[test]
    fn only_instants_move() {
        let to = Timestamp::parse("2026-03-02T10:00:01.5Z").unwrap();
        let from = latest(BODY.as_bytes()).unwrap().unwrap();
        assert_eq!(from.to_string(), "2026-03-01T10:00:00.500000Z");
        let moved = shifted(BODY.as_bytes(), Shift::between(from, to)).unwrap();
        let value: Value = serde_json::from_slice(&moved).unwrap();
        assert_eq!(
            value["alerts"][0]["startsAt"],
            "2026-03-02T10:00:01.500000Z"
        );
        assert_eq!(value["alerts"][0]["endsAt"], "0001-01-01T00:00:00Z");
        assert_eq!(value["note"], "at 2026-03-01T10:00:00Z");
        assert_eq!(value["day"], "2026-03-01");
        let back = shifted(&moved, Shift::between(to, from)).unwrap();
        assert_eq!(latest(&back).unwrap(), Some(from));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        assert!(shifted(b"{", Shift::Later(Span::ZERO)).is_err());
        assert_eq!(latest(b"{\"a\":1}").unwrap(), None);
    }
}
