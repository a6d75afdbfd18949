//! Places for requests. Each lane has its own, so that overload in one leaves
//! approvals, kill switch and health as fast as ever; a request that finds no
//! place is shed at once.

use crate::http::problem::{Kind, Problem};
use crate::limits;
use kernel::Haste;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Which places a route uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Most routes.
    Ordinary,
    /// What must answer under overload: health, approvals, kill switch.
    Urgent,
    /// Work over a whole log.
    Slow,
}

impl Lane {
    /// How long its commands may wait behind those of others.
    #[must_use]
    pub fn haste(self) -> Haste {
        match self {
            Self::Urgent => Haste::Urgent,
            Self::Ordinary | Self::Slow => Haste::None,
        }
    }
    /// How long a request may take until its answer begins.
    #[must_use]
    pub fn timeout(self) -> Duration {
        match self {
            Self::Ordinary | Self::Urgent => limits::REQUEST_TIMEOUT,
            Self::Slow => limits::SLOW_REQUEST_TIMEOUT,
        }
    }
}

/// The places.
pub struct Lanes {
    ordinary: Semaphore,
    urgent: Semaphore,
    slow: Semaphore,
}

impl Lanes {
    /// So many for ordinary requests, and those of the others.
    #[must_use]
    pub fn new(ordinary: usize) -> Self {
        Self {
            ordinary: Semaphore::new(ordinary),
            urgent: Semaphore::new(limits::URGENT_REQUESTS_MAX),
            slow: Semaphore::new(limits::SLOW_REQUESTS_MAX),
        }
    }
}

impl Lanes {
    /// Takes a place.
    ///
    /// # Errors
    /// `unavailable` when there is none.
    pub fn enter(&self, lane: Lane) -> Result<SemaphorePermit<'_>, Problem> {
        let places = match lane {
            Lane::Ordinary => &self.ordinary,
            Lane::Urgent => &self.urgent,
            Lane::Slow => &self.slow,
        };
        places.try_acquire().map_err(|_| {
            Problem::new(Kind::Unavailable, "too many requests are under way")
                .hint("try again after the time in `Retry-After`")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_lane_sheds_and_leaves_the_others_alone() {
        let lanes = Lanes::new(limits::ORDINARY_REQUESTS_MAX);
        let taken: Vec<_> = (0..limits::ORDINARY_REQUESTS_MAX)
            .map(|_| lanes.enter(Lane::Ordinary).unwrap())
            .collect();
        assert_eq!(
            lanes.enter(Lane::Ordinary).unwrap_err().kind,
            Kind::Unavailable
        );
        assert!(lanes.enter(Lane::Urgent).is_ok());
        drop(taken);
        assert!(lanes.enter(Lane::Ordinary).is_ok());
    }
}
