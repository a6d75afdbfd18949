//! The archive of a running writ: full segments are sealed unasked, beside the
//! append path, and an object store that fails or hangs holds up nothing else.

use super::archive::{archive_in, live, segments};
use flow::archive::Rhythm;
use flow::checkpoints::Signing;
use kernel::port::ObjectFault;
use kernel::{Span, TenantId};
use ledger::Store as _;
use ledger::archive::{self, Segment, Status, Trust};
use std::sync::Arc;
use std::time::Duration;
use testkit::{Loop, Sample, TwinObjects};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A process that archives, beside the one that the loop drives.
struct Archiver {
    stop: watch::Sender<bool>,
    watching: JoinHandle<()>,
}

impl Archiver {
    async fn start(control: &Loop, objects: &Arc<TwinObjects>) -> Self {
        let node = control.world.control(control.store.beside()).await.unwrap();
        let node = node.with_archive(archive_in(objects));
        let node = node.with_signing(Signing {
            signer: control.world.signer(),
            witnesses: Vec::new(),
            entries_max: u64::MAX,
            every: Span::from_secs(60),
        });
        let (stop, stopping) = watch::channel(false);
        let rhythm = Rhythm {
            look_every: Duration::from_millis(5),
            pause: Duration::from_millis(10),
        };
        let watching = flow::archive::watch_at(Arc::new(node), rhythm, stopping);
        let watching = tokio::spawn(watching);
        Self { stop, watching }
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        self.watching.await.unwrap();
    }
}

/// Lets the archiver look until this holds.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..3_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not come");
}

/// Whether every full segment of the log as it is now is archived.
async fn is_sealed(control: &Loop, tenant: TenantId) -> bool {
    let listed = control.all::<Segment>(tenant).await;
    let all = listed.iter().all(|(_, s)| s.status == Status::Verified);
    let last = listed.last().map_or(0, |(_, s)| s.outline.last);
    let head = control.store.head(tenant).await.unwrap().seq;
    // What the archive said of itself may fill one more.
    all && last > 0 && head - last < 2 * 16
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_segments_of_every_log_are_sealed_unasked() {
    let mut control = Loop::start(31, &Sample::default()).await;
    let (home, other) = (control.home(), control.found(&Sample::default()).await);
    let objects = Arc::new(TwinObjects::default());
    let archiver = Archiver::start(&control, &objects).await;
    for tenant in [home, other] {
        live(&control, tenant, "press-1").await;
        until("the first", async || is_sealed(&control, tenant).await).await;
    }
    let before = segments(&objects, home).len();
    live(&control, home, "press-2").await;
    until("the next", async || {
        segments(&objects, home).len() > before && is_sealed(&control, home).await
    })
    .await;
    archiver.stop().await;
    for tenant in [home, other] {
        let trust = Trust::default();
        let report = archive::verify(objects.as_ref(), tenant, &trust, &mut |_| ()).await;
        let report = report.unwrap();
        assert!(report.is_intact(), "{report:?}");
        // Only full ones: what is new waits for its segment.
        assert_eq!(report.entries % 16, 0, "{report:?}");
    }
    testkit::checks::all(&control).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_store_that_was_gone_is_caught_up_with() {
    let control = Loop::start(32, &Sample::default()).await;
    let (tenant, objects) = (control.home(), Arc::new(TwinObjects::default()));
    objects.fail_from(1, ObjectFault::Unavailable("no route".into()));
    let archiver = Archiver::start(&control, &objects).await;
    live(&control, tenant, "press-1").await;
    until("a try", async || objects.calls() > 0).await;
    live(&control, tenant, "press-2").await;
    assert_eq!(objects.names(), Vec::<String>::new());
    objects.recover();
    until("sealing", async || is_sealed(&control, tenant).await).await;
    archiver.stop().await;
    testkit::checks::all(&control).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_hangs_while_a_segment_is_sealed_holds_up_no_append() {
    let control = Loop::start(33, &Sample::default()).await;
    let (tenant, objects) = (control.home(), Arc::new(TwinObjects::default()));
    live(&control, tenant, "press-1").await;
    objects.hold();
    let archiver = Archiver::start(&control, &objects).await;
    until("a call that waits", async || objects.waiting() == 1).await;
    let before = control.store.head(tenant).await.unwrap().seq;
    // The whole loop, alerts to act, while the archiver waits.
    live(&control, tenant, "press-2").await;
    let after = control.store.head(tenant).await.unwrap().seq;
    assert!(after > before + 16, "{before} to {after}");
    assert_eq!(objects.waiting(), 1, "it is still the same call");
    assert_eq!(objects.names(), Vec::<String>::new());
    objects.recover();
    until("sealing", async || is_sealed(&control, tenant).await).await;
    archiver.stop().await;
    testkit::checks::all(&control).await;
}
