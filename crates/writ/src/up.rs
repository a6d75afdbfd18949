//! `writ up`: opens the store, wires the parts together, serves until it is
//! told to stop.

use crate::cli::{ArchiveAt, Checkpoints, NodeStores, Place, Up, UpBounds};
use crate::failure::Failure;
use crate::packs;
use crate::place;
use act::builtin::HttpSettings;
use connect::cache::{MemoryCache, RedisCache};
use flow::{Control, Ports};
use kernel::TenantId;
use kernel::port::{Cache, Entropy as _};
use ledger::{Ledger, Settings, Store};
use pack::Files;
use sense::definition::Source;
use server::threads::Threads;
use server::{App, Cookies};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::{Postgres, Sqlite};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The folder of a data directory that holds the secrets of sources.
const SOURCE_SECRETS: &str = "secrets";
/// The folder of a data directory that holds the secrets modules may use.
const MODULE_SECRETS: &str = "module-secrets";
/// States of sessions that are kept in memory, in bytes.
const SESSION_CACHE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How long a cache keeps the state of a session.
const SESSION_CACHE_KEEP: Duration = Duration::from_secs(15 * 60);
/// The folder of a data directory that holds the keys of what is personal.
const KEYRING: &str = "keyring";

/// A writ that serves.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) control: Arc<Control>,
    /// The first admin's token, when this was the first start.
    pub(crate) token: Option<String>,
    /// The tenant that the first start founded, or the first there is.
    pub(crate) tenant: TenantId,
    secrets: PathBuf,
    stop: watch::Sender<bool>,
    server: JoinHandle<Result<(), kernel::Refusal>>,
    scheduler: JoinHandle<()>,
    checkpoints: JoinHandle<()>,
    archiver: JoinHandle<()>,
    threads: Threads,
}

impl Running {
    /// The secret of a source, for those who send in its name.
    pub(crate) fn source_secret(&self, source: &Source) -> Result<String, Failure> {
        let reference = source.authentication.secret();
        let bytes = self.control.ports().source_secrets.resolve(reference)?;
        String::from_utf8(bytes)
            .map_err(|_| Failure::failed(format!("the secret `{reference}` is not text")))
    }

    /// Where the secret of a source stands.
    pub(crate) fn secret_path(&self, source: &Source) -> Option<PathBuf> {
        let name = source.authentication.secret().strip_prefix("file:")?;
        Some(self.secrets.join(name))
    }

    /// Makes the secrets of the sources in force that have none yet.
    pub(crate) fn make_source_secrets(&self) -> Result<(), Failure> {
        let in_force = self.control.in_force(self.tenant)?;
        for source in &in_force.pack.definitions.sources {
            if let Some(path) = self.secret_path(source)
                && !path.exists()
            {
                let entropy = connect::OsEntropy::new()?;
                let secret = format!("{:032x}{:032x}", entropy.bits(), entropy.bits());
                write_private(&path, &secret)?;
            }
        }
        Ok(())
    }

    /// Ends it in order: no new requests, ticks finished, ledger closed.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        self.stop.send_replace(true);
        let ended = (&mut self.server).await;
        self.finish(ended).await
    }

    async fn finish(
        self,
        ended: Result<Result<(), kernel::Refusal>, tokio::task::JoinError>,
    ) -> Result<(), Failure> {
        self.stop.send_replace(true);
        self.scheduler
            .await
            .map_err(|e| Failure::failed(format!("the scheduler failed: {e}")))?;
        self.checkpoints
            .await
            .map_err(|e| Failure::failed(format!("the signing of checkpoints failed: {e}")))?;
        // A request to a slow object store is not waited for: it goes on from
        // the record.
        self.archiver.abort();
        // It has ended when this returns, whichever way.
        drop(self.archiver.await);
        ended.map_err(|e| Failure::failed(format!("the server failed: {e}")))??;
        let flushed = self.control.ledger().store().flush().await;
        self.threads.end().await;
        Ok(flushed?)
    }
}

impl Up {
    /// On this data directory and address, and with nothing else.
    pub(crate) fn on(data: PathBuf, listen: String) -> Self {
        Self {
            place: Place {
                data,
                keyring: None,
                database: None,
            },
            listen,
            pack: None,
            allow_hosts: Vec::new(),
            allow_private: false,
            secret_hosts: Vec::new(),
            behind_tls: false,
            cache: None,
            log: String::new(),
            bounds: UpBounds::usual(),
            checkpoints: Checkpoints::default(),
            archive: ArchiveAt::none(),
        }
    }
}

