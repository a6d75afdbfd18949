//! Which aggregates exist: the folds that replay needs, by kind.

use kernel::aggregate::{Fold, State};
use kernel::{Impossible, Stamp};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The folds of every kind of aggregate.
#[derive(Clone, Default)]
pub struct Registry {
    folds: BTreeMap<&'static str, Fold>,
}

impl Registry {
    /// Of these folds and the ledger's own.
    #[must_use]
    pub fn new(folds: impl IntoIterator<Item = Fold>) -> Self {
        let own = [
            Fold::of::<crate::request::Request>(),
            Fold::of::<crate::checkpoint::keys::LogKeys>(),
            Fold::of::<crate::checkpoint::record::Checkpoints>(),
        ];
        let folds = folds.into_iter().chain(own).map(|f| (f.kind, f));
        Self {
            folds: folds.collect(),
        }
    }

    /// Every kind of aggregate with its kinds of events.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
        self.folds.values().map(|f| (f.kind, f.event_kinds))
    }

    /// The state of a stream of this kind after one more event.
    ///
    /// # Errors
    /// When the kind is unknown or the event cannot follow.
    pub fn step(
        &self,
        kind: &str,
        state: Option<Arc<dyn State>>,
        event: (&str, &Value),
        stamp: &Stamp,
    ) -> Result<Arc<dyn State>, Impossible> {
        (self.fold(kind)?.step)(state, event.0, event.1, stamp)
    }

    /// The state of this kind with this body.
    ///
    /// # Errors
    /// When the kind is unknown or the body is not one of its states.
    pub fn parse(&self, kind: &str, body: &str) -> Result<Arc<dyn State>, Impossible> {
        (self.fold(kind)?.parse)(body)
    }

    fn fold(&self, kind: &str) -> Result<&Fold, Impossible> {
        self.folds
            .get(kind)
            .ok_or_else(|| Impossible::new(format!("no aggregate is called `{kind}`")))
    }
}
