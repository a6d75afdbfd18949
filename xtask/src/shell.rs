//! Where the checkout is, where build output goes, and how children are
//! started. Build output lives outside the checkout, so that a fresh clone
//! finds the dependencies already built.

use anyhow::{Context, Result, bail};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The checkout and its build output.
pub(crate) struct Shell {
    /// The root of the checkout.
    pub(crate) root: PathBuf,
    /// Where children build.
    pub(crate) target: PathBuf,
}

impl Shell {
    /// The shell of this checkout.
    ///
    /// # Errors
    /// When the checkout cannot be found.
    pub(crate) fn new() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("xtask does not stand in a checkout")?
            .to_owned();
        let target = target_dir(&root, |name| std::env::var_os(name));
        Ok(Self { root, target })
    }

    /// A cargo command in the checkout.
    pub(crate) fn cargo(&self, args: &[&str]) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = self.command(&cargo);
        command.args(args);
        command
    }

    /// A command in the checkout, without input: no check waits for a person.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            .stdin(Stdio::null());
        // What cargo says of this tool: some build scripts run again, and what
        // rests on them is compiled again, when it is there and was not before.
        for (name, _) in std::env::vars_os() {
            let about_this = ["CARGO_PKG_", "CARGO_MANIFEST_"];
            if about_this
                .iter()
                .any(|part| name.to_string_lossy().starts_with(part))
            {
                command.env_remove(name);
            }
        }
        command
    }

    /// Builds the binary for development and returns its path.
    ///
    /// # Errors
    /// When it does not build.
    pub(crate) fn binary(&self) -> Result<PathBuf> {
        // Built as for the tests: a build of its own would choose other
        // features of the dependencies and compile them all again.
        run(&mut self.cargo(&["test", "--quiet", "--workspace", "--no-run"]))?;
        Ok(self.target.join("debug/writ"))
    }
}

/// Runs a command with its output passed through.
///
/// # Errors
/// When it cannot start or fails; the message is the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` failed: {status}", shown(command));
    }
    Ok(())
}

/// Runs a command and returns what it wrote to its standard output.
///
/// # Errors
/// When it cannot start, fails, or writes what is not UTF-8.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !output.status.success() {
        bail!("`{}` failed: {}", shown(command), output.status);
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` wrote what is not UTF-8", shown(command)))
}

/// The command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = vec![program.file_name().unwrap_or_default().to_string_lossy()];
    words.extend(command.get_args().map(OsStr::to_string_lossy));
    words.join(" ")
}

fn target_dir(root: &Path, var: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let var = |name| var(name).filter(|value| !value.is_empty());
    if let Some(dir) = var("CARGO_TARGET_DIR") {
        return root.join(dir);
    }
    let cache = var("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| var("HOME").map(|home| PathBuf::from(home).join(".cache")));
    match cache {
        Some(cache) => cache.join("writ/target"),
        None => root.join("target"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(vars: &[(&str, &str)], expected: &str) {
        let var = |name: &str| {
            let found = vars.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| OsString::from(value))
        };
        let dir = target_dir(Path::new("/checkout"), var);
        assert_eq!(dir, Path::new(expected));
    }

    #[test]
    fn build_output_stands_outside_the_checkout_unless_asked() {
        check(&[("HOME", "/h")], "/h/.cache/writ/target");
        check(
            &[("HOME", "/h"), ("XDG_CACHE_HOME", "/c")],
            "/c/writ/target",
        );
        check(&[("HOME", "/h"), ("CARGO_TARGET_DIR", "/t")], "/t");
        check(&[("CARGO_TARGET_DIR", "t")], "/checkout/t");
        check(
            &[("HOME", "/h"), ("CARGO_TARGET_DIR", "")],
            "/h/.cache/writ/target",
        );
        check(&[], "/checkout/target");
    }

    #[test]
    fn a_command_is_shown_as_a_person_would_type_it() {
        let mut command = Command::new("/usr/bin/cargo");
        command.args(["test", "--workspace"]);
        assert_eq!(shown(&command), "cargo test --workspace");
    }

    #[test]
    fn a_failing_command_is_an_error_that_names_it() {
        let fault = run(&mut Command::new("false")).unwrap_err().to_string();
        assert!(fault.starts_with("`false` failed"), "{fault}");
        let fault = output(&mut Command::new("/nowhere/x")).unwrap_err();
        assert!(fault.to_string().contains("cannot start `x`"), "{fault}");
    }
}
