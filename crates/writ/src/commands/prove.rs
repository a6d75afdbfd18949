//! Checkpoints, proofs and keys of the log. What a server answers is checked
//! here before it is printed: a proof needs no trust in who gives it.

use super::offline::Directory;
use super::{Json, items, needed, print, query};
use crate::cli::{LogKey, Offline, Prove};
use crate::client::Client;
use crate::failure::Failure;
use crate::render;
use kernel::{Refusal, TenantId};
use ledger::checkpoint::{Checkpoint, Consistency, Inclusion, audit, extended, kept, log_keys};
use ledger::note::VerifierKey;
use serde_json::{Value, json};
use std::path::Path;

pub(crate) async fn checkpoint(client: &Client, output: Json, sign: bool) -> Result<(), Failure> {
    let path = "/v1/ledger/checkpoint";
    let answer = match sign {
        true => client.post(path, &json!({})).await?,
        false => client.get(path).await?,
    };
    let note = needed(&answer, "note")?.to_owned();
    print(output, &answer, |_| note);
    Ok(())
}

pub(crate) async fn prove(client: &Client, output: Json, asked: Prove) -> Result<(), Failure> {
    let size = |size: Option<u64>| size.map(|size| size.to_string());
    let Some(entry) = asked.entry else {
        let parts = [("from", size(asked.from)), ("to", size(asked.to))];
        let path = format!("/v1/ledger/proofs/consistency{}", query(&parts));
        let answer = client.get(&path).await?;
        let proven: Consistency = parsed(&answer)?;
        proven.check().map_err(bad)?;
        print(output, &answer, |_| growth(&proven));
        return Ok(());
    };
    let by = match entry.bytes().all(|b| b.is_ascii_digit()) {
        true => "seq",
        false => "entry",
    };
    let parts = [(by, Some(entry)), ("size", size(asked.against))];
    let path = format!("/v1/ledger/proofs/inclusion{}", query(&parts));
    let answer = client.get(&path).await?;
    let proven: Inclusion = parsed(&answer)?;
    proven.check().map_err(bad)?;
    print(output, &answer, |_| {
        proven.to_text().unwrap_or_else(|| inclusion(&proven))
    });
    Ok(())
}

fn parsed<T: serde::de::DeserializeOwned>(answer: &Value) -> Result<T, Failure> {
    serde::Deserialize::deserialize(answer)
        .map_err(|e: serde_json::Error| Failure::failed(format!("the server's answer: {e}")))
}

fn bad(fault: ledger::merkle::ProofFault) -> Failure {
    Failure::integrity(format!(
        "the server gave a proof that does not hold: {fault}"
    ))
}

fn inclusion(proven: &Inclusion) -> String {
    let mut text = format!(
        "entry {} is in the tree of {} entries with root {}\nhash  {}\n",
        proven.seq, proven.size, proven.root, proven.entry_hash
    );
    proven
        .proof
        .iter()
        .for_each(|hash| text.push_str(&format!("proof {hash}\n")));
    text
}

fn growth(proven: &Consistency) -> String {
    let mut text = format!(
        "the tree of {} entries with root {}\nextends the one of {} entries with root {}\n",
        proven.to, proven.to_root, proven.from, proven.from_root
    );
    proven
        .proof
        .iter()
        .for_each(|hash| text.push_str(&format!("proof {hash}\n")));
    text
}

pub(crate) async fn key(client: &Client, output: Json, command: LogKey) -> Result<(), Failure> {
    match command {
        LogKey::List => {
            let answer = client.get("/v1/ledger/keys").await?;
            let columns = [
                ("status", "status"),
                ("generated", "generated_at"),
                ("retired", "retired_at"),
                ("reason", "reason"),
            ];
            print(output, &answer, |a| {
                let mut text = render::table(&items(a), &columns);
                for key in items(a) {
                    text.push_str(key.get("key").and_then(Value::as_str).unwrap_or_default());
                    text.push('\n');
                }
                text
            });
        }
        LogKey::Rotate { reason } => {
            let body = json!({ "reason": reason });
            let answer = client.post("/v1/ledger/keys/rotate", &body).await?;
            let key = format!("{}\n", needed(&answer, "key")?);
            print(output, &answer, |_| key);
        }
        LogKey::Export => {
            let answer = client.get("/v1/ledger/keys").await?;
            let active = items(&answer)
                .into_iter()
                .find(|key| key.get("status").and_then(Value::as_str) == Some("active"));
            let active = active.ok_or_else(|| {
                Failure::failed("the log has no key yet")
                    .hint("the first `writ ledger checkpoint --sign` makes one")
            })?;
            let key = format!("{}\n", needed(&active, "key")?);
            print(output, &active, |_| key);
        }
    }
    Ok(())
}

