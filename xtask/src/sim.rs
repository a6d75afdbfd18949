//! The simulator of the kernel. It lives in `testkit`, because it drives the
//! production path, which this tool does not know; this starts it.

use crate::shell::{self, Shell};
use anyhow::Result;

/// Builds the simulator and runs it on the commit that stands here.
///
/// # Errors
/// When it does not build, or something broke.
pub(crate) fn run(shell: &Shell, args: &[String]) -> Result<()> {
    let commit = shell::output(
        shell
            .command("git")
            .args(["describe", "--always", "--dirty"]),
    );
    let mut command = shell.cargo(&["run", "--quiet", "--package", "writ-testkit"]);
    command.args(["--bin", "sim", "--"]);
    if let Ok(commit) = commit {
        command.args(["--commit", commit.trim()]);
    }
    shell::run(command.args(args))
}
