//! The life of a node: on PostgreSQL, with Redis and an archive, until
//! everything that takes a secret has used it, was refused, and was without its
//! servers for a while.

use crate::common::{RECORDINGS, copied, recorded_pack, recordings};
use crate::filled;
use crate::outside::Outside;
use crate::planted;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use testkit::{PostgresDatabase, PostgresServer};

/// The source that the recordings came from, and one that signs.
const SOURCES: [&str; 2] = ["alertmanager", "platform-events"];
/// Why it was approved: these words are no secret.
const REASON: &str = "known-words-8831";
/// What must be found, and where, by the beginning of a name.
pub(crate) const KNOWN: [(&str, &str); 9] = [
    ("log", "\"message\":\"answered\""),
    ("metrics", "directives_total"),
    ("events", "directive.approved"),
    ("export", REASON),
    ("api /v1/approvals/", REASON),
    ("page /directives/", REASON),
    ("database", REASON),
    ("restored", REASON),
    ("refused /v1/", "application"),
];

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

pub(crate) struct Node {
    folder: tempfile::TempDir,
    outside: Outside,
    database: PostgresDatabase,
    redis: Running,
    _writ: Running,
    url: String,
    tenant: String,
    token: String,
    cookie: String,
    csrf: String,
    client: reqwest::Client,
    written: Vec<(String, Vec<u8>)>,
}

fn private_file(path: &Path, text: &str) {
    let folder = path.parent().expect("it stands in a folder");
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(folder).expect("a folder");
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    let written = file.expect("a file").write_all(text.as_bytes());
    written.expect("it is written");
}

