//! Workers as processes: started, listened to, killed, and the library that
//! stands between them and the disk.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// What stands between a worker and the disk, as C.
const SHIM: &str = include_str!("shim.c");
/// A worker that has not ended by then hangs.
const HANGS_AFTER: Duration = Duration::from_secs(180);
/// How often a report is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const SIGKILL: i32 = 9;

/// Compiles the library that stands between a worker and the disk.
///
/// # Errors
/// When there is no C compiler.
pub(crate) fn shim(directory: &Path) -> Result<PathBuf> {
    let source = directory.join("shim.c");
    std::fs::write(&source, SHIM)?;
    let library = directory.join("shim.so");
    let status = Command::new("cc")
        .args(["-O1", "-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .args(["-ldl", "-lpthread"])
        .status()
        .context("cannot start `cc`; install a C compiler")?;
    if !status.success() {
        bail!("`cc` failed: {status}");
    }
    Ok(library)
}

fn lock(heard: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A worker that runs.
pub(crate) struct Worker {
    child: Child,
    ear: JoinHandle<std::io::Result<()>>,
    heard: Arc<Mutex<Vec<u8>>>,
}

/// How a worker ended and what it told.
pub(crate) struct Ended {
    /// How.
    pub(crate) status: ExitStatus,
    /// What it told.
    pub(crate) told: Vec<u8>,
}

impl Ended {
    /// Whether it was killed.
    pub(crate) fn killed(&self) -> bool {
        self.status.signal() == Some(SIGKILL)
    }
}

/// The command that starts a worker: this program, as a worker.
///
/// # Errors
/// When this program cannot be found.
pub(crate) fn command(store: &str, arguments: &[String]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["worker", "--store", store])
        .args(arguments)
        .stdin(Stdio::null());
    Ok(command)
}

impl Worker {
    /// Starts a worker that reports through its standard output.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        let mut child = command
            .args(["--report", "/dev/stdout"])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut pipe = child.stdout.take().context("no pipe")?;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let shared = heard.clone();
        let ear = std::thread::spawn(move || {
            let mut part = [0; 65_536];
            loop {
                let bytes = pipe.read(&mut part)?;
                if bytes == 0 {
                    return Ok(());
                }
                lock(&shared).extend_from_slice(&part[..bytes]);
            }
        });
        Ok(Self { child, ear, heard })
    }

    /// How many bytes it has told so far.
    pub(crate) fn mark(&self) -> usize {
        lock(&self.heard).len()
    }

    /// Waits until what it told after a mark is enough.
    ///
    /// # Errors
    /// When it does not come about.
    pub(crate) fn wait(
        &self,
        what: &str,
        mark: usize,
        enough: impl Fn(&[Value]) -> bool,
    ) -> Result<()> {
        for _ in 0..HANGS_AFTER.as_millis() / LOOK_EVERY.as_millis() {
            if enough(&self.told_after(mark)) {
                return Ok(());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let told = self.told_after(mark);
        let last: Vec<String> = told.iter().rev().take(5).map(Value::to_string).collect();
        bail!("{what} did not come about within {HANGS_AFTER:?}; last told: {last:?}")
    }

    /// What it told after a mark.
    pub(crate) fn told_after(&self, mark: usize) -> Vec<Value> {
        let heard = lock(&self.heard);
        let lines = heard
            .get(mark..)
            .unwrap_or(&[])
            .split(|byte| *byte == b'\n');
        let lines = lines.filter_map(|line| serde_json::from_slice(line).ok());
        lines.collect()
    }

    /// Kills it after this time, unless it has ended, and returns what it told.
    ///
    /// # Errors
    /// When it cannot be waited for, or hangs.
    pub(crate) fn kill_after(mut self, time: Duration) -> Result<Ended> {
        std::thread::sleep(time);
        self.child.kill()?;
        self.end()
    }

    /// Waits for its end, and returns what it told.
    ///
    /// # Errors
    /// When it hangs.
    pub(crate) fn end(mut self) -> Result<Ended> {
        let id = self.child.id();
        let (sender, ended) = mpsc::channel::<()>();
        let watchdog = std::thread::spawn(move || {
            let waited = ended.recv_timeout(HANGS_AFTER);
            let hangs = waited == Err(mpsc::RecvTimeoutError::Timeout);
            if hangs {
                let mut kill = Command::new("kill");
                drop(kill.args(["-KILL", &id.to_string()]).status());
            }
            hangs
        });
        let status = self.child.wait()?;
        drop(sender);
        let hung = watchdog.join().ok() == Some(true);
        self.ear.join().ok().context("no reader")??;
        let told = std::mem::take(&mut *lock(&self.heard));
        if hung {
            bail!("a worker did not end within {HANGS_AFTER:?}");
        }
        Ok(Ended { status, told })
    }
}
