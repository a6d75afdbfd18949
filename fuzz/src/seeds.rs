//! What each target begins with: what the repository holds anyway, and the
//! files under `corpus`.

use crate::Target;
use gate::contract::{ActionClass, Contract, Grounding, Scope, Step};
use kernel::{Actor, Currency, Money, PrincipalKind, SnapshotId, Span, Subject, TenantId};
use ledger::note::VerifierKey;
use pack::Files;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The seeds of a target and the files of its folder, in the order of their
/// names.
///
/// # Panics
/// When the folder cannot be read.
#[must_use]
pub fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let folder = root().join("fuzz/corpus").join(target.name);
    let mut all = (target.seeds)();
    all.extend(files_below(&folder).into_values());
    all
}

/// Writes what each target begins with into a folder of its own below this one,
/// which is made anew.
///
/// # Errors
/// When it cannot be written.
pub fn write(folder: &Path) -> std::io::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    for target in crate::TARGETS {
        let place = folder.join(target.name);
        fs::create_dir_all(&place)?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            fs::write(place.join(format!("{number:03}")), seed)?;
        }
    }
    Ok(())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file below a folder by its path from there; none when it is not there.
fn files_below(folder: &Path) -> Files {
    let mut found = Files::new();
    let mut open = vec![folder.to_owned()];
    while let Some(place) = open.pop() {
        for entry in fs::read_dir(&place).into_iter().flatten() {
            let path = entry
                .expect("a folder of the repository can be read")
                .path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).expect("it lies below");
            let bytes = fs::read(&path).expect("a file of the repository can be read");
            found.insert(name.to_string_lossy().into_owned(), bytes);
        }
    }
    found
}

fn read(path: &str) -> Vec<u8> {
    fs::read(root().join(path)).unwrap_or_else(|fault| panic!("{path}: {fault}"))
}

/// A list of objects in a file of the documentation.
fn vectors(path: &str) -> Vec<Value> {
    serde_json::from_slice(&read(path)).unwrap_or_else(|fault| panic!("{path}: {fault}"))
}

/// These members of each, where it has them.
fn members(all: &[Value], names: &[&str]) -> Vec<Vec<u8>> {
    let texts = all
        .iter()
        .flat_map(|v| names.iter().filter_map(|name| v[*name].as_str()));
    texts.map(|text| text.as_bytes().to_vec()).collect()
}

fn lines(all: &[&str]) -> Vec<Vec<u8>> {
    all.iter().map(|line| line.as_bytes().to_vec()).collect()
}

/// The files of the incident pack.
#[must_use]
pub fn incident() -> &'static Files {
    static FILES: OnceLock<Files> = OnceLock::new();
    FILES.get_or_init(|| files_below(&root().join("packs/incident")))
}

/// The key of the log whose bundles and notes stand in the documentation.
///
/// # Panics
/// When they do not.
#[must_use]
pub fn log_key() -> VerifierKey {
    let all = vectors("docs/ledger-format/bundles.json");
    let key = all[0]["key"].as_str().expect("the first names its key");
    VerifierKey::parse(key).expect("it is a key")
}

/// The tenant of that log.
///
/// # Panics
/// As [`log_key`].
#[must_use]
pub fn tenant() -> TenantId {
    let first = vectors("docs/ledger-format/bundles.json");
    let key = first[0]["key"].as_str().expect("the first names its key");
    let tenant = key.split(['/', '+']).nth(1).and_then(|t| t.parse().ok());
    tenant.expect("the key names its tenant")
}

/// The bundles that this key signed.
#[must_use]
pub fn good_bundles() -> Vec<String> {
    let all = vectors("docs/ledger-format/bundles.json");
    let key = all[0]["key"].clone();
    // Some are refused for what the one who verifies asks for besides.
    let besides = [None, Some("kept"), Some("witness")];
    let good = all
        .iter()
        .filter(|v| v["key"] == key && besides.contains(&fault_of(v)));
    let files = good.filter_map(|v| v["file"].as_str());
    let text = |file| read(&format!("docs/ledger-format/bundles/{file}"));
    files
        .map(|file| String::from_utf8(text(file)).expect("a good bundle is text"))
        .collect()
}

/// The texts of the notes that this key signed.
#[must_use]
pub fn signed_texts() -> &'static BTreeSet<String> {
    static TEXTS: OnceLock<BTreeSet<String>> = OnceLock::new();
    TEXTS.get_or_init(|| {
        let notes = vectors("docs/ledger-format/notes.json");
        // Whether it is a checkpoint is asked after it was signed.
        let good = notes
            .iter()
            .filter(|v| [None, Some("note")].contains(&fault_of(v)));
        let mut notes: Vec<String> = good
            .filter_map(|v| Some(v["note"].as_str()?.into()))
            .collect();
        notes.extend(good_bundles().iter().filter_map(|text| note_of(text)));
        let texts = notes.iter().filter_map(|note| note.rsplit_once("\n\n"));
        texts.map(|(text, _)| format!("{text}\n")).collect()
    })
}

