//! Secrets by reference: `env:NAME` and `file:PATH`, the path absolute or
//! within a listed folder. Messages name the reference, never the secret.

use kernel::{Refusal, port};
use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Longest secret, in bytes.
const SECRET_BYTES_MAX: usize = 64 * 1024;
/// Permission bits of everyone but the file's owner and its group.
const MODE_OTHERS: u32 = 0o007;
/// Permission bits with which the group could write.
const MODE_GROUP_WRITE: u32 = 0o020;

/// Which references may be resolved. A directive may name any reference, so
/// only what the operator listed is given out.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    names: BTreeSet<String>,
    folders: Vec<PathBuf>,
}

impl Secrets {
    /// Gives out the environment variables with these names, and files in
    /// these folders; a relative path is looked up in each folder in turn.
    #[must_use]
    pub fn new(names: BTreeSet<String>, folders: Vec<PathBuf>) -> Self {
        Self { names, folders }
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one adapter that reads secrets from the environment"
    )]
    fn env(&self, name: &str) -> Result<Vec<u8>, Refusal> {
        if !self.names.contains(name) {
            return Err(
                Refusal::forbidden(format!("the secret `env:{name}` is not listed"))
                    .hint("add the name to the secrets that modules may use"),
            );
        }
        std::env::var(name)
            .map(String::into_bytes)
            .map_err(|_| Refusal::unavailable(format!("the secret `env:{name}` is not set")))
    }

    fn file(&self, text: &str) -> Result<Vec<u8>, Refusal> {
        let missing = |why: &str| Refusal::unavailable(format!("the secret `file:{text}` {why}"));
        // Joining an absolute path gives that path itself.
        let mut places = self.folders.iter().map(|folder| folder.join(text));
        let path = places
            .find_map(|place| place.canonicalize().ok())
            .or_else(|| Path::new(text).canonicalize().ok())
            .ok_or_else(|| missing("cannot be read"))?;
        let listed = self.folders.iter().any(|folder| {
            folder
                .canonicalize()
                .is_ok_and(|folder| path.starts_with(folder))
        });
        if !listed {
            return Err(Refusal::forbidden(format!(
                "the secret `file:{text}` is not in a listed folder"
            ))
            .hint("add its folder to the secrets that modules may use"));
        }
        let file = std::fs::File::open(&path).map_err(|_| missing("cannot be read"))?;
        let meta = file.metadata().map_err(|_| missing("cannot be read"))?;
        if !meta.is_file() {
            return Err(missing("is no file"));
        }
        private(&meta).map_err(|why| missing(why).hint(format!("run `chmod 600 {text}`")))?;
        let mut bytes = Vec::new();
        file.take(SECRET_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|_| missing("cannot be read"))?;
        if bytes.len() > SECRET_BYTES_MAX {
            return Err(missing("is too long"));
        }
        // Editors end files with a line feed; it belongs to no secret.
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        Ok(bytes)
    }
}

#[cfg(unix)]
fn private(meta: &std::fs::Metadata) -> Result<(), &'static str> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = meta.permissions().mode();
    if mode & MODE_OTHERS != 0 {
        return Err("is open to everyone on the machine");
    }
    if mode & MODE_GROUP_WRITE != 0 {
        return Err("can be written by its group");
    }
    Ok(())
}

impl port::Secrets for Secrets {
    fn resolve(&self, reference: &str) -> Result<Vec<u8>, Refusal> {
        let bytes = match reference.split_once(':') {
            Some(("env", name)) => self.env(name)?,
            Some(("file", path)) => self.file(path)?,
            _ => {
                // What was written here may be the secret itself.
                return Err(Refusal::invalid("not a reference to a secret")
                    .hint("write `env:NAME` or `file:PATH`"));
            }
        };
        if bytes.is_empty() {
            return Err(Refusal::unavailable(format!(
                "the secret `{reference}` is empty"
            )));
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Code;
    use kernel::port::Secrets as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn write(path: &Path, bytes: &[u8], mode: u32) -> String {
        std::fs::write(path, bytes).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        format!("file:{}", path.display())
    }

    #[test]
    fn files_are_given_out_only_from_listed_folders_and_only_when_private() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let secrets = Secrets::new(BTreeSet::new(), vec![folder.path().to_owned()]);
        let file = |name: &str| folder.path().join(name);
        let outside = write(&elsewhere.path().join("s"), b"x", 0o600);
        symlink(elsewhere.path().join("s"), file("link")).unwrap();
        for (reference, expected) in [
            (
                write(&file("a"), b"s3cret\n", 0o600),
                Ok(b"s3cret".to_vec()),
            ),
            (write(&file("b"), b"s3cret", 0o640), Ok(b"s3cret".to_vec())),
            (write(&file("c"), b"s3cret", 0o644), Err(Code::Unavailable)),
            (write(&file("d"), b"s3cret", 0o601), Err(Code::Unavailable)),
            (write(&file("e"), b"s3cret", 0o660), Err(Code::Unavailable)),
            (write(&file("f"), b"", 0o600), Err(Code::Unavailable)),
            (
                write(&file("g"), &vec![b'x'; SECRET_BYTES_MAX + 1], 0o600),
                Err(Code::Unavailable),
            ),
            (
                format!("file:{}", file("none").display()),
                Err(Code::Unavailable),
            ),
            (
                format!("file:{}", folder.path().display()),
                Err(Code::Unavailable),
            ),
            (outside, Err(Code::Forbidden)),
            (
                format!("file:{}", file("link").display()),
                Err(Code::Forbidden),
            ),
        ] {
            let got = secrets.resolve(&reference);
            if let Err(refusal) = &got {
                assert!(!refusal.to_string().contains("s3cret"), "{refusal}");
            }
            assert_eq!(got.map_err(|e| e.code), expected, "{reference}");
        }
    }

    #[test]
    fn the_environment_is_given_out_by_listed_name_only() {
        // Cargo sets these two for every test.
        let listed = BTreeSet::from(["CARGO_PKG_NAME".to_owned(), "WRIT_NOT_SET".to_owned()]);
        let secrets = Secrets::new(listed, Vec::new());
        for (reference, expected) in [
            ("env:CARGO_PKG_NAME", Ok(b"writ-connect".to_vec())),
            ("env:WRIT_NOT_SET", Err(Code::Unavailable)),
            ("env:CARGO_PKG_VERSION", Err(Code::Forbidden)),
            ("env:", Err(Code::Forbidden)),
            ("hunter2", Err(Code::Invalid)),
            ("vault:x", Err(Code::Invalid)),
        ] {
            let got = secrets.resolve(reference);
            assert_eq!(got.clone().map_err(|e| e.code), expected, "{reference}");
            if reference == "hunter2" {
                assert!(!got.unwrap_err().to_string().contains("hunter2"));
            }
        }
    }
}
