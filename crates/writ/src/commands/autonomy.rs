//! Earned autonomy: what the ledger proves, signing off, taking that back.

use super::{Json, escaped, items, print};
use crate::cli::Autonomy;
use crate::client::Client;
use crate::failure::Failure;
use crate::render;
use serde_json::{Value, json};

pub(crate) async fn run(client: &Client, output: Json, command: Autonomy) -> Result<(), Failure> {
    let path = |kind: &str| format!("/v1/autonomy/{}", escaped(kind));
    let answer = match command {
        Autonomy::List => {
            let answer = client.get("/v1/autonomy").await?;
            print(output, &answer, |a| ladder(&items(a)));
            return Ok(());
        }
        Autonomy::Show { kind } => client.get(&path(&kind)).await?,
        Autonomy::Grant { kind, reason } => {
            let body = json!({"reason": reason});
            client
                .post(&format!("{}/grant", path(&kind)), &body)
                .await?
        }
        Autonomy::Withdraw { kind, reason } => {
            let body = json!({"reason": reason});
            client
                .post(&format!("{}/withdraw", path(&kind)), &body)
                .await?
        }
    };
    print(output, &answer, render::thing);
    Ok(())
}

/// The ladder as a table. Of a type without a record nothing was counted.
fn ladder(types: &[Value]) -> String {
    let row = |of: &Value| {
        let counted = |name: &str| render::at(of, name).cloned().unwrap_or_else(|| json!(0));
        json!({
            "type": of.get("kind"),
            "rung": of.get("rung"),
            "runs": counted("record.runs"),
            "of": render::at(of, "terms.approved_runs"),
            "alone": counted("record.alone"),
        })
    };
    let rows: Vec<Value> = types.iter().map(row).collect();
    let columns = [
        ("type", "type"),
        ("rung", "rung"),
        ("approved runs", "runs"),
        ("of", "of"),
        ("alone", "alone"),
    ];
    render::table(&rows, &columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_says_how_far_each_type_is() {
        let terms = json!({ "approved_runs": 50 });
        let types = [
            json!({ "kind": "host.mend", "rung": "autonomous", "terms": terms, "record": { "runs": 61, "alone": 7 } }),
            json!({ "kind": "host.look", "rung": "supervised", "terms": terms, "record": null }),
        ];
        let text = ladder(&types);
        assert_eq!(
            text,
            "TYPE       RUNG        APPROVED RUNS  OF  ALONE\n\
             host.mend  autonomous  61             50  7\n\
             host.look  supervised  0              50  0\n"
        );
    }
}
