//! What only PostgreSQL has: roles, row-level security, triggers that hold for
//! its owner, too, migrations that several nodes may begin at once.

use crate::log::Log;
use crate::stores::{Kind, Place};
use ledger::{Store as _, verify};
use store::Postgres;
use testkit::PostgresDatabase;
use testkit::counter::tenant;

async fn database() -> (PostgresDatabase, Postgres, Log) {
    let Place::Postgres(database) = Place::new(Kind::Postgres) else {
        unreachable!("it was asked for");
    };
    let store = Postgres::open(&database.url()).await.unwrap();
    let mut log = Log::new(tenant(1), 1);
    let mut batch = log.some(20);
    batch
        .objects
        .push((kernel::Digest::of(b"o"), b"o".to_vec()));
    store.append(vec![batch]).await.unwrap();
    (database, store, log)
}

fn as_app(sql: &str) -> String {
    format!(
        "SET ROLE writ_app; SET writ.tenant = '{}'; {sql}",
        tenant(1).0
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_changes_what_was_appended() {
    let (database, store, _) = database().await;
    let changes = [
        "UPDATE writ.entries SET kind = 'x'",
        "DELETE FROM writ.entries",
        "TRUNCATE writ.entries",
        "UPDATE writ.objects SET bytes = ''",
        "DELETE FROM writ.objects",
        "TRUNCATE writ.objects",
    ];
    for sql in changes {
        let refused = database.sql_of("writ", &as_app(sql)).unwrap_err();
        assert!(refused.contains("permission denied"), "{sql}: {refused}");
        for user in ["writ", "admin"] {
            let refused = database.sql_of(user, sql).unwrap_err();
            assert!(refused.contains("append-only"), "{user}: {sql}: {refused}");
        }
        let replica = format!("SET session_replication_role = replica; {sql}");
        let refused = database.sql_of("admin", &replica).unwrap_err();
        assert!(refused.contains("append-only"), "{sql}: {refused}");
    }
    for sql in [
        "DELETE FROM writ.logs",
        "DELETE FROM writ.documents",
        "DELETE FROM writ.tiles",
        "TRUNCATE writ.logs CASCADE",
    ] {
        let refused = database.sql_of("admin", sql).unwrap_err();
        assert!(refused.contains("append-only"), "{sql}: {refused}");
    }
    let back = format!(
        "SELECT writ.move_head('{}', 20, (SELECT hash FROM writ.logs), 3, '\\x00')",
        tenant(1).0
    );
    let refused = database.sql_of("writ", &as_app(&back)).unwrap_err();
    assert!(refused.contains("forward only"), "{refused}");
    let verified = verify::log(&store, tenant(1), |_| ()).await.unwrap();
    assert!(verified.is_intact(), "{verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_tenant_nothing_is_seen_and_for_another_nothing_is_written() {
    let (database, _, _) = database().await;
    for table in ["entries", "documents", "objects"] {
        let count = format!("SELECT count(*) FROM writ.{table}");
        let unset = format!("SET ROLE writ_app; {count}");
        assert_eq!(database.sql_of("writ", &unset).unwrap(), "0", "{table}");
        let own = database.sql_of("writ", &as_app(&count)).unwrap();
        assert_ne!(own, "0", "{table}");
        // The owner is held to it, too.
        assert_eq!(database.sql_of("writ", &count).unwrap(), "0", "{table}");
        let other = as_app(&count).replace(&tenant(1).0.to_string(), &tenant(2).0.to_string());
        assert_eq!(database.sql_of("writ", &other).unwrap(), "0", "{table}");
    }
    let other = tenant(2).0;
    for sql in [
        format!(
            "INSERT INTO writ.logs VALUES ('{other}', 1, '\\x{}')",
            "00".repeat(32)
        ),
        format!("INSERT INTO writ.objects VALUES ('{other}', '\\x00', '\\x00')"),
        format!("INSERT INTO writ.due VALUES ('{other}', 'door/x', 0)"),
    ] {
        let refused = database.sql_of("writ", &as_app(&sql)).unwrap_err();
        assert!(refused.contains("row-level security"), "{sql}: {refused}");
    }
    // Across tenants there is who has a log, and what is due; no bodies.
    let unset = "SET ROLE writ_app; SELECT count(*) > 0 FROM writ.due";
    assert_eq!(database.sql_of("writ", unset).unwrap(), "t");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_behind_the_databases_back_is_named() {
    let (database, store, log) = database().await;
    let open = "ALTER TABLE writ.entries DISABLE TRIGGER append_only;";
    let close = "ALTER TABLE writ.entries ENABLE ALWAYS TRIGGER append_only;";
    let cases = [
        ("payload = '{}'", "payload"),
        ("category = 'NO_SUCH'", "`category`"),
        ("actor = 'x'", "`actor`"),
        ("seq = 100", "missing"),
        ("hash = '\\x00'", "`hash`"),
        ("prev_hash = hash", "follow"),
    ];
    database.sql("CREATE TABLE public.kept AS SELECT * FROM writ.entries");
    for (change, named) in cases {
        database.sql(&format!(
            "{open} UPDATE writ.entries SET {change} WHERE seq = 7; {close}"
        ));
        let report = verify::log(&store, tenant(1), |_| ()).await.unwrap();
        let fault = report.fault.unwrap();
        assert_eq!(fault.seq, 7, "{change}: {fault:?}");
        assert!(fault.what.contains(named), "{change}: {fault:?}");
        database.sql(&format!(
            "{open} DELETE FROM writ.entries; INSERT INTO writ.entries TABLE public.kept; {close}"
        ));
    }
    database.sql(&format!(
        "{open} DELETE FROM writ.entries WHERE seq = 20; {close}"
    ));
    let report = verify::log(&store, tenant(1), |_| ()).await.unwrap();
    assert_eq!(report.fault.unwrap().seq, 20);
    assert_eq!(log.head.seq, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn guards_that_are_gone_are_reported() {
    let (database, store, _) = database().await;
    assert_eq!(store.engine_check().await.unwrap(), Vec::<String>::new());
    for (change, named) in [
        (
            "ALTER TABLE writ.entries DISABLE TRIGGER append_only",
            "`entries` append-only",
        ),
        (
            "DROP TRIGGER append_only ON writ.objects",
            "`objects` append-only",
        ),
        (
            "ALTER TABLE writ.documents NO FORCE ROW LEVEL SECURITY",
            "`documents` is off",
        ),
        (
            "GRANT UPDATE ON writ.entries TO writ_app",
            "may change `writ.entries`",
        ),
    ] {
        database.sql(change);
        let found = store.engine_check().await.unwrap();
        assert!(
            found.iter().any(|what| what.contains(named)),
            "{change}: {found:?}"
        );
    }
}

#[track_caller]
fn refused(opened: Result<Postgres, ledger::StoreFault>, part: &str) {
    let fault = opened.err().expect("it is refused").to_string();
    assert!(fault.contains(part), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_a_foreign_and_an_unprepared_database_are_refused() {
    let (database, ..) = database().await;
    let url = database.url();
    Postgres::open_read_only(&url).await.unwrap();
    database.sql("INSERT INTO writ.migrations (version) VALUES (99)");
    refused(Postgres::open(&url).await, "newer writ");
    refused(Postgres::open_read_only(&url).await, "newer writ");
    let Place::Postgres(empty) = Place::new(Kind::Postgres) else {
        unreachable!("it was asked for");
    };
    let url = empty.url();
    refused(Postgres::open_read_only(&url).await, "start `writ up` once");
    empty.sql("CREATE ROLE bystander LOGIN");
    let bystander = empty.url_of("bystander");
    refused(Postgres::open(&bystander).await, "may not");
    empty.sql("CREATE SCHEMA writ; CREATE TABLE writ.other (x int)");
    refused(Postgres::open(&url).await, "not writ's");
    refused(
        Postgres::open(&url.replace("writ_", "no_")).await,
        "cannot connect",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_the_role_alone_works_and_cannot_migrate() {
    let (database, store, mut log) = database().await;
    drop(store);
    database.sql(
        "DO $$ BEGIN CREATE ROLE worker LOGIN; EXCEPTION WHEN duplicate_object THEN END $$; \
         GRANT writ_app TO worker",
    );
    let store = Postgres::open(&database.url_of("worker")).await.unwrap();
    store.append(vec![log.some(3)]).await.unwrap();
    assert_eq!(store.head(tenant(1)).await.unwrap(), log.head);
    let Place::Postgres(empty) = Place::new(Kind::Postgres) else {
        unreachable!("it was asked for");
    };
    let opened = Postgres::open(&empty.url_of("worker")).await;
    refused(opened, "must own the schema");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_start_at_once_migrate_once() {
    let Place::Postgres(database) = Place::new(Kind::Postgres) else {
        unreachable!("it was asked for");
    };
    let nodes: Vec<_> = (0..6)
        .map(|_| {
            let url = database.url();
            tokio::spawn(async move { Postgres::open(&url).await.map(drop) })
        })
        .collect();
    for node in nodes {
        node.await.unwrap().unwrap();
    }
    let versions = database.sql("SELECT count(*) FROM writ.migrations");
    assert_eq!(versions, "1");
}
