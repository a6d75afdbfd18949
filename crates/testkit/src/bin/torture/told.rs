//! What the workers of one store have told so far, kept in one file in the
//! order in which it was told, for the checker.

use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use testkit::Dice;

/// Commands of before that a worker sends again at most.
const AGAIN_MAX: usize = 24;

/// How far a command has come, as far as was told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Sent,
    Acknowledged,
    Refused,
}

/// What was told.
pub(crate) struct Told {
    path: PathBuf,
    file: File,
    /// Lines so far.
    pub(crate) lines: usize,
    /// The number of the next new command.
    pub(crate) next: u64,
    /// The last line about the start of a worker: `opening`, `open` or `done`.
    pub(crate) phase: String,
    /// Whether any worker has opened the store.
    pub(crate) opened: bool,
    commands: BTreeMap<u64, (bool, Fate)>,
}

impl Told {
    /// Nothing yet; kept in this file.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub(crate) fn new(path: PathBuf) -> Result<Self> {
        let file = File::create(&path).with_context(|| format!("cannot make `{}`", path.display()));
        Ok(Self {
            path,
            file: file?,
            lines: 0,
            next: 0,
            phase: String::new(),
            opened: false,
            commands: BTreeMap::new(),
        })
    }

    /// Where it is kept.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes in what a worker told. A last line that was cut short is left out:
    /// its writer was killed before it knew that it was heard.
    ///
    /// # Errors
    /// When a line is no report.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> Result<Vec<Value>> {
        self.phase.clear();
        let mut heard = Vec::new();
        let whole = bytes.iter().rposition(|byte| *byte == b'\n');
        let whole = bytes.get(..whole.map_or(0, |at| at + 1)).unwrap_or(&[]);
        for line in whole.split(|byte| *byte == b'\n').filter(|l| !l.is_empty()) {
            let line: Value = serde_json::from_slice(line)
                .with_context(|| format!("`{}` is no report", String::from_utf8_lossy(line)))?;
            self.take(&line);
            heard.push(line);
        }
        self.file.write_all(whole)?;
        Ok(heard)
    }

    fn take(&mut self, line: &Value) {
        self.lines += 1;
        let n = line["n"].as_u64().unwrap_or(0);
        match line["say"].as_str().unwrap_or("") {
            "intent" => {
                self.next = self.next.max(n + 1);
                let keyed = line["key"].is_string();
                self.commands.insert(n, (keyed, Fate::Sent));
            }
            "ack" => self.settle(n, Fate::Acknowledged),
            "refused" if line["code"] != "unavailable" => self.settle(n, Fate::Refused),
            "open" => {
                self.opened = true;
                self.phase = "open".to_owned();
            }
            say @ ("opening" | "done" | "closed") => self.phase = say.to_owned(),
            _ => {}
        }
    }

    /// What the last worker was doing when it ended, in a word.
    pub(crate) fn phase_name(&self) -> String {
        match self.phase.as_str() {
            "" => "starting",
            "open" => "working",
            phase => phase,
        }
        .to_owned()
    }

    fn settle(&mut self, n: u64, fate: Fate) {
        if let Some((_, known)) = self.commands.get_mut(&n) {
            *known = fate;
        }
    }

    /// Commands with a key that the next worker sends again: those of which
    /// nobody knows what became of them, and some that were acknowledged.
    pub(crate) fn again(&self, dice: &mut Dice) -> Vec<u64> {
        let of = |wanted| {
            let fits = move |entry: &(&u64, &(bool, Fate))| *entry.1 == (true, wanted);
            self.commands.iter().filter(fits).map(|(n, _)| *n)
        };
        let mut again: Vec<u64> = of(Fate::Sent).rev().take(AGAIN_MAX / 2).collect();
        let acknowledged: Vec<u64> = of(Fate::Acknowledged).collect();
        while again.len() < AGAIN_MAX {
            match dice.pick(&acknowledged) {
                Some(n) => again.push(*n),
                None => break,
            }
        }
        again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_cut_short_is_left_out_and_open_commands_are_sent_again() {
        let directory = tempfile::tempdir().unwrap();
        let mut told = Told::new(directory.path().join("told")).unwrap();
        let lines =
            "{\"say\":\"open\"}\n{\"say\":\"intent\",\"n\":4,\"key\":\"k\"}\n{\"say\":\"ack\"";
        assert_eq!(told.hear(lines.as_bytes()).unwrap().len(), 2);
        assert_eq!((told.lines, told.next, told.phase.as_str()), (2, 5, "open"));
        assert_eq!(told.again(&mut Dice::new(1)), [4]);
        told.hear(b"{\"say\":\"refused\",\"n\":4,\"code\":\"blocked\"}\n")
            .unwrap();
        assert!(told.again(&mut Dice::new(1)).is_empty());
        assert!(told.hear(b"nonsense\n").is_err());
        let kept = std::fs::read_to_string(told.path()).unwrap();
        assert_eq!(kept.lines().count(), 3);
    }
}
