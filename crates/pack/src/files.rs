//! The files of a pack: which may stand where, how large they may be, and the
//! hash over all of them.

use crate::fault::Fault;
use kernel::{Digest, Refusal};
use std::collections::BTreeMap;

/// The files of a pack by path from its root, with `/` between the parts.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Most files in a pack.
pub const FILES_MAX: usize = 2_000;
/// Longest definition, in bytes.
pub const DEFINITION_BYTES_MAX: usize = 256 * 1024;
/// Longest fixture, in bytes.
pub const FIXTURE_BYTES_MAX: usize = kernel::limits::JSON_BYTES_MAX;
/// Longest pack, in bytes.
pub const PACK_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The file that every pack has.
pub(crate) const MANIFEST: &str = "pack.yaml";
/// Types of signals.
pub(crate) const SIGNALS: &str = "signals.yaml";
/// Thresholds of correlation.
pub(crate) const CORRELATION: &str = "correlation.yaml";
/// Tables of the confidence model.
pub(crate) const CONFIDENCE: &str = "confidence.yaml";
/// The promotion gate.
pub(crate) const PROMOTION: &str = "promotion.yaml";
/// Settings of the validators.
pub(crate) const VALIDATORS: &str = "validators.yaml";
/// Budgets.
pub(crate) const BUDGETS: &str = "budgets.yaml";
/// Further books of budgets, of which the manifest may name one.
pub(crate) const BOOKS: &str = "budgets/";
/// Rules of approval.
pub(crate) const APPROVALS: &str = "approvals.yaml";
/// What becomes of steps under way when the kill switch is engaged.
pub(crate) const KILL_SWITCH: &str = "kill_switch.yaml";
/// What becomes of a directive behind another that changes the same subject.
pub(crate) const CONFLICTS: &str = "conflicts.yaml";
/// Where data may be.
pub(crate) const RESIDENCY: &str = gate::residency::FILE;
/// What policy may ask about before now.
pub(crate) const HISTORY: &str = "history.yaml";
/// What people call things.
pub(crate) const LABELS: &str = "labels.yaml";

/// Files that a pack has once, and whether it must.
const SINGLE: &[(&str, Need)] = &[
    (MANIFEST, Need::Must),
    (SIGNALS, Need::Must),
    (CORRELATION, Need::Must),
    (CONFIDENCE, Need::May),
    (PROMOTION, Need::May),
    (VALIDATORS, Need::Must),
    (BUDGETS, Need::Must),
    (APPROVALS, Need::Must),
    (KILL_SWITCH, Need::May),
    (CONFLICTS, Need::May),
    (RESIDENCY, Need::May),
    (HISTORY, Need::May),
    (LABELS, Need::May),
    ("README.md", Need::May),
];

/// Folders, what their files end with, and whether one must be there.
const FOLDERS: &[(Folder, &str, &[&str], Need)] = &[
    (Folder::Schemas, "schemas/", &[".yaml", ".json"], Need::Must),
    (Folder::Sources, "sources/", &[".yaml"], Need::Must),
    (Folder::Rules, "rules/", &[".yaml"], Need::Must),
    (Folder::Policies, "policies/", &[".cedar"], Need::Must),
    (
        Folder::PolicyTests,
        "policies/tests/",
        &[".yaml"],
        Need::May,
    ),
    (Folder::Budgets, BOOKS, &[".yaml"], Need::May),
    (Folder::Runbooks, "runbooks/", &[".yaml"], Need::May),
    (Folder::Templates, "templates/", &[".yaml"], Need::May),
    (Folder::Tests, "tests/", &[".yaml"], Need::May),
    (Folder::Fixtures, "fixtures/", &[""], Need::May),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Must,
    May,
}

/// A folder of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Folder {
    /// Entity schemas.
    Schemas,
    /// Sources and their mappings.
    Sources,
    /// Detection rules.
    Rules,
    /// Cedar policies.
    Policies,
    /// Tests of the policies.
    PolicyTests,
    /// Further books of budgets.
    Budgets,
    /// Runbooks.
    Runbooks,
    /// Templates of directives.
    Templates,
    /// The pack's own tests.
    Tests,
    /// Recorded input.
    Fixtures,
}

