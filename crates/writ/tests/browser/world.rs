//! A real writ with its pack, a small service that can be mended, and alerts
//! of that service: what the browser looks at.

use kernel::port::Clock as _;
use pack::recording::{self, Shift};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The address that the recordings name as the service.
const RECORDED: &str = "127.0.0.1:18099";
/// Where packs stand; the first with the recording of a service that fails is
/// looked at.
const PACKS: &str = "../../packs";
const RECORDINGS: &str = "fixtures/demo";
/// The source that the recording came from.
const SOURCE: &str = "alertmanager";

/// A process that ends with the test; its output stays open until then.
struct Process {
    child: Child,
    _output: BufReader<std::process::ChildStdout>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The first pack that has a recording.
fn recorded_pack() -> std::path::PathBuf {
    let packs = Path::new(env!("CARGO_MANIFEST_DIR")).join(PACKS);
    let listing = std::fs::read_dir(packs).expect("there are packs");
    let mut found: Vec<_> = listing
        .map(|item| item.expect("it can be listed").path())
        .filter(|pack| pack.join(RECORDINGS).is_dir())
        .collect();
    found.sort();
    found.into_iter().next().expect("one has a recording")
}

fn started(arguments: &[&str]) -> (Process, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_writ"))
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let output = child.stdout.take().expect("its output is piped");
    let mut output = BufReader::new(output);
    let mut line = String::new();
    output.read_line(&mut line).expect("it says where it is");
    let process = Process {
        child,
        _output: output,
    };
    (process, line.trim().to_owned())
}

/// A running writ.
pub(crate) struct World {
    /// Where it is.
    pub(crate) url: String,
    /// The first admin's token.
    pub(crate) token: String,
    _writ: Process,
    _patient: Process,
    _data: tempfile::TempDir,
}

impl World {
    /// Starts it and lets the service fail, until something waits for a
    /// person.
    pub(crate) async fn with_an_incident() -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let (patient, mended_at) = started(&["patient", "--listen", "127.0.0.1:0"]);
        let host = mended_at.trim_start_matches("http://").to_owned();
        let ledger = data.path().join("data");
        let ledger_path = ledger.to_str().expect("a plain path");
        let pack = data.path().join("pack");
        copied(&recorded_pack(), &pack, &host);
        let pack_path = pack.to_str().expect("a plain path");
        let (writ, told) = started(&[
            "--json",
            "up",
            "--data",
            ledger_path,
            "--listen",
            "127.0.0.1:0",
            "--pack",
            pack_path,
            "--allow-host",
            &host,
            "--allow-private",
            "--log",
            "warn",
        ]);
        let told: Value = serde_json::from_str(&told).expect("it speaks JSON");
        let text = |name: &str| told[name].as_str().expect("named").to_owned();
        let world = Self {
            url: text("url"),
            token: text("token"),
            _writ: writ,
            _patient: patient,
            _data: data,
        };
        world.fail(&ledger, &text("tenant"), &pack).await;
        world
    }

    fn client() -> reqwest::Client {
        connect::http::install_tls();
        let client = reqwest::Client::builder().no_proxy().build();
        client.expect("a client")
    }

    async fn fail(&self, ledger: &Path, tenant: &str, pack: &Path) {
        let secret = std::fs::read_to_string(ledger.join("secrets").join(SOURCE));
        let secret = secret.expect("the source has a secret");
        for body in recordings(&pack.join(RECORDINGS)) {
            let answer = Self::client()
                .post(format!("{}/v1/ingest/{tenant}/{SOURCE}", self.url))
                .bearer_auth(secret.trim())
                .header("content-type", "application/json")
                .body(body)
                .send()
                .await
                .expect("writ answers");
            assert!(answer.status().is_success(), "{}", answer.status());
        }
        for _ in 0..200 {
            let waiting = self.get("/v1/approvals?status=pending").await;
            if waiting["items"].as_array().is_some_and(|i| !i.is_empty()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("nothing waits for a person");
    }

    /// What the API says.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = Self::client()
            .get(format!("{}{path}", self.url))
            .bearer_auth(&self.token)
            .send()
            .await
            .expect("writ answers");
        let text = answer.text().await.expect("a body");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}

/// A copy of the pack in which the service stands at `host`.
fn copied(from: &Path, to: &Path, host: &str) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a pack") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copied(&path, &target, host);
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("text");
        std::fs::write(target, text.replace(RECORDED, host)).expect("it can be written");
    }
}

/// The recorded alerts, as if they came now.
fn recordings(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("recordings")
        .map(|e| e.expect("an entry").path())
        .collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| std::fs::read(path).expect("a recording");
    let bodies: Vec<Vec<u8>> = paths.iter().map(read).collect();
    let latest = bodies
        .iter()
        .filter_map(|b| recording::latest(b).expect("JSON"))
        .max();
    let shift = Shift::between(latest.expect("instants"), connect::SystemClock.now());
    let shifted = |body: &Vec<u8>| recording::shifted(body, shift).expect("JSON");
    bodies.iter().map(shifted).collect()
}
