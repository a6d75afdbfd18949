//! `writ policy` on directories: what it says and how it ends.

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
fn writ(arguments: &[&str]) -> (i32, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_writ"))
        .args(arguments)
        .output()
        .unwrap();
    let text = [done.stdout, done.stderr].concat();
    (
        done.status.code().unwrap(),
        String::from_utf8(text).unwrap(),
    )
}

#[test]
fn check_test_and_diff_end_as_scripts_expect() {
    let pack = shipped();
    let pack = pack.to_str().unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().to_str().unwrap();
    let put = |text: &str| std::fs::write(temporary.path().join("a.cedar"), text).unwrap();
    put("@id(\"a\") permit(principal, action, resource in Tool::\"ecco\");\n");

    let (code, text) = writ(&["policy", "check", pack]);
    assert_eq!(code, 0, "{text}");
    let (code, text) = writ(&["policy", "test", pack]);
    assert_eq!((code, text.contains("FAILED")), (0, false), "{text}");
    let (code, text) = writ(&["policy", "check", folder]);
    assert_eq!(code, 3, "{text}");
    assert!(
        text.contains("a.cedar:1:54: `a`: no module is called `ecco`"),
        "{text}"
    );
    let (code, text) = writ(&["policy", "test", folder]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("has no tests"), "{text}");
    let (code, text) = writ(&["policy", "diff", pack, pack]);
    assert!(code == 0 && text.starts_with("0 of "), "{code} {text}");
    let (code, text) = writ(&["policy", "diff", pack, folder]);
    assert!(
        code == 0 && text.contains("was ALLOW by `"),
        "{code} {text}"
    );
    put("permit(");
    let (code, text) = writ(&["policy", "check", folder]);
    assert!(code == 3 && text.contains("a.cedar:1:"), "{code} {text}");
}
