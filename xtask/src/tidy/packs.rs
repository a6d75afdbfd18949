//! Packs are data, and no crate names one. For each directory `packs/NAME`,
//! no text file under `crates/` may contain, in any case of letters:
//!
//! - the path `packs/NAME`;
//! - `pack NAME`, `NAME pack`, or either with `-` or `_` between;
//! - the string literal `"NAME"`, unless NAME is a noun of writ's own
//!   vocabulary as well.
//!
//! A pack reaches the code as a path that is given at run time. And no Rust
//! file stands under `packs/`.

use super::tree::Tree;
use super::unfinished::has_word;

/// Names of packs that are nouns of the vocabulary too.
const VOCABULARY: &[&str] = &["incident"];

/// Checks the crates for names and the packs for code.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    let forbidden: Vec<_> = tree.packs().into_iter().flat_map(forms).collect();
    for file in &tree.files {
        if file.path.starts_with("packs/") && file.path.ends_with(".rs") {
            faults.push(format!("{}: a pack is data, not code", file.path));
        }
        if !file.path.starts_with("crates/") {
            continue;
        }
        for (index, line) in file.text.lines().enumerate() {
            let line = line.to_lowercase();
            if let Some(form) = forbidden.iter().find(|form| has_word(&line, form)) {
                faults.push(format!(
                    "{}:{}: names a pack: `{form}`",
                    file.path,
                    index + 1
                ));
            }
        }
    }
    faults
}

fn forms(name: &str) -> Vec<String> {
    let name = name.to_lowercase();
    let mut forms = vec![format!("packs/{name}")];
    for between in [' ', '-', '_'] {
        forms.push(format!("pack{between}{name}"));
        forms.push(format!("{name}{between}pack"));
    }
    if !VOCABULARY.contains(&name.as_str()) {
        forms.push(format!("\"{name}\""));
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::super::tree::sample;
    use super::*;

    #[track_caller]
    fn expect(path: &str, line: &str, faults: usize) {
        let tree = sample::files(&[
            ("packs/incident/pack.yaml", "name: incident"),
            ("packs/revenue/pack.yaml", "name: revenue"),
            (path, line),
        ]);
        let found = check(&tree);
        assert_eq!(found.len(), faults, "`{line}`: {found:?}");
    }

    #[test]
    fn a_crate_that_names_a_pack_is_a_fault() {
        let source = "crates/a/src/lib.rs";
        expect(
            source,
            "include_str!(\"../../../packs/incident/pack.yaml\")",
            1,
        );
        expect(source, "// the Incident pack", 1);
        expect(source, "let incident_pack = 1;", 1);
        expect(source, "--pack revenue", 1);
        expect(source, "if name == \"revenue\" {", 1);
        expect(
            "crates/a/tests/data/x.json",
            "{\"dir\": \"packs/revenue\"}",
            1,
        );
    }

    #[test]
    fn vocabulary_and_paths_given_at_run_time_are_fine() {
        let source = "crates/a/src/lib.rs";
        expect(source, "const KIND: &str = \"incident\";", 0);
        expect(source, "let dir = root.join(\"packs\").join(name);", 0);
        expect(source, "packs/incidental", 0);
        expect("docs/x.md", "the incident pack", 0);
    }

    #[test]
    fn a_pack_has_no_code() {
        expect("packs/revenue/x.rs", "", 1);
    }
}
