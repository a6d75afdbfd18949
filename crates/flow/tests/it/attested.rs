//! Whose log an archive is: what someone who has only the archive and the
//! log's public key finds, and what they cannot find.

use super::archive::{archive_in, live, lived, registry, run, segments};
use kernel::{Code, Digest, TenantId};
use ledger::archive::{self, Reach, Report, Trust, Uncovered, checkpoint_name};
use ledger::bundle;
use ledger::checkpoint::{Checkpoint, LogName, Signer, audit, log_keys};
use ledger::note::{Algorithm, KeyName, Note, SigningKey, VerifierKey};
use ledger::{Store as _, archive::Segment};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use testkit::{Loop, MemoryFiles, MemoryStore, SeededEntropy, TwinObjects};

/// An archived log with its key.
struct Archived {
    control: Loop,
    tenant: TenantId,
    objects: Arc<TwinObjects>,
    key: VerifierKey,
    /// What the archive held at the end.
    whole: BTreeMap<String, Vec<u8>>,
}

impl Archived {
    async fn new(seed: u64, machines: &[&str]) -> Self {
        let control = lived(seed).await;
        let (tenant, objects) = (control.home(), Arc::new(TwinObjects::default()));
        for machine in machines {
            live(&control, tenant, machine).await;
            let archive = archive_in(&objects);
            run(&control, &archive, Reach::Head).await.unwrap();
        }
        let keys = log_keys(control.store.as_ref(), tenant).await.unwrap();
        let names = objects.names().into_iter();
        Self {
            key: keys.active().unwrap().unwrap(),
            whole: names
                .map(|n| (n.clone(), objects.peek(&n).unwrap()))
                .collect(),
            control,
            tenant,
            objects,
        }
    }

    fn segment(&self, at: usize) -> String {
        segments(&self.objects, self.tenant)[at].clone()
    }

    /// The names of the segment at this place from the end, and of its
    /// checkpoint.
    fn newest(&self, at: usize) -> [String; 2] {
        let names = segments(&self.objects, self.tenant);
        let name = &names[names.len() - 1 - at];
        let last = name.split(['-', '.']).nth(1).unwrap().parse().unwrap();
        [name.clone(), checkpoint_name(self.tenant, last)]
    }

    fn restored(&self) {
        for name in self.objects.names() {
            self.objects.tamper(&name, None);
        }
        for (name, bytes) in &self.whole {
            self.objects.tamper(name, Some(bytes.clone()));
        }
    }

    fn given(&self) -> Trust {
        Trust {
            keys: vec![self.key.clone()],
            ..Trust::default()
        }
    }

    async fn report(&self, trust: &Trust) -> Report {
        let objects = self.objects.as_ref();
        archive::verify(objects, self.tenant, trust, &mut |_| ())
            .await
            .unwrap()
    }

    /// Verify and restore say the same: nothing, or a fault with these words.
    async fn check(&self, what: &str, trust: &Trust, said: Option<&str>) -> Report {
        let report = self.report(trust).await;
        let store = MemoryStore::new();
        let registry = registry();
        let into = (store.as_ref() as &dyn ledger::Store, &registry);
        let objects = self.objects.as_ref();
        let restored = archive::restore(objects, self.tenant, trust, into, &mut |_| ()).await;
        match said {
            None => {
                assert!(report.is_intact(), "{what}: {report:?}");
                assert_eq!(restored.unwrap().hash, report.head, "{what}");
            }
            Some(said) => {
                let texts: Vec<String> = report
                    .faults
                    .iter()
                    .map(|f| format!("{}: {}", f.object.clone().unwrap_or_default(), f.what))
                    .collect();
                assert!(
                    texts.iter().any(|t| t.contains(said)),
                    "{what}: no `{said}` in {texts:#?}"
                );
                let refused = restored.unwrap_err();
                assert_eq!(refused.code, Code::Integrity, "{what}: {refused}");
            }
        }
        report
    }
}

