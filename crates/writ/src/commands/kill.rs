//! The kill switch.

use super::{Json, print};
use crate::cli::Kill;
use crate::client::Client;
use crate::failure::Failure;
use crate::render;
use serde_json::json;

pub(crate) async fn run(client: &Client, output: Json, command: Kill) -> Result<(), Failure> {
    let answer = match command {
        Kill::Status => client.get("/v1/kill-switch").await?,
        Kill::Engage { scope, reason } => {
            let body = json!({"scope": scope, "reason": reason});
            client.post("/v1/kill-switch/engage", &body).await?
        }
        Kill::Release { scope, reason } => {
            let body = json!({"scope": scope, "reason": reason});
            client
                .post("/v1/kill-switch/request-release", &body)
                .await?
        }
        Kill::Confirm { scope } => {
            let body = json!({"scope": scope});
            client
                .post("/v1/kill-switch/confirm-release", &body)
                .await?
        }
        Kill::Drill { scope, note } => {
            let body = json!({"scope": scope, "note": note});
            client.post("/v1/kill-switch/drill", &body).await?
        }
    };
    print(output, &answer, render::thing);
    Ok(())
}
