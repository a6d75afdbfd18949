//! Entries with every hash.

use super::world::{entries as log, tenant};
use kernel::{Actor, Digest, SnapshotId, StreamId, Subject, Timestamp, TraceId};
use ledger::Entry;
use ledger::verify::follows;
use serde_json::{Value, json};

/// Entries by what is special about them.
fn named() -> Vec<(&'static str, Entry)> {
    let log = log(tenant(), 5);
    let mut least = log[0].clone();
    least.payload = "null".into();
    least.stream = StreamId::from_stored("x");
    least.kind = "x".into();
    least.actor = Actor::system("x");
    let mut all = log[1].clone();
    all.actor = "agent:\u{1f600} \"é\" \\ \n\u{7f}".parse().unwrap();
    all.stream = StreamId::from_stored("door/\u{0}\u{1f}\u{2028}€");
    all.subject = Some(Subject::parse("a_b-9/x/y+\"\\é").unwrap());
    all.kind = "dörr.öffnet".into();
    let mut far = log[2].clone();
    far.seq = (1 << 53) - 1;
    far.stream_version = far.seq;
    far.at = Timestamp::from_micros(i64::MAX);
    far.trace_id = TraceId::new(1).unwrap();
    let mut early = log[3].clone();
    early.at = Timestamp::from_micros(i64::MIN);
    early.causation = None;
    early.snapshot = Some(SnapshotId(Digest::ZERO));
    let mut entries = vec![
        ("no member more than must be", least),
        ("every member, and escapes in them", all),
        ("the largest numbers and the last instant", far),
        ("the first instant", early),
    ];
    let names = [
        "first of a log",
        "second",
        "an array as payload",
        "a string as payload",
        "members beyond ASCII",
    ];
    entries.extend(names.into_iter().zip(log));
    for (_, entry) in &mut entries {
        entry.payload_hash = Digest::of(entry.payload.as_bytes());
        entry.hash = entry.computed_hash(tenant());
    }
    entries
}

pub(crate) fn cases() -> Vec<Value> {
    let case = |(name, entry): (&str, Entry)| {
        let header = entry.header(tenant());
        let value: Value = serde_json::from_slice(&header).unwrap();
        let payload: Value = serde_json::from_str(&entry.payload).unwrap();
        json!({
            "name": name,
            "header": value,
            "header_text": String::from_utf8(header).unwrap(),
            "payload": payload,
            "payload_text": entry.payload,
            "payload_hash": entry.payload_hash,
            "hash": entry.hash,
        })
    };
    named().into_iter().map(case).collect()
}

#[test]
fn writ_says_what_the_vectors_say() {
    for (name, entry) in named() {
        let before = ledger::Head {
            seq: entry.seq - 1,
            hash: entry.prev_hash,
        };
        let after = follows(tenant(), before, &entry).unwrap();
        assert_eq!(after.hash, entry.hash, "{name}");
        let by_hand = format!(
            "writ.entry.v1\n{}",
            String::from_utf8(entry.header(tenant())).unwrap()
        );
        assert_eq!(Digest::of(by_hand.as_bytes()), entry.hash, "{name}");
    }
}
