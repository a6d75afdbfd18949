//! The scheduler: finds the aggregates that are due and calls the tick of
//! their kind. It keeps nothing that the ledger does not know: after a crash
//! the next start finds what is due again.

use crate::control::Control;
use crate::ticks;
use kernel::{Code, Refusal, Span, StreamId, TenantId, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Streams that are ticked at the same time at most.
const TICKS_AT_ONCE: usize = 64;
/// A stream that was ticked and is due still, or again, waits this long, so
/// that a tick without effect cannot spin.
const PAUSE: Span = Span::from_millis(20);
/// Streams that are asked for at a time.
const DUE_PAGE: usize = 256;
/// The scheduler looks at least this often, whatever it believes.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// And this often while something is due.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// A stream that the gate holds back waits this long.
const BLOCKED_PAUSE: Span = Span::from_secs(1);
/// A stream whose tick failed waits this long at first, then twice as long
/// each time.
const BACKOFF_BASE: Span = Span::from_millis(250);
/// And this long at most.
const BACKOFF_MAX: Span = Span::from_secs(30);

type Key = (TenantId, StreamId);

/// A stream that is being ticked or that failed.
#[derive(Clone, Copy)]
enum Busy {
    Ticking,
    Waiting { failures: u32, until: Timestamp },
}

/// Runs until `stop` turns true, then waits for the ticks under way. Where
/// several nodes share a store, each has a scheduler, and they may tick the
/// same stream at once: a tick is a command, of which one is decided first, and
/// the other finds nothing left to do.
pub async fn run(control: Arc<Control>, mut stop: watch::Receiver<bool>) {
    let busy: Arc<Mutex<BTreeMap<Key, Busy>>> = Arc::default();
    let slots = Arc::new(Semaphore::new(TICKS_AT_ONCE));
    let mut commits = control.ledger().commits();
    let mut others = control.ledger().store().others();
    if let Some(others) = &mut others {
        // What was loaded between the opening and now.
        others.mark_changed();
    }
    let mut ticks = JoinSet::new();
    while !*stop.borrow() {
        commits.mark_unchanged();
        follow(&control, others.as_mut()).await;
        let pause = match look(&control, &busy, &slots, &mut ticks).await {
            Ok(pause) => pause,
            Err(refusal) => {
                tracing::error!(error = %refusal, "cannot find what is due");
                LOOK_EVERY
            }
        };
        tokio::select! {
            _ = stop.changed() => {}
            changed = commits.changed() => {
                if changed.is_err() {
                    break;
                }
            }
            () = tokio::time::sleep(pause) => {}
            Some(_) = ticks.join_next() => {}
        }
    }
    while ticks.join_next().await.is_some() {}
}

/// Puts in force what another node has loaded, when one has written.
async fn follow(control: &Control, others: Option<&mut watch::Receiver<u64>>) {
    let Some(others) = others.filter(|others| others.has_changed().unwrap_or(false)) else {
        return;
    };
    others.mark_unchanged();
    if let Err(refusal) = control.follow_packs().await {
        // Asked again with the next change; until then the gate refuses.
        others.mark_changed();
        tracing::error!(error = %refusal, "cannot follow the packs of other nodes");
    }
}

/// Starts a tick for each stream that is due; returns how long nothing more
/// can be due.
async fn look(
    control: &Arc<Control>,
    busy: &Arc<Mutex<BTreeMap<Key, Busy>>>,
    slots: &Arc<Semaphore>,
    ticks: &mut JoinSet<()>,
) -> Result<Duration, Refusal> {
    let store = control.ledger().store();
    let now = control.now();
    let mut due = store.due(now, DUE_PAGE).await?;
    // Ticked before its lease ends: what came of a step is known here.
    let unrecorded = control.outcomes().streams().into_iter();
    let more: Vec<_> = unrecorded.filter(|key| !due.contains(key)).collect();
    due.extend(more);
    forget(busy, &due, now);
    let any_due = !due.is_empty();
    let mut earliest_retry = None;
    for key in due {
        match claim(busy, &key, now) {
            Claim::Taken { failures } => {
                let Ok(slot) = slots.clone().try_acquire_owned() else {
                    release(busy, &key);
                    return Ok(LOOK_AGAIN);
                };
                let (control, busy) = (control.clone(), busy.clone());
                ticks.spawn(async move {
                    tick(&control, &busy, key, failures).await;
                    drop(slot);
                });
            }
            Claim::Wait(until) => {
                earliest_retry = Some(earliest_retry.map_or(until, |e: Timestamp| e.min(until)));
            }
            Claim::Busy => {}
        }
    }
    let next = [
        store.next_due().await?.filter(|at| *at > now),
        earliest_retry,
    ];
    let next = next.into_iter().flatten().min();
    let pause = next.map_or(LOOK_EVERY, |at| at.since(now).to_std());
    // While something is due, storage does not say what is due after it.
    let longest = if any_due { LOOK_AGAIN } else { LOOK_EVERY };
    Ok(pause.min(longest))
}

enum Claim {
    Taken { failures: u32 },
    Wait(Timestamp),
    Busy,
}

fn claim(busy: &Mutex<BTreeMap<Key, Busy>>, key: &Key, now: Timestamp) -> Claim {
    let mut busy = busy.lock().unwrap_or_else(PoisonError::into_inner);
    let failures = match busy.get(key) {
        Some(Busy::Ticking) => return Claim::Busy,
        Some(Busy::Waiting { until, .. }) if now < *until => return Claim::Wait(*until),
        Some(Busy::Waiting { failures, .. }) => *failures,
        None => 0,
    };
    busy.insert(key.clone(), Busy::Ticking);
    Claim::Taken { failures }
}

fn release(busy: &Mutex<BTreeMap<Key, Busy>>, key: &Key) {
    let mut busy = busy.lock().unwrap_or_else(PoisonError::into_inner);
    busy.remove(key);
}

fn wait(busy: &Mutex<BTreeMap<Key, Busy>>, key: Key, failures: u32, until: Timestamp) {
    let mut busy = busy.lock().unwrap_or_else(PoisonError::into_inner);
    busy.insert(key, Busy::Waiting { failures, until });
}

/// Forgets streams whose wait is over and that are not due any more.
fn forget(busy: &Mutex<BTreeMap<Key, Busy>>, due: &[Key], now: Timestamp) {
    let mut busy = busy.lock().unwrap_or_else(PoisonError::into_inner);
    busy.retain(|key, state| match state {
        Busy::Ticking => true,
        Busy::Waiting { until, .. } => now < *until || due.contains(key),
    });
}

async fn tick(control: &Arc<Control>, busy: &Mutex<BTreeMap<Key, Busy>>, key: Key, failures: u32) {
    let (tenant, stream) = &key;
    let refusal = match ticks::tick(control, *tenant, stream).await {
        Ok(()) => return wait(busy, key, 0, control.now().plus(PAUSE)),
        Err(refusal) => refusal,
    };
    // A kill switch stops it: it is asked again soon, for it may be released.
    let pause = match refusal.code {
        Code::Blocked => BLOCKED_PAUSE,
        _ => backoff(failures),
    };
    if failures == 0 || refusal.code != Code::Blocked {
        tracing::warn!(
            tenant = %tenant, stream = %stream, error = %refusal, retry_in = %pause,
            "a tick was refused"
        );
    }
    wait(busy, key, failures + 1, control.now().plus(pause));
}

fn backoff(failures: u32) -> Span {
    // 32 doublings are beyond any bound; 63 would reach the sign.
    let doubled = BACKOFF_BASE
        .as_micros()
        .saturating_mul(1_i64 << failures.min(32));
    Span::from_micros(doubled.min(BACKOFF_MAX.as_micros()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_bound() {
        assert_eq!(backoff(0), BACKOFF_BASE);
        assert_eq!(backoff(1), Span::from_millis(500));
        for failures in [7, 31, 62, 63, 64, u32::MAX] {
            assert_eq!(backoff(failures), BACKOFF_MAX, "{failures}");
        }
    }

    #[test]
    fn a_stream_is_ticked_once_at_a_time_and_waits_after_a_failure() {
        let busy = Mutex::default();
        let key = (TenantId(uuid::Uuid::nil()), StreamId::new("run", "x"));
        let now = Timestamp::EPOCH;
        assert!(matches!(
            claim(&busy, &key, now),
            Claim::Taken { failures: 0 }
        ));
        assert!(matches!(claim(&busy, &key, now), Claim::Busy));
        let until = now.plus(Span::from_secs(1));
        let waiting = Busy::Waiting { failures: 1, until };
        busy.lock().unwrap().insert(key.clone(), waiting);
        assert!(matches!(claim(&busy, &key, now), Claim::Wait(at) if at == until));
        assert!(matches!(
            claim(&busy, &key, until),
            Claim::Taken { failures: 1 }
        ));
        release(&busy, &key);
        assert!(matches!(
            claim(&busy, &key, now),
            Claim::Taken { failures: 0 }
        ));
    }
}
