//! Bundles that verify, and what verification must say of all of them.

use super::broken;
use super::world::{Parts, TENANT, log_key, signed, witness};
use kernel::Digest;
use kernel::names::Name as _;
use ledger::bundle::{self, NotVerified, Trust};
use ledger::checkpoint::Checkpoint;
use ledger::note::{Note, VerifierKey};
use serde_json::{Value, json};

/// A bundle, what one brings along to verify it, and what is found.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) key: VerifierKey,
    pub(crate) witnesses: Vec<VerifierKey>,
    pub(crate) kept: Option<Note>,
    /// The fault and its line.
    pub(crate) fault: Option<(&'static str, u64)>,
}

impl Case {
    pub(crate) fn new(name: &'static str, bytes: Vec<u8>) -> Self {
        Self {
            name,
            bytes,
            key: log_key(TENANT).verifier().clone(),
            witnesses: Vec::new(),
            kept: None,
            fault: None,
        }
    }

    pub(crate) fn bad(name: &'static str, fault: &'static str, line: u64, bytes: Vec<u8>) -> Self {
        Self {
            fault: Some((fault, line)),
            ..Self::new(name, bytes)
        }
    }

    pub(crate) fn witnessed_by(mut self, number: u8) -> Self {
        self.witnesses.push(witness(number).verifier().clone());
        self
    }

    pub(crate) fn kept(mut self, note: Note) -> Self {
        self.kept = Some(note);
        self
    }

    pub(crate) fn file(&self) -> String {
        let verdict = if self.fault.is_some() { "bad" } else { "good" };
        format!("{verdict}-{}.jsonl", self.name)
    }

    pub(crate) fn trust(&self) -> Trust {
        Trust {
            key: self.key.clone(),
            witnesses: self.witnesses.clone(),
            kept: self
                .kept
                .as_ref()
                .map(|n| Checkpoint::parse(n.text()).unwrap()),
        }
    }

    fn line(&self) -> Value {
        let mut line = json!({"name": self.name, "file": self.file(), "key": self.key.to_string()});
        if !self.witnesses.is_empty() {
            let keys: Vec<String> = self.witnesses.iter().map(ToString::to_string).collect();
            line["witnesses"] = json!(keys);
        }
        if let Some(note) = &self.kept {
            line["kept"] = json!(note.to_string());
        }
        if let Some((fault, at)) = self.fault {
            line["fault"] = json!(fault);
            line["line"] = json!(at);
        }
        line
    }
}

/// The checkpoint that the log had when it was this long.
pub(crate) fn older(size: u64) -> Note {
    let log = super::world::entries(super::world::tenant(), size);
    let hashes: Vec<Digest> = log.iter().map(|entry| entry.hash).collect();
    signed(size, super::world::root(&hashes), &[log_key(TENANT)])
}

fn good() -> Vec<Case> {
    let whole = || Parts::of(1, 5, 5);
    let cosigned = || {
        let note = Note::parse(whole().head.checkpoint.as_bytes()).unwrap();
        let mut cosigned = note.clone();
        cosigned.add(witness(1).sign(note.text(), super::world::WITNESSED_AT));
        whole().under(&cosigned)
    };
    let objects: [&[u8]; 3] = [
        b"",
        b"a large body \x00\xff",
        "ein großer Körper".as_bytes(),
    ];
    vec![
        Case::new("whole", whole().bytes()),
        Case::new("one-entry", Parts::of(1, 1, 1).bytes()),
        Case::new("with-objects", whole().with_objects(&objects).bytes()),
        Case::new("from-the-middle", Parts::of(2, 4, 7).bytes()),
        Case::new("the-beginning", Parts::of(1, 3, 7).bytes()),
        Case::new("the-end", Parts::of(6, 7, 7).bytes()),
        Case::new("one-of-many", Parts::of(300, 300, 600).bytes()),
        Case::new("across-tiles", Parts::of(255, 258, 600).bytes()),
        Case::new("cosigned", cosigned().bytes()).witnessed_by(1),
        Case::new("cosigned-and-not-asked", cosigned().bytes()),
        Case::new("longer-than-kept", whole().bytes()).kept(older(3)),
        Case::new("as-long-as-kept", whole().bytes()).kept(older(5)),
        Case::new("kept-when-empty", whole().bytes()).kept(older(0)),
        Case::new("other-keys-named", {
            let mut parts = whole();
            parts.head.keys = vec![String::new(), "not a key".to_owned()];
            parts.bytes()
        }),
    ]
}

pub(crate) fn all() -> Vec<Case> {
    let mut cases = good();
    cases.extend(broken::cases());
    cases
}

pub(crate) fn index() -> Vec<Value> {
    all().iter().map(Case::line).collect()
}

/// What writ says of a bundle: the fault and its line, if there is one.
pub(crate) fn verdict(bytes: &[u8], trust: &Trust) -> Option<(&'static str, u64)> {
    match bundle::verify(bytes, trust, |_| {}) {
        Ok(_) => None,
        Err(NotVerified::Fault(fault)) => Some((fault.fault.name(), fault.line)),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn writ_says_what_the_vectors_say() {
    for case in all() {
        assert_eq!(
            verdict(&case.bytes, &case.trust()),
            case.fault,
            "{}",
            case.name
        );
    }
}

#[test]
fn contents_and_place_are_told() {
    let case = Case::new("x", Parts::of(2, 4, 7).bytes());
    let mut heard = Vec::new();
    let contents =
        bundle::verify(case.bytes.as_slice(), &case.trust(), |seq| heard.push(seq)).unwrap();
    assert_eq!((contents.first, contents.last, contents.size), (2, 4, 7));
    assert_eq!(heard, [2, 3, 4]);
    let cut = &case.bytes[..case.bytes.len() - 100];
    let fault = bundle::verify(cut, &case.trust(), |_| {}).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "line 4, entry 4: it does not end in a line feed, or is too long (fault `line`)"
    );
}

#[test]
fn an_older_checkpoint_is_not_compared_with_what_is_not_there() {
    for bytes in [Parts::of(2, 5, 5).bytes(), Parts::of(1, 2, 5).bytes()] {
        let case = Case::new("x", bytes).kept(older(3));
        let fault = bundle::verify(case.bytes.as_slice(), &case.trust(), |_| {}).unwrap_err();
        assert!(matches!(fault, NotVerified::OutOfReach(3)), "{fault}");
    }
}
