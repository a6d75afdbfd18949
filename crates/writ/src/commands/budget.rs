//! Budgets, how they will stand, and calls outside of writ that they pay for.

use super::input::json_file;
use super::{Json, escaped, items, print};
use crate::cli::Budget;
use crate::client::Client;
use crate::failure::Failure;
use crate::render;
use serde_json::json;

pub(crate) async fn run(client: &Client, output: Json, command: Budget) -> Result<(), Failure> {
    let path = |id: &str, what: &str| format!("/v1/reservations/{}/{what}", escaped(id));
    let answer = match command {
        Budget::Forecast => {
            let columns = [
                ("counter", "counter"),
                ("used", "used"),
                ("hard cap", "hard"),
                ("used up in the hour of", "forecast.breach"),
            ];
            return listed(client, output, "/v1/budgets/forecast", &columns).await;
        }
        Budget::Report { days } => {
            let columns = [
                ("budget", "budget"),
                ("day", "day"),
                ("consumed", "consumed"),
                ("target", "target"),
                ("over", "over"),
                ("under", "under"),
            ];
            let path = format!("/v1/budgets/variance?days={days}");
            return listed(client, output, &path, &columns).await;
        }
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

async fn listed(
    client: &Client,
    output: Json,
    path: &str,
    columns: &[(&str, &str)],
) -> Result<(), Failure> {
    let answer = client.get(path).await?;
    print(output, &answer, |a| render::table(&items(a), columns));
    Ok(())
}
