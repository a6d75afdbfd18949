//! Thousands of bundles that were damaged at random, and of logs that say
//! random things and are hashed and signed as if they were right: both
//! verifiers must give the same verdict at the same line. A failure prints the
//! seed.

use super::bundles::{all, verdict};
use super::world::{Parts, TENANT, forged, log_key, texts};
use ledger::bundle::Trust;
use serde_json::Value;
use std::hash::{BuildHasher as _, Hasher as _};
use std::process::Command;

/// Bundles that are damaged as files.
const DAMAGED: usize = 2_500;
/// Logs with other texts in them.
const OTHERWISE: usize = 1_000;

/// Numbers that look random and depend on the seed only.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % below as u64).unwrap()
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.roll(from.len())]
    }
}

/// Bytes that mean something in a bundle.
const BYTES: &[u8] = b"\"{}[]:,0123456789abcdefAZ+-.eE \n\r\t\\/=\x00\x1f\x7f\x80\xc3\xff";

/// Damages a file in one of the ways in which files are damaged.
fn damaged(dice: &mut Dice, mut bytes: Vec<u8>) -> Vec<u8> {
    let at = dice.roll(bytes.len());
    let byte = BYTES[dice.roll(BYTES.len())];
    match dice.roll(9) {
        0 => bytes[at] ^= 1 << dice.roll(8),
        1 => bytes[at] = byte,
        2 => bytes.insert(at, byte),
        3 => drop(bytes.remove(at)),
        4 => bytes.truncate(at),
        5 => {
            let end = (at + 1 + dice.roll(40)).min(bytes.len());
            let piece = bytes[at..end].to_vec();
            let to = dice.roll(bytes.len());
            bytes.splice(to..to, piece);
        }
        more => {
            let mut lines: Vec<Vec<u8>> = bytes
                .split_inclusive(|b| *b == b'\n')
                .map(<[u8]>::to_vec)
                .collect();
            let (one, other) = (dice.roll(lines.len()), dice.roll(lines.len()));
            match more {
                6 => lines.swap(one, other),
                7 => lines[one] = lines[other].clone(),
                _ => drop(lines.remove(one)),
            }
            bytes = lines.concat();
        }
    }
    bytes
}

/// Pieces of JSON texts, canonical and not.
const PIECES: &[&str] = &[
    "0",
    "-0",
    "1",
    "-1",
    "1.0",
    "0.1",
    "1e5",
    "1E5",
    "1e+21",
    "1e21",
    "1e-7",
    "1e-6",
    "0.000001",
    "9007199254740991",
    "9007199254740992",
    "9007199254740993",
    "100000000000000000000",
    "123456789012345678",
    "18446744073709551615",
    "18446744073709551616",
    "5e-324",
    "4e-324",
    "2.2250738585072011e-308",
    "1.7976931348623157e+308",
    "1.8e308",
    "01",
    "1.",
    ".5",
    "null",
    "true",
    "false",
    "nul",
    "NaN",
    "\"\"",
    "\"a\"",
    "\"\\u0061\"",
    "\"\\u00e9\"",
    "\"é\"",
    "\"\\ud83d\\ude00\"",
    "\"\u{1f600}\"",
    "\"\\ud800\"",
    "\"\\u001f\"",
    "\"\\u001F\"",
    "\"\\n\"",
    "\"\\u000a\"",
    "\"\\/\"",
    "\"/\"",
    "\"\u{7f}\u{2028}\"",
    "\"\t\"",
    "[]",
    "{}",
    "[ ]",
];
const NAMES: &[&str] = &[
    "\"a\"",
    "\"b\"",
    "\"\"",
    "\"é\"",
    "\"\u{fb33}\"",
    "\"\u{1f600}\"",
    "\"\\u0061\"",
    "\"10\"",
    "\"9\"",
    "\"A\"",
];

