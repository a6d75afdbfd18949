//! The disk as it could be after a power cut: what was synced is there; of
//! what was not, each sector holds what it held at any moment since, each
//! file has any length that it had, each name points to anything that it
//! pointed to. So writes are lost, torn, and in another order.

use crate::journal::{Change, Record};
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use testkit::Dice;

/// What of the unsynced survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Survives {
    /// Nothing.
    Nothing,
    /// Everything.
    Everything,
    /// Of each file everything or nothing.
    Files,
    /// Of each sector of this many bytes, what it held at any moment.
    Sectors(usize),
}

impl Survives {
    /// Any of them.
    pub(crate) fn any(dice: &mut Dice) -> Self {
        match dice.roll(8) {
            0 => Self::Nothing,
            1 => Self::Everything,
            2 | 3 => Self::Files,
            4 | 5 => Self::Sectors(512),
            _ => Self::Sectors(4096),
        }
    }
}

/// What a name points to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Nothing,
    Directory,
    File(usize),
}

/// A file: what is on the platter, what was written since, what a reader sees.
#[derive(Default)]
struct Inode {
    synced: Vec<u8>,
    since: Vec<Change>,
}

/// A disk under a journal.
#[derive(Default)]
pub(crate) struct Disk {
    inodes: Vec<Inode>,
    /// By name: what it pointed to at the last sync of its directory, and since.
    names: BTreeMap<String, Vec<Target>>,
}

impl Disk {
    /// A disk that holds these files, all of them synced, in these directories.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn of(root: &Path, directory: &str) -> Result<Self> {
        let mut disk = Self::default();
        let path = root.join(directory);
        if !path.is_dir() {
            return Ok(disk);
        }
        disk.names
            .insert(directory.to_owned(), vec![Target::Directory]);
        for entry in std::fs::read_dir(&path)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with("-shm") {
                continue;
            }
            let synced = std::fs::read(entry.path())?;
            let since = Vec::new();
            disk.inodes.push(Inode { synced, since });
            let target = Target::File(disk.inodes.len() - 1);
            disk.names
                .insert(format!("{directory}/{name}"), vec![target]);
        }
        Ok(disk)
    }

    fn now(&self, name: &str) -> Target {
        let versions = self.names.get(name);
        versions
            .and_then(|v| v.last().copied())
            .unwrap_or(Target::Nothing)
    }

    fn point(&mut self, name: &str, target: Target) {
        let versions = self.names.entry(name.to_owned());
        versions
            .or_insert_with(|| vec![Target::Nothing])
            .push(target);
    }

    /// Takes in the next change.
    pub(crate) fn apply(&mut self, record: &Record) {
        let name = record.path.as_str();
        match &record.change {
            Change::Made => {
                self.inodes.push(Inode::default());
                self.point(name, Target::File(self.inodes.len() - 1));
            }
            Change::Directory => self.point(name, Target::Directory),
            Change::Removed => self.point(name, Target::Nothing),
            Change::Renamed(to) => {
                let target = self.now(name);
                self.point(to, target);
                self.point(name, Target::Nothing);
            }
            Change::Written(..) | Change::Cut(_) => {
                if let Target::File(inode) = self.now(name) {
                    self.inodes[inode].since.push(record.change.clone());
                }
            }
            Change::Synced => self.sync(name),
        }
    }

    fn sync(&mut self, name: &str) {
        if let Target::File(inode) = self.now(name) {
            let inode = &mut self.inodes[inode];
            for change in std::mem::take(&mut inode.since) {
                make(&mut inode.synced, &change);
            }
            return;
        }
        // A directory: its names are on the disk, not what they point to.
        for (child, versions) in &mut self.names {
            let parent = child.rsplit_once('/').map_or("", |(parent, _)| parent);
            if parent == name {
                versions.drain(..versions.len() - 1);
            }
        }
    }

    /// Makes the files as they could be after a power cut now.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(crate) fn cut(&self, root: &Path, survives: Survives, dice: &mut Dice) -> Result<()> {
        std::fs::create_dir_all(root)?;
        // Names come in order, a directory before what is in it.
        for (name, versions) in &self.names {
            let target = match survives {
                Survives::Nothing => versions.first(),
                Survives::Everything => versions.last(),
                _ => dice.pick(versions),
            };
            let path = root.join(name);
            let is_in = path.parent().is_some_and(Path::is_dir);
            match target.filter(|_| is_in) {
                None | Some(Target::Nothing) => {}
                Some(Target::Directory) => std::fs::create_dir_all(&path)?,
                Some(Target::File(inode)) => {
                    std::fs::write(&path, self.inodes[*inode].cut(survives, dice))?;
                }
            }
        }
        Ok(())
    }
}

