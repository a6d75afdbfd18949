//! The archive: seal and store, list, verify, restore. Verifying and restoring
//! need nothing but the object store.

use super::backup::{Filling, bar, checked, into_directory, restored};
use super::offline::Directory;
use super::{Json, items, print};
use crate::cli::{ArchiveAt, ArchiveCommand, Checkpoints, Offline, Target, Trusted};
use crate::client::Client;
use crate::failure::Failure;
use crate::{place, render};
use kernel::port::{Clock as _, Entropy as _, Objects};
use kernel::{Actor, Ctx, TenantId};
use ledger::archive::{self, Reach, Segment, Trust, Uncovered};
use ledger::checkpoint;
use ledger::note::VerifierKey;
use ledger::{DocumentQuery, Ledger, Settings, Store};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::{Postgres, Sqlite};

pub(crate) async fn run(
    client: &Client,
    output: Json,
    at: &ArchiveAt,
    command: ArchiveCommand,
) -> Result<(), Failure> {
    match command {
        ArchiveCommand::Run { data: None, .. } => {
            let answer = client.post("/v1/archive/run", &json!({})).await?;
            listed(output, &answer);
            Ok(())
        }
        ArchiveCommand::Run {
            data: Some(data),
            database,
            log_name,
        } => {
            let place = (data.as_path(), database.as_deref());
            sealed(output, at, place, log_name).await
        }
        ArchiveCommand::List { offline } => match Directory::named(&offline).await? {
            None => {
                listed(output, &client.get("/v1/archive").await?);
                Ok(())
            }
            Some(directory) => {
                let mut found = Vec::new();
                for tenant in &directory.tenants {
                    found.extend(segments(directory.store.as_ref(), *tenant).await?);
                }
                listed(output, &json!({ "items": found }));
                Ok(())
            }
        },
        ArchiveCommand::Verify(trusted) => verified(output, at, &trust(&trusted)?).await,
        ArchiveCommand::Restore { trusted, target } => {
            restore(output, at, &trust(&trusted)?, &target).await
        }
    }
}

/// What was brought along, read and checked.
fn trust(given: &Trusted) -> Result<Trust, Failure> {
    let parse = |key: &String| {
        VerifierKey::parse(key).map_err(|e| Failure::usage(format!("--key `{key}`: {e}")))
    };
    let keys: Vec<VerifierKey> = given.keys.iter().map(parse).collect::<Result<_, _>>()?;
    let mut kept = Vec::new();
    for file in &given.kept {
        let named = |e: &dyn std::fmt::Display| format!("`{}`: {e}", file.display());
        let bytes = std::fs::read(file).map_err(|e| Failure::failed(named(&e)))?;
        let read = checkpoint::kept(&bytes, &keys).map_err(|e| Failure::failed(named(&e)));
        kept.push(read?);
    }
    Ok(Trust {
        keys,
        kept,
        uncovered: match given.uncovered {
            true => Uncovered::Accepted,
            false => Uncovered::Refused,
        },
    })
}

fn listed(output: Json, answer: &Value) {
    let columns = [
        ("first", "first"),
        ("last", "last"),
        ("status", "status"),
        ("lock", "stored.lock"),
        ("until", "stored.until"),
        ("object", "stored.object"),
    ];
    print(output, answer, |a| render::table(&items(a), &columns));
}

/// The segments that a ledger lists, as JSON.
async fn segments(store: &dyn Store, tenant: TenantId) -> Result<Vec<Value>, Failure> {
    let query = DocumentQuery {
        kind: <Segment as kernel::Aggregate>::KIND.to_owned(),
        limit: usize::MAX,
        ..DocumentQuery::default()
    };
    let found = store.documents(tenant, &query).await?;
    let parse = |body: &str| {
        serde_json::from_str(body)
            .map_err(|e| Failure::integrity(format!("a segment's state does not parse: {e}")))
    };
    found.iter().map(|document| parse(&document.body)).collect()
}

/// Archives every log of a data directory that no writ is using, or of the
/// database that its nodes share.
async fn sealed(
    output: Json,
    at: &ArchiveAt,
    (data, database): (&Path, Option<&str>),
    log_name: String,
) -> Result<(), Failure> {
    let archive = place::archive(at)?;
    // Opening makes what is not there, and there is nothing to archive then.
    let offline = Offline {
        data: database.is_none().then(|| data.to_owned()),
        database: database.map(str::to_owned),
    };
    drop(Directory::named(&offline).await?);
    let store: Arc<dyn Store> = match database {
        Some(url) => Arc::new(Postgres::open(url).await?),
        None => Arc::new(Sqlite::open(data)?),
    };
    let asked = Checkpoints {
        log_name,
        ..Checkpoints::default()
    };
    let signer = crate::signing::signing(data, &asked)?.signer;
    let ledger = Ledger::open(store, flow::registry(), Settings::default())?;
    let entropy = connect::OsEntropy::new()?;
    let bar = bar("archiving", "entries");
    let mut done = Vec::new();
    for tenant in ledger.store().tenants().await? {
        let ctx = || {
            let actor = Actor::system("archive");
            let now = connect::SystemClock.now();
            Ctx::new(tenant, now, actor, entropy.trace(), entropy.bits())
        };
        let mut progress = |progress: archive::Progress| {
            bar.set_length(progress.end);
            bar.set_position(progress.done);
        };
        let signed = (&ledger, &signer);
        let run = archive.run(signed, tenant, Reach::Head, &ctx, &mut progress);
        for segment in run.await? {
            done.push(value(&segment)?);
        }
    }
    bar.finish_and_clear();
    ledger.store().flush().await?;
    if done.is_empty() && output == Json::No {
        print(output, &Value::Null, |_| "nothing is new\n".to_owned());
        return Ok(());
    }
    listed(output, &json!({ "items": done }));
    Ok(())
}

