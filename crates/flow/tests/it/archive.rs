//! The archive of a real log: verified and restored with nothing else at hand,
//! each damage named, and gone on with from the record after a crash at every
//! append and every call of the object store.

use kernel::port::{ObjectFault, Objects};
use kernel::{Code, Refusal, Span, TenantId};
use ledger::archive::{self, Archive, LockKind, Reach, Segment, Settings, Status, Trust};
use ledger::{Ledger, Registry, Store};
use std::sync::Arc;
use std::time::Duration;
use testkit::{Death, Loop, MemoryStore, Person, Sample, TwinObjects};

/// Small segments, and no waiting.
pub(super) const SETTINGS: Settings = Settings {
    entries: 16,
    keep: Span::from_secs(3600),
    tries: 2,
    pause: Duration::ZERO,
};

pub(super) fn archive_in(objects: &Arc<TwinObjects>) -> Archive {
    Archive::new(objects.clone(), SETTINGS).unwrap()
}

/// A loop that has been through an incident and an act.
pub(super) async fn lived(seed: u64) -> Loop {
    let control = Loop::start(seed, &Sample::default()).await;
    keyed(&control).await;
    live(&control, control.home(), "press-1").await;
    control
}

pub(super) async fn live(control: &Loop, tenant: TenantId, machine: &str) {
    let (_, approval) = control.incident(tenant, machine).await;
    let ann = Person::named("ann");
    control.approve(tenant, &ann, approval).await.unwrap();
    control.pass(Span::from_secs(30)).await.unwrap();
}

pub(super) async fn run(
    control: &Loop,
    archive: &Archive,
    reach: Reach,
) -> Result<Vec<Segment>, Refusal> {
    let tenant = control.home();
    let ctx = || control.control.system_ctx(tenant, "archive");
    let signer = control.world.signer();
    let ledger: &Ledger = control.control.ledger();
    archive
        .run((ledger, &signer), tenant, reach, &ctx, &mut |_| ())
        .await
}

pub(super) async fn verified(objects: &dyn Objects, tenant: TenantId) -> archive::Report {
    let trust = Trust::default();
    archive::verify(objects, tenant, &trust, &mut |_| ())
        .await
        .unwrap()
}

/// The names of the segments of a log, in order.
pub(super) fn segments(objects: &TwinObjects, tenant: TenantId) -> Vec<String> {
    let prefix = format!("{tenant}/");
    let mut names = objects.names();
    names.retain(|name| name.starts_with(&prefix) && name.ends_with(".zst"));
    names
}

/// Gives the log its key, as a running writ does within its first minute.
async fn keyed(control: &Loop) {
    let ctx = control.control.system_ctx(control.home(), "archive");
    let ledger = control.control.ledger();
    control.world.signer().ready(ledger, ctx).await.unwrap();
}

/// Everything of a log up to a position, as stores keep it.
async fn image(
    store: &dyn Store,
    tenant: TenantId,
) -> (
    ledger::Head,
    Vec<ledger::Document>,
    Vec<kernel::Digest>,
    kernel::Digest,
) {
    let head = store.head(tenant).await.unwrap();
    let frontier = ledger::merkle::Frontier::load(store, tenant, head)
        .await
        .unwrap();
    (
        head,
        store.all_documents(tenant, None, usize::MAX).await.unwrap(),
        store
            .object_digests(tenant, None, usize::MAX)
            .await
            .unwrap(),
        frontier.root(),
    )
}

pub(super) async fn restored(
    objects: &dyn Objects,
    tenant: TenantId,
    store: &dyn Store,
) -> Result<ledger::Head, Refusal> {
    let (trust, registry) = (Trust::default(), registry());
    archive::restore(objects, tenant, &trust, (store, &registry), &mut |_| ()).await
}

async fn copied(
    source: &dyn Store,
    target: &dyn Store,
    tenant: TenantId,
) -> Result<ledger::Head, Refusal> {
    ledger::rebuild::copy(source, target, &registry(), tenant, &mut |_| ()).await
}

