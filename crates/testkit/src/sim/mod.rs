//! A simulator that tries to break the kernel. Several nodes over one disk, a
//! clock that is moved by hand, people, agents and sources as a seed makes
//! them up, storage and an outside that fail, processes that die at any call:
//! all of it drives the control loop that production runs, and after each move
//! the [`crate::judge`] reads what came of it.
//!
//! One thing happens at a time, or one happens while another is on its way to
//! the disk, so that a seed gives the same history again: [`Played::history`]
//! is its digest.

mod act;
mod cluster;
mod moves;
mod peace;
mod shrink;

pub use moves::{Action, Fate, Move, moves};
pub use shrink::shrink;

use crate::judge::Fault;
use cluster::Cluster;
use kernel::Digest;
use std::collections::BTreeMap;

/// What happened in a simulation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Moves that were made.
    pub moves: usize,
    /// Commands that were acknowledged.
    pub acknowledged: usize,
    /// Commands that were refused.
    pub refused: usize,
    /// Commands that were overtaken on their way to the disk.
    pub raced: usize,
    /// Processes that died.
    pub died: usize,
    /// Engagements of the kill switch.
    pub stopped: usize,
    /// Steps that reached the outside.
    pub effects: usize,
    /// Entries at the end.
    pub entries: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.moves += other.moves;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.raced += other.raced;
        self.died += other.died;
        self.stopped += other.stopped;
        self.effects += other.effects;
        self.entries += other.entries;
    }
}

/// A simulation that came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Played {
    /// What happened.
    pub tally: Tally,
    /// How many entries of each kind the logs have.
    pub kinds: BTreeMap<String, usize>,
    /// The digest of every log and of all that the outside was asked.
    pub history: Digest,
}

/// A simulation that broke something.
#[derive(Clone, Debug)]
pub struct Broken {
    /// At which of the moves, counted from 0; at their number, in the peace
    /// after them.
    pub at: usize,
    /// What does not hold.
    pub fault: Fault,
}

/// Plays these moves in the world of this seed, then lets everything come to
/// rest.
///
/// # Errors
/// The first thing that does not hold; a panic of the code under test is one.
pub async fn play(seed: u64, moves: &[Move]) -> Result<Played, Broken> {
    let mut cluster = Cluster::found(seed).await;
    for (at, each) in moves.iter().enumerate() {
        let made = cluster.make(each).await;
        made.map_err(|fault| Broken { at, fault })?;
    }
    let at = moves.len();
    let rested = cluster.peace().await;
    rested.map_err(|fault| Broken { at, fault })
}

/// Plays in a task of its own, so that a panic is a fault like any other.
///
/// # Errors
/// As [`play`].
pub async fn play_guarded(seed: u64, moves: &[Move]) -> Result<Played, Broken> {
    let all = moves.to_vec();
    match tokio::spawn(async move { play(seed, &all).await }).await {
        Ok(played) => played,
        Err(error) => {
            let panic = error.into_panic();
            let said = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            let fault = Fault {
                rule: "panic",
                what: said.unwrap_or("a panic without words").to_owned(),
            };
            Err(Broken {
                at: moves.len(),
                fault,
            })
        }
    }
}
