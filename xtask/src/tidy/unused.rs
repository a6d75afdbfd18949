//! Every dependency that a manifest names is used in that crate's Rust files,
//! and every one that the workspace offers is named by a crate.

use super::tree::{Need, Tree};
use super::unfinished::has_word;

/// Needed for what it switches on, without being named in the code.
const SILENT: &[(&str, &str)] = &[];

/// Looks for the library's name as a word under `src/`, and for what only tests
/// need in all of the crate's files.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for from in &tree.crates {
        let src = format!("{}/src/", from.dir);
        let all = format!("{}/", from.dir);
        for (dependency, need) in &from.dependencies {
            let place = match need {
                Need::Always => &src,
                Need::Dev => &all,
            };
            let word = dependency.replace('-', "_");
            let mut files = tree.rust().filter(|file| file.path.starts_with(place));
            let silent = SILENT.contains(&(from.name.as_str(), dependency.as_str()));
            if !silent && !files.any(|file| has_word(&file.text, &word)) {
                faults.push(format!(
                    "crate `{}` names `{dependency}` in its manifest and does not use it",
                    from.name
                ));
            }
        }
    }
    for offered in offered(tree) {
        let mut named = tree.crates.iter().flat_map(|c| &c.dependencies);
        if !named.any(|(name, _)| name == offered) {
            faults.push(format!(
                "the workspace offers `{offered}` and no crate names it"
            ));
        }
    }
    faults
}

/// The keys of `[workspace.dependencies]`.
fn offered(tree: &Tree) -> Vec<&str> {
    let manifest = tree.files.iter().find(|file| file.path == "Cargo.toml");
    let lines = manifest.map_or("", |file| &file.text).lines();
    lines
        .skip_while(|line| line.trim() != "[workspace.dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('=').map(|(key, _)| key.trim()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tree::sample;
    use super::*;

    #[track_caller]
    fn expect(dependency: &str, path: &str, text: &str, faults: usize) {
        let tree = sample::with_crate(sample::files(&[(path, text)]), "a", &[dependency]);
        assert_eq!(check(&tree).len(), faults, "{:?}", check(&tree));
    }

    #[test]
    fn a_dependency_is_used_where_it_is_needed() {
        expect(
            "async-trait",
            "crates/a/src/lib.rs",
            "use async_trait::x;",
            0,
        );
        expect("serde", "crates/a/src/lib.rs", "use serde_json::x;", 1);
        expect("serde", "crates/a/tests/t.rs", "use serde::x;", 1);
        expect("dev:serde", "crates/a/tests/t.rs", "use serde::x;", 0);
        expect("dev:serde", "crates/ab/tests/t.rs", "use serde::x;", 1);
    }

    #[test]
    fn what_the_workspace_offers_is_named_by_a_crate() {
        let manifest = "[workspace]\nmembers = []\n[workspace.dependencies]\n# --- data\n\
                        serde = \"1\"\nrand = { version = \"1\" }\n\n[profile.dev]\ndebug = false\n";
        let files = [("Cargo.toml", manifest), ("crates/a/src/x.rs", "serde")];
        let tree = sample::with_crate(sample::files(&files), "a", &["serde"]);
        assert_eq!(
            check(&tree),
            ["the workspace offers `rand` and no crate names it"]
        );
    }
}
