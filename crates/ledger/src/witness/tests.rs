//! Requests as the specification writes them, and everything that a witness
//! must not cosign.

use super::*;
use crate::merkle::{empty_root, leaf, root};
use crate::note::{Algorithm, KeyName};

const ORIGIN: &str = "example.com/log";

fn key(name: &str, seed: u8) -> SigningKey {
    SigningKey::new(KeyName::new(name).unwrap(), Algorithm::Ed25519, &[seed; 32]).unwrap()
}

fn known() -> KnownLog {
    KnownLog {
        origin: ORIGIN.into(),
        keys: vec![key(ORIGIN, 1).verifier().clone()],
    }
}

fn tree(size: usize, salt: u8) -> Vec<Digest> {
    (0..size)
        .map(|n| leaf(Digest::of(&[salt, u8::try_from(n).unwrap()])))
        .collect()
}

fn signed(origin: &str, leaves: &[Digest], by: &SigningKey) -> (Checkpoint, Note) {
    let checkpoint = Checkpoint {
        origin: origin.into(),
        size: leaves.len() as u64,
        root: root(leaves),
        extensions: Vec::new(),
    };
    let mut note = Note::new(checkpoint.to_string()).unwrap();
    note.add(by.sign(note.text(), 0));
    (checkpoint, note)
}

#[test]
fn requests_round_trip_and_others_are_refused() {
    let (_, note) = signed(ORIGIN, &tree(3, 0), &key(ORIGIN, 1));
    let request = AddCheckpoint {
        old: 2,
        proof: vec![Digest::of(b"a"), Digest::of(b"b")],
        note,
    };
    let body = request.to_string();
    assert_eq!(AddCheckpoint::parse(body.as_bytes()).unwrap(), request);
    let hash = format_hash(Digest::ZERO);
    let bad = [
        String::new(),
        body.replacen("old 2", "old 02", 1),
        body.replacen("old 2", "old -2", 1),
        body.replacen("old 2", "new 2", 1),
        body.replacen("old 2\n", "old 2\nxyz\n", 1),
        body.replacen(
            "old 2\n",
            &format!("old 2\n{}", format!("{hash}\n").repeat(62)),
            1,
        ),
        body.replacen("\n\n", "\n", 1),
        body.trim_end().to_owned(),
        "x".repeat(REQUEST_BYTES_MAX + 1),
    ];
    for body in bad {
        let declined = AddCheckpoint::parse(body.as_bytes()).unwrap_err();
        assert_eq!(declined.status(), 400, "{body}");
    }
}

/// A witness that has cosigned `last` entries of the honest log is asked.
fn check(last: usize, old: u64, proof: &[Digest], note: Note) -> Result<u64, u16> {
    let (last, _) = signed(ORIGIN, &tree(last, 0), &key(ORIGIN, 1));
    let last = (last.size > 0).then_some(last);
    let proof = proof.to_vec();
    let request = AddCheckpoint { old, proof, note };
    decide(&known(), last.as_ref(), &request)
        .map(|checkpoint| checkpoint.size)
        .map_err(|declined| declined.status())
}

#[test]
fn a_witness_cosigns_what_extends_and_nothing_else() {
    let by = key(ORIGIN, 1);
    let of = |size: usize, salt: u8| signed(ORIGIN, &tree(size, salt), &by).1;
    // Four of seven: the right half of the tree is the whole proof.
    let proof = [root(&tree(7, 0)[4..])];
    let rows = [
        ("the first", check(0, 0, &[], of(4, 0)), Ok(4)),
        ("the next", check(4, 4, &proof, of(7, 0)), Ok(7)),
        ("the same again", check(7, 7, &[], of(7, 0)), Ok(7)),
        ("a fork", check(4, 4, &proof, of(7, 9)), Err(422)),
        ("a fork of one size", check(7, 7, &[], of(7, 9)), Err(422)),
        ("without a proof", check(4, 4, &[], of(7, 0)), Err(422)),
        ("a rollback", check(7, 4, &[], of(4, 0)), Err(409)),
        ("a rollback that lies", check(7, 7, &[], of(4, 0)), Err(400)),
        (
            "a replay of the first",
            check(7, 0, &[], of(4, 0)),
            Err(409),
        ),
        ("from nothing", check(4, 0, &[], of(7, 0)), Err(409)),
        ("from another size", check(4, 5, &proof, of(7, 0)), Err(409)),
        (
            "proof from nothing",
            check(0, 0, &proof, of(7, 0)),
            Err(422),
        ),
    ];
    for (what, got, expected) in rows {
        assert_eq!(got, expected, "{what}");
    }
}

#[test]
fn a_witness_knows_its_logs_and_their_keys() {
    let leaves = tree(4, 0);
    let stranger = signed(ORIGIN, &leaves, &key(ORIGIN, 2)).1;
    assert_eq!(check(0, 0, &[], stranger), Err(403));
    let named_otherwise = signed(ORIGIN, &leaves, &key("example.com/other", 1)).1;
    assert_eq!(check(0, 0, &[], named_otherwise), Err(403));
    let unknown = signed("example.com/other", &leaves, &key(ORIGIN, 1)).1;
    assert_eq!(check(0, 0, &[], unknown), Err(404));
    let (_, note) = signed(ORIGIN, &leaves, &key(ORIGIN, 1));
    let line = note.signatures()[0].clone();
    let mut forged = Note::new(note.text().replace("\n4\n", "\n5\n")).unwrap();
    forged.add(line);
    assert_eq!(check(0, 0, &[], forged), Err(403));
    let other_root = format!("{ORIGIN}\n0\n{}\n", format_hash(Digest::ZERO));
    let mut empty = Note::new(other_root).unwrap();
    empty.add(key(ORIGIN, 1).sign(empty.text(), 0));
    assert_eq!(check(0, 0, &[], empty), Err(422));
    let no_leaf = signed(ORIGIN, &[], &key(ORIGIN, 1));
    assert_eq!(no_leaf.0.root, empty_root());
    assert_eq!(check(0, 0, &[], no_leaf.1), Ok(0));
}

#[test]
fn what_is_kept_has_the_signatures_that_were_verified() {
    let witness = SigningKey::new(
        KeyName::new("example.com/witness").unwrap(),
        Algorithm::CosignatureV1,
        &[3; 32],
    )
    .unwrap();
    let (_, mut note) = signed(ORIGIN, &tree(4, 0), &key(ORIGIN, 1));
    note.add(key("example.com/stranger", 5).sign(note.text(), 0));
    let (kept, signature) = cosigned(&known(), &note, &witness, 1_700_000_000);
    assert_eq!(kept.signatures().len(), 2);
    assert_eq!(signature.cosigned_at_seconds(), Some(1_700_000_000));
    let log = known().keys.remove(0);
    let both = [log, witness.verifier().clone()];
    assert_eq!(kept.verify(&both).unwrap().len(), 2);
}
