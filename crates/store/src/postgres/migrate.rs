//! Migrations: forward only, one transaction each, counted in the table
//! `migrations`, one node at a time. A database that a newer writ wrote is
//! refused.

use super::connect::{CALL_MAX, Place, Plain, within};
use super::fault::{describe, fault};
use ledger::store::StoreFault;
use std::time::Duration;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

const MIGRATIONS: [&str; 1] = [include_str!("schema_1.sql")];
/// "writ" in ASCII: the lock that keeps two nodes from migrating at once.
const LOCK: i64 = 0x7772_6974;
/// The oldest PostgreSQL that is spoken to.
const SERVER_OLDEST: i32 = 15;

/// Whether the user may work as writ's role.
const TRY_ROLE: &str = "SET ROLE writ_app; RESET ROLE";
/// The role that writ works as. Roles are the whole server's, so it may be
/// there already, or come to be at the same time for another database.
const MAKE_ROLE: &str = "
    DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'writ_app') THEN
            CREATE ROLE writ_app NOLOGIN;
        END IF;
        EXECUTE format('GRANT writ_app TO %I', current_user);
    END $$";
/// How often the role is tried, since two sessions that change the same role
/// stand in each other's way.
const ROLE_TRIES: u32 = 20;
const ROLE_PAUSE: Duration = Duration::from_millis(50);

/// Brings the database to this version of writ.
pub(super) async fn run(place: &Place) -> Result<(), StoreFault> {
    let client = place.connect(Plain).await?;
    within(CALL_MAX * 20, async {
        server(&client, place).await?;
        if version(&client, place).await? < MIGRATIONS.len() {
            role(&client, place).await?;
            migrate(&client, place).await?;
        }
        Ok(())
    })
    .await?
}

/// Checks that the database is of exactly this version.
pub(super) async fn check(place: &Place) -> Result<(), StoreFault> {
    let client = place.connect(Plain).await?;
    within(CALL_MAX, async {
        server(&client, place).await?;
        let found = version(&client, place).await?;
        if found < MIGRATIONS.len() {
            return Err(StoreFault::Unavailable(format!(
                "{} has version {found}, this writ reads version {}; start `writ up` once to \
                 bring it up to date",
                place.name,
                MIGRATIONS.len()
            )));
        }
        Ok(())
    })
    .await?
}

/// A server on which what is acknowledged would not last is refused.
async fn server(client: &Client, place: &Place) -> Result<(), StoreFault> {
    let row = client
        .query_one(
            "SELECT current_setting('server_version_num')::int / 10000, \
             current_setting('server_encoding'), current_setting('fsync'), \
             current_setting('full_page_writes')",
            &[],
        )
        .await
        .map_err(|error| fault(&error))?;
    let version: i32 = row.get(0);
    let refuse = |what: String| Err(StoreFault::Unavailable(format!("{} {what}", place.name)));
    if version < SERVER_OLDEST {
        return refuse(format!(
            "is served by PostgreSQL {version}; writ needs {SERVER_OLDEST} or newer"
        ));
    }
    if row.get::<_, &str>(1) != "UTF8" {
        return refuse("is not in UTF-8; make one with `createdb --encoding=UTF8`".into());
    }
    for (column, name) in [(2, "fsync"), (3, "full_page_writes")] {
        if row.get::<_, &str>(column) != "on" {
            return refuse(format!(
                "may lose what it has acknowledged: `{name}` is off; set `{name} = on` in \
                 `postgresql.conf` and reload"
            ));
        }
    }
    Ok(())
}

async fn version(client: &Client, place: &Place) -> Result<usize, StoreFault> {
    let one = async |sql: &str| client.query_one(sql, &[]).await.map_err(|e| fault(&e));
    let tables = one(
        "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'writ'), \
         EXISTS (SELECT FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace \
         WHERE nspname = 'writ' AND relname = 'migrations'), \
         EXISTS (SELECT FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace \
         WHERE nspname = 'writ')",
    )
    .await?;
    match (tables.get(0), tables.get(1), tables.get(2)) {
        // An empty schema may have been made for a user who may make none.
        (false, _, _) | (true, false, false) => return Ok(0),
        (true, false, true) => {
            return Err(StoreFault::Unavailable(format!(
                "{} has a schema `writ` that is not writ's; name another database",
                place.name
            )));
        }
        (true, true, _) => {}
    }
    let row = one("SELECT coalesce(max(version), 0) FROM writ.migrations").await?;
    let version = usize::try_from(row.get::<_, i32>(0)).unwrap_or(usize::MAX);
    if version > MIGRATIONS.len() {
        return Err(StoreFault::Unavailable(format!(
            "{} has version {version} and was written by a newer writ; this one knows versions \
             up to {}: install the newer writ, or restore a backup made by this one",
            place.name,
            MIGRATIONS.len()
        )));
    }
    Ok(version)
}

async fn role(client: &Client, place: &Place) -> Result<(), StoreFault> {
    let mut tries = 0;
    loop {
        if client.batch_execute(TRY_ROLE).await.is_ok() {
            return Ok(());
        }
        match client.batch_execute(MAKE_ROLE).await {
            Ok(()) if tries < ROLE_TRIES => {}
            Ok(()) => {
                return Err(StoreFault::Unavailable(format!(
                    "the user of {} may not work as the role `writ_app`; run `GRANT writ_app TO USER` \
                 as an administrator, then start again",
                    place.name
                )));
            }
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                return Err(StoreFault::Unavailable(format!(
                    "the user of {} may not make the role `writ_app`; run `CREATE ROLE writ_app \
                     NOLOGIN; GRANT writ_app TO USER` as an administrator, then start again",
                    place.name
                )));
            }
            Err(error) if tries == ROLE_TRIES => return Err(fault(&error)),
            Err(_) => {}
        }
        tries += 1;
        tokio::time::sleep(ROLE_PAUSE).await;
    }
}

async fn migrate(client: &Client, place: &Place) -> Result<(), StoreFault> {
    for (number, sql) in (1_usize..).zip(MIGRATIONS) {
        let begin = format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})");
        client
            .batch_execute(&begin)
            .await
            .map_err(|error| fault(&error))?;
        // Another node may have been here first.
        if version(client, place).await? >= number {
            client
                .batch_execute("ROLLBACK")
                .await
                .map_err(|error| fault(&error))?;
            continue;
        }
        let count = format!("INSERT INTO writ.migrations (version) VALUES ({number}); COMMIT");
        for statements in [sql, &count] {
            client.batch_execute(statements).await.map_err(|error| {
                StoreFault::Unavailable(format!(
                    "{} cannot be brought to version {number}: {}; the user of the database's \
                     URL must own the schema `writ`, or be allowed to make it",
                    place.name,
                    describe(&error)
                ))
            })?;
        }
    }
    Ok(())
}
