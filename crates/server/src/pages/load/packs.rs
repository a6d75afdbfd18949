//! The pack in force, file by file as it was loaded.

use crate::http::problem::Answer;
use crate::pages::view::Section;
use crate::pages::view::packs::{DeclaredView, GroupView, PackView, packs_page};
use crate::pages::visit::{Visit, shown};
use axum::response::Response;
use flow::force::{ID, PackRecord};
use std::collections::BTreeMap;

/// Longest file that is shown, in bytes.
const FILE_BYTES_MAX: usize = 64 * 1024;

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
    let view = PackView {
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
