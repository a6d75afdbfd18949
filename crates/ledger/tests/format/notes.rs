//! Verifier keys and signed notes, good and bad.

use super::world::{OTHER_TENANT, TENANT, WITNESSED_AT, impostor, log_key, note, witness};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kernel::Digest;
use ledger::checkpoint::{Checkpoint, format_hash};
use ledger::merkle::empty_root;
use ledger::note::{Note, NoteFault, SigningKey, VerifierKey};
use serde_json::{Value, json};

/// The order of the group, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn origin() -> String {
    log_key(TENANT).verifier().name().to_string()
}

fn text(size: u64) -> String {
    let root = if size == 0 {
        empty_root()
    } else {
        Digest::of(b"a root")
    };
    Checkpoint::new(log_key(TENANT).verifier().name(), size, root).to_string()
}

/// The note whose text was replaced after it was signed.
fn signed_then(change: impl Fn(&str) -> String) -> String {
    let note = note(&text(5), &[log_key(TENANT)]).to_string();
    change(&note)
}

/// A note over a text that is signed, but is no checkpoint.
fn signed_text(text: &str) -> String {
    note(text, &[log_key(TENANT)]).to_string()
}

/// The last line of a note with its base64 changed as bytes.
pub(crate) fn with_signature(note: &str, change: impl Fn(&mut Vec<u8>)) -> String {
    let (start, encoded) = note.trim_end().rsplit_once(' ').unwrap();
    let mut bytes = STANDARD.decode(encoded).unwrap();
    change(&mut bytes);
    format!("{start} {}\n", STANDARD.encode(bytes))
}

/// The same signature with the order of the group added to its scalar: it
/// fulfils the equation and is not the one that was made.
pub(crate) fn malleable(note: &str) -> String {
    with_signature(note, |bytes| {
        let mut carry = 0;
        for (byte, add) in bytes[36..].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            *byte = u8::try_from(sum & 0xff).unwrap();
            carry = sum >> 8;
        }
    })
}

fn good() -> Vec<Value> {
    let log = log_key(TENANT);
    let case = |name: &str, key: &SigningKey, size: u64, note: String| json!({"name": name, "key": key.verifier().to_string(), "note": note, "origin": origin(), "size": size.to_string()});
    let five = text(5);
    let extended = format!("{five}an extension\nanother one\n");
    vec![
        case("signed by the log", &log, 5, signed_text(&five)),
        case("an empty log", &log, 0, signed_text(&text(0))),
        case(
            "the largest size",
            &log,
            i64::MAX as u64,
            signed_text(&text(i64::MAX as u64)),
        ),
        case("further lines", &log, 5, signed_text(&extended)),
        case(
            "a stranger signed too",
            &log,
            5,
            note(&five, &[impostor(), log.clone()]).to_string(),
        ),
        case(
            "cosigned",
            &log,
            5,
            note(&five, &[log.clone(), witness(1), witness(2)]).to_string(),
        ),
        case(
            "a cosignature",
            &witness(1),
            5,
            note(&five, &[log.clone(), witness(1)]).to_string(),
        ),
        case(
            "a cosignature alone",
            &witness(2),
            5,
            note(&five, &[witness(2)]).to_string(),
        ),
        case(
            "signed twice by the same key",
            &log,
            5,
            signed_then(|note| {
                let line = note.lines().last().unwrap();
                format!("{note}{line}\n")
            }),
        ),
        case(
            "64 signatures",
            &log,
            5,
            signed_then(|note| {
                let line = note.lines().last().unwrap().to_owned();
                format!("{note}{}", format!("{line}\n").repeat(63))
            }),
        ),
    ]
}

