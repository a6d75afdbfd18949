//! Signing a log: when there is news and when not, with the key or not at all,
//! never over a log that was set back or rewritten, across crashes, and by two
//! nodes at once.

use flow::checkpoints::{Signing, sign};
use kernel::{Code, Ctx, Digest, Refusal, Span, TenantId};
use ledger::checkpoint::record::Signed;
use ledger::checkpoint::{Checkpoint, LogName, Outcome, Signer, checkpoints, log_keys};
use ledger::merkle::{Stored, Tiles, verify_consistency};
use ledger::note::Note;
use ledger::{EntryQuery, Store as _};
use std::sync::Arc;
use testkit::{Death, Loop, MemoryFiles, Sample, SeededEntropy};

fn signer(files: &Arc<MemoryFiles>) -> Signer {
    seeded(files, 7)
}

fn seeded(files: &Arc<MemoryFiles>, seed: u64) -> Signer {
    Signer::new(
        files.clone(),
        Arc::new(SeededEntropy::new(seed)),
        LogName::default(),
    )
}

fn ctx(control: &Loop) -> Ctx {
    control.control.system_ctx(control.home(), "checkpoints")
}

async fn signed(control: &Loop, signer: &Signer) -> Result<Signed, Refusal> {
    match signer.sign(control.control.ledger(), ctx(control)).await? {
        Outcome::Signed(signed) => Ok(signed),
        other => panic!("nothing was signed: {other:?}"),
    }
}

