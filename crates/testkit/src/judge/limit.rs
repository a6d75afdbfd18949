//! A limit that policy sets on what happened before: so many steps of a tenant
//! are let through in a day, over all directives and nodes.

use super::{Fault, Judged, Read};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(super) struct Steps {
    /// On which day each verdict was given.
    given: BTreeMap<String, String>,
    /// Steps of runs that were permitted.
    permitted: BTreeSet<(String, String)>,
    /// How many of them by the day of their verdict.
    by_day: BTreeMap<String, usize>,
}

impl Steps {
    /// Reads one more entry, under this limit.
    pub(super) fn read(&mut self, read: &Read<'_>, limit: Option<usize>) -> Judged {
        match read.kind() {
            "gate.verdict_given" => {
                let day = read.entry.at.to_string();
                let day = day.split('T').next().unwrap_or_default().to_owned();
                self.given.insert(read.id().to_owned(), day);
                Ok(())
            }
            "permit.issued" => self.permit(read, limit),
            _ => Ok(()),
        }
    }

    fn permit(&mut self, read: &Read<'_>, limit: Option<usize>) -> Judged {
        let (run, target) = (read.need("/run")?, read.need("/target")?);
        let step = (run.to_owned(), target.to_owned());
        if !target.starts_with("step/") || !self.permitted.insert(step) {
            return Ok(());
        }
        let day = self.given.get(read.need("/verdicts/0")?);
        let day = day.ok_or_else(|| read.fault("permit", "its verdict was not given"))?;
        let count = self.by_day.entry(day.clone()).or_default();
        *count += 1;
        match limit {
            Some(limit) if *count > limit => {
                let what = format!("{count} steps were let through on {day}, allowed are {limit}");
                Err(Fault::new("limit", what))
            }
            _ => Ok(()),
        }
    }
}
