//! A world with two tenants, a principal for each role, and a scheduler.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, header};
use flow::identity::{NewPrincipal, Standing, create_principal};
use flow::{Control, Ports};
use kernel::names::Name;
use kernel::port::{Http, HttpAnswer, HttpFault, HttpRequest, Secrets};
use kernel::{Actor, PrincipalId, PrincipalKind, Refusal, Role, TenantId};
use serde_json::Value;
use server::{App, Cookies, Settings};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tower::ServiceExt as _;

pub(crate) const PROBE_TOKEN: &str = "probe-secret-canary";
pub(crate) const HOOK_KEY: &str = "whsec_aG9vay1zZWNyZXQtY2FuYXJ5";
pub(crate) const GAUGE_KEY: &str = "gauge-secret-canary";

struct NoNetwork;
#[async_trait::async_trait]
impl Http for NoNetwork {
    async fn send(&self, _: HttpRequest) -> Result<HttpAnswer, HttpFault> {
        Err(HttpFault::NotSent("there is no network here".into()))
    }
}

struct Known;
impl Secrets for Known {
    fn resolve(&self, reference: &str) -> Result<Vec<u8>, Refusal> {
        match reference {
            "env:PROBE_TOKEN" => Ok(PROBE_TOKEN.into()),
            "env:GAUGE_KEY" => Ok(GAUGE_KEY.into()),
            "env:HOOK_KEY" => Ok(HOOK_KEY.into()),
            other => Err(Refusal::unavailable(format!("`{other}` is not set"))),
        }
    }
}

/// A tenant with a token for each role.
pub(crate) struct Side {
    pub(crate) tenant: TenantId,
    pub(crate) tokens: BTreeMap<Role, String>,
    pub(crate) principals: BTreeMap<Role, PrincipalId>,
}

impl Side {
    pub(crate) fn token(&self, role: Role) -> &str {
        &self.tokens[&role]
    }
}

pub(crate) struct World {
    pub(crate) app: App,
    pub(crate) router: Router,
    pub(crate) control: Arc<Control>,
    pub(crate) home: Side,
    pub(crate) member: Side,
    stop: watch::Sender<bool>,
    scheduler: tokio::task::JoinHandle<()>,
    pub(crate) directory: tempfile::TempDir,
}

/// An answer, complete.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
    pub(crate) body: Value,
}

impl Reply {
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(
            self.status,
            status,
            "{:?}",
            String::from_utf8_lossy(&self.bytes)
        );
        self
    }
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

