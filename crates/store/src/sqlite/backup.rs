//! An online backup: SQLite's own copy of one snapshot of the file, while a
//! writ goes on writing to it. The copy stands beside its place until it was
//! verified, and takes its name only then.

use super::{Sqlite, at, connect_reader, fault, migrate};
use ledger::store::StoreFault;
use rusqlite::Connection;
use rusqlite::backup::{Backup as Copier, StepResult};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Pages that are copied between two reports of progress.
const PAGES_AT_ONCE: i32 = 1_000;
/// How often a file that is locked is tried again, and after which pause.
const LOCKED_TRIES: u32 = 50;
const LOCKED_PAUSE: Duration = Duration::from_millis(100);

/// A copy that has not got its name yet; dropped, it is removed.
pub struct Backup {
    partial: PathBuf,
    file: PathBuf,
}

impl Backup {
    /// Copies the store in this data directory towards a file that is not
    /// there yet. `progress` hears how many pages are done, and of how many.
    ///
    /// # Errors
    /// When there is no store or it is of another version, the file is there
    /// already, or the disk is full.
    pub fn take(
        directory: &Path,
        file: &Path,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self, StoreFault> {
        if file.try_exists().map_err(|e| at(file, &e))? {
            return Err(StoreFault::Unavailable(format!(
                "`{}` is there already; a backup never takes the place of a file",
                file.display()
            )));
        }
        let source = super::existing(directory)?;
        let source = connect_reader(&source)?;
        migrate::check(&source)?;
        // The open transaction holds the snapshot: without it each commit of
        // the writer would start the copy anew.
        source
            .execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema")
            .map_err(fault)?;
        let backup = Self {
            partial: with_suffix(file, ".partial"),
            file: file.to_owned(),
        };
        backup.remove()?;
        backup.copy(&source, progress)?;
        Ok(backup)
    }

    fn copy(
        &self,
        source: &Connection,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), StoreFault> {
        let mut target = Connection::open(&self.partial).map_err(fault)?;
        let copier = Copier::new(source, &mut target).map_err(fault)?;
        let mut locked = 0;
        loop {
            match copier.step(PAGES_AT_ONCE).map_err(fault)? {
                StepResult::Done => break,
                StepResult::More => locked = 0,
                _ if locked < LOCKED_TRIES => {
                    locked += 1;
                    std::thread::sleep(LOCKED_PAUSE);
                }
                _ => return Err(StoreFault::Unavailable("the database is locked".into())),
            }
            let all = copier.progress();
            let pages = |count: i32| u64::try_from(count).unwrap_or(0);
            let total = pages(all.pagecount);
            progress(total.saturating_sub(pages(all.remaining)), total);
        }
        drop(copier);
        // One file without a write-ahead log beside it.
        target
            .pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))
            .map_err(fault)?;
        target.close().map_err(|(_, e)| fault(e))
    }

    /// The copy, for verification.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn store(&self) -> Result<Sqlite, StoreFault> {
        Sqlite::open_file(&self.partial)
    }

    /// Makes the copy durable and gives it its name.
    ///
    /// # Errors
    /// When the disk does not do it, or the name was taken meanwhile.
    pub fn keep(self) -> Result<(), StoreFault> {
        let failed = |e: std::io::Error| at(&self.file, &e);
        File::open(&self.partial)
            .and_then(|file| file.sync_all())
            .map_err(failed)?;
        // Unlike a rename, a link never takes the place of another file.
        std::fs::hard_link(&self.partial, &self.file).map_err(failed)?;
        self.remove()?;
        let folder = match self.file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed)
    }

    fn remove(&self) -> Result<(), StoreFault> {
        for path in [self.partial.clone(), with_suffix(&self.partial, "-journal")] {
            match std::fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(at(&path, &e)),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Drop for Backup {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next backup.
        drop(self.remove());
    }
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
