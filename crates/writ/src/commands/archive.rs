//! The archive: seal and store, list, verify, restore. Verifying and restoring
//! need nothing but the object store.

use super::backup::{Filling, bar, into_directory, restored};
use super::offline::Directory;
use super::{Json, items, print};
use crate::cli::{ArchiveAt, ArchiveCommand};
use crate::client::Client;
use crate::failure::Failure;
use crate::{place, render};
use kernel::port::{Clock as _, Entropy as _};
use kernel::{Actor, Ctx, TenantId};
use ledger::archive::{self, Reach, Segment};
use ledger::{DocumentQuery, Ledger, Settings, Store};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::Sqlite;

pub(crate) async fn run(
    client: &Client,
    output: Json,
    at: &ArchiveAt,
    command: ArchiveCommand,
) -> Result<(), Failure> {
    match command {
        ArchiveCommand::Run { data: None } => {
            let answer = client.post("/v1/archive/run", &json!({})).await?;
            listed(output, &answer);
            Ok(())
        }
        ArchiveCommand::Run { data: Some(data) } => sealed(output, at, &data).await,
        ArchiveCommand::List { data: None } => {
            listed(output, &client.get("/v1/archive").await?);
            Ok(())
        }
        ArchiveCommand::List { data: Some(data) } => {
            let directory = Directory::open(&data).await?;
            let mut found = Vec::new();
            for tenant in &directory.tenants {
                found.extend(segments(&directory.store, *tenant).await?);
            }
            listed(output, &json!({ "items": found }));
            Ok(())
        }
        ArchiveCommand::Verify => verified(output, at).await,
        ArchiveCommand::Restore { data } => restore(output, at, &data).await,
    }
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

/// Archives every log of a data directory that no writ is using.
async fn sealed(output: Json, at: &ArchiveAt, data: &Path) -> Result<(), Failure> {
    let archive = place::archive(at)?;
    // Opening makes what is not there, and there is nothing to archive then.
    drop(Directory::open(data).await?);
    let ledger = Ledger::open(
        Arc::new(Sqlite::open(data)?),
        flow::registry(),
        Settings::default(),
    )?;
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
        let run = archive.run(&ledger, tenant, Reach::Head, &ctx, &mut progress);
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

async fn tenants(objects: &dyn kernel::port::Objects) -> Result<Vec<TenantId>, Failure> {
    let tenants = archive::tenants(objects).await?;
    if tenants.is_empty() {
        return Err(Failure::integrity("the archive holds no segment")
            .hint("is this the place that `writ archive run` was given?"));
    }
    Ok(tenants)
}

async fn verified(output: Json, at: &ArchiveAt) -> Result<(), Failure> {
    let objects = place::objects(at)?;
    let bar = bar("verifying", "entries");
    let mut reports = Vec::new();
    let mut fault = None;
    for tenant in tenants(objects.as_ref()).await? {
        let mut progress = |n| bar.set_position(n);
        let report = archive::verify(objects.as_ref(), tenant, &mut progress).await?;
        if let (None, Some(first)) = (&fault, report.faults.first()) {
            fault = Some(format!("tenant `{tenant}`: {}", named(first)));
        }
        reports.push(value(&report)?);
    }
    bar.finish_and_clear();
    print(output, &json!({ "items": reports }), |a| {
        items(a).iter().map(line).collect()
    });
    match fault {
        None => Ok(()),
        Some(fault) => Err(Failure::integrity(fault)
            .hint("keep the archive as it is; what it lacks may be in the ledger or a backup")),
    }
}

fn named(fault: &archive::Fault) -> String {
    match &fault.object {
        Some(object) => format!("`{object}`: {}", fault.what),
        None => fault.what.clone(),
    }
}

fn line(report: &Value) -> String {
    let mut text = format!(
        "{}  {} segments, {} entries  head {}  root {}\n",
        render::text(report, "tenant"),
        render::text(report, "segments"),
        render::text(report, "entries"),
        render::text(report, "head"),
        render::text(report, "root"),
    );
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

async fn restore(output: Json, at: &ArchiveAt, data: &Path) -> Result<(), Failure> {
    let objects = place::objects(at)?;
    let tenants = tenants(objects.as_ref()).await?;
    let fill = |directory: PathBuf| -> Filling<'_> {
        Box::pin(async move {
            let store = Sqlite::open(&directory)?;
            let registry = flow::registry();
            let bar = bar("restoring", "entries");
            for tenant in tenants {
                let mut progress = |n| bar.set_position(n);
                archive::restore(objects.as_ref(), tenant, &store, &registry, &mut progress)
                    .await?;
            }
            bar.finish_and_clear();
            Ok(store)
        })
    };
    let logs = into_directory(data, fill).await?;
    restored(output, data, &logs);
    Ok(())
}