/// Checks that the note is signed by a key on the ledger and says what the
/// log's tree was at that size.
async fn check(control: &Loop, tenant: TenantId, signed: &Signed) {
    let store = control.store.as_ref();
    let keys = log_keys(store, tenant).await.unwrap().all().unwrap();
    let note = Note::parse(signed.note.as_bytes()).unwrap();
    note.verify(&keys).unwrap();
    let checkpoint = Checkpoint::parse(note.text()).unwrap();
    assert_eq!(checkpoint.origin, format!("writ/{tenant}"));
    assert_eq!(
        (checkpoint.size, checkpoint.root),
        (signed.size, signed.root)
    );
    let size = store.head(tenant).await.unwrap().seq;
    let mut tiles = Tiles::new(Stored { store, tenant }, size);
    assert_eq!(tiles.root_at(signed.size).await.unwrap(), signed.root);
    let proof = tiles.consistency(signed.size).await.unwrap();
    let now = (size, tiles.root().await.unwrap());
    verify_consistency((signed.size, signed.root), now, &proof).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_is_signed_when_there_is_news() {
    let control = Loop::start(1, &Sample::default()).await;
    let (files, tenant) = (MemoryFiles::new(), control.home());
    let signer = signer(&files);
    let first = signed(&control, &signer).await.unwrap();
    check(&control, tenant, &first).await;
    // The key's own entry is covered by the first checkpoint.
    let head = control.store.head(tenant).await.unwrap().seq;
    assert_eq!(
        head,
        first.size + 1,
        "the checkpoint is the only entry after it"
    );
    let again = signer.sign(control.control.ledger(), ctx(&control)).await;
    assert!(matches!(again.unwrap(), Outcome::Unchanged(same) if same == first));
    control.incident(tenant, "news").await;
    let second = signed(&control, &signer).await.unwrap();
    assert!(second.size > first.size + 1);
    check(&control, tenant, &first).await;
    check(&control, tenant, &second).await;
    assert_eq!(files.names().len(), 2, "one key and what it signed last");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_key_a_log_is_not_signed() {
    let control = Loop::start(2, &Sample::default()).await;
    let (files, tenant) = (MemoryFiles::new(), control.home());
    let signer = signer(&files);
    let first = signed(&control, &signer).await.unwrap();
    control.incident(tenant, "news").await;
    let head = control.store.head(tenant).await.unwrap();
    files.lose(".key");
    let refusal = signed(&control, &signer).await.unwrap_err();
    assert_eq!(refusal.code, Code::Unavailable);
    assert!(refusal.message.contains("is missing"), "{refusal}");
    assert_eq!(
        control.store.head(tenant).await.unwrap(),
        head,
        "nothing was recorded"
    );
    // A new key, made on purpose, goes on where the old one stopped.
    let ledger = control.control.ledger();
    let new = signer
        .rotate(ledger, (ctx(&control), None), "the file was lost")
        .await;
    let second = signed(&control, &signer).await.unwrap();
    assert_eq!(second.key, new.unwrap().to_string());
    assert_ne!(second.key, first.key);
    check(&control, tenant, &first).await;
    check(&control, tenant, &second).await;
    let keys = log_keys(control.store.as_ref(), tenant).await.unwrap();
    assert_eq!(keys.keys.len(), 2);
    assert_eq!(keys.active().unwrap().unwrap().to_string(), second.key);
    assert_eq!(keys.keys[0].reason.as_deref(), Some("the file was lost"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_set_back_is_not_signed_again_by_the_same_key() {
    let files = MemoryFiles::new();
    let signer = signer(&files);
    // Two databases of one seed: the same tenant, and then another history.
    let lost = Loop::start(3, &Sample::default()).await;
    let restored = Loop::start(3, &Sample::default()).await;
    let tenant = lost.home();
    assert_eq!(restored.home(), tenant);
    let first = signed(&lost, &signer).await.unwrap();
    let copied = MemoryFiles::new();
    let same = self::signer(&copied);
    let as_first = signed(&restored, &same).await.unwrap();
    assert_eq!((first.size, first.root), (as_first.size, as_first.root));
    lost.incident(tenant, "one").await;
    let second = signed(&lost, &signer).await.unwrap();
    // The restored one has the same key, by the seed, and the files of the other.
    restored.incident(tenant, "another").await;
    let head = restored.store.head(tenant).await.unwrap();
    assert!(head.seq >= second.size);
    let refusal = signed(&restored, &signer).await.unwrap_err();
    assert_eq!(refusal.code, Code::Integrity, "{refusal}");
    assert!(refusal.message.contains("was rewritten"), "{refusal}");
    assert_eq!(
        restored.store.head(tenant).await.unwrap(),
        head,
        "nothing was recorded"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn death_at_any_append_leaves_nothing_ambiguous() {
    for side in [Death::Before, Death::After] {
        for after in 1..=2 {
            let mut control = Loop::start(4, &Sample::default()).await;
            let (files, tenant) = (MemoryFiles::new(), control.home());
            control.store.die_at(control.store.appends() + after, side);
            let died = signer(&files)
                .sign(control.control.ledger(), ctx(&control))
                .await;
            assert!(died.is_err(), "{side:?} {after}");
            control.crash().await.unwrap();
            let signer = seeded(&files, 8);
            let outcome = signer.sign(control.control.ledger(), ctx(&control)).await;
            let (Outcome::Signed(signed) | Outcome::Unchanged(signed)) = outcome.unwrap() else {
                panic!("the log is not empty");
            };
            check(&control, tenant, &signed).await;
            let query = EntryQuery {
                kind: Some("checkpoint.signed".into()),
                limit: 10,
                ..EntryQuery::default()
            };
            let entries = control.store.entries(tenant, &query).await.unwrap();
            assert_eq!(entries.len(), 1, "{side:?} {after}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_nodes_sign_one_tree_of_one_size() {
    let control = Loop::start(5, &Sample::default()).await;
    let (files, tenant) = (MemoryFiles::new(), control.home());
    signed(&control, &signer(&files)).await.unwrap();
    control.incident(tenant, "news").await;
    let other = control.world.control(control.store.beside()).await.unwrap();
    let (here, there) = (ctx(&control), ctx(&control));
    let (signer_here, signer_there) = (seeded(&files, 8), seeded(&files, 9));
    let (one, two) = tokio::join!(
        signer_here.sign(control.control.ledger(), here),
        signer_there.sign(other.ledger(), there),
    );
    one.unwrap();
    two.unwrap();
    let newest = checkpoints(control.store.as_ref(), tenant).await.unwrap();
    let sizes: Vec<u64> = newest.recent.iter().map(|signed| signed.size).collect();
    assert!(sizes.is_sorted_by(|a, b| a < b), "{sizes:?}");
    for signed in &newest.recent {
        check(&control, tenant, signed).await;
    }
    assert_eq!(newest.recent.len(), 2, "{sizes:?}");
}

/// Each node has its own copy of the key and remembers for itself what the key
/// has signed. A database that is set back to before what the other signed is
/// not signed anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_remembers_what_another_signed_by_the_same_key() {
    let control = Loop::start(7, &Sample::default()).await;
    let (files, tenant) = (MemoryFiles::new(), control.home());
    signed(&control, &signer(&files)).await.unwrap();
    let copied = files.copied();
    control.incident(tenant, "news").await;
    signed(&control, &signer(&files)).await.unwrap();
    let newest = checkpoints(control.store.as_ref(), tenant).await.unwrap();
    let latest = newest.latest().unwrap();
    let other = signer(&copied);
    let before = copied.read_all();
    other.heed(tenant, latest).await.unwrap();
    assert_ne!(copied.read_all(), before);
    assert_eq!(copied.read_all(), files.read_all());
    // An older one changes nothing, and one that the key did not sign is
    // refused.
    other.heed(tenant, &newest.recent[0]).await.unwrap();
    let mut forged = latest.clone();
    forged.size += 1;
    forged.note = forged
        .note
        .replacen(&latest.size.to_string(), &forged.size.to_string(), 1);
    let refused = other.heed(tenant, &forged).await.unwrap_err();
    assert_eq!(refused.code, Code::Integrity, "{refused}");
    assert_eq!(copied.read_all(), files.read_all());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_without_a_signer_refuses_and_one_with_it_signs_by_itself() {
    let control = Loop::start(6, &Sample::default()).await;
    let tenant = control.home();
    let refusal = sign(&control.control, ctx(&control)).await.unwrap_err();
    assert_eq!(refusal.code, Code::Unavailable);
    let files = MemoryFiles::new();
    let signing = Signing {
        signer: signer(&files),
        witnesses: Vec::new(),
        entries_max: 1_000,
        every: Span::from_secs(60),
    };
    let node = control.world.control(control.store.beside()).await.unwrap();
    let node = Arc::new(node.with_signing(signing));
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let task = tokio::spawn(flow::checkpoints::run(node.clone(), stopping));
    let store = control.store.clone();
    let sizes = async |count: usize| loop {
        let newest = checkpoints(store.as_ref(), tenant).await.unwrap();
        if newest.recent.len() >= count {
            return newest.recent;
        }
        control.world.clock.pass(Span::from_secs(5));
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let first = sizes(1).await;
    assert_ne!(first[0].root, Digest::ZERO);
    control.incident(tenant, "news").await;
    let second = sizes(2).await;
    assert!(second[1].size > first[0].size);
    stop.send_replace(true);
    task.await.unwrap();
}
