//! What the process holds, read from outside of it: memory, handles, threads,
//! and the files of the store.

use crate::place::Place;
use crate::tally::{Quantiles, Tally};
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

/// How long a window is.
pub(crate) const EVERY: Duration = Duration::from_secs(10);

/// One look.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// When, from the beginning.
    pub(crate) at: Duration,
    /// Resident memory, in MiB.
    pub(crate) memory: f64,
    /// Open file handles.
    pub(crate) handles: f64,
    /// Threads.
    pub(crate) threads: f64,
    /// The write-ahead log, in MiB.
    pub(crate) wal: f64,
    /// The data directory, in MiB.
    pub(crate) data: f64,
    /// Latencies of the window by kind of request.
    pub(crate) latencies: BTreeMap<&'static str, Quantiles>,
}

/// Looks now.
pub(crate) fn sample(place: &Place, tally: &Tally, began: Instant) -> Sample {
    let process = place.pid().map(|pid| format!("/proc/{pid}"));
    let process = process.unwrap_or_default();
    let status = fs::read_to_string(format!("{process}/status")).unwrap_or_default();
    let number = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        let word = line.and_then(|line| line.split_whitespace().nth(1));
        word.and_then(|word| word.parse::<f64>().ok())
            .unwrap_or_default()
    };
    let handles = fs::read_dir(format!("{process}/fd")).map_or(0, Iterator::count);
    let (mut wal, mut data) = (0, 0);
    for file in fs::read_dir(place.data()).into_iter().flatten().flatten() {
        let bytes = file.metadata().map_or(0, |m| m.len());
        data += bytes;
        if file.file_name().to_string_lossy().ends_with("-wal") {
            wal += bytes;
        }
    }
    Sample {
        at: began.elapsed(),
        memory: number("VmRSS:") / 1024.0,
        handles: u32::try_from(handles).map_or(0.0, f64::from),
        threads: number("Threads:"),
        wal: mib(wal),
        data: mib(data),
        latencies: tally.window(),
    }
}

fn mib(bytes: u64) -> f64 {
    // Files of this size are far below 2^53 bytes.
    #[allow(clippy::cast_precision_loss, reason = "a picture needs no last digit")]
    let bytes = bytes as f64;
    bytes / 1024.0 / 1024.0
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>6.1} min  {:>6.1} MiB  {:>3} handles  wal {:>6.1} MiB  data {:>7.1} MiB",
            self.at.as_secs_f64() / 60.0,
            self.memory,
            self.handles,
            self.wal,
            self.data
        )?;
        for (kind, q) in &self.latencies {
            write!(f, "  {kind} {}x {:.1}/{:.1}", q.count, q.p50, q.p99)?;
        }
        Ok(())
    }
}