fn bad_notes() -> Vec<(&'static str, &'static str, String)> {
    let root = format_hash(Digest::of(b"a root"));
    let origin = origin();
    let line = |note: &str| note.lines().last().unwrap().to_owned();
    vec![
        (
            "signature",
            "the size changed",
            signed_then(|n| n.replace("\n5\n", "\n6\n")),
        ),
        (
            "signature",
            "a bit of the signature changed",
            with_signature(&signed_then(str::to_owned), |b| b[40] ^= 1),
        ),
        (
            "signature",
            "a byte of the signature missing",
            with_signature(&signed_then(str::to_owned), |b| b.truncate(67)),
        ),
        (
            "signature",
            "a byte too many",
            with_signature(&signed_then(str::to_owned), |b| b.push(0)),
        ),
        (
            "signature",
            "the scalar is not the smallest",
            malleable(&signed_then(str::to_owned)),
        ),
        (
            "signature",
            "R is of small order",
            with_signature(&signed_then(str::to_owned), |b| {
                b[4..36].fill(0);
                b[4] = 1;
            }),
        ),
        (
            "signature",
            "a good and a bad signature by the key",
            signed_then(|n| format!("{n}{}\n", line(&with_signature(n, |b| b[40] ^= 1)))),
        ),
        (
            "key",
            "signed by another key of the same name",
            note(&text(5), &[impostor()]).to_string(),
        ),
        (
            "key",
            "signed by another log",
            note(&text(5), &[log_key(OTHER_TENANT)]).to_string(),
        ),
        (
            "key",
            "signed by a witness only",
            note(&text(5), &[witness(1)]).to_string(),
        ),
        ("note", "no signature", text(5)),
        (
            "note",
            "no signature after the empty line",
            format!("{}\n", text(5)),
        ),
        (
            "note",
            "no empty line",
            signed_then(|n| n.replace("\n\n", "\n")),
        ),
        (
            "note",
            "no last line feed",
            signed_then(|n| n.trim_end().to_owned()),
        ),
        (
            "note",
            "an empty line at the end",
            signed_then(|n| format!("{n}\n")),
        ),
        (
            "note",
            "a line that is no signature",
            signed_then(|n| format!("{n}not a line\n")),
        ),
        (
            "note",
            "carriage returns",
            signed_then(|n| n.replace('\n', "\r\n")),
        ),
        (
            "note",
            "a tab in the text",
            signed_then(|n| n.replacen("writ", "writ\t", 1)),
        ),
        (
            "note",
            "a hyphen for the dash",
            signed_then(|n| n.replace('\u{2014}', "-")),
        ),
        (
            "note",
            "two spaces",
            signed_then(|n| n.replace("\u{2014} ", "\u{2014}  ")),
        ),
        (
            "note",
            "a plus in the key's name",
            signed_then(|n| n.replace("\u{2014} writ", "\u{2014} wr+it")),
        ),
        (
            "note",
            "a Unicode space in the key's name",
            signed_then(|n| n.replace("\u{2014} writ", "\u{2014} wr\u{2003}it")),
        ),
        (
            "note",
            "a control character in the key's name",
            signed_then(|n| n.replace("\u{2014} writ", "\u{2014} wr\u{85}it")),
        ),
        (
            "note",
            "a key's name that is too long",
            signed_then(|n| n.replace("\u{2014} writ", &format!("\u{2014} {}", "x".repeat(250)))),
        ),
        (
            "note",
            "base64 without padding",
            signed_then(|n| format!("{}\n", n.trim_end().trim_end_matches('='))),
        ),
        (
            "note",
            "an id without a signature",
            with_signature(&signed_then(str::to_owned), |b| b.truncate(4)),
        ),
        (
            "note",
            "65 signatures",
            signed_then(|n| format!("{n}{}", format!("{}\n", line(n)).repeat(64))),
        ),
        (
            "note",
            "text of two lines",
            signed_text(&format!("{origin}\n5\n")),
        ),
        (
            "note",
            "an empty origin",
            signed_text(&format!("\n5\n{root}\n")),
        ),
        (
            "note",
            "a leading zero",
            signed_text(&format!("{origin}\n05\n{root}\n")),
        ),
        (
            "note",
            "a sign",
            signed_text(&format!("{origin}\n+5\n{root}\n")),
        ),
        (
            "note",
            "a size that is too large",
            signed_text(&format!("{origin}\n9223372036854775808\n{root}\n")),
        ),
        (
            "note",
            "digits that are not ASCII",
            signed_text(&format!("{origin}\n\u{665}\n{root}\n")),
        ),
        (
            "note",
            "a short root",
            signed_text(&format!("{origin}\n5\n{}\n", &root[..40])),
        ),
        (
            "note",
            "a root without padding",
            signed_text(&format!("{origin}\n5\n{}\n", root.trim_end_matches('='))),
        ),
        (
            "note",
            "a root in the other alphabet",
            signed_text(&format!("{origin}\n5\n{}\n", "_".repeat(42) + "8=")),
        ),
        (
            "note",
            "a root with unused bits set",
            signed_text(&format!("{origin}\n5\n{}\n", "A".repeat(42) + "B=")),
        ),
        (
            "note",
            "an empty further line",
            signed_text(&format!("{origin}\n5\n{root}\n\nmore\n")),
        ),
        (
            "note",
            "too many further lines",
            signed_text(&format!("{origin}\n5\n{root}\n{}", "x\n".repeat(33))),
        ),
        (
            "note",
            "an empty log with a root",
            signed_text(&format!("{origin}\n0\n{root}\n")),
        ),
    ]
}

