//! Editing a contract: what each field was and would be is shown before
//! anything is sent.

use super::decide::{approval, ask};
use super::input::json_file;
use super::{Json, escaped, needed, print};
use crate::cli::Edit;
use crate::client::Client;
use crate::failure::Failure;
use crate::render;
use gate::Contract;
use serde_json::{Map, Value};

/// Replaces the contract of a directive, and agrees to the result if asked.
pub(crate) async fn edit(client: &Client, output: Json, edit: Edit) -> Result<(), Failure> {
    let hint = "give the path of the whole contract in JSON; `writ --json show dir_…` has it";
    let wanted = json_file(&edit.file, hint)?;
    let wanted: Contract = serde_json::from_value(wanted)
        .map_err(|e| Failure::failed(format!("`{}`: {e}", edit.file.display())))?;
    let path = format!("/v1/directives/{}", escaped(&edit.id));
    let directive = client.get(&path).await?;
    let digest = needed(&directive, "state.digest")?;
    let after = serde_json::to_value(&wanted)
        .map_err(|e| Failure::failed(format!("the contract cannot be sent: {e}")))?;
    let before = render::at(&directive, "state.contract").unwrap_or(&Value::Null);
    let changed = changes(before, &after);
    if changed.is_empty() {
        return Err(Failure::failed("nothing is changed"));
    }
    show(&changed);
    match edit.digest {
        Some(seen) if seen == digest => {}
        Some(seen) => {
            return Err(Failure::failed(format!(
                "you edited version `{seen}`, in force is `{digest}`"
            ))
            .hint("nothing was sent; edit the version in force"));
        }
        None => {
            let otherwise = "give --digest with the version that you edited";
            ask("replace it like this", otherwise)?;
        }
    }
    let mut body = Map::from_iter([("contract".to_owned(), after)]);
    let path = match edit.approve {
        false => format!("{path}/edit"),
        true => {
            let waiting = approval(client, &edit.id).await?;
            body.insert("digest".into(), digest.into());
            if let Some(reason) = edit.reason {
                body.insert("reason".into(), reason.into());
            }
            format!("/v1/approvals/{}/edit", escaped(needed(&waiting, "id")?))
        }
    };
    let answer = client.post(&path, &Value::Object(body)).await?;
    print(output, &answer, render::thing);
    Ok(())
}

/// A field that differs: where it stands, what it was and what it would be.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    field: String,
    before: Option<String>,
    after: Option<String>,
}

/// The fields that differ, each named by its path.
fn changes(before: &Value, after: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    compare("", Some(before), Some(after), &mut found);
    found
}

fn compare(field: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Change>) {
    let inner = |name: &str| match field {
        "" => name.to_owned(),
        field => format!("{field}.{name}"),
    };
    match (before, after) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let added = new.keys().filter(|name| !old.contains_key(*name));
            for name in old.keys().chain(added) {
                compare(&inner(name), old.get(name), new.get(name), found);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            for at in 0..old.len().max(new.len()) {
                compare(&inner(&at.to_string()), old.get(at), new.get(at), found);
            }
        }
        (before, after) if before == after => {}
        (before, after) => found.push(Change {
            field: field.to_owned(),
            before: before.map(ToString::to_string),
            after: after.map(ToString::to_string),
        }),
    }
}

#[allow(
    clippy::print_stderr,
    reason = "what the person at the terminal decides on"
)]
fn show(changed: &[Change]) {
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    for change in changed {
        let Change {
            field,
            before,
            after,
        } = change;
        eprintln!("{field}: {} → {}", shown(before), shown(after));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_field_that_differs_is_named_with_both_values() {
        let before = json!({
            "objective": "mend it", "budget": "1 EUR", "constraints": {"zone": "a"},
            "steps": [{"id": "one", "input": {"n": 1}}, {"id": "two"}],
        });
        let check = |after: Value, expected: &[(&str, Option<&str>, Option<&str>)]| {
            let found = changes(&before, &after);
            let found: Vec<_> = found
                .iter()
                .map(|c| (c.field.as_str(), c.before.as_deref(), c.after.as_deref()))
                .collect();
            assert_eq!(found, expected);
        };
        check(before.clone(), &[]);
        let mut after = before.clone();
        after["objective"] = json!("mend it gently");
        after["steps"][0]["input"]["n"] = json!(2);
        let changed = [
            ("objective", Some("\"mend it\""), Some("\"mend it gently\"")),
            ("steps.0.input.n", Some("1"), Some("2")),
        ];
        check(after, &changed);
        let mut after = before.clone();
        after["constraints"] = json!({"place": "b"});
        after["steps"] = json!([{"id": "one", "input": {"n": 1}}]);
        let changed = [
            ("constraints.zone", Some("\"a\""), None),
            ("constraints.place", None, Some("\"b\"")),
            ("steps.1", Some("{\"id\":\"two\"}"), None),
        ];
        check(after, &changed);
    }
}