pub(crate) fn request(
    method: &str,
    path: &str,
    token: Option<&str>,
) -> axum::http::request::Builder {
    let builder = Request::builder().method(method).uri(path);
    match token {
        Some(token) => builder.header(header::AUTHORIZATION, format!("Bearer {token}")),
        None => builder,
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::set_up(None, None).await
    }

    /// A world whose logs are signed like this.
    pub(crate) async fn signing(signing: flow::checkpoints::Signing) -> Self {
        Self::set_up(Some(signing), None).await
    }

    /// A world whose logs are signed and archived like this.
    pub(crate) async fn archiving(
        signing: flow::checkpoints::Signing,
        archive: ledger::archive::Archive,
    ) -> Self {
        Self::set_up(Some(signing), Some(archive)).await
    }

    async fn set_up(
        signing: Option<flow::checkpoints::Signing>,
        archive: Option<ledger::archive::Archive>,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(store::Sqlite::open(directory.path()).unwrap());
        let ledger =
            ledger::Ledger::open(store, flow::registry(), ledger::Settings::default()).unwrap();
        let ports = Ports {
            act: act::Ports {
                clock: Arc::new(connect::SystemClock),
                http: Arc::new(NoNetwork),
                secrets: Arc::new(Known),
            },
            entropy: Arc::new(connect::OsEntropy::new().unwrap()),
            source_secrets: Arc::new(Known),
            cache: Arc::new(connect::cache::MemoryCache::new(
                1024 * 1024,
                Duration::from_secs(60),
            )),
            keyring: Arc::new(connect::LocalKeyring::new(
                &directory.path().join("keyring"),
            )),
        };
        let modules = act::builtin::registry(&act::builtin::HttpSettings::default()).unwrap();
        let control = Control::open(ledger, ports, modules).await.unwrap();
        let control = match signing {
            Some(signing) => control.with_signing(signing),
            None => control,
        };
        let control = Arc::new(match archive {
            Some(archive) => control.with_archive(archive),
            None => control,
        });
        let first = control.first_start().await.unwrap().unwrap();
        let founder = Actor::system("setup");
        let second = control
            .found("second", Standing::Member, founder)
            .await
            .unwrap();
        let home = side(&control, first.tenant).await;
        let member = side(&control, second.tenant).await;
        let settings = Settings {
            cookies: Cookies::Plain,
            version: "0.0.0-test",
            ordinary: tokio::runtime::Handle::current(),
        };
        let app = App::new(control.clone(), settings).unwrap();
        let (stop, stopped) = watch::channel(false);
        let scheduler = tokio::spawn(flow::scheduler::run(control.clone(), stopped));
        app.watch_scheduler(scheduler.abort_handle());
        Self {
            router: server::router(app.clone()),
            app,
            control,
            home,
            member,
            stop,
            scheduler,
            directory,
        }
    }

    /// A world in which both tenants run the small pack.
    pub(crate) async fn with_packs() -> Self {
        Self::with_approvals("").await
    }

    /// The same with more rules of approval.
    pub(crate) async fn with_approvals(more: &str) -> Self {
        let world = Self::new().await;
        for tenant in [world.home.tenant, world.member.tenant] {
            let ctx = world.control.system_ctx(tenant, "setup");
            let files = crate::pack::files_with("approvals.yaml", more);
            world.control.load_pack(ctx, None, files).await.unwrap();
        }
        world
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
            bytes,
        }
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Reply {
        let request = request("GET", path, Some(token));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: &Value) -> Reply {
        self.post_with(path, token, body, &[]).await
    }

    pub(crate) async fn post_with(
        &self,
        path: &str,
        token: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> Reply {
        let request = request("POST", path, Some(token));
        let request = request.header(header::CONTENT_TYPE, "application/json");
        let request = headers.iter().fold(request, |r, (n, v)| r.header(*n, *v));
        let body = Body::from(body.to_string());
        self.send(request.body(body).unwrap()).await
    }

    /// Reports a host as down (or up) and returns what came of it.
    pub(crate) async fn observe(&self, side: &Side, host: &str, up: bool) -> Reply {
        let now = self.control.now();
        let items = serde_json::json!({"items": [{"id": format!("{host}-{up}"), "host": host, "at": now, "up": up}]});
        let path = format!("/v1/ingest/{}/probe", side.tenant);
        self.post(&path, PROBE_TOKEN, &items).await
    }

    /// Asks until the listing has a first item, and returns it.
    pub(crate) async fn first(&self, path: &str, token: &str) -> Value {
        eventually(path, || async {
            let page = self.get(path, token).await.is(200);
            page.body["items"].get(0).cloned()
        })
        .await
    }

    /// Ends the scheduler; a tick that is left over fails here.
    pub(crate) async fn end(self) {
        self.stop.send_replace(true);
        self.scheduler.await.unwrap();
    }
}

/// Asks until there is an answer.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    ask: impl Fn() -> F,
) -> T {
    for _ in 0..500 {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what} did not come");
}

async fn side(control: &Arc<Control>, tenant: TenantId) -> Side {
    let mut side = Side {
        tenant,
        tokens: BTreeMap::new(),
        principals: BTreeMap::new(),
    };
    for role in Role::ALL {
        let kind = match role {
            Role::Agent => PrincipalKind::Agent,
            Role::Source => PrincipalKind::Service,
            _ => PrincipalKind::Human,
        };
        let new = NewPrincipal {
            kind,
            name: format!("the {role}"),
            roles: vec![*role],
        };
        let ctx = control.system_ctx(tenant, "setup");
        let made = control
            .ledger()
            .run(ctx, move |unit| create_principal(unit, &new));
        let id = made.await.unwrap().answer;
        let ctx = control.system_ctx(tenant, "setup");
        let (_, token) = control.issue(ctx, id, "test".into(), None).await.unwrap();
        side.tokens.insert(*role, token.to_string());
        side.principals.insert(*role, id);
    }
    side
}