fn bad_keys() -> Vec<(&'static str, String)> {
    let key = log_key(TENANT).verifier().to_string();
    let (name, rest) = key.split_once('+').unwrap();
    let (id, encoded) = rest.split_once('+').unwrap();
    let of = |data: &[u8]| {
        let id = Digest::of(&[name.as_bytes(), b"\n", data].concat()).to_string();
        format!("{name}+{}+{}", &id[..8], STANDARD.encode(data))
    };
    let mut one = [0; 33];
    (one[0], one[1]) = (1, 1);
    let mut none = [0xff; 33];
    (none[0], none[32]) = (1, 0x7f);
    let mut other = STANDARD.decode(encoded).unwrap();
    other[0] = 2;
    vec![
        ("another id", format!("{name}+00000000+{encoded}")),
        (
            "an id in upper case",
            format!("{name}+{}+{encoded}", id.to_uppercase()),
        ),
        ("another name", format!("x{key}")),
        ("no name", format!("+{id}+{encoded}")),
        ("no id", format!("{name}+{encoded}")),
        ("padding that is not needed", format!("{key}=")),
        ("a key of 31 bytes", of(&other[..32])),
        ("an algorithm that is none", of(&other)),
        ("the point of order one", of(&one)),
        ("a y that is not below the prime", of(&none)),
    ]
}

fn cosignature_with_another_instant() -> String {
    with_signature(&note(&text(5), &[witness(1)]).to_string(), |b| b[11] ^= 1)
}

pub(crate) fn cases() -> Vec<Value> {
    let log = log_key(TENANT).verifier().to_string();
    let mut cases = good();
    let base = |key: &str, note: &str, fault: &str, name: &str| json!({"name": name, "key": key, "note": note, "fault": fault, "origin": origin(), "size": "5"});
    cases.extend(
        bad_notes()
            .iter()
            .map(|(fault, name, note)| base(&log, note, fault, name)),
    );
    let witness = witness(1).verifier().to_string();
    cases.push(base(
        &witness,
        &cosignature_with_another_instant(),
        "signature",
        "another instant in a cosignature",
    ));
    cases.push(base(
        &witness,
        &signed_text(&text(5)),
        "key",
        "not cosigned",
    ));
    cases.extend(bad_keys().iter().map(|(name, key)| {
        base(
            key,
            &signed_text(&text(5)),
            "key",
            &format!("a verifier key with {name}"),
        )
    }));
    cases
}

fn fault(case: &Value) -> Option<&'static str> {
    let Ok(key) = VerifierKey::parse(case["key"].as_str().unwrap()) else {
        return Some("key");
    };
    let Ok(note) = Note::parse(case["note"].as_str().unwrap().as_bytes()) else {
        return Some("note");
    };
    let Ok(checkpoint) = Checkpoint::parse(note.text()) else {
        return Some("note");
    };
    match note.verify([&key]) {
        Err(NoteFault::Forged(_)) => return Some("signature"),
        Err(_) => return Some("key"),
        Ok(_) => {}
    }
    assert_eq!(checkpoint.origin, case["origin"].as_str().unwrap());
    assert_eq!(checkpoint.size.to_string(), case["size"]);
    assert!(
        note.signatures()
            .iter()
            .filter_map(|s| s.cosigned_at_seconds())
            .all(|at| at == WITNESSED_AT)
    );
    None
}

#[test]
fn writ_says_what_the_vectors_say() {
    for case in cases() {
        assert_eq!(fault(&case), case["fault"].as_str(), "{case}");
    }
}
