//! The archive in a folder: each object a file that is written beside its
//! place, made durable and read-only, and then given its name, which no other
//! object can take. The owner of the machine can still remove it; a bucket
//! under Object Lock is for those who must rule that out.

use super::is_name;
use async_trait::async_trait;
use kernel::Timestamp;
use kernel::port::{Lock, ObjectFault, Objects};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Permission bits of an object.
const MODE_READ_ONLY: u32 = 0o444;
/// Permission bits with which someone could write.
const MODE_WRITE: u32 = 0o222;

/// Distinguishes what this process is writing at one time.
static WRITING: AtomicU64 = AtomicU64::new(0);

/// A folder of read-only files.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// The archive in this folder, which is made with the first object.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn path(&self, name: &str) -> Result<PathBuf, ObjectFault> {
        if is_name(name) {
            Ok(self.root.join(name))
        } else {
            Err(ObjectFault::Refused(format!(
                "`{name}` is no object's name"
            )))
        }
    }

    /// Works on a thread that may block.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ObjectFault> + Send + 'static,
    ) -> Result<T, ObjectFault> {
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|e| ObjectFault::Unavailable(e.to_string()))?
    }
}

fn fault(path: &Path, error: &std::io::Error) -> ObjectFault {
    let text = format!("`{}`: {error}", path.display());
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => ObjectFault::Refused(text),
        _ => ObjectFault::Unavailable(text),
    }
}

#[async_trait]
impl Objects for Folder {
    async fn put(&self, name: &str, bytes: &[u8], _until: Timestamp) -> Result<(), ObjectFault> {
        let path = self.path(name)?;
        let root = self.root.clone();
        let (name, bytes) = (name.to_owned(), bytes.to_vec());
        self.work(move || match write(&root, &path, &bytes) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Err(ObjectFault::Exists(name)),
            Err(e) => Err(fault(&path, &e)),
        })
        .await
    }

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, ObjectFault> {
        let path = self.path(name)?;
        self.work(move || match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(fault(&path, &e)),
        })
        .await
    }

    async fn lock(&self, name: &str) -> Result<Lock, ObjectFault> {
        let path = self.path(name)?;
        self.work(move || {
            let meta = std::fs::metadata(&path).map_err(|e| fault(&path, &e))?;
            Ok(match meta.permissions().mode() & MODE_WRITE {
                0 => Lock::ReadOnly,
                _ => Lock::None,
            })
        })
        .await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectFault> {
        let (root, prefix) = (self.root.clone(), prefix.to_owned());
        self.work(move || {
            let mut names = Vec::new();
            match walk(&root, "", &mut names) {
                Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
                Err(e) => return Err(fault(&root, &e)),
                Ok(()) => {}
            }
            names.retain(|name| name.starts_with(&prefix));
            names.sort_unstable();
            Ok(names)
        })
        .await
    }
}

/// Writes a file that is whole or not there, whatever happens meanwhile.
fn write(root: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(root);
    make_folders(folder)?;
    if path.try_exists()? {
        return Err(ErrorKind::AlreadyExists.into());
    }
    let count = WRITING.fetch_add(1, Ordering::Relaxed);
    let partial = folder.join(format!(".partial-{}-{count}", std::process::id()));
    let written = write_partial(&partial, bytes).and_then(|()| {
        // Unlike a rename, a link never takes the place of another file.
        std::fs::hard_link(&partial, path)
    });
    // What is left of a failed try must not fill the disk.
    let removed = std::fs::remove_file(&partial);
    written?;
    removed?;
    File::open(folder)?.sync_all()
}

fn write_partial(partial: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // A process that was killed may have had the same number.
    match std::fs::remove_file(partial) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(partial)?;
    file.write_all(bytes)?;
    file.set_permissions(Permissions::from_mode(MODE_READ_ONLY))?;
    file.sync_all()
}

/// Makes the folders down to this one, each durable in the one above it.
fn make_folders(folder: &Path) -> std::io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder
        .parent()
        .filter(|above| !above.as_os_str().is_empty());
    if let Some(above) = above {
        make_folders(above)?;
    }
    match std::fs::create_dir(folder) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    File::open(above.unwrap_or(Path::new(".")))?.sync_all()
}

fn walk(folder: &Path, at: &str, names: &mut Vec<String>) -> std::io::Result<()> {
    for item in std::fs::read_dir(folder)? {
        let item = item?;
        let file = item.file_name();
        let Some(file) = file.to_str() else {
            continue;
        };
        let name = match at {
            "" => file.to_owned(),
            at => format!("{at}/{file}"),
        };
        if !is_name(&name) {
            // What was being written when the power went, and other people's.
            continue;
        }
        if item.file_type()?.is_dir() {
            walk(&item.path(), &name, names)?;
        } else {
            names.push(name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_object_is_written_once_read_only_and_whole() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::new(directory.path().join("deep/archive"));
        assert_eq!(folder.list("").await, Ok(Vec::new()));
        assert_eq!(folder.get("a/1.zst").await, Ok(None));
        folder
            .put("a/1.zst", b"one", Timestamp::EPOCH)
            .await
            .unwrap();
        folder
            .put("b/2.zst", b"two", Timestamp::EPOCH)
            .await
            .unwrap();
        let again = folder.put("a/1.zst", b"other", Timestamp::EPOCH).await;
        assert_eq!(again, Err(ObjectFault::Exists("a/1.zst".into())));
        assert_eq!(folder.get("a/1.zst").await, Ok(Some(b"one".to_vec())));
        assert_eq!(folder.lock("a/1.zst").await, Ok(Lock::ReadOnly));
        assert_eq!(folder.list("a/").await.unwrap(), ["a/1.zst"]);
        assert_eq!(folder.list("").await.unwrap(), ["a/1.zst", "b/2.zst"]);
        let path = directory.path().join("deep/archive/a");
        std::fs::write(path.join(".partial-1-1"), b"ha").unwrap();
        std::fs::set_permissions(path.join("1.zst"), Permissions::from_mode(0o644)).unwrap();
        assert_eq!(folder.lock("a/1.zst").await, Ok(Lock::None));
        assert_eq!(folder.list("a/").await.unwrap(), ["a/1.zst"]);
        let left = std::fs::read_dir(&path).unwrap().count();
        assert_eq!(left, 2, "the object, and what another process left");
        for name in ["../x", "a/../../x", "/etc/passwd"] {
            assert!(
                matches!(folder.get(name).await, Err(ObjectFault::Refused(_))),
                "{name}"
            );
        }
    }

    #[tokio::test]
    async fn a_full_disk_leaves_nothing() {
        // A file where the folder should be stands for whatever the system
        // says no to; `/dev/full` says it is full.
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", directory.path().join("full")).unwrap();
        let full = write_partial_to(&directory.path().join("full"));
        assert!(
            matches!(&full, Err(ObjectFault::Unavailable(e)) if e.contains("space")),
            "{full:?}"
        );
        std::fs::write(directory.path().join("a"), b"").unwrap();
        let folder = Folder::new(directory.path());
        let refused = folder.put("a/1.zst", b"one", Timestamp::EPOCH).await;
        assert!(
            matches!(refused, Err(ObjectFault::Unavailable(_))),
            "{refused:?}"
        );
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    fn write_partial_to(path: &Path) -> Result<(), ObjectFault> {
        let mut file = OpenOptions::new().write(true).open(path).unwrap();
        file.write_all(b"x").map_err(|e| fault(path, &e))
    }
}
