//! Tenants, principals and keys.

use super::{Json, escaped, print};
use crate::cli::{Key, Principal, Tenant};
use crate::client::Client;
use crate::failure::Failure;
use crate::render;
use serde_json::json;

pub(crate) async fn tenant(client: &Client, output: Json, command: Tenant) -> Result<(), Failure> {
    let Tenant::Create { name } = command;
    let answer = client.post("/v1/tenants", &json!({"name": name})).await?;
    print(output, &answer, render::thing);
    Ok(())
}

pub(crate) async fn principal(
    client: &Client,
    output: Json,
    command: Principal,
) -> Result<(), Failure> {
    let answer = match command {
        Principal::Create { name, kind, role } => {
            let body = json!({"name": name, "kind": kind, "roles": role});
            client.post("/v1/principals", &body).await?
        }
        Principal::Disable { id, reason } => {
            let path = format!("/v1/principals/{}/disable", escaped(&id));
            client.post(&path, &json!({"reason": reason})).await?
        }
    };
    print(output, &answer, render::thing);
    Ok(())
}

pub(crate) async fn key(client: &Client, output: Json, command: Key) -> Result<(), Failure> {
    let answer = match command {
        Key::Issue {
            principal,
            name,
            expires_at,
        } => {
            let mut body = json!({"principal": principal, "name": name});
            if let (Some(at), Some(object)) = (expires_at, body.as_object_mut()) {
                object.insert("expires_at".into(), at.into());
            }
            client.post("/v1/keys", &body).await?
        }
        Key::Revoke { id, reason } => {
            let path = format!("/v1/keys/{}/revoke", escaped(&id));
            client.post(&path, &json!({"reason": reason})).await?
        }
    };
    print(output, &answer, render::thing);
    Ok(())
}
