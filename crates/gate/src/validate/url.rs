//! The host of a URL, read so strictly that no two readers can disagree on
//! it: what is not plainly `http(s)://host[:port]/…` has no host here, and is
//! blocked.

/// Where a URL leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// In lower case; IPv6 in brackets.
    pub(super) host: String,
    /// Where it is not the scheme's own.
    pub(super) port: Option<u16>,
}

impl Destination {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is not plain about it.
    pub(crate) fn of(url: &str) -> Result<Self, &'static str> {
        if url
            .chars()
            .any(|c| c.is_control() || c.is_whitespace() || c == '\\')
        {
            return Err("it holds white space, a control character or a backslash");
        }
        let lower = url.to_ascii_lowercase();
        let (rest, own_port) = match (
            lower.strip_prefix("https://"),
            lower.strip_prefix("http://"),
        ) {
            (Some(rest), _) => (rest, 443),
            (None, Some(rest)) => (rest, 80),
            (None, None) => return Err("it does not begin with `https://` or `http://`"),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err("it holds a user name or password");
        }
        let (host, port) = split_port(authority)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let fine = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                !host.is_empty()
                    && host.chars().all(plain)
                    && host.split('.').all(|label| !label.is_empty())
            }
        };
        if !fine {
            return Err("its host is not a plain name or address");
        }
        Ok(Self {
            host: host.to_owned(),
            port: port.filter(|port| *port != own_port),
        })
    }

    /// The destination that is written so, `host` or `host:port`.
    pub(crate) fn at(authority: &str) -> Option<Self> {
        let (host, port) = split_port(authority).ok()?;
        Some(Self {
            host: host.to_ascii_lowercase(),
            port,
        })
    }

    /// Whether this can stand for destinations: a host, or `*.example.com`.
    pub(crate) fn is_pattern(pattern: &str) -> bool {
        let host = pattern.strip_prefix("*.").unwrap_or(pattern);
        Self::of(&format!("http://{host}/")).is_ok()
    }

    /// Whether everything that `pattern` covers is covered by `wider`.
    pub(crate) fn covers(wider: &str, pattern: &str) -> bool {
        let (wider, pattern) = (wider.to_ascii_lowercase(), pattern.to_ascii_lowercase());
        if wider == pattern {
            return true;
        }
        // What is below `*.a.example` is below `*.example`, where at least one
        // name stands before the star's tail.
        let inner = pattern.replacen('*', "x", usize::from(pattern.starts_with("*.")));
        Self::at(&inner).is_some_and(|inner| inner.matches(&wider))
    }

    /// Whether a pattern covers this destination: an exact host, or
    /// `*.example.com` for everything below it; a port must be named when it
    /// is not the scheme's own.
    pub(crate) fn matches(&self, pattern: &str) -> bool {
        let pattern = pattern.to_ascii_lowercase();
        let Ok((host, port)) = split_port(&pattern) else {
            return false;
        };
        let same_host = match host.strip_prefix('*') {
            Some(tail) => {
                tail.starts_with('.') && self.host.len() > tail.len() && self.host.ends_with(tail)
            }
            None => host == self.host,
        };
        same_host && port == self.port
    }

    /// Whether a pattern names this destination's host on whatever port: how
    /// denials read, so that a port is no way around them.
    pub(super) fn denied_by(&self, pattern: &str) -> bool {
        match split_port(pattern) {
            Ok((_, Some(_))) => self.matches(pattern),
            _ => {
                let any_port = Self {
                    host: self.host.clone(),
                    port: None,
                };
                any_port.matches(pattern)
            }
        }
    }
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    let after_brackets = authority.rfind(']').map_or(0, |at| at + 1);
    let tail = authority.get(after_brackets..).unwrap_or_default();
    let Some(colon) = tail.find(':') else {
        return Ok((authority, None));
    };
    let (host, port) = authority.split_at(after_brackets + colon);
    let digits = port.trim_start_matches(':');
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    match digits.parse() {
        Ok(number) if plain && port.len() == digits.len() + 1 => Ok((host, Some(number))),
        _ => Err("its port is not a number"),
    }
}
