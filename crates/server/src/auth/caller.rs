//! The caller of a request, from its bearer token or its session. Either way
//! the key and the principal are read from storage, so that a revoked key, a
//! disabled principal and changed roles count at once.

use super::session;
use crate::app::App;
use crate::http::problem::{Kind, Problem};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use gate::access::{Permission, TenantScope};
use kernel::names::Name;
use kernel::{Actor, Code, Digest, Haste, KeyId, Role, TenantId};
use std::fmt;
use std::sync::Arc;

/// How the caller proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// By a bearer token in the request.
    Bearer,
    /// By a session cookie.
    Session,
}

/// A principal that has proved who it is.
#[derive(Clone)]
pub struct Caller {
    identity: flow::Caller,
    via: Via,
    token: Arc<str>,
    csrf: Option<Digest>,
    haste: Haste,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The token stays out.
        f.debug_struct("Caller")
            .field("identity", &self.identity)
            .field("via", &self.via)
            .finish_non_exhaustive()
    }
}

impl Caller {
    /// Its identity.
    #[must_use]
    pub fn identity(&self) -> &flow::Caller {
        &self.identity
    }
    /// Its tenant.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.identity.tenant
    }
    /// The actor that stands in entries.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.identity.actor
    }
    /// Its name, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.identity.name
    }
    /// Its roles.
    #[must_use]
    pub fn roles(&self) -> &[Role] {
        &self.identity.roles
    }
    /// The key that it used.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.identity.key
    }
    /// How it proved who it is.
    #[must_use]
    pub fn via(&self) -> Via {
        self.via
    }
    /// How long its command may wait behind others.
    #[must_use]
    pub fn haste(&self) -> Haste {
        self.haste
    }
    /// The same, asking in this haste.
    #[must_use]
    pub(crate) fn in_haste(mut self, haste: Haste) -> Self {
        self.haste = haste;
        self
    }
    /// What a form of this session must carry in its field `csrf`; empty when
    /// there is no session.
    #[must_use]
    pub fn csrf(&self) -> String {
        self.csrf.map(|d| d.to_string()).unwrap_or_default()
    }

    /// Whether this text is the session's token against forged posts.
    #[must_use]
    pub fn csrf_is(&self, text: &str) -> bool {
        use subtle::ConstantTimeEq as _;
        let given = Digest::parse(text);
        match (self.csrf, given) {
            (Some(own), Some(given)) => own.0.ct_eq(&given.0).into(),
            _ => false,
        }
    }

    /// Whether it may do this in its own tenant.
    #[must_use]
    pub fn may(&self, app: &App, permission: Permission) -> bool {
        self.may_in(app, permission, TenantScope::Own)
    }

    /// Whether it may do this to the installation.
    #[must_use]
    pub fn may_install(&self, app: &App, permission: Permission) -> bool {
        let scope = match self.identity.home {
            true => TenantScope::Installation,
            false => TenantScope::Other,
        };
        self.may_in(app, permission, scope)
    }

    fn may_in(&self, app: &App, permission: Permission, scope: TenantScope) -> bool {
        let answer = app
            .access()
            .decide(self.actor(), self.roles(), scope, permission);
        answer.allowed
    }

    /// The refusal for a caller that may not do this.
    #[must_use]
    pub fn refusal(&self, permission: Permission) -> Problem {
        let roles: Vec<_> = self.roles().iter().map(|r| r.name()).collect();
        let detail = format!("`{permission}` is not allowed to `{}`", self.actor());
        Problem::new(Kind::Forbidden, detail).hint(format!(
            "its roles are: {}; ask an admin of the tenant",
            roles.join(", ")
        ))
    }
}

/// Who answered a request to, for the access log.
#[derive(Clone, Debug)]
pub struct Identified {
    /// Its tenant.
    pub tenant: TenantId,
    /// The actor.
    pub actor: Actor,
}

impl From<&Caller> for Identified {
    fn from(caller: &Caller) -> Self {
        Self {
            tenant: caller.tenant(),
            actor: caller.actor().clone(),
        }
    }
}

/// Who sent this request; `None` when it carries no proof at all.
///
/// # Errors
/// `unauthenticated` when a proof is given and opens nothing; `unavailable`
/// when storage does not answer.
pub async fn identify(app: &App, headers: &HeaderMap) -> Result<Option<Caller>, Problem> {
    if headers.contains_key(header::AUTHORIZATION) {
        let token = bearer(headers).ok_or_else(|| {
            Problem::unauthenticated("the header `Authorization` holds no bearer token")
        })?;
        return check(app, token, Via::Bearer, None).await.map(Some);
    }
    let Some(cookie) = session::of_cookie(headers) else {
        return Ok(None);
    };
    match app.sessions().find(cookie, app.now()) {
        None => Ok(None),
        Some((token, csrf)) => check(app, &token, Via::Session, Some(csrf)).await.map(Some),
    }
}

/// Who this token belongs to.
///
/// # Errors
/// `unauthenticated` when it opens nothing.
pub(crate) async fn check(
    app: &App,
    token: &str,
    via: Via,
    csrf: Option<Digest>,
) -> Result<Caller, Problem> {
    let store = app.ledger().store();
    match flow::identity::authenticate(store, token, app.now()).await {
        Ok(identity) => Ok(Caller {
            identity,
            via,
            token: token.into(),
            csrf,
            haste: Haste::None,
        }),
        Err(refusal) if refusal.code == Code::Forbidden => Err(Problem {
            kind: Kind::Unauthenticated,
            ..refusal.into()
        }),
        Err(refusal) => Err(refusal.into()),
    }
}

/// Whether the caller's proof still opens what it opened; used by streams that
/// stay open for long.
pub async fn still_valid(app: &App, caller: &Caller) -> bool {
    let again = check(app, &caller.token, caller.via, caller.csrf).await;
    again.is_ok_and(|c| c.roles() == caller.roles())
}

/// The bearer token, when the header is given once and is one.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let one = all.next().filter(|_| all.next().is_none())?;
    let (scheme, token) = one.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if let Some(known) = parts.extensions.get::<Self>() {
            return Ok(known.clone());
        }
        let found = identify(app, &parts.headers).await?;
        found.ok_or_else(|| Problem::unauthenticated("nobody is known to ask"))
    }
}
