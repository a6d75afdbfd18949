//! Replay: fold every entry again, in strict order, into a scratch store in
//! memory, and compare each state with the live one.
//!
//! The scratch store holds the states of a range of stream names. When they
//! outgrow the memory that is allowed, the range is cut, and another pass over
//! the log builds the rest: the memory is bound, and a log with more states
//! than fit is read more than once. The first pass checks the chain. Reading,
//! checking and folding run beside each other.

mod ask;
mod compare;
mod states;
mod stream;

pub use ask::{Ask, answer};
pub use states::Rebuilt;
pub use stream::{STREAMS_MAX, as_of, belonging, streams};

use crate::entry::Head;
use crate::registry::Registry;
use crate::row::{Rows, Seqs};
use crate::store::{Store, StoreFault};
use crate::verify::{Checker, Fault, Progress, blocking};
use compare::Compared;
use kernel::{Digest, TenantId};
use serde::{Deserialize, Serialize};
use states::{Names, States};
use std::sync::Arc;

/// Differences named in a report at most.
const DIFFERENCES_MAX: usize = 20;
/// Bytes of rows that are read at a time, about.
const ROWS_BYTES: usize = 1024 * 1024;
/// Bytes that the states of one pass may take, about, when nothing else is
/// asked for.
pub const MEMORY_BYTES: usize = 256 * 1024 * 1024;

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
    /// The position that the states are as of; `None` when they were compared
    /// with the live ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of_seq: Option<u64>,
    /// Entries folded.
    pub entries: u64,
    /// How often the log was read.
    pub passes: u64,
    /// States built.
    pub states: u64,
    /// SHA-256 over the name, version and state of every stream that was
    /// built, in order of name.
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

/// How a whole log is replayed.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Only up to this position; then there is nothing to compare with.
    pub until_seq: Option<u64>,
    /// Bytes that the states of one pass may take, about.
    pub memory_bytes: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            until_seq: None,
            memory_bytes: MEMORY_BYTES,
        }
    }
}

/// What is replayed: a log up to its end.
#[derive(Clone, Copy)]
struct Source<'a> {
    store: &'a dyn Store,
    registry: &'a Registry,
    tenant: TenantId,
    end: Head,
}

/// Replays a tenant's whole log and compares every state with the live one.
/// Entries may be appended meanwhile: a state that has moved on is compared
/// where it stands then.
///
/// # Errors
/// When storage does not answer.
pub async fn log(
    store: &dyn Store,
    registry: &Registry,
    tenant: TenantId,
    progress: impl FnMut(Progress) + Send,
) -> Result<Report, StoreFault> {
    by_plan(store, registry, tenant, Plan::default(), progress).await
}

/// Replays a tenant's whole log by this plan.
///
/// # Errors
/// When storage does not answer.
pub async fn by_plan(
    store: &dyn Store,
    registry: &Registry,
    tenant: TenantId,
    plan: Plan,
    mut progress: impl FnMut(Progress) + Send,
) -> Result<Report, StoreFault> {
    let head = store.head(tenant).await?;
    let seq = head.seq.min(plan.until_seq.unwrap_or(u64::MAX));
    let end = match seq == head.seq {
        true => head,
        // Where the log is cut off here, its hash is not known beforehand.
        false => Head {
            seq,
            hash: Digest::ZERO,
        },
    };
    let source = Source {
        store,
        registry,
        tenant,
        end,
    };
    let mut compared = Compared::default();
    let (mut passes, mut entries) = (0, 0);
    let mut names = Names::default();
    loop {
        let chain = (passes == 0).then(|| (Checker::new(tenant), Head::EMPTY));
        let pass = Pass {
            states: States::new(names, plan.memory_bytes),
            chain,
        };
        let report = |done, cuts: u32| {
            // The names are cut in halves, so that the rest needs about so
            // many passes more.
            let total = passes + (1 << cuts.min(20));
            progress(Progress {
                done: passes * seq + done,
                total: total * seq,
            });
        };
        let (pass, stopped) = run(&source, pass, report).await?;
        passes += 1;
        if let Some((_, reached)) = pass.chain {
            entries = reached.seq;
        }
        if let Some(difference) = stopped {
            compared.note(difference);
            break;
        }
        names = pass.states.names.clone();
        let states = blocking(|| pass.states.into_sorted()).await?;
        compared = match plan.until_seq {
            None => compare::with_live(&source, &names, states, compared).await?,
            Some(_) => compare::alone(&source, states, compared).await?,
        };
        match names.until.take() {
            Some(until) if !compared.is_full() => names.from = until,
            _ => break,
        }
    }
    Ok(Report {
        tenant,
        as_of_seq: plan.until_seq,
        entries,
        passes,
        states: compared.states,
        state_hash: compared.state_hash(),
        differences: compared.differences,
    })
}