/// The files of one folder, in the order of their names.
pub(crate) fn within(files: &Files, folder: Folder) -> impl Iterator<Item = (&str, &[u8])> {
    files
        .iter()
        .filter(move |(path, _)| folder_of(path) == Some(folder))
        .map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
}

fn folder_of(path: &str) -> Option<Folder> {
    FOLDERS
        .iter()
        .find(|(folder, prefix, endings, _)| {
            path.strip_prefix(prefix).is_some_and(|name| {
                let flat = *folder == Folder::Fixtures || !name.contains('/');
                flat && endings
                    .iter()
                    .any(|e| name.len() > e.len() && name.ends_with(e))
            })
        })
        .map(|(folder, ..)| *folder)
}

/// What is wrong with the set of files: unknown names (a misspelt file would
/// silently not count), missing ones, too many or too long ones.
pub(crate) fn check(files: &Files) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut total = 0_usize;
    for (path, bytes) in files {
        total = total.saturating_add(bytes.len());
        let single = SINGLE.iter().any(|(name, _)| name == path);
        let folder = folder_of(path);
        if !single && folder.is_none() {
            faults.push(Fault::of_file(
                path,
                Refusal::invalid(format!("unknown file `{path}`")).hint(suggestion(path)),
            ));
        }
        let max = match folder {
            Some(Folder::Fixtures) => FIXTURE_BYTES_MAX,
            _ => DEFINITION_BYTES_MAX,
        };
        if bytes.len() > max {
            let len = bytes.len();
            faults.push(Fault::of_file(
                path,
                Refusal::limit(format!("the file has {len} bytes, allowed are {max}")),
            ));
        }
    }
    for (name, need) in SINGLE {
        if *need == Need::Must && !files.contains_key(*name) {
            faults.push(missing(name));
        }
    }
    for (folder, prefix, endings, need) in FOLDERS {
        if *need == Need::Must && within(files, *folder).next().is_none() {
            let ending = endings.first().copied().unwrap_or_default();
            faults.push(missing(&format!("{prefix}*{ending}")));
        }
    }
    if files.len() > FILES_MAX || total > PACK_BYTES_MAX {
        faults.push(Fault::of_file(
            MANIFEST,
            Refusal::limit(format!(
                "the pack has {} files of {total} bytes together, allowed are {FILES_MAX} of {PACK_BYTES_MAX}",
                files.len()
            )),
        ));
    }
    faults
}

fn missing(name: &str) -> Fault {
    Fault::of_file(
        name,
        Refusal::invalid(format!("`{name}` is missing"))
            .hint("a pack is complete or it is refused; nothing has a permissive default"),
    )
}

fn suggestion(path: &str) -> String {
    let near = SINGLE
        .iter()
        .map(|(name, _)| *name)
        .find(|name| stem(name) == stem(path));
    if let Some(name) = near {
        return format!("write it as `{name}`");
    }
    let folder = FOLDERS
        .iter()
        .filter(|(_, prefix, ..)| path.starts_with(prefix))
        .max_by_key(|(_, prefix, ..)| prefix.len());
    match folder {
        Some((_, prefix, endings, _)) => format!(
            "files in `{prefix}` end with `{}` and stand in no further folder",
            endings.join("` or `")
        ),
        None => "move it below `fixtures/`, or take it out".to_owned(),
    }
}

/// The name without its ending, in lower case and without a plural's `s`.
fn stem(path: &str) -> String {
    let name = path.split('.').next().unwrap_or_default();
    name.to_ascii_lowercase().trim_end_matches('s').to_owned()
}

/// SHA-256 of each file.
pub(crate) fn digests(files: &Files) -> BTreeMap<String, Digest> {
    files
        .iter()
        .map(|(path, bytes)| (path.clone(), Digest::of(bytes)))
        .collect()
}

/// The content hash of a pack: SHA-256 over `writ.pack.v1`, a line feed and
/// the canonical JSON of `{path: SHA-256 of the file}`.
///
/// # Errors
/// Never in practice: the map always has a canonical form.
pub fn hash(digests: &BTreeMap<String, Digest>) -> Result<Digest, Refusal> {
    Ok(Digest::of_value("writ.pack.v1", digests)?)
}