impl Inode {
    fn cut(&self, survives: Survives, dice: &mut Dice) -> Vec<u8> {
        let all = match survives {
            Survives::Nothing => false,
            Survives::Everything => true,
            Survives::Files => dice.roll(2) == 0,
            Survives::Sectors(bytes) => return self.torn(bytes, dice),
        };
        let mut content = self.synced.clone();
        for change in self.since.iter().filter(|_| all) {
            make(&mut content, change);
        }
        content
    }

    /// Each sector as it was at any moment since the last sync, in a file of
    /// any length that it had since. What the file grew by and no write
    /// reached is zero, or what stood on the disk before.
    fn torn(&self, sector: usize, dice: &mut Dice) -> Vec<u8> {
        let mut lengths = vec![self.synced.len()];
        for change in &self.since {
            let before = lengths.last().copied().unwrap_or(0);
            lengths.push(match change {
                Change::Written(at, data) => before.max(index(*at) + data.len()),
                Change::Cut(length) => index(*length),
                _ => before,
            });
        }
        let length = dice.pick(&lengths).copied().unwrap_or(0);
        let mut content = self.synced.clone();
        let stale = match dice.roll(3) {
            0 => u8::try_from(dice.roll(256)).unwrap_or(0),
            _ => 0,
        };
        content.resize(length, stale);
        let touched: BTreeSet<usize> = self
            .since
            .iter()
            .flat_map(|change| sectors(change, sector, length))
            .collect();
        for number in touched {
            let first = number * sector;
            let upto = dice.roll(self.since.len() + 1);
            let end = (first + sector).min(length);
            for change in &self.since[..upto] {
                make_within(&mut content, change, first, end);
            }
        }
        content
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("a file that fits into memory")
}

/// The sectors below `length` that a change touches.
fn sectors(change: &Change, sector: usize, length: usize) -> std::ops::Range<usize> {
    let (first, end) = match change {
        Change::Written(at, data) => (index(*at), index(*at) + data.len()),
        Change::Cut(cut) => (index(*cut), length),
        _ => (0, 0),
    };
    first / sector..end.min(length).div_ceil(sector)
}

/// Makes a change.
fn make(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Written(at, data) => {
            let at = index(*at);
            if content.len() < at + data.len() {
                content.resize(at + data.len(), 0);
            }
            content[at..at + data.len()].copy_from_slice(data);
        }
        Change::Cut(length) => content.resize(index(*length), 0),
        _ => {}
    }
}

/// Makes what a change does to these bytes of a file.
fn make_within(content: &mut [u8], change: &Change, first: usize, end: usize) {
    match change {
        Change::Written(at, data) => {
            let at = index(*at);
            let from = at.max(first);
            let to = (at + data.len()).min(end);
            if from < to {
                content[from..to].copy_from_slice(&data[from - at..to - at]);
            }
        }
        Change::Cut(length) => {
            let from = index(*length).max(first);
            if from < end {
                content[from..end].fill(0);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(path: &str, change: Change) -> Record {
        let path = path.to_owned();
        Record { path, change }
    }

    /// Every file that some cut of this journal can leave.
    fn outcomes(journal: &[Record], name: &str) -> BTreeSet<Option<Vec<u8>>> {
        let mut disk = Disk::default();
        for record in journal {
            disk.apply(record);
        }
        (0..400)
            .map(|seed| {
                let root = tempfile::tempdir().unwrap();
                let mut dice = Dice::new(seed);
                disk.cut(root.path(), Survives::any(&mut dice), &mut dice)
                    .unwrap();
                std::fs::read(root.path().join(name)).ok()
            })
            .collect()
    }

    #[test]
    fn what_was_synced_is_there_and_what_was_not_is_there_in_any_part() {
        let data = |byte| vec![byte; 1024];
        let mut journal = vec![
            record("a", Change::Made),
            record("a", Change::Written(0, data(1))),
            record("a", Change::Synced),
            record("", Change::Synced),
        ];
        assert_eq!(outcomes(&journal, "a"), [Some(data(1))].into());
        journal.push(record("a", Change::Written(0, data(2))));
        let half = |a, b| Some([vec![a; 512], vec![b; 512]].concat());
        let all = [half(1, 1), half(1, 2), half(2, 1), half(2, 2)];
        assert_eq!(outcomes(&journal, "a"), all.into());
    }

    #[test]
    fn a_name_that_was_not_synced_may_be_gone_with_what_was() {
        let journal = [
            record("d", Change::Directory),
            record("d/a", Change::Made),
            record("d/a", Change::Written(0, vec![1])),
            record("d/a", Change::Synced),
            record("d", Change::Synced),
        ];
        assert!(outcomes(&journal, "d/a").contains(&None));
        let synced = [&journal[..], &[record("", Change::Synced)]].concat();
        assert_eq!(outcomes(&synced, "d/a"), [Some(vec![1])].into());
    }

    #[test]
    fn a_removed_file_may_be_back() {
        let journal = [
            record("a", Change::Made),
            record("", Change::Synced),
            record("a", Change::Removed),
        ];
        assert_eq!(outcomes(&journal, "a"), [None, Some(vec![])].into());
    }
}
