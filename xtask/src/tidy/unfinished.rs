//! Nothing unfinished stands in Rust files, and no test is switched off.

use super::tree::Tree;

/// Words that mark unfinished work. Written in halves, because this file is
/// checked too.
const WORDS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
];
/// Code that stands for code.
const PIECES: &[&str] = &[
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("#[", "ignore"),
];

/// Checks every line.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for file in tree.rust() {
        for (index, line) in file.text.lines().enumerate() {
            let word = WORDS.iter().find(|word| has_word(line, word));
            let piece = PIECES.iter().find(|piece| line.contains(**piece));
            if let Some(found) = word.or(piece) {
                faults.push(format!("{}:{}: `{found}`", file.path, index + 1));
            }
        }
    }
    faults
}

/// Whether `word` stands in `text` with no letter, digit or underscore beside.
pub(super) fn has_word(text: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(part_of_word) && !after.is_some_and(part_of_word)
    })
}

#[cfg(test)]
mod tests {
    use super::super::tree::sample;
    use super::*;

    #[track_caller]
    fn expect(line: &str, faults: &[&str]) {
        let text = format!("//! Header.\n{line}\n");
        assert_eq!(
            check(&sample::files(&[("crates/a/src/x.rs", &text)])),
            faults
        );
    }

    #[test]
    fn unfinished_work_is_named_with_its_line() {
        for found in WORDS.iter().chain(PIECES) {
            expect(
                &format!("x // {found}"),
                &[&format!("crates/a/src/x.rs:2: `{found}`")],
            );
        }
        expect(
            concat!("#[", "ignore = \"slow\"]"),
            &[concat!("crates/a/src/x.rs:2: `#[", "ignore`")],
        );
    }

    #[test]
    fn words_that_only_contain_one_are_fine() {
        expect("let x = \"0xXXXX\";", &[]);
        expect("// shack, todo list, MASTODON", &[]);
        expect("fn ignore() {}", &[]);
    }

    #[test]
    fn words_end_at_punctuation() {
        assert!(has_word("use serde::x", "serde"));
        assert!(has_word("(serde)", "serde"));
        assert!(!has_word("serde_json", "serde"));
        assert!(!has_word("myserde", "serde"));
        assert!(has_word("serde_json serde", "serde"));
    }
}
