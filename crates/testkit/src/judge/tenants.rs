//! No log says a word of another tenant: no id that was made there, and none of
//! the words that only that tenant uses.

use super::{Judged, Read};
use kernel::TenantId;
use std::collections::BTreeMap;

/// Ids that are drawn, and so are one tenant's only. Others are digests of
/// content, which two tenants may share.
const DRAWN: &[&str] = &["dir_", "apr_", "run_", "prm_", "ent_", "cnd_"];
const DIGITS: usize = 32;

#[derive(Default)]
pub(super) struct Tenants {
    pub(super) whose: BTreeMap<String, TenantId>,
}

impl Tenants {
    pub(super) fn read(&mut self, tenant: TenantId, read: &Read<'_>) -> Judged {
        let entry = read.entry;
        let header = [
            Some(entry.id.to_string()),
            entry.causation.map(|id| id.to_string()),
            entry.directive.map(|id| id.to_string()),
            entry.subject.as_ref().map(ToString::to_string),
            Some(entry.stream.as_str().to_owned()),
        ];
        let header = header.iter().flatten().map(String::as_str);
        for text in header.chain([entry.payload.as_str()]) {
            for word in words(text) {
                let whose = *self.whose.entry(word.to_owned()).or_insert(tenant);
                if whose != tenant {
                    return Err(read.fault("tenants", format!("`{word}` is of {whose}")));
                }
            }
        }
        Ok(())
    }
}

/// Drawn ids, and the names of machines that carry their tenant's number:
/// `t1-press-2`.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    text.split(move |c| !is_part(c)).filter(|word| {
        let is_id = DRAWN.iter().any(|prefix| {
            word.strip_prefix(prefix).is_some_and(|hex| {
                hex.len() == DIGITS && hex.bytes().all(|b| b.is_ascii_hexdigit())
            })
        });
        let machine = word
            .strip_prefix('t')
            .and_then(|rest| rest.split_once("-press-"));
        is_id || machine.is_some_and(|(number, _)| number.bytes().all(|b| b.is_ascii_digit()))
    })
}