/// The pack, with steps that carry secrets to the outside.
fn with_secrets(pack: &Path) {
    let file = pack.join("runbooks/20-shift-traffic.yaml");
    let text = std::fs::read_to_string(&file).expect("the runbook");
    let header =
        |reference: &str| format!("secret_headers: {{ x-key: {{ reference: \"{reference}\" }} }}");
    let put = "        url: \"${field.mitigation_url}\"\n        json:";
    let read = "verify: { url: \"${field.mitigation_url}\",";
    assert!(text.contains(put) && text.contains(read), "{text}");
    let text = text
        .replace(
            put,
            &format!("        {}\n{put}", header("env:WRIT_MODULE_CANARY")),
        )
        .replace(read, &format!("{read} {},", header("file:canary")));
    std::fs::write(file, text).expect("it is written");
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A Redis that wants its password.
fn redis(port: u16) -> Running {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
    command.args(["--save", "", "--appendonly", "no", "--dir", "/tmp"]);
    command.args(["--requirepass", planted("password of Redis")]);
    let child = command.stdout(Stdio::null()).spawn();
    Running(child.expect("redis-server is installed; `cargo xtask setup` does it"))
}

impl Node {
    pub(crate) async fn start() -> Self {
        connect::http::install_tls();
        let folder = tempfile::tempdir().expect("a directory");
        let at = |name: &str| folder.path().join(name);
        let outside = Outside::start();
        copied(&recorded_pack(), &at("pack"), &outside.host);
        with_secrets(&at("pack"));
        let secrets = ["secret of a bearer source", "secret of a signing source"];
        for (source, secret) in SOURCES.iter().zip(secrets) {
            private_file(&at("data/secrets").join(source), planted(secret));
        }
        let canary = planted("secret of a module, by file");
        private_file(&at("data/module-secrets/canary"), canary);
        let database = PostgresServer::start().database();
        let password = format!("writ:{}@", planted("password of PostgreSQL"));
        let port = free_port();
        let redis = redis(port);
        let bound = ["env:WRIT_MODULE_CANARY", "file:canary"];
        let bound = bound.map(|reference| format!("{reference}={}", outside.host));
        let bound = bound.join(",");
        let writ = Command::new(env!("CARGO_BIN_EXE_writ"))
            .args(["--json", "up", "--listen", "127.0.0.1:0", "--log", "trace"])
            .args(["--allow-private", "--allow-host", &outside.host, "--pack"])
            .arg(at("pack"))
            .env("WRIT_DATA", at("data"))
            .env(
                "WRIT_DATABASE",
                database.url().replacen("writ@", &password, 1),
            )
            .env(
                "WRIT_CACHE",
                format!("redis://:{}@127.0.0.1:{port}", planted("password of Redis")),
            )
            .env("WRIT_ARCHIVE", at("archive"))
            .env("WRIT_BEHIND_TLS", "true")
            .env("WRIT_SECRET_HOSTS", bound)
            .env("WRIT_ARCHIVE_ENTRIES", "20")
            .env("WRIT_ARCHIVE_SECRET_KEY", planted("secret key of S3"))
            .env(
                "WRIT_MODULE_CANARY",
                planted("secret of a module, by environment"),
            )
            .stdout(File::create(at("told")).expect("a file"))
            .stderr(File::create(at("log")).expect("a file"))
            .spawn();
        let writ = Running(writ.expect("the binary starts"));
        let told = told(&at("told"), &at("log")).await;
        let text = |name: &str| told[name].as_str().expect("named").to_owned();
        // What an answer leads to is not followed: the page of the form is asked for.
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none());
        Self {
            outside,
            database,
            redis,
            _writ: writ,
            url: text("url"),
            tenant: text("tenant"),
            token: text("token"),
            cookie: String::new(),
            csrf: String::new(),
            client: client.build().expect("a client"),
            written: Vec::new(),
            folder,
        }
    }

    /// A request with the first admin's token.
    fn ask(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().expect("a method");
        let asked = self.client.request(method, format!("{}{path}", self.url));
        asked.bearer_auth(&self.token)
    }

    /// What is answered, with its head.
    async fn answer(&self, asked: reqwest::RequestBuilder) -> (u16, Vec<u8>) {
        let answer = asked.send().await.expect("writ answers");
        let status = answer.status().as_u16();
        let mut bytes = format!("{:?}\n", answer.headers()).into_bytes();
        bytes.extend_from_slice(&answer.bytes().await.expect("a body"));
        (status, bytes)
    }

    async fn json(&self, asked: reqwest::RequestBuilder) -> Value {
        let answer = asked.send().await.expect("writ answers");
        let text = answer.text().await.expect("a body");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    async fn items(&self, path: &str) -> Vec<Value> {
        let answer = self.json(self.ask("GET", path)).await;
        answer["items"].as_array().cloned().unwrap_or_default()
    }

    /// The first item of a listing, as soon as there is one that fits.
    async fn first(&self, path: &str, fits: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..300 {
            if let Some(item) = self.items(path).await.into_iter().find(&fits) {
                return item;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("nothing of {path} fits: {:?}", self.items(path).await);
    }

    fn ingest(&self, source: &str) -> reqwest::RequestBuilder {
        let path = format!("{}/v1/ingest/{}/{source}", self.url, self.tenant);
        self.client
            .post(path)
            .header("content-type", "application/json")
    }

    /// Everything works, once.
    pub(crate) async fn live(&mut self) {
        let pack = self.folder.path().join("pack");
        for body in recordings(&pack.join(RECORDINGS)) {
            let sent = self.ingest(SOURCES[0]).body(body);
            let sent = sent.bearer_auth(planted("secret of a bearer source"));
            assert_eq!(self.answer(sent).await.0, 202);
        }
        let approval = self.first("/v1/approvals?status=pending", |_| true).await;
        let id = approval["id"].as_str().expect("an id");
        let digest = &approval["state"]["request"]["binding"]["digest"];
        let yes = json!({"digest": digest, "reason": REASON}).to_string();
        let path = format!("/v1/approvals/{id}/approve");
        let asked = self.ask("POST", &path).body(yes);
        let asked = asked.header("content-type", "application/json");
        assert_eq!(self.answer(asked).await.0, 200);
        let ended =
            |run: &Value| !["pending", "running"].contains(&run["status"].as_str().unwrap_or(""));
        self.first("/v1/runs", ended).await;
        for secret in ["by environment", "by file"] {
            let name = format!("secret of a module, {secret}");
            assert!(self.outside.was_sent(planted(&name)), "{name}");
        }
        self.sign_in().await;
        let save = json!({"state": {"turn": 1}}).to_string();
        for (path, body) in [
            ("/v1/sessions/one/save", save.as_str()),
            ("/v1/ledger/checkpoint", "{}"),
            ("/v1/archive/run", "{}"),
        ] {
            let asked = self.ask("POST", path).body(body.to_owned());
            let asked = asked.header("content-type", "application/json");
            let (status, said) = self.answer(asked).await;
            assert!(status < 300, "{path}: {}", String::from_utf8_lossy(&said));
        }
    }

    async fn sign_in(&mut self) {
        let form = format!("token={}", self.token);
        let asked = self.client.post(format!("{}/login", self.url)).body(form);
        let asked = asked.header("content-type", "application/x-www-form-urlencoded");
        let answer = asked.send().await.expect("writ answers");
        let cookie = answer.headers()["set-cookie"].to_str().expect("text");
        for guard in ["HttpOnly", "SameSite=Strict", "Secure"] {
            assert!(cookie.split("; ").any(|part| part == guard), "{cookie}");
        }
        self.cookie = cookie.split(';').next().expect("a cookie").to_owned();
        let me = self.client.get(format!("{}/v1/me", self.url));
        let me = self.json(me.header("cookie", &self.cookie)).await;
        self.csrf = me["csrf"].as_str().expect("a token").to_owned();
    }

    /// Everything is refused, each with a secret in it.
    pub(crate) async fn provoke(&mut self) {
        let (bearer, basic) = (
            planted("a false bearer token"),
            planted("a password of basic authentication"),
        );
        let (header, cookie) = (
            planted("a header of somebody else"),
            planted("a cookie of somebody else"),
        );
        let query = planted("a parameter of an address");
        let body = planted("a body of the wrong shape");
        let mut refused = Vec::new();
        for path in ["/v1/me", "/v1/approvals", "/incidents", "/metrics", "/none"] {
            let get = |path: &str| self.client.get(format!("{}{path}", self.url));
            refused.push((path, get(path).bearer_auth(bearer)));
            refused.push((path, get(path).basic_auth("someone", Some(basic))));
            refused.push((path, get(path).header("x-api-key", header)));
            let session = format!("writ_session={cookie}; other={cookie}");
            refused.push((path, get(path).header("cookie", session)));
            refused.push((path, get(&format!("{path}?token={query}"))));
            let known = self.ask("GET", &format!("{path}?token={query}"));
            refused.push((path, known.header("x-api-key", header)));
        }
        for source in SOURCES {
            let unsigned = self.ingest(source).body(format!("{{\"x\":\"{body}\"}}"));
            let path = "/v1/ingest";
            let again = |asked: &reqwest::RequestBuilder| asked.try_clone().expect("it is whole");
            refused.push((path, again(&unsigned).bearer_auth(bearer)));
            refused.push((path, again(&unsigned).header("x-signature-256", header)));
            refused.push((path, unsigned));
        }
        let mut said = Vec::new();
        for (path, asked) in refused {
            let (status, bytes) = self.answer(asked).await;
            assert!(status >= 400, "{path}: {status}");
            said.push((format!("refused {path}"), bytes));
        }
        self.written.extend(said);
        self.provoke_by_body(body).await;
        let form = planted("a form of the wrong shape");
        for form in [format!("token={form}"), format!("{form}=1&token=x")] {
            let asked = self.client.post(format!("{}/login", self.url)).body(form);
            let asked = asked.header("content-type", "application/x-www-form-urlencoded");
            // As with a body: who sent it may be told what they sent.
            let status = self.answer(asked).await.0;
            assert!([303, 400].contains(&status), "{status}");
        }
    }

    /// What a body holds comes back to who sent it at most, and stays nowhere:
    /// these answers are not searched, the log and the ledger are.
    async fn provoke_by_body(&self, secret: &str) {
        for facts in server::routes::rows().into_iter().map(|row| row.facts) {
            if facts.verb != server::routes::Verb::Post || facts.path.contains("{tenant}") {
                continue;
            }
            for body in [
                format!("{{\"reason\":\"{secret}\""),
                format!("{{\"{secret}\":1}}"),
                format!("[\"{secret}\"]"),
                format!(
                    "{{\"reason\":[\"{secret}\"],\"roles\":\"{secret}\",\"files\":\"{secret}\"}}"
                ),
            ] {
                let path = facts.path.replace("{*id}", "x");
                let path = path.replace("{id}", "x").replace("{name}", "x");
                let path = path.replace("{kind}", "x");
                let asked = self.ask("POST", &path).body(body);
                let asked = asked.header("content-type", "application/json");
                let (status, said) = self.answer(asked).await;
                let text = String::from_utf8_lossy(&said);
                assert!((400..500).contains(&status), "{path}: {status} {text}");
            }
        }
    }

    /// The cache, the database and the object store are gone, or answer with
    /// what they were sent.
    pub(crate) async fn lose_its_servers(&mut self) {
        drop(self.redis.0.kill());
        let bytes = self.answer(self.ask("GET", "/v1/sessions/one")).await.1;
        self.written.push(("without a cache".to_owned(), bytes));
        self.database.server().kill();
        for path in ["/v1/me", "/readyz", "/incidents", "/v1/approvals"] {
            let (status, bytes) = self.answer(self.ask("GET", path)).await;
            assert!(status >= 500, "{path}: {status}");
            self.written
                .push((format!("without a database {path}"), bytes));
        }
        self.database.server().restart();
        for round in 0.. {
            let (status, said) = self.answer(self.ask("GET", "/readyz")).await;
            if status == 200 {
                break;
            }
            let text = String::from_utf8_lossy(&said);
            assert!(round < 300, "it does not come back: {text}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let endpoint = format!("http://{}", self.outside.host);
        let done = Command::new(env!("CARGO_BIN_EXE_writ"))
            .args(["archive", "--archive", "s3://bucket/x"])
            .args(["--archive-endpoint", &endpoint, "--archive-allow-private"])
            .arg("verify")
            .env("WRIT_ARCHIVE_ACCESS_KEY", "AKIAEXAMPLE")
            .env("WRIT_ARCHIVE_SECRET_KEY", planted("secret key of S3"))
            .output()
            .expect("the binary starts");
        assert!(!done.status.success());
        let said = [done.stdout, done.stderr].concat();
        self.written
            .push(("a mirror for an archive".to_owned(), said));
    }

    /// What must be found nowhere: what was planted, and what writ made itself.
    pub(crate) fn secrets(&self) -> Vec<(String, String)> {
        let mut secrets: Vec<(String, String)> = crate::PLANTED
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        let last = |text: &str| text.rsplit(['_', '=']).next().unwrap_or(text).to_owned();
        secrets.push(("the admin's token".to_owned(), last(&self.token)));
        secrets.push(("the cookie of a session".to_owned(), last(&self.cookie)));
        let keys = files(&self.folder.path().join("data/log-keys"));
        // Beside the key stands what it signed last, which everybody may see.
        let private = |path: &Path| path.extension().is_none_or(|end| end != "last");
        let keys: Vec<_> = keys.into_iter().filter(|(path, _)| private(path)).collect();
        assert!(!keys.is_empty(), "the log has a key");
        for (path, bytes) in keys {
            let text = String::from_utf8(bytes).expect("a key is text");
            // `PRIVATE+KEY+NAME+ID+BASE64`, as a signed note's own tools write it.
            let key = text.trim().splitn(5, '+').last().expect("a last part");
            let bytes = STANDARD.decode(key).expect("base64");
            assert!(bytes.len() > 32, "{}", path.display());
            let hex: String = bytes[1..].iter().map(|b| format!("{b:02x}")).collect();
            for (form, key) in [("", key.to_owned()), (" in hex", hex)] {
                secrets.push((format!("the key {}{form}", path.display()), key));
            }
        }
        secrets
    }

    /// Everything that this node wrote or answers.
    pub(crate) async fn everything_written(mut self) -> Vec<(String, Vec<u8>)> {
        let mut written = std::mem::take(&mut self.written);
        let rows = server::rows().into_iter().map(|row| row.facts);
        for facts in rows.filter(|facts| facts.verb == server::routes::Verb::Get) {
            if facts.gives == server::routes::Gives::Events {
                continue;
            }
            for path in self.filled(facts.path).await {
                let is_page = facts.gives == server::routes::Gives::Html;
                let bytes = self.answer(self.ask("GET", &path)).await.1;
                let kind = if is_page { "page" } else { "api" };
                written.push((format!("{kind} {path}"), bytes));
            }
        }
        let bundle = "/v1/ledger/export?objects=with";
        written.push((
            "export".to_owned(),
            self.answer(self.ask("GET", bundle)).await.1,
        ));
        written.push((
            "metrics".to_owned(),
            self.answer(self.ask("GET", "/metrics")).await.1,
        ));
        written.push(("events".to_owned(), self.events().await));
        written.push(("database".to_owned(), self.tables().into_bytes()));
        let at = |name: &str| self.folder.path().join(name);
        let restored = Command::new(env!("CARGO_BIN_EXE_writ"))
            .arg("archive")
            .arg("--archive")
            .arg(at("archive"))
            .arg("restore")
            .arg("--data")
            .arg(at("restored"))
            .output()
            .expect("the binary starts");
        let said = String::from_utf8_lossy(&restored.stderr).into_owned();
        assert!(restored.status.success(), "{said}");
        for folder in ["archive", "restored", "data"] {
            for (path, bytes) in files(&at(folder)) {
                let own = ["data/secrets", "data/module-secrets", "data/log-keys"];
                if !own.iter().any(|own| path.starts_with(at(own))) {
                    written.push((format!("{folder} {}", path.display()), bytes));
                }
            }
        }
        let log = std::fs::read(at("log")).expect("a log");
        assert!(log.len() > 100_000, "the log has {} bytes", log.len());
        let session = [("the token of forms".to_owned(), self.csrf.clone())];
        let log = [("log".to_owned(), log)];
        let leaked = crate::search::through(&log, &session);
        assert!(leaked.is_empty(), "{}", leaked[0]);
        written.extend(log);
        written
    }

    /// The path with each thing that it may be about.
    async fn filled(&self, path: &str) -> Vec<String> {
        let open = path.replace("{tenant}", &self.tenant);
        if !open.contains('{') {
            return vec![open];
        }
        let Some(listing) = filled::listing(&open) else {
            return vec![];
        };
        let items = self.items(&listing).await;
        items
            .iter()
            .filter_map(|item| filled::about(&open, item))
            .collect()
    }

    /// What is streamed of the log from its beginning.
    async fn events(&self) -> Vec<u8> {
        let asked = self.ask("GET", "/v1/events?after=0");
        let mut answer = asked.send().await.expect("writ answers");
        let mut bytes = Vec::new();
        let quiet = Duration::from_secs(2);
        while let Ok(Ok(Some(part))) = tokio::time::timeout(quiet, answer.chunk()).await {
            bytes.extend_from_slice(&part);
        }
        bytes
    }

    /// Every row of every table.
    fn tables(&self) -> String {
        let names = "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables \
                     WHERE table_schema NOT IN ('pg_catalog', 'information_schema')";
        let names = self.database.sql(names);
        let tables = names.lines().filter(|line| line.contains('.'));
        let rows = tables.map(|table| {
            let as_text = format!("SELECT t::text FROM {} t", table.trim());
            let as_bytes = format!(
                "SELECT encode(convert_to(t::text, 'UTF8'), 'escape') FROM {} t",
                table.trim()
            );
            [self.database.sql(&as_text), self.database.sql(&as_bytes)].concat()
        });
        rows.collect()
    }
}

async fn told(path: &Path, log: &Path) -> Value {
    for _ in 0..600 {
        let text = std::fs::read_to_string(path).expect("a file");
        if let Ok(told) = serde_json::from_str(&text) {
            return told;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let said = std::fs::read_to_string(log).unwrap_or_default();
    panic!(
        "it does not start: {}",
        &said[said.len().saturating_sub(2000)..]
    );
}

fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for item in std::fs::read_dir(folder).expect("a folder") {
        let path = item.expect("an item").path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push((path.clone(), std::fs::read(&path).expect("a file"))),
        }
    }
    found
}
