//! The log, the keys and the signatures that the vectors are made of. Nothing
//! here is random: the same code gives the same bytes.

use kernel::{
    Actor, Category, Digest, SnapshotId, StreamId, Subject, TenantId, Timestamp, TraceId,
};
use ledger::checkpoint::{Checkpoint, LogName};
use ledger::merkle::{self, parts_beside};
use ledger::note::{Algorithm, KeyName, Note, SigningKey};
use ledger::{Entry, bundle};
use std::ops::Range;

pub(crate) const TENANT: &str = "ten_01890a5d0c0070008000000000000001";
pub(crate) const OTHER_TENANT: &str = "ten_01890a5d0c0070008000000000000002";

pub(crate) fn tenant() -> TenantId {
    TENANT.parse().unwrap()
}

/// The key of a tenant's log.
pub(crate) fn log_key(tenant: &str) -> SigningKey {
    let origin = LogName::default().origin(tenant.parse().unwrap()).unwrap();
    let last = tenant.bytes().last().unwrap();
    SigningKey::new(origin, Algorithm::Ed25519, &[last; 32]).unwrap()
}

/// A key with the log's name that is not the log's.
pub(crate) fn impostor() -> SigningKey {
    let name = log_key(TENANT).verifier().name().clone();
    SigningKey::new(name, Algorithm::Ed25519, &[99; 32]).unwrap()
}

pub(crate) fn witness(number: u8) -> SigningKey {
    let name = KeyName::new(format!("witness.example.com/w{number}")).unwrap();
    SigningKey::new(name, Algorithm::CosignatureV1, &[100 + number; 32]).unwrap()
}

/// When the witnesses signed, in seconds.
pub(crate) const WITNESSED_AT: u64 = 1_790_000_000;

/// A checkpoint of the log as a note, signed by these keys.
pub(crate) fn signed(size: u64, root: Digest, keys: &[SigningKey]) -> Note {
    let origin = log_key(TENANT).verifier().name().clone();
    note(&Checkpoint::new(&origin, size, root).to_string(), keys)
}

pub(crate) fn note(text: &str, keys: &[SigningKey]) -> Note {
    let mut note = Note::new(text).unwrap();
    for key in keys {
        note.add(key.sign(text, WITNESSED_AT));
    }
    note
}

/// What the payloads of the log say.
pub(crate) const PAYLOADS: [&str; 5] = [
    "{\"name\":\"first\"}",
    "{\"body\":\"line one\\nline two \\\"quoted\\\" \\\\ é € \u{1f600} \\u0001 \u{7f}\",\"confidence\":0.85,\"empty\":[{},[],\"\",null]}",
    "[1,-1,0.1,1e-7,1e+21,100000000000000000000,9007199254740991,5e-324,true,false,null]",
    "\"only a text\"",
    "{\"é\":1,\"\u{1f600}\":2,\"\u{fb33}\":3}",
];

/// Entries of a log that this tenant could have, each with other members.
pub(crate) fn entries(tenant: TenantId, count: u64) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for seq in 1..=count {
        let payload = PAYLOADS[usize::try_from((seq - 1) % 5).unwrap()].to_owned();
        let before = entries.last();
        let id = |n: u64| format!("ent_01890a5d0c007000800000000000{n:04x}");
        let mut entry = Entry {
            seq,
            id: id(seq).parse().unwrap(),
            stream: StreamId::from_stored(if seq % 2 == 1 {
                "door/front"
            } else {
                "door/\"é\" \\ \u{1}"
            }),
            stream_version: seq.div_ceil(2),
            kind: "door.opened".to_owned(),
            category: [
                Category::System,
                Category::Evidence,
                Category::Decision,
                Category::ToolCall,
                Category::Outcome,
            ][usize::try_from((seq - 1) % 5).unwrap()],
            at: Timestamp::from_micros(
                1_790_000_000_000_000 + i64::try_from(seq).unwrap() * 1_000_001,
            ),
            actor: Actor::system("scheduler"),
            trace_id: TraceId::parse("4bf92f3577b34da6a3ce929d0e0e4736").unwrap(),
            causation: before.map(|entry| entry.id),
            subject: None,
            directive: None,
            snapshot: None,
            payload_hash: Digest::of(payload.as_bytes()),
            payload,
            prev_hash: before.map_or(Digest::ZERO, |entry| entry.hash),
            hash: Digest::ZERO,
        };
        if seq % 3 == 2 {
            entry.actor = "human:prn_01890a5d0c0070008000000000000009"
                .parse()
                .unwrap();
            entry.subject = Some(Subject::parse("service/checkout-é/eu+1").unwrap());
            entry.directive = Some("dir_01890a5d0c0070008000000000000007".parse().unwrap());
            entry.snapshot = Some(SnapshotId(Digest::of(b"a snapshot")));
        }
        entry.hash = entry.computed_hash(tenant);
        entries.push(entry);
    }
    entries
}

