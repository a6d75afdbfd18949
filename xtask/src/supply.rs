//! What others wrote and writ links: which licences it has, where it comes
//! from, what is known to be unsafe of it, and the list of all of it. The tools
//! are built once a machine, at pinned versions, into the user's cache.

use crate::setup;
use crate::shell::{self, Shell};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// The versions of the tools.
const CARGO_DENY: &str = "0.20.2";
const CARGO_CYCLONEDX: &str = "0.5.9";

/// What is checked without the network.
const OFFLINE: &[&str] = &["bans", "licenses", "sources"];
/// How the list of everything is written, and what its files end with.
const BOM: &str = "writ.cdx.json";
const BOM_END: &str = ".cdx.json";
const BOM_VERSION: &str = "1.5";

/// Builds what the stage `deny` needs.
///
/// # Errors
/// When it does not build.
pub(crate) fn set_up() -> Result<()> {
    setup::cargo_tool("cargo-deny", CARGO_DENY).map(drop)
}

/// Checks licences, bans and sources; with `advisories` also what is known to
/// be unsafe, for which the database of advisories is fetched.
///
/// # Errors
/// When something is found, or a tool does not build.
pub(crate) fn deny(shell: &Shell, advisories: bool) -> Result<()> {
    let mut command = shell.command(setup::cargo_tool("cargo-deny", CARGO_DENY)?);
    if !advisories {
        command.arg("--offline");
    }
    command.arg("check").args(OFFLINE);
    if advisories {
        command.arg("advisories");
    }
    shell::run(&mut command)
}

/// Writes the list of everything that the binary is built of, CycloneDX in
/// JSON, beside the build output.
///
/// # Errors
/// When a tool does not build or the list cannot be written.
pub(crate) fn sbom(shell: &Shell) -> Result<()> {
    let tool = setup::cargo_tool("cargo-cyclonedx", CARGO_CYCLONEDX)?;
    let at = shell::output(Command::new("git").current_dir(&shell.root).args([
        "log",
        "-1",
        "--format=%ct",
    ]))?;
    let manifest = shell.root.join("crates/writ/Cargo.toml");
    let mut command = shell.command(tool);
    command
        .args(["cyclonedx", "--format", "json", "--all", "--target", "all"])
        .args(["--spec-version", BOM_VERSION, "--manifest-path"])
        .arg(&manifest)
        // The same commit gives the same list.
        .env("SOURCE_DATE_EPOCH", at.trim());
    shell::run(&mut command)?;
    let text = gathered(&shell.root, BOM)?;
    let folder = shell.target.join("sbom");
    let target = folder.join(BOM);
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(&target, text))
        .with_context(|| format!("cannot write `{}`", target.display()))?;
    println!("wrote {}", target.display());
    Ok(())
}

/// The text of the list of this name, without the place of this checkout. The
/// tool writes one beside each crate's manifest; all of them are removed.
fn gathered(root: &Path, name: &str) -> Result<String> {
    let mut folders = vec![root.to_owned()];
    let mut found = None;
    while let Some(folder) = folders.pop() {
        for item in std::fs::read_dir(&folder)? {
            let item = item?;
            let (path, file) = (item.path(), item.file_name());
            let file = file.to_string_lossy();
            if item.file_type()?.is_dir() {
                if !file.starts_with('.') && file != "target" {
                    folders.push(path);
                }
            } else if file.ends_with(BOM_END) {
                if file == name {
                    found = Some(std::fs::read_to_string(&path)?);
                }
                std::fs::remove_file(&path)?;
            }
        }
    }
    match found {
        Some(text) => Ok(text.replace(&root.display().to_string(), "")),
        None => bail!("no `{name}` was written"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_list_is_kept_and_tells_nothing_of_the_machine() {
        let root = std::env::temp_dir().join(format!("writ-supply-{}", std::process::id()));
        let crates = root.join("crates/a");
        std::fs::create_dir_all(&crates).unwrap();
        let text = format!("path+file://{}/crates/a", root.display());
        std::fs::write(crates.join("a.cdx.json"), &text).unwrap();
        std::fs::write(root.join("b.cdx.json"), "other").unwrap();
        std::fs::write(root.join("b.json"), "kept").unwrap();
        let found = gathered(&root, "a.cdx.json").unwrap();
        let none = gathered(&root, "a.cdx.json").unwrap_err().to_string();
        let left: Vec<_> = std::fs::read_dir(&root).unwrap().collect();
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(found, "path+file:///crates/a");
        assert_eq!(none, "no `a.cdx.json` was written");
        assert_eq!(left.len(), 2, "b.cdx.json is gone, b.json and crates stay");
    }
}
