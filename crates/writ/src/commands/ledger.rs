//! The ledger: verification, replay, entries, why.

use super::offline::Directory;
use super::{Json, bundle, escaped, export, items, print, prove, query};
use crate::cli::{Entries, Ledger, Replay, Verify, Why};
use crate::client::Client;
use crate::failure::Failure;
use crate::render;
use indicatif::{ProgressBar, ProgressStyle};
use kernel::{Code, StreamId};
use ledger::checkpoint::audit;
use ledger::replay::{self, Ask};
use ledger::{verify, why};
use serde_json::{Value, json};

pub(crate) async fn run(client: &Client, output: Json, command: Ledger) -> Result<(), Failure> {
    match command {
        Ledger::Verify(asked) => match &asked.bundle.bundle {
            Some(file) => bundle::verify(output, &asked.bundle, &asked.keys, file),
            None => verified(client, output, *asked).await,
        },
        Ledger::Export(asked) => export::export(client, output, asked).await,
        Ledger::Checkpoint { sign } => prove::checkpoint(client, output, sign).await,
        Ledger::Prove(asked) => prove::prove(client, output, asked).await,
        Ledger::Key { command } => prove::key(client, output, command).await,
        Ledger::Entries(filter) => entries(client, output, *filter).await,
        Ledger::Head => {
            let head = client.get("/v1/ledger/head").await?;
            print(output, &head, render::thing);
            Ok(())
        }
    }
}

async fn entries(client: &Client, output: Json, filter: Entries) -> Result<(), Failure> {
    let parts = [
        ("stream", filter.stream),
        ("kind", filter.kind),
        ("category", filter.category),
        ("actor", filter.actor),
        ("subject", filter.subject),
        ("directive", filter.directive),
        ("trace", filter.trace),
        ("from", filter.from),
        ("until", filter.until),
        ("after", filter.after.map(|seq| seq.to_string())),
        ("before", filter.before.map(|seq| seq.to_string())),
        ("order", filter.newest.then(|| "desc".to_owned())),
        ("limit", Some(filter.limit.to_string())),
    ];
    let answer = client
        .get(&format!("/v1/ledger/entries{}", query(&parts)))
        .await?;
    let columns = [
        ("seq", "seq"),
        ("at", "at"),
        ("kind", "kind"),
        ("stream", "stream"),
        ("actor", "actor"),
    ];
    let more = match filter.newest {
        true => "… more; go on with --before and the last seq\n",
        false => "… more; go on with --after and the last seq\n",
    };
    print(output, &answer, |a| {
        let mut shown = render::table(&items(a), &columns);
        if a.get("next_cursor").is_some_and(|c| !c.is_null()) {
            shown.push_str(more);
        }
        shown
    });
    Ok(())
}

/// Reports of every tenant that was looked at, and whether all is well.
struct Reports {
    reports: Vec<Value>,
    fault: Option<String>,
}

impl Reports {
    fn finish(self, output: Json, well: &str) -> Result<(), Failure> {
        let all = json!({ "items": self.reports });
        print(output, &all, |a| items(a).iter().map(line).collect());
        match self.fault {
            None if output == Json::No => {
                print(output, &Value::Null, |_| format!("{well}\n"));
                Ok(())
            }
            None => Ok(()),
            Some(fault) => Err(Failure::integrity(fault)
                .hint("keep the file as it is, and restore from a backup or archive")),
        }
    }
}

fn line(report: &Value) -> String {
    let mut text = format!(
        "{}  {} entries",
        render::text(report, "tenant"),
        render::text(report, "entries")
    );
    for (name, label) in [
        ("as_of_seq", "as of position"),
        ("head", "head"),
        ("state_hash", "states"),
    ] {
        if report.get(name).is_some() {
            text.push_str(&format!("  {label} {}", render::text(report, name)));
        }
    }
    text.push('\n');
    text
}

fn progress(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    let template = "{msg} [{bar:30}] {human_pos} of {human_len} entries, {per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(what);
    bar
}

fn advance(bar: &ProgressBar, progress: verify::Progress) {
    bar.set_length(progress.total);
    bar.set_position(progress.done);
}

fn fault_of_verify(report: &Value) -> Option<String> {
    if let Some(fault) = report.get("fault").filter(|f| !f.is_null()) {
        let entry = render::text(fault, "entry");
        let named = if entry == "-" {
            String::new()
        } else {
            format!(" (`{entry}`)")
        };
        return Some(format!(
            "tenant `{}`: entry {}{named}: {}",
            render::text(report, "tenant"),
            render::text(fault, "seq"),
            render::text(fault, "what")
        ));
    }
    let engine = report.get("engine").and_then(Value::as_array);
    let first = engine.and_then(|lines| lines.first());
    first.map(|line| format!("the database file is damaged: {line}"))
}

fn fault_of_replay(report: &Value) -> Option<String> {
    let differences = report.get("differences").and_then(Value::as_array);
    let first = differences.and_then(|d| d.first())?;
    Some(format!(
        "tenant `{}`: entry {}, stream `{}`: {}",
        render::text(report, "tenant"),
        render::text(first, "seq"),
        render::text(first, "stream"),
        render::text(first, "what")
    ))
}

/// The report within an answer of the server.
fn report_of(mut answer: Value) -> Value {
    answer.get_mut("report").map_or(Value::Null, Value::take)
}

