//! The files beneath the store: directories whose names are on the disk, files
//! that are still those that were opened, and what the system says when it
//! refuses a write.

use super::{FILE_NAME, LOCK_NAME, at};
use ledger::store::StoreFault;
use std::fs::{File, Metadata};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Makes a directory and those above it that are missing, each of them with
/// its name on the disk: SQLite sees to the names of its files and no further,
/// and a power cut would take the whole directory with what was acknowledged.
pub(super) fn create(directory: &Path) -> std::io::Result<()> {
    let missing: Vec<&Path> = directory.ancestors().take_while(|d| !d.exists()).collect();
    std::fs::create_dir_all(directory)?;
    if missing.is_empty() {
        // A start before this one may have died before it came to this; where
        // the directory above cannot be read, this writ did not make it.
        drop(sync_name(directory));
    }
    missing.into_iter().try_for_each(sync_name)
}

fn sync_name(directory: &Path) -> std::io::Result<()> {
    let above = match directory.parent() {
        Some(above) if above != Path::new("") => above,
        _ => Path::new("."),
    };
    File::open(above)?.sync_all()
}

/// Which file stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
        }
    }
}

/// The files that the writer writes to.
pub(super) struct Files {
    directory: PathBuf,
    main: Identity,
    log: OnceLock<Identity>,
}

impl Files {
    /// The files in this directory, which are open.
    pub(super) fn of(directory: &Path) -> Result<Self, StoreFault> {
        let path = directory.join(FILE_NAME);
        let found = std::fs::metadata(&path).map_err(|e| at(&path, &e))?;
        Ok(Self {
            directory: directory.to_owned(),
            main: Identity::of(&found),
            log: OnceLock::new(),
        })
    }

    /// Checks, after a commit and before anyone hears of it, that it went to
    /// the files that the next start opens. A file that was removed or replaced
    /// while it is open takes writes as if nothing had happened, and loses them.
    pub(super) fn stand(&self) -> Result<(), StoreFault> {
        let main = self.found(FILE_NAME)?;
        let log = self.found(&format!("{FILE_NAME}-wal"))?;
        if main != self.main || log != *self.log.get_or_init(|| log) {
            return Err(gone("was replaced"));
        }
        Ok(())
    }

    fn found(&self, name: &str) -> Result<Identity, StoreFault> {
        let found = std::fs::metadata(self.directory.join(name));
        found
            .map(|found| Identity::of(&found))
            .map_err(|e| gone(&format!("is not there any more ({e})")))
    }

    /// See [`explain`].
    pub(super) fn explain(&self, fault: StoreFault) -> StoreFault {
        explain(&self.directory, fault)
    }
}

/// The fault with what the system says about writing in this directory: the
/// database says only that an error came.
pub(super) fn explain(directory: &Path, fault: StoreFault) -> StoreFault {
    let (StoreFault::Unavailable(what) | StoreFault::Unsettled(what)) = &fault else {
        return fault;
    };
    let file = File::options().write(true).open(directory.join(LOCK_NAME));
    // The lock file holds nothing; a line feed in it harms nobody.
    let tried = file.and_then(|file| {
        file.write_all_at(b"\n", 0)?;
        file.sync_all()
    });
    let Err(error) = tried else {
        return fault;
    };
    let what = format!("{what}; the data directory takes no writes: {error}");
    match fault {
        StoreFault::Unsettled(_) => StoreFault::Unsettled(what),
        _ => StoreFault::Unavailable(what),
    }
}

fn gone(how: &str) -> StoreFault {
    StoreFault::Unavailable(format!(
        "the database file {how}, while writ runs: put it back, or stop writ and restore a backup"
    ))
}
