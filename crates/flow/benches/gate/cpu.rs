//! Processor time of this process, of the threads that a commit passes through
//! and of all of them, from `/proc` (see proc(5)): what an operation costs, also
//! when others use the machine. A database server's time is not in it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::time::Duration;

/// What one tick of `utime` and `stime` is: Linux shows 100 of them a second.
const TICK: Duration = Duration::from_millis(10);

/// The threads that are shown by themselves.
const SHOWN: [&str; 2] = ["committer", "writer"];

/// Processor time used so far.
pub(crate) struct Used {
    /// Of all threads, those that have ended among them.
    all: Duration,
    /// Of each thread that is there, by its number, with its name.
    threads: BTreeMap<OsString, (String, Duration)>,
}

impl Used {
    /// Until now.
    pub(crate) fn now() -> Self {
        let mut threads = BTreeMap::new();
        for task in fs::read_dir("/proc/self/task").expect("the list of threads") {
            let task = task.expect("a thread");
            // A thread may end while the list is read.
            if let Ok(stat) = fs::read_to_string(task.path().join("stat")) {
                threads.insert(task.file_name(), parse(&stat));
            }
        }
        let stat = fs::read_to_string("/proc/self/stat").expect("of this process");
        let (_, all) = parse(&stat);
        Self { all, threads }
    }

    /// What was used since `before`, per each of `count` operations, in
    /// microseconds: of all threads, then of those that are shown.
    pub(crate) fn since(&self, before: &Self, count: usize) -> [f64; 3] {
        let each = |used: Duration| used.as_secs_f64() * 1e6 / count as f64;
        let [committer, writer] = SHOWN.map(|shown| {
            let named = self.threads.iter().filter(|(_, (name, _))| name == shown);
            let used = named.map(|(number, (_, now))| {
                let earlier = before.threads.get(number).map(|(_, used)| *used);
                now.saturating_sub(earlier.unwrap_or_default())
            });
            each(used.sum())
        });
        [each(self.all.saturating_sub(before.all)), committer, writer]
    }
}

/// The name of a thread, and its time in user and system mode.
fn parse(stat: &str) -> (String, Duration) {
    let (before, after) = stat.rsplit_once(')').expect("a name in brackets");
    let (_, name) = before.split_once('(').expect("a name in brackets");
    // The fields after the name begin with the third; 14 and 15 are wanted.
    let ticks = after.split_whitespace().skip(11).take(2);
    let ticks: u32 = ticks
        .map(|field| field.parse::<u32>().expect("ticks"))
        .sum();
    (name.to_owned(), TICK * ticks)
}