fn value(thing: &impl serde::Serialize) -> Result<Value, Failure> {
    serde_json::to_value(thing).map_err(|e| Failure::failed(format!("no JSON form: {e}")))
}

/// The tenants whose logs are in the archive, or should be.
async fn tenants(objects: &dyn Objects, trust: &Trust) -> Result<BTreeSet<TenantId>, Failure> {
    let mut tenants = archive::tenants_of(trust);
    tenants.extend(archive::tenants(objects).await?);
    if tenants.is_empty() {
        return Err(Failure::integrity("the archive holds no segment")
            .hint("is this the place that `writ archive run` was given?"));
    }
    Ok(tenants)
}

async fn verified(output: Json, at: &ArchiveAt, trust: &Trust) -> Result<(), Failure> {
    let objects = place::objects(at)?;
    let bar = bar("verifying", "entries");
    let mut reports = Vec::new();
    let mut fault = None;
    for tenant in tenants(objects.as_ref(), trust).await? {
        let mut progress = |n| bar.set_position(n);
        let report = archive::verify(objects.as_ref(), tenant, trust, &mut progress).await?;
        if let (None, Some(first)) = (&fault, report.faults.first()) {
            fault = Some(format!("tenant `{tenant}`: {}", named(first)));
        }
        reports.push(value(&report)?);
    }
    bar.finish_and_clear();
    print(output, &json!({ "items": reports }), |a| {
        let mut text: String = items(a).iter().map(line).collect();
        if trust.keys.is_empty() {
            text.push_str(UNGIVEN);
        }
        text
    });
    match fault {
        None => Ok(()),
        Some(fault) => Err(Failure::integrity(fault)
            .hint("keep the archive as it is; what it lacks may be in the ledger or a backup")),
    }
}

/// What no given key means.
const UNGIVEN: &str = "no --key was given: the keys are those that the logs name themselves, \
                       which whoever wrote the whole archive anew would have chosen\n";

fn named(fault: &archive::Fault) -> String {
    match &fault.object {
        Some(object) => format!("`{object}`: {}", fault.what),
        None => fault.what.clone(),
    }
}

fn line(report: &Value) -> String {
    let mut text = format!(
        "{}  {} segments, {} entries, {} of them under signed checkpoints  head {}  root {}\n",
        render::text(report, "tenant"),
        render::text(report, "segments"),
        render::text(report, "entries"),
        render::text(report, "covered"),
        render::text(report, "head"),
        render::text(report, "root"),
    );
    let keys = report.get("keys").and_then(Value::as_array);
    for key in keys.into_iter().flatten().filter_map(Value::as_str) {
        text.push_str(&format!("  signed by {key}\n"));
    }
    let faults = report.get("faults").and_then(Value::as_array);
    for fault in faults.into_iter().flatten() {
        text.push_str(&format!(
            "  {}  {}\n",
            render::text(fault, "object"),
            render::text(fault, "what")
        ));
    }
    text
}

async fn restore(
    output: Json,
    at: &ArchiveAt,
    trust: &Trust,
    target: &Target,
) -> Result<(), Failure> {
    let objects = place::objects(at)?;
    let archived = Archived {
        tenants: tenants(objects.as_ref(), trust).await?,
        objects: objects.as_ref(),
        trust,
    };
    let (place, logs) = match (&target.database, &target.data) {
        (Some(url), _) => {
            let logs = into_database(url, &archived).await?;
            ("the database".to_owned(), logs)
        }
        (None, Some(data)) => {
            let fill = |directory: PathBuf| -> Filling<'_> {
                Box::pin(async move {
                    let store = Sqlite::open(&directory)?;
                    archived.fill(&store).await?;
                    Ok(store)
                })
            };
            let logs = into_directory(data, fill).await?;
            (data.display().to_string(), logs)
        }
        (None, None) => return Err(Failure::usage("there is no place to restore to")),
    };
    restored(output, &place, &logs);
    Ok(())
}

/// Restores every log into a database that has none.
async fn into_database(url: &str, archived: &Archived<'_>) -> Result<Vec<Value>, Failure> {
    let store = Postgres::open(url).await?;
    if !store.tenants().await?.is_empty() {
        return Err(
            Failure::failed("the database holds a ledger already").hint("name an empty one")
        );
    }
    let restoring = async {
        archived.fill(&store).await?;
        checked(&store).await
    };
    restoring.await.map_err(|failure: Failure| {
        failure.hint("what is there now is incomplete: drop the schema `writ`, then try again")
    })
}

