//! Why did this happen? Walks back from an entry along its causation and along
//! the ids that its payload names, to what was known before it.

use crate::entry::Entry;
use crate::query::{EntryQuery, Order};
use crate::store::{Store, StoreFault};
use kernel::{EntryId, Refusal, StreamId, TenantId};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Entries in an answer at most.
pub const ANSWER_ENTRIES_MAX: usize = 400;
/// Entries of one stream that are followed at most, newest first.
const STREAM_ENTRIES_MAX: usize = 8;

/// One entry of an answer.
#[derive(Clone, Debug)]
pub struct Reason {
    /// The entry.
    pub entry: Entry,
    /// How many steps from the start.
    pub depth: usize,
    /// The entry that led here; `None` for the start.
    pub explains: Option<EntryId>,
}

/// The stream that an id names, by its prefix.
#[must_use]
pub fn stream_of(id: &str) -> Option<StreamId> {
    const KINDS: [(&str, &str); 14] = [
        ("dir", "directive"),
        ("apr", "approval"),
        ("run", "run"),
        ("rsv", "reservation"),
        ("prm", "permit"),
        ("cnd", "candidate"),
        ("evd", "evidence"),
        ("sig", "signal"),
        ("det", "detection"),
        ("bun", "bundle"),
        ("inc", "incident"),
        ("snp", "snapshot"),
        ("vrd", "verdict"),
        ("prn", "principal"),
    ];
    let (prefix, rest) = id.split_once('_')?;
    let hex = (rest.len() == 32 || rest.len() == 64) && rest.bytes().all(|b| b.is_ascii_hexdigit());
    let (_, kind) = KINDS.iter().find(|(p, _)| *p == prefix)?;
    hex.then(|| StreamId::new(kind, id))
}

/// Every id that stands in a payload.
fn ids(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            let shape = |t: &str| t.starts_with("ent_") || stream_of(t).is_some();
            if shape(text) {
                found.insert(text.clone());
            }
        }
        Value::Array(items) => items.iter().for_each(|i| ids(i, found)),
        Value::Object(members) => members.values().for_each(|m| ids(m, found)),
        _ => {}
    }
}

/// Everything that led to `start` (an entry id, or any id that names a
/// stream), in the order of the log.
///
/// # Errors
/// When there is no such thing, or storage does not answer.
pub async fn why(store: &dyn Store, tenant: TenantId, start: &str) -> Result<Vec<Reason>, Refusal> {
    let roots = roots(store, tenant, start).await?;
    let mut reasons: BTreeMap<u64, Reason> = BTreeMap::new();
    let mut queue: VecDeque<Reason> = roots.into();
    let mut walked: BTreeSet<String> = BTreeSet::new();
    while let Some(reason) = queue.pop_front() {
        if reasons.len() >= ANSWER_ENTRIES_MAX {
            break;
        }
        if reasons.contains_key(&reason.entry.seq) {
            continue;
        }
        for entry in led_to(store, tenant, &reason.entry, &mut walked).await? {
            queue.push_back(Reason {
                entry,
                depth: reason.depth + 1,
                explains: Some(reason.entry.id),
            });
        }
        reasons.insert(reason.entry.seq, reason);
    }
    Ok(reasons.into_values().collect())
}

async fn roots(store: &dyn Store, tenant: TenantId, start: &str) -> Result<Vec<Reason>, Refusal> {
    let missing = || {
        Refusal::not_found(format!("nothing is called `{start}`")).hint(
            "give an id as the ledger shows it, for example `run_…`, `dir_…`, `inc_…` or `ent_…`",
        )
    };
    let entries = match start.parse::<EntryId>() {
        Ok(id) => store.entry(tenant, id).await?.into_iter().collect(),
        Err(_) => {
            let stream = stream_of(start).ok_or_else(missing)?;
            of_stream(store, tenant, stream, u64::MAX).await?
        }
    };
    if entries.is_empty() {
        return Err(missing());
    }
    let root = |entry| Reason {
        entry,
        depth: 0,
        explains: None,
    };
    Ok(entries.into_iter().map(root).collect())
}

/// The entries before `entry` that it names or was caused by.
async fn led_to(
    store: &dyn Store,
    tenant: TenantId,
    entry: &Entry,
    walked: &mut BTreeSet<String>,
) -> Result<Vec<Entry>, StoreFault> {
    let mut named = BTreeSet::new();
    if let Ok(payload) = serde_json::from_str::<Value>(&entry.payload) {
        ids(&payload, &mut named);
    }
    named.extend(entry.causation.map(|c| c.to_string()));
    named.extend(entry.snapshot.map(|s| s.to_string()));
    let mut found = Vec::new();
    for id in named {
        if !walked.insert(id.clone()) {
            continue;
        }
        match id.parse::<EntryId>() {
            Ok(id) => found.extend(store.entry(tenant, id).await?),
            Err(_) => {
                if let Some(stream) = stream_of(&id) {
                    found.extend(of_stream(store, tenant, stream, entry.seq).await?);
                }
            }
        }
    }
    found.retain(|e| e.seq < entry.seq);
    Ok(found)
}

async fn of_stream(
    store: &dyn Store,
    tenant: TenantId,
    stream: StreamId,
    before_seq: u64,
) -> Result<Vec<Entry>, StoreFault> {
    let query = EntryQuery {
        stream: Some(stream),
        beyond_seq: (before_seq < u64::MAX).then_some(before_seq),
        order: Order::Descending,
        limit: STREAM_ENTRIES_MAX,
        ..EntryQuery::default()
    };
    store.entries(tenant, &query).await
}

/// The reasons as JSON: each entry with its payload, its depth and what it
/// explains.
#[must_use]
pub fn to_json(reasons: &[Reason]) -> Vec<Value> {
    let member = |reason: &Reason| {
        let mut value = reason.entry.to_json();
        if let Some(object) = value.as_object_mut() {
            object.insert("depth".into(), reason.depth.into());
            let explains = reason.explains.map(|e| e.to_string());
            object.insert("explains".into(), explains.into());
        }
        value
    };
    reasons.iter().map(member).collect()
}
