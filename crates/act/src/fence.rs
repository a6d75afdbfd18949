//! The fence: what a node looks at last, when a call is about to leave it. A
//! step is admitted in the log, and the call is made outside of it, later; a
//! kill switch that is engaged in between must still hold.
//!
//! | decided here                            | done by the shell                 |
//! |-----------------------------------------|-----------------------------------|
//! | whether what was seen is fresh enough   | reads the log ([`Lookout`])       |
//! | whether a call may leave                | tells of what it engaged, waits   |
//! |                                         | [`limits::SETTLE`], acknowledges  |
//!
//! INVARIANT(stopped-when-acknowledged): a call leaves only within
//! [`limits::SIGHT`] of the beginning of a look at the log that showed no stop,
//! by the clock of the node itself, which nobody sets. An engagement is
//! acknowledged when it is recorded, this node's fence is up, and, where other
//! nodes share the log, [`limits::SETTLE`] has passed: whoever looked before
//! the record cannot go by that look any more. On the node itself nothing is
//! waited for: raising the fence excludes the calls that are just leaving.

use crate::limits;
use async_trait::async_trait;
use gate::kill::StoppedBy;
use gate::permit::Purpose;
use gate::{KillSwitch, Permit};
use kernel::port::Clock;
use kernel::{Actor, Digest, Refusal, ReservationId, Span, TenantId};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// What the log says of a kill switch.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    /// The version of its stream.
    pub version: u64,
    /// Its state.
    pub switch: Arc<KillSwitch>,
}

/// Looks at the log. What it reads is at least as new as the beginning of the
/// call.
#[async_trait]
pub trait Lookout: Send + Sync {
    /// The kill switch of a tenant.
    ///
    /// # Errors
    /// When storage does not answer.
    async fn kill_switch(&self, tenant: TenantId) -> Result<Sight, Refusal>;
    /// Whether this reservation is held still.
    ///
    /// # Errors
    /// When storage does not answer.
    async fn is_held(&self, tenant: TenantId, id: ReservationId) -> Result<bool, Refusal>;
    /// The tenant whose switch may stop every tenant. Known once a kill switch
    /// was looked at; nobody can stop every tenant where there is none.
    fn home(&self) -> Option<TenantId>;
    /// The policy set that is in force on this node.
    fn policy(&self, tenant: TenantId) -> Option<Digest>;
}

/// What a permit lets through, as long as the fence is open for it.
#[derive(Clone, Debug)]
pub struct Call {
    tenant: TenantId,
    module: String,
    issued_by: Actor,
    purpose: Purpose,
    policy: Digest,
    reservation: ReservationId,
}

impl Call {
    /// Whose it is.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The call that this permit is for.
    #[must_use]
    pub fn of(permit: &Permit) -> Self {
        Self {
            tenant: permit.tenant(),
            module: permit.module().to_owned(),
            issued_by: permit.issued_by().clone(),
            purpose: permit.purpose(),
            policy: permit.policy(),
            reservation: permit.reservation(),
        }
    }
}

/// Why a call does not leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Barred {
    /// It is stopped.
    Stopped(StoppedBy),
    /// Another policy set is in force than the one that permitted it.
    Policy,
    /// What was set aside for it is not held any more.
    Unpaid,
    /// The log could not be looked at lately.
    Unseen,
}

impl fmt::Display for Barred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the call did not leave: ")?;
        match self {
            Self::Stopped(stopped) => stopped.fmt(f),
            Self::Policy => f.write_str("another policy set came into force"),
            Self::Unpaid => f.write_str("its reservation is not held any more"),
            Self::Unseen => f.write_str("the log could not be read in time"),
        }
    }
}

/// What was seen, and when looking began by the node's own clock.
struct Seen {
    sight: Sight,
    at: Span,
}

/// The fence of one node.
pub struct Fence {
    lookout: Arc<dyn Lookout>,
    clock: Arc<dyn Clock>,
    seen: RwLock<BTreeMap<TenantId, Seen>>,
}

impl Fence {
    /// The fence of a node that sees the log so.
    #[must_use]
    pub fn new(lookout: Arc<dyn Lookout>, clock: Arc<dyn Clock>) -> Self {
        let seen = RwLock::default();
        Self {
            lookout,
            clock,
            seen,
        }
    }

