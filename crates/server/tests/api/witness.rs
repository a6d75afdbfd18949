//! A witness over HTTP: forks, rollbacks, replays and unknown logs are refused
//! with the statuses of the specification, and what was cosigned outlives the
//! process, whether or not its answer arrived.

use axum::body::Body;
use axum::http::{Request, header};
use axum::response::Response;
use kernel::port::{Clock, PrivateFiles};
use kernel::{Digest, Refusal, Span, Timestamp};
use ledger::checkpoint::Checkpoint;
use ledger::merkle::{leaf, root};
use ledger::note::{Algorithm, KeyName, Note, Signature, SigningKey};
use ledger::witness::{AddCheckpoint, KnownLog};
use server::witness::Witness;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tower::ServiceExt as _;

const ORIGIN: &str = "example.com/log";

/// Files in a folder whose disk may fail.
struct Disk {
    folder: connect::PrivateFolder,
    failing: AtomicBool,
}

impl PrivateFiles for Disk {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
        self.folder.read(name)
    }
    fn create(&self, name: &str, bytes: &[u8]) -> Result<(), Refusal> {
        self.folder.create(name, bytes)
    }
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), Refusal> {
        match self.failing.load(Ordering::Relaxed) {
            true => Err(Refusal::unavailable("the disk is full")),
            false => self.folder.replace(name, bytes),
        }
    }
}

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::parse("2026-03-01T10:00:00Z").unwrap()
    }
    fn monotonic(&self) -> Span {
        self.now().since(Timestamp::EPOCH)
    }
}

fn key(name: &str, algorithm: Algorithm, seed: u8) -> SigningKey {
    SigningKey::new(KeyName::new(name).unwrap(), algorithm, &[seed; 32]).unwrap()
}

fn log_key() -> SigningKey {
    key(ORIGIN, Algorithm::Ed25519, 1)
}

fn witness_key() -> SigningKey {
    key("example.com/witness", Algorithm::CosignatureV1, 2)
}

fn disk(folder: &std::path::Path) -> Arc<Disk> {
    Arc::new(Disk {
        folder: connect::PrivateFolder::open(folder).unwrap(),
        failing: AtomicBool::new(false),
    })
}

/// A process of the witness over this disk.
fn started(disk: &Arc<Disk>) -> Witness {
    let known = KnownLog {
        origin: ORIGIN.into(),
        keys: vec![log_key().verifier().clone()],
    };
    Witness::new(witness_key(), vec![known], disk.clone(), Arc::new(Fixed))
}

fn leaves(count: u8, salt: u8) -> Vec<Digest> {
    (0..count).map(|n| leaf(Digest::of(&[salt, n]))).collect()
}

fn signed(origin: &str, leaves: &[Digest]) -> Note {
    let origin = KeyName::new(origin).unwrap();
    let checkpoint = Checkpoint::new(&origin, leaves.len() as u64, root(leaves));
    let mut note = Note::new(checkpoint.to_string()).unwrap();
    note.add(log_key().sign(note.text(), 0));
    note
}

async fn text(response: Response) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 100_000).await;
    String::from_utf8(bytes.unwrap().to_vec()).unwrap()
}

async fn post(witness: &Witness, body: String) -> (u16, String, String) {
    let request = Request::post("/add-checkpoint").body(Body::from(body));
    let router = witness.clone().router();
    let response = router.oneshot(request.unwrap()).await.unwrap();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let kind = kind.map_or("", |kind| kind.to_str().unwrap()).to_owned();
    (response.status().as_u16(), kind, text(response).await)
}

async fn asked(
    witness: &Witness,
    old: u64,
    proof: &[Digest],
    note: &Note,
) -> (u16, String, String) {
    let (proof, note) = (proof.to_vec(), note.clone());
    post(witness, AddCheckpoint { old, proof, note }.to_string()).await
}

