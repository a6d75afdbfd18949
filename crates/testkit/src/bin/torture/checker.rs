//! The two judges of a store after a fault. The independent one is a program
//! of its own (`check.py`): another language, another SQLite, another SHA-256,
//! its own chain, tree and fold. The other is what an operator would run:
//! writ's own verify, replay and engine check on the production path.

use crate::{load, worker};
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::json;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const PROGRAM: &str = include_str!("check.py");

/// What the independent checker found.
#[derive(Debug, Deserialize)]
pub(crate) struct Verdict {
    /// What is wrong; empty when nothing.
    pub(crate) faults: Vec<String>,
    /// Acknowledgements that were checked.
    pub(crate) acks: u64,
    /// Entries that were read.
    pub(crate) entries: u64,
}

/// The independent checker's process.
pub(crate) struct Checker {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Checker {
    /// Starts it.
    ///
    /// # Errors
    /// When there is no `python3`.
    pub(crate) fn start() -> Result<Self> {
        let mut child = Command::new("python3")
            .args(["-c", PROGRAM])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start `python3`; install it with `cargo xtask setup`")?;
        let requests = child.stdin.take().context("the checker hears nothing")?;
        let answers = child.stdout.take().context("the checker says nothing")?;
        Ok(Self {
            child,
            requests,
            answers: BufReader::new(answers),
        })
    }

    /// Compares a store with the first lines of a report.
    ///
    /// # Errors
    /// When the checker has ended.
    pub(crate) fn check(&mut self, store: &str, report: &Path, lines: usize) -> Result<Verdict> {
        let request = json!({"store": store, "report": report, "lines": lines});
        writeln!(self.requests, "{request}")?;
        let mut answer = String::new();
        if self.answers.read_line(&mut answer)? == 0 {
            bail!("the checker has ended");
        }
        Ok(serde_json::from_str(&answer)?)
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        // It waits for a request that will not come.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Opens the store on the production path and proves every log.
///
/// # Errors
/// What does not hold.
pub(crate) fn prove(store: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let store = worker::open(store).await?;
        let registry = load::registry();
        for tenant in store.tenants().await? {
            let verified = ledger::verify::log(store.as_ref(), tenant, |_| ()).await?;
            ensure!(verified.is_intact(), "verify: {verified:?}");
            let replayed = ledger::replay::log(store.as_ref(), &registry, tenant, |_| ()).await?;
            ensure!(replayed.is_equal(), "replay: {:?}", replayed.differences);
        }
        Ok(())
    })
}
