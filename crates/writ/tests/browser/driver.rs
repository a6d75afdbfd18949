//! A real Chromium, headless, through chromedriver.

use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a page may take to show what is waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// Whether scripts run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scripts {
    /// They do.
    On,
    /// They do not.
    Off,
}

/// A browser with one window.
pub(crate) struct Browser {
    pub(crate) client: Client,
    url: String,
    driver: Child,
    _profile: tempfile::TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.driver.kill());
        drop(self.driver.wait());
    }
}

#[derive(Debug)]
struct Posted(&'static str, Value);

impl WebDriverCompatibleCommand for Posted {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or(""), self.0))
    }
    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.1.to_string()))
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

impl Browser {
    /// Starts it at the site `url`.
    pub(crate) async fn start(url: &str, scripts: Scripts) -> Self {
        let port = free_port();
        let driver = Command::new("chromedriver")
            .args([format!("--port={port}"), "--silent".to_owned()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed");
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_ok()
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let profile = tempfile::tempdir().expect("a directory");
        let preferences = match scripts {
            Scripts::On => json!({}),
            Scripts::Off => json!({"profile.managed_default_content_settings.javascript": 2}),
        };
        let folder = format!("--user-data-dir={}", profile.path().display());
        let capabilities = json!({
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"prefs": preferences, "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--no-first-run", "--disable-background-networking", "--no-proxy-server",
                "--hide-scrollbars", "--force-device-scale-factor=1", folder,
            ]},
        });
        let connector = hyper_util::client::legacy::connect::HttpConnector::new();
        let client = ClientBuilder::new(connector)
            .capabilities(capabilities.as_object().expect("an object").clone())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("a session");
        let browser = Self {
            client,
            url: url.to_owned(),
            driver,
            _profile: profile,
        };
        browser.viewport(1440, 900).await;
        browser.scheme("light").await;
        browser
    }

    /// Plugs in an authenticator that knows its person.
    pub(crate) async fn authenticator(&self) {
        self.devtools("WebAuthn.enable", json!({})).await;
        let options = json!({"options": {
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
            "hasUserVerification": true, "isUserVerified": true,
            "automaticPresenceSimulation": true,
        }});
        self.devtools("WebAuthn.addVirtualAuthenticator", options)
            .await;
    }

    async fn devtools(&self, command: &str, parameters: Value) {
        let body = json!({"cmd": command, "params": parameters});
        let posted = self
            .client
            .issue_cmd(Posted("goog/cdp/execute", body))
            .await;
        posted.expect("the browser obeys");
    }

    /// The size of the page in CSS pixels.
    pub(crate) async fn viewport(&self, width: u32, height: u32) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", size)
            .await;
    }

    /// `dark` or `light`.
    pub(crate) async fn scheme(&self, scheme: &str) {
        let feature = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", feature).await;
    }

    /// Goes to a path of the site.
    pub(crate) async fn go(&self, path: &str) {
        let address = format!("{}{path}", self.url);
        self.client.goto(&address).await.expect("the page loads");
    }

    /// Waits for an element.
    pub(crate) async fn wait(&self, css: &str) -> fantoccini::elements::Element {
        let waited = self
            .client
            .wait()
            .at_most(PATIENCE)
            .for_element(Locator::Css(css));
        match waited.await {
            Ok(element) => element,
            Err(fault) => panic!(
                "no `{css}` at {}: {fault}\n{}",
                self.path().await,
                self.text().await
            ),
        }
    }

    /// Waits until an element's text holds this.
    pub(crate) async fn says(&self, css: &str, words: &str) {
        for _ in 0..150 {
            let found = self.client.find(Locator::Css(css)).await;
            if let Ok(element) = found
                && element.text().await.is_ok_and(|t| t.contains(words))
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!(
            "`{css}` never says `{words}` at {}:\n{}",
            self.path().await,
            self.text().await
        );
    }

    /// Clicks.
    pub(crate) async fn click(&self, css: &str) {
        self.wait(css)
            .await
            .click()
            .await
            .expect("it can be clicked");
    }

    /// Types into a field.
    pub(crate) async fn type_into(&self, css: &str, text: &str) {
        self.wait(css)
            .await
            .send_keys(text)
            .await
            .expect("it takes text");
    }

    /// Presses keys one after the other, wherever the focus is.
    pub(crate) async fn press(&self, keys: &str) {
        let pressed = keys
            .chars()
            .fold(KeyActions::new("keyboard".to_owned()), |all, value| {
                all.then(KeyAction::Down { value })
                    .then(KeyAction::Up { value })
            });
        let done = self.client.perform_actions(pressed).await;
        done.expect("the keyboard works");
    }

    /// Presses the tabulator until something that this selects has the focus.
    #[allow(dead_code, reason = "not every test binary goes by keyboard")]
    pub(crate) async fn tab_to(&self, css: &str) {
        let script = format!("return document.activeElement.matches(\"{css}\")");
        for _ in 0..200 {
            if self.ask(&script).await == true {
                return;
            }
            self.press("\u{e004}").await;
        }
        panic!(
            "the keyboard never comes to `{css}` at {}",
            self.path().await
        );
    }

    /// Waits until the page follows the ledger: its script runs by then.
    pub(crate) async fn follows(&self) {
        self.says("#live-word", "live").await;
    }

    /// The path of the page.
    pub(crate) async fn path(&self) -> String {
        self.client
            .current_url()
            .await
            .expect("an address")
            .path()
            .to_owned()
    }

    /// What a person reads.
    pub(crate) async fn text(&self) -> String {
        let body = self
            .client
            .find(Locator::Css("body"))
            .await
            .expect("a body");
        body.text().await.expect("text")
    }

    /// What a script in the page answers.
    pub(crate) async fn ask(&self, script: &str) -> Value {
        self.client
            .execute(script, Vec::new())
            .await
            .expect("an answer")
    }

    /// Signs in by the form.
    pub(crate) async fn sign_in(&self, token: &str) {
        self.go("/login").await;
        self.type_into("#token", token).await;
        self.click("form button[type=submit]").await;
        self.wait("#nav").await;
    }

    /// Keeps a picture of what is seen.
    pub(crate) async fn picture(&self, path: &Path) {
        let bytes = self.client.screenshot().await.expect("a picture");
        std::fs::write(path, bytes).expect("it can be kept");
    }

    /// Fails when the page does not fit its width or the console has faults:
    /// script errors, refused styles or scripts.
    pub(crate) async fn is_clean(&self) {
        let wider = self
            .ask("return document.documentElement.scrollWidth - innerWidth")
            .await;
        assert!(
            wider.as_i64().is_some_and(|w| w <= 0),
            "{} is {wider} px too wide",
            self.path().await
        );
        let logged = self
            .client
            .issue_cmd(Posted("se/log", json!({"type": "browser"})))
            .await;
        let lines = logged
            .expect("the console")
            .as_array()
            .cloned()
            .unwrap_or_default();
        let faults: Vec<_> = lines.iter().filter(|l| l["level"] == "SEVERE").collect();
        assert!(faults.is_empty(), "{faults:#?}");
    }

    /// Ends it.
    pub(crate) async fn end(self) {
        self.client.clone().close().await.expect("the session ends");
    }
}
