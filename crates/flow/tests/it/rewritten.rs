//! History that was rewritten by someone who owns the database and recomputes
//! everything in it: payload hashes, entry hashes, head, tiles and states. The
//! chain verifies and replay agrees; a checkpoint that was kept outside, or
//! one in the log that cannot be signed anew, finds it.

use kernel::aggregate::State;
use kernel::{Actor, Digest, PrincipalKind, Stamp, StreamId, TenantId};
use ledger::checkpoint::{Checkpoint, LogName, Outcome, Signer, audit, kept, log_keys};
use ledger::entry::{Entry, Head};
use ledger::merkle::Frontier;
use ledger::replay;
use ledger::{Batch, Document, EntryQuery, Registry, Store, verify};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::Sqlite;
use testkit::{Loop, MemoryFiles, Sample, SeededEntropy};

async fn entries(store: &dyn Store, tenant: TenantId) -> Vec<Entry> {
    let query = EntryQuery {
        limit: 100_000,
        ..EntryQuery::default()
    };
    store.entries(tenant, &query).await.unwrap()
}

/// A state as the forger folds it, with its place in the log.
struct Forged {
    version: u64,
    created_seq: u64,
    updated_seq: u64,
    state: Arc<dyn State>,
}

impl Forged {
    fn step(before: Option<Self>, registry: &Registry, entry: &Entry) -> Self {
        let stamp = Stamp {
            at: entry.at,
            actor: entry.actor.clone(),
            entry: entry.id,
            version: entry.stream_version,
        };
        let payload = serde_json::from_str(&entry.payload).unwrap();
        let created_seq = before.as_ref().map_or(entry.seq, |b| b.created_seq);
        let state = before.map(|b| b.state);
        let event = (entry.kind.as_str(), &payload);
        let state = registry.step(entry.stream.kind(), state, event, &stamp);
        Self {
            version: entry.stream_version,
            created_seq,
            updated_seq: entry.seq,
            state: state.unwrap(),
        }
    }
}

/// Writes these entries into a new database as if they had always been there.
async fn forge(path: &std::path::Path, tenant: TenantId, entries: Vec<Entry>) -> Sqlite {
    let store = Sqlite::open(path).unwrap();
    let registry = flow::registry();
    let mut frontier = Frontier::default();
    let (mut head, mut chained) = (Head::EMPTY, Vec::new());
    let mut states: BTreeMap<StreamId, Forged> = BTreeMap::new();
    for mut entry in entries {
        let before = states.remove(&entry.stream);
        entry.seq = head.seq + 1;
        entry.stream_version = before.as_ref().map_or(1, |b| b.version + 1);
        entry.prev_hash = head.hash;
        entry.payload_hash = Digest::of(entry.payload.as_bytes());
        entry.hash = entry.computed_hash(tenant);
        head = Head {
            seq: entry.seq,
            hash: entry.hash,
        };
        let forged = Forged::step(before, &registry, &entry);
        states.insert(entry.stream.clone(), forged);
        frontier.push(entry.hash, entry.at);
        chained.push(entry);
    }
    let document = |(stream, forged): (StreamId, Forged)| {
        let refs = forged.state.refs();
        Document {
            version: forged.version,
            created_seq: forged.created_seq,
            updated_seq: forged.updated_seq,
            status: forged.state.status().to_owned(),
            subject: refs.subject,
            directive: refs.directive,
            due_at: forged.state.due(),
            body: forged.state.body().unwrap(),
            stream,
        }
    };
    let batch = Batch {
        tenant,
        expected: Head::EMPTY,
        entries: chained,
        documents: states.into_iter().map(document).collect(),
        objects: Vec::new(),
        grown: frontier.take_grown(),
    };
    store.append(vec![batch]).await.unwrap();
    store
}

/// What the owner wants to hide: who loaded the pack.
fn blame_another(entry: &mut Entry) {
    if entry.kind == "pack.loaded" {
        entry.actor = Actor::new(PrincipalKind::Human, "prn_someone_else");
    }
}