fn fault_of(vector: &Value) -> Option<&str> {
    vector.get("fault").and_then(Value::as_str)
}

fn note_of(bundle: &str) -> Option<String> {
    let head: Value = serde_json::from_str(bundle.lines().next()?).ok()?;
    Some(head["checkpoint"].as_str()?.to_owned())
}

pub(crate) fn json() -> Vec<Vec<u8>> {
    let mut all = members(
        &vectors("docs/ledger-format/canonical.json"),
        &["text", "canonical"],
    );
    let payloads = incident()
        .iter()
        .filter(|(path, _)| path.ends_with(".json"));
    all.extend(payloads.map(|(_, bytes)| bytes.clone()));
    all
}

pub(crate) fn money() -> Vec<Vec<u8>> {
    lines(&[
        "0 EUR",
        "12.50 EUR",
        "-3 USD",
        "1.000 EUR",
        "99999999999.999999 JPY",
        "7",
        "3 calls",
        "1 token",
        "250000 tokens",
        "PT1H30M",
        "90s",
        "2d",
        "1h",
    ])
}

pub(crate) fn names() -> Vec<Vec<u8>> {
    lines(&[
        "ten_01890a5d0c0070008000000000000001",
        "dir_01890a5d0c0070008000000000000001",
        "evd_d57ac3ee18d1f9b1d6da1b0ccdef3e37a3eb79ce4a4a9ce3cf60b1ba4ce24fcb",
        "human:prn_01890a5d0c0070008000000000000009",
        "service/checkout",
        "operator",
        "tool:http.request",
        "global",
        "ed25519:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
        "2026-03-01T04:05:06.000001Z",
        "2026-03-01T04:05:06+01:00",
        "Europe/Berlin",
        "120",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "3b44237d4d07adf005639edab78fea93cb33dc6ef6027187396a6b118cac7dfe",
        "1.2.3",
    ])
}

pub(crate) fn directive() -> Vec<Vec<u8>> {
    let whole = serde_json::to_vec(&contract()).expect("a directive has a JSON form");
    vec![whole]
}

fn contract() -> Contract {
    let subject = Subject::parse("service/checkout").expect("a subject");
    let euro = |text| Money::parse(text, Some(Currency::EUR)).expect("money");
    let step = |id: &str| Step {
        id: id.to_owned(),
        module: "http.request".to_owned(),
        input: serde_json::Map::from_iter([("url".to_owned(), json!("https://example.com"))]),
        cost: euro("2"),
        evidence: vec![Grounding::Source {
            source_type: "alert".to_owned(),
            source_id: "a-1".to_owned(),
        }],
    };
    Contract {
        issued_by: Actor::new(PrincipalKind::Agent, "scout"),
        role: "operator".to_owned(),
        kind: "incident.mitigate".to_owned(),
        objective: "make it whole".to_owned(),
        scope: Scope {
            subjects: vec![subject],
        },
        constraints: BTreeMap::from([("justification".to_owned(), json!("it is broken"))]),
        success_metrics: vec!["it is whole".to_owned()],
        budget: euro("10"),
        timebox: Span::parse("1h").expect("a span"),
        action_class: ActionClass::InternalNonDestructive,
        steps: vec![step("one"), step("two")],
        snapshot: SnapshotId(kernel::Digest::ZERO),
    }
}

pub(crate) fn definition() -> Vec<Vec<u8>> {
    let named = |(path, bytes): (&String, &Vec<u8>)| {
        let first = format!("{path}\n").into_bytes();
        [first, bytes.clone()].concat()
    };
    let read = |path: &String| !path.starts_with("fixtures/") && !path.ends_with(".md");
    incident()
        .iter()
        .filter(|(path, _)| read(path))
        .map(named)
        .collect()
}

pub(crate) fn cel() -> Vec<Vec<u8>> {
    lines(&[
        "event.count >= 3 && event.firing",
        "has(event.labels.severity) ? event.labels.severity : 'none'",
        "event.tags.exists(t, t == 'a') || items.all(i, i != 4)",
        "event.name.matches('^check.*t$') && size(event.name) < 20",
        "event.ratio * 2.0 + double(event.count) / 3.0 - 1.5",
        "int('12') % 5 == 2 && !(event.gone == null)",
        "event.a[0] in [1, 2, 'x']\n\n{\"a\":[1,{\"b\":null}]}",
        "string(event.count) + event.name.startsWith('c')\n\n{\"count\":1e300,\"name\":\"\\u0000\"}",
    ])
}

