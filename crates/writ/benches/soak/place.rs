//! Where the soak takes place: a service that can be mended, a data directory,
//! the pack with room in its budgets, and the binary, which is killed and
//! started again on the port that it had.

use crate::Fault;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The address that the pack names as the service.
const RECORDED: &str = "127.0.0.1:18099";
/// The source that delivers.
pub(crate) const SOURCE: &str = "alertmanager";
/// How long a start may take.
const START_MAX: Duration = Duration::from_secs(60);

/// Who takes part, by the token of each.
#[derive(Clone)]
pub(crate) struct People {
    pub(crate) admin: String,
    pub(crate) second: String,
    pub(crate) approver: String,
    pub(crate) agent: String,
    /// What the source proves itself with.
    pub(crate) source: String,
}

/// The place.
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) patient: String,
    pub(crate) tenant: String,
    pub(crate) people: People,
    folder: tempfile::TempDir,
    host: String,
    writ: Option<Child>,
    _patient: Process,
    starts: u32,
}

/// A process that ends with the soak.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill().and_then(|()| self.0.wait());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.writ.take().map(Process));
    }
}

impl Place {
    /// Starts everything, with people who may do what the load does.
    pub(crate) async fn found() -> Result<Self, Fault> {
        let folder = tempfile::tempdir()?;
        let mut child = Command::new(env!("CARGO_BIN_EXE_writ"))
            .args(["patient", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut patient = String::new();
        let out = child.stdout.take().ok_or("the service has no output")?;
        BufReader::new(out).read_line(&mut patient)?;
        let patient = patient.trim().to_owned();
        let host = patient.trim_start_matches("http://").to_owned();
        copied(&recorded_pack()?, &folder.path().join("pack"), &host)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut place = Self {
            url: format!("http://127.0.0.1:{port}"),
            patient,
            tenant: String::new(),
            people: People {
                admin: String::new(),
                second: String::new(),
                approver: String::new(),
                agent: String::new(),
                source: String::new(),
            },
            folder,
            host,
            writ: None,
            _patient: Process(child),
            starts: 0,
        };
        place.start().await?;
        let told = fs::read(place.folder.path().join("up.1.json"))?;
        let told: Value = serde_json::from_slice(&told)?;
        let text = |name: &str| {
            told[name]
                .as_str()
                .map(str::to_owned)
                .ok_or(name.to_owned())
        };
        place.tenant = text("tenant")?;
        place.people.admin = text("token")?;
        place.people.second = place.principal("human", "second", "admin").await?;
        place.people.approver = place.principal("human", "approver", "approver").await?;
        place.people.agent = place.principal("agent", "scout", "agent").await?;
        let secret = place.data().join("secrets").join(SOURCE);
        place.people.source = fs::read_to_string(secret)?.trim().to_owned();
        Ok(place)
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What the binary logged, over all starts.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("writ.log")
    }

    /// The process.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.writ.as_ref().map(Child::id)
    }

    async fn start(&mut self) -> Result<(), Fault> {
        self.starts += 1;
        let folder = self.folder.path();
        let out = folder.join(format!("up.{}.json", self.starts));
        let log = File::options().create(true).append(true).open(self.log())?;
        let listen = self.url.trim_start_matches("http://");
        let mut child = Command::new(env!("CARGO_BIN_EXE_writ"))
            .args(["--json", "up", "--listen", listen, "--log", "warn"])
            .args(["--allow-host", &self.host, "--allow-private"])
            .arg("--data")
            .arg(folder.join("data"))
            .arg("--pack")
            .arg(folder.join("pack"))
            .stdin(Stdio::null())
            .stdout(File::create(&out)?)
            .stderr(log)
            .spawn()?;
        let began = Instant::now();
        while fs::read(&out)?.is_empty() {
            if child.try_wait()?.is_some() || began.elapsed() > START_MAX {
                let log = fs::read_to_string(self.log())?;
                return Err(format!("writ does not serve: {log}").into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.writ = Some(child);
        Ok(())
    }

    /// Kills it without a word and starts it again; how long it was away.
    pub(crate) async fn kill_and_start(&mut self) -> Result<Duration, Fault> {
        let mut child = self.writ.take().ok_or("nothing runs")?;
        let began = Instant::now();
        child.kill()?;
        child.wait()?;
        self.start().await?;
        Ok(began.elapsed())
    }

    /// Asks it to end, as a person would; an error unless it does so in order.
    pub(crate) async fn stop(&mut self) -> Result<(), Fault> {
        let mut child = self.writ.take().ok_or("nothing runs")?;
        let pid = child.id().to_string();
        Command::new("kill").args(["-s", "TERM", &pid]).status()?;
        let status = tokio::task::spawn_blocking(move || child.wait()).await??;
        match status.success() {
            true => Ok(()),
            false => Err(format!("writ ended with {status} when it was asked to end").into()),
        }
    }

    async fn principal(&self, kind: &str, name: &str, role: &str) -> Result<String, Fault> {
        let body = json!({"kind": kind, "name": name, "roles": [role]});
        let made = self.command("/v1/principals", &body).await?;
        let id = made["id"].as_str().ok_or_else(|| made.to_string())?;
        let body = json!({"principal": id, "name": "soak"});
        let key = self.command("/v1/keys", &body).await?;
        Ok(key["token"]
            .as_str()
            .ok_or_else(|| key.to_string())?
            .to_owned())
    }

    async fn command(&self, path: &str, body: &Value) -> Result<Value, Fault> {
        let answer = client()?
            .post(format!("{}{path}", self.url))
            .bearer_auth(&self.people.admin)
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await?;
        Ok(serde_json::from_str(&answer.text().await?)?)
    }
}

/// A client that goes straight to the server.
pub(crate) fn client() -> Result<reqwest::Client, Fault> {
    connect::http::install_tls();
    let client = reqwest::Client::builder().no_proxy();
    Ok(client.timeout(Duration::from_secs(20)).build()?)
}

/// The first pack that has a recording of a service that fails.
fn recorded_pack() -> Result<PathBuf, Fault> {
    let packs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs");
    let mut found = Vec::new();
    for pack in fs::read_dir(packs)? {
        let pack = pack?.path();
        if pack.join("fixtures/demo").is_dir() {
            found.push(pack);
        }
    }
    found.sort();
    Ok(found.into_iter().next().ok_or("no pack has a recording")?)
}

/// A copy of the pack in which the service stands at `host` and no budget is
/// used up by a soak.
fn copied(from: &Path, to: &Path, host: &str) -> Result<(), Fault> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().ok_or("a file has a name")?);
        if path.is_dir() {
            copied(&path, &target, host)?;
            continue;
        }
        let mut text = fs::read_to_string(&path)?.replace(RECORDED, host);
        if path.ends_with("budgets.yaml") {
            for unit in [" EUR", " calls,", " calls }"] {
                text = text.replace(unit, &format!("0000{unit}"));
            }
        }
        fs::write(target, text)?;
    }
    Ok(())
}
