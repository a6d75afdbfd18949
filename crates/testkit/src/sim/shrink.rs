//! Fewer moves that break the same: parts of them are left out, larger ones
//! first, as long as the same rule is broken.

use super::{Broken, Move, play_guarded};

/// Simulations that are played to shrink one failure at most.
const PLAYS_MAX: usize = 400;

/// The moves that are left, by their number in `moves`, and what they break.
pub async fn shrink(seed: u64, moves: &[Move], broken: Broken) -> (Vec<usize>, Broken) {
    let mut kept: Vec<usize> = (0..moves.len().min(broken.at + 1)).collect();
    let mut found = broken;
    let mut plays = 0;
    let mut part = kept.len().div_ceil(2);
    while part > 0 && plays < PLAYS_MAX {
        let mut from = 0;
        let mut is_smaller = false;
        while from < kept.len() && plays < PLAYS_MAX {
            let mut fewer = kept.clone();
            fewer.drain(from..(from + part).min(kept.len()));
            plays += 1;
            match breaks(seed, moves, &fewer, found.fault.rule).await {
                Some(still) => {
                    (kept, found, is_smaller) = (fewer, still, true);
                }
                None => from += part,
            }
        }
        part = match is_smaller && part == 1 {
            true => 1,
            false => part / 2,
        };
    }
    (kept, found)
}

async fn breaks(seed: u64, moves: &[Move], kept: &[usize], rule: &str) -> Option<Broken> {
    let some: Vec<Move> = kept.iter().filter_map(|n| moves.get(*n).cloned()).collect();
    let played = play_guarded(seed, &some).await;
    played.err().filter(|broken| broken.fault.rule == rule)
}
