//! Calls outside of writ, and the budgets that pay for them.

use super::input::json_file;
use super::{Json, escaped, print};
use crate::cli::Budget;
use crate::client::Client;
use crate::failure::Failure;
use crate::render;
use serde_json::json;

pub(crate) async fn run(client: &Client, output: Json, command: Budget) -> Result<(), Failure> {
    let path = |id: &str, what: &str| format!("/v1/reservations/{}/{what}", escaped(id));
    let answer = match command {
        Budget::Reserve { file } => {
            let hint = "give the path of a call in JSON: amount, cost_class, tool, lease";
            client
                .post("/v1/reservations", &json_file(&file, hint)?)
                .await?
        }
        Budget::Settle { id, cost, tokens } => {
            let body = json!({"cost": cost, "tokens": tokens});
            client.post(&path(&id, "settle"), &body).await?
        }
        Budget::Release { id } => client.post(&path(&id, "release"), &json!({})).await?,
        Budget::Extend { id, lease } => {
            client
                .post(&path(&id, "extend"), &json!({"lease": lease}))
                .await?
        }
    };
    print(output, &answer, render::thing);
    Ok(())
}
