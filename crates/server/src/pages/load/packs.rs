//! The pack in force, file by file as it was loaded.

use crate::http::problem::Answer;
use crate::pages::view::Section;
use crate::pages::view::packs::{
    DeclaredView, EndpointRow, GroupView, PackView, RegionRow, ResidencyView, packs_page,
};
use crate::pages::visit::{Visit, shown};
use crate::routes::residency::since_default;
use axum::response::Response;
use flow::force::{ID, PackRecord};
use kernel::{Ratio, Refusal};
use std::collections::BTreeMap;

/// Longest file that is shown, in bytes.
const FILE_BYTES_MAX: usize = 64 * 1024;

async fn residency(visit: &Visit) -> Result<ResidencyView, Refusal> {
    let control = visit.app.control();
    let since = since_default(control.now());
    let report = control.residency(visit.caller.tenant(), since).await?;
    let percent = |share: Ratio| format!("{}.{} %", share.ppm() / 10_000, share.ppm() / 1_000 % 10);
    let none = || "none".to_owned();
    let regions = report.distribution.iter().map(|spread| RegionRow {
        region: match spread.region.is_empty() {
            true => "nobody says".to_owned(),
            false => spread.region.clone(),
        },
        endpoints: format!("{} ({})", spread.endpoints, percent(spread.endpoints_share)),
        calls: format!("{} ({})", spread.calls, percent(spread.calls_share)),
        money: match spread.money.is_empty() {
            true => none(),
            false => {
                let costs = spread.money.iter();
                let costs = costs.map(|c| format!("{} ({})", c.amount, percent(c.share)));
                Vec::from_iter(costs).join(", ")
            }
        },
    });
    let endpoints = report.endpoints.iter().map(|used| EndpointRow {
        endpoint: used.line.endpoint.clone(),
        region: used.line.region.clone().unwrap_or_else(none),
        attested: match (&used.line.by, used.line.until) {
            (None, _) => none(),
            (Some(by), None) => format!("by {by}"),
            (Some(by), Some(until)) => format!("by {by}, until {until}"),
        },
        calls: used.calls,
        standing: match used.line.faults.is_empty() {
            true => "active",
            false => "blocked",
        },
    });
    Ok(ResidencyView {
        allowed: report.allowed.as_ref().map(ToString::to_string),
        standing: format!(
            "{} of {} endpoints are attested ({}).",
            report.attested,
            report.total,
            percent(report.share)
        ),
        regions: regions.collect(),
        endpoints: endpoints.collect(),
        faults: report.faults,
    })
}

pub(crate) async fn packs(visit: Visit) -> Answer<Response> {
    let frame = visit.frame(Section::Packs).await?;
    let Some(record) = visit.find::<PackRecord>(ID).await? else {
        return shown(packs_page(&frame, None));
    };
    let in_force = visit.app.control().in_force(visit.caller.tenant());
    let store = visit.app.ledger().store();
    let mut groups: BTreeMap<String, Vec<DeclaredView>> = BTreeMap::new();
    for (path, digest) in &record.loaded.files {
        let bytes = store.object(visit.caller.tenant(), *digest).await?;
        let text = match bytes.map(String::from_utf8) {
            None => "the file is not kept in this store".to_owned(),
            Some(Err(_)) => "not text".to_owned(),
            Some(Ok(text)) if text.len() > FILE_BYTES_MAX => {
                format!("{} bytes, too many for this page", text.len())
            }
            Some(Ok(text)) => text,
        };
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        groups
            .entry(folder.to_owned())
            .or_default()
            .push(DeclaredView {
                name: name.to_owned(),
                text,
            });
    }
    let title = |folder: String| match folder.as_str() {
        "" => "Files".to_owned(),
        _ => folder.replace('_', " "),
    };
    let (description, hashes) = match &in_force {
        Ok(in_force) => {
            let rules = &in_force.pack.rules;
            let hashes = vec![
                ("Policy set".to_owned(), rules.policy.hash().to_string()),
                ("Rules".to_owned(), rules.hash.to_string()),
                (
                    "Sensing".to_owned(),
                    in_force.pack.catalog.hash().to_string(),
                ),
            ];
            (in_force.pack.manifest.description.clone(), hashes)
        }
        Err(refusal) => (refusal.to_string(), Vec::new()),
    };
    let residency = residency(&visit)
        .await
        .map_err(|refusal| refusal.to_string());
    let view = PackView {
        residency,
        name: record.loaded.name.clone(),
        version: record.loaded.version.clone(),
        description,
        hash: record.loaded.hash.to_string(),
        hashes,
        loaded_at: record.at,
        groups: groups
            .into_iter()
            .map(|(folder, items)| GroupView {
                title: title(folder),
                items,
            })
            .collect(),
    };
    shown(packs_page(&frame, Some(&view)))
}
