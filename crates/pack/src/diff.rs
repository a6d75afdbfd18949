//! What an upgrade changes: the files that were added, removed or changed.

use crate::files::{Files, digests};
use crate::model::Pack;
use kernel::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

kernel::names! {
    /// What happened to a file.
    pub enum Change {
        /// It is new.
        Added = "added",
        /// It is gone.
        Removed = "removed",
        /// Its bytes are others.
        Changed = "changed",
    }
}

/// The difference between two packs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    /// By path; files that stayed the same are left out.
    pub files: BTreeMap<String, Change>,
}

impl Diff {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

/// The difference between two packs that were loaded.
#[must_use]
pub fn diff(old: &Pack, new: &Pack) -> Diff {
    between(&old.files, &new.files)
}

/// The difference between the files of two packs, which need not load.
#[must_use]
pub fn diff_files(old: &Files, new: &Files) -> Diff {
    between(&digests(old), &digests(new))
}

/// The difference between two sets of digests, as the record of a load keeps
/// them.
#[must_use]
pub fn between(old: &BTreeMap<String, Digest>, new: &BTreeMap<String, Digest>) -> Diff {
    let mut files = BTreeMap::new();
    for (path, digest) in new {
        match old.get(path) {
            None => drop(files.insert(path.clone(), Change::Added)),
            Some(before) if before != digest => drop(files.insert(path.clone(), Change::Changed)),
            Some(_) => {}
        }
    }
    for path in old.keys().filter(|path| !new.contains_key(*path)) {
        files.insert(path.clone(), Change::Removed);
    }
    Diff { files }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_removed_changed() {
        let files = |entries: &[(&str, &str)]| -> Files {
            let own = |(path, text): &(&str, &str)| ((*path).to_owned(), text.as_bytes().to_vec());
            entries.iter().map(own).collect()
        };
        let old = files(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let new = files(&[("b", "2"), ("c", "1"), ("d", "1")]);
        let expected = [
            ("a".to_owned(), Change::Removed),
            ("b".to_owned(), Change::Changed),
            ("d".to_owned(), Change::Added),
        ];
        assert_eq!(diff_files(&old, &new).files, BTreeMap::from(expected));
        assert!(diff_files(&old, &old).is_empty());
    }
}