/// One reading of the log.
struct Pass {
    states: States,
    /// The chain as far as it was checked; `None` when a pass before did.
    chain: Option<(Checker, Head)>,
}

/// Reads the log once and folds it into the states of the pass. Returns what
/// made it stop, if anything did.
async fn run(
    source: &Source<'_>,
    mut pass: Pass,
    mut progress: impl FnMut(u64, u32) + Send,
) -> Result<(Pass, Option<Difference>), StoreFault> {
    let registry = Arc::new(source.registry.clone());
    let first = Seqs {
        from: 0,
        until: source.end.seq,
    };
    let mut ahead = read(source, (source.end.seq > 0).then_some(first)).await?;
    while let Some(rows) = ahead {
        let last = rows.last_seq().unwrap_or(0);
        let next = rows.more.then_some(Seqs {
            from: last + 1,
            until: source.end.seq,
        });
        let (chain, states) = (pass.chain, pass.states);
        let (to_check, to_fold, registry) = (rows.clone(), rows, registry.clone());
        let (read, checked, folded) = tokio::join!(
            read(source, next),
            blocking(move || check(chain, &to_check)),
            blocking(move || fold(states, &registry, &to_fold)),
        );
        let (chain, broken) = checked?;
        let (states, impossible) = folded?;
        pass = Pass { states, chain };
        if let Some(difference) = first_of(broken, impossible) {
            return Ok((pass, Some(difference)));
        }
        progress(last, pass.states.cuts);
        ahead = read?;
    }
    let ended = pass
        .chain
        .as_ref()
        .and_then(|(_, head)| elsewhere(source.end, *head));
    Ok((pass, ended))
}

async fn read(source: &Source<'_>, seqs: Option<Seqs>) -> Result<Option<Arc<Rows>>, StoreFault> {
    let Some(seqs) = seqs else { return Ok(None) };
    let rows = source.store.rows(source.tenant, seqs, ROWS_BYTES).await?;
    Ok(Some(Arc::new(rows)))
}

type Chain = Option<(Checker, Head)>;

/// Checks that these rows go on with the chain, where it is being checked.
fn check(mut chain: Chain, rows: &Rows) -> (Chain, Option<Difference>) {
    for row in rows.iter() {
        let Some((checker, head)) = &mut chain else {
            break;
        };
        match checker.follows(*head, &row) {
            Ok(next) => *head = next,
            Err(fault) => {
                let stream = Some(row.stream.to_owned());
                return (chain, Some(Difference::of(fault, stream)));
            }
        }
    }
    let reached = chain.as_ref().map(|(_, head)| head.seq);
    let broken = rows.broken.as_ref().map(|broken| {
        let last = reached.or(rows.last_seq()).unwrap_or(broken.seq - 1);
        Difference::of(Fault::broken(last, broken), None)
    });
    (chain, broken)
}

fn fold(mut states: States, registry: &Registry, rows: &Rows) -> (States, Option<Difference>) {
    let impossible = states.fold(registry, rows).err();
    (states, impossible)
}

impl Difference {
    fn of(fault: Fault, stream: Option<String>) -> Self {
        Self {
            seq: Some(fault.seq),
            stream,
            what: fault.what,
        }
    }
}

/// The one that comes first in the log; a broken chain before an event that
/// cannot follow.
fn first_of(broken: Option<Difference>, impossible: Option<Difference>) -> Option<Difference> {
    match (broken, impossible) {
        (Some(broken), Some(impossible)) if impossible.seq < broken.seq => Some(impossible),
        (Some(broken), _) => Some(broken),
        (None, impossible) => impossible,
    }
}

/// What is wrong when the log ends at `found` and not at `end`.
fn elsewhere(end: Head, found: Head) -> Option<Difference> {
    let what = match found.seq == end.seq {
        true if end.hash == Digest::ZERO || end.hash == found.hash => return None,
        true => "the head of the log was recorded with another hash".to_owned(),
        false => format!("the log ends here but its head is at {}", end.seq),
    };
    Some(Difference {
        seq: Some(found.seq + 1),
        stream: None,
        what,
    })
}