/// Whether the answer is a cosignature of this note.
fn check(answer: &(u16, String, String), note: &Note) {
    assert_eq!(answer.0, 200, "{answer:?}");
    let line = Signature::parse(answer.2.trim_end()).unwrap();
    assert_eq!(line.cosigned_at_seconds(), Some(1_772_359_200));
    let mut note = note.clone();
    note.add(line);
    note.verify([witness_key().verifier()]).unwrap();
}

#[tokio::test]
async fn a_witness_refuses_forks_rollbacks_replays_and_strangers() {
    let folder = tempfile::tempdir().unwrap();
    let disk = disk(folder.path());
    let witness = started(&disk);
    let all = leaves(7, 0);
    let (four, seven) = (signed(ORIGIN, &all[..4]), signed(ORIGIN, &all));
    let proof = [root(&all[4..])];
    check(&asked(&witness, 0, &[], &four).await, &four);
    let fork = signed(ORIGIN, &leaves(7, 9));
    assert_eq!(asked(&witness, 4, &proof, &fork).await.0, 422);
    let unknown = signed("example.com/other", &all);
    assert_eq!(asked(&witness, 0, &[], &unknown).await.0, 404);
    check(&asked(&witness, 4, &proof, &seven).await, &seven);
    let stale = (409, "text/x.tlog.size".to_owned(), "7\n".to_owned());
    assert_eq!(asked(&witness, 0, &[], &four).await, stale, "a rollback");
    assert_eq!(asked(&witness, 4, &proof, &seven).await, stale, "a replay");
    assert_eq!(post(&witness, "hello".into()).await.0, 400);
    // A process that comes up again knows what was cosigned.
    let next = started(&disk);
    assert_eq!(asked(&next, 4, &proof, &seven).await, stale);
    check(&asked(&next, 7, &[], &seven).await, &seven);
    let same_size = signed(ORIGIN, &leaves(7, 9));
    assert_eq!(asked(&next, 7, &[], &same_size).await.0, 422);
}

#[tokio::test]
async fn what_is_not_on_disk_is_not_answered_and_what_is_stays() {
    let folder = tempfile::tempdir().unwrap();
    let disk = disk(folder.path());
    let witness = started(&disk);
    let all = leaves(7, 0);
    let (four, seven) = (signed(ORIGIN, &all[..4]), signed(ORIGIN, &all));
    disk.failing.store(true, Ordering::Relaxed);
    let failed = asked(&witness, 0, &[], &four).await;
    assert_eq!(failed.0, 500);
    assert!(!failed.2.contains('\u{2014}'), "no cosignature: {failed:?}");
    disk.failing.store(false, Ordering::Relaxed);
    // It died after it stored and before it answered: nobody saw this answer.
    drop(asked(&witness, 0, &[], &four).await);
    let next = started(&disk);
    // The log asks again from where it believes to be, hears the size, goes on.
    let answer = asked(&next, 0, &[], &seven).await;
    assert_eq!((answer.0, answer.2.as_str()), (409, "4\n"));
    check(&asked(&next, 4, &[root(&all[4..])], &seven).await, &seven);
}

#[tokio::test]
async fn what_was_cosigned_last_is_shown_to_monitors() {
    let folder = tempfile::tempdir().unwrap();
    let witness = started(&disk(folder.path()));
    let note = signed(ORIGIN, &leaves(4, 0));
    let path = format!("/{}/checkpoint", Digest::of(ORIGIN.as_bytes()));
    let get = async |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let router = witness.clone().router();
        let response = router.oneshot(request).await.unwrap();
        (response.status().as_u16(), text(response).await)
    };
    assert_eq!(get(&path).await.0, 404);
    asked(&witness, 0, &[], &note).await;
    let (status, shown) = get(&path).await;
    assert_eq!(status, 200);
    let shown = Note::parse(shown.as_bytes()).unwrap();
    let (log, witness) = (log_key(), witness_key());
    let both = [log.verifier(), witness.verifier()];
    assert_eq!(shown.verify(both).unwrap().len(), 2);
    assert_eq!(get("/nothing/checkpoint").await.0, 404);
}
