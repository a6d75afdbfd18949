//! An object store in memory, with faults on demand. It keeps what was first
//! written under a name, as a store with a retention lock does.

use async_trait::async_trait;
use kernel::Timestamp;
use kernel::port::{Lock, ObjectFault, Objects};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use tokio::sync::watch;

#[derive(Default)]
struct Kept {
    objects: BTreeMap<String, (Vec<u8>, Lock)>,
    calls: u64,
    fail: Option<(u64, ObjectFault)>,
    lose_reply: Option<u64>,
    unlocked: bool,
    cut: bool,
}

/// An object store in memory.
pub struct TwinObjects {
    kept: Mutex<Kept>,
    held: watch::Sender<bool>,
    waiting: AtomicUsize,
}

impl Default for TwinObjects {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            held: watch::Sender::new(false),
            waiting: AtomicUsize::new(0),
        }
    }
}

impl TwinObjects {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("no panic before")
    }

    /// From now on nothing is answered, until [`TwinObjects::recover`].
    pub fn hold(&self) {
        self.held.send_replace(true);
    }
    /// How many calls wait for an answer.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Waits while nothing is answered.
    async fn pass(&self) {
        let mut held = self.held.subscribe();
        self.waiting.fetch_add(1, Ordering::SeqCst);
        // The sender lives as long as this does.
        drop(held.wait_for(|held| !held).await);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    /// From the `count`-th call on, counted from 1, every call fails so.
    pub fn fail_from(&self, count: u64, fault: ObjectFault) {
        self.kept().fail = Some((count, fault));
    }
    /// The `count`-th call does what it should, and says that it did not.
    pub fn lose_reply(&self, count: u64) {
        self.kept().lose_reply = Some(count);
    }
    /// What is written from now on is not locked.
    pub fn forget_locks(&self) {
        self.kept().unlocked = true;
    }
    /// What is read from now on lacks its second half.
    pub fn answer_half(&self) {
        self.kept().cut = true;
    }
    /// No more faults.
    pub fn recover(&self) {
        let mut kept = self.kept();
        (kept.fail, kept.lose_reply) = (None, None);
        (kept.unlocked, kept.cut) = (false, false);
        self.held.send_replace(false);
    }
    /// How often it was asked.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.kept().calls
    }
    /// The names of what it holds.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.kept().objects.keys().cloned().collect()
    }
    /// What it holds under a name, for tests that compare.
    #[must_use]
    pub fn peek(&self, name: &str) -> Option<Vec<u8>> {
        self.kept()
            .objects
            .get(name)
            .map(|(bytes, _)| bytes.clone())
    }
    /// Changes what it holds, past every lock; `None` removes it.
    pub fn tamper(&self, name: &str, bytes: Option<Vec<u8>>) {
        let mut kept = self.kept();
        match bytes {
            None => drop(kept.objects.remove(name)),
            Some(bytes) => drop(kept.objects.insert(name.to_owned(), (bytes, Lock::None))),
        }
    }

    /// Counts a call; the fault that it meets before and after its work.
    fn call(&self) -> Result<(MutexGuard<'_, Kept>, Result<(), ObjectFault>), ObjectFault> {
        let mut kept = self.kept();
        kept.calls += 1;
        let calls = kept.calls;
        if let Some((from, fault)) = &kept.fail
            && calls >= *from
        {
            return Err(fault.clone());
        }
        let reply = match kept.lose_reply {
            Some(at) if at == calls => Err(ObjectFault::Unavailable("the reply was lost".into())),
            _ => Ok(()),
        };
        Ok((kept, reply))
    }
}

#[async_trait]
impl Objects for TwinObjects {
    async fn put(&self, name: &str, bytes: &[u8], until: Timestamp) -> Result<(), ObjectFault> {
        self.pass().await;
        let (mut kept, reply) = self.call()?;
        if kept.objects.contains_key(name) {
            return Err(ObjectFault::Exists(name.to_owned()));
        }
        let lock = match kept.unlocked {
            true => Lock::None,
            false => Lock::Compliance(until),
        };
        kept.objects.insert(name.to_owned(), (bytes.to_vec(), lock));
        reply
    }

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, ObjectFault> {
        self.pass().await;
        let (kept, reply) = self.call()?;
        let found = kept.objects.get(name).map(|(bytes, _)| bytes.clone());
        reply?;
        Ok(found.map(|mut bytes| {
            if kept.cut {
                bytes.truncate(bytes.len() / 2);
            }
            bytes
        }))
    }

    async fn lock(&self, name: &str) -> Result<Lock, ObjectFault> {
        self.pass().await;
        let (kept, reply) = self.call()?;
        reply?;
        let found = kept.objects.get(name).map(|(_, lock)| *lock);
        found.ok_or_else(|| ObjectFault::Unavailable(format!("`{name}` is not there")))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectFault> {
        self.pass().await;
        let (kept, reply) = self.call()?;
        reply?;
        let names = kept.objects.keys().filter(|name| name.starts_with(prefix));
        Ok(names.cloned().collect())
    }
}
