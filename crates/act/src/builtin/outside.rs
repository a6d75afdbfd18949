//! Where modules may go over HTTP: the hosts that the configuration lists, and
//! nothing else. The URL is read by the same parser that the adapter uses, so
//! that what is checked here is what is called.

use kernel::Refusal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use url::{Host, Url};

/// Where modules may go. Nothing listed means nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSettings {
    /// Hosts that may be called: `host` (its scheme's own port) or `host:port`.
    pub hosts_allowed: Vec<String>,
    /// Those of them that may be at private, loopback or link-local addresses.
    pub private_ranges_allowed: Vec<String>,
    /// The hosts that each secret may be sent to, by its reference. With one
    /// entry, a secret without one may be sent nowhere, however its reference is
    /// spelt; with none, to every allowed host.
    pub secret_hosts: BTreeMap<String, Vec<String>>,
}

/// One entry of a list of hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HostRule {
    host: String,
    port: Option<u16>,
}

impl HostRule {
    fn parse(text: &str) -> Result<Self, Refusal> {
        // What stands before an `@` may be a password.
        let shown = text.rsplit('@').next().unwrap_or_default();
        let fault = || {
            Refusal::invalid(format!("`{shown}` is not a host"))
                .hint("write `host` or `host:port`, without scheme, path or wildcard")
        };
        let plain =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
        if text.is_empty() || !text.chars().all(plain) {
            return Err(fault());
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !text.ends_with(']') => {
                (host, Some(port.parse().map_err(|_| fault())?))
            }
            _ => (text, None),
        };
        let host = Host::parse(host).map_err(|_| fault())?.to_string();
        Ok(Self { host, port })
    }

    fn holds(&self, url: &Url) -> bool {
        let own = matches!(
            (url.scheme(), url.port_or_known_default()),
            ("https", Some(443)) | ("http", Some(80))
        );
        let port_fits = match self.port {
            None => own,
            Some(port) => url.port_or_known_default() == Some(port),
        };
        port_fits && url.host_str() == Some(self.host.as_str())
    }
}

/// [`HttpSettings`], checked.
#[derive(Clone, Debug)]
pub struct Outside {
    allowed: Vec<HostRule>,
    private: Vec<HostRule>,
    bound: BTreeMap<String, Vec<HostRule>>,
}

/// A URL that may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The URL as the parser writes it.
    pub url: String,
    /// Whether it may be at a private address.
    pub private_ranges_allowed: bool,
}

impl Outside {
    /// The checked form of these settings.
    ///
    /// # Errors
    /// When an entry is no host, or a private one is not allowed at all.
    pub fn new(settings: &HttpSettings) -> Result<Self, Refusal> {
        let rules = |list: &[String], field: &str| -> Result<Vec<HostRule>, Refusal> {
            let parsed = list.iter().map(|text| HostRule::parse(text));
            parsed
                .collect::<Result<_, _>>()
                .map_err(|e: Refusal| e.at(field))
        };
        let allowed = rules(&settings.hosts_allowed, "hosts_allowed")?;
        let private = rules(&settings.private_ranges_allowed, "private_ranges_allowed")?;
        if let Some(rule) = private.iter().find(|rule| !allowed.contains(rule)) {
            return Err(
                Refusal::invalid(format!("`{}` is not allowed at all", rule.host))
                    .at("private_ranges_allowed")
                    .hint("write the same entry under `hosts_allowed`"),
            );
        }
        let bound = settings.secret_hosts.iter().map(|(reference, hosts)| {
            let hosts = rules(hosts, "secret_hosts")?;
            match hosts.iter().find(|rule| !allowed.contains(rule)) {
                None => Ok((reference.clone(), hosts)),
                Some(rule) => Err(Refusal::invalid(format!(
                    "`{}` is not allowed at all",
                    rule.host
                ))
                .at("secret_hosts")
                .hint("write the same entry under `hosts_allowed`")),
            }
        });
        let bound = bound.collect::<Result<_, Refusal>>()?;
        Ok(Self {
            allowed,
            private,
            bound,
        })
    }

    /// Whether this secret may be sent to the host of this URL.
    ///
    /// # Errors
    /// When secrets are bound to hosts, and this one not to that host.
    pub(super) fn may_carry(&self, reference: &str, text: &str) -> Result<(), Refusal> {
        if self.bound.is_empty() {
            return Ok(());
        }
        let url =
            Url::parse(text).map_err(|e| Refusal::invalid(format!("no absolute URL: {e}")))?;
        let mut hosts = self.bound.get(reference).into_iter().flatten();
        if hosts.any(|rule| rule.holds(&url)) {
            return Ok(());
        }
        let host = url.host_str().unwrap_or_default();
        Err(
            Refusal::forbidden(format!("the secret `{reference}` is not for `{host}`"))
                .hint("bind it to the host in the settings of secrets, if it is"),
        )
    }

