//! Earned autonomy: what the ledger proves, signing off, taking that back.

use super::{Json, escaped, items, print};
use crate::cli::Autonomy;
use crate::client::Client;
use crate::failure::Failure;
use crate::render;
use serde_json::json;

pub(crate) async fn run(client: &Client, output: Json, command: Autonomy) -> Result<(), Failure> {
    let path = |kind: &str| format!("/v1/autonomy/{}", escaped(kind));
    let answer = match command {
        Autonomy::List => {
            let columns = [
                ("type", "kind"),
                ("rung", "rung"),
                ("approved runs", "record.runs"),
                ("of", "terms.approved_runs"),
                ("alone", "record.alone"),
            ];
            let answer = client.get("/v1/autonomy").await?;
            print(output, &answer, |a| render::table(&items(a), &columns));
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