async fn sound(store: &dyn Store, tenant: TenantId) {
    let report = verify::log(store, tenant, |_| {}).await.unwrap();
    assert!(report.is_intact(), "the chain was recomputed: {report:?}");
    let report = replay::log(store, &flow::registry(), tenant, |_| {})
        .await
        .unwrap();
    assert!(report.is_equal(), "the states were recomputed: {report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rewritten_history_is_found_by_an_older_checkpoint() {
    let control = Loop::start(11, &Sample::default()).await;
    let tenant = control.home();
    let files = MemoryFiles::new();
    let signer = Signer::new(
        files.clone(),
        Arc::new(SeededEntropy::new(7)),
        LogName::default(),
    );
    let ctx = control.control.system_ctx(tenant, "checkpoints");
    let outcome = signer.sign(control.control.ledger(), ctx).await.unwrap();
    let Outcome::Signed(signed) = outcome else {
        panic!("nothing was signed");
    };
    control.incident(tenant, "later").await;
    let honest = control.store.clone();
    let keys = log_keys(honest.as_ref(), tenant)
        .await
        .unwrap()
        .all()
        .unwrap();
    let kept = vec![kept(signed.note.as_bytes(), &keys).unwrap()];
    let report = audit(honest.as_ref(), tenant, &kept, |_| {}).await.unwrap();
    assert_eq!(report.fault, None, "the honest log holds");
    assert_eq!(
        (report.checkpoints, report.size),
        (1, entries(honest.as_ref(), tenant).await.len() as u64)
    );

    // He changes one entry and recomputes all else, but cannot sign anew.
    let place = tempfile::tempdir().unwrap();
    let mut changed = entries(honest.as_ref(), tenant).await;
    let before = changed.clone();
    changed.iter_mut().for_each(blame_another);
    assert_ne!(before, changed, "something was rewritten");
    let unsigned = forge(&place.path().join("unsigned"), tenant, changed.clone()).await;
    sound(&unsigned, tenant).await;
    let report = audit(&unsigned, tenant, &[], |_| {}).await.unwrap();
    let fault = report.fault.expect("a recorded checkpoint finds it");
    assert!(fault.what.contains("was rewritten"), "{fault:?}");

    // He leaves the checkpoints out as well: nothing in the file speaks of it.
    changed.retain(|entry| !entry.kind.starts_with("checkpoint."));
    let silent = forge(&place.path().join("silent"), tenant, changed.clone()).await;
    sound(&silent, tenant).await;
    let report = audit(&silent, tenant, &[], |_| {}).await.unwrap();
    assert_eq!(report.fault, None, "the file alone cannot tell");
    let report = audit(&silent, tenant, &kept, |_| {}).await.unwrap();
    let fault = report.fault.expect("the checkpoint that was kept finds it");
    assert_eq!(fault.seq, signed.size);
    assert!(fault.what.contains("that was kept"), "{fault:?}");

    // Or he cuts the log short.
    let short: Vec<Entry> = changed.into_iter().take(2).collect();
    let short = forge(&place.path().join("short"), tenant, short).await;
    let report = audit(&short, tenant, &kept, |_| {}).await.unwrap();
    let fault = report.fault.expect("the checkpoint that was kept finds it");
    assert!(fault.what.contains("entries were removed"), "{fault:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_of_another_log_or_key_is_no_proof() {
    let control = Loop::start(12, &Sample::default()).await;
    let ctx = control.control.system_ctx(control.home(), "checkpoints");
    let signer = |seed| {
        Signer::new(
            MemoryFiles::new(),
            Arc::new(SeededEntropy::new(seed)),
            LogName::default(),
        )
    };
    let outcome = signer(1).sign(control.control.ledger(), ctx).await.unwrap();
    let Outcome::Signed(signed) = outcome else {
        panic!("nothing was signed");
    };
    let other = Loop::start(13, &Sample::default()).await;
    let ctx = other.control.system_ctx(other.home(), "checkpoints");
    signer(2).sign(other.control.ledger(), ctx).await.unwrap();
    let keys = log_keys(other.store.as_ref(), other.home()).await.unwrap();
    assert!(kept(signed.note.as_bytes(), &keys.all().unwrap()).is_err());
    assert!(kept(b"not a note", &keys.all().unwrap()).is_err());
    let text = signed.note.split("\n\n").next().unwrap().to_owned() + "\n";
    assert!(Checkpoint::parse(&text).is_ok());
    assert!(
        kept(text.as_bytes(), &keys.all().unwrap()).is_err(),
        "unsigned"
    );
}
