//! Abuse of the built binary. What does it lives in `testkit`, because it
//! knows the production path, which this tool does not; this builds both, and
//! says where schemathesis and its settings are.

use crate::setup;
use crate::shell::{self, Shell};
use anyhow::Result;

/// What makes requests up from the API's document.
const API: &str = "api";
/// What measures needs the binary as it is shipped.
const MEASURES: &[&str] = &["streams", "overload"];

/// Runs `api`, `streams` or `overload` with these arguments.
///
/// # Errors
/// When something does not build, or a fault was found.
pub(crate) fn run(shell: &Shell, args: &[String]) -> Result<()> {
    let what = args.first().map_or("--help", String::as_str);
    let mut command = if MEASURES.contains(&what) {
        shell::run(&mut shell.cargo(&["build", "--quiet", "--release", "--package", "writ"]))?;
        let harness = ["--release", "--package", "writ-testkit", "--bin", "abuse"];
        shell::run(shell.cargo(&["build", "--quiet"]).args(harness))?;
        let mut command = shell.command(shell.target.join("release/abuse"));
        command.env("ABUSE_WRIT", shell.target.join("release/writ"));
        command
    } else {
        let writ = shell.binary()?;
        let mut command = shell.command(shell.target.join("debug/abuse"));
        command.env("ABUSE_WRIT", writ);
        command
    };
    let Some((first, rest)) = args.split_first() else {
        return shell::run(command.arg(what));
    };
    command.arg(first);
    if first == API {
        let settings = shell.root.join("xtask/schemathesis");
        command
            .args([
                "--schemathesis".as_ref(),
                setup::schemathesis()?.as_os_str(),
            ])
            .args(["--settings".as_ref(), settings.as_os_str()]);
    }
    shell::run(command.args(rest))
}

/// The short run with a fixed seed that every change must pass.
///
/// # Errors
/// As [`run`].
pub(crate) fn short(shell: &Shell) -> Result<()> {
    run(shell, &[API.to_owned()])
}
