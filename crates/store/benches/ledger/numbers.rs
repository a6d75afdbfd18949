//! Rates, quantiles, and what the kernel says of this process.

use std::time::Duration;

#[allow(
    clippy::cast_precision_loss,
    reason = "counts of a benchmark are far below 2^52"
)]
pub(crate) fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

pub(crate) fn rate(count: usize, elapsed: Duration) -> f64 {
    ratio(count, 1) / elapsed.as_secs_f64()
}

pub(crate) fn millis(latency: Duration) -> f64 {
    latency.as_secs_f64() * 1_000.0
}

/// The value that this part of the sorted ones does not exceed.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index of a small list"
)]
pub(crate) fn quantile(sorted: &[Duration], part: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((last as f64 * part).round() as usize)
        .copied()
        .unwrap_or_default()
}

/// The most memory that this process has held since [`forget_peak`], in MiB.
pub(crate) fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.expect("a number of kB") / 1_024
}

/// Starts the peak anew from what is held now.
pub(crate) fn forget_peak() {
    // Where this is refused, the peak is that of the whole run.
    drop(std::fs::write("/proc/self/clear_refs", "5"));
}

/// Seconds of processor time that this process has used.
pub(crate) fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("a status");
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |nth| {
        let word = after.split_whitespace().nth(nth);
        word.and_then(|t: &str| t.parse::<f64>().ok())
    };
    // Of this process, in hundredths.
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0
}
