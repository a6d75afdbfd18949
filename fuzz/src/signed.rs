//! What strangers bring to be verified, and what is made of it: nothing is
//! accepted that nobody signed.

use crate::seeds;
use futures_util::FutureExt as _;
use gate::signing_key::{Assertion, PublicKey};
use kernel::Digest;
use ledger::archive::{self, Uncovered};
use ledger::bundle::{self, Trust};
use ledger::checkpoint::{self, Checkpoint};
use ledger::note::{Note, Signature, SigningKey, VerifierKey};
use ledger::witness::AddCheckpoint;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::OnceLock;
use testkit::TwinObjects;

/// A bundle: each line of one that is accepted stands in a bundle that was
/// signed, but for its head and its end.
///
/// # Panics
/// When that does not hold.
pub fn bundle(bytes: &[u8]) -> bool {
    let trust = Trust {
        key: seeds::log_key(),
        witnesses: Vec::new(),
        kept: None,
    };
    let Ok(contents) = bundle::verify(bytes, &trust, |_| {}) else {
        return false;
    };
    assert!(
        contents.first >= 1 && contents.first <= contents.last && contents.last <= contents.size
    );
    let text = str::from_utf8(bytes).expect("what is accepted is text");
    only_signed(text.lines().skip(1));
    true
}

/// Every line but the last is one that stands in a bundle of the seeds.
fn only_signed<'a>(lines: impl Iterator<Item = &'a str>) {
    static LINES: OnceLock<BTreeSet<String>> = OnceLock::new();
    let known = LINES.get_or_init(|| {
        let good = seeds::good_bundles();
        let lines = good.iter().flat_map(|text| text.lines().skip(1));
        lines.map(str::to_owned).collect()
    });
    for line in lines {
        assert!(
            known.contains(line) || line.starts_with("{\"end\":"),
            "nobody signed {line}"
        );
    }
}

/// Notes, checkpoints, keys, proofs and a witness's requests: each is read from
/// what it shows, and a note that verifies is one that was signed.
///
/// # Panics
/// When that does not hold.
pub fn checkpoint(bytes: &[u8]) -> bool {
    let mut taken = false;
    if let Ok(note) = Note::parse(bytes) {
        taken = true;
        assert_eq!(
            note.to_string().as_bytes(),
            bytes,
            "a note is what was read"
        );
        if let Ok(checkpoint) = Checkpoint::parse(note.text()) {
            assert!(note.text().starts_with(&checkpoint.to_string()));
        }
        if note.verify(&[seeds::log_key()]).is_ok() {
            assert!(
                seeds::signed_texts().contains(note.text()),
                "nobody signed it"
            );
        }
    }
    if let Ok(asked) = AddCheckpoint::parse(bytes) {
        taken = true;
        assert_eq!(
            asked.to_string().as_bytes(),
            bytes,
            "a request is what was read"
        );
    }
    let Ok(text) = str::from_utf8(bytes) else {
        return taken;
    };
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        taken = true;
        assert!(text.starts_with(&checkpoint.to_string()));
    }
    if let Ok(signature) = Signature::parse(text) {
        taken = true;
        assert_eq!(signature.to_string(), text);
    }
    if let Ok(key) = VerifierKey::parse(text) {
        taken = true;
        assert_eq!(key.to_string(), text);
    }
    taken | checkpoint::parse_proof(text).is_ok() | SigningKey::parse(text).is_ok()
}

/// A segment of an archive. It begins with `z` as it lies in the object store,
/// or is its text, which is given the hash that it has and is compressed.
/// Accepted is only what was signed.
///
/// # Panics
/// When that does not hold.
pub fn segment(bytes: &[u8]) -> bool {
    let tenant = seeds::tenant();
    let (object, text) = match bytes.split_first() {
        Some((b'z', raw)) => (raw.to_vec(), None),
        _ => match hashed(bytes) {
            Some(text) => (seeds::compressed(&text), Some(text)),
            None => return false,
        },
    };
    let (first, last) = text.as_deref().and_then(range).unwrap_or((1, 5));
    let objects = TwinObjects::default();
    objects.tamper(&archive::object_name(tenant, first, last), Some(object));
    let trust = archive::Trust {
        keys: vec![seeds::log_key()],
        kept: Vec::new(),
        uncovered: Uncovered::Refused,
    };
    let verified = archive::verify(&objects, tenant, &trust, &mut |_| {}).now_or_never();
    let report = verified
        .expect("the twin does not wait")
        .expect("the twin answers");
    if !report.is_intact() {
        return false;
    }
    if let Some(text) = text {
        only_signed(text.lines().skip(2));
    }
    true
}

/// The text of a segment with the hash of its content in its header.
fn hashed(bytes: &[u8]) -> Option<String> {
    let (header, rest) = str::from_utf8(bytes).ok()?.split_once('\n')?;
    let content = match rest.starts_with("{\"checkpoint\":") {
        true => rest.split_once('\n')?.1,
        false => rest,
    };
    let mut header: Value = serde_json::from_str(header).ok()?;
    let digest = Digest::of(content.as_bytes()).to_string();
    *header.get_mut("content")? = digest.into();
    Some(format!("{header}\n{rest}"))
}

fn range(text: &str) -> Option<(u64, u64)> {
    let header: Value = serde_json::from_str(text.lines().next()?).ok()?;
    Some((header["first"].as_u64()?, header["last"].as_u64()?))
}

/// A key, a message, a signature and what an authenticator made, a line each.
/// What verifies does not verify for another message.
///
/// # Panics
/// When that does not hold.
pub fn signature(bytes: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(bytes) else {
        return false;
    };
    let mut lines = text.lines();
    let mut next = || lines.next().unwrap_or_default();
    let (key, message, signature) = (next(), next(), next());
    let assertion = Assertion {
        client_data: next().to_owned(),
        authenticator_data: next().to_owned(),
    };
    let Ok(key) = key.parse::<PublicKey>() else {
        return false;
    };
    let _ = key.id();
    let _ = assertion.counter();
    let made = key.passkey.is_some().then_some(&assertion);
    let verified = key.verify(message.as_bytes(), signature, made).is_ok();
    if verified {
        let other = format!("{message} and more");
        assert!(
            key.verify(other.as_bytes(), signature, made).is_err(),
            "it is over one message"
        );
    }
    verified
}
