//! ARCHITECTURE.md names every crate and only those, says truly what each may
//! use, and every path that it names in backticks exists. The table stands
//! between `<!-- crates -->` and `<!-- /crates -->`; its first column is the
//! crate, its last what the crate may use.

use super::arrows;
use super::tree::Tree;
use std::collections::BTreeSet;

const MAP: &str = "ARCHITECTURE.md";
const OPEN: &str = "<!-- crates -->";
const CLOSE: &str = "<!-- /crates -->";
/// What stands in backticks and begins so is a path.
const PATHS: &[&str] = &["crates/", "docs/", "packs/", "scenarios/", "xtask/"];

/// Compares the table with the workspace and with the table of arrows.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let Some(map) = tree.files.iter().find(|file| file.path == MAP) else {
        return vec![format!("{MAP} is not there")];
    };
    let Some(rows) = rows(&map.text) else {
        return vec![format!("{MAP} has no table between `{OPEN}` and `{CLOSE}`")];
    };
    let mut faults = Vec::new();
    let crates: BTreeSet<_> = tree.crates.iter().map(|c| c.name.as_str()).collect();
    let mut named = BTreeSet::new();
    for (name, uses) in &rows {
        if !named.insert(*name) {
            faults.push(format!("{MAP} names crate `{name}` twice"));
        }
        if !crates.contains(name) {
            faults.push(format!("{MAP} names crate `{name}`, which is not there"));
        }
        // Crates that are still to come have a place in the arrows already.
        let allowed = arrows::allowed(name).unwrap_or_default();
        let allowed: BTreeSet<_> = allowed
            .iter()
            .filter(|to| crates.contains(*to))
            .copied()
            .collect();
        if *uses != allowed {
            let allowed: Vec<_> = allowed.into_iter().collect();
            faults.push(format!(
                "{MAP}: what `{name}` may use is: {}",
                allowed.join(", ")
            ));
        }
    }
    for name in crates.difference(&named) {
        faults.push(format!("{MAP} does not name crate `{name}`"));
    }
    for (index, line) in map.text.lines().enumerate() {
        for text in ticked(line) {
            let is_path = PATHS.iter().any(|prefix| text.starts_with(prefix));
            if is_path && !tree.paths.contains(text.trim_end_matches('/')) {
                faults.push(format!("{MAP}:{}: `{text}` is not there", index + 1));
            }
        }
    }
    faults
}

/// The crate of each row and what its last column names in backticks.
fn rows(text: &str) -> Option<Vec<(&str, BTreeSet<&str>)>> {
    let table = text.split_once(OPEN)?.1.split_once(CLOSE)?.0;
    let mut rows = Vec::new();
    for line in table.lines() {
        let mut cells = line.trim().trim_matches('|').split('|');
        let Some(name) = cells.next().and_then(|cell| ticked(cell).next()) else {
            continue;
        };
        let uses = cells.next_back().map(|cell| ticked(cell).collect());
        rows.push((name, uses.unwrap_or_default()));
    }
    Some(rows)
}

/// The texts in backticks.
fn ticked(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::super::tree::sample;
    use super::*;

    #[track_caller]
    fn expect(table: &str, faults: &[&str]) {
        let text = format!(
            "# Map\n{OPEN}\n| crate | lives here | may use |\n|---|---|---|\n{table}\n{CLOSE}\n"
        );
        let mut tree = sample::files(&[(MAP, &text)]);
        for name in ["act", "gate", "kernel"] {
            tree = sample::with_crate(tree, name, &[]);
        }
        assert_eq!(check(&tree), faults);
    }

    const GATE: &str = "| `gate` | `Permit` | `kernel` |";
    const KERNEL: &str = "| `kernel` | words | nothing |";

    #[test]
    fn the_true_map_passes() {
        expect(
            &format!("{KERNEL}\n{GATE}\n| `act` | runs | `gate`, `kernel` |"),
            &[],
        );
    }

    #[test]
    fn missing_extra_and_repeated_crates_are_named() {
        expect(
            &format!("{KERNEL}\n{GATE}\n{GATE}\n| `world` | state | `kernel` |"),
            &[
                "ARCHITECTURE.md names crate `gate` twice",
                "ARCHITECTURE.md names crate `world`, which is not there",
                "ARCHITECTURE.md does not name crate `act`",
            ],
        );
    }

    #[test]
    fn a_wrong_arrow_is_named() {
        expect(
            &format!("{KERNEL}\n{GATE}\n| `act` | runs | `kernel` |"),
            &["ARCHITECTURE.md: what `act` may use is: gate, kernel"],
        );
    }

    #[test]
    fn a_map_without_its_table_is_a_fault() {
        assert_eq!(check(&sample::files(&[])), ["ARCHITECTURE.md is not there"]);
        let faults = check(&sample::files(&[(MAP, "# Map\n<!-- crates -->\n")]));
        assert!(faults[0].contains("has no table"), "{faults:?}");
    }

    #[test]
    fn a_path_that_is_not_there_is_named_with_its_line() {
        let text = format!("{OPEN}\n{CLOSE}\n`docs/` and `docs/x.md`, `other/x.md`\n");
        let tree = sample::files(&[(MAP, &text), ("docs/y.md", "")]);
        assert_eq!(
            check(&tree),
            ["ARCHITECTURE.md:3: `docs/x.md` is not there"]
        );
    }
}
