//! Time that goes by, races, processes that die in the middle, and the peace in
//! which everything comes to its end.

use super::cluster::Cluster;
use super::{Action, Played};
use crate::Fate;
use crate::judge::Fault;
use kernel::port::Clock as _;
use kernel::{Digest, Refusal, Span, StreamId, TenantId};
use ledger::Store as _;
use ledger::merkle::Frontier;
use std::collections::BTreeSet;
use std::time::Duration;

/// Ticks at one instant at most; a loop that needs more never rests.
const ROUNDS_MAX: usize = 400;
/// Instants that are visited at most.
const INSTANTS_MAX: usize = 5_000;
/// What nobody took comes again after this long, and after this long at last.
const AGAIN_SECS: u32 = 1;
const AGAIN_SECS_MAX: u32 = 32;
/// How long everything has to come to its end.
const PEACE: Span = Span::from_secs(3 * 24 * 60 * 60);
/// How long a call is waited for that will never come back.
const PATIENCE: Duration = Duration::from_secs(20);

impl Cluster {
    /// Ticks what is due at one instant until nothing is: each stream at one
    /// node after another, until one takes it. Returns whether none took one.
    async fn settle(&mut self) -> Result<bool, Fault> {
        let mut left = BTreeSet::new();
        for round in 0..ROUNDS_MAX {
            let due = self.disk.due(self.world.clock.now(), 100).await;
            let due = due.expect("a disk without faults");
            let Some(key) = due.into_iter().find(|key| !left.contains(key)) else {
                return Ok(!left.is_empty());
            };
            let mut is_taken = false;
            for number in round..round + self.nodes.len() {
                is_taken = is_taken || self.take(number, &key).await?;
            }
            if !is_taken {
                left.insert(key);
            }
        }
        let now = self.world.clock.now();
        Err(Fault {
            rule: "rest",
            what: format!("something is due for ever at {now}"),
        })
    }

    /// Ticks this stream at this node; whether it was not refused.
    async fn take(&mut self, number: usize, key: &(TenantId, StreamId)) -> Result<bool, Fault> {
        let number = self.node(number).await;
        let node = self.at(number);
        let (tenant, stream) = key;
        let done = match node.control.follow_pack(*tenant).await {
            Ok(()) => flow::tick(&node.control, *tenant, stream).await,
            Err(refusal) => Err(refusal),
        };
        self.tally.refused += usize::from(done.is_err());
        self.look().await?;
        Ok(done.is_ok())
    }

    /// This long goes by: each instant at which something is due is visited.
    /// What nobody took comes again, later each time.
    pub(super) async fn pass(&mut self, span: Span) -> Result<(), Fault> {
        let until = self.world.clock.now().plus(span);
        let mut pause = AGAIN_SECS;
        for _ in 0..INSTANTS_MAX {
            let is_left = self.settle().await?;
            let now = self.world.clock.now();
            let again = is_left.then(|| now.plus(Span::from_secs(pause)));
            pause = match is_left {
                true => (2 * pause).min(AGAIN_SECS_MAX),
                false => AGAIN_SECS,
            };
            let due = self.disk.next_due().await.expect("a disk without faults");
            let due = due.filter(|at| *at > now);
            let next = again.into_iter().chain(due).min();
            match next.filter(|at| *at <= until) {
                Some(next) => self.world.clock.set(next),
                None => {
                    self.world.clock.set(until.max(now));
                    return self.settle().await.map(drop);
                }
            }
        }
        Err(Fault {
            rule: "rest",
            what: format!("nothing settles until {until}"),
        })
    }