fn value(report: impl serde::Serialize) -> Result<Value, Failure> {
    serde_json::to_value(report).map_err(|e| Failure::failed(format!("no JSON form: {e}")))
}

async fn verified(client: &Client, output: Json, asked: Verify) -> Result<(), Failure> {
    if let Some(file) = &asked.against {
        prove::against(client, &asked.offline, file, &asked.keys).await?;
    }
    let offline = asked.offline.clone();
    let mut reports = Reports {
        reports: Vec::new(),
        fault: None,
    };
    match Directory::named(&offline).await? {
        None => {
            let answer = client.get("/v1/ledger/verify").await?;
            let tree = answer.get("tree").cloned().unwrap_or_default();
            let report = report_of(answer);
            reports.fault = fault_of_verify(&report).or_else(|| fault_of_verify(&tree));
            reports.reports.push(report);
        }
        Some(directory) => {
            let bar = progress("verifying");
            for tenant in &directory.tenants {
                let report =
                    verify::log(directory.store.as_ref(), *tenant, |p| advance(&bar, p)).await?;
                let sound = report.is_intact();
                let report = value(report)?;
                let fault = match sound {
                    // The tree stands on the entries, so it is looked at after them.
                    true => {
                        let tree = audit(directory.store.as_ref(), *tenant, &[], |_| {}).await?;
                        fault_of_verify(&value(tree)?)
                    }
                    false => fault_of_verify(&report),
                };
                reports.fault = reports.fault.or(fault);
                reports.reports.push(report);
            }
            bar.finish_and_clear();
        }
    }
    reports.finish(
        output,
        "intact: every entry has the place and the hash that it claims",
    )?;
    match asked.states {
        true => replayed(client, output, Replay::whole(asked.offline)).await,
        false => Ok(()),
    }
}

pub(crate) async fn replayed(client: &Client, output: Json, asked: Replay) -> Result<(), Failure> {
    let mut reports = Reports {
        reports: Vec::new(),
        fault: None,
    };
    let well = match asked.as_of {
        None => "equal: the entries make exactly the states that are stored",
        Some(_) => "rebuilt: nothing is stored as of then to compare with",
    };
    match Directory::named(&asked.offline).await? {
        None => {
            let parts = [
                ("stream", asked.stream),
                ("of", asked.of),
                ("as_of", asked.as_of),
            ];
            let path = format!("/v1/ledger/replay{}", query(&parts));
            let report = report_of(client.get(&path).await?);
            reports.fault = fault_of_replay(&report);
            reports.reports.push(report);
        }
        Some(directory) => {
            let ask = Ask {
                stream: asked.stream.as_deref().map(StreamId::from_stored),
                of: asked.of,
                as_of: asked.as_of.as_deref().map(str::parse).transpose()?,
            };
            replay_offline(&directory, &ask, &mut reports).await?;
        }
    }
    reports.finish(output, well)
}

/// Replays every tenant's log that is read without a server; what is asked for is to be
/// found in one of them.
async fn replay_offline(
    directory: &Directory,
    ask: &Ask,
    reports: &mut Reports,
) -> Result<(), Failure> {
    let registry = flow::registry();
    let bar = progress("replaying");
    let mut missing = None;
    for tenant in &directory.tenants {
        let advance = |p| advance(&bar, p);
        match replay::answer(directory.store.as_ref(), &registry, *tenant, ask, advance).await {
            Ok(report) => {
                let report = value(report)?;
                reports.fault = reports.fault.take().or_else(|| fault_of_replay(&report));
                reports.reports.push(report);
            }
            Err(refusal) if matches!(refusal.code, Code::NotFound | Code::Invalid) => {
                missing = Some(refusal)
            }
            Err(refusal) => return Err(refusal.into()),
        }
    }
    bar.finish_and_clear();
    match missing {
        Some(refusal) if reports.reports.is_empty() => Err(refusal.into()),
        _ => Ok(()),
    }
}

pub(crate) async fn why(client: &Client, output: Json, why: Why) -> Result<(), Failure> {
    let answer = match Directory::named(&why.place).await? {
        None => {
            client
                .get(&format!("/v1/ledger/why/{}", escaped(&why.id)))
                .await?
        }
        Some(directory) => answer_offline(&directory, &why.id).await?,
    };
    print(output, &answer, |a| {
        let mut shown: String = items(a).iter().rev().map(reason).collect();
        if a.get("cut") == Some(&Value::Bool(true)) {
            shown.push_str("… there is more; ask again with an id from above\n");
        }
        shown
    });
    Ok(())
}

async fn answer_offline(directory: &Directory, id: &str) -> Result<Value, Failure> {
    let mut refusal = None;
    for tenant in &directory.tenants {
        match why::why(directory.store.as_ref(), *tenant, id).await {
            Ok(answer) => return Ok(why::to_json(&answer)),
            Err(e) => refusal = Some(e),
        }
    }
    Err(refusal.map_or_else(|| Failure::failed("no tenant"), Failure::from))
}

/// One reason as a line: what, when, by whom, and what it is about.
fn reason(reason: &Value) -> String {
    format!(
        "{:>6}  {:<10}  {:<30} {}  {}  {}\n",
        render::text(reason, "seq"),
        render::text(reason, "category"),
        render::text(reason, "kind"),
        render::text(reason, "at"),
        render::text(reason, "actor"),
        render::text(reason, "stream"),
    )
}
