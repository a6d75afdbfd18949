//! Bundles that must be refused, each wrong in one thing, with the fault and
//! the line where it must be found.

use super::bundles::{Case, older};
use super::notes::{malleable, with_signature};
use super::world::{
    OTHER_TENANT, Parts, TENANT, WITNESSED_AT, entries, forged, impostor, log_key, root, signed,
    tenant, texts, witness,
};
use kernel::Digest;
use ledger::bundle;
use ledger::checkpoint::{Checkpoint, format_hash};
use ledger::note::{Note, SigningKey};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = touched();
    cases.extend(rewritten());
    cases.extend(moved());
    cases.extend(cut());
    cases.extend(signatures());
    cases.extend(heads());
    cases.extend(encodings());
    cases.extend(shapes());
    cases.extend(objects());
    cases
}

fn whole() -> Parts {
    Parts::of(1, 5, 5)
}

/// The bundle after its parts were changed.
fn with(mut parts: Parts, change: impl FnOnce(&mut Parts)) -> Vec<u8> {
    change(&mut parts);
    parts.bytes()
}

/// The bundle after its lines were changed.
fn lines(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    let mut lines = whole().lines();
    change(&mut lines);
    lines.concat()
}

fn replaced(line: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(line.to_vec()).unwrap();
    assert!(text.contains(from), "`{from}` is not in {text}");
    text.replacen(from, to, 1).into_bytes()
}

/// The whole log with something in one line replaced.
fn edited(line: usize, from: &str, to: &str) -> Vec<u8> {
    lines(|lines| lines[line - 1] = replaced(&lines[line - 1], from, to))
}

/// The log whose second header was another one from the start.
fn header(from: &str, to: &str) -> Vec<u8> {
    let mut texts = texts(5);
    assert!(texts[1].0.contains(from), "{}", texts[1].0);
    texts[1].0 = texts[1].0.replacen(from, to, 1);
    forged(&texts).bytes()
}

