//! The simulator in its short form (`cargo xtask sim` is the long one). A
//! failure says the seed and the moves that are needed; the same command shows
//! it again.

use std::process::Command;

/// Runs the simulator; returns whether nothing broke, and what it said.
fn sim(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sim"))
        .args(arguments)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output.status.success(), said)
}

/// The number after this word.
fn number(said: &str, word: &str) -> usize {
    let (_, after) = said
        .split_once(word)
        .unwrap_or_else(|| panic!("`{word}`: {said}"));
    let digits = after.split(|c: char| !c.is_ascii_digit());
    digits
        .into_iter()
        .find(|d| !d.is_empty())
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn nothing_breaks_and_much_happens() {
    let (fine, said) = sim(&["--seed", "1", "--seeds", "30", "--steps", "200"]);
    assert!(fine, "{said}");
    for (word, least) in [
        ("acknowledged", 1_000),
        ("raced", 200),
        ("died", 200),
        ("stopped", 12),
        ("effects", 50),
    ] {
        assert!(number(&said, word) >= least, "{word}: {said}");
    }
}

#[test]
fn a_seed_gives_the_same_history_again_and_another_seed_another() {
    let history = |seed: &str| {
        let (fine, said) = sim(&["--seed", seed, "--steps", "150"]);
        assert!(fine, "{said}");
        said.lines().next().unwrap().to_owned()
    };
    assert!(history("3").starts_with("history "));
    assert_eq!(history("3"), history("3"));
    assert_ne!(history("3"), history("4"));
}

/// The command that it prints shows the same failure, with as few moves.
#[test]
fn storage_that_lies_is_found_and_shown_with_few_moves() {
    let (fine, said) = sim(&[
        "--sabotage",
        "--seed",
        "1",
        "--seeds",
        "20",
        "--steps",
        "200",
    ]);
    assert!(!fine && said.contains("acknowledged: "), "{said}");
    let (_, again) = said
        .split_once("to see it again: cargo xtask sim ")
        .unwrap();
    let again: Vec<&str> = again.split_whitespace().collect();
    let (fine, shown) = sim(&again);
    assert!(!fine && shown.contains("acknowledged: "), "{shown}");
    let moves = |said: &str| {
        let line = said
            .lines()
            .find(|l| l.contains("moves break the same rule"));
        line.unwrap()
            .split_whitespace()
            .next()
            .unwrap()
            .parse::<usize>()
            .unwrap()
    };
    assert!(moves(&said) <= 8, "{said}");
    assert_eq!(moves(&shown), moves(&said), "{shown}");
}

#[test]
fn a_move_that_is_not_there_is_refused() {
    let (fine, said) = sim(&["--seed", "1", "--steps", "20", "--only", "3,20"]);
    assert!(!fine && said.contains("there is no move 20"), "{said}");
}
