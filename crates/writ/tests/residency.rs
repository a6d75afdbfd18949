//! `writ residency check` on a pack and what a node is started with: what it
//! says and how it ends.

use std::path::{Path, PathBuf};
use std::process::Command;

fn shipped() -> PathBuf {
    let packs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs");
    let mut found: Vec<_> = std::fs::read_dir(packs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found.remove(0)
}

/// The exit code, and what was written to both outputs.
fn check(arguments: &[&str]) -> (i32, String) {
    let pack = shipped();
    let done = Command::new(env!("CARGO_BIN_EXE_writ"))
        .args(["residency", "check", "--pack", pack.to_str().unwrap()])
        .args(arguments)
        .env_clear()
        .output()
        .unwrap();
    let text = [done.stdout, done.stderr].concat();
    (
        done.status.code().unwrap(),
        String::from_utf8(text).unwrap(),
    )
}

#[test]
fn everything_is_attested_or_it_fails() {
    let (code, text) = check(&[]);
    assert!(code == 0 && text.contains("(100.0 %)"), "{code} {text}");
    let (code, text) = check(&[
        "--database",
        "postgresql://u:s3cret@db.example/w?sslmode=disable",
    ]);
    assert_eq!(code, 1, "{text}");
    let fault = "fault: stores.ledger/db.example: this node uses it, and it has no entry";
    assert!(text.contains(fault), "{text}");
    assert!(
        !text.contains("s3cret"),
        "a password is not repeated: {text}"
    );
    let (code, text) = check(&["--cache", "redis://cache.example:6379", "--json"]);
    assert!(
        code == 1 && text.contains("stores.session_cache/cache.example"),
        "{text}"
    );
}