/// The logs of an archive.
struct Archived<'a> {
    objects: &'a dyn Objects,
    tenants: BTreeSet<TenantId>,
    trust: &'a Trust,
}

impl Archived<'_> {
    async fn fill(&self, store: &dyn Store) -> Result<(), Failure> {
        let registry = flow::registry();
        let bar = bar("restoring", "entries");
        for tenant in &self.tenants {
            let mut progress = |n| bar.set_position(n);
            let into = (store, &registry);
            archive::restore(self.objects, *tenant, self.trust, into, &mut progress).await?;
        }
        bar.finish_and_clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Up;
    use crate::up;

    fn at(place: &Path) -> ArchiveAt {
        ArchiveAt {
            archive: Some(place.display().to_string()),
            archive_entries: 2,
            ..ArchiveAt::none()
        }
    }

    fn trusted(keys: &[&str], kept: &[&Path]) -> Trusted {
        Trusted {
            keys: keys.iter().map(ToString::to_string).collect(),
            kept: kept.iter().map(|path| path.to_path_buf()).collect(),
            uncovered: false,
        }
    }

    /// A data directory that writ has served.
    async fn served(directory: &Path) {
        let mut up = Up::on(directory.to_owned(), "127.0.0.1:0".into());
        up.pack = Some("incident".into());
        let running = up::start(&up).await.unwrap();
        running.stop().await.unwrap();
        // The threads of the ledger end a moment after its last handle.
        testkit::eventually("the directory is free", async || {
            Sqlite::open(directory).is_ok()
        })
        .await;
    }

    fn directory(path: &Path) -> Target {
        Target {
            data: Some(path.to_owned()),
            database: None,
        }
    }

    async fn outcome(at: &ArchiveAt, given: &Trusted) -> Result<(), String> {
        let trust = trust(given).map_err(|failure| format!("{failure:?}"))?;
        let done = verified(Json::Yes, at, &trust).await;
        done.map_err(|failure| format!("{failure:?}"))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_archive_is_made_verified_with_its_key_and_restored() {
        let place = tempfile::tempdir().unwrap();
        let (data, folder) = (place.path().join("data"), place.path().join("archive"));
        served(&data).await;
        let at = at(&folder);
        sealed(Json::Yes, &at, (&data, None), "logs.example.com".into())
            .await
            .unwrap();
        let store = Sqlite::open_read_only(&data).unwrap();
        let tenant = store.tenants().await.unwrap()[0];
        let keys = checkpoint::log_keys(&store, tenant).await.unwrap();
        let key = keys.active().unwrap().unwrap();
        assert!(key.name().as_str().starts_with("logs.example.com/"));
        let key = key.to_string();
        outcome(&at, &trusted(&[], &[])).await.unwrap();
        outcome(&at, &trusted(&[&key], &[])).await.unwrap();
        let said = outcome(&at, &trusted(&["x"], &[])).await.unwrap_err();
        assert!(said.contains("--key `x`"), "{said}");

        // The newest checkpoint is kept; its segment and itself are removed.
        let names = objects_in(&folder.join(tenant.to_string()));
        let [.., segment, newest] = names.as_slice() else {
            panic!("{names:?}");
        };
        let kept = place.path().join("kept");
        std::fs::copy(newest, &kept).unwrap();
        outcome(&at, &trusted(&[&key], &[&kept])).await.unwrap();
        let bytes = std::fs::read(segment).unwrap();
        std::fs::remove_file(segment).unwrap();
        let said = outcome(&at, &trusted(&[], &[])).await.unwrap_err();
        assert!(said.contains("are missing"), "{said}");
        let new = place.path().join("new");
        let given = trust(&trusted(&[&key], &[])).unwrap();
        assert!(
            restore(Json::Yes, &at, &given, &directory(&new))
                .await
                .is_err()
        );
        assert!(!new.exists());
        std::fs::remove_file(newest).unwrap();
        outcome(&at, &trusted(&[&key], &[])).await.unwrap();
        let said = outcome(&at, &trusted(&[&key], &[&kept])).await;
        assert!(said.unwrap_err().contains("are missing"));

        std::fs::write(segment, bytes).unwrap();
        std::fs::copy(&kept, newest).unwrap();
        restore(Json::Yes, &at, &given, &directory(&new))
            .await
            .unwrap();
        let restored = Sqlite::open_read_only(&new).unwrap();
        let (old, new) = (store.head(tenant).await, restored.head(tenant).await);
        assert!(new.unwrap().seq < old.unwrap().seq);
    }

    /// The files of a log, segments and checkpoints, by the position at which
    /// they end.
    fn objects_in(folder: &Path) -> Vec<PathBuf> {
        let files = std::fs::read_dir(folder).unwrap();
        let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        let end = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let digits = name.split('.').next().unwrap();
            let last = digits.rsplit('-').next().unwrap().to_owned();
            (last, name.ends_with(".checkpoint"))
        };
        paths.sort_by_key(end);
        paths
    }
}
