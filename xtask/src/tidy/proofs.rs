//! What a page says that a test shows, a test shows: each `FILE.rs::NAME` in
//! the documents names a test that is there. In the threat model every row says
//! which test shows its defence, or that there is none.

use super::tree::Tree;

/// The page whose every row needs a proof.
const THREATS: &str = "docs/threat-model.md";
/// What a row says that has no proof.
const NONE: &str = "no defence yet";
/// How many lines above a function its attributes may begin.
const ATTRIBUTE_LINES_MAX: usize = 4;

/// Checks every Markdown file.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with(".md")) {
        for (index, line) in file.text.lines().enumerate() {
            let at = format!("{}:{}", file.path, index + 1);
            let mut named = 0;
            for (path, name) in proofs(line) {
                named += 1;
                match tree.files.iter().find(|file| file.path == path) {
                    None => faults.push(format!("{at}: there is no `{path}`")),
                    Some(file) if !has_test(&file.text, name) => {
                        faults.push(format!("{at}: `{path}` has no test `{name}`"));
                    }
                    Some(_) => {}
                }
            }
            if file.path == THREATS && is_row(line) && named == 0 && !line.contains(NONE) {
                faults.push(format!(
                    "{at}: the row names no test and does not say `{NONE}`"
                ));
            }
        }
    }
    faults
}

/// A row of a table, but for its head and the line under it.
fn is_row(line: &str) -> bool {
    line.starts_with("| ") && !line.starts_with("| threat |")
}

/// The file and the name of each test that the line points at.
fn proofs(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let spans = line.split('`').skip(1).step_by(2);
    spans.filter_map(|span| {
        let (path, name) = span.split_once("::")?;
        path.ends_with(".rs").then_some((path, name))
    })
}

/// Whether a test of this name stands in the file.
fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let head = format!("fn {name}(");
    lines.iter().enumerate().any(|(at, line)| {
        let is_it = line.strip_prefix("async ").unwrap_or(line);
        let above = lines.iter().take(at).rev().take(ATTRIBUTE_LINES_MAX);
        let is_test = |line: &&str| *line == "#[test]" || line.starts_with("#[tokio::test");
        let mut above = above.take_while(|line| !line.starts_with('}'));
        is_it.starts_with(&head) && above.any(is_test)
    })
}

#[cfg(test)]
mod tests {
    use super::super::tree::sample;
    use super::*;

    const CODE: &str = "#[test]\nfn a_thing_holds() {\n}\n\nfn helper() {\n}\n\n\
                        #[tokio::test(flavor = \"multi_thread\")]\nasync fn another() {\n}\n";

    #[track_caller]
    fn expect(page: &str, text: &str, faults: &[&str]) {
        let tree = sample::files(&[(page, text), ("crates/a/src/x.rs", CODE)]);
        assert_eq!(check(&tree), faults);
    }

    #[test]
    fn tests_that_are_there_pass() {
        let row = "| lies | truth | `crates/a/src/x.rs::a_thing_holds` |";
        expect(THREATS, row, &[]);
        let page = "`crates/a/src/x.rs::another` and `kernel::Id` and `x.rs`";
        expect("docs/y.md", page, &[]);
        let none = "| theft | no defence yet | |";
        expect(THREATS, none, &[]);
        expect("docs/y.md", "| lies | truth | |", &[]);
    }

    #[test]
    fn what_is_not_there_is_named_with_its_line() {
        expect(
            "docs/y.md",
            "\n`crates/a/src/x.rs::gone`",
            &["docs/y.md:2: `crates/a/src/x.rs` has no test `gone`"],
        );
        expect(
            "docs/y.md",
            "`crates/a/src/x.rs::helper`",
            &["docs/y.md:1: `crates/a/src/x.rs` has no test `helper`"],
        );
        expect(
            "docs/y.md",
            "`crates/a/src/y.rs::a_thing_holds`",
            &["docs/y.md:1: there is no `crates/a/src/y.rs`"],
        );
        expect(
            THREATS,
            "| lies | truth | it is obvious |",
            &["docs/threat-model.md:1: the row names no test and does not say `no defence yet`"],
        );
    }
}