    /// The destination that this URL names.
    ///
    /// # Errors
    /// When it is no absolute URL of http or https, carries a user name, or
    /// its host is not listed. The message names the host, never the query.
    pub fn destination(&self, text: &str) -> Result<Destination, Refusal> {
        let url =
            Url::parse(text).map_err(|e| Refusal::invalid(format!("no absolute URL: {e}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(
                Refusal::invalid(format!("scheme `{}` is not allowed", url.scheme()))
                    .hint("use https or http"),
            );
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                Refusal::invalid("a user name or password in a URL is not allowed")
                    .hint("name the secret by reference in a header"),
            );
        }
        if matches!(url.host(), None | Some(Host::Domain(""))) {
            return Err(Refusal::invalid("the URL names no host"));
        }
        if !self.allowed.iter().any(|rule| rule.holds(&url)) {
            let host = url.host_str().unwrap_or_default();
            let port = url.port_or_known_default().unwrap_or_default();
            return Err(
                Refusal::forbidden(format!("host `{host}:{port}` is not allowed"))
                    .hint("add it to `hosts_allowed` of the module's settings"),
            );
        }
        Ok(Destination {
            private_ranges_allowed: self.private.iter().any(|rule| rule.holds(&url)),
            url: url.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside(allowed: &[&str], private: &[&str]) -> Result<Outside, Refusal> {
        let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        Outside::new(&HttpSettings {
            hosts_allowed: owned(allowed),
            private_ranges_allowed: owned(private),
            ..Default::default()
        })
    }

    #[test]
    fn which_urls_may_be_called() {
        let rules = outside(
            &[
                "api.example.com",
                "svc.internal:8080",
                "127.0.0.1:9000",
                "[::1]:9000",
                "plain.example:80",
            ],
            &["svc.internal:8080", "127.0.0.1:9000"],
        )
        .unwrap();
        for (url, expected) in [
            ("https://api.example.com/x?y=1", Some(false)),
            ("http://api.example.com/", Some(false)),
            ("https://API.example.COM/", Some(false)),
            ("https://api.example.com:443/", Some(false)),
            ("https://api.example.com:8443/", None),
            ("http://api.example.com:443/", None),
            ("https://api.example.com./", None),
            ("https://api.example.com.evil.net/", None),
            ("https://evil.net/api.example.com", None),
            ("https://api.example.com@evil.net/", None),
            ("https://user@api.example.com/", None),
            ("https://user:pass@api.example.com/", None),
            ("https://evil.net#@api.example.com/", None),
            ("https://evil.net\\@api.example.com/", None),
            ("https://sub.api.example.com/", None),
            ("http://svc.internal:8080/x", Some(true)),
            ("http://svc.internal/x", None),
            ("http://127.0.0.1:9000/", Some(true)),
            ("http://2130706433:9000/", Some(true)),
            ("http://0x7f.1:9000/", Some(true)),
            ("http://127.0.0.1:9001/", None),
            ("http://[::1]:9000/", Some(false)),
            ("http://[::ffff:127.0.0.1]:9000/", None),
            ("http://plain.example/", Some(false)),
            ("https://plain.example/", None),
            ("ftp://api.example.com/", None),
            ("file:///etc/passwd", None),
            ("/relative", None),
            ("", None),
        ] {
            let got = rules
                .destination(url)
                .ok()
                .map(|d| d.private_ranges_allowed);
            assert_eq!(got, expected, "{url}");
        }
    }

    #[test]
    fn nothing_listed_means_nowhere() {
        assert!(
            outside(&[], &[])
                .unwrap()
                .destination("https://example.com/")
                .is_err()
        );
    }

    #[test]
    fn malformed_settings_are_refused() {
        for bad in [
            "",
            "https://x",
            "x/y",
            "*.example.com",
            "a b",
            "x:99999",
            "user@x",
            "x:",
            "[::1",
            ":80",
        ] {
            assert!(outside(&[bad], &[]).is_err(), "{bad}");
        }
        assert!(outside(&["a.example"], &["b.example"]).is_err());
        assert!(outside(&["a.example:1"], &["a.example"]).is_err());
    }
}
