//! Speaks to a writ server over its API.

use crate::cli::Remote;
use crate::failure::{Failure, without_user};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::time::Duration;

/// Verification of a long log takes its time.
const TIMEOUT: Duration = Duration::from_secs(600);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A bundle of a long log takes longer still; a connection that is cut ends it.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// A server, and as whom it is spoken to.
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Client {
    pub(crate) fn new(remote: &Remote) -> Result<Self, Failure> {
        let base = remote.server.trim_end_matches('/').to_owned();
        if !base.starts_with("http://") && !base.starts_with("https://") {
            return Err(Failure::usage(format!(
                "`{}` is not an http(s) address",
                without_user(&base)
            ))
            .hint("give --server http://HOST:PORT, or set WRIT_SERVER"));
        }
        if base.contains('@') {
            let base = without_user(&base);
            return Err(Failure::usage(format!("`{base}` holds a user name"))
                .hint("a token is given by WRIT_TOKEN, and nowhere else"));
        }
        connect::http::install_tls();
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(|e| Failure::failed(format!("cannot start the HTTP client: {e}")))?;
        Ok(Self {
            http,
            base,
            token: remote.token.clone(),
        })
    }

    /// Asks for a resource.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.send(Method::GET, path, None).await
    }

    /// Sends a command.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.send(Method::POST, path, Some(body)).await
    }

    /// Asks for a body of any length; `take` gets it piece by piece.
    pub(crate) async fn download(
        &self,
        path: &str,
        mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let request = self.http.get(format!("{}{path}", self.base));
        let mut request = request.timeout(DOWNLOAD_TIMEOUT);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let mut answer = request.send().await.map_err(|e| self.unreachable(&e))?;
        let status = answer.status();
        if !status.is_success() {
            let bytes = answer.bytes().await.map_err(|e| self.unreachable(&e))?;
            let problem = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
            return Err(self.refused(status, &problem));
        }
        loop {
            match answer.chunk().await {
                Ok(Some(bytes)) => take(&bytes)?,
                Ok(None) => return Ok(()),
                Err(_) => {
                    let what = format!("`{}` cut the answer off", self.base);
                    return Err(Failure::failed(what).hint("its log says why"));
                }
            }
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|e| self.unreachable(&e))?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(|e| self.unreachable(&e))?;
        let value = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).map_err(|_| {
                Failure::failed(format!("`{}` did not answer in JSON", self.base))
                    .hint("is this address a writ server?")
            })?
        };
        if status.is_success() {
            return Ok(value);
        }
        Err(self.refused(status, &value))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let why = if error.is_timeout() {
            "it did not answer in time"
        } else {
            "nothing answers there"
        };
        Failure::unreachable(format!("cannot reach `{}`: {why}", self.base))
            .hint("start it with `writ up`, or name another with --server or WRIT_SERVER")
    }

    fn refused(&self, status: StatusCode, problem: &Value) -> Failure {
        let text = |name: &str| problem.get(name).and_then(Value::as_str);
        let detail = text("detail")
            .or_else(|| text("title"))
            .unwrap_or("refused");
        let failure = Failure::failed(detail.to_owned());
        let failure = match (status, text("hint")) {
            (StatusCode::UNAUTHORIZED, _) if self.token.is_none() => failure
                .hint("set WRIT_TOKEN to your token; `writ up` prints one on its first start"),
            (_, Some(hint)) => failure.hint(hint),
            _ => failure,
        };
        match text("trace_id") {
            Some(trace) => failure.trace(trace),
            None => failure,
        }
    }
}
