//! The sample pack with people in it: a personal source, a schema with personal
//! fields, and a rule that does without them.

use crate::sample::Sample;
use pack::Files;
use serde_json::{Value, json};

/// The name of the personal source.
pub const SOURCE: &str = "desk";

const TYPE: &str = "
  - name: COMPLAINT
    title: Complaint
    ttl: 1h
    attributes:
      type: object
      additionalProperties: false
      properties:
        email: { type: string }
        phone: { type: string }
        note: { type: string }
        queue: { type: string }
";

const SCHEMA: &str = "\
entity: person
version: 1
title: Person
critical: [email]
personal: [email, phone]
fields:
  email: { type: string, maxLength: 64 }
  phone: { type: string, pattern: \"^[+0-9]*$\" }
  queue: { type: string }
";

const SOURCE_TEXT: &str = "\
name: desk
title: Service desk
evidence: alert
trust: reported
authentication:
  bearer:
    secret: file:alertmanager
personal: true
plain_attributes: [queue]
mapping:
  json:
    items: /items
    id: { pointer: /id }
    type: { from: { constant: COMPLAINT } }
    subject: { kind: person, id: { pointer: /person } }
    severity: { constant: high }
    severities: { high: high }
    observed_at: { pointer: /at }
    attributes:
      email: { pointer: /email }
      phone: { pointer: /phone }
      note: { pointer: /note }
      queue: { pointer: /queue }
facts:
  - { field: email, firing: { attribute: email } }
  - { field: phone, firing: { attribute: phone } }
  - { field: queue, firing: { attribute: queue } }
";

const RULE: &str = "\
id: complaint
title: Complaint
signal_types: [COMPLAINT]
condition: \"signal.attributes.queue == 'urgent' && has(signal.attributes.email)\"
window: { length: 10m }
aggregate: count
threshold: 1
severity: high
explanation: \"{subject}: {value} complaints\"
";

/// The files of the pack.
#[must_use]
pub fn files() -> Files {
    let mut files = Sample::default().files();
    if let Some(signals) = files.get_mut("signals.yaml") {
        signals.extend_from_slice(TYPE.trim_start_matches('\n').as_bytes());
    }
    for (path, text) in [
        ("schemas/person.yaml", SCHEMA),
        ("sources/desk.yaml", SOURCE_TEXT),
        ("rules/complaint.yaml", RULE),
    ] {
        files.insert(path.to_owned(), text.as_bytes().to_vec());
    }
    files
}

/// What the desk says of a person.
#[must_use]
pub fn item(person: &str, id: &str, at: &str, canary: &str) -> Value {
    json!({
        "id": format!("{id}-{canary}"), "person": person, "at": at,
        "email": format!("{canary}@mail.example"), "phone": "+49301234567",
        "note": format!("says {canary}"), "queue": "urgent",
    })
}

/// A body of the desk.
#[must_use]
pub fn body(items: &[Value]) -> Vec<u8> {
    json!({ "items": items }).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is changed of a file, and what the loader says of it.
    fn check(path: &str, from: &str, to: &str, expected: &[&str]) {
        let mut files = files();
        let text = String::from_utf8(files[path].clone()).unwrap();
        assert!(text.contains(from), "`{from}` in {path}");
        files.insert(path.into(), text.replacen(from, to, 1).into_bytes());
        let faults = pack::load(&files).err().unwrap_or_default();
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        let all = lines.join("\n");
        assert_eq!(lines.is_empty(), expected.is_empty(), "{to}: {all}");
        for part in expected {
            assert!(all.contains(part), "`{to}` says nothing of `{part}`: {all}");
        }
    }

    #[test]
    fn what_is_personal_stays_sealed_or_the_pack_is_refused() {
        let (rule, schema, source) = (
            "rules/complaint.yaml",
            "schemas/person.yaml",
            "sources/desk.yaml",
        );
        check(rule, "title: Complaint", "title: Other", &[]);
        let condition = "signal.attributes.queue == 'urgent' && has(signal.attributes.email)";
        for plaintext in [
            "signal.attributes.note.contains('x')",
            "signal.attributes['note'] == 'x'",
            "signal['attributes'].note == 'x'",
            "signal.attributes[signal.type] == 'x'",
            "size(signal.attributes) > 3",
            "signal.attributes.note in ['x']",
            "signal == signal",
        ] {
            let expected = ["complaint.yaml", "`note`", "keeps sealed"];
            check(rule, condition, plaintext, &expected);
        }
        let grouped = "group_by: [attributes.note]\nwindow";
        check(rule, "window", grouped, &["`note`", "keeps sealed"]);
        let distinct = "aggregate: { distinct: note }";
        check(rule, "aggregate: count", distinct, &["`note`"]);
        check(
            schema,
            "personal: [email, phone]",
            "personal: [email]",
            &["`phone` takes the attribute `phone`, which is personal"],
        );
        check(
            schema,
            "personal: [email, phone]",
            "personal: [email, phone, fax]",
            &["personal field `fax` is not in `fields`"],
        );
        check(
            source,
            "personal: true\nplain_attributes: [queue]\n",
            "",
            &["`email` is personal, and the source would keep `email` in plaintext"],
        );
        check(
            source,
            "personal: true\n",
            "",
            &["every attribute is plain already"],
        );
        check(source, "[queue]", "[queue, email]", &["in plaintext"]);
        check(
            source,
            "[queue]",
            "[queue, fax]",
            &["unknown attribute `fax`"],
        );
        check(
            source,
            "field: email, firing: { attribute: email }",
            "field: email, firing: { attribute: note }",
            &["takes an attribute of another name"],
        );
        check(
            source,
            "field: email, firing: { attribute: email }",
            "field: email, firing: { constant: x }",
            &["takes no constant"],
        );
        let runbook = "runbooks/cool-down.yaml";
        let person = "subject_type: person\nwhen: \"state.email == 'x'\"";
        check(
            runbook,
            "subject_type: machine",
            person,
            &["personal field `email`"],
        );
        let template = "\"Cool ${field.phone} down\"";
        let mut files = files();
        let text = String::from_utf8(files[runbook].clone()).unwrap();
        let text = text
            .replace("subject_type: machine", "subject_type: person")
            .replace("\"Cool ${subject.id} down\"", template);
        files.insert(runbook.into(), text.into_bytes());
        let faults = pack::load(&files).unwrap_err();
        assert!(
            faults
                .iter()
                .any(|f| f.to_string().contains("personal field `phone`"))
        );
    }
}
