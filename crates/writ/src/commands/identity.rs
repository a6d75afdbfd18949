//! Tenants, principals and keys.

use super::{Json, escaped, needed, print};
use crate::cli::{Key, Principal, Tenant};
use crate::client::Client;
use crate::failure::Failure;
use crate::person_key::PersonKey;
use crate::render;
use gate::signing_key::Possession;
use serde_json::{Value, json};
use std::path::Path;

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
        Key::Register { file, name } => register(client, &file, &name).await?,
        Key::Confirm { id } => {
            let path = format!("/v1/signing-keys/{}/confirm", escaped(&id));
            client.post(&path, &json!({})).await?
        }
        Key::Revoke { id, reason } => {
            let place = match id.starts_with("sgk_") {
                true => "signing-keys",
                false => "keys",
            };
            let path = format!("/v1/{place}/{}/revoke", escaped(&id));
            client.post(&path, &json!({"reason": reason})).await?
        }
    };
    print(output, &answer, render::thing);
    Ok(())
}

/// Registers the key in this file as the caller's own.
async fn register(client: &Client, file: &Path, name: &str) -> Result<Value, Failure> {
    let key = PersonKey::read_or_make(file)?;
    let me = client.get("/v1/me").await?;
    let possession = Possession {
        key: key.id()?,
        principal: needed(&me, "actor")?.parse()?,
        tenant: needed(&me, "tenant")?.parse()?,
    };
    let public = key.public();
    let body = json!({
        "algorithm": public.algorithm,
        "public_key": public.public_key,
        "name": name,
        "proof": key.sign(&possession.message()?),
    });
    let mut answer = client.post("/v1/signing-keys", &body).await?;
    if let Some(members) = answer.as_object_mut() {
        members.insert("public_key".into(), public.to_string().into());
        let next = "have another admin run `writ key confirm` with the id, which you tell them";
        members.insert("next".into(), next.into());
    }
    Ok(answer)
}
