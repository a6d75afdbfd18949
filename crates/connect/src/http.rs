//! HTTP by reqwest. No redirects, no proxies, no retries, no kept connections:
//! one request is one connection, so that "not sent" and "no answer" stay
//! apart. Private addresses are refused unless the request allows them; the
//! addresses that are checked are the addresses that are dialled.

use crate::address::{is_never_a_host, is_private};
use async_trait::async_trait;
use kernel::Refusal;
use kernel::port::{Http, HttpAnswer, HttpFault, HttpRequest};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Url};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long a connection, TLS included, may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Which addresses a client may dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Public unicast addresses.
    Public,
    /// Those and private ones.
    Private,
}

impl Reach {
    fn covers(self, ip: IpAddr) -> bool {
        !is_never_a_host(ip) && (self == Self::Private || !is_private(ip))
    }
}

/// Resolves names to the addresses that may be dialled, and to no others.
struct Guard(Reach);

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let host = name.as_str().to_owned();
            // Port 0: reqwest puts in the URL's own.
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            let fine: Vec<SocketAddr> = found.filter(|a| reach.covers(a.ip())).collect();
            if fine.is_empty() {
                return Err(format!("every address of `{host}` is private").into());
            }
            Ok(Box::new(fine.into_iter()) as Addrs)
        })
    }
}

/// HTTP by reqwest.
#[derive(Clone, Debug)]
pub struct ReqwestHttp {
    /// Two clients, because the resolver does not know the request.
    public: Client,
    private: Client,
}

impl ReqwestHttp {
    /// The adapter, with the machine's own certificate roots.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new() -> Result<Self, Refusal> {
        install_tls();
        Ok(Self {
            public: client(Reach::Public)?,
            private: client(Reach::Private)?,
        })
    }
}

/// Chooses the cryptography of TLS for the whole process; every HTTP client
/// needs it first. Calling it again changes nothing.
pub fn install_tls() {
    // An error says that a provider is installed already, which is fine.
    drop(rustls::crypto::ring::default_provider().install_default());
}

fn client(reach: Reach) -> Result<Client, Refusal> {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .pool_max_idle_per_host(0)
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(concat!("writ/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Guard(reach))
        .build()
        .map_err(|e| Refusal::unavailable(format!("no HTTP client: {}", chain(&e))))
}

/// The error and what caused it, without the URL, which may hold secrets.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

fn not_sent(why: impl Into<String>) -> HttpFault {
    HttpFault::NotSent(why.into())
}

/// The request's URL, when it may be called. A literal address never reaches
/// the resolver, so it is checked here.
fn checked_url(text: &str, reach: Reach) -> Result<Url, HttpFault> {
    let url = Url::parse(text).map_err(|e| not_sent(format!("no URL: {e}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(not_sent(format!("scheme `{}` is refused", url.scheme())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(not_sent("a user name in a URL is refused"));
    }
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(ip) if !reach.covers(ip) => Err(not_sent(format!("address `{ip}` is private"))),
        _ => Ok(url),
    }
}

fn header_map(headers: &BTreeMap<String, String>) -> Result<HeaderMap, HttpFault> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let fault = || not_sent(format!("`{name}` is no header"));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| fault())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| fault())?;
        value.set_sensitive(true);
        map.insert(key, value);
    }
    Ok(map)
}

fn recorded(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut map = BTreeMap::<String, String>::new();
    for (name, value) in headers {
        let text = String::from_utf8_lossy(value.as_bytes());
        map.entry(name.as_str().to_owned())
            .and_modify(|all| {
                all.push_str(", ");
                all.push_str(&text);
            })
            .or_insert_with(|| text.into_owned());
    }
    map
}

/// Whether the request certainly never left: it could not be built, or no
/// connection came up. Everything else may have been read by the other side.
fn fault(error: reqwest::Error) -> HttpFault {
    let certain = error.is_builder() || error.is_connect();
    let text = chain(&error.without_url());
    if certain {
        HttpFault::NotSent(text)
    } else {
        HttpFault::NoAnswer(text)
    }
}

#[async_trait]
impl Http for ReqwestHttp {
    async fn send(&self, request: HttpRequest) -> Result<HttpAnswer, HttpFault> {
        let (client, reach) = if request.private_ranges_allowed {
            (&self.private, Reach::Private)
        } else {
            (&self.public, Reach::Public)
        };
        if request.timeout == kernel::Span::ZERO {
            return Err(not_sent("no time is left for it"));
        }
        let url = checked_url(&request.url, reach)?;
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| not_sent(format!("`{}` is no method", request.method)))?;
        let mut answer = client
            .request(method, url)
            .headers(header_map(&request.headers)?)
            .body(request.body)
            .timeout(request.timeout.to_std())
            .send()
            .await
            .map_err(fault)?;
        let max = request.answer_bytes_max;
        let too_long = || HttpFault::NoAnswer(format!("the answer is longer than {max} bytes"));
        if answer
            .content_length()
            .is_some_and(|n| usize::try_from(n).map_or(true, |n| n > max))
        {
            return Err(too_long());
        }
        let status = answer.status().as_u16();
        let headers = recorded(answer.headers());
        let mut body = Vec::new();
        // From here on the other side has the request: no fault is "not sent".
        let lost = |e: reqwest::Error| HttpFault::NoAnswer(chain(&e.without_url()));
        while let Some(chunk) = answer.chunk().await.map_err(lost)? {
            if body.len() + chunk.len() > max {
                return Err(too_long());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpAnswer {
            status,
            headers,
            body,
        })
    }
}
