//! What someone changed in a log: a byte, or a byte and the hashes over it.

use super::{edited, whole, with};
use crate::bundles::{Case, older};
use crate::world::{OTHER_TENANT, Parts, TENANT, entries, forged, log_key, signed, tenant, texts};
use kernel::Digest;
use ledger::bundle;
use ledger::note::Note;

/// Someone changed a byte and nothing else.
pub(super) fn touched() -> Vec<Case> {
    vec![
        Case::bad(
            "payload-changed",
            "payload",
            2,
            edited(2, "\"first\"", "\"First\""),
        ),
        Case::bad(
            "payload-number-changed",
            "payload",
            3,
            edited(3, "0.85", "0.86"),
        ),
        Case::bad(
            "kind-changed",
            "hash",
            4,
            edited(4, "door.opened", "door.closed"),
        ),
        Case::bad(
            "instant-changed",
            "hash",
            4,
            edited(4, "\"at\":\"2026", "\"at\":\"2025"),
        ),
        Case::bad(
            "actor-changed",
            "hash",
            2,
            edited(2, "system:scheduler", "system:other"),
        ),
        Case::bad(
            "optional-member-removed",
            "hash",
            3,
            edited(3, "\"subject\":\"service/checkout-é/eu+1\",", ""),
        ),
        Case::bad("payload-hash-changed", "payload", 2, {
            let hash = entries(tenant(), 1)[0].payload_hash.to_string();
            edited(2, &hash, &Digest::of(b"x").to_string())
        }),
        Case::bad(
            "stream-version-changed",
            "hash",
            6,
            edited(6, "\"stream_version\":3", "\"stream_version\":4"),
        ),
        Case::bad(
            "tenant-changed",
            "tenant",
            2,
            edited(2, TENANT, OTHER_TENANT),
        ),
        Case::bad("entry-hash-changed", "hash", 6, {
            let hash = entries(tenant(), 5)[4].hash.to_string();
            edited(6, &hash, &Digest::of(b"x").to_string())
        }),
    ]
}

/// Someone computed hashes anew.
pub(super) fn rewritten() -> Vec<Case> {
    let one_hash = with(whole(), |parts| {
        let mut entry = entries(tenant(), 5)[2].clone();
        entry.kind = "door.closed".into();
        entry.hash = entry.computed_hash(tenant());
        parts.entries[2] = bundle::entry_line(tenant(), &entry);
    });
    let mut changed = texts(5);
    changed[2].1 = "[2]".into();
    let all = || forged(&changed);
    let old = Note::parse(whole().head.checkpoint.as_bytes()).unwrap();
    vec![
        Case::bad("one-hash-computed-anew", "chain", 5, one_hash),
        Case::bad("chain-computed-anew", "root", 6, all().under(&old).bytes()),
        Case::bad("history-rewritten-and-signed", "kept", 4, all().bytes()).kept(older(3)),
        Case::bad("history-rewritten-before-kept", "kept", 6, all().bytes()).kept(older(5)),
        Case::bad("log-cut-and-signed", "kept", 1, Parts::of(1, 3, 3).bytes()).kept(older(5)),
        Case::bad(
            "wrong-root-signed",
            "root",
            6,
            whole()
                .under(&signed(5, Digest::of(b"x"), &[log_key(TENANT)]))
                .bytes(),
        ),
        Case::bad(
            "wrong-root-signed-for-a-range",
            "root",
            4,
            Parts::of(2, 4, 7)
                .under(&signed(7, Digest::of(b"x"), &[log_key(TENANT)]))
                .bytes(),
        ),
        Case::bad("range-entry-of-another-log", "root", 2, {
            let mut parts = Parts::of(3, 3, 7);
            parts.entries[0] = all().entries[2].clone();
            parts.bytes()
        }),
    ]
}