/// The range proof of these leaves in the tree over these entries.
pub(crate) fn proof(hashes: &[Digest], leaves: &Range<u64>) -> Vec<Digest> {
    let leaf: Vec<Digest> = hashes.iter().map(|hash| merkle::leaf(*hash)).collect();
    let index = |n: u64| usize::try_from(n).unwrap();
    parts_beside(leaves, hashes.len() as u64)
        .into_iter()
        .map(|part| merkle::root(&leaf[index(part.start)..index(part.end)]))
        .collect()
}

pub(crate) fn root(hashes: &[Digest]) -> Digest {
    let leaves: Vec<Digest> = hashes.iter().map(|hash| merkle::leaf(*hash)).collect();
    merkle::root(&leaves)
}

/// What a bundle is made of, to be changed before it is put together.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) head: bundle::Head,
    /// Lines with their line feeds.
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) objects: Vec<Vec<u8>>,
    pub(crate) end: Vec<u8>,
}

impl Parts {
    /// The entries from `first` to `last` of a log of `size`.
    pub(crate) fn of(first: u64, last: u64, size: u64) -> Self {
        let log = entries(tenant(), size);
        let hashes: Vec<Digest> = log.iter().map(|entry| entry.hash).collect();
        let key = log_key(TENANT);
        let head = bundle::Head {
            checkpoint: signed(size, root(&hashes), std::slice::from_ref(&key)).to_string(),
            first,
            format: bundle::FORMAT.to_owned(),
            keys: vec![key.verifier().to_string()],
            last,
            proof: proof(&hashes, &(first - 1..last)),
            tenant: tenant(),
        };
        let lines = log
            .iter()
            .filter(|entry| (first..=last).contains(&entry.seq))
            .map(|entry| bundle::entry_line(tenant(), entry))
            .collect();
        Self {
            head,
            entries: lines,
            objects: Vec::new(),
            end: bundle::end_line(last - first + 1, 0),
        }
    }

    /// With these large bodies.
    pub(crate) fn with_objects(mut self, bodies: &[&[u8]]) -> Self {
        let mut digests: Vec<(Digest, &[u8])> =
            bodies.iter().map(|b| (Digest::of(b), *b)).collect();
        digests.sort();
        self.objects = digests
            .iter()
            .map(|(digest, body)| bundle::object_line(*digest, body))
            .collect();
        self.end = bundle::end_line(self.entries.len() as u64, self.objects.len() as u64);
        self
    }

    /// Under this checkpoint.
    pub(crate) fn under(mut self, note: &Note) -> Self {
        self.head.checkpoint = note.to_string();
        self
    }

    pub(crate) fn lines(&self) -> Vec<Vec<u8>> {
        let mut lines = vec![self.head.to_line().unwrap()];
        lines.extend(self.entries.iter().cloned());
        lines.extend(self.objects.iter().cloned());
        lines.push(self.end.clone());
        lines
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.lines().concat()
    }
}

/// Headers and payloads as texts, hashed and chained as a log would, whatever
/// they say: for bundles that are wrong in one thing only.
pub(crate) fn forged(texts: &[(String, String)]) -> Parts {
    let mut parts = Parts::of(1, texts.len() as u64, texts.len() as u64);
    let mut before = Digest::ZERO;
    let mut hashes = Vec::new();
    parts.entries.clear();
    for (header, payload) in texts {
        let header = header
            .replace("PREV", &before.to_string())
            .replace("HASH", &Digest::of(payload.as_bytes()).to_string());
        before = Digest::of(&[ledger::entry::DOMAIN, header.as_bytes()].concat());
        hashes.push(before);
        let line = format!("{{\"hash\":\"{before}\",\"header\":{header},\"payload\":{payload}}}\n");
        parts.entries.push(line.into_bytes());
    }
    let note = signed(texts.len() as u64, root(&hashes), &[log_key(TENANT)]);
    parts.under(&note)
}

/// The log's headers and payloads, with `PREV` and `HASH` in place of the
/// hashes that [`forged`] puts there.
pub(crate) fn texts(count: u64) -> Vec<(String, String)> {
    entries(tenant(), count)
        .into_iter()
        .map(|entry| {
            let header = String::from_utf8(entry.header(tenant())).unwrap();
            let header = header
                .replace(&entry.prev_hash.to_string(), "PREV")
                .replace(&entry.payload_hash.to_string(), "HASH");
            (header, entry.payload)
        })
        .collect()
}
