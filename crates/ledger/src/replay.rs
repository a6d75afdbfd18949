//! Replay: fold every entry again, in strict order, into a scratch store in
//! memory, and compare each state with the live one.

use crate::entry::{Entry, Head};
use crate::query::EntryQuery;
use crate::registry::Registry;
use crate::store::{Document, Store, StoreFault};
use crate::verify;
use kernel::aggregate::State;
use kernel::{Digest, Stamp, StreamId, TenantId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

const PAGE: usize = 2_000;
/// Differences named in a report at most.
const DIFFERENCES_MAX: usize = 20;

/// Where replay and the live states differ, or where replay had to stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Position in the log, where it is known.
    pub seq: Option<u64>,
    /// The stream, where it is known.
    pub stream: Option<String>,
    /// What differs.
    pub what: String,
}

/// What replay found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Whose log.
    pub tenant: TenantId,
    /// Entries folded.
    pub entries: u64,
    /// States built.
    pub states: u64,
    /// SHA-256 over every stream's name, version and state in order of name.
    pub state_hash: Digest,
    /// The first differences; empty when replay and the live states agree.
    pub differences: Vec<Difference>,
}

impl Report {
    /// Whether replay and the live states agree.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty()
    }
}

/// A state built by replay.
pub struct Rebuilt {
    /// The stream's version.
    pub version: u64,
    /// Position of its last entry.
    pub updated_seq: u64,
    /// The state.
    pub state: Arc<dyn State>,
}

/// States built by replay, by stream.
#[derive(Default)]
pub struct Scratch {
    head: Option<Head>,
    states: BTreeMap<StreamId, Rebuilt>,
}

impl Scratch {
    /// Folds the next entry. An entry that was already folded is skipped.
    ///
    /// # Errors
    /// A gap, a bad hash, or an event that cannot follow.
    pub fn fold(
        &mut self,
        registry: &Registry,
        tenant: TenantId,
        entry: &Entry,
    ) -> Result<(), Difference> {
        let head = self.head.unwrap_or(Head::EMPTY);
        if entry.seq <= head.seq {
            return Ok(());
        }
        let difference = |what: String| Difference {
            seq: Some(entry.seq),
            stream: Some(entry.stream.to_string()),
            what,
        };
        let next = verify::follows(tenant, head, entry).map_err(|f| difference(f.what))?;
        let (version, state) = match self.states.remove(&entry.stream) {
            Some(rebuilt) => (rebuilt.version, Some(rebuilt.state)),
            None => (0, None),
        };
        if entry.stream_version != version + 1 {
            return Err(difference(format!(
                "stream version {} follows {version}",
                entry.stream_version
            )));
        }
        let payload = serde_json::from_str(&entry.payload)
            .map_err(|e| difference(format!("payload does not parse: {e}")))?;
        let stamp = Stamp {
            at: entry.at,
            actor: entry.actor.clone(),
            entry: entry.id,
            version: entry.stream_version,
        };
        let state = registry
            .step(entry.stream.kind(), state, (&entry.kind, &payload), &stamp)
            .map_err(|e| difference(e.message))?;
        self.states.insert(
            entry.stream.clone(),
            Rebuilt {
                version: entry.stream_version,
                updated_seq: entry.seq,
                state,
            },
        );
        self.head = Some(next);
        Ok(())
    }

    /// The state of a stream.
    #[must_use]
    pub fn get(&self, stream: &StreamId) -> Option<&Rebuilt> {
        self.states.get(stream)
    }
}

/// Replays a tenant's whole log and compares every state with the live one.
/// Run it on a quiet log or on a copy: states that change meanwhile differ.
///
/// # Errors
/// When storage does not answer.
pub async fn log(
    store: &dyn Store,
    registry: &Registry,
    tenant: TenantId,
    mut progress: impl FnMut(u64) + Send,
) -> Result<Report, StoreFault> {
    let mut scratch = Scratch::default();
    let mut differences = Vec::new();
    let end = store.head(tenant).await?;
    let mut done = 0;
    'pages: while done < end.seq {
        let query = EntryQuery {
            beyond_seq: Some(done),
            limit: PAGE,
            ..EntryQuery::default()
        };
        let page = store.entries(tenant, &query).await?;
        if page.is_empty() {
            differences.push(Difference {
                seq: Some(done + 1),
                stream: None,
                what: format!("the log ends here but its head is at {}", end.seq),
            });
            break;
        }
        for entry in page.iter().take_while(|e| e.seq <= end.seq) {
            if let Err(difference) = scratch.fold(registry, tenant, entry) {
                differences.push(difference);
                break 'pages;
            }
            done = entry.seq;
        }
        progress(done);
    }
    if differences.is_empty() {
        compare(store, tenant, &scratch, end, &mut differences).await?;
    }
    Ok(Report {
        tenant,
        entries: done,
        states: scratch.states.len() as u64,
        state_hash: state_hash(&scratch)?,
        differences,
    })
}

async fn compare(
    store: &dyn Store,
    tenant: TenantId,
    scratch: &Scratch,
    end: Head,
    differences: &mut Vec<Difference>,
) -> Result<(), StoreFault> {
    let mut after: Option<StreamId> = None;
    let mut seen = 0_usize;
    loop {
        let page = store.all_documents(tenant, after.as_ref(), PAGE).await?;
        for live in &page {
            if live.created_seq > end.seq {
                continue;
            }
            seen += 1;
            if let Some(what) = differs(scratch.get(&live.stream), live) {
                differences.push(Difference {
                    seq: Some(live.updated_seq),
                    stream: Some(live.stream.to_string()),
                    what,
                });
            }
            if differences.len() >= DIFFERENCES_MAX {
                return Ok(());
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.stream.clone()),
            _ => break,
        }
    }
    if seen < scratch.states.len() {
        differences.push(Difference {
            seq: None,
            stream: None,
            what: format!(
                "replay builds {} states, storage holds {seen}",
                scratch.states.len()
            ),
        });
    }
    Ok(())
}

fn differs(rebuilt: Option<&Rebuilt>, live: &Document) -> Option<String> {
    let Some(rebuilt) = rebuilt else {
        return Some("storage holds a state that no entry made".into());
    };
    let refs = rebuilt.state.refs();
    let body = match rebuilt.state.body() {
        Ok(body) => body,
        Err(fault) => return Some(fault.to_string()),
    };
    let checks = [
        ("version", rebuilt.version == live.version),
        ("position", rebuilt.updated_seq == live.updated_seq),
        ("status", rebuilt.state.status() == live.status),
        ("subject", refs.subject == live.subject),
        ("directive", refs.directive == live.directive),
        ("due time", rebuilt.state.due() == live.due_at),
        ("state", body == live.body),
    ];
    checks
        .iter()
        .find(|(_, equal)| !equal)
        .map(|(what, _)| format!("its {what} is not what its entries make"))
}

fn state_hash(scratch: &Scratch) -> Result<Digest, StoreFault> {
    use sha2::Digest as _;
    let mut hasher = sha2::Sha256::new();
    for (stream, rebuilt) in &scratch.states {
        let body = rebuilt
            .state
            .body()
            .map_err(|e| StoreFault::Damaged(e.to_string()))?;
        hasher.update(format!("{stream}\n{}\n{body}\n", rebuilt.version));
    }
    Ok(Digest(hasher.finalize().into()))
}