    /// Looks at a tenant's kill switch. When this returns, no call leaves this
    /// node that it stops.
    ///
    /// # Errors
    /// When storage does not answer; what was seen before ages on.
    pub async fn look(&self, tenant: TenantId) -> Result<(), Refusal> {
        let at = self.clock.monotonic();
        let sight = self.lookout.kill_switch(tenant).await?;
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        // Looks that overlap may come back in any order.
        let newest = seen.get(&tenant).filter(|known| {
            let known = (known.sight.version, known.at);
            known > (sight.version, at)
        });
        if newest.is_none() {
            seen.insert(tenant, Seen { sight, at });
        }
        Ok(())
    }

    /// What stops every tenant, by a look that is fresh.
    ///
    /// # Errors
    /// When storage did not answer in time: it is not known what may start.
    pub async fn everywhere(&self, tenant: TenantId) -> Result<Option<StoppedBy>, Refusal> {
        self.refresh(tenant).await;
        let Some(home) = self.lookout.home() else {
            return Ok(None);
        };
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        let known = seen.get(&home).filter(|known| self.is_fresh(known));
        let known = known.ok_or_else(|| {
            Refusal::unavailable("it is not known whether the kill switch `global` is engaged")
                .hint("check the disk or database, then retry")
        })?;
        Ok(known.sight.switch.everywhere())
    }

    fn is_fresh(&self, known: &Seen) -> bool {
        let age = self.clock.monotonic().as_micros() - known.at.as_micros();
        age < limits::SIGHT.as_micros()
    }

    fn age(&self, tenant: TenantId) -> Option<Span> {
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        let at = seen.get(&tenant)?.at;
        let age = self.clock.monotonic().as_micros() - at.as_micros();
        Some(Span::from_micros(age))
    }

    /// Looks again at the tenant's switch and the one of all tenants, where the
    /// last look is old. When it fails, the last one counts for as long as it
    /// may.
    pub(crate) async fn refresh(&self, tenant: TenantId) {
        self.refresh_one(tenant).await;
        if let Some(home) = self.lookout.home().filter(|home| *home != tenant) {
            self.refresh_one(home).await;
        }
    }

    async fn refresh_one(&self, tenant: TenantId) {
        let fresh = self.age(tenant).is_some_and(|age| age < limits::LOOK_AGAIN);
        if !fresh {
            drop(self.look(tenant).await);
        }
    }

    /// Whether this call may leave now: its stops, its policy, its reservation.
    ///
    /// # Errors
    /// Why it may not.
    pub async fn admits(&self, call: &Call) -> Result<(), Barred> {
        let held = self.lookout.is_held(call.tenant, call.reservation).await;
        match held {
            Ok(true) => {}
            Ok(false) => return Err(Barred::Unpaid),
            Err(_) => return Err(Barred::Unseen),
        }
        self.refresh(call.tenant).await;
        self.pass(call, || ())
    }

    /// Whether the probe of a drill may leave: asked in the way of a call.
    pub async fn lets_probe(&self, tenant: TenantId) -> bool {
        self.refresh(tenant).await;
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        let known = seen.get(&tenant).filter(|known| self.is_fresh(known));
        known.is_some_and(|known| known.sight.switch.drilling.is_none())
    }

    /// What stops this call, by a look that is not old. It may have left before
    /// it was stopped.
    pub async fn stops(&self, call: &Call) -> Option<StoppedBy> {
        self.refresh(call.tenant).await;
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        self.stopped(&seen, call)
    }

    fn stopped(&self, seen: &BTreeMap<TenantId, Seen>, call: &Call) -> Option<StoppedBy> {
        let own = seen.get(&call.tenant).and_then(|known| {
            let switch = &known.sight.switch;
            switch.bars(call.purpose, &call.module, &call.issued_by)
        });
        let everywhere = || {
            let home = seen.get(&self.lookout.home()?)?;
            home.sight.switch.everywhere()
        };
        match call.purpose {
            Purpose::Step => own.or_else(everywhere),
            Purpose::Compensation => own,
        }
    }