/// The hosts of each secret, from `REFERENCE=HOST`.
fn secret_hosts(given: &[String]) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let mut hosts = BTreeMap::<String, Vec<String>>::new();
    for text in given {
        let known = text.starts_with("env:") || text.starts_with("file:");
        // What was written here may be the secret itself, so it is not repeated.
        let (reference, host) = text.rsplit_once('=').filter(|_| known).ok_or_else(|| {
            Failure::usage("--secret-host: not a reference and a host")
                .hint("write `env:NAME=HOST` or `file:PATH=HOST`, the host as in --allow-host")
        })?;
        let of = hosts.entry(reference.to_owned()).or_default();
        of.push(host.to_owned());
    }
    Ok(hosts)
}

/// Starts writ; it serves when this returns.
pub(crate) async fn start(up: &Up) -> Result<Running, Failure> {
    // Before anything is founded: a token that is made must be shown.
    let pack = up.pack.as_deref().map(pack_files).transpose()?;
    let bounds = up.bounds.bounds()?;
    let listener = TcpListener::bind(&up.listen).await.map_err(|e| {
        Failure::failed(format!("cannot listen on `{}`: {e}", up.listen))
            .hint("another program may use the port; give --listen HOST:PORT")
    })?;
    let address = listener
        .local_addr()
        .map_err(|e| Failure::failed(format!("cannot listen: {e}")))?;
    let http = HttpSettings {
        hosts_allowed: up.allow_hosts.clone(),
        private_ranges_allowed: if up.allow_private {
            up.allow_hosts.clone()
        } else {
            Vec::new()
        },
        secret_hosts: secret_hosts(&up.secret_hosts)?,
    };
    let places = Places::of(&up.place)?;
    let cache = cache(up.cache.as_deref())?;
    let signing = crate::signing::signing(&up.place.data, &up.checkpoints)?;
    let stores =
        crate::stores::of_node(&up.place, up.cache.as_deref(), &up.checkpoints, &up.archive)?;
    let control = open(&up.place, &places, &http, cache, stores).await?;
    let control = control.with_signing(signing);
    let control = Arc::new(match up.archive.archive {
        Some(_) => control.with_archive(place::archive(&up.archive)?),
        None => control,
    });
    // Before anything is recorded where it may not be.
    control.may_begin(pack.as_ref()).map_err(elsewhere)?;
    let first = control.first_start().await?;
    let tenant = match &first {
        Some(new) => new.tenant,
        None => home(&control).await?,
    };
    if let Some(files) = pack
        && control.in_force(tenant).is_err()
    {
        let ctx = control.system_ctx(tenant, "setup");
        control.load_pack(ctx, None, files).await?;
    }
    let interrupted = control.recover().await?;
    if interrupted > 0 {
        tracing::warn!(
            runs = interrupted,
            "runs were interrupted when writ stopped"
        );
    }
    let (stop, stopping) = watch::channel(false);
    let scheduler = tokio::spawn(flow::scheduler::run(control.clone(), stopping.clone()));
    let checkpoints = tokio::spawn(flow::checkpoints::run(control.clone(), stopping.clone()));
    let archiver = tokio::spawn(flow::archive::watch(control.clone(), stopping.clone()));
    let threads = Threads::start()?;
    let settings = server::Settings {
        cookies: if up.behind_tls {
            Cookies::Secure
        } else {
            Cookies::Plain
        },
        version: env!("CARGO_PKG_VERSION"),
        ordinary: threads.handle()?,
    };
    let app = App::bounded(control.clone(), settings, bounds)?;
    app.watch_scheduler(scheduler.abort_handle());
    let server = tokio::spawn(server::serve(listener, app, stopped(stopping)));
    let running = Running {
        address,
        control,
        token: first.map(|new| new.token.to_string()),
        tenant,
        secrets: places.secrets,
        stop,
        server,
        scheduler,
        checkpoints,
        archiver,
        threads,
    };
    // The nodes of one database have the same secrets, so only the first of
    // them makes any; the others are given its.
    let is_first = up.place.database.is_none() || running.token.is_some();
    if is_first && running.control.in_force(tenant).is_ok() {
        running.make_source_secrets()?;
    }
    Ok(running)
}

/// Where secrets and keys are.
struct Places {
    secrets: PathBuf,
    module_secrets: PathBuf,
    keyring: PathBuf,
}

