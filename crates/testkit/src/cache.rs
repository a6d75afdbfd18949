//! A cache with faults on demand.

use async_trait::async_trait;
use kernel::port::{Cache, CacheFault};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

/// How a [`TwinCache`] behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// It keeps what it is given.
    #[default]
    Sound,
    /// It refuses every question.
    Down,
    /// It never answers.
    Mute,
}

/// A cache in memory with faults on demand.
#[derive(Default)]
pub struct TwinCache {
    kept: Mutex<BTreeMap<String, Vec<u8>>>,
    mood: Mutex<Mood>,
}

impl TwinCache {
    fn kept(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.kept.lock().expect("no panic before")
    }

    /// Behaves like this from now on.
    pub fn set(&self, mood: Mood) {
        *self.mood.lock().expect("no panic before") = mood;
    }

    /// Changes everything that is kept.
    pub fn poison(&self, change: impl Fn(&mut Vec<u8>)) {
        self.kept().values_mut().for_each(change);
    }

    /// How much is kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept().len()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept().is_empty()
    }

    async fn answer(&self) -> Result<(), CacheFault> {
        let mood = *self.mood.lock().expect("no panic before");
        match mood {
            Mood::Sound => Ok(()),
            Mood::Down => Err(CacheFault("down".into())),
            Mood::Mute => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Cache for TwinCache {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, CacheFault> {
        self.answer().await?;
        Ok(self.kept().get(key).cloned())
    }
    async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), CacheFault> {
        self.answer().await?;
        self.kept().insert(key.to_owned(), bytes);
        Ok(())
    }
    async fn remove(&self, key: &str) -> Result<(), CacheFault> {
        self.answer().await?;
        self.kept().remove(key);
        Ok(())
    }
}
