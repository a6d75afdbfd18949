//! An independent judge of what a ledger says and what the outside saw. It
//! reads entries as JSON and keeps books of its own; nothing here calls what
//! folds, decides, hashes or counts in production, so that one mistake cannot
//! hide in both. [`Judge::look`] reads what is new; [`Judge::rest`] says what
//! must hold once nothing is under way.

mod acts;
mod amount;
mod approvals;
mod budgets;
mod chain;
mod limit;
mod outside;
mod quorum;
mod tenants;

use crate::TwinHttp;
use crate::http::{Asked, Effect};
use acts::Acts;
use budgets::Budgets;
use chain::Chain;
use kernel::{Digest, TenantId, Timestamp};
use ledger::query::EntryQuery;
use ledger::{Entry, Store};
use limit::Steps;
use quorum::Counts;
pub use quorum::Quorums;
use serde_json::Value;
use std::collections::BTreeMap;
use tenants::Tenants;

/// What does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which rule.
    pub rule: &'static str,
    /// What was found.
    pub what: String,
}

impl Fault {
    fn new(rule: &'static str, what: impl Into<String>) -> Self {
        Self {
            rule,
            what: what.into(),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)
    }
}

type Judged = Result<(), Fault>;

/// An entry with its payload.
struct Read<'e> {
    entry: &'e Entry,
    payload: Value,
}

impl Read<'_> {
    /// The text at this place of the payload.
    fn text(&self, pointer: &str) -> Option<&str> {
        self.payload.pointer(pointer).and_then(Value::as_str)
    }

    /// The same, which must be there.
    fn need(&self, pointer: &str) -> Result<&str, Fault> {
        self.text(pointer).ok_or_else(|| {
            let what = format!("{self}: nothing at `{pointer}`");
            Fault::new("shape", what)
        })
    }

    /// The id of what it is about.
    fn id(&self) -> &str {
        self.entry.stream.id()
    }

    fn kind(&self) -> &str {
        &self.entry.kind
    }

    fn fault(&self, rule: &'static str, what: impl std::fmt::Display) -> Fault {
        Fault::new(rule, format!("{self}: {what}"))
    }
}

impl std::fmt::Display for Read<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Entry {
            seq, kind, stream, ..
        } = self.entry;
        write!(f, "entry {seq} `{kind}` of `{stream}`")
    }
}

#[derive(Default)]
struct Log {
    chain: Chain,
    budgets: Budgets,
    acts: Acts,
    steps: Steps,
    counts: Counts,
}

/// The judge of one disk with all of its logs, and of the outside.
#[derive(Default)]
pub struct Judge {
    logs: BTreeMap<TenantId, Log>,
    tenants: Tenants,
    /// How many requests the outside had when all of a tenant was stopped, or
    /// all of everyone (`None`), while it is.
    stopped: BTreeMap<Option<TenantId>, usize>,
    kinds: BTreeMap<String, usize>,
    steps_per_day: Option<usize>,
    quorums: Quorums,
}

impl Judge {
    /// A judge who knows that policy lets so many steps of a tenant through in a
    /// day, by UTC.
    #[must_use]
    pub fn with_limit(steps_per_day: usize) -> Self {
        Self {
            steps_per_day: Some(steps_per_day),
            ..Self::default()
        }
    }

    /// The same, who also knows how many people each pack asks for.
    #[must_use]
    pub fn with_quorums(self, quorums: Quorums) -> Self {
        Self { quorums, ..self }
    }

    /// Reads what the logs and the outside have got since the last look.
    ///
    /// # Errors
    /// The first thing that does not hold.
    ///
    /// # Panics
    /// When the disk does not answer.
    pub async fn look(&mut self, store: &dyn Store, http: &TwinHttp) -> Judged {
        for tenant in store.tenants().await.expect("a disk without faults") {
            let log = self.logs.entry(tenant).or_default();
            let query = EntryQuery {
                beyond_seq: Some(log.chain.seq()),
                limit: usize::MAX,
                ..EntryQuery::default()
            };
            let found = store.entries(tenant, &query).await;
            for entry in found.expect("a disk without faults") {
                self.read(tenant, &entry)?;
            }
            if let Some(log) = self.logs.get_mut(&tenant) {
                log.budgets.agree()?;
            }
        }
        self.outside(&http.asked(), &http.effects())
    }

    /// Reads one more entry of a log.
    ///
    /// # Errors
    /// What does not hold.
    pub fn read(&mut self, tenant: TenantId, entry: &Entry) -> Judged {
        let log = self.logs.entry(tenant).or_default();
        log.chain.read(tenant, entry)?;
        *self.kinds.entry(entry.kind.clone()).or_default() += 1;
        let payload = serde_json::from_str(&entry.payload)
            .map_err(|e| Fault::new("chain", format!("entry {}: {e}", entry.seq)))?;
        let read = Read { entry, payload };
        log.budgets.read(&read)?;
        log.acts.read(&read)?;
        log.steps.read(&read, self.steps_per_day)?;
        log.counts.read(&read, &self.quorums)?;
        self.tenants.read(tenant, &read)
    }

    /// It was acknowledged that all of this tenant, or of everyone, is stopped
    /// since the outside had so many requests; or that it is not any more.
    pub fn switched(&mut self, whose: Option<TenantId>, at: Option<usize>) {
        match at {
            Some(at) => drop(self.stopped.entry(whose).or_insert(at)),
            None => drop(self.stopped.remove(&whose)),
        }
    }

    /// Holds the outside against the logs.
    ///
    /// # Errors
    /// What does not hold.
    pub fn outside(&self, asked: &[Asked], effects: &[Effect]) -> Judged {
        let of = |(tenant, log): (&TenantId, &'_ Log)| {
            let tenant = *tenant;
            let all: Vec<_> = log.acts.attempts().collect();
            all.into_iter()
                .map(move |(key, attempt)| (key, (tenant, attempt)))
        };
        let attempts = self.logs.iter().flat_map(of).collect();
        outside::judge(&attempts, asked, effects, &self.stopped)
    }

    /// Whether the entries of a command that was acknowledged are there: those
    /// at these positions, each of its trace.
    ///
    /// # Errors
    /// When one is not.
    pub fn acknowledged(
        &self,
        tenant: TenantId,
        (first, last): (u64, u64),
        trace: kernel::TraceId,
    ) -> Judged {
        let chain = self.logs.get(&tenant).map(|log| &log.chain);
        for seq in first..=last {
            if chain.and_then(|chain| chain.trace(seq)) != Some(trace) {
                let what = format!("entry {seq} of {tenant} was acknowledged to {trace}");
                return Err(Fault::new("acknowledged", what));
            }
        }
        Ok(())
    }

    /// The root of a log's tree, as RFC 6962 defines it.
    #[must_use]
    pub fn root(&self, tenant: TenantId) -> Option<Digest> {
        self.logs.get(&tenant).map(|log| log.chain.root())
    }

    /// What must hold when nothing is under way: no amount is set aside beyond
    /// its time, no step is in the air, nothing that is over holds anything.
    ///
    /// # Errors
    /// What does not hold.
    pub fn rest(&self, now: Timestamp) -> Judged {
        for log in self.logs.values() {
            log.budgets.rest(now)?;
            log.acts.rest(now)?;
        }
        Ok(())
    }

    /// How many entries of each kind were read.
    #[must_use]
    pub fn kinds(&self) -> &BTreeMap<String, usize> {
        &self.kinds
    }

    /// How many entries were read.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.logs.values().map(|log| log.chain.seq()).sum()
    }
}

#[cfg(test)]
mod tests;