    /// The first is on its way to the disk while the second is done elsewhere.
    pub(super) async fn race(
        &mut self,
        first: &(usize, Action),
        second: &(usize, Action),
    ) -> Result<(), Fault> {
        let one = self.node(first.0).await;
        let other = self.node(one + 1).await;
        let mut held = self.at(one).store.hold_append();
        let (came, went, raced) = {
            let on_its_way = self.act(one, &first.1);
            tokio::pin!(on_its_way);
            let early = tokio::select! {
                biased;
                done = &mut on_its_way => Some(done),
                () = held.arrived() => None,
            };
            match early {
                Some(done) => {
                    self.at(one).store.let_go();
                    (done, self.act(other, &second.1).await, false)
                }
                None => {
                    let went = self.act(other, &second.1).await;
                    held.release();
                    (on_its_way.await, went, true)
                }
            }
        };
        self.tally.raced += usize::from(raced);
        self.answered(went).await?;
        self.answered(came).await
    }

    /// The process of this node dies while its next request is on its way.
    pub(super) async fn hang(&mut self, number: usize) {
        let number = self.node(number).await;
        let before = self.world.http.asked().len();
        self.world.http.script(&[Fate::Hang]);
        let hangs = async {
            while !self.hung(before) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let node = self.at(number);
        tokio::select! {
            biased;
            // Whatever came of it, the process is gone after it.
            _ = self.tick(node, 0, 8) => {}
            () = hangs => {}
            () = tokio::time::sleep(PATIENCE) => {}
        }
        self.world.http.unscript();
        self.restart(number).await;
    }

    fn hung(&self, before: usize) -> bool {
        let asked = self.world.http.asked();
        asked.iter().skip(before).any(|a| a.fate == Fate::Hang)
    }

    /// No more trouble: every node is started anew, and all that can end ends.
    pub(super) async fn peace(mut self) -> Result<Played, Fault> {
        self.world.http.calm();
        for number in 0..self.nodes.len() {
            self.restart(number).await;
        }
        self.pass(PEACE).await?;
        self.look().await?;
        self.judge.rest(self.world.clock.now())?;
        for tenant in self.tenants.clone() {
            self.proofs(tenant).await?;
        }
        self.tally.effects = self.world.http.effects().len();
        self.tally.entries = self.judge.entries();
        Ok(Played {
            tally: self.tally,
            kinds: self.judge.kinds().clone(),
            history: self.history().await,
        })
    }

    /// Production's own proofs, and the judge's against them: what is replayed
    /// is what stands; the tree has the root that RFC 6962 gives it; the log is
    /// the one that was read while it grew.
    async fn proofs(&self, tenant: TenantId) -> Result<(), Fault> {
        let fault = |rule, what: String| Err(Fault { rule, what });
        let store = self.disk.as_ref();
        let verified = ledger::verify::log(store, tenant, |_| {}).await;
        match verified {
            Ok(verified) if verified.is_intact() => {}
            other => return fault("verify", format!("{other:?}")),
        }
        let registry = self.at(0).control.ledger().registry();
        match ledger::replay::log(store, registry, tenant, |_| {}).await {
            Ok(replayed) if replayed.is_equal() => {}
            other => return fault("replay", format!("{other:?}")),
        }
        let unavailable = |fault: ledger::store::StoreFault| Refusal::from(fault).message;
        let head = store.head(tenant).await;
        let head =
            head.or_else(|e| fault("verify", unavailable(e)).map(|()| ledger::Head::EMPTY))?;
        let tree = Frontier::load(store, tenant, head).await;
        match tree.map(|tree| tree.root()) {
            Ok(root) if Some(root) == self.judge.root(tenant) => Ok(()),
            other => fault(
                "tree",
                format!("{other:?} is not {:?}", self.judge.root(tenant)),
            ),
        }
    }

    /// The digest of all that happened.
    async fn history(&self) -> Digest {
        let mut text = String::new();
        for tenant in &self.tenants {
            let head = self
                .disk
                .head(*tenant)
                .await
                .expect("a disk without faults");
            text.push_str(&format!("{tenant} {} {}\n", head.seq, head.hash));
        }
        for asked in self.world.http.asked() {
            text.push_str(&format!("{asked:?}\n"));
        }
        Digest::of(text.as_bytes())
    }
}
