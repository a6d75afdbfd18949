//! Positions, versions, hashes and the tree of a log, computed anew from
//! `docs/ledger-format.md`.

use super::{Fault, Judged};
use kernel::names::Name as _;
use kernel::{Digest, EntryId, StreamId, TenantId, TraceId};
use ledger::Entry;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(super) struct Chain {
    entries: Vec<(Digest, TraceId)>,
    ids: BTreeSet<EntryId>,
    versions: BTreeMap<StreamId, u64>,
}

fn sha256(parts: &[&[u8]]) -> Digest {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    Digest(hasher.finalize().into())
}

/// The header in its canonical form: its members are texts and small integers,
/// so that an ordered map written as JSON is canonical.
fn header(tenant: TenantId, entry: &Entry) -> String {
    let members = [
        ("actor", json!(entry.actor.to_string())),
        ("at", json!(entry.at.to_string())),
        ("category", json!(entry.category.name())),
        ("causation", json!(entry.causation)),
        ("directive", json!(entry.directive)),
        ("id", json!(entry.id)),
        ("kind", json!(entry.kind)),
        ("payload_hash", json!(entry.payload_hash)),
        ("prev_hash", json!(entry.prev_hash)),
        ("seq", json!(entry.seq)),
        ("snapshot", json!(entry.snapshot)),
        ("stream", json!(entry.stream.as_str())),
        ("stream_version", json!(entry.stream_version)),
        ("subject", json!(entry.subject)),
        ("tenant", json!(tenant)),
        ("trace_id", json!(entry.trace_id)),
    ];
    let members = members.into_iter().filter(|(_, value)| !value.is_null());
    let members: BTreeMap<&str, Value> = members.collect();
    serde_json::to_string(&members).expect("texts and integers")
}

impl Chain {
    pub(super) fn seq(&self) -> u64 {
        self.entries.len() as u64
    }

    pub(super) fn trace(&self, seq: u64) -> Option<TraceId> {
        let index = usize::try_from(seq.checked_sub(1)?).ok()?;
        self.entries.get(index).map(|(_, trace)| *trace)
    }

    pub(super) fn read(&mut self, tenant: TenantId, entry: &Entry) -> Judged {
        let fault = |what: &str| Err(Fault::new("chain", format!("entry {}: {what}", entry.seq)));
        if entry.seq != self.seq() + 1 {
            return fault(&format!("it follows {}", self.seq()));
        }
        let before = self.entries.last().map_or(Digest::ZERO, |(hash, _)| *hash);
        if entry.prev_hash != before {
            return fault("it is chained to another one");
        }
        if entry.payload_hash != sha256(&[entry.payload.as_bytes()]) {
            return fault("its payload has another hash");
        }
        let header = header(tenant, entry);
        if entry.hash != sha256(&[b"writ.entry.v1\n", header.as_bytes()]) {
            return fault("its header has another hash");
        }
        if entry
            .causation
            .is_some_and(|cause| !self.ids.contains(&cause))
        {
            return fault("its cause is not before it");
        }
        if !self.ids.insert(entry.id) {
            return fault("its id was there before");
        }
        let version = self.versions.entry(entry.stream.clone()).or_default();
        *version += 1;
        if entry.stream_version != *version {
            return fault(&format!("it is version {version} of its stream"));
        }
        self.entries.push((entry.hash, entry.trace_id));
        Ok(())
    }

    /// RFC 6962, section 2.1, as it stands there.
    pub(super) fn root(&self) -> Digest {
        let hashes: Vec<Digest> = self.entries.iter().map(|(hash, _)| *hash).collect();
        root(&hashes)
    }
}

fn root(hashes: &[Digest]) -> Digest {
    match hashes {
        [] => sha256(&[]),
        [one] => sha256(&[&[0], &one.0]),
        more => {
            let largest = (more.len() - 1).ilog2();
            let (left, right) = more.split_at(1 << largest);
            sha256(&[&[1], &root(left).0, &root(right).0])
        }
    }
}