/// Compares the log with a checkpoint that was kept.
pub(crate) async fn against(
    client: &Client,
    offline: &Offline,
    file: &Path,
    keys: &[String],
) -> Result<(), Failure> {
    let bytes =
        std::fs::read(file).map_err(|e| Failure::failed(format!("`{}`: {e}", file.display())))?;
    let given: Result<Vec<_>, Failure> = keys
        .iter()
        .map(|key| {
            VerifierKey::parse(key).map_err(|e| Failure::usage(format!("--key `{key}`: {e}")))
        })
        .collect();
    match Directory::named(offline).await? {
        None => against_server(client, &bytes, given?).await,
        Some(directory) => against_directory(&directory, &bytes, given?).await,
    }
}

async fn against_server(
    client: &Client,
    bytes: &[u8],
    given: Vec<VerifierKey>,
) -> Result<(), Failure> {
    let listed = items(&client.get("/v1/ledger/keys").await?);
    let texts = listed.iter().filter_map(|key| key.get("key")?.as_str());
    let mut known: Vec<VerifierKey> = texts.filter_map(|t| VerifierKey::parse(t).ok()).collect();
    let trusted = if given.is_empty() { &known } else { &given };
    let older = kept(bytes, trusted)?;
    let newest = client.get("/v1/ledger/checkpoint").await?;
    // The newest may be signed by a key that came after the one that is given.
    known.extend(given);
    let newest = kept(needed(&newest, "note")?.as_bytes(), &known)?;
    if older.size > newest.size {
        return Err(Failure::integrity(format!(
            "the newest checkpoint has {} entries, the one that was kept {}: entries were removed",
            newest.size, older.size
        )));
    }
    let parts = [
        ("from", Some(older.size.to_string())),
        ("to", Some(newest.size.to_string())),
    ];
    let path = format!("/v1/ledger/proofs/consistency{}", query(&parts));
    let proven: Consistency = parsed(&client.get(&path).await?)?;
    Ok(extended(&older, &newest, &proven.proof)?)
}

async fn against_directory(
    directory: &Directory,
    bytes: &[u8],
    given: Vec<VerifierKey>,
) -> Result<(), Failure> {
    let mut refusal = None;
    for tenant in &directory.tenants {
        let known = log_keys(directory.store.as_ref(), *tenant).await?.all()?;
        let trusted = if given.is_empty() {
            known
        } else {
            given.clone()
        };
        match kept(bytes, &trusted).and_then(|kept| of(kept, *tenant)) {
            Ok(kept) => {
                let report = audit(directory.store.as_ref(), *tenant, &[kept], |_| {}).await?;
                return match report.fault {
                    None => Ok(()),
                    Some(fault) => Err(Failure::integrity(format!(
                        "tenant `{tenant}`: entry {}: {}",
                        fault.seq, fault.what
                    ))
                    .hint("keep the file as it is, and restore from a backup or archive")),
                };
            }
            Err(e) => refusal = Some(e),
        }
    }
    Err(refusal.map_or_else(|| Failure::failed("no tenant"), Failure::from))
}

/// The checkpoint, when it is of this tenant's log.
fn of(kept: Checkpoint, tenant: TenantId) -> Result<Checkpoint, Refusal> {
    if kept.origin.ends_with(&format!("/{tenant}")) {
        return Ok(kept);
    }
    Err(Refusal::invalid(format!(
        "the checkpoint is of the log `{}`, which is not in this directory",
        kept.origin
    )))
}
