//! The archive of a running writ: full segments are sealed unasked, everything
//! on demand. One run at a time; what fails goes on from the record.

use crate::control::Control;
use kernel::{Ctx, Refusal, TenantId};
use ledger::archive::{Archive, Reach, Segment};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, watch};

/// How often a running writ looks.
#[derive(Clone, Copy, Debug)]
pub struct Rhythm {
    /// Whether a segment is full.
    pub look_every: Duration,
    /// How long it waits after a run that failed.
    pub pause: Duration,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self {
            look_every: Duration::from_secs(5),
            pause: Duration::from_secs(30),
        }
    }
}

/// The archive with the one place of a run.
pub(crate) struct Archiver {
    archive: Archive,
    running: Mutex<()>,
}

impl Archiver {
    pub(crate) fn new(archive: Archive) -> Self {
        Self {
            archive,
            running: Mutex::default(),
        }
    }
}

impl Control {
    fn archiver(&self) -> Result<&Archiver, Refusal> {
        self.archiver_set().ok_or_else(|| {
            Refusal::not_found("this writ has no archive")
                .hint("start it with --archive, or set WRIT_ARCHIVE")
        })
    }

    /// Archives a tenant's log.
    ///
    /// # Errors
    /// `not_found` when there is no archive, `unavailable` when no signer; what [`Archive::run`] refuses.
    pub async fn archive(
        &self,
        tenant: TenantId,
        reach: Reach,
        ctx: &(dyn Fn() -> Ctx + Send + Sync),
    ) -> Result<Vec<Segment>, Refusal> {
        let archiver = self.archiver()?;
        let _running = archiver.running.lock().await;
        let mut deaf = |_| ();
        let signed = (self.ledger(), &self.signing()?.signer);
        let run = archiver.archive.run(signed, tenant, reach, ctx, &mut deaf);
        run.await
    }

    async fn archive_full(&self) -> Result<(), Refusal> {
        let archiver = self.archiver()?;
        for tenant in self.ledger().store().tenants().await? {
            if archiver
                .archive
                .is_due(self.ledger().store(), tenant)
                .await?
            {
                let ctx = || self.system_ctx(tenant, "archive");
                let done = self.archive(tenant, Reach::Full, &ctx).await?;
                tracing::info!(tenant = %tenant, segments = done.len(), "archived");
            }
        }
        Ok(())
    }
}

/// Seals full segments until `stop` turns true; ends at once without an
/// archive.
pub async fn watch(control: Arc<Control>, stop: watch::Receiver<bool>) {
    watch_at(control, Rhythm::default(), stop).await;
}

/// As [`watch()`], looking this often.
pub async fn watch_at(control: Arc<Control>, rhythm: Rhythm, mut stop: watch::Receiver<bool>) {
    if control.archiver_set().is_none() {
        return;
    }
    while !*stop.borrow() {
        let pause = match control.archive_full().await {
            Ok(()) => rhythm.look_every,
            Err(refusal) => {
                tracing::warn!(error = %refusal, "archiving failed; it goes on from the record");
                rhythm.pause
            }
        };
        tokio::select! {
            _ = stop.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