/// A text that is JSON more often than not.
fn text(dice: &mut Dice, depth: usize) -> String {
    let shape = if depth > 3 { 9 } else { dice.roll(10) };
    let some = dice.roll(4);
    match shape {
        0..=2 => {
            let items: Vec<String> = (0..some).map(|_| text(dice, depth + 1)).collect();
            format!("[{}]", items.join(","))
        }
        3..=5 => {
            let mut items: Vec<String> = (0..some)
                .map(|_| format!("{}:{}", dice.pick(NAMES), text(dice, depth + 1)))
                .collect();
            if dice.roll(3) > 0 {
                items.sort();
                items.dedup_by_key(|item| item.split(':').next().map(str::to_owned));
            }
            format!("{{{}}}", items.join(","))
        }
        6 => format!("{:e}", f64::from_bits(dice.roll(usize::MAX) as u64)),
        7 => format!(
            "{}",
            f64::from_bits(0x3000_0000_0000_0000 | dice.roll(1 << 62) as u64)
        ),
        _ => dice.pick(PIECES).to_owned(),
    }
}

/// Values that members of a header may be given.
const VALUES: &[&str] = &[
    "null",
    "0",
    "1",
    "2",
    "9007199254740992",
    "\"\"",
    "\"x\"",
    "\"system:x\"",
    "\"human:é \"",
    "\"robot:x\"",
    "\"SYSTEM\"",
    "\"system\"",
    "\"a/b\"",
    "\"a/\u{a0}b\"",
    "\"a/\u{85}\"",
    "\"a/\u{2003}\"",
    "\"a/\u{200b}\"",
    "\"é/b\"",
    "\"2024-02-29T23:59:59.999999Z\"",
    "\"2023-02-29T00:00:00.000000Z\"",
    "\"9999-12-30T21:59:59.999999Z\"",
    "\"9999-12-31T00:00:00.000000Z\"",
    "\"0000-01-01T00:00:00.000000Z\"",
    "\"2024-01-01T24:00:00.000000Z\"",
    "\"2024-01-01T23:59:60.000000Z\"",
    "\"2024-01-01t00:00:00.000000z\"",
    "\"1900-02-29T00:00:00.000000Z\"",
    "\"2000-02-29T00:00:00.000000Z\"",
    "\"2024-01-01T00:00:00.00000Z\"",
    "\"ent_01890a5d0c0070008000000000000001\"",
    "\"dir_01890a5d0c0070008000000000000001\"",
    "\"ten_01890a5d0c0070008000000000000001\"",
    "\"ten_01890a5d0c0070008000000000000002\"",
    "\"00000000000000000000000000000000\"",
    "\"00000000000000000000000000000001\"",
    "\"PREV\"",
    "\"HASH\"",
];

