//! The committer: one thread that decides commands in the order in which they
//! come, those in haste first. Groups of them are made durable together by another thread, the
//! writer, while the next group is decided on what the one before will leave.

use crate::group::{Group, States};
use crate::store::{Store, StoreFault};
use crate::writer::{Landed, Writer, write};
use kernel::{Ctx, Refusal, TenantId, Unit};
use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

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

type Jobs = mpsc::Receiver<Box<dyn Job>>;

/// Commands in one group at most.
const GROUP_JOBS_MAX: usize = 256;
/// Entries after which a group takes no more: a command in haste waits while
/// one group is written, and then its own.
const GROUP_ENTRIES_MAX: u64 = 256;
/// How long deciding a group may take, for the same reason; where writing the
/// one before took longer, as long as that, up to a bound: what is decided
/// meanwhile makes nobody wait.
const GROUP_TOOK_MIN: Duration = Duration::from_millis(10);
const GROUP_TOOK_MAX: Duration = Duration::from_millis(50);
/// Commands in haste that a full group still takes, so that none waits for one
/// more commit because others came in numbers.
const GROUP_URGENT_MAX: usize = 64;
/// A group of fewer commands is written by the committer itself: handing it
/// over costs more than what could be decided meanwhile.
const HAND_OVER_JOBS_MIN: usize = 8;
/// How often a group is decided anew because another node wrote first.
const STALE_RETRIES_MAX: u32 = 16;
/// After how many of them the logs are claimed: a node that is always later
/// would otherwise never get to write.
const STALE_RETRIES_FREE: u32 = 3;
/// Conditions of packs are evaluated on this thread; the evaluator recurses.
const STACK_BYTES: usize = 64 * 1024 * 1024;

pub(crate) struct Committer {
    store: Arc<dyn Store>,
    runtime: Handle,
    /// Commands in haste, which come before all others.
    urgent: mpsc::Receiver<Box<dyn Job>>,
    jobs: mpsc::Receiver<Box<dyn Job>>,
    commits: watch::Sender<u64>,
    /// Why the last commit failed; `None` when it did not.
    fault: Arc<watch::Sender<Option<StoreFault>>>,
    writer: Writer,
    states: States,
    /// The group that is being decided.
    open: Open,
    /// The group that is being written.
    flight: Option<Flight>,
    /// Commands that were decided on what another node overtook, and stand
    /// behind a full group. They come before those that are new.
    behind: VecDeque<Box<dyn Job>>,
    /// How long the last group took to write.
    last_took: Duration,
    /// How often the group that is next to be answered was decided anew.
    tries: u32,
    ended: bool,
}

/// A group that is being decided.
#[derive(Default)]
struct Open {
    group: Group,
    jobs: Vec<Box<dyn Job>>,
    written: Vec<Written>,
    /// How many entries they wrote.
    entries: u64,
    /// How long it took so far.
    took: Duration,
    /// What storage said when it was asked for the end of a log.
    fault: Option<StoreFault>,
}

impl Open {
    /// Whether it takes no more commands, but for those in haste, when the group
    /// before took so long to write.
    fn is_full(&self, last_took: Duration) -> bool {
        self.jobs.len() >= GROUP_JOBS_MAX
            || self.entries >= GROUP_ENTRIES_MAX
            || self.took >= last_took.clamp(GROUP_TOOK_MIN, GROUP_TOOK_MAX)
    }
}

/// A group that is being written.
struct Flight {
    jobs: Vec<Box<dyn Job>>,
    written: Vec<Written>,
    done: oneshot::Receiver<Landed>,
}

enum Event {
    Job(Box<dyn Job>),
    Landed(Landed),
    Ended,
}

impl Committer {
    /// Starts the threads. They end when every handle of the ledger is gone.
    pub(crate) fn start(
        store: Arc<dyn Store>,
        runtime: Handle,
        (urgent, jobs): (Jobs, Jobs),
        commits: watch::Sender<u64>,
        fault: Arc<watch::Sender<Option<StoreFault>>>,
    ) -> std::io::Result<()> {
        let committer = Self {
            writer: Writer::start(store.clone(), runtime.clone())?,
            states: States::new(store.clone(), runtime.clone()),
            store,
            runtime,
            urgent,
            jobs,
            commits,
            fault,
            open: Open::default(),
            flight: None,
            behind: VecDeque::new(),
            last_took: Duration::ZERO,
            tries: 0,
            ended: false,
        };
        std::thread::Builder::new()
            .name("committer".into())
            .stack_size(STACK_BYTES)
            .spawn(move || committer.run())
            .map(drop)
    }

    fn run(mut self) {
        loop {
            match self.next() {
                Event::Job(job) => self.take(job),
                Event::Landed(landed) => self.land(landed),
                Event::Ended => self.ended = true,
            }
            while self.flight.is_none() && !self.open.jobs.is_empty() {
                self.launch();
            }
            if self.ended && self.flight.is_none() && self.behind.is_empty() {
                return;
            }
        }
    }