pub(super) fn registry() -> Registry {
    flow::registry()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_is_verified_and_restored_from_its_archive_alone() {
    let control = lived(1).await;
    let tenant = control.home();
    let objects = Arc::new(TwinObjects::default());
    let before = image(control.store.as_ref(), tenant).await;
    let done = run(&control, &archive_in(&objects), Reach::Head)
        .await
        .unwrap();
    assert!(done.len() > 3, "{} segments", done.len());
    let mut next = 1;
    for segment in &done {
        assert_eq!(segment.status, Status::Verified);
        assert_eq!(segment.outline.first, next);
        assert_eq!(segment.stored.as_ref().unwrap().lock, LockKind::Compliance);
        next = segment.outline.last + 1;
    }
    assert_eq!(next - 1, before.0.seq);
    // Nothing but the archive's own entries is new: that is no segment.
    assert_eq!(
        run(&control, &archive_in(&objects), Reach::Head)
            .await
            .unwrap(),
        []
    );
    testkit::checks::all(&control).await;

    drop(control);
    let report = verified(objects.as_ref(), tenant).await;
    assert!(report.is_intact(), "{report:?}");
    assert_eq!((report.entries, report.head), (before.0.seq, before.0.hash));
    assert_eq!(report.root, before.3);
    let store = MemoryStore::new();
    let restored = restored(objects.as_ref(), tenant, store.as_ref());
    assert_eq!(restored.await.unwrap(), before.0);
    assert_eq!(image(store.as_ref(), tenant).await, before);
    let log = ledger::verify::log(store.as_ref(), tenant, |_| ())
        .await
        .unwrap();
    assert!(log.is_intact());
    let replay = ledger::replay::log(store.as_ref(), &registry(), tenant, |_| ())
        .await
        .unwrap();
    assert!(replay.is_equal(), "{:?}", replay.differences);
    assert_eq!(archive::tenants(objects.as_ref()).await.unwrap(), [tenant]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_gives_the_same_bytes_each_time() {
    let control = lived(2).await;
    let tenant = control.home();
    let first = Arc::new(TwinObjects::default());
    let copy = MemoryStore::new();
    copied(control.store.as_ref(), copy.as_ref(), tenant)
        .await
        .unwrap();
    run(&control, &archive_in(&first), Reach::Full)
        .await
        .unwrap();
    let second = Arc::new(TwinObjects::default());
    let other = control.world.control(copy).await.unwrap();
    let ctx = || other.system_ctx(tenant, "archive");
    archive_in(&second)
        .run(
            (other.ledger(), &control.world.signer()),
            tenant,
            Reach::Full,
            &ctx,
            &mut |_| (),
        )
        .await
        .unwrap();
    assert!(first.names().len() > 2);
    for name in second.names() {
        assert_eq!(first.peek(&name), second.peek(&name), "{name}");
    }
    // Only full segments are sealed unasked.
    let full = format!("-{:013}.jsonl.zst", 16);
    assert!(
        segments(&first, tenant)[0].ends_with(&full),
        "{:?}",
        first.names()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_archive_says_of_itself_does_not_stop_it() {
    let control = lived(10).await;
    let tenant = control.home();
    let objects = Arc::new(TwinObjects::default());
    let archive = archive_in(&objects);
    live(&control, tenant, "press-2").await;
    let before = control.store.head(tenant).await.unwrap().seq;
    run(&control, &archive, Reach::Head).await.unwrap();
    let own = control.store.head(tenant).await.unwrap().seq - before;
    assert!(own > SETTINGS.entries, "more than a segment of its own");
    assert_eq!(run(&control, &archive, Reach::Head).await.unwrap(), []);
    live(&control, tenant, "press-3").await;
    let end = control.store.head(tenant).await.unwrap().seq;
    let done = run(&control, &archive, Reach::Head).await.unwrap();
    assert_eq!(done.last().unwrap().outline.last, end);
    whole(&control, &objects, "after news").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_damage_is_named() {
    let mut control = lived(3).await;
    let other = control.found(&Sample::default()).await;
    let tenant = control.home();
    let objects = Arc::new(TwinObjects::default());
    run(&control, &archive_in(&objects), Reach::Head)
        .await
        .unwrap();
    let ctx = || control.control.system_ctx(other, "archive");
    archive_in(&objects)
        .run(
            (control.control.ledger(), &control.world.signer()),
            other,
            Reach::Head,
            &ctx,
            &mut |_| (),
        )
        .await
        .unwrap();
    let (mine, theirs) = (segments(&objects, tenant), segments(&objects, other));
    let bytes = |name: &String| objects.peek(name).unwrap();
    let (a, b) = (mine[1].clone(), mine[2].clone());
    let (good_a, good_b) = (bytes(&a), bytes(&b));
    let flipped = |at: usize| {
        let mut bad = good_a.clone();
        bad[at] ^= 1;
        bad
    };
    type Change = Vec<(String, Option<Vec<u8>>)>;
    let mut rows: Vec<(&str, Change, &str, &str)> = vec![
        (
            "missing",
            vec![(a.clone(), None)],
            "",
            "entries 17 to 32 are missing",
        ),
        (
            "cut",
            vec![(a.clone(), Some(good_a[..good_a.len() / 2].to_vec()))],
            &a,
            "cannot be unpacked",
        ),
        (
            "empty",
            vec![(a.clone(), Some(Vec::new()))],
            &a,
            "cannot be unpacked",
        ),
        (
            "swapped",
            vec![
                (a.clone(), Some(good_b.clone())),
                (b.clone(), Some(good_a.clone())),
            ],
            &a,
            "not what its name says",
        ),
        (
            "another tenant's",
            vec![(a.clone(), Some(bytes(&theirs[0])))],
            &a,
            "it is a segment of ten_",
        ),
        (
            "no segment",
            vec![(format!("{tenant}/x"), Some(b"x".to_vec()))],
            "",
            "not the name of a segment",
        ),
    ];
    for at in (0..good_a.len()).step_by(good_a.len() / 60) {
        rows.push(("flipped", vec![(a.clone(), Some(flipped(at)))], &a, ""));
    }
    for (what, change, named, said) in rows {
        for (name, bytes) in &change {
            objects.tamper(name, bytes.clone());
        }
        let report = verified(objects.as_ref(), tenant).await;
        let fault = report.faults.first();
        let fault = fault.unwrap_or_else(|| panic!("{what} is not found"));
        assert!(fault.what.contains(said), "{what}: {fault:?}");
        if !named.is_empty() {
            assert_eq!(fault.object.as_deref(), Some(named), "{what}: {fault:?}");
        }
        let store = MemoryStore::new();
        let refused = restored(objects.as_ref(), tenant, store.as_ref());
        assert_eq!(refused.await.unwrap_err().code, Code::Integrity, "{what}");
        objects.tamper(&format!("{tenant}/x"), None);
        objects.tamper(&a, Some(good_a.clone()));
        objects.tamper(&b, Some(good_b.clone()));
    }
    assert!(verified(objects.as_ref(), tenant).await.is_intact());
    let nobody = "ten_00000000000070008000000000000009".parse().unwrap();
    assert!(!verified(objects.as_ref(), nobody).await.is_intact());
    let store = MemoryStore::new();
    let refused = restored(objects.as_ref(), nobody, store.as_ref()).await;
    assert_eq!(refused.unwrap_err().code, Code::Integrity);
}

/// What must hold of an archive, whatever happened before.
async fn whole(control: &Loop, objects: &TwinObjects, what: &str) {
    let tenant = control.home();
    let report = verified(objects, tenant).await;
    assert!(report.is_intact(), "{what}: {report:?}");
    let listed = control.all::<Segment>(tenant).await;
    let mut names: Vec<_> = listed
        .iter()
        .flat_map(|(_, segment)| {
            let last = segment.outline.last;
            let object = segment.stored.as_ref().unwrap().object.clone();
            [object, archive::checkpoint_name(tenant, last)]
        })
        .collect();
    names.sort_unstable();
    assert_eq!(names, objects.names(), "{what}: each object is listed once");
    for (_, segment) in listed {
        assert_eq!(segment.status, Status::Verified, "{what}");
        let stored = segment.stored.unwrap();
        let kept = objects.peek(&stored.object).unwrap();
        assert_eq!(kernel::Digest::of(&kept), stored.digest, "{what}");
    }
    testkit::checks::all(control).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_at_any_append_goes_on_from_the_record() {
    for at in 1..=9 {
        for side in [Death::Before, Death::After] {
            let mut control = lived(4).await;
            let objects = Arc::new(TwinObjects::default());
            control.store.die_at(control.store.appends() + at, side);
            let died = run(&control, &archive_in(&objects), Reach::Full).await;
            assert_eq!(died.unwrap_err().code, Code::Unavailable);
            control.crash().await.unwrap();
            run(&control, &archive_in(&objects), Reach::Full)
                .await
                .unwrap();
            whole(&control, &objects, &format!("death at {at}, {side:?}")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_store_that_fails_at_any_call_loses_nothing() {
    let faults = [
        ObjectFault::Unavailable("no route".into()),
        ObjectFault::Refused("AccessDenied".into()),
    ];
    for at in 1..=12 {
        for fault in &faults {
            let control = lived(5).await;
            let objects = Arc::new(TwinObjects::default());
            objects.fail_from(at, fault.clone());
            let failed = run(&control, &archive_in(&objects), Reach::Full)
                .await
                .unwrap_err();
            assert_eq!(failed.code, Code::Unavailable, "{at}");
            assert!(failed.to_string().contains("object store"), "{failed}");
            // An outage is waited for, a no is not asked again.
            let more = u64::from(matches!(fault, ObjectFault::Unavailable(_)));
            assert_eq!(objects.calls(), at + more, "{at} {fault}");
            objects.recover();
            run(&control, &archive_in(&objects), Reach::Full)
                .await
                .unwrap();
            whole(&control, &objects, &format!("{fault} from call {at} on")).await;
        }
        let control = lived(5).await;
        let objects = Arc::new(TwinObjects::default());
        objects.lose_reply(at);
        run(&control, &archive_in(&objects), Reach::Full)
            .await
            .unwrap();
        whole(
            &control,
            &objects,
            &format!("the reply to call {at} is lost"),
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_does_not_lock_or_changes_what_it_holds_does_not_count() {
    let control = lived(6).await;
    let tenant = control.home();
    let objects = Arc::new(TwinObjects::default());
    let archive = archive_in(&objects);
    let status = async || control.all::<Segment>(tenant).await[0].1.status;
    objects.forget_locks();
    let refused = run(&control, &archive, Reach::Full).await.unwrap_err();
    assert!(refused.to_string().contains("does not lock"), "{refused}");
    assert_eq!(status().await, Status::Sealed);

    // What it holds unlocked stays so; someone has to remove it.
    objects.recover();
    let refused = run(&control, &archive, Reach::Full).await.unwrap_err();
    assert!(refused.to_string().contains("does not lock"), "{refused}");
    let name = segments(&objects, control.home())[0].clone();
    objects.tamper(&name, Some(b"something else".to_vec()));
    let refused = run(&control, &archive, Reach::Full).await.unwrap_err();
    assert_eq!(refused.code, Code::Integrity, "{refused}");
    assert!(refused.to_string().contains(&name), "{refused}");
    objects.tamper(&name, None);
    assert_eq!(status().await, Status::Sealed);

    objects.answer_half();
    let refused = run(&control, &archive, Reach::Full).await.unwrap_err();
    assert_eq!(refused.code, Code::Integrity, "{refused}");
    assert_eq!(status().await, Status::Stored);
    objects.recover();
    run(&control, &archive, Reach::Full).await.unwrap();
    whole(&control, &objects, "after all").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_log_takes_over_what_the_archive_knows_and_goes_on() {
    let control = lived(7).await;
    let tenant = control.home();
    let objects = Arc::new(TwinObjects::default());
    run(&control, &archive_in(&objects), Reach::Head)
        .await
        .unwrap();
    live(&control, tenant, "press-2").await;
    let archived = control.store.head(tenant).await.unwrap();
    run(&control, &archive_in(&objects), Reach::Head)
        .await
        .unwrap();
    let before = objects.names();

    let store = MemoryStore::new();
    restored(objects.as_ref(), tenant, store.as_ref())
        .await
        .unwrap();
    assert_eq!(store.head(tenant).await.unwrap(), archived);
    let again = control.world.control(store.clone()).await.unwrap();
    let ctx = || again.system_ctx(tenant, "archive");
    let archive = archive_in(&objects);
    archive
        .run(
            (again.ledger(), &control.world.signer()),
            tenant,
            Reach::Head,
            &ctx,
            &mut |_| (),
        )
        .await
        .unwrap();
    assert_eq!(objects.names(), before, "nothing is written a second time");
    assert!(verified(objects.as_ref(), tenant).await.is_intact());

    // A ledger that lost entries which the archive holds is found.
    let short = MemoryStore::new();
    let part = Arc::new(TwinObjects::default());
    for name in &segments(&objects, tenant)[..2] {
        part.tamper(name, objects.peek(name));
    }
    restored(part.as_ref(), tenant, short.as_ref())
        .await
        .unwrap();
    let short = control.world.control(short).await.unwrap();
    let refused = archive
        .run(
            (short.ledger(), &control.world.signer()),
            tenant,
            Reach::Full,
            &ctx,
            &mut |_| (),
        )
        .await
        .unwrap_err();
    assert_eq!(refused.code, Code::Integrity);
    assert!(refused.to_string().contains("the archive of"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_was_interrupted_goes_on_and_another_log_is_refused() {
    let control = lived(8).await;
    let tenant = control.home();
    let target = MemoryStore::new();
    target.die_at(2, Death::After);
    let copy = |target: Arc<MemoryStore>| {
        let source = control.store.clone();
        async move { copied(source.as_ref(), target.as_ref(), tenant).await }
    };
    // One batch holds it all: a second log makes the second append.
    copy(target.clone()).await.unwrap();
    live(&control, tenant, "press-2").await;
    assert_eq!(
        copy(target.clone()).await.unwrap_err().code,
        Code::Unavailable
    );
    let target = target.reopen();
    live(&control, tenant, "press-3").await;
    copy(target.clone()).await.unwrap();
    assert_eq!(
        image(target.as_ref(), tenant).await,
        image(control.store.as_ref(), tenant).await
    );
    // The same tenant with another history.
    let stranger = lived(9).await;
    let theirs = stranger.home();
    let mixed = copied(control.store.as_ref(), stranger.store.as_ref(), theirs);
    let refused = mixed.await.unwrap_err();
    assert_eq!(refused.code, Code::Conflict, "{refused}");
}