/// A header with one member given another value, or none.
fn other_header(dice: &mut Dice, header: &str) -> String {
    let mut members: Vec<(String, String)> = header
        .trim_matches(['{', '}'])
        .split(",\"")
        .map(|member| {
            let (name, value) = member.split_once("\":").unwrap();
            (name.trim_matches('"').to_owned(), value.to_owned())
        })
        .collect();
    let at = dice.roll(members.len());
    match dice.roll(8) {
        0 => drop(members.remove(at)),
        1 => members[at].1 = text(dice, 4),
        2 => members.insert(at, (members[at].0.clone() + "_", "1".into())),
        _ => members[at].1 = dice.pick(VALUES).to_owned(),
    }
    let members: Vec<String> = members
        .into_iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

/// A log that says other things, with hashes and a signature that are right.
fn otherwise(dice: &mut Dice) -> Vec<u8> {
    let mut texts = texts(3);
    let at = dice.roll(3);
    if dice.roll(2) == 0 {
        texts[at].1 = text(dice, 0);
    } else {
        texts[at].0 = other_header(dice, &texts[at].0);
    }
    forged(&texts).bytes()
}

/// What the second verifier says of these files, in their order.
fn second_verdicts(files: &[std::path::PathBuf], trust: &Trust) -> Vec<Value> {
    let output = Command::new("python3")
        .arg(super::documents().join("verify.py"))
        .args(["bundle", "--json", "--key", &trust.key.to_string()])
        .args(files)
        .output()
        .expect("python3 starts; `cargo xtask setup` installs it");
    let said = String::from_utf8(output.stdout).unwrap();
    let complained = String::from_utf8_lossy(&output.stderr).into_owned();
    let verdicts: Vec<Value> = said
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(verdicts.len(), files.len(), "{complained}");
    verdicts
}

/// Both verdicts of every bundle; how many were accepted.
fn check(seed: u64, name: &str, bundles: &[Vec<u8>]) -> usize {
    let trust = Trust {
        key: log_key(TENANT).verifier().clone(),
        witnesses: Vec::new(),
        kept: None,
    };
    let directory = tempfile::tempdir().unwrap();
    let files: Vec<_> = (0..bundles.len())
        .map(|n| directory.path().join(n.to_string()))
        .collect();
    for (file, bytes) in files.iter().zip(bundles) {
        std::fs::write(file, bytes).unwrap();
    }
    let mut accepted = 0;
    for ((bytes, second), n) in bundles.iter().zip(second_verdicts(&files, &trust)).zip(0..) {
        let first = verdict(bytes, &trust);
        let second = second["fault"].as_str().zip(second["line"].as_u64());
        let shown = String::from_utf8_lossy(bytes);
        assert_eq!(first, second, "seed {seed}, {name} {n}:\n{shown}");
        accepted += usize::from(first.is_none());
    }
    accepted
}

#[test]
fn both_verifiers_agree_on_bundles_damaged_at_random() {
    let seed = std::hash::RandomState::new().build_hasher().finish();
    let mut dice = Dice(seed);
    let good: Vec<Vec<u8>> = all()
        .into_iter()
        .filter(|case| case.fault.is_none())
        .map(|case| case.bytes)
        .collect();
    let bundles: Vec<Vec<u8>> = (0..DAMAGED)
        .map(|n| {
            let mut bytes = good[n % good.len()].clone();
            for _ in 0..=dice.roll(2) {
                if !bytes.is_empty() {
                    bytes = damaged(&mut dice, bytes);
                }
            }
            bytes
        })
        .collect();
    let accepted = check(seed, "damaged", &bundles);
    assert!(
        accepted < DAMAGED / 5,
        "seed {seed}: {accepted} of {DAMAGED} were accepted"
    );
}

#[test]
fn both_verifiers_agree_on_logs_that_say_random_things() {
    let seed = std::hash::RandomState::new().build_hasher().finish();
    let mut dice = Dice(seed);
    let bundles: Vec<Vec<u8>> = (0..OTHERWISE).map(|_| otherwise(&mut dice)).collect();
    let accepted = check(seed, "log", &bundles);
    // Both sides of the line are met often enough to mean something.
    assert!(
        (OTHERWISE / 20..OTHERWISE * 3 / 4).contains(&accepted),
        "seed {seed}: {accepted}"
    );
}

#[test]
fn a_payload_may_be_as_long_as_it_may_be_and_no_longer() {
    let longest = kernel::limits::ENTRY_PAYLOAD_BYTES_MAX;
    let with = |bytes: usize| {
        let mut texts = texts(2);
        texts[0].1 = format!("\"{}\"", "x".repeat(bytes - 2));
        forged(&texts).bytes()
    };
    assert_eq!(check(0, "payload", &[with(longest), with(longest + 1)]), 1);
    let mut parts = Parts::of(1, 1, 1);
    parts.entries[0] = [
        b"\"".as_slice(),
        &vec![b'x'; ledger::bundle::LINE_BYTES_MAX],
        b"\"\n",
    ]
    .concat();
    assert_eq!(check(0, "line", &[parts.bytes()]), 0);
}
