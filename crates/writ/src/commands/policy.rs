//! Policies: check, test and compare, without a server; shadow, promote,
//! withdraw and simulate through one.

use super::pack::{failures, tested};
use super::{Json, print};
use crate::cli::Policy;
use crate::client::Client;
use crate::failure::Failure;
use crate::packs;
use crate::render;
use gate::policy::{Changed, Request, compare};
use pack::policies::Policies;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

pub(crate) async fn run(client: &Client, output: Json, command: Policy) -> Result<(), Failure> {
    match command {
        Policy::Check { directory } => check(output, &directory),
        Policy::Test { directory } => test(output, &directory),
        Policy::Diff {
            before,
            after,
            recorded,
        } => diff(output, &before, &after, recorded.as_deref()),
        Policy::List => {
            let answer = client.get("/v1/policy").await?;
            print(output, &answer, render::thing);
            Ok(())
        }
        Policy::Shadow { directory } => {
            let body = json!({ "files": texts(&directory)? });
            post(client, output, "shadow", &body).await
        }
        Policy::Promote { set, reason } => {
            let body = json!({ "set": set, "reason": reason });
            post(client, output, "promote", &body).await
        }
        Policy::Withdraw { set, reason } => {
            let body = json!({ "set": set, "reason": reason });
            post(client, output, "withdraw", &body).await
        }
        Policy::Simulate { directory, since } => {
            let body = json!({ "files": texts(&directory)?, "since": since });
            post(client, output, "simulate", &body).await
        }
    }
}

async fn post(client: &Client, output: Json, verb: &str, body: &Value) -> Result<(), Failure> {
    let answer = client.post(&format!("/v1/policy/{verb}"), body).await?;
    print(output, &answer, render::thing);
    Ok(())
}

/// The `.cedar` files of a directory, by name.
fn texts(directory: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let files = packs::read_directory(directory)?.into_iter();
    files
        .filter(|(path, _)| path.ends_with(".cedar") && !path.contains('/'))
        .map(|(path, bytes)| match String::from_utf8(bytes) {
            Ok(text) => Ok((path, text)),
            Err(_) => Err(Failure::failed(format!("`{path}` is not UTF-8"))),
        })
        .collect()
}

fn read(directory: &Path) -> Result<Policies, Failure> {
    let files = packs::read_directory(directory)?;
    let capabilities = packs::capabilities()?;
    Policies::read(&files, Some(&capabilities))
        .map_err(|faults| packs::failure(&named(directory), &faults))
}

fn named(directory: &Path) -> String {
    format!("`{}`", directory.display())
}

fn check(output: Json, directory: &Path) -> Result<(), Failure> {
    let policies = read(directory)?;
    packs::sound(&named(directory), &policies.lint())?;
    let (hash, count) = (policies.set.hash(), policies.set.ids().len());
    let report = json!({ "hash": hash, "policies": count });
    print(output, &report, |_| format!("{count} policies  {hash}\n"));
    Ok(())
}

fn test(output: Json, directory: &Path) -> Result<(), Failure> {
    let results = read(directory)?.test();
    if results.is_empty() {
        return Err(
            Failure::failed(format!("{} has no tests of its policies", named(directory))).hint(
                "they stand in `policies/tests/*.yaml`, or in `tests/` beside `.cedar` files",
            ),
        );
    }
    print(output, &json!({ "items": results }), |_| tested(&results));
    failures(&results)
}

/// Tells the difference; a difference is no failure.
fn diff(output: Json, before: &Path, after: &Path, recorded: Option<&Path>) -> Result<(), Failure> {
    let (old, new) = (read(before)?, read(after)?);
    let mut questions = old.questions();
    let more = new.questions().into_iter();
    let more: Vec<_> = more.filter(|q| !questions.contains(q)).collect();
    questions.extend(more);
    if let Some(path) = recorded {
        questions.extend(recorded_in(path)?);
    }
    let changed = compare(&old.set, &new.set, &questions);
    let report = json!({ "questions": questions.len(), "changed": changed });
    print(output, &report, |_| shown(questions.len(), &changed));
    Ok(())
}

fn recorded_in(path: &Path) -> Result<Vec<(String, Request)>, Failure> {
    let hint = "give a list of questions, as a verdict holds them in `asked`";
    let found: Vec<Request> = serde_json::from_value(super::input::json_file(path, hint)?)
        .map_err(|e| Failure::failed(format!("`{}`: {e}", path.display())))?;
    let named = found.into_iter().enumerate();
    Ok(named
        .map(|(n, question)| (format!("recorded question {}", n + 1), question))
        .collect())
}

fn shown(asked: usize, changed: &[Changed]) -> String {
    let mut text = format!(
        "{} of {asked} questions decided differently\n",
        changed.len()
    );
    for one in changed {
        let side = |d: &gate::policy::Decision| match d.determining.is_empty() {
            true => d.verdict.to_string(),
            false => format!("{} by `{}`", d.verdict, d.determining.join("`, `")),
        };
        text.push_str(&format!(
            "  {}\n    was {}\n    is  {}\n",
            one.question,
            side(&one.before),
            side(&one.after)
        ));
    }
    text
}
