//! Why did this happen? Walks back from an entry along its causation and along
//! the ids that its payload names, to what was known before it.

use crate::entry::Entry;
use crate::query::{EntryQuery, Order};
use crate::store::{Store, StoreFault};
use kernel::id::{DERIVED_IDS, UUID_IDS};
use kernel::{EntryId, Refusal, StreamId, TenantId};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Entries in an answer at most.
pub const ANSWER_ENTRIES_MAX: usize = 400;
/// Ids that are looked up for an answer at most.
const LOOKUPS_MAX: usize = 2_000;
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

/// What led to something.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The entries, in the order of the log.
    pub reasons: Vec<Reason>,
    /// Whether there is more than is told here: a bound was reached.
    pub cut: bool,
}

/// The stream that an id names, by its prefix: the kind of aggregate is the
/// name of the id's type in the registry of ids.
#[must_use]
pub fn stream_of(id: &str) -> Option<StreamId> {
    let (prefix, rest) = id.split_once('_')?;
    let known = |ids: &[(&str, &'static str)]| {
        let found = ids.iter().find(|(known, _)| *known == prefix);
        found.map(|(_, name)| *name)
    };
    let (name, digits) = match (known(UUID_IDS), known(DERIVED_IDS)) {
        (Some(name), _) => (name, 32),
        (None, Some(name)) => (name, 64),
        (None, None) => return None,
    };
    let hex = rest.len() == digits && rest.bytes().all(|b| b.is_ascii_hexdigit());
    let entry = prefix == EntryId::PREFIX;
    (hex && !entry).then(|| StreamId::new(&kind_of(name), id))
}

/// The kind of aggregate whose ids are of this type: `DirectiveId`,
/// `directive`.
fn kind_of(type_name: &str) -> String {
    let mut kind = String::new();
    for letter in type_name.trim_end_matches("Id").chars() {
        if letter.is_ascii_uppercase() && !kind.is_empty() {
            kind.push('_');
        }
        kind.push(letter.to_ascii_lowercase());
    }
    kind
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
/// stream), in the order of the log, nearest first where it must be cut.
///
/// # Errors
/// When there is no such thing, or storage does not answer.
pub async fn why(store: &dyn Store, tenant: TenantId, start: &str) -> Result<Answer, Refusal> {
    let mut walk = Walk {
        store,
        tenant,
        walked: BTreeSet::new(),
        cut: false,
    };
    let mut queue: VecDeque<Reason> = walk.roots(start).await?.into();
    let mut reasons: BTreeMap<u64, Reason> = BTreeMap::new();
    while let Some(reason) = queue.pop_front() {
        if reasons.contains_key(&reason.entry.seq) {
            continue;
        }
        if reasons.len() >= ANSWER_ENTRIES_MAX {
            walk.cut = true;
            break;
        }
        for entry in walk.led_to(&reason.entry).await? {
            queue.push_back(Reason {
                entry,
                depth: reason.depth + 1,
                explains: Some(reason.entry.id),
            });
        }
        reasons.insert(reason.entry.seq, reason);
    }
    Ok(Answer {
        reasons: reasons.into_values().collect(),
        cut: walk.cut,
    })
}

/// A walk back through a log.
struct Walk<'a> {
    store: &'a dyn Store,
    tenant: TenantId,
    /// Ids that were looked up: each is, once.
    walked: BTreeSet<String>,
    cut: bool,
}

impl Walk<'_> {
    async fn roots(&mut self, start: &str) -> Result<Vec<Reason>, Refusal> {
        let missing = || {
            Refusal::not_found(format!("nothing is called `{start}`")).hint(
                "give an id as the ledger shows it, for example `run_…`, `dir_…`, `inc_…` or `ent_…`",
            )
        };
        let entries = match start.parse::<EntryId>() {
            Ok(id) => {
                let found = self.store.entry(self.tenant, id).await?;
                found.into_iter().collect()
            }
            Err(_) => {
                let stream = stream_of(start).ok_or_else(missing)?;
                self.of_stream(stream, None).await?
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
    async fn led_to(&mut self, entry: &Entry) -> Result<Vec<Entry>, StoreFault> {
        let mut named = BTreeSet::new();
        if let Ok(payload) = serde_json::from_str::<Value>(&entry.payload) {
            ids(&payload, &mut named);
        }
        named.extend(entry.causation.map(|c| c.to_string()));
        named.extend(entry.snapshot.map(|s| s.to_string()));
        let mut found = Vec::new();
        for id in named {
            if self.walked.contains(&id) {
                continue;
            }
            if self.walked.len() >= LOOKUPS_MAX {
                self.cut = true;
                break;
            }
            self.walked.insert(id.clone());
            match id.parse::<EntryId>() {
                Ok(id) => found.extend(self.store.entry(self.tenant, id).await?),
                Err(_) => {
                    if let Some(stream) = stream_of(&id) {
                        found.extend(self.of_stream(stream, Some(entry.seq)).await?);
                    }
                }
            }
        }
        found.retain(|e| e.seq < entry.seq);
        Ok(found)
    }

    async fn of_stream(
        &mut self,
        stream: StreamId,
        before_seq: Option<u64>,
    ) -> Result<Vec<Entry>, StoreFault> {
        let query = EntryQuery {
            stream: Some(stream),
            beyond_seq: before_seq,
            order: Order::Descending,
            limit: STREAM_ENTRIES_MAX + 1,
            ..EntryQuery::default()
        };
        let mut entries = self.store.entries(self.tenant, &query).await?;
        self.cut |= entries.len() > STREAM_ENTRIES_MAX;
        entries.truncate(STREAM_ENTRIES_MAX);
        Ok(entries)
    }
}

/// The answer as JSON: `items`, each entry with its payload, its depth and what
/// it explains, and `cut`.
#[must_use]
pub fn to_json(answer: &Answer) -> Value {
    let member = |reason: &Reason| {
        let mut value = reason.entry.to_json();
        if let Some(object) = value.as_object_mut() {
            object.insert("depth".into(), reason.depth.into());
            let explains = reason.explains.map(|e| e.to_string());
            object.insert("explains".into(), explains.into());
        }
        value
    };
    let items: Vec<_> = answer.reasons.iter().map(member).collect();
    serde_json::json!({ "items": items, "cut": answer.cut })
}