impl Places {
    fn of(place: &Place) -> Result<Self, Failure> {
        let data = &place.data;
        Ok(Self {
            secrets: private_folder(data, SOURCE_SECRETS)?,
            module_secrets: private_folder(data, MODULE_SECRETS)?,
            // Made with the first key: one that was lost must be noticed.
            keyring: place.keyring.clone().unwrap_or_else(|| data.join(KEYRING)),
        })
    }
}

/// Opens the store: the database that is named, or the embedded one. A database
/// that cannot be reached is an error, never a reason for another store.
async fn store(place: &Place) -> Result<Arc<dyn Store>, Failure> {
    Ok(match &place.database {
        Some(url) => Arc::new(Postgres::open(url).await?),
        None => Arc::new(Sqlite::open(&place.data)?),
    })
}

/// Opens the ledger with the loop over it.
async fn open(
    place: &Place,
    places: &Places,
    http: &HttpSettings,
    cache: Arc<dyn Cache>,
    stores: Vec<gate::residency::Store>,
) -> Result<Control, Failure> {
    let store = store(place).await?;
    let ledger = Ledger::open(store, flow::registry(), Settings::default())?;
    let ports = ports(places, cache)?;
    let modules = act::builtin::registry(http)?;
    Ok(Control::open_on(ledger, ports, modules, stores).await?)
}

/// A node does not start on stores where data may not be; how it is mended.
fn elsewhere(refusal: kernel::Refusal) -> Failure {
    Failure::from(refusal).hint(format!(
        "start writ on stores in an allowed region, or name and attest these in the pack's `{}` \
         and load it without a server: `writ residency repair PACK` with the options of `writ up`",
        gate::residency::FILE
    ))
}

/// `writ residency repair`: loads a pack for the home tenant without serving,
/// for whoever owns the data directory or the database and whose node does not
/// start on its stores. Recorded like any other load, and refused like one
/// while the stores do not fit. A server on the data directory must be stopped.
pub(crate) async fn repair(named: &str, node: &NodeStores) -> Result<flow::force::Loaded, Failure> {
    let files = pack_files(named)?;
    has_ledger(&node.place)?;
    let places = Places::of(&node.place)?;
    let http = HttpSettings::default();
    let cache = cache(node.cache.as_deref())?;
    let stores = node.stores()?;
    let control = open(&node.place, &places, &http, cache, stores).await?;
    let ctx = control.system_ctx(home(&control).await?, "recovery");
    let loaded = control.load_pack(ctx, None, files).await?;
    control.ledger().store().flush().await?;
    Ok(loaded)
}

/// `writ admin-token`: issues a new key to an admin of the home tenant, for
/// whoever owns the data directory or the database and has lost every token.
/// Recorded like any other key. A server on the data directory must be stopped;
/// one on the database need not be.
#[allow(clippy::print_stdout, reason = "the token is what the command is for")]
pub(crate) async fn admin_token(place: &Place) -> Result<(), Failure> {
    has_ledger(place)?;
    let places = Places::of(place)?;
    let http = HttpSettings::default();
    let control = open(place, &places, &http, cache(None)?, Vec::new()).await?;
    let tenant = home(&control).await?;
    let admin = control.first_admin(tenant).await?;
    let ctx = control.system_ctx(tenant, "recovery");
    let name = "issued on the machine".to_owned();
    let (_, token) = control.issue(ctx, admin, name, None).await?;
    control.ledger().store().flush().await?;
    println!("{token}");
    Ok(())
}

fn has_ledger(place: &Place) -> Result<(), Failure> {
    let data = &place.data;
    match place.database.is_some() || data.join(store::sqlite::FILE_NAME).exists() {
        true => Ok(()),
        false => Err(
            Failure::failed(format!("there is no ledger in `{}`", data.display()))
                .hint("give the directory, or the database, that `writ up` uses"),
        ),
    }
}

/// Environment variables that sources, or modules, may name as secrets.
#[allow(
    clippy::disallowed_methods,
    reason = "the wiring is where the environment is read"
)]
fn variables(prefix: &str) -> BTreeSet<String> {
    std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with(prefix))
        .collect()
}

/// What stands in front of the states of sessions: this process's memory, or
/// the Redis or Valkey at this URL.
fn cache(url: Option<&str>) -> Result<Arc<dyn Cache>, Failure> {
    Ok(match url {
        None => Arc::new(MemoryCache::new(
            SESSION_CACHE_BYTES_MAX,
            SESSION_CACHE_KEEP,
        )),
        Some(url) => Arc::new(RedisCache::new(url, SESSION_CACHE_KEEP)?),
    })
}