/// The lines of a segment after its header: a bundle.
fn bundle_of(segment: &[u8]) -> Vec<u8> {
    let plain = zstd::decode_all(segment).unwrap();
    let at = plain.iter().position(|b| *b == b'\n').unwrap();
    plain[at + 1..].to_vec()
}

/// The segment with another head of its bundle.
fn headed(segment: &[u8], head: impl FnOnce(&str) -> String) -> Vec<u8> {
    let plain = String::from_utf8(zstd::decode_all(segment).unwrap()).unwrap();
    let mut lines: Vec<String> = plain.split_inclusive('\n').map(str::to_owned).collect();
    assert!(lines[1].contains("writ.bundle.v1"));
    lines[1] = head(&lines[1]);
    zstd::encode_all(lines.concat().as_bytes(), 3).unwrap()
}

/// The segment as writ wrote it before segments were signed.
fn unsigned(segment: &[u8]) -> Vec<u8> {
    headed(segment, |_| String::new())
}

/// The segment with a range proof that is none.
fn unproven(segment: &[u8]) -> Vec<u8> {
    headed(segment, |line| {
        let (before, proof) = line.split_once("\"proof\":[\"").unwrap();
        let after = &proof[64..];
        format!("{before}\"proof\":[\"{}{after}", Digest::ZERO)
    })
}

/// This checkpoint signed by another key.
fn resigned(note: &[u8], key: &SigningKey) -> Vec<u8> {
    let text = Note::parse(note).unwrap().text().to_owned();
    let mut note = Note::new(text.as_str()).unwrap();
    note.add(key.sign(&text, 0));
    note.to_string().into_bytes()
}

