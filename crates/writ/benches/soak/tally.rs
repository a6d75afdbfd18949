//! What the load was answered, and how fast.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Counts and latencies of one kind of request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kind {
    /// Answers by status; 0 is none.
    pub(crate) answers: BTreeMap<u16, u64>,
    /// The first refusal of each status, as it was told.
    pub(crate) refusals: BTreeMap<u16, String>,
    /// Milliseconds of each answer of the window that is open.
    window: Vec<f64>,
    /// And of all.
    all: Vec<f64>,
}

/// A kill.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kill {
    /// When, from the beginning.
    pub(crate) at: Duration,
    /// How long nobody was served.
    pub(crate) away: Duration,
}

/// The tally, shared by all who send.
#[derive(Default)]
pub(crate) struct Tally {
    kinds: Mutex<BTreeMap<&'static str, Kind>>,
    kills: Mutex<Vec<Kill>>,
}

/// Of some latencies, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quantiles {
    pub(crate) count: usize,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Quantiles {
    fn of(latencies: &mut [f64]) -> Self {
        latencies.sort_by(f64::total_cmp);
        let at = |numerator: usize| {
            let last = latencies.len().saturating_sub(1);
            latencies
                .get(last * numerator / 100)
                .copied()
                .unwrap_or_default()
        };
        Self {
            count: latencies.len(),
            p50: at(50),
            p99: at(99),
            max: at(100),
        }
    }
}

impl Tally {
    fn kinds(&self) -> MutexGuard<'_, BTreeMap<&'static str, Kind>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer, or that none came: `None`.
    pub(crate) fn answered(&self, kind: &'static str, status: Option<u16>, took: Duration) {
        let mut kinds = self.kinds();
        let kind = kinds.entry(kind).or_default();
        *kind.answers.entry(status.unwrap_or_default()).or_default() += 1;
        if status.is_some() {
            let millis = took.as_secs_f64() * 1000.0;
            kind.window.push(millis);
            kind.all.push(millis);
        }
    }

    /// What a refusal said; the first of its kind is kept.
    pub(crate) fn refused(&self, kind: &'static str, status: u16, said: &str) {
        let mut kinds = self.kinds();
        let refusals = &mut kinds.entry(kind).or_default().refusals;
        refusals
            .entry(status)
            .or_insert_with(|| said.chars().take(400).collect());
    }

    pub(crate) fn killed(&self, at: Duration, away: Duration) {
        let mut kills = self.kills.lock().unwrap_or_else(PoisonError::into_inner);
        kills.push(Kill { at, away });
    }

    pub(crate) fn kills(&self) -> Vec<Kill> {
        self.kills
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The latencies since the last time this was asked.
    pub(crate) fn window(&self) -> BTreeMap<&'static str, Quantiles> {
        let mut kinds = self.kinds();
        let windows = kinds.iter_mut();
        windows
            .map(|(name, kind)| (*name, Quantiles::of(&mut std::mem::take(&mut kind.window))))
            .collect()
    }

    /// Everything, by kind.
    pub(crate) fn all(&self) -> BTreeMap<&'static str, (Kind, Quantiles)> {
        let mut kinds = self.kinds();
        let kinds = kinds.iter_mut();
        kinds
            .map(|(name, kind)| (*name, (kind.clone(), Quantiles::of(&mut kind.all))))
            .collect()
    }
}
