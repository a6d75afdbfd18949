//! The built binary as a process on a throwaway data directory: started,
//! asked, watched and ended. What it logged is kept and read afterwards.

mod wire;

pub use wire::{Answer, Wire, request};

use crate::Sample;
use crate::alerts::{Alert, webhook};
use anyhow::{Context as _, Result, bail};
use kernel::Timestamp;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How often something is asked for that must come.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often it is asked for at most.
const LOOKS_MAX: usize = 600;
/// How long a process may take to end in order.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// A writ that serves.
pub struct Served {
    /// Where it listens.
    pub address: SocketAddr,
    /// The first admin's token.
    pub token: String,
    /// The first tenant.
    pub tenant: String,
    binary: PathBuf,
    directory: TempDir,
    child: Child,
    _output: BufReader<ChildStdout>,
}

/// What one look at the process tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Memory that is in use now, in KiB.
    pub resident_kib: u64,
    /// The most there ever was, in KiB.
    pub resident_kib_max: u64,
    /// Open connections, and what it listens on.
    pub sockets: usize,
}

/// A directive that waits for a person.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The approval.
    pub approval: String,
    /// The directive.
    pub directive: String,
    /// What a person would see.
    pub digest: String,
}

impl Served {
    /// Starts this binary with the sample pack, and these options more.
    ///
    /// # Errors
    /// When it does not serve.
    pub fn start(binary: &Path, sample: &Sample, options: &[&str]) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("writ-served-").tempdir()?;
        let pack = directory.path().join("pack");
        for (path, bytes) in sample.files() {
            let file = pack.join(path);
            std::fs::create_dir_all(file.parent().context("a pack's file has a folder")?)?;
            std::fs::write(file, bytes)?;
        }
        let log = File::create(directory.path().join("log"))?;
        let mut child = plain(binary)
            .args(["--json", "up", "--listen", "127.0.0.1:0"])
            .args(["--data".as_ref(), directory.path().join("data").as_os_str()])
            .args(["--pack".as_ref(), pack.as_os_str()])
            .args(options)
            .env("WRIT_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start `{}`", binary.display()))?;
        let output = child.stdout.take().context("its output is piped")?;
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let said: Value = match serde_json::from_str(&line) {
            Ok(said) => said,
            Err(_) => {
                child.wait()?;
                let log = std::fs::read_to_string(directory.path().join("log"))?;
                bail!("writ does not serve: {log}");
            }
        };
        let text = |name: &str| {
            let text = said[name].as_str().map(str::to_owned);
            text.with_context(|| format!("`{name}` is missing in `{said}`"))
        };
        Ok(Self {
            address: text("url")?.trim_start_matches("http://").parse()?,
            token: text("token")?,
            tenant: text("tenant")?,
            binary: binary.to_owned(),
            directory,
            child,
            _output: output,
        })
    }

    /// The token of its source.
    ///
    /// # Errors
    /// When there is none.
    pub fn source_token(&self) -> Result<String> {
        let secrets = self.directory.path().join("data/secrets");
        Ok(std::fs::read_to_string(
            secrets.join(crate::sample::SOURCE),
        )?)
    }

    /// The path that its source sends to.
    #[must_use]
    pub fn ingest(&self) -> String {
        format!("/v1/ingest/{}/{}", self.tenant, crate::sample::SOURCE)
    }

    /// Where it keeps its data.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// What it logged, warnings and worse.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.directory.path().join("log"))?)
    }

    /// Asks once, on a connection of its own.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn ask(&self, request: &[u8]) -> Result<Answer> {
        Ok(Wire::to(self.address).await?.ask(request).await?)
    }

    /// The status of what is asked once; an answer's body is not waited for.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn ask_status(&self, request: &[u8]) -> Result<u16> {
        let mut wire = Wire::to(self.address).await?;
        wire.send(request).await?;
        Ok(wire.head().await?.status)
    }

    /// Reads as this caller; it must work.
    ///
    /// # Errors
    /// When it does not.
    pub async fn get(&self, token: &str, path: &str) -> Result<Value> {
        let asked = request("GET", path, Some(token), &[], None);
        done(path, self.ask(&asked).await?)
    }

    /// Posts as this caller; it must work.
    ///
    /// # Errors
    /// When it does not.
    pub async fn post(&self, token: &str, path: &str, body: &Value) -> Result<Value> {
        let body = body.to_string();
        let asked = request("POST", path, Some(token), &[], Some(body.as_bytes()));
        done(path, self.ask(&asked).await?)
    }

    /// A principal of this role with a key: its id and token.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn principal(&self, kind: &str, role: &str) -> Result<(String, String)> {
        let new = json!({"kind": kind, "name": format!("the {role}"), "roles": [role]});
        let made = self.post(&self.token, "/v1/principals", &new).await?;
        let id = made["id"].as_str().context("a principal has an id")?;
        let asked = json!({"principal": id, "name": "key"});
        let key = self.post(&self.token, "/v1/keys", &asked).await?;
        let token = key["token"].as_str().context("a key has a token")?;
        Ok((id.to_owned(), token.to_owned()))
    }

    /// Tells of two alerts of this machine, which make an incident.
    ///
    /// # Errors
    /// When they are refused.
    pub async fn alert(&self, machine: &str, now: Timestamp) -> Result<()> {
        let body = webhook(&Alert::pair(machine, now));
        let token = self.source_token()?;
        let path = self.ingest();
        let asked = request("POST", &path, Some(&token), &[], Some(&body));
        done(&path, self.ask(&asked).await?).map(drop)
    }

    /// Waits for a directive about this machine that waits for a person.
    ///
    /// # Errors
    /// When none comes.
    pub async fn waiting(&self, machine: &str) -> Result<Waiting> {
        let path = format!("/v1/approvals?status=pending&subject=machine/{machine}");
        for _ in 0..LOOKS_MAX {
            let page = self.get(&self.token, &path).await?;
            if let Some(item) = page["items"].get(0) {
                let text = |value: &Value| value.as_str().map(str::to_owned);
                let directive = text(&item["directive"]).context("a directive")?;
                let path = format!("/v1/directives/{directive}");
                let seen = self.get(&self.token, &path).await?;
                return Ok(Waiting {
                    approval: text(&item["id"]).context("an id")?,
                    digest: text(&seen["state"]["digest"]).context("a digest")?,
                    directive,
                });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!(
            "no directive about `{machine}` waits; writ logged: {}",
            self.log()?
        )
    }

    /// What it uses now.
    ///
    /// # Errors
    /// When it has ended.
    pub fn usage(&self) -> Result<Usage> {
        let process = format!("/proc/{}", self.child.id());
        let status = std::fs::read_to_string(format!("{process}/status"))?;
        let kib = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let word = line.and_then(|line| line.split_whitespace().next());
            Ok(word.with_context(|| format!("no `{name}`"))?.parse()?)
        };
        Ok(Usage {
            resident_kib: kib("VmRSS:")?,
            resident_kib_max: kib("VmHWM:")?,
            sockets: std::fs::read_dir(format!("{process}/fd"))?
                .filter_map(|handle| std::fs::read_link(handle.ok()?.path()).ok())
                .filter(|target| target.to_string_lossy().starts_with("socket:"))
                .count(),
        })
    }

    /// What must hold after any abuse: it is alive and ready, nothing panicked
    /// or failed inside, it ends in order, and its ledger verifies.
    ///
    /// # Errors
    /// What does not hold.
    pub async fn is_sound(mut self) -> Result<()> {
        let ready = self
            .ask(&request("GET", "/readyz", None, &[], None))
            .await?;
        if ready.status != 200 {
            bail!("writ is not ready: {:?}", ready.json());
        }
        let log = self.log()?;
        let faults = ["panicked", "\"ERROR\"", " ERROR "];
        let bad: Vec<&str> = log
            .lines()
            .filter(|line| faults.iter().any(|fault| line.contains(fault)))
            .collect();
        if !bad.is_empty() {
            bail!("writ logged: {}", bad.join("\n"));
        }
        self.end()?;
        for check in ["verify", "replay"] {
            let mut command = plain(&self.binary);
            match check {
                "verify" => command.args(["ledger", "verify", "--data"]),
                _ => command.args(["replay", "--data"]),
            };
            let output = command.arg(self.data()).stdin(Stdio::null()).output()?;
            if !output.status.success() {
                bail!("`{check}`: {}", String::from_utf8_lossy(&output.stderr));
            }
        }
        Ok(())
    }

    /// Asks it to end, and waits.
    fn end(&mut self) -> Result<()> {
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-s", "TERM", &id]).status()?;
        if !asked.success() {
            bail!("writ cannot be asked to end");
        }
        for _ in 0..ENDS_WITHIN.as_millis() / LOOK_EVERY.as_millis() {
            if let Some(status) = self.child.try_wait()? {
                match status.success() {
                    true => return Ok(()),
                    false => bail!("writ ended with {status}: {}", self.log()?),
                }
            }
            std::thread::sleep(LOOK_EVERY);
        }
        bail!("writ did not end within {} s", ENDS_WITHIN.as_secs())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended; nothing else is to be done about it here.
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// The binary without what this environment says to it.
#[allow(
    clippy::disallowed_methods,
    reason = "a child must not inherit the settings of whoever runs the tests"
)]
fn plain(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WRIT_") {
            command.env_remove(name);
        }
    }
    command
}

fn done(path: &str, answer: Answer) -> Result<Value> {
    match answer.status {
        200..=299 => Ok(answer.json()),
        status => bail!(
            "`{path}`: {status}: {}",
            String::from_utf8_lossy(&answer.body)
        ),
    }
}
