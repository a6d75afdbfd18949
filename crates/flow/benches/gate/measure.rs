//! Many operations, some at a time, and how long each took.

use crate::cpu::Used;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What `count` operations took, `at_once` at a time.
pub(crate) struct Measured {
    wall: Duration,
    each: Vec<Duration>,
    /// Processor time of one, in microseconds: see [`Used::since`].
    cpu: [f64; 3],
}

impl Measured {
    /// Prints a row: what, where, how many at once, and how many a second.
    pub(crate) fn row(&mut self, what: &str, storage: &str, at_once: usize) {
        self.each.sort_unstable();
        let at = |share: usize| {
            let index = (self.each.len() * share / 100).min(self.each.len() - 1);
            self.each[index].as_secs_f64() * 1e3
        };
        let [all, committer, writer] = self.cpu;
        println!(
            "{what:<30} {storage:<12} {at_once:>4} {:>9.0} {:>9.2} {:>9.2} {all:>9.0} \
             {committer:>9.0} {writer:>9.0}",
            self.each.len() as f64 / self.wall.as_secs_f64(),
            at(50),
            at(99),
        );
    }
}

/// Runs one operation per item, `at_once` at a time.
pub(crate) async fn measure<T, F>(
    items: Vec<T>,
    at_once: usize,
    operation: impl Fn(T) -> F,
) -> Measured
where
    T: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let operation = &operation;
    let (began, used) = (Instant::now(), Used::now());
    let queue = Arc::new(Mutex::new(items));
    let each = Arc::new(Mutex::new(Vec::new()));
    let mut workers = tokio::task::JoinSet::new();
    // The futures are made as the workers come for them.
    let (sender, receiver) = tokio::sync::mpsc::channel::<F>(at_once);
    let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
    for _ in 0..at_once {
        let (receiver, each) = (receiver.clone(), each.clone());
        workers.spawn(async move {
            loop {
                let next = receiver.lock().await.recv().await;
                let Some(work) = next else { return };
                let began = Instant::now();
                work.await;
                each.lock().expect("no panic").push(began.elapsed());
            }
        });
    }
    loop {
        let item = queue.lock().expect("no panic").pop();
        let Some(item) = item else { break };
        if sender.send(operation(item)).await.is_err() {
            break;
        }
    }
    drop(sender);
    while workers.join_next().await.is_some() {}
    let wall = began.elapsed();
    let each = std::mem::take(&mut *each.lock().expect("no panic"));
    let cpu = Used::now().since(&used, each.len());
    Measured { wall, each, cpu }
}
