//! Lines without the members that they must have, and large bodies.

use super::{edited, header, lines, replaced, whole, with};
use crate::bundles::Case;

/// Members that are not what they must be. Their hashes are right.
pub(super) fn shapes() -> Vec<Case> {
    let mut cases: Vec<Case> = [
        ("member-unknown", "\"kind\":", "\"kin\":1,\"kind\":"),
        ("member-missing", "\"kind\":\"door.opened\",", ""),
        (
            "member-null",
            "\"directive\":\"dir_01890a5d0c0070008000000000000007\"",
            "\"directive\":null",
        ),
        ("actor-of-no-kind", "human:", "robot:"),
        (
            "actor-without-an-id",
            "human:prn_01890a5d0c0070008000000000000009",
            "human:",
        ),
        ("category-unknown", "EVIDENCE", "EVIDENCES"),
        (
            "instant-with-an-offset",
            "Z\",\"category\"",
            "+00:00\",\"category\"",
        ),
        ("instant-without-its-zeros", "000002Z", "000002000Z"),
        (
            "instant-that-is-none",
            "\"at\":\"2026-09",
            "\"at\":\"2026-13",
        ),
        ("kind-empty", "\"kind\":\"door.opened\"", "\"kind\":\"\""),
        ("id-of-another-prefix", "\"id\":\"ent_", "\"id\":\"dir_"),
        (
            "id-in-upper-case",
            "01890a5d0c0070008000000000000007",
            "01890A5D0C0070008000000000000007",
        ),
        ("sequence-as-a-string", "\"seq\":2", "\"seq\":\"2\""),
        ("sequence-with-a-fraction", "\"seq\":2", "\"seq\":2.5"),
        (
            "stream-version-zero",
            "\"stream_version\":1",
            "\"stream_version\":0",
        ),
        (
            "stream-version-too-large",
            "\"stream_version\":1",
            "\"stream_version\":9007199254740992",
        ),
        ("subject-without-a-slash", "service/", "service-"),
        ("subject-with-a-space", "checkout-é", "check out"),
        ("subject-of-a-type-in-upper-case", "service/", "Service/"),
        (
            "trace-of-zeros",
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "00000000000000000000000000000000",
        ),
        (
            "snapshot-too-long",
            "\"snapshot\":\"snp_",
            "\"snapshot\":\"snp_0",
        ),
    ]
    .into_iter()
    .map(|(name, from, to)| Case::bad(name, "shape", 3, header(from, to)))
    .collect();
    cases.push(Case::bad(
        "entry-with-another-member",
        "shape",
        3,
        edited(3, "{\"hash\"", "{\"a\":1,\"hash\""),
    ));
    cases.push(Case::bad("entry-without-a-payload", "shape", 4, {
        lines(|l| {
            let text = String::from_utf8(l[3].clone()).unwrap();
            let (start, _) = text.split_once(",\"payload\":").unwrap();
            l[3] = format!("{start}}}\n").into_bytes();
        })
    }));
    cases
}

pub(super) fn objects() -> Vec<Case> {
    let bodies: [&[u8]; 2] = [b"one body", b"two"];
    let two = || whole().with_objects(&bodies);
    let changed = |line: usize, from: &str, to: &str| {
        with(two(), |p| {
            p.objects[line] = replaced(&p.objects[line], from, to)
        })
    };
    let first = |start: &str| format!("{{\"bytes\":\"{start}");
    let text = String::from_utf8(two().objects[0].clone()).unwrap();
    let encoded = text[10..].split('"').next().unwrap().to_owned();
    vec![
        Case::bad(
            "object-changed",
            "object",
            7,
            changed(
                0,
                &first(&encoded[..1]),
                &first(if encoded.starts_with('a') { "b" } else { "a" }),
            ),
        ),
        Case::bad(
            "objects-swapped",
            "object",
            8,
            with(two(), |p| p.objects.swap(0, 1)),
        ),
        Case::bad(
            "object-twice",
            "object",
            8,
            with(two(), |p| p.objects[1] = p.objects[0].clone()),
        ),
        Case::bad(
            "object-missing",
            "end",
            8,
            with(two(), |p| drop(p.objects.pop())),
        ),
        Case::bad(
            "object-not-base64",
            "shape",
            7,
            changed(0, &first(""), &first("*")),
        ),
        Case::bad(
            "object-without-padding",
            "shape",
            7,
            with(whole().with_objects(&[b"a"]), |p| {
                p.objects[0] = replaced(&p.objects[0], "YQ==", "YQ")
            }),
        ),
        Case::bad(
            "object-with-unused-bits",
            "shape",
            7,
            with(whole().with_objects(&[b"a"]), |p| {
                p.objects[0] = replaced(&p.objects[0], "YQ==", "YR==")
            }),
        ),
        Case::bad(
            "object-with-another-member",
            "shape",
            7,
            changed(0, "{\"bytes\"", "{\"a\":1,\"bytes\""),
        ),
        Case::bad(
            "object-before-the-entries",
            "shape",
            2,
            with(whole().with_objects(&[b"a"]), |p| {
                p.entries.insert(0, p.objects[0].clone())
            }),
        ),
    ]
}
