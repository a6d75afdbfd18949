//! Connections: where the database is, how it is spoken to, and how long it is
//! waited for. Every wait is bounded.

use super::fault::{describe, no_connection};
use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, RecyclingMethod, Runtime,
};
use ledger::room::Room;
use ledger::store::StoreFault;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::{Client, Config, Connection, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Connections of one node at most.
const CONNECTIONS_MAX: usize = 16;
/// Of them, those that ordinary work may have.
const ORDINARY_CONNECTIONS_MAX: usize = 12;
/// How long a new connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// How long a free connection is waited for.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// How long one call may take, with everything that it asks of the server.
pub(super) const CALL_MAX: Duration = Duration::from_secs(15);
/// A peer that acknowledges nothing for this long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// What a working connection begins with. A node that is cut off in the middle
/// of a transaction, or stops in the middle of a decision that it has claimed a
/// log for, holds up the others for three seconds at most. The server's own bounds are shorter
/// than [`CALL_MAX`], so that it is the server that gives up first. A commit
/// is on disk before it is reported, whatever the server's default is. Every
/// statement has an index that it is meant to walk along, so it is planned
/// once, and no statistics that are old lead it astray; what is expected to cost
/// much, and does not, is not compiled first.
const SESSION: &str = "
    SET ROLE writ_app;
    SET search_path = pg_catalog;
    SET plan_cache_mode = force_generic_plan;
    SET jit = off;
    SET enable_seqscan = off;
    SET enable_bitmapscan = off;
    SET statement_timeout = '12s';
    SET lock_timeout = '8s';
    SET idle_in_transaction_session_timeout = '3s';
    SELECT set_config('synchronous_commit', 'on', false)
        WHERE current_setting('synchronous_commit') = 'off'";

/// Where the database is, and how to speak to it.
#[derive(Clone)]
pub(super) struct Place {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    /// For messages: without the password.
    pub(super) name: String,
}

impl Place {
    /// Reads a URL, for example `postgresql://writ@db.internal/writ?sslmode=require`.
    pub(super) fn parse(url: &str) -> Result<Self, StoreFault> {
        let mut config: Config = url.parse().map_err(|error| {
            StoreFault::Unavailable(format!(
                "the database's URL cannot be read: {}; write \
                 `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`",
                describe(&error)
            ))
        })?;
        config
            .application_name("writ")
            .connect_timeout(CONNECT_MAX)
            .tcp_user_timeout(SILENCE_MAX)
            .keepalives(true)
            .keepalives_idle(SILENCE_MAX);
        let name = name(&config);
        let tls = tls(&config, &name)?;
        Ok(Self { config, tls, name })
    }

    /// The hosts that are connected to, by name and by address.
    pub(super) fn hosts(&self) -> Vec<String> {
        let names = self.config.get_hosts().iter().map(host_name);
        let addresses = self.config.get_hostaddrs().iter();
        names.chain(addresses.map(ToString::to_string)).collect()
    }

    /// Only a server that takes writes. With several hosts, or a name of several
    /// addresses, one may be a standby, which is behind: what is read there
    /// must not be decided on.
    pub(super) fn of_the_primary(mut self) -> Self {
        self.config
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        self
    }

    /// A pool of working connections.
    pub(super) fn pool(&self) -> Result<Pool, StoreFault> {
        let how = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = match &self.tls {
            Some(tls) => Manager::from_config(self.config.clone(), tls.clone(), how),
            None => Manager::from_config(self.config.clone(), NoTls, how),
        };
        let pool = deadpool_postgres::Pool::builder(manager)
            .max_size(CONNECTIONS_MAX)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(WAIT_MAX))
            .create_timeout(Some(CONNECT_MAX))
            .recycle_timeout(Some(CONNECT_MAX))
            .post_create(Hook::async_fn(|client, _| {
                Box::pin(async move {
                    let begun = client.batch_execute(SESSION).await;
                    begun.map_err(HookError::Backend)
                })
            }))
            .build()
            .map_err(|error| StoreFault::Unavailable(format!("postgresql: {error}")))?;
        Ok(Pool {
            pool,
            room: Room::new(ORDINARY_CONNECTIONS_MAX),
        })
    }

    /// One connection outside the pool, as the URL's user; `drive` is given
    /// what must be polled for it to work.
    pub(super) async fn connect<D: Drive>(&self, drive: D) -> Result<Client, StoreFault> {
        let connect = async {
            match &self.tls {
                None => {
                    let (client, connection) = self.config.connect(NoTls).await?;
                    drive.start(connection);
                    Ok(client)
                }
                Some(tls) => {
                    let (client, connection) = self.config.connect(tls.clone()).await?;
                    drive.start(connection);
                    Ok(client)
                }
            }
        };
        let connected = within(CONNECT_MAX, connect).await?;
        connected.map_err(|error: tokio_postgres::Error| {
            StoreFault::Unavailable(format!(
                "cannot connect to {}: {}; check that PostgreSQL runs there and that \
                 the database's URL is right",
                self.name,
                describe(&error)
            ))
        })
    }
}

