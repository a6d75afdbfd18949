//! The torture harness of the ledger. It lives in `testkit`, because it works
//! on the production path, which this tool does not know; this starts it.

use crate::shell::{self, Shell};
use anyhow::Result;

/// Builds the harness and runs it.
///
/// # Errors
/// When it does not build, or finds a fault.
pub(crate) fn run(shell: &Shell, args: &[String]) -> Result<()> {
    let mut command = shell.cargo(&["run", "--quiet", "--package", "writ-testkit"]);
    command.args(["--bin", "torture", "--", "run"]).args(args);
    shell::run(&mut command)
}