    /// Waits for what happens next: the group is written, or a command comes.
    fn next(&mut self) -> Event {
        let open = self.open.jobs.len();
        let is_full = self.is_full();
        let is_crammed = open >= GROUP_JOBS_MAX + GROUP_URGENT_MAX;
        if !is_full && let Some(job) = self.behind.pop_front() {
            return Event::Job(job);
        }
        let (urgent, jobs, ended) = (&mut self.urgent, &mut self.jobs, self.ended);
        let flight = self.flight.as_mut();
        let landed = async {
            match flight {
                None => std::future::pending().await,
                Some(flight) => (&mut flight.done).await.unwrap_or_else(|_| Landed::lost()),
            }
        };
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                landed = landed => Event::Landed(landed),
                // The handles of both queues go away together.
                Some(job) = urgent.recv(), if !is_crammed && !ended => Event::Job(job),
                job = jobs.recv(), if !is_full && !ended => {
                    job.map_or(Event::Ended, Event::Job)
                }
            }
        })
    }

    /// Decides this command and those that wait behind it, until the group
    /// that is being written is on disk, or, when none is, until this one is
    /// worth writing while the others are decided.
    fn take(&mut self, job: Box<dyn Job>) {
        self.decide(job);
        while !self.is_full() {
            let is_time = match &self.flight {
                Some(flight) => !flight.done.is_empty(),
                None => self.is_worth_writing(),
            };
            match self.waiting() {
                Some(job) if is_time => return self.decide(job),
                Some(job) => self.decide(job),
                None => return,
            }
        }
    }

    fn is_full(&self) -> bool {
        self.open.is_full(self.last_took)
    }

    /// Whether deciding the open group took so long, beside what writing takes,
    /// that it had better be written while the rest is decided. Where writing
    /// is what takes long, fewer commits with more in each are faster.
    fn is_worth_writing(&self) -> bool {
        let open = &self.open;
        open.jobs.len() >= HAND_OVER_JOBS_MIN && open.took >= self.last_took / 2
    }

    /// The command that is next, if one waits.
    // INVARIANT(haste-first): no command in haste waits behind one that is not
    // decided yet, however many there are.
    fn waiting(&mut self) -> Option<Box<dyn Job>> {
        if let Ok(job) = self.urgent.try_recv() {
            return Some(job);
        }
        let behind = self.behind.pop_front();
        behind.or_else(|| self.jobs.try_recv().ok())
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "how long it takes sets which commands share a commit, and no decision"
    )]
    fn decide(&mut self, mut job: Box<dyn Job>) {
        let began = Instant::now();
        let open = &mut self.open;
        let written = match decide(&open.group, &self.states, job.as_mut()) {
            Err(refusal) => Err(refusal),
            Ok(work) => match open.group.absorb(&mut self.states, job.ctx(), work) {
                Ok(seqs) => Ok(seqs),
                Err(fault) => {
                    let refusal = Refusal::from(fault.clone());
                    open.fault.get_or_insert(fault);
                    Err(refusal)
                }
            },
        };
        if let Ok(Some((first, last))) = written {
            open.entries += last + 1 - first;
        }
        open.jobs.push(job);
        open.written.push(written);
        open.took += began.elapsed();
    }

    /// Sends the open group on its way. A refusal, too, is answered only when
    /// its group is on disk, because it may rest on what this group wrote, or
    /// the one before it.
    fn launch(&mut self) {
        let open = std::mem::take(&mut self.open);
        let sealed = match open.fault {
            Some(fault) => Err(fault),
            None => open.group.seal(&mut self.states),
        };
        let (jobs, written) = (open.jobs, open.written);
        match sealed {
            Err(fault) => self.failed(jobs, fault),
            Ok(batches) if batches.is_empty() => {
                self.rest();
                self.answer(jobs, written);
            }
            Ok(batches) if jobs.len() < HAND_OVER_JOBS_MIN => {
                let landed = write(self.store.as_ref(), &self.runtime, batches);
                self.landed(jobs, written, landed);
            }
            Ok(batches) => {
                let done = self.writer.write(batches);
                self.flight = Some(Flight {
                    jobs,
                    written,
                    done,
                });
            }
        }
    }

    fn land(&mut self, landed: Landed) {
        if let Some(flight) = self.flight.take() {
            self.landed(flight.jobs, flight.written, landed);
        }
    }

    fn landed(&mut self, jobs: Vec<Box<dyn Job>>, written: Vec<Written>, landed: Landed) {
        if let Err(fault) = landed.result {
            return self.failed(jobs, fault);
        }
        self.rest();
        self.fault.send_replace(None);
        self.states.landed();
        self.last_took = landed.took;
        let answered = jobs.len();
        self.answer(jobs, written);
        self.gather(answered);
    }

    fn answer(&self, jobs: Vec<Box<dyn Job>>, written: Vec<Written>) {
        if written.iter().any(|w| matches!(w, Ok(Some(_)))) {
            self.commits.send_modify(|count| *count += 1);
        }
        for (job, written) in jobs.into_iter().zip(written) {
            job.answer(written);
        }
    }

    /// INVARIANT(decided-on-what-is-written): what was decided on a group that
    /// was not written is decided again, on what storage holds.
    fn failed(&mut self, jobs: Vec<Box<dyn Job>>, fault: StoreFault) {
        let after = std::mem::take(&mut self.open);
        let again = match fault {
            StoreFault::Stale(_) if self.tries < STALE_RETRIES_MAX => {
                let waiting = jobs.iter().chain(&after.jobs);
                self.catch_up(waiting.map(|job| job.ctx().tenant).collect())
            }
            fault => Err(fault),
        };
        match again {
            Ok(()) => jobs.into_iter().for_each(|job| self.decide(job)),
            Err(fault) => {
                // What is kept may be ahead of, or behind, what storage holds.
                self.states.forget();
                self.rest();
                tracing::error!(error = %fault, commands = jobs.len(), "commit failed");
                self.fault.send_replace(Some(fault.clone()));
                let refusal = Refusal::from(fault);
                for job in jobs {
                    job.answer(Err(refusal.clone()));
                }
            }
        }
        // A group that grew with each try would take longer each time.
        let mut after = after.jobs;
        let room = GROUP_JOBS_MAX.saturating_sub(self.open.jobs.len());
        for job in after.drain(room.min(after.len())..).rev() {
            self.behind.push_front(job);
        }
        after.into_iter().for_each(|job| self.decide(job));
    }

    /// Another node wrote first. Reads what these logs have got since; when
    /// that has happened too often, nobody else may write until this has.
    fn catch_up(&mut self, tenants: BTreeSet<TenantId>) -> Result<(), StoreFault> {
        self.tries += 1;
        if self.tries > STALE_RETRIES_FREE {
            let claimed: Vec<_> = tenants.iter().copied().collect();
            self.runtime.block_on(self.store.claim(&claimed))?;
        }
        self.states.catch_up(&tenants)
    }

    /// The group is over, whatever came of it: nothing stays claimed.
    fn rest(&mut self) {
        if std::mem::take(&mut self.tries) > STALE_RETRIES_FREE
            && let Err(fault) = self.runtime.block_on(self.store.claim(&[]))
        {
            // The store gives it up by itself when it is not used.
            tracing::warn!(error = %fault, "a claim was not given up");
        }
    }

    /// Where writing takes long, those who were just answered may come back in
    /// time for the next group: fewer commits carry more. Nothing is decided
    /// by how long it takes.
    fn gather(&mut self, answered: usize) {
        let wait = (self.last_took / GATHER_PART).min(GATHER_MAX);
        if answered + self.open.jobs.len() < 2 || wait < GATHER_STEP {
            return;
        }
        let expected = (self.open.jobs.len() + answered).min(GROUP_JOBS_MAX);
        let mut waited = Duration::ZERO;
        while self.open.jobs.len() < expected && !self.is_full() && !self.is_worth_writing() {
            match self.waiting() {
                Some(job) => self.decide(job),
                None if waited >= wait => return,
                None => {
                    std::thread::sleep(GATHER_STEP);
                    waited += GATHER_STEP;
                }
            }
        }
    }
}

/// The part of the time that the last group took to write that is waited for
/// the next one, as a divisor; at most how long, and between two looks.
const GATHER_PART: u32 = 8;
const GATHER_MAX: Duration = Duration::from_millis(1);
const GATHER_STEP: Duration = Duration::from_micros(50);

fn decide(
    group: &Group,
    states: &States,
    job: &mut dyn Job,
) -> Result<kernel::unit::Work, Refusal> {
    let ctx = job.ctx().clone();
    ctx.rewind();
    let reader = group.reader(states, ctx.tenant);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_full_by_what_it_wrote_and_by_how_long_it_took() {
        let ms = Duration::from_millis;
        let full = |entries, took, last_took| {
            let open = Open {
                entries,
                took: ms(took),
                ..Open::default()
            };
            open.is_full(ms(last_took))
        };
        assert!(!full(0, 0, 0));
        assert!(!full(255, 0, 0) && full(256, 0, 0));
        assert!(!full(1, 9, 0) && full(1, 10, 0), "it may take a little");
        assert!(!full(1, 29, 30) && full(1, 30, 30), "as long as writing");
        assert!(!full(1, 49, 900) && full(1, 50, 900), "and no longer");
    }
}
