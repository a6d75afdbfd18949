//! The committer: one thread that decides commands in the order in which they
//! come and makes groups of them durable together.

use crate::group::{Cache, Group};
use crate::store::{Store, StoreFault};
use kernel::{Ctx, Refusal, Unit};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

/// What a command came to: the positions of its first and last entry, if it
/// wrote any, or its refusal.
pub(crate) type Written = Result<Option<(u64, u64)>, Refusal>;

/// A command that waits for its turn.
pub(crate) trait Job: Send {
    /// Its circumstances.
    fn ctx(&self) -> &Ctx;
    /// Decides; the answer is kept until [`Job::answer`].
    fn decide(&mut self, unit: &mut Unit<'_>) -> Result<(), Refusal>;
    /// Sends the answer: of the decision, or the fault that took its place.
    fn answer(self: Box<Self>, written: Written);
}

/// Commands in one group at most.
const GROUP_JOBS_MAX: usize = 256;
/// How often a group is decided anew because another node wrote first.
const STALE_RETRIES_MAX: u32 = 16;
/// Conditions of packs are evaluated on this thread; the evaluator recurses.
const STACK_BYTES: usize = 64 * 1024 * 1024;

pub(crate) struct Committer {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) runtime: Handle,
    pub(crate) jobs: mpsc::Receiver<Box<dyn Job>>,
    pub(crate) commits: watch::Sender<u64>,
}

impl Committer {
    /// Starts the thread. It ends when every handle of the ledger is gone.
    pub(crate) fn start(self) -> std::io::Result<std::thread::JoinHandle<()>> {
        std::thread::Builder::new()
            .name("committer".into())
            .stack_size(STACK_BYTES)
            .spawn(move || self.run())
    }

    fn run(mut self) {
        let mut cache = Cache::default();
        while let Some(first) = self.jobs.blocking_recv() {
            let mut jobs = vec![first];
            while jobs.len() < GROUP_JOBS_MAX {
                match self.jobs.try_recv() {
                    Ok(job) => jobs.push(job),
                    Err(_) => break,
                }
            }
            self.settle(&mut cache, jobs);
        }
    }

    fn settle(&self, cache: &mut Cache, mut jobs: Vec<Box<dyn Job>>) {
        let mut tries = 0;
        let done = loop {
            let done = self.attempt(cache, &mut jobs);
            if done.is_err() {
                // What is kept may be ahead of, or behind, what storage holds.
                cache.clear();
            }
            match done {
                Err(StoreFault::Stale(_)) if tries < STALE_RETRIES_MAX => tries += 1,
                done => break done,
            }
        };
        match done {
            Ok(written) => {
                if written.iter().any(|w| matches!(w, Ok(Some(_)))) {
                    self.commits.send_modify(|count| *count += 1);
                }
                for (job, written) in jobs.into_iter().zip(written) {
                    job.answer(written);
                }
            }
            Err(fault) => {
                tracing::error!(error = %fault, commands = jobs.len(), "commit failed");
                let refusal = Refusal::from(fault);
                for job in jobs {
                    job.answer(Err(refusal.clone()));
                }
            }
        }
    }

    /// Decides every job and commits. A refusal, too, is answered only after
    /// the commit, because it may rest on what this group wrote.
    fn attempt(
        &self,
        cache: &mut Cache,
        jobs: &mut [Box<dyn Job>],
    ) -> Result<Vec<Written>, StoreFault> {
        let mut group = Group::new(self.store.as_ref(), &self.runtime, cache);
        let mut written = Vec::with_capacity(jobs.len());
        for job in jobs.iter_mut() {
            match decide(&group, job.as_mut()) {
                Ok(work) => written.push(Ok(group.absorb(job.ctx(), work)?)),
                Err(refusal) => written.push(Err(refusal)),
            }
        }
        group.commit()?;
        Ok(written)
    }
}

fn decide(group: &Group<'_>, job: &mut dyn Job) -> Result<kernel::unit::Work, Refusal> {
    let ctx = job.ctx().clone();
    ctx.rewind();
    let reader = group.reader(ctx.tenant);
    let mut unit = Unit::new(&reader, &ctx);
    // A panic in one decision must not take the others with it.
    match catch_unwind(AssertUnwindSafe(|| job.decide(&mut unit))) {
        Ok(decided) => decided.map(|()| unit.finish()),
        Err(_) => {
            tracing::error!(trace_id = %ctx.trace, "a decision panicked; nothing was recorded");
            Err(Refusal::integrity(
                "the decision failed unexpectedly; nothing was recorded",
            ))
        }
    }
}
