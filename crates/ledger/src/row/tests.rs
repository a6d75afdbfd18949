//! The header written by hand is the canonical one, over hostile texts; a row
//! is what its entry says, and back.

use super::*;
use crate::entry::tests::sample;
use kernel::TenantId;
use kernel::names::Name as _;
use proptest::prelude::*;
use serde_json::{Value, json};

/// The header as RFC 8785 writes it, by the library.
fn by_library(tenant: TenantId, row: &Row<'_>) -> Vec<u8> {
    let members = [
        ("actor", json!(row.actor)),
        ("at", json!(row.at)),
        ("category", json!(row.category)),
        ("causation", json!(row.causation)),
        ("directive", json!(row.directive)),
        ("id", json!(row.id)),
        ("kind", json!(row.kind)),
        ("payload_hash", json!(row.payload_hash)),
        ("prev_hash", json!(row.prev_hash)),
        ("seq", json!(row.seq)),
        ("snapshot", json!(row.snapshot)),
        ("stream", json!(row.stream)),
        ("stream_version", json!(row.stream_version)),
        ("subject", json!(row.subject)),
        ("tenant", json!(tenant)),
        ("trace_id", json!(row.trace_id)),
    ];
    let present = members.into_iter().filter(|(_, value)| !value.is_null());
    let header: serde_json::Map<String, Value> = present
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let canonical = kernel::json::canonical(&header).unwrap();
    [DOMAIN, canonical.as_bytes()].concat()
}

/// Texts that an escaper stumbles over.
fn hostile() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "\"", "\\", "/", "\u{0}", "\u{1}", "\u{8}", "\t", "\n", "\u{b}", "\u{c}", "\r", "\u{1f}",
        " ", "\u{7f}", "\u{80}", "é", "\u{2028}", "\u{fb33}", "\u{fffd}", "\u{ffff}", "😀",
        "\\u0041", "a",
    ]);
    prop_oneof![
        prop::collection::vec(odd, 0..12).prop_map(|parts| parts.concat()),
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn a_header_is_canonical_whatever_the_texts(
        texts in prop::collection::vec(hostile(), 4),
        present in any::<[bool; 4]>(),
        (seq, version, at) in (0..1_u64 << 53, 0..1_u64 << 53, any::<i64>()),
        (id, cause, trace) in (any::<u128>(), any::<u128>(), 1..u128::MAX),
        (hash, category) in (any::<[u8; 32]>(), prop::sample::select(Category::ALL)),
    ) {
        let (tenant, entry) = sample();
        let sampled = Texts::of(&entry);
        let row = Row {
            seq,
            category,
            id: EntryId(uuid::Uuid::from_u128(id)),
            at: Timestamp::from_micros(at),
            stream: &texts[0],
            stream_version: version,
            kind: &texts[1],
            actor: &texts[2],
            trace_id: TraceId::new(trace).unwrap(),
            causation: present[0].then_some(EntryId(uuid::Uuid::from_u128(cause))),
            subject: present[1].then_some(texts[3].as_str()),
            directive: present[2].then_some(DirectiveId(uuid::Uuid::from_u128(cause))),
            snapshot: present[3].then_some(SnapshotId(Digest(hash))),
            payload_hash: Digest(hash),
            ..sampled.row(&entry)
        };
        let written = Preimage::new(tenant).write(&row).to_vec();
        prop_assert_eq!(String::from_utf8(written), String::from_utf8(by_library(tenant, &row)));
    }

    #[test]
    fn what_is_pushed_is_what_is_read(texts in prop::collection::vec(hostile(), 0..40)) {
        let (_, mut entry) = sample();
        let mut rows = Rows::default();
        let mut entries = Vec::new();
        for (n, text) in texts.iter().enumerate() {
            entry.seq = n as u64;
            entry.kind.clone_from(text);
            entry.payload = texts[texts.len() - 1 - n].clone();
            entry.subject = Subject::new("service", text).ok();
            entry.causation = n.is_multiple_of(2).then_some(entry.id);
            rows.push_entry(&entry);
            entries.push(entry.clone());
        }
        let read: Vec<Entry> = rows.iter().map(|row| row.entry().unwrap()).collect();
        prop_assert_eq!(read, entries);
    }
}

#[test]
fn a_column_that_cannot_be_read_is_named_by_both_readers() {
    let (_, entry) = sample();
    let texts = Texts::of(&entry);
    let good = texts.row(&entry);
    assert_eq!((good.check(), good.entry()), (Ok(()), Ok(entry.clone())));
    let rows = [
        (
            "actor",
            Row {
                actor: "robot:x",
                ..good
            },
        ),
        (
            "actor",
            Row {
                actor: "human:",
                ..good
            },
        ),
        (
            "actor",
            Row {
                actor: "human",
                ..good
            },
        ),
        (
            "subject",
            Row {
                subject: Some("service"),
                ..good
            },
        ),
        (
            "subject",
            Row {
                subject: Some("service/a b"),
                ..good
            },
        ),
    ];
    for (column, row) in rows {
        let what = row.check().unwrap_err();
        assert!(what.starts_with(&format!("column `{column}`: `")), "{what}");
        assert_eq!(row.entry().unwrap_err(), what);
    }
}