fn stranger(name: &str) -> SigningKey {
    SigningKey::new(KeyName::new(name).unwrap(), Algorithm::Ed25519, &[9; 32]).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_segment_is_a_bundle_under_a_checkpoint_of_its_own() {
    let archived = Archived::new(21, &["press-2", "press-3"]).await;
    let report = archived.check("whole", &archived.given(), None).await;
    assert_eq!(report.covered, report.entries);
    assert_eq!(report.keys, [archived.key.to_string()]);
    assert_eq!(report.checkpoints, 2 * report.segments);
    let trust = bundle::Trust {
        key: archived.key.clone(),
        witnesses: Vec::new(),
        kept: None,
    };
    let mut next = 1;
    for name in segments(&archived.objects, archived.tenant) {
        let bundle = bundle_of(&archived.whole[&name]);
        let held = bundle::verify(bundle.as_slice(), &trust, |_| ()).unwrap();
        assert_eq!((held.first, held.size), (next, held.last), "{name}");
        next = held.last + 1;
    }
    // And a stranger's program says so too.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        bundle_of(&archived.whole[&archived.segment(1)]),
    )
    .unwrap();
    let verifier = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ledger-format/verify.py");
    let said = Command::new("python3")
        .arg(verifier)
        .args(["bundle", "--key", &archived.key.to_string()])
        .arg(file.path())
        .output()
        .expect("python3 starts; `cargo xtask setup` installs it");
    assert!(said.status.success(), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_the_log_that_was_signed_is_found_from_the_archive_alone() {
    let archived = Archived::new(22, &["press-2", "press-3"]).await;
    let (tenant, key) = (archived.tenant, archived.key.name().as_str());
    let cp = |size| checkpoint_name(tenant, size);
    let bytes = |name: &String| archived.whole[name].clone();
    let other: TenantId = "ten_00000000000070008000000000000009".parse().unwrap();
    let foreign = stranger(&format!("writ/{other}"));
    let root = Digest::of(b"root");
    let theirs = Checkpoint::new(foreign.verifier().name(), 16, root).to_string();
    let mut of_other = Note::new(theirs.as_str()).unwrap();
    of_other.add(foreign.sign(&theirs, 0));
    let mut forged = Note::parse(&bytes(&cp(16))).unwrap();
    let mut line = forged.signatures()[0].clone();
    line.bytes[5] ^= 1;
    forged.add(line);
    let [newest, newest_cp] = archived.newest(0);
    let [before, _] = archived.newest(1);
    type Change = Vec<(String, Option<Vec<u8>>)>;
    let rows: Vec<(&str, Change, &str)> = vec![
        (
            "swapped checkpoints",
            vec![
                (cp(16), Some(bytes(&cp(32)))),
                (cp(32), Some(bytes(&cp(16)))),
            ],
            "which is not what its name says",
        ),
        (
            "a checkpoint of another log",
            vec![(cp(16), Some(of_other.to_string().into_bytes()))],
            "it is a checkpoint of the log `writ/ten_00000000000070008000000000000009`",
        ),
        (
            "a checkpoint by another key of the same name",
            vec![(cp(16), Some(resigned(&bytes(&cp(16)), &stranger(key))))],
            "which was not given and which this log does not name",
        ),
        (
            "a forged signature",
            vec![(cp(16), Some(forged.to_string().into_bytes()))],
            "does not verify",
        ),
        (
            "no checkpoint at all",
            vec![(cp(16), Some(b"16\n".to_vec()))],
            "0000000000016.checkpoint: not a signed note",
        ),
        (
            "a segment with another proof",
            vec![(
                archived.segment(1),
                Some(unproven(&bytes(&archived.segment(1)))),
            )],
            "its entries do not give the root in its checkpoint",
        ),
        (
            "the newest segment is gone",
            vec![(newest.clone(), None)],
            "says that the archive reaches so far",
        ),
        (
            "the two newest are gone, and the last checkpoint with them",
            vec![
                (newest.clone(), None),
                (newest_cp.clone(), None),
                (before, None),
            ],
            "says that the archive reaches so far",
        ),
        (
            "one in the middle is gone",
            vec![(archived.segment(1), None)],
            "entries 17 to 32 are missing",
        ),
        (
            "the newest is not signed",
            vec![
                (newest.clone(), Some(unsigned(&bytes(&newest)))),
                (newest_cp.clone(), None),
            ],
            "may be anyone's",
        ),
    ];
    for (what, change, said) in rows {
        for (name, bytes) in change {
            archived.objects.tamper(&name, bytes);
        }
        archived.check(what, &archived.given(), Some(said)).await;
        archived.check(what, &Trust::default(), Some(said)).await;
        archived.restored();
    }
    archived.check("put back", &archived.given(), None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thief_of_the_newest_segments_and_their_checkpoints_is_found_by_a_kept_one() {
    let archived = Archived::new(23, &["press-2", "press-3"]).await;
    let [newest, beside] = archived.newest(0);
    let kept = Note::parse(&archived.whole[&beside]).unwrap();
    let kept = Checkpoint::parse(kept.text()).unwrap();
    let mut given = archived.given();
    given.kept = vec![kept];
    archived.check("whole", &given, None).await;
    for name in [newest, beside] {
        archived.objects.tamper(&name, None);
    }
    // The archive alone cannot show it: it is the archive as it was before.
    archived.check("alone", &archived.given(), None).await;
    let said = "a checkpoint that was kept says that the log reached so far";
    archived.check("kept", &given, Some(said)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_of_another_history_needs_the_logs_own_key() {
    let archived = Archived::new(24, &["press-2"]).await;
    // The same tenant, by the seed, with another history and another key.
    let control = lived(24).await;
    live(&control, archived.tenant, "press-9").await;
    assert_eq!(control.home(), archived.tenant);
    let forger = Signer::new(
        MemoryFiles::new(),
        Arc::new(SeededEntropy::new(99)),
        LogName::default(),
    );
    let ledger = control.control.ledger();
    let ctx = || control.control.system_ctx(archived.tenant, "forger");
    forger
        .rotate(ledger, (ctx(), None), "mine now")
        .await
        .unwrap();
    let forged = Arc::new(TwinObjects::default());
    let signed = (ledger, &forger);
    archive_in(&forged)
        .run(signed, archived.tenant, Reach::Head, &ctx, &mut |_| ())
        .await
        .unwrap();
    let replace = |end: &str| {
        for name in forged.names().iter().filter(|name| name.ends_with(end)) {
            archived.objects.tamper(name, forged.peek(name));
        }
    };
    // Its segments alone do not fit the checkpoints that are left.
    replace(".zst");
    let said = ".checkpoint: the first ";
    let all_said = "which was not given and which this log does not name";
    for said in [said, all_said] {
        archived
            .check("segments", &archived.given(), Some(said))
            .await;
    }
    // With everything replaced, only the key that was given tells.
    for name in archived.objects.names() {
        archived.objects.tamper(&name, None);
    }
    replace("");
    archived.check("no key", &Trust::default(), None).await;
    let said = "no checkpoint that a given key signed covers them";
    archived
        .check("the key", &archived.given(), Some(said))
        .await;
    let mut wrong = archived.given();
    wrong.keys = vec![stranger("writ/another").verifier().clone()];
    let said = "no key of this log was given";
    archived
        .check("another log's key", &wrong, Some(said))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_of_the_time_before_they_were_signed_are_covered_by_the_next() {
    let archived = Archived::new(25, &["press-2", "press-3"]).await;
    let names = segments(&archived.objects, archived.tenant);
    let strip = |count: usize| {
        for name in &names[..count] {
            let bytes = unsigned(&archived.whole[name]);
            archived.objects.tamper(name, Some(bytes));
            let last = name.split(['-', '.']).nth(1).unwrap().parse().unwrap();
            let beside = checkpoint_name(archived.tenant, last);
            archived.objects.tamper(&beside, None);
        }
    };
    strip(names.len() - 1);
    let report = archived
        .check("all but the last", &archived.given(), None)
        .await;
    assert_eq!((report.covered, report.checkpoints), (report.entries, 2));
    strip(names.len());
    let said = "entries 1 to ";
    let report = archived.check("all", &archived.given(), Some(said)).await;
    assert_eq!((report.covered, report.checkpoints), (0, 0));
    assert!(
        report.faults[0].what.contains("`--uncovered`"),
        "{report:?}"
    );
    for mut trust in [archived.given(), Trust::default()] {
        trust.uncovered = Uncovered::Accepted;
        archived.check("taken as they are", &trust, None).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_key_covers_what_the_one_before_signed_and_the_audit_sees_all() {
    let archived = Archived::new(26, &["press-2"]).await;
    let (control, tenant) = (&archived.control, archived.tenant);
    let ctx = || control.control.system_ctx(tenant, "archive");
    let (signer, ledger) = (control.world.signer(), control.control.ledger());
    let new = signer
        .rotate(ledger, (ctx(), None), "every year")
        .await
        .unwrap();
    live(control, tenant, "press-3").await;
    run(control, &archive_in(&archived.objects), Reach::Head)
        .await
        .unwrap();
    let of = |key: &VerifierKey| Trust {
        keys: vec![key.clone()],
        ..Trust::default()
    };
    let report = archived.check("the new key", &of(&new), None).await;
    assert_eq!(report.keys, [new.to_string()]);
    let said = "no checkpoint that a given key signed covers them";
    archived
        .check("the old key", &of(&archived.key), Some(said))
        .await;
    let both = archived.check("none given", &Trust::default(), None).await;
    assert_eq!(both.keys, [archived.key.to_string(), new.to_string()]);
    let store = control.store.as_ref();
    let audit = audit(store, tenant, &[], |_| ()).await.unwrap();
    assert_eq!(audit.fault, None);
    let listed = control.all::<Segment>(tenant).await.len();
    assert_eq!(audit.checkpoints, listed as u64);

    // Without its key the log is not archived either.
    control.world.log_keys.lose(".key");
    live(control, tenant, "press-4").await;
    let head = store.head(tenant).await.unwrap();
    let refused = run(control, &archive_in(&archived.objects), Reach::Head).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code, Code::Unavailable, "{refused}");
    assert!(refused.message.contains("is missing"), "{refused}");
    assert_eq!(store.head(tenant).await.unwrap(), head);
}
