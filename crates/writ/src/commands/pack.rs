//! Packs: check, test, compare, load.

use super::{Json, print};
use crate::cli::Pack;
use crate::client::Client;
use crate::failure::Failure;
use crate::packs;
use crate::render;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::path::Path;

pub(crate) async fn run(client: &Client, output: Json, command: Pack) -> Result<(), Failure> {
    match command {
        Pack::Show => {
            let answer = client.get("/v1/packs/active").await?;
            print(output, &answer, render::thing);
            Ok(())
        }
        Pack::Check { directory } => check(output, &directory),
        Pack::Test { directory } => test(output, &directory),
        Pack::Diff { directory } => send(client, output, "diff", &directory).await,
        Pack::Load { directory } => {
            check(Json::No, &directory)?;
            send(client, output, "load", &directory).await
        }
    }
}

async fn send(client: &Client, output: Json, verb: &str, directory: &Path) -> Result<(), Failure> {
    let files = packs::read_directory(directory)?;
    let files: serde_json::Map<String, Value> = files
        .into_iter()
        .map(|(path, bytes)| (path, json!({"base64": STANDARD.encode(bytes)})))
        .collect();
    let body = json!({ "files": files });
    let answer = client.post(&format!("/v1/packs/{verb}"), &body).await?;
    print(output, &answer, render::thing);
    Ok(())
}

fn check(output: Json, directory: &Path) -> Result<(), Failure> {
    let pack = packs::load(directory)?;
    let faults = pack.lint(&packs::capabilities()?);
    packs::sound("the pack", &faults)?;
    let report = json!({
        "name": pack.manifest.name,
        "version": pack.manifest.version,
        "hash": pack.hash,
    });
    print(output, &report, render::thing);
    Ok(())
}

fn test(output: Json, directory: &Path) -> Result<(), Failure> {
    let pack = packs::load(directory)?;
    let results = pack::testing::run(&pack);
    let report = json!({ "items": results });
    print(output, &report, |_| tested(&results));
    failures(&results)
}

/// One line for each test, and one for each of its faults.
pub(super) fn tested(results: &[pack::testing::Tested]) -> String {
    let mut text = String::new();
    for result in results {
        let word = if result.passed() { "ok" } else { "FAILED" };
        text.push_str(&format!("{word:<7}{}\n", result.name));
        for fault in &result.faults {
            text.push_str(&format!("       {fault}\n"));
        }
    }
    text
}

/// Fails when a test has.
pub(super) fn failures(results: &[pack::testing::Tested]) -> Result<(), Failure> {
    match results.iter().filter(|r| !r.passed()).count() {
        0 => Ok(()),
        n => Err(Failure::integrity(format!(
            "{n} of {} tests failed",
            results.len()
        ))),
    }
}
