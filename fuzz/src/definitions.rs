//! What people write down for writ: directives, and the files of a pack.

use crate::seeds;
use gate::contract::Contract;
use pack::{Fault, Files, Pack};
use std::sync::OnceLock;

/// The incident pack, as it stands in the repository.
///
/// # Panics
/// When it does not load.
pub fn incident() -> &'static Pack {
    static PACK: OnceLock<Pack> = OnceLock::new();
    PACK.get_or_init(|| pack::load(seeds::incident()).expect("the incident pack loads"))
}

/// A directive: what is read is read again from its JSON, has one digest, and
/// differs in nothing from itself.
///
/// # Panics
/// When that does not hold.
pub fn directive(bytes: &[u8]) -> bool {
    let Ok(contract) = kernel::json::parse_as::<Contract>(bytes) else {
        return false;
    };
    let checked = contract.check();
    let _ = contract.cost();
    let digest = contract.digest().expect("a directive has a digest");
    let text = kernel::json::canonical(&contract).expect("a directive has a canonical form");
    let again: Contract = kernel::json::parse_as(text.as_bytes()).expect("it is read again");
    assert_eq!(again.digest(), Ok(digest));
    assert_eq!(again.check(), checked);
    assert_eq!(again.changed_from(&contract), Ok(Vec::new()));
    checked.is_ok()
}

/// One file of a pack by itself, whose path is the first line. Taken is one
/// that has no fault but that the others are missing.
///
/// # Panics
/// When a fault has no place or says nothing.
pub fn one(bytes: &[u8]) -> bool {
    let Some((path, content)) = file(bytes) else {
        return false;
    };
    let files = Files::from([(path.to_owned(), content.to_vec())]);
    let faults = pack::load(&files).err().unwrap_or_default();
    placed(&faults);
    faults.iter().all(|fault| fault.file != path)
}

/// The incident pack with one file in place of the one with its path, which
/// stands in the first line: it is refused with a place, or loads to the same
/// hash each time.
///
/// # Panics
/// When that does not hold.
pub fn pack(bytes: &[u8]) -> bool {
    let Some((path, content)) = file(bytes) else {
        return false;
    };
    let mut files = seeds::incident().clone();
    files.insert(path.to_owned(), content.to_vec());
    match pack::load(&files) {
        Err(faults) => {
            placed(&faults);
            false
        }
        Ok(loaded) => {
            let again = pack::load(&files).expect("loads again");
            assert_eq!(again.hash, loaded.hash);
            let _ = loaded.summary();
            let _ = loaded.lint(&gate::contract::Capabilities::default());
            true
        }
    }
}

fn file(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().position(|b| *b == b'\n')?;
    let path = str::from_utf8(&bytes[..end]).ok()?;
    Some((path, &bytes[end + 1..]))
}

fn placed(faults: &[Fault]) {
    for fault in faults {
        let shown = fault.to_string();
        assert!(!shown.trim().is_empty(), "a fault says what is wrong");
        assert!(
            !shown.chars().any(|c| c.is_control() && c != '\n'),
            "{shown:?} can be printed"
        );
    }
}
