//! Policies: check, test and compare, without a server.

use super::pack::{failures, tested};
use super::{Json, print};
use crate::cli::Policy;
use crate::failure::Failure;
use crate::packs;
use gate::policy::{Changed, Request, compare};
use pack::policies::Policies;
use serde_json::json;
use std::path::Path;

pub(crate) fn run(output: Json, command: Policy) -> Result<(), Failure> {
    match command {
        Policy::Check { directory } => check(output, &directory),
        Policy::Test { directory } => test(output, &directory),
        Policy::Diff {
            before,
            after,
            recorded,
        } => diff(output, &before, &after, recorded.as_deref()),
    }
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
    let hint = "give what `writ policy questions` printed";
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
