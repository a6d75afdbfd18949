//! The store only ever adds to the log: no statement of its own updates,
//! deletes or replaces a row of a table that the log is made of. The database
//! refuses it to everyone else; of SQLite's writing connection, which fires no
//! triggers, this rule says so.

use super::tree::{File, Tree};

/// The tables whose rows stay as they were written.
const GUARDED: &[&str] = &["entries", "names", "kinds", "objects", "spans"];

/// Checks the Rust files of the store, their unit tests not counted.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let of_store = |file: &&File| file.path.starts_with("crates/store/src/");
    let files = tree.rust().filter(of_store);
    files
        .flat_map(|file| {
            let found = statements(&file.text);
            found.map(|(line, statement)| {
                format!("{}:{line}: changes the log: `{statement}`", file.path)
            })
        })
        .collect()
}

/// The line and the words of each statement that changes a guarded table.
fn statements(text: &str) -> impl Iterator<Item = (usize, String)> {
    let source = text
        .split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap_or_default();
    let lines = source.lines().enumerate();
    let words: Vec<(usize, String)> = lines
        .flat_map(|(number, line)| {
            let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
            let words = line.split(move |c| !is_part(c)).filter(|w| !w.is_empty());
            words.map(move |word| (number + 1, word.to_lowercase()))
        })
        .collect();
    let mut found = Vec::new();
    for (at, (line, _)) in words.iter().enumerate() {
        // A row that is locked is not changed.
        let before = at.checked_sub(1).and_then(|at| words.get(at));
        if before.is_some_and(|(_, word)| word == "for") {
            continue;
        }
        let rest: Vec<&str> = words
            .iter()
            .skip(at)
            .map(|(_, w)| w.as_str())
            .take(4)
            .collect();
        let table = match rest.as_slice() {
            ["update", "or", _, table] | ["update", table, ..] => table,
            ["delete", "from", table, ..] | ["replace", "into", table, ..] => table,
            _ => continue,
        };
        if GUARDED.contains(&table.trim_start_matches("writ.")) {
            found.push((*line, rest.join(" ")));
        }
    }
    found.into_iter()
}

#[cfg(test)]
mod tests {
    use super::super::tree::sample;
    use super::*;

    #[track_caller]
    fn expect(path: &str, text: &str, lines: &[usize]) {
        let faults = check(&sample::files(&[(path, text)]));
        let expected = lines
            .iter()
            .map(|line| format!("{path}:{line}: changes the log"));
        let starts = |(fault, start): (&String, String)| fault.starts_with(&start);
        assert_eq!(faults.len(), lines.len(), "{faults:?}");
        assert!(faults.iter().zip(expected).all(starts), "{faults:?}");
    }

    #[test]
    fn what_changes_the_log_is_named_with_its_line() {
        let path = "crates/store/src/sqlite/append.rs";
        expect(path, "x\n\"UPDATE entries SET payload = ''\"", &[2]);
        expect(path, "\"update OR replace entries SET at = 1\"", &[1]);
        expect(path, "\"DELETE FROM\n writ.entries WHERE true\"", &[1]);
        expect(path, "\"INSERT OR REPLACE INTO names VALUES (1)\"", &[1]);
        expect(
            path,
            "\"REPLACE INTO kinds\"\n\"DELETE FROM objects\"",
            &[1, 2],
        );
        expect(
            "crates/store/src/postgres/read.rs",
            "\"UPDATE writ.spans SET a\"",
            &[1],
        );
    }

    #[test]
    fn adding_reading_and_tests_are_fine() {
        let path = "crates/store/src/sqlite/append.rs";
        expect(path, "\"INSERT INTO entries (position) VALUES (?1)\"", &[]);
        expect(path, "\"UPDATE documents SET body = ''\"", &[]);
        expect(
            path,
            "\"ON CONFLICT (stream) DO UPDATE SET entries = 1\"",
            &[],
        );
        expect(path, "\"SELECT * FROM entries\" // update of entries", &[]);
        expect(path, "\"SELECT FROM logs FOR UPDATE\";\n/// Names it.", &[]);
        let test = "fn x() {}\n#[cfg(test)]\nmod tests {\n\"DELETE FROM entries\" }";
        expect(path, test, &[]);
        expect("crates/store/tests/x.rs", "\"DELETE FROM entries\"", &[]);
    }
}
