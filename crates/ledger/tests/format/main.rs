//! `docs/ledger-format.md` held to its word: the test vectors beside it are
//! what the code gives, writ and the second verifier say the same of all of
//! them, and of thousands of bundles that were damaged at random.

mod broken;
mod bundles;
mod canonical;
mod entries;
mod mutations;
mod notes;
mod tree;
mod world;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The vectors and the second verifier.
fn documents() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ledger-format")
}

/// One case a line, so that a change shows as a changed line.
fn listing(cases: &[Value]) -> String {
    let lines: Vec<String> = cases
        .iter()
        .map(|case| kernel::json::canonical(case).unwrap())
        .collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

/// Every vector file with the bytes that it must have.
fn vectors() -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = [
        ("canonical.json", canonical::cases()),
        ("entries.json", entries::cases()),
        ("tree.json", tree::cases()),
        ("notes.json", notes::cases()),
        ("bundles.json", bundles::index()),
    ]
    .into_iter()
    .map(|(name, cases)| (name.to_owned(), listing(&cases).into_bytes()))
    .collect();
    for case in bundles::all() {
        files.push((format!("bundles/{}", case.file()), case.bytes));
    }
    files
}

#[test]
fn the_vectors_are_what_the_code_gives() {
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ledger-format");
    std::fs::create_dir_all(fresh.join("bundles")).unwrap();
    let mut stale = Vec::new();
    let vectors = vectors();
    for (name, bytes) in &vectors {
        std::fs::write(fresh.join(name), bytes).unwrap();
        if std::fs::read(documents().join(name)).ok().as_ref() != Some(bytes) {
            stale.push(name.as_str());
        }
    }
    let listed = std::fs::read_dir(documents().join("bundles")).unwrap();
    let known = |name: &str| {
        vectors
            .iter()
            .any(|(n, _)| n.strip_prefix("bundles/") == Some(name))
    };
    let unknown: Vec<String> = listed
        .map(|item| item.unwrap().file_name().into_string().unwrap())
        .filter(|name| !known(name))
        .collect();
    assert!(
        stale.is_empty() && unknown.is_empty(),
        "not what the code gives: {stale:?}; of no case: {unknown:?}; \
         the fresh ones are in `{}`, copy them over `docs/ledger-format` when the change is meant",
        fresh.display()
    );
}

#[test]
fn the_second_verifier_agrees_on_every_vector() {
    let output = Command::new("python3")
        .arg(documents().join("verify.py"))
        .arg("vectors")
        .output()
        .expect("python3 starts; `cargo xtask setup` installs it");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}{complained}");
    for (name, cases) in [
        ("canonical", canonical::cases().len()),
        ("entries", entries::cases().len()),
        ("tree", tree::cases().len()),
        ("notes", notes::cases().len()),
        ("bundles", bundles::index().len()),
    ] {
        let line = format!("{name}: {cases} cases");
        assert!(said.contains(&line), "`{line}` is not in: {said}");
    }
}