/// Polls a connection for as long as it lasts.
pub(super) trait Drive {
    /// Starts to.
    fn start<T>(self, connection: Connection<Socket, T>)
    where
        T: tokio_postgres::tls::TlsStream + Unpin + Send + 'static;
}

/// Drives a connection whose messages nobody waits for.
pub(super) struct Plain;

impl Drive for Plain {
    fn start<T>(self, connection: Connection<Socket, T>)
    where
        T: tokio_postgres::tls::TlsStream + Unpin + Send + 'static,
    {
        // A fault of the connection is reported by the call that it breaks.
        tokio::spawn(async move { drop(connection.await) });
    }
}

fn name(config: &Config) -> String {
    let hosts: Vec<String> = config.get_hosts().iter().map(host_name).collect();
    let ports: Vec<String> = config.get_ports().iter().map(u16::to_string).collect();
    let database = config.get_dbname().or(config.get_user()).unwrap_or("?");
    let port = if ports.is_empty() {
        "5432".to_owned()
    } else {
        ports.join(",")
    };
    format!("the database `{database}` at `{}:{port}`", hosts.join(","))
}

fn host_name(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string(),
    }
}

fn is_near(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            let address = name.parse::<std::net::IpAddr>();
            name == "localhost" || address.is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

/// TLS when the URL requires it. A server elsewhere is never spoken to in the
/// clear unless the URL says so.
fn tls(config: &Config, name: &str) -> Result<Option<MakeRustlsConnect>, StoreFault> {
    match config.get_ssl_mode() {
        SslMode::Disable => Ok(None),
        SslMode::Prefer if config.get_hosts().iter().all(is_near) => Ok(None),
        SslMode::Require => verified().map(Some),
        _ => Err(StoreFault::Unavailable(format!(
            "{name} is on another machine: add `?sslmode=require` to the database's URL, or \
             `?sslmode=disable` where the network itself is protected"
        ))),
    }
}

/// TLS by the certificates that this machine trusts.
fn verified() -> Result<MakeRustlsConnect, StoreFault> {
    use rustls_platform_verifier::BuilderVerifierExt as _;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_platform_verifier())
        .map_err(|error| StoreFault::Unavailable(format!("TLS cannot be set up: {error}")))?;
    Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
}

/// Waits this long at most.
pub(super) async fn within<T>(
    longest: Duration,
    work: impl Future<Output = T>,
) -> Result<T, StoreFault> {
    tokio::time::timeout(longest, work).await.map_err(|_| {
        StoreFault::Unavailable(format!(
            "postgresql: no answer within {} seconds",
            longest.as_secs()
        ))
    })
}

/// Working connections. Ordinary work leaves some of them to the rest.
pub(super) struct Pool {
    pool: deadpool_postgres::Pool,
    room: Room,
}

/// A connection from the pool that goes back only when the work on it came to
/// an end: one that was given up in the middle is closed.
pub(super) struct Lent {
    object: Option<Object>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Lent {
    pub(super) async fn from(pool: &Pool) -> Result<Self, StoreFault> {
        let place = within(WAIT_MAX, pool.room.enter()).await?;
        let object = pool.pool.get().await;
        Ok(Self {
            object: Some(object.map_err(|error| no_connection(&error))?),
            _place: place,
        })
    }

    pub(super) fn client(&self) -> Result<&Object, StoreFault> {
        let gone = || StoreFault::Unavailable("the connection was given back".into());
        self.object.as_ref().ok_or_else(gone)
    }

    /// Gives it back to the pool.
    pub(super) fn give_back(mut self) {
        drop(self.object.take());
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            drop(Object::take(object));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: Result<&str, &str>) {
        match (Place::parse(url), expected) {
            (Ok(place), Ok(name)) => assert_eq!(place.name, name),
            (Err(fault), Err(part)) => {
                let fault = fault.to_string();
                assert!(fault.contains(part), "{url}: {fault}");
                assert!(!fault.contains("hunter2"), "{fault}");
            }
            (found, _) => panic!("{url}: {:?}", found.map(|place| place.name)),
        }
    }

    #[test]
    fn urls_are_read_and_never_repeated() {
        let near = "the database `w` at `localhost:5432`";
        check("postgresql://u:hunter2@localhost/w", Ok(near));
        check("postgres://u:hunter2@127.0.0.1:6000/w", {
            Ok("the database `w` at `127.0.0.1:6000`")
        });
        check(
            "postgresql://u@%2Fvar%2Frun/w",
            Ok("the database `w` at `/var/run:5432`"),
        );
        let far = "postgresql://u:hunter2@db.example/w";
        check(far, Err("sslmode=require"));
        let name = "the database `w` at `db.example:5432`";
        check(&format!("{far}?sslmode=disable"), Ok(name));
        check(&format!("{far}?sslmode=no"), Err("cannot be read"));
        check("mysql://u:hunter2@localhost/w", Err("cannot be read"));
    }
}
