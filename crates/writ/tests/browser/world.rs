//! A real writ with its pack, a small service that can be mended, and alerts
//! of that service: what the browser looks at.

use crate::common::{Process, RECORDINGS, copied, recorded_pack, recordings, started};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// The source that the recording came from.
const SOURCE: &str = "alertmanager";

/// A running writ.
pub(crate) struct World {
    /// Where it is.
    pub(crate) url: String,
    /// The first admin's token.
    pub(crate) token: String,
    tenant: String,
    _writ: Process,
    _patient: Process,
    data: tempfile::TempDir,
}

impl World {
    /// Starts it and lets the service fail, until something waits for a
    /// person.
    #[allow(dead_code, reason = "not every test binary wants the pack as it is")]
    pub(crate) async fn with_an_incident() -> Self {
        Self::with_an_incident_in(|_| ()).await
    }

    /// The same with its pack changed beforehand.
    pub(crate) async fn with_an_incident_in(change: impl FnOnce(&Path)) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let (patient, mended_at) = started(&["patient", "--listen", "127.0.0.1:0"]);
        let host = mended_at.trim_start_matches("http://").to_owned();
        let ledger = data.path().join("data");
        let ledger_path = ledger.to_str().expect("a plain path");
        let pack = data.path().join("pack");
        copied(&recorded_pack(), &pack, &host);
        change(&pack);
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
            tenant: text("tenant"),
            _writ: writ,
            _patient: patient,
            data,
        };
        world.fail(&pack).await;
        world
    }

    fn client() -> reqwest::Client {
        connect::http::install_tls();
        let client = reqwest::Client::builder().no_proxy().build();
        client.expect("a client")
    }

    /// Delivers a body in the name of the source; whether it was taken.
    pub(crate) async fn deliver(&self, body: Vec<u8>) -> bool {
        let secret = self.data.path().join("data/secrets").join(SOURCE);
        let secret = std::fs::read_to_string(secret).expect("the source has a secret");
        let answer = Self::client()
            .post(format!("{}/v1/ingest/{}/{SOURCE}", self.url, self.tenant))
            .bearer_auth(secret.trim())
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .expect("writ answers");
        let status = answer.status();
        assert!(!status.is_server_error(), "{status}");
        status.is_success()
    }

    async fn fail(&self, pack: &Path) {
        for body in recordings(&pack.join(RECORDINGS)) {
            assert!(self.deliver(body).await, "it is taken");
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

    /// What the API says to a command of this token.
    #[allow(dead_code, reason = "not every test binary sends commands")]
    pub(crate) async fn post(&self, path: &str, token: &str, body: &Value) -> Value {
        let answer = Self::client()
            .post(format!("{}{path}", self.url))
            .bearer_auth(token)
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .expect("writ answers");
        let text = answer.text().await.expect("a body");
        serde_json::from_str(&text).expect("JSON")
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