fn ports(places: &Places, cache: Arc<dyn Cache>) -> Result<Ports, Failure> {
    let listed = |folder: &Path, prefix: &str| {
        let folders = vec![folder.to_owned()];
        Arc::new(connect::Secrets::new(variables(prefix), folders))
    };
    Ok(Ports {
        act: act::Ports {
            clock: Arc::new(connect::SystemClock),
            http: Arc::new(connect::ReqwestHttp::new()?),
            secrets: listed(&places.module_secrets, "WRIT_MODULE_"),
        },
        entropy: Arc::new(connect::OsEntropy::new()?),
        cache,
        source_secrets: listed(&places.secrets, "WRIT_SOURCE_"),
        keyring: Arc::new(connect::LocalKeyring::new(&places.keyring)),
    })
}

/// The tenant that was founded first: ids rise with time.
async fn home(control: &Control) -> Result<TenantId, Failure> {
    let tenants = control.ledger().store().tenants().await?;
    tenants
        .into_iter()
        .next()
        .ok_or_else(|| Failure::integrity("the ledger has no tenant"))
}

/// The files of a built-in pack, or of one in a directory; checked.
fn pack_files(named: &str) -> Result<Files, Failure> {
    let files = packs::named(named)?;
    packs::checked(&files)?;
    Ok(files)
}

async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that the sender is gone: the process is ending.
    drop(stopping.wait_for(|stop| *stop).await);
}

/// Ends when the process is asked to end. It listens from the call on: whoever
/// is told that writ serves may ask at once.
pub(crate) fn asked_to_end() -> impl Future<Output = ()> {
    let asked = [SignalKind::terminate(), SignalKind::interrupt()].map(|kind| match signal(kind) {
        Ok(signal) => Some(signal),
        Err(error) => {
            tracing::error!(%error, "cannot listen for the signals that end writ");
            None
        }
    });
    async move {
        let [terminated, interrupted] = asked.map(come);
        tokio::select! {
            () = terminated => {}
            () = interrupted => {}
        }
    }
}

async fn come(signal: Option<Signal>) {
    match signal {
        // `None` when no more can come.
        Some(mut signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

fn private_folder(data: &Path, name: &str) -> Result<PathBuf, Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    let folder = data.join(name);
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
        .create(&folder)
        .map_err(|e| Failure::failed(format!("`{}`: {e}", folder.display())))?;
    Ok(folder)
}

fn write_private(path: &Path, text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let write = || {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|e| Failure::failed(format!("`{}`: {e}", path.display())))
}

/// `writ up`: serves until it is asked to end.
#[allow(clippy::print_stdout, reason = "what a person must see at the start")]
pub(crate) async fn run(up: Up, output: crate::commands::Json) -> Result<(), Failure> {
    let running = start(&up).await?;
    let url = format!("http://{}", running.address);
    let asked_to_end = asked_to_end();
    match output {
        crate::commands::Json::Yes => println!(
            "{}",
            serde_json::json!({"url": url, "token": running.token, "tenant": running.tenant})
        ),
        crate::commands::Json::No => {
            println!("writ serves at {url}");
            match &up.place.database {
                Some(_) => println!("the ledger is in PostgreSQL"),
                None => println!("the ledger is in {}", up.place.data.display()),
            }
            match &running.token {
                Some(token) => println!("admin token, shown once: {token}"),
                None => println!("sign in with your token; it is not shown again"),
            }
            if let Ok(in_force) = running.control.in_force(running.tenant) {
                println!("pack: {}", in_force.pack.summary());
                sources(&running, &url, &in_force.pack.definitions.sources);
            } else {
                println!("no pack is loaded; load one with `writ pack load DIR`");
            }
        }
    }
    tokio::select! {
        () = asked_to_end => {}
        () = ended(&running.server) => {}
    }
    running.stop().await
}

async fn ended<T>(server: &JoinHandle<T>) {
    while !server.is_finished() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[allow(clippy::print_stdout, reason = "what a person must see at the start")]
fn sources(running: &Running, url: &str, sources: &[Source]) {
    for source in sources {
        let secret = match running.secret_path(source) {
            Some(path) => format!("its secret is in {}", path.display()),
            None => format!("its secret is {}", source.authentication.secret()),
        };
        println!(
            "send `{}` to {url}/v1/ingest/{}/{}; {secret}",
            source.name, running.tenant, source.name
        );
    }
}