pub(crate) fn cedar() -> Vec<Vec<u8>> {
    let policies = incident()
        .iter()
        .filter(|(path, _)| path.ends_with(".cedar"));
    let mut all: Vec<_> = policies.map(|(_, bytes)| bytes.clone()).collect();
    all.push(read("crates/gate/src/policy/example.cedar"));
    all
}

pub(crate) fn webhook() -> Vec<Vec<u8>> {
    let named = |(path, bytes): (&String, &Vec<u8>)| {
        let source = match path.contains("platform-events") {
            true => b"platform-events\n".to_vec(),
            false => b"alertmanager\n".to_vec(),
        };
        [source, bytes.clone()].concat()
    };
    let fixtures = incident()
        .iter()
        .filter(|(path, _)| path.starts_with("fixtures/"));
    fixtures.map(named).collect()
}

pub(crate) fn query() -> Vec<Vec<u8>> {
    lines(&[
        "",
        "limit=5",
        "limit=500&order=desc&status=open",
        "cursor=AAAAAAAAAAcAAAAAAAAAAA",
        "as_of=2026-03-01T04:05:06Z&version=3",
        "name=%C3%A4+b&empty=",
    ])
}

pub(crate) fn bundle() -> Vec<Vec<u8>> {
    let all = vectors("docs/ledger-format/bundles.json");
    let files = all.iter().filter_map(|v| v["file"].as_str());
    let bytes = files.map(|file| read(&format!("docs/ledger-format/bundles/{file}")));
    // Long ones are changed too rarely in any one place.
    bytes.filter(|bytes| bytes.len() < 12_000).collect()
}

pub(crate) fn checkpoint() -> Vec<Vec<u8>> {
    let notes = vectors("docs/ledger-format/notes.json");
    let mut all = members(&notes, &["note", "key"]);
    let note = notes[0]["note"]
        .as_str()
        .expect("the first has a note")
        .to_owned();
    let hash = note
        .lines()
        .nth(2)
        .expect("a checkpoint has a root")
        .to_owned();
    all.push(format!("old 3\n{hash}\n{hash}\n\n{note}").into_bytes());
    all.push(format!("c2sp.org/tlog-proof@v1\nindex 3\n{hash}\n\n{note}").into_bytes());
    all.extend(note.lines().map(|line| line.as_bytes().to_vec()));
    all
}

pub(crate) fn segment() -> Vec<Vec<u8>> {
    let texts: Vec<String> = good_bundles()
        .iter()
        .filter_map(|b| segment_of(b))
        .collect();
    let packed = |text: &String| [b"z".to_vec(), compressed(text)].concat();
    let mut all: Vec<Vec<u8>> = texts.iter().map(packed).collect();
    all.extend(texts.into_iter().map(String::into_bytes));
    all
}

/// The segment that holds what this bundle holds; `None` for one that does not
/// begin with the first entry or is long.
fn segment_of(bundle: &str) -> Option<String> {
    let (head, content) = bundle.split_once('\n')?;
    let mut head: Value = serde_json::from_str(head).ok()?;
    // Keys would prove nothing in an archive.
    head["keys"] = json!([]);
    let head = kernel::json::canonical(&head).ok()?;
    let parsed: Vec<Value> = content
        .lines()
        .map(|l| serde_json::from_str(l).ok())
        .collect::<Option<_>>()?;
    let (end, lines) = parsed.split_last()?;
    let entries: Vec<&Value> = lines
        .iter()
        .filter(|line| line.get("header").is_some())
        .collect();
    let (first, last) = (entries.first()?, entries.last()?);
    let header = json!({
        "content": kernel::Digest::of(content.as_bytes()).to_string(),
        "first": first["header"]["seq"], "format": "writ.segment.v1",
        "last": last["header"]["seq"], "last_hash": last["hash"],
        "objects": end["end"]["objects"], "prev_hash": first["header"]["prev_hash"],
        "tenant": first["header"]["tenant"],
    });
    (first["header"]["seq"] == 1 && bundle.len() < 12_000)
        .then(|| format!("{header}\n{head}\n{content}"))
}

/// As the object store holds it.
///
/// # Panics
/// When there is no room for it.
#[must_use]
pub fn compressed(text: &str) -> Vec<u8> {
    zstd::bulk::compress(text.as_bytes(), 3).expect("it is compressed")
}

/// Nothing but what lies in the folder.
pub(crate) fn signature() -> Vec<Vec<u8>> {
    Vec::new()
}