/// Someone changed a byte and nothing else.
fn touched() -> Vec<Case> {
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
fn rewritten() -> Vec<Case> {
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

/// Entries do not stand where they belong.
fn moved() -> Vec<Case> {
    vec![
        Case::bad("entries-swapped", "sequence", 3, lines(|l| l.swap(2, 3))),
        Case::bad(
            "first-entry-missing",
            "sequence",
            2,
            lines(|l| drop(l.remove(1))),
        ),
        Case::bad("entry-missing", "sequence", 4, lines(|l| drop(l.remove(3)))),
        Case::bad(
            "last-entry-missing",
            "shape",
            6,
            lines(|l| drop(l.remove(5))),
        ),
        Case::bad(
            "entry-twice",
            "sequence",
            4,
            lines(|l| l.insert(3, l[2].clone())),
        ),
        Case::bad(
            "extra-entry",
            "shape",
            7,
            lines(|l| {
                let sixth = &entries(tenant(), 6)[5];
                l.insert(6, bundle::entry_line(tenant(), sixth));
            }),
        ),
        Case::bad(
            "another-logs-entry",
            "tenant",
            4,
            lines(|l| {
                let other = OTHER_TENANT.parse().unwrap();
                l[3] = bundle::entry_line(other, &entries(other, 5)[2]);
            }),
        ),
        Case::bad(
            "range-said-to-begin-earlier",
            "sequence",
            2,
            with(Parts::of(2, 4, 4), |p| {
                p.head.first = 1;
                p.head.proof.clear();
            }),
        ),
        Case::bad(
            "sequence-begins-with-zero",
            "shape",
            2,
            edited(2, "\"seq\":1", "\"seq\":0"),
        ),
        Case::bad("first-entry-follows-another", "chain", 2, {
            let mut texts = texts(2);
            texts[0].0 = texts[0].0.replace("PREV", &Digest::of(b"x").to_string());
            forged(&texts).bytes()
        }),
    ]
}

/// The file ends too early or too late.
fn cut() -> Vec<Case> {
    let bytes = whole().bytes();
    vec![
        Case::bad("empty", "end", 1, Vec::new()),
        Case::bad("head-only", "end", 2, lines(|l| l.truncate(1))),
        Case::bad(
            "cut-within-a-line",
            "line",
            4,
            lines(|l| {
                l.truncate(4);
                l[3].truncate(100);
            }),
        ),
        Case::bad("cut-after-a-line", "end", 5, lines(|l| l.truncate(4))),
        Case::bad("cut-before-the-end", "end", 7, lines(|l| l.truncate(6))),
        Case::bad(
            "last-line-feed-missing",
            "line",
            7,
            bytes[..bytes.len() - 1].to_vec(),
        ),
        Case::bad(
            "something-follows",
            "end",
            8,
            [bytes.as_slice(), b"x"].concat(),
        ),
        Case::bad(
            "empty-line-follows",
            "end",
            8,
            [bytes.as_slice(), b"\n"].concat(),
        ),
        Case::bad(
            "another-bundle-follows",
            "end",
            8,
            [bytes.as_slice(), bytes.as_slice()].concat(),
        ),
        Case::bad(
            "fewer-entries-counted",
            "end",
            7,
            edited(7, "\"entries\":5", "\"entries\":4"),
        ),
        Case::bad(
            "objects-counted-that-are-not-there",
            "end",
            7,
            edited(7, "\"objects\":0", "\"objects\":1"),
        ),
        Case::bad(
            "end-says-more",
            "end",
            7,
            edited(7, "\"entries\":5", "\"a\":1,\"entries\":5"),
        ),
    ]
}

fn signatures() -> Vec<Case> {
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
            .under(&super::world::note(&checkpoint.to_string(), &[other]))
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

fn heads() -> Vec<Case> {
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

/// A line that is not what it should be as text. Its hashes are right.
fn encodings() -> Vec<Case> {
    let payload = |text: &str| {
        let mut texts = texts(5);
        texts[1].1 = text.to_owned();
        forged(&texts).bytes()
    };
    let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    vec![
        Case::bad(
            "payload-member-twice",
            "json",
            3,
            payload("{\"a\":1,\"a\":1}"),
        ),
        Case::bad(
            "payload-member-twice-escaped",
            "json",
            3,
            payload("{\"a\":1,\"\\u0061\":1}"),
        ),
        Case::bad(
            "header-member-twice",
            "json",
            3,
            header("\"kind\":", "\"kind\":\"door.closed\",\"kind\":"),
        ),
        Case::bad(
            "payload-with-a-space",
            "canonical",
            3,
            payload("{\"a\": 1}"),
        ),
        Case::bad(
            "payload-not-sorted",
            "canonical",
            3,
            payload("{\"b\":1,\"a\":1}"),
        ),
        Case::bad(
            "payload-sorted-by-code-points",
            "canonical",
            3,
            payload("{\"\u{fb33}\":1,\"\u{1f600}\":1}"),
        ),
        Case::bad(
            "payload-escapes-too-much",
            "canonical",
            3,
            payload("\"\\u00e9\""),
        ),
        Case::bad(
            "payload-escapes-in-upper-case",
            "canonical",
            3,
            payload("\"\\u001F\""),
        ),
        Case::bad(
            "payload-number-with-a-zero-more",
            "canonical",
            3,
            payload("1.0"),
        ),
        Case::bad(
            "payload-number-with-too-many-digits",
            "canonical",
            3,
            payload("0.10000000000000001"),
        ),
        Case::bad(
            "payload-number-without-its-exponent",
            "canonical",
            3,
            payload("1000000000000000000000"),
        ),
        Case::bad(
            "payload-number-that-is-no-double",
            "canonical",
            3,
            payload("9007199254740993"),
        ),
        Case::bad("payload-minus-zero", "canonical", 3, payload("-0")),
        Case::bad("payload-number-too-large", "json", 3, payload("1e+309")),
        Case::bad("payload-lone-surrogate", "json", 3, payload("\"\\ud800\"")),
        Case::bad("payload-too-deep", "json", 3, payload(&deep(64))),
        Case::bad("payload-is-none", "json", 3, payload("")),
        Case::bad(
            "header-with-a-space",
            "canonical",
            3,
            header("{\"actor\"", "{ \"actor\""),
        ),
        Case::bad(
            "header-not-sorted",
            "canonical",
            3,
            header("\"seq\":2,\"snapshot\":", "\"snapshot\":\"x\",\"seq\":"),
        ),
        Case::bad(
            "line-ends-in-carriage-return",
            "canonical",
            3,
            lines(|l| {
                l[2].pop();
                l[2].extend(b"\r\n");
            }),
        ),
        Case::bad(
            "line-empty",
            "json",
            3,
            lines(|l| l.insert(2, b"\n".to_vec())),
        ),
        Case::bad(
            "line-is-no-json",
            "json",
            3,
            lines(|l| l[2] = b"entry\n".to_vec()),
        ),
        Case::bad(
            "line-is-no-object",
            "shape",
            3,
            lines(|l| l[2] = b"[]\n".to_vec()),
        ),
        Case::bad(
            "byte-order-mark",
            "json",
            1,
            [b"\xef\xbb\xbf".as_slice(), &whole().bytes()].concat(),
        ),
        Case::bad(
            "not-utf-8",
            "line",
            3,
            lines(|l| {
                let at = l[2].len() - 3;
                l[2][at] = 0xff;
            }),
        ),
        Case::bad(
            "overlong-utf-8",
            "line",
            2,
            lines(|l| {
                let at = l[1].len() - 5;
                l[1].splice(at..at, [0xc0, 0xaf]);
            }),
        ),
    ]
}

/// Members that are not what they must be. Their hashes are right.
fn shapes() -> Vec<Case> {
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

fn objects() -> Vec<Case> {
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
