//! Sessions of people: random, expiring, bound to the key that opened them,
//! in memory only. A restart signs everybody out, and nothing of a session
//! stands in storage.

use crate::limits;
use axum::http::{HeaderMap, header};
use kernel::{Digest, Span, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The name of the cookie.
pub const COOKIE: &str = "writ_session";

struct Session {
    token: Arc<str>,
    csrf: Digest,
    expires_at: Timestamp,
}

/// The sessions that are open, by the hash of what the cookie holds: looking
/// one up takes no comparison with a secret.
#[derive(Default)]
pub struct Sessions {
    open: Mutex<BTreeMap<Digest, Session>>,
}

impl Sessions {
    /// Opens a session for this token with these unpredictable bits. Returns
    /// what the cookie holds.
    #[must_use]
    pub fn open(&self, token: &str, bits: [u128; 2], now: Timestamp) -> String {
        let [a, b] = bits;
        let cookie = format!("{a:032x}{b:032x}");
        let session = Session {
            token: token.into(),
            csrf: Digest::of(format!("writ.csrf.v1\n{cookie}").as_bytes()),
            expires_at: now.plus(Span::from_secs(limits::SESSION_SECS)),
        };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= limits::SESSIONS_MAX {
            open.retain(|_, s| s.expires_at > now);
        }
        if open.len() >= limits::SESSIONS_MAX {
            let oldest = open.iter().min_by_key(|(_, s)| s.expires_at);
            if let Some(id) = oldest.map(|(id, _)| *id) {
                open.remove(&id);
            }
        }
        open.insert(Digest::of(cookie.as_bytes()), session);
        cookie
    }

    /// The token and the token against forged posts of this cookie's session.
    #[must_use]
    pub fn find(&self, cookie: &str, now: Timestamp) -> Option<(Arc<str>, Digest)> {
        let id = Digest::of(cookie.as_bytes());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let session = open.get(&id)?;
        if session.expires_at <= now {
            open.remove(&id);
            return None;
        }
        Some((session.token.clone(), session.csrf))
    }

    /// Ends this cookie's session.
    pub fn close(&self, cookie: &str) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&Digest::of(cookie.as_bytes()));
    }
}

/// What the session cookie of a request holds.
#[must_use]
pub(super) fn of_cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter();
    cookies
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_opens_until_it_expires_or_is_closed() {
        let sessions = Sessions::default();
        let now = Timestamp::from_micros(1_000_000);
        let a = sessions.open("token a", [1, 2], now);
        let b = sessions.open("token b", [3, 4], now);
        assert_ne!(a, b);
        let (token, csrf) = sessions.find(&a, now).unwrap();
        assert_eq!(&*token, "token a");
        assert_ne!(csrf, sessions.find(&b, now).unwrap().1);
        assert!(sessions.find("", now).is_none());
        sessions.close(&b);
        assert!(sessions.find(&b, now).is_none());
        let end = now.plus(Span::from_secs(limits::SESSION_SECS));
        let before = Timestamp::from_micros(end.as_micros() - 1);
        assert!(sessions.find(&a, before).is_some());
        assert!(sessions.find(&a, end).is_none());
    }

    #[test]
    fn sessions_are_bounded() {
        let sessions = Sessions::default();
        let first = sessions.open("t", [0, 0], Timestamp::EPOCH);
        for n in 1..=limits::SESSIONS_MAX {
            let at = Timestamp::from_micros(i64::try_from(n).unwrap());
            let _ = sessions.open("t", [n as u128, 1], at);
        }
        assert_eq!(sessions.open.lock().unwrap().len(), limits::SESSIONS_MAX);
        assert!(sessions.find(&first, Timestamp::EPOCH).is_none());
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(
            header::COOKIE,
            "a=1; writ_session=xyz; b=2".parse().unwrap(),
        );
        assert_eq!(of_cookie(&headers), Some("xyz"));
    }
}
