//! A folder of private files: mode 0600, written whole and synced before the
//! call returns. A file that others could read is refused, not repaired: its
//! secret may be known by then.

use kernel::{Refusal, port::PrivateFiles};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Longest private file, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Permission bits of everyone but the owner.
const MODE_OTHERS: u32 = 0o077;

/// Private files in one folder.
#[derive(Clone, Debug)]
pub struct PrivateFolder {
    folder: PathBuf,
}

impl PrivateFolder {
    /// The folder at this path; made with mode 0700 when it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(folder: &Path) -> Result<Self, Refusal> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(folder).map_err(|e| {
            Refusal::unavailable(format!(
                "the private folder `{}` cannot be made: {e}",
                folder.display()
            ))
        })?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    fn path(&self, name: &str) -> Result<PathBuf, Refusal> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if name.is_empty() || name.starts_with('.') || !name.bytes().all(plain) {
            let shown = name.escape_debug();
            return Err(Refusal::invalid(format!("`{shown}` is no file name")));
        }
        Ok(self.folder.join(name))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// A name in the folder is durable when the folder is.
    fn sync(&self) -> std::io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

fn refused(name: &str, what: impl std::fmt::Display) -> Refusal {
    Refusal::unavailable(format!("the private file `{name}` {what}"))
}

impl PrivateFiles for PrivateFolder {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
        let path = self.path(name)?;
        let meta = match path.symlink_metadata() {
            Ok(meta) => meta,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(refused(name, format_args!("cannot be read: {e}"))),
        };
        if !meta.is_file() {
            return Err(refused(name, "is no plain file"));
        }
        let file =
            File::open(&path).map_err(|e| refused(name, format_args!("cannot be read: {e}")))?;
        // Of the file that was opened, not of the name: they may differ by now.
        let mode = match file.metadata() {
            Ok(meta) => meta.permissions().mode(),
            Err(e) => return Err(refused(name, format_args!("cannot be read: {e}"))),
        };
        if mode & MODE_OTHERS != 0 {
            return Err(
                refused(name, format_args!("has mode {:o}, not 600", mode & 0o777))
                    .hint("find out who could read it; then run `chmod 600`, or make a new key"),
            );
        }
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| refused(name, format_args!("cannot be read: {e}")))?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(refused(name, "is too long"));
        }
        Ok(Some(bytes))
    }

    fn create(&self, name: &str, bytes: &[u8]) -> Result<(), Refusal> {
        let path = self.path(name)?;
        self.write(&path, bytes)
            .and_then(|()| self.sync())
            .map_err(|e| refused(name, format_args!("cannot be made: {e}")))
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), Refusal> {
        let path = self.path(name)?;
        let new = self.path(&format!("{name}.new"))?;
        let replace = || {
            // Left over when writ died here before; the old file is whole.
            match std::fs::remove_file(&new) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            self.write(&new, bytes)?;
            std::fs::rename(&new, &path)?;
            self.sync()
        };
        replace().map_err(|e| refused(name, format_args!("cannot be written: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Code;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn files_are_private_whole_and_made_once() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("keys");
        let files = PrivateFolder::open(&folder).unwrap();
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(files.read("a.key").unwrap(), None);
        files.create("a.key", b"one").unwrap();
        assert_eq!(mode(&folder.join("a.key")), 0o600);
        assert_eq!(
            files.create("a.key", b"two").unwrap_err().code,
            Code::Unavailable
        );
        assert_eq!(files.read("a.key").unwrap().unwrap(), b"one");
        std::fs::write(folder.join("a.key.new"), b"torn").unwrap();
        files.replace("a.key", b"three").unwrap();
        files.replace("b.last", b"first").unwrap();
        assert_eq!(files.read("a.key").unwrap().unwrap(), b"three");
        assert_eq!(mode(&folder.join("a.key")), 0o600);
        assert!(!folder.join("a.key.new").exists());
        assert_eq!(files.read("b.last").unwrap().unwrap(), b"first");
    }

    #[test]
    fn what_others_could_read_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let files = PrivateFolder::open(place.path()).unwrap();
        files.create("k", b"s3cret").unwrap();
        for (bits, fine) in [
            (0o600, true),
            (0o400, true),
            (0o640, false),
            (0o604, false),
            (0o620, false),
            (0o601, false),
        ] {
            let path = place.path().join("k");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(bits)).unwrap();
            let read = files.read("k");
            assert_eq!(read.is_ok(), fine, "{bits:o}");
            if let Err(refusal) = read {
                assert_eq!(refusal.code, Code::Unavailable);
                assert!(!refusal.to_string().contains("s3cret"), "{refusal}");
            }
        }
        std::os::unix::fs::symlink(place.path().join("k"), place.path().join("link")).unwrap();
        assert!(files.read("link").is_err());
        for bad in ["", ".", "..", "../k", "a/b", ".hidden", "a b"] {
            assert_eq!(files.read(bad).unwrap_err().code, Code::Invalid, "{bad}");
        }
    }
}
