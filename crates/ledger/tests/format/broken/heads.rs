//! Checkpoints, signatures and proofs: the first line.

use super::{edited, lines, replaced, whole, with};
use crate::bundles::Case;
use crate::notes::{malleable, with_signature};
use crate::world::{
    self, OTHER_TENANT, Parts, TENANT, WITNESSED_AT, entries, impostor, log_key, root, signed,
    tenant, witness,
};
use kernel::Digest;
use ledger::checkpoint::{Checkpoint, format_hash};
use ledger::note::SigningKey;

pub(super) fn signatures() -> Vec<Case> {
    let hashes: Vec<Digest> = entries(tenant(), 5).iter().map(|e| e.hash).collect();
    let by = |keys: &[SigningKey]| whole().under(&signed(5, root(&hashes), keys));
    let note = whole().head.checkpoint;
    let text = |text: String| with(whole(), |p| p.head.checkpoint = text);
    let cosigned = || {
        let mut note = signed(5, root(&hashes), &[log_key(TENANT)]);
        note.add(witness(1).sign(note.text(), WITNESSED_AT));
        note
    };
    let mut wrongly_cosigned = cosigned();
    wrongly_cosigned.add(witness(1).sign("another text\n", WITNESSED_AT));
    let mut other_log = Case::bad("checkpoint-of-another-log", "origin", 1, {
        let other = log_key(OTHER_TENANT);
        let checkpoint = Checkpoint::new(other.verifier().name(), 5, root(&hashes));
        whole()
            .under(&world::note(&checkpoint.to_string(), &[other]))
            .bytes()
    });
    other_log.key = log_key(OTHER_TENANT).verifier().clone();
    vec![
        Case::bad(
            "signed-by-an-unknown-key",
            "key",
            1,
            by(&[impostor()]).bytes(),
        ),
        Case::bad(
            "root-changed",
            "signature",
            1,
            text(note.replace(&format_hash(root(&hashes)), &format_hash(Digest::ZERO))),
        ),
        Case::bad(
            "signature-changed",
            "signature",
            1,
            text(with_signature(&note, |bytes| bytes[40] ^= 1)),
        ),
        Case::bad(
            "signature-malleable",
            "signature",
            1,
            text(malleable(&note)),
        ),
        Case::bad(
            "not-signed",
            "note",
            1,
            text(note.split("\n\n").next().unwrap().to_owned() + "\n"),
        ),
        Case::bad("no-checkpoint", "note", 1, text(String::new())),
        other_log,
        Case::bad("not-cosigned", "witness", 1, whole().bytes()).witnessed_by(1),
        Case::bad(
            "cosigned-by-another",
            "witness",
            1,
            whole().under(&cosigned()).bytes(),
        )
        .witnessed_by(2),
        Case::bad(
            "cosignature-changed",
            "witness",
            1,
            whole().under(&wrongly_cosigned).bytes(),
        )
        .witnessed_by(1),
    ]
}

pub(super) fn heads() -> Vec<Case> {
    vec![
        Case::bad(
            "another-format",
            "shape",
            1,
            with(whole(), |p| p.head.format = "writ.bundle.v2".into()),
        ),
        Case::bad("from-zero", "shape", 1, with(whole(), |p| p.head.first = 0)),
        Case::bad(
            "from-beyond-to",
            "shape",
            1,
            with(whole(), |p| p.head.first = 6),
        ),
        Case::bad(
            "beyond-the-checkpoint",
            "range",
            1,
            with(whole(), |p| p.head.last = 6),
        ),
        Case::bad(
            "beyond-what-json-counts",
            "shape",
            1,
            with(whole(), |p| p.head.last = 1 << 53),
        ),
        Case::bad(
            "member-unknown-in-the-head",
            "shape",
            1,
            edited(1, "{\"checkpoint\"", "{\"a\":1,\"checkpoint\""),
        ),
        Case::bad(
            "member-missing-in-the-head",
            "shape",
            1,
            edited(1, "\"keys\":[", "\"kez\":["),
        ),
        Case::bad("head-is-an-entry", "shape", 1, lines(|l| drop(l.remove(0)))),
        Case::bad(
            "proof-too-short",
            "proof",
            1,
            with(Parts::of(2, 4, 7), |p| p.head.proof.truncate(1)),
        ),
        Case::bad(
            "proof-too-long",
            "proof",
            1,
            with(Parts::of(2, 4, 7), |p| p.head.proof.push(Digest::ZERO)),
        ),
        Case::bad(
            "proof-of-a-whole-log",
            "proof",
            1,
            with(whole(), |p| p.head.proof.push(Digest::ZERO)),
        ),
        Case::bad(
            "proof-hash-changed",
            "root",
            4,
            with(Parts::of(2, 4, 7), |p| p.head.proof[0] = Digest::ZERO),
        ),
        Case::bad(
            "proof-hashes-swapped",
            "root",
            4,
            with(Parts::of(2, 4, 7), |p| p.head.proof.swap(0, 1)),
        ),
        Case::bad("proof-hash-in-upper-case", "shape", 1, {
            let parts = Parts::of(2, 4, 7);
            let hash = parts.head.proof[0].to_string();
            let line = replaced(&parts.head.to_line().unwrap(), &hash, &hash.to_uppercase());
            let mut lines = parts.lines();
            lines[0] = line;
            lines.concat()
        }),
    ]
}
