//! Data residency: a report of a server, or of a pack and what a node would be
//! started with, which fails unless everything is attested; and the repair of a
//! node that does not start where its data may not be.

use super::{Json, print};
use crate::cli::{CheckResidency, NodeStores, Residency};
use crate::client::Client;
use crate::failure::Failure;
use crate::render;
use kernel::port::Clock as _;
use serde_json::Value;

pub(crate) async fn run(client: &Client, output: Json, command: Residency) -> Result<(), Failure> {
    let asked = match command {
        Residency::Check(asked) => asked,
        Residency::Repair { pack, node } => return Box::pin(repair(output, &pack, &node)).await,
    };
    let report = match &asked.pack {
        None => {
            let path = format!("/v1/residency?days={}", asked.days);
            client.get(&path).await?
        }
        Some(pack) => of_pack(pack, &asked)?,
    };
    print(output, &report, shown);
    let faults = report.get("faults").and_then(Value::as_array);
    let faults = faults.ok_or_else(|| Failure::failed("the server's answer has no `faults`"))?;
    match faults.len() {
        0 => Ok(()),
        n => Err(Failure::failed(format!(
            "{n} faults: not everything that can be reached is attested"
        ))
        .hint("name its region and attestation in the pack's `residency.yaml`, or close the way there")),
    }
}

fn of_pack(named: &str, asked: &CheckResidency) -> Result<Value, Failure> {
    let mut pack = crate::packs::checked(&crate::packs::named(named)?)?;
    pack.kept_in(&asked.node.stores()?)?;
    let report = flow::residency::report(&pack.rules, connect::SystemClock.now(), None)?;
    serde_json::to_value(report).map_err(|e| Failure::failed(format!("the report: {e}")))
}

async fn repair(output: Json, pack: &str, node: &NodeStores) -> Result<(), Failure> {
    let loaded = crate::up::repair(pack, node).await?;
    let report = serde_json::json!({
        "name": loaded.name,
        "version": loaded.version,
        "hash": loaded.hash,
    });
    print(output, &report, render::thing);
    Ok(())
}

fn rows(report: &Value, name: &str) -> Vec<Value> {
    let rows = report.get(name).and_then(Value::as_array);
    rows.cloned().unwrap_or_default()
}

fn shown(report: &Value) -> String {
    let mut text = String::new();
    let percent = |value: Option<&Value>| {
        let share = value.and_then(Value::as_f64).unwrap_or_default();
        format!("{:.1} %", share * 100.0)
    };
    text.push_str(&format!(
        "{} of {} endpoints attested ({})\n\n",
        render::text(report, "attested"),
        render::text(report, "total"),
        percent(report.get("share")),
    ));
    let endpoints = [
        ("endpoint", "endpoint"),
        ("region", "region"),
        ("attested by", "by"),
        ("until", "until"),
        ("calls", "calls"),
    ];
    text.push_str(&render::table(&rows(report, "endpoints"), &endpoints));
    text.push('\n');
    let spread: Vec<Value> = rows(report, "distribution").iter().map(|row| {
        let money = rows(row, "money");
        let costs: Vec<String> = money
            .iter()
            .map(|c| format!("{} ({})", render::text(c, "amount"), percent(c.get("share"))))
            .collect();
        serde_json::json!({
            "region": match render::text(row, "region") { none if none.is_empty() => "nobody says".to_owned(), region => region },
            "endpoints": format!("{} ({})", render::text(row, "endpoints"), percent(row.get("endpoints_share"))),
            "calls": format!("{} ({})", render::text(row, "calls"), percent(row.get("calls_share"))),
            "money": if costs.is_empty() { "-".to_owned() } else { costs.join(", ") },
        })
    }).collect();
    let columns = [
        ("region", "region"),
        ("endpoints", "endpoints"),
        ("calls", "calls"),
        ("money", "money"),
    ];
    text.push_str(&render::table(&spread, &columns));
    if report.get("truncated").and_then(Value::as_bool) == Some(true) {
        text.push_str("there were more calls than were counted; the newest were\n");
    }
    let faults = rows(report, "faults");
    if !faults.is_empty() {
        text.push('\n');
    }
    for fault in faults.iter().filter_map(Value::as_str) {
        text.push_str(&format!("fault: {fault}\n"));
    }
    text
}
