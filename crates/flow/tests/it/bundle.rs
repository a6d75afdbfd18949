//! A log that the real loop wrote, exported and verified: by writ and by the
//! second verifier, whole and in parts, and refused when a byte was changed.

use kernel::names::Name as _;
use kernel::{Span, TenantId};
use ledger::bundle::{self, Export, FaultKind, NotVerified, Objects, Scope, Trust};
use ledger::checkpoint::{Checkpoint, LogName};
use ledger::merkle::{Stored, Tiles};
use ledger::note::{Algorithm, Note, SigningKey};
use ledger::store::Store;
use std::path::Path;
use std::process::Command;
use testkit::alerts::Alert;
use testkit::{Loop, Person, Sample};

/// From alerts to a mended machine.
async fn mended() -> Loop {
    let control = Loop::start(7, &Sample::default()).await;
    let (tenant, ann) = (control.home(), Person::named("ann"));
    for machine in ["press-1", "press-2"] {
        let alerts = Alert::pair(machine, control.now());
        control.receive(tenant, &alerts).await.unwrap();
        control.pass(Span::from_secs(2)).await.unwrap();
        let (approval, _) = control.pending(tenant).await.pop().unwrap();
        control.approve(tenant, &ann, approval).await.unwrap();
        control.tick().await.unwrap();
    }
    control
}

fn key(tenant: TenantId) -> SigningKey {
    let origin = LogName::default().origin(tenant).unwrap();
    SigningKey::new(origin, Algorithm::Ed25519, &[3; 32]).unwrap()
}

/// The checkpoint of the whole log.
async fn checkpoint(store: &dyn Store, tenant: TenantId) -> Note {
    let size = store.head(tenant).await.unwrap().seq;
    let root = Tiles::new(Stored { store, tenant }, size)
        .root()
        .await
        .unwrap();
    let key = key(tenant);
    let text = Checkpoint::new(key.verifier().name(), size, root).to_string();
    let mut note = Note::new(text.as_str()).unwrap();
    note.add(key.sign(&text, 0));
    note
}

async fn exported(store: &dyn Store, tenant: TenantId, scope: &Scope) -> Vec<u8> {
    let note = checkpoint(store, tenant).await;
    let keys = [key(tenant).verifier().clone()];
    let mut export = Export::begin(store, tenant, &note, &keys, scope)
        .await
        .unwrap();
    let mut bytes = Vec::new();
    while let Some(lines) = export.next(store).await.unwrap() {
        bytes.extend(lines);
    }
    assert_eq!(export.written(), export.entries());
    bytes
}

/// What both verifiers say, which must be the same.
fn verdict(tenant: TenantId, bytes: &[u8]) -> Option<(FaultKind, u64)> {
    let key = key(tenant).verifier().clone();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let verifier = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ledger-format/verify.py");
    let output = Command::new("python3")
        .arg(verifier)
        .args(["bundle", "--json", "--key", &key.to_string()])
        .arg(file.path())
        .output()
        .expect("python3 starts; `cargo xtask setup` installs it");
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let trust = Trust {
        key,
        witnesses: Vec::new(),
        kept: None,
    };
    let found = match bundle::verify(bytes, &trust, |_| {}) {
        Ok(_) => None,
        Err(NotVerified::Fault(fault)) => Some((fault.fault, fault.line)),
        Err(other) => panic!("{other}"),
    };
    let other = said["fault"].as_str().zip(said["line"].as_u64());
    assert_eq!(found.map(|(f, line)| (f.name(), line)), other, "{said}");
    assert_eq!(
        output.status.code(),
        Some(if found.is_none() { 0 } else { 3 })
    );
    found
}

#[tokio::test]
async fn what_the_loop_wrote_is_verified_by_a_stranger() {
    let control = mended().await;
    let (tenant, store) = (control.home(), control.store.beside());
    let size = store.head(tenant).await.unwrap().seq;
    assert!(size > 50, "{size} entries are no loop");
    let scopes = [
        (None, None, Objects::With),
        (Some(1), Some(1), Objects::Without),
        (Some(size / 3), Some(size / 2), Objects::Without),
        (Some(size), None, Objects::With),
    ];
    for (from, to, objects) in scopes {
        let scope = Scope { from, to, objects };
        let bytes = exported(store.as_ref(), tenant, &scope).await;
        assert_eq!(verdict(tenant, &bytes), None, "{scope:?}");

        let lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
        let entries = lines
            .iter()
            .filter(|line| line.starts_with(b"{\"hash\""))
            .count();
        let first = from.unwrap_or(1);
        assert_eq!(entries as u64, to.unwrap_or(size) - first + 1);

        // One digit of one instant, in the last entry.
        let text = String::from_utf8(lines[entries].to_vec()).unwrap();
        let changed = text.replacen("\"at\":\"2026", "\"at\":\"2025", 1);
        assert_ne!(text, changed);
        let mut touched = lines.clone();
        touched[entries] = changed.as_bytes();
        let place = entries as u64 + 1;
        assert_eq!(
            verdict(tenant, &touched.concat()),
            Some((FaultKind::Hash, place))
        );
    }
}

#[tokio::test]
async fn what_the_checkpoint_does_not_cover_is_not_exported() {
    let control = mended().await;
    let (tenant, store) = (control.home(), control.store.beside());
    let store = store.as_ref();
    let note = checkpoint(store, tenant).await;
    let size = store.head(tenant).await.unwrap().seq;
    let refused = [
        (Some(0), None, "no entries from 0"),
        (Some(3), Some(2), "no entries from 3 to 2"),
        (None, Some(size + 1), "beyond the checkpoint"),
    ];
    for (from, to, says) in refused {
        let scope = Scope {
            from,
            to,
            objects: Objects::Without,
        };
        let refusal = Export::begin(store, tenant, &note, &[], &scope)
            .await
            .err()
            .unwrap();
        assert!(refusal.message.contains(says), "{refusal:?}");
    }
    // A checkpoint that is not of this log is found before the end is written.
    let key = key(tenant);
    let other = Checkpoint::new(key.verifier().name(), size, kernel::Digest::ZERO).to_string();
    let mut note = Note::new(other.as_str()).unwrap();
    note.add(key.sign(&other, 0));
    let scope = Scope {
        from: None,
        to: None,
        objects: Objects::Without,
    };
    let mut export = Export::begin(store, tenant, &note, &[], &scope)
        .await
        .unwrap();
    let refusal = loop {
        match export.next(store).await {
            Ok(lines) => assert!(lines.is_some(), "it came to its end"),
            Err(refusal) => break refusal,
        }
    };
    assert!(
        refusal.message.contains("not the one that was signed"),
        "{refusal:?}"
    );
}