    /// Lets the call leave by `start`, or not. While `start` runs, the fence is
    /// not raised: an engagement on this node is acknowledged before it or
    /// after it.
    ///
    /// # Errors
    /// Why it did not leave; `start` was not called then.
    pub(crate) fn pass<T>(&self, call: &Call, start: impl FnOnce() -> T) -> Result<T, Barred> {
        if self.lookout.policy(call.tenant) != Some(call.policy) {
            return Err(Barred::Policy);
        }
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(stopped) = self.stopped(&seen, call) {
            return Err(Barred::Stopped(stopped));
        }
        let is_seen = |tenant| seen.get(&tenant).is_some_and(|known| self.is_fresh(known));
        let home = self.lookout.home();
        if !is_seen(call.tenant) || home.is_some_and(|home| !is_seen(home)) {
            return Err(Barred::Unseen);
        }
        Ok(start())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use gate::kill::Scope;
    use kernel::{Code, Timestamp};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

    /// A log and a clock in the hands of a test.
    #[derive(Default)]
    pub(crate) struct Watched {
        log: Mutex<Sight>,
        home: Mutex<Sight>,
        has_home: AtomicBool,
        silent: AtomicBool,
        spent: AtomicBool,
        other_policy: AtomicBool,
        looks: AtomicI64,
        /// How long a look takes, in microseconds.
        takes: AtomicI64,
        now: AtomicI64,
    }

    impl Watched {
        pub(crate) fn fence(self) -> Arc<Fence> {
            let watched = Arc::new(self);
            Arc::new(Fence::new(watched.clone(), watched))
        }

        fn pass_time(&self, span: Span) {
            self.now.fetch_add(span.as_micros(), Ordering::SeqCst);
        }

        fn engage(&self, scope: &str) {
            Self::engage_in(&self.log, scope);
        }

        fn engage_in(log: &Mutex<Sight>, scope: &str) {
            let mut log = log.lock().unwrap();
            let engaged = serde_json::json!({
                "engaged": { scope: {
                    "status": "engaged", "by": "human:ann", "at": Timestamp::EPOCH,
                    "reason": "a test", "release": null,
                }},
                "drills": [],
            });
            *log = Sight {
                version: log.version + 1,
                switch: Arc::new(serde_json::from_value(engaged).unwrap()),
            };
        }
    }

    impl Clock for Watched {
        fn now(&self) -> Timestamp {
            Timestamp::EPOCH
        }
        fn monotonic(&self) -> Span {
            Span::from_micros(self.now.load(Ordering::SeqCst))
        }
    }

    #[async_trait]
    impl Lookout for Watched {
        async fn kill_switch(&self, tenant: TenantId) -> Result<Sight, Refusal> {
            if tenant == home() {
                return Ok(self.home.lock().unwrap().clone());
            }
            self.looks.fetch_add(1, Ordering::SeqCst);
            if self.silent.load(Ordering::SeqCst) {
                return Err(Refusal::unavailable("no answer"));
            }
            let sight = self.log.lock().unwrap().clone();
            let takes = self.takes.load(Ordering::SeqCst);
            self.now.fetch_add(takes, Ordering::SeqCst);
            Ok(sight)
        }
        async fn is_held(&self, _: TenantId, _: ReservationId) -> Result<bool, Refusal> {
            Ok(!self.spent.load(Ordering::SeqCst))
        }
        fn home(&self) -> Option<TenantId> {
            self.has_home.load(Ordering::SeqCst).then(home)
        }
        fn policy(&self, _: TenantId) -> Option<Digest> {
            let other = self.other_policy.load(Ordering::SeqCst);
            Some(Digest::of(if other { b"b" } else { b"a" }))
        }
    }

    pub(crate) fn call(module: &str) -> Call {
        Call {
            tenant: TenantId(Default::default()),
            module: module.to_owned(),
            issued_by: Actor::system("test"),
            purpose: Purpose::Step,
            policy: Digest::of(b"a"),
            reservation: ReservationId(Default::default()),
        }
    }

    /// The tenant whose switch may stop every tenant.
    const HOME: &str = "ten_00000000000070008000000000000007";

    fn home() -> TenantId {
        HOME.parse().unwrap()
    }

    fn watched() -> (Arc<Watched>, Fence) {
        let watched = Arc::new(Watched::default());
        let fence = Fence::new(watched.clone(), watched.clone());
        (watched, fence)
    }

    #[tokio::test]
    async fn a_look_counts_from_its_beginning_and_for_so_long() {
        let (log, fence) = watched();
        let call = call("a");
        assert_eq!(
            fence.pass(&call, || ()),
            Err(Barred::Unseen),
            "never looked"
        );
        fence.look(call.tenant).await.unwrap();
        log.pass_time(Span::from_micros(limits::SIGHT.as_micros() - 1));
        assert_eq!(fence.pass(&call, || 1), Ok(1));
        log.pass_time(Span::from_micros(1));
        assert_eq!(fence.pass(&call, || 1), Err(Barred::Unseen));
        // An engagement may be recorded while the answer is on its way.
        log.takes.store(limits::SIGHT.as_micros(), Ordering::SeqCst);
        assert_eq!(fence.admits(&call).await, Err(Barred::Unseen));
    }

    #[tokio::test]
    async fn it_looks_again_when_the_last_look_is_old_and_goes_by_it_while_it_may() {
        let (log, fence) = watched();
        let call = call("a");
        let looks = || log.looks.load(Ordering::SeqCst);
        assert_eq!(fence.admits(&call).await, Ok(()));
        assert_eq!(fence.admits(&call).await, Ok(()));
        assert_eq!(looks(), 1);
        log.pass_time(limits::LOOK_AGAIN);
        log.silent.store(true, Ordering::SeqCst);
        assert_eq!(fence.admits(&call).await, Ok(()));
        assert_eq!(looks(), 2);
        log.pass_time(limits::LOOK_AGAIN);
        assert_eq!(fence.admits(&call).await, Err(Barred::Unseen));
        let fault = fence.look(call.tenant).await.unwrap_err();
        assert_eq!(fault.code, Code::Unavailable);
    }

    #[tokio::test]
    async fn what_is_stopped_is_barred_by_its_scope() {
        let (log, fence) = watched();
        log.engage("tool:a");
        fence.look(call("a").tenant).await.unwrap();
        let barred = fence.admits(&call("a")).await.unwrap_err();
        let Barred::Stopped(stopped) = barred else {
            panic!("{barred:?}");
        };
        assert_eq!(stopped.scope, Scope::Tool("a".into()));
        assert_eq!(fence.admits(&call("b")).await, Ok(()));
        // An older look that comes back late changes nothing.
        *log.log.lock().unwrap() = Sight::default();
        fence.look(call("a").tenant).await.unwrap();
        assert!(fence.admits(&call("a")).await.is_err());
        // Undoing goes on under what stops everything.
        log.engage("tool:c");
        log.engage("tenant");
        log.engage("tenant");
        fence.look(call("a").tenant).await.unwrap();
        let undo = Call {
            purpose: Purpose::Compensation,
            ..call("a")
        };
        assert!(fence.admits(&call("b")).await.is_err());
        assert_eq!(fence.admits(&undo).await, Ok(()));
    }

    #[tokio::test]
    async fn what_is_stopped_everywhere_is_barred_in_each_tenant() {
        let (log, fence) = watched();
        log.has_home.store(true, Ordering::SeqCst);
        assert_eq!(fence.admits(&call("a")).await, Ok(()));
        assert_eq!(fence.everywhere(call("a").tenant).await, Ok(None));
        Watched::engage_in(&log.home, "tenant");
        fence.look(home()).await.unwrap();
        assert_eq!(fence.admits(&call("a")).await, Ok(()), "only home itself");
        Watched::engage_in(&log.home, "global");
        fence.look(home()).await.unwrap();
        let barred = fence.admits(&call("a")).await.unwrap_err();
        assert!(matches!(barred, Barred::Stopped(by) if by.scope == Scope::Global));
        let undo = Call {
            purpose: Purpose::Compensation,
            ..call("a")
        };
        assert_eq!(fence.admits(&undo).await, Ok(()));
        let known = fence.everywhere(call("a").tenant).await.unwrap();
        assert_eq!(known.map(|by| by.scope), Some(Scope::Global));
    }

    #[tokio::test]
    async fn another_policy_and_a_lost_reservation_bar_it() {
        let (log, fence) = watched();
        log.spent.store(true, Ordering::SeqCst);
        assert_eq!(fence.admits(&call("a")).await, Err(Barred::Unpaid));
        log.spent.store(false, Ordering::SeqCst);
        log.other_policy.store(true, Ordering::SeqCst);
        assert_eq!(fence.admits(&call("a")).await, Err(Barred::Policy));
    }

    #[test]
    fn raising_it_excludes_the_calls_that_are_leaving() {
        let (log, fence) = watched();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let call = call("a");
        runtime.block_on(fence.look(call.tenant)).unwrap();
        let (left, raised) = (AtomicBool::new(false), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let (entered, wait) = std::sync::mpsc::channel();
            let (fence, call, left) = (&fence, &call, &left);
            scope.spawn(move || {
                let start = || {
                    entered.send(()).unwrap();
                    std::thread::sleep(std::time::Duration::from_millis(50));
                    left.store(true, Ordering::SeqCst);
                };
                fence.pass(call, start).unwrap();
            });
            wait.recv().unwrap();
            log.engage("tenant");
            runtime.block_on(fence.look(call.tenant)).unwrap();
            raised.store(left.load(Ordering::SeqCst), Ordering::SeqCst);
        });
        assert!(
            raised.load(Ordering::SeqCst),
            "raised while a call was leaving"
        );
        assert!(fence.pass(&call, || ()).is_err());
    }
}
