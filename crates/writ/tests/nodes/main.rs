//! Two writ processes on one PostgreSQL database: an alert comes to one, the
//! approval to the other, the effect happens once, what one stops the other
//! does not do, and when one is killed the other goes on.

#[path = "../common/mod.rs"]
mod common;

use common::{Process, RECORDINGS, copied, recorded_pack, recordings, started};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use testkit::{PostgresServer, eventually};

/// The source that the recording came from.
const SOURCE: &str = "alertmanager";

struct Node {
    url: String,
    tenant: String,
    token: Option<String>,
    process: Process,
}

impl Node {
    fn start(database: &str, data: &Path, host: &str, pack: Option<&Path>) -> Self {
        let data = data.to_str().expect("a plain path");
        let mut arguments = vec!["--json", "up", "--database", database, "--data", data];
        arguments.extend(["--listen", "127.0.0.1:0", "--log", "warn"]);
        arguments.extend(["--allow-host", host, "--allow-private"]);
        if let Some(pack) = pack {
            arguments.extend(["--pack", pack.to_str().expect("a plain path")]);
        }
        let (process, told) = started(&arguments);
        let told: Value = serde_json::from_str(&told).expect("it speaks JSON");
        let text = |name: &str| told[name].as_str().map(str::to_owned);
        Self {
            url: text("url").expect("named"),
            tenant: text("tenant").expect("named"),
            token: text("token"),
            process,
        }
    }

    fn api(&self, token: &str) -> Api {
        connect::http::install_tls();
        let client = reqwest::Client::builder().no_proxy().build();
        Api {
            client: client.expect("a client"),
            url: self.url.clone(),
            token: token.to_owned(),
        }
    }
}

struct Api {
    client: reqwest::Client,
    url: String,
    token: String,
}

