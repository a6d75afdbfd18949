//! Deliberate bugs, one at a time: each patch under `xtask/mutants` is applied
//! to a scratch copy of the commit, and the tools are asked in turn which of
//! them finds it. One that nobody finds means a test that is missing.

use crate::shell::{self, Shell};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Where the patches are, from the root. Their first line says what is wrong.
const PATCHES: &str = "xtask/mutants";

/// Seeds and moves of the simulator for each of them.
const SIMULATED: &[&str] = &["--seeds", "40", "--steps", "300", "--as-found"];

/// What cargo runs after the simulator, in this order, and what it is called.
const TESTS: &[(&str, &[&str])] = &[
    (
        "unit and property tests",
        &["test", "--quiet", "--workspace", "--lib"],
    ),
    (
        "integration tests",
        &["test", "--quiet", "--workspace", "--tests"],
    ),
    (
        "scenarios",
        &["run", "--quiet", "--package", "xtask", "--", "scenarios"],
    ),
];

struct Mutant {
    name: String,
    path: PathBuf,
    what: String,
}

/// What became of a mutant.
enum Fate {
    /// This tool found it.
    Found(&'static str, f64),
    /// Nobody found it.
    Survived,
}

/// Lets each of these mutants, or all of them, be found.
///
/// # Errors
/// When one survives, does not apply, or does not compile.
pub(crate) fn run(shell: &Shell, names: &[String]) -> Result<()> {
    let mutants = read(&shell.root.join(PATCHES), names)?;
    let copy = shell.target.join("mutants/copy");
    if copy.exists() {
        shell::run(worktree(shell, &["remove", "--force"]).arg(&copy))?;
    }
    shell::run(
        worktree(shell, &["add", "--quiet", "--detach"])
            .arg(&copy)
            .arg("HEAD"),
    )?;
    let judged = judge(shell, &copy, &mutants);
    shell::run(worktree(shell, &["remove", "--force"]).arg(&copy))?;
    let survived = judged?;
    if !survived.is_empty() {
        bail!("nobody found: {}", survived.join(", "));
    }
    println!("{} mutants, each was found", mutants.len());
    Ok(())
}

fn worktree(shell: &Shell, args: &[&str]) -> Command {
    let mut command = shell.command("git");
    command.arg("worktree").args(args);
    command
}

fn read(directory: &Path, names: &[String]) -> Result<Vec<Mutant>> {
    let mut mutants = Vec::new();
    let listing = std::fs::read_dir(directory)
        .with_context(|| format!("cannot read `{}`", directory.display()));
    for item in listing? {
        let path = item?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = name.into_owned();
        if !names.is_empty() && !names.contains(&name) {
            continue;
        }
        let text = std::fs::read_to_string(&path)?;
        let what = text.lines().next().unwrap_or_default().to_owned();
        mutants.push(Mutant { name, path, what });
    }
    let known = |name: &&String| mutants.iter().any(|m| m.name == **name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        bail!(
            "there is no mutant `{unknown}` in `{}`",
            directory.display()
        );
    }
    mutants.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(mutants)
}

/// Returns the names of those that nobody found.
fn judge(shell: &Shell, copy: &Path, mutants: &[Mutant]) -> Result<Vec<String>> {
    let mut survived = Vec::new();
    for mutant in mutants {
        let git = |args: &[&str]| {
            let mut command = Command::new("git");
            command.current_dir(copy).args(args);
            command
        };
        shell::run(&mut git(&["checkout", "--quiet", "."]))?;
        shell::run(git(&["apply"]).arg(&mutant.path))
            .with_context(|| format!("`{}` does not apply", mutant.name))?;
        let fate =
            found_by(shell, copy).with_context(|| format!("`{}`: {}", mutant.name, mutant.what))?;
        match fate {
            Fate::Found(tool, took) => {
                println!("{:<32} {tool} ({took:.0} s): {}", mutant.name, mutant.what);
            }
            Fate::Survived => {
                println!("{:<32} SURVIVED: {}", mutant.name, mutant.what);
                survived.push(mutant.name.clone());
            }
        }
    }
    Ok(survived)
}

fn found_by(shell: &Shell, copy: &Path) -> Result<Fate> {
    let target = shell.target.join("mutants");
    let cargo = |args: &[&str]| {
        let mut command = Command::new("cargo");
        command.current_dir(copy).args(args);
        command.env("CARGO_TARGET_DIR", &target);
        command
    };
    // What does not compile is no bug that a tool could find.
    shell::run(&mut cargo(&[
        "build",
        "--quiet",
        "--workspace",
        "--bin",
        "sim",
    ]))?;
    let began = Instant::now();
    let simulator = Command::new(target.join("debug/sim"))
        .args(SIMULATED)
        .output();
    if !simulator?.status.success() {
        return Ok(Fate::Found("simulator", began.elapsed().as_secs_f64()));
    }
    for (tool, args) in TESTS {
        if !cargo(args).output()?.status.success() {
            return Ok(Fate::Found(tool, began.elapsed().as_secs_f64()));
        }
    }
    Ok(Fate::Survived)
}
