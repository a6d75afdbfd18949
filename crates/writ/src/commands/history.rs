//! The facts of history: what each tells of a subject and an agent now.

use super::{Json, escaped, items, print};
use crate::cli::History;
use crate::client::Client;
use crate::failure::Failure;
use crate::render;
use serde_json::{Value, json};

pub(crate) async fn run(client: &Client, output: Json, of: &History) -> Result<(), Failure> {
    let given = [
        ("subject", of.subject.as_deref()),
        ("agent", of.agent.as_deref()),
    ];
    let given = given
        .iter()
        .filter_map(|(name, value)| value.map(|v| (name, v)));
    let query: Vec<String> = given
        .map(|(name, value)| format!("{name}={}", escaped(value)))
        .collect();
    let answer = client
        .get(&format!("/v1/history?{}", query.join("&")))
        .await?;
    print(output, &answer, |answer| shown(&items(answer)));
    Ok(())
}

fn shown(facts: &[Value]) -> String {
    let rows: Vec<Value> = facts.iter().map(row).collect();
    let columns = [
        ("fact", "name"),
        ("counts", "counts"),
        ("within", "within"),
        ("for", "for"),
        ("tells", "tells"),
        ("counted since", "since"),
        ("past", "past"),
    ];
    render::table(&rows, &columns)
}

fn row(fact: &Value) -> Value {
    let word = |name: &str| render::text(fact, name);
    let known = |name: &str| fact.get(name).filter(|value| !value.is_null());
    let is_ready = word("status") == "ready";
    let tells = match (known("value"), known("key")) {
        (Some(Value::Number(seconds)), _) if word("measure") == "seconds_since" => {
            format!("{seconds} s ago")
        }
        (Some(count), _) => count.to_string(),
        (None, Some(_)) if is_ready => "never".to_owned(),
        (None, _) => "-".to_owned(),
    };
    let for_whom = match known("key") {
        Some(_) => word("key"),
        None => format!(
            "(give a {})",
            word("per").replace("_and_", " and an ").replace('_', " ")
        ),
    };
    json!({
        "name": word("name"),
        "counts": word("happening"),
        "within": word("within"),
        "for": for_whom.replace("(give a agent", "(give an agent"),
        "tells": tells,
        "since": word("counted_since"),
        "past": if is_ready { "counted" } else { "counting back" },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_says_what_it_tells_of_whom_and_whether_it_is_counted_back() {
        let fact = |per: &str, measure: &str, status: &str, key: Value, value: Value| {
            json!({
                "name": "f", "happening": "step_permitted", "per": per, "within": "1d",
                "measure": measure, "status": status, "key": key, "value": value,
                "counted_since": "2026-03-01T00:00:00.000000Z",
            })
        };
        for (fact, for_whom, tells, past) in [
            (
                fact("tenant", "count", "ready", json!("tenant"), json!(3)),
                "tenant",
                "3",
                "counted",
            ),
            (
                fact(
                    "agent",
                    "seconds_since",
                    "ready",
                    json!("agent:a"),
                    json!(61),
                ),
                "agent:a",
                "61 s ago",
                "counted",
            ),
            (
                fact(
                    "agent",
                    "seconds_since",
                    "ready",
                    json!("agent:a"),
                    Value::Null,
                ),
                "agent:a",
                "never",
                "counted",
            ),
            (
                fact("agent", "count", "ready", Value::Null, Value::Null),
                "(give an agent)",
                "-",
                "counted",
            ),
            (
                fact(
                    "subject_and_agent",
                    "count",
                    "ready",
                    Value::Null,
                    Value::Null,
                ),
                "(give a subject and an agent)",
                "-",
                "counted",
            ),
            (
                fact(
                    "tenant",
                    "count",
                    "counting_back",
                    json!("tenant"),
                    Value::Null,
                ),
                "tenant",
                "-",
                "counting back",
            ),
        ] {
            let row = row(&fact);
            let found = (&row["for"], &row["tells"], &row["past"]);
            assert_eq!(found, (&json!(for_whom), &json!(tells), &json!(past)));
            let text = shown(&[fact]);
            for word in [for_whom, tells, past, "step_permitted", "2026-03-01"] {
                assert!(text.contains(word), "{word} in {text}");
            }
        }
        assert_eq!(shown(&[]), "none\n");
    }
}
