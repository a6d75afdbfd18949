//! Session state.

use super::input::json_file;
use super::{Json, escaped, items, print, query};
use crate::cli::Session;
use crate::client::Client;
use crate::failure::Failure;
use crate::render;
use serde_json::json;

pub(crate) async fn run(client: &Client, output: Json, command: Session) -> Result<(), Failure> {
    let path = |name: &str, what: &str| format!("/v1/sessions/{}{what}", escaped(name));
    let answer = match command {
        Session::Save { name, file } => {
            let body = json!({"state": json_file(&file, "give the path of a file with JSON")?});
            client.post(&path(&name, "/save"), &body).await?
        }
        Session::Get { name } => {
            let answer = client.get(&path(&name, "")).await?;
            let state = |a: &serde_json::Value| format!("{:#}\n", a["state"]);
            print(output, &answer, state);
            return Ok(());
        }
        Session::Delete { name, reason } => {
            let body = json!({"reason": reason});
            client.post(&path(&name, "/delete"), &body).await?
        }
        Session::Verify { name } => {
            let answer = client.post(&path(&name, "/verify"), &json!({})).await?;
            print(output, &answer, render::thing);
            return match answer["intact"].as_bool() {
                Some(true) => Ok(()),
                _ => Err(Failure::integrity(format!(
                    "the stored state of session `{name}` does not have its digest"
                ))
                .hint("restore from a backup or archive")),
            };
        }
        Session::List { limit } => {
            let parts = [("limit", Some(limit.to_string()))];
            let path = format!("/v1/sessions{}", query(&parts));
            let answer = client.get(&path).await?;
            let columns = [
                ("id", "name"),
                ("state.status", "status"),
                ("state.bytes", "bytes"),
                ("state.changed_at", "changed"),
                ("state.changed_by", "by"),
            ];
            print(output, &answer, |a| render::table(&items(a), &columns));
            return Ok(());
        }
        Session::Cache => client.get("/v1/session-cache").await?,
    };
    print(output, &answer, render::thing);
    Ok(())
}
