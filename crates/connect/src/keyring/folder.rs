//! Private files and folders: 0600 and 0700 or refused, replaced as a whole,
//! and destroyed by overwriting before they are unlinked. Messages name files
//! from the keyring's own folder downwards.

use kernel::Refusal;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Longest file of a keyring, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Permission bits of everyone but the owner.
const MODE_OTHERS: u32 = 0o077;
/// What a file is called while it is being written.
const UNFINISHED: &str = "new";

/// A folder of a keyring.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    path: PathBuf,
    shown: String,
}

/// Whether something is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Yes,
    No,
}

impl Folder {
    pub(super) fn new(path: &Path, shown: &str) -> Self {
        Self {
            path: path.to_owned(),
            shown: shown.to_owned(),
        }
    }

    pub(super) fn below(&self, name: &str) -> Self {
        Self {
            path: self.path.join(name),
            shown: self.shown_file(name),
        }
    }

    /// How the folder is named in messages.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// How a file in it is named in messages.
    pub(super) fn shown_file(&self, name: &str) -> String {
        format!("{}/{name}", self.shown)
    }

    /// Whether the folder is there; when it is, it must be private.
    pub(super) fn found(&self) -> Result<Found, Refusal> {
        match std::fs::symlink_metadata(&self.path) {
            Ok(meta) if meta.is_dir() => {
                private(&meta, &self.shown, "700")?;
                Ok(Found::Yes)
            }
            Ok(_) => Err(Refusal::unavailable(format!(
                "`{}` is no folder",
                self.shown
            ))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Found::No),
            Err(e) => Err(unreadable(&self.shown, &e)),
        }
    }

    /// Makes the folder and those above it that are missing.
    pub(super) fn make(&self) -> Result<(), Refusal> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder
            .create(&self.path)
            .map_err(|e| unreadable(&self.shown, &e))?;
        if let Some(above) = self.path.parent() {
            sync(above).map_err(|e| unreadable(&self.shown, &e))?;
        }
        self.found().map(drop)
    }

    /// The file to lock while the folder is used.
    pub(super) fn lock_file(&self) -> Result<File, Refusal> {
        let name = "lock";
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        options
            .open(self.path.join(name))
            .map_err(|e| unreadable(&self.shown_file(name), &e))
    }

    /// The names of the files that end with this, sorted.
    pub(super) fn names(&self, ending: &str) -> Result<Vec<String>, Refusal> {
        let listing = std::fs::read_dir(&self.path).map_err(|e| unreadable(&self.shown, &e))?;
        let mut names = Vec::new();
        for item in listing {
            let item = item.map_err(|e| unreadable(&self.shown, &e))?;
            if let Ok(name) = item.file_name().into_string()
                && name.ends_with(ending)
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// A file's bytes; `None` when it is not there.
    pub(super) fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Refusal> {
        let (path, shown) = (self.path.join(name), self.shown_file(name));
        let meta = match std::fs::symlink_metadata(&path) {
            Ok(meta) => meta,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(unreadable(&shown, &e)),
        };
        if !meta.is_file() || meta.len() > FILE_BYTES_MAX {
            return Err(Refusal::unavailable(format!("`{shown}` is no key file")));
        }
        private(&meta, &shown, "600")?;
        let length = usize::try_from(meta.len()).unwrap_or(0);
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        File::open(&path)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .map_err(|e| unreadable(&shown, &e))?;
        Ok(Some(bytes))
    }

    /// Writes a file as a whole: whoever reads it, also after a crash, finds
    /// all of the old or all of the new one. The old bytes are overwritten.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Refusal> {
        let shown = self.shown_file(name);
        self.destroy_one(&format!("{name}.{UNFINISHED}"))?;
        let (path, unfinished) = (
            self.path.join(name),
            self.path.join(format!("{name}.{UNFINISHED}")),
        );
        let replace = || {
            let old = match OpenOptions::new().write(true).open(&path) {
                Ok(old) => Some(old),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
                Err(e) => return Err(e),
            };
            let mut options = OpenOptions::new();
            let mut file = options
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&unfinished)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&unfinished, &path)?;
            sync(&self.path)?;
            old.map_or(Ok(()), |old| overwrite(&old))
        };
        replace().map_err(|e| unreadable(&shown, &e))
    }

    /// Destroys a file and what a crash may have left of writing it.
    pub(super) fn destroy(&self, name: &str) -> Result<(), Refusal> {
        self.destroy_one(&format!("{name}.{UNFINISHED}"))?;
        self.destroy_one(name)
    }

    fn destroy_one(&self, name: &str) -> Result<(), Refusal> {
        let path = self.path.join(name);
        let destroy = || match OpenOptions::new().write(true).open(&path) {
            Ok(file) => {
                overwrite(&file)?;
                std::fs::remove_file(&path)?;
                sync(&self.path)
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        };
        destroy().map_err(|e| unreadable(&self.shown_file(name), &e))
    }
}

/// Zeros in place of what was there, on the disk when it returns.
fn overwrite(mut file: &File) -> std::io::Result<()> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    file.rewind()?;
    file.write_all(&vec![0; length])?;
    file.sync_all()
}

fn sync(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

fn private(meta: &std::fs::Metadata, shown: &str, wanted: &str) -> Result<(), Refusal> {
    let mode = meta.permissions().mode();
    if mode & MODE_OTHERS == 0 {
        return Ok(());
    }
    Err(Refusal::unavailable(format!(
        "`{shown}` is open to others than its owner (mode {:04o}), so its keys are not used",
        mode & 0o7777
    ))
    .hint(format!("run `chmod {wanted}` on it")))
}

fn unreadable(shown: &str, error: &std::io::Error) -> Refusal {
    Refusal::unavailable(format!("`{shown}` cannot be used: {error}"))
        .hint("check the keyring's folder, its owner and the disk")
}