impl Api {
    async fn get(&self, path: &str) -> Value {
        let asked = self.client.get(format!("{}{path}", self.url));
        let answer = asked
            .bearer_auth(&self.token)
            .send()
            .await
            .expect("it answers");
        let text = answer.text().await.expect("a body");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    async fn items(&self, path: &str) -> Vec<Value> {
        let answer = self.get(path).await;
        answer["items"].as_array().cloned().unwrap_or_default()
    }

    async fn post(&self, path: &str, key: &str, body: &Value) -> (u16, Value) {
        let asked = self.client.post(format!("{}{path}", self.url));
        let asked = asked
            .bearer_auth(&self.token)
            .header("idempotency-key", key);
        let asked = asked.header("content-type", "application/json");
        let answer = asked
            .body(body.to_string())
            .send()
            .await
            .expect("it answers");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }
}

/// The folders of a test, and the service that fails.
struct Shop {
    folder: tempfile::TempDir,
    host: String,
    _patient: Process,
}

impl Shop {
    fn open() -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let (patient, at) = started(&["patient", "--listen", "127.0.0.1:0"]);
        let host = at.trim_start_matches("http://").to_owned();
        copied(&recorded_pack(), &folder.path().join("pack"), &host);
        Self {
            folder,
            host,
            _patient: patient,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The files of the pack, as the API takes them, with other titles.
    fn files(&self, round: u32) -> Value {
        let root = self.path("pack");
        let mut folders = vec![root.clone()];
        let mut files = serde_json::Map::new();
        while let Some(folder) = folders.pop() {
            for item in std::fs::read_dir(folder).expect("a folder") {
                let path = item.expect("an item").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let name = path.strip_prefix(&root).expect("in the pack");
                let text = std::fs::read_to_string(&path).expect("text");
                let text = text.replace("title: ", &format!("title: {round} "));
                files.insert(name.display().to_string(), json!({ "text": text }));
            }
        }
        json!({ "files": files })
    }

    /// Delivers the first of the recordings alone.
    async fn warn(&self, node: &Node) {
        self.deliver(node, 1).await;
    }

    async fn fail(&self, node: &Node) {
        self.deliver(node, usize::MAX).await;
    }

    async fn deliver(&self, node: &Node, count: usize) {
        let secret = self.path("first").join("secrets").join(SOURCE);
        let secret = std::fs::read_to_string(secret).expect("the source has a secret");
        let sender = node.api(secret.trim());
        for body in recordings(&self.path("pack").join(RECORDINGS))
            .into_iter()
            .take(count)
        {
            let body: Value = serde_json::from_slice(&body).expect("JSON");
            let path = format!("/v1/ingest/{}/{SOURCE}", node.tenant);
            let (status, answer) = sender.post(&path, "unused", &body).await;
            assert!(status < 300, "{status}: {answer}");
        }
    }
}

fn writ(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_writ"))
        .args(arguments)
        .output()
        .expect("the binary starts");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_on_one_database_are_one_writ() {
    let database = PostgresServer::shared().database();
    let url = database.url();
    let shop = Shop::open();
    let pack = shop.path("pack");
    let first = Node::start(&url, &shop.path("first"), &shop.host, Some(&pack));
    let token = first.token.clone().expect("the first start shows a token");
    // The nodes share their secrets.
    let secrets = shop.path("second").join("secrets");
    copied(&shop.path("first").join("secrets"), &secrets, &shop.host);
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(secrets.join(SOURCE), private).expect("it is there");
    let mut second = Node::start(&url, &shop.path("second"), &shop.host, None);
    assert_eq!(second.token, None, "there is a tenant already");
    assert_eq!(second.tenant, first.tenant);

    // A pack that one loads is what the other takes deliveries in by, at once.
    let loads = first.api(&token);
    for round in 1..=5 {
        let (status, answer) = loads
            .post("/v1/packs/load", &format!("p{round}"), &shop.files(round))
            .await;
        assert_eq!(status, 200, "{answer}");
        shop.warn(&second).await;
    }

    shop.fail(&first).await;
    let (one, two) = (first.api(&token), second.api(&token));
    eventually("an approval waits on the other node", async || {
        !two.items("/v1/approvals?status=pending").await.is_empty()
    })
    .await;
    let waiting = two.items("/v1/approvals?status=pending").await.remove(0);
    let id = waiting["id"].as_str().expect("an id").to_owned();
    let digest = waiting["state"]["request"]["binding"]["digest"].clone();
    let body = json!({ "digest": digest });
    let approve = format!("/v1/approvals/{id}/approve");
    // Asked of both at once: it is one approval.
    let (a, b) = tokio::join!(
        two.post(&approve, "k", &body),
        one.post(&approve, "k", &body)
    );
    assert!(a.0 == 200 && b.0 == 200, "{a:?} {b:?}");
    eventually("the run has ended", async || {
        let runs = one.items("/v1/runs").await;
        runs.first()
            .is_some_and(|run| run["state"]["status"] == "completed")
    })
    .await;
    let started = one
        .items("/v1/ledger/entries?kind=run.step_started&limit=200")
        .await;
    let ended = one
        .items("/v1/ledger/entries?kind=run.step_succeeded&limit=200")
        .await;
    let steps = |entries: &[Value]| {
        let step = |entry: &Value| entry["payload"]["step"].to_string();
        let mut steps: Vec<_> = entries.iter().map(step).collect();
        steps.sort();
        steps
    };
    let (mut once, all) = (steps(&started), steps(&started));
    once.dedup();
    assert!(!all.is_empty(), "steps were made");
    assert_eq!(once, all, "each step was made once");
    assert_eq!(steps(&ended), all);

    // What one stops is stopped on the other.
    let stop = json!({"scope": "tenant", "reason": "a test"});
    let (status, answer) = one.post("/v1/kill-switch/engage", "s", &stop).await;
    assert_eq!(status, 200, "{answer}");
    let engaged = two.get("/v1/kill-switch").await;
    assert!(engaged.to_string().contains("a test"), "{engaged}");

    // Killed, without a word; the other goes on, and so does the log.
    second.process.kill();
    let before = one.get("/v1/ledger/head").await;
    let drill = json!({"scope": "tenant", "note": "alone"});
    let (status, answer) = one.post("/v1/kill-switch/drill", "d", &drill).await;
    assert_eq!(status, 200, "{answer}");
    assert_ne!(one.get("/v1/ledger/head").await, before);
    for command in [&["ledger", "verify"][..], &["replay"], &["why", &id]] {
        let (fine, said) = writ(&[command, &["--database", &url]].concat());
        assert!(fine, "{command:?}: {said}");
    }
    moves(&url, &shop);
}

/// The log goes on in another database, and in a directory, by its archive.
fn moves(url: &str, shop: &Shop) {
    let place = |name: &str| shop.path(name).display().to_string();
    let other = PostgresServer::shared().database();
    let archive = ["archive", "--archive", &place("archive")].map(str::to_owned);
    let done = |more: &[&str]| {
        let archive = archive.iter().map(String::as_str);
        let arguments: Vec<&str> = archive.chain(more.iter().copied()).collect();
        writ(&arguments)
    };
    for (more, expected) in [
        (
            &["run", "--data", &place("first"), "--database", url][..],
            true,
        ),
        (&["verify"], true),
        (&["restore", "--database", &other.url()], true),
        (&["restore", "--database", &other.url()], false),
        (&["restore", "--data", &place("new")], true),
    ] {
        let (fine, said) = done(more);
        assert_eq!(fine, expected, "{more:?}: {said}");
    }
    for ledger in [["--database", &other.url()], ["--data", &place("new")]] {
        let (fine, said) = writ(&[&["ledger", "verify", "--states"][..], &ledger].concat());
        assert!(fine, "{ledger:?}: {said}");
    }
}

#[test]
fn a_database_that_cannot_be_reached_stops_the_start() {
    let folder = tempfile::tempdir().expect("a directory");
    let data = folder.path().join("data");
    let data = data.to_str().expect("a plain path");
    let nowhere = format!("postgresql://writ:hunter2@{}/writ", "%2Fnowhere");
    let named = ["--data", data, "--database", &nowhere];
    for command in [&["up", "--listen", "127.0.0.1:0"][..], &["admin-token"]] {
        let (fine, said) = writ(&[command, &named].concat());
        assert!(!fine, "{said}");
        assert!(
            said.contains("cannot connect to the database `writ`"),
            "{said}"
        );
        assert!(!said.contains("hunter2"), "{said}");
    }
    assert!(!Path::new(data).join("writ.db").exists(), "no other store");
}
