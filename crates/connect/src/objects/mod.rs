//! Where the archive is kept: a folder of read-only files, or a bucket of an
//! S3-compatible store under Object Lock.

mod folder;
mod s3;
mod versions;

pub use folder::Folder;
pub use s3::{S3, S3Settings};

/// Whether a name has the form that every place can hold.
fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        let plain = part
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.'));
        plain && !part.is_empty() && !part.starts_with('.')
    };
    name.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_place() {
        for (name, fine) in [
            ("a/b-c_d.zst", true),
            ("a", true),
            ("", false),
            ("/a", false),
            ("a//b", false),
            ("a/../b", false),
            ("a/.hidden", false),
            ("A", false),
            ("a b", false),
            ("a\\b", false),
        ] {
            assert_eq!(is_name(name), fine, "{name}");
        }
    }
}
