//! A drill of the kill switch: a probe asks the fence as calls do, as fast as
//! it can, while an engagement of the probe alone goes the whole way of a real
//! one. What is measured is recorded.

use crate::control::Control;
use gate::kill::{self, Drill, Measured, Scope};
use kernel::{Ctx, Refusal, Span, TenantId};
use std::convert::Infallible;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// How often the probe asks.
const PROBE_EVERY: Duration = Duration::from_millis(1);
/// How long the probe goes on after the acknowledgement.
const PROBE_AFTER: Duration = Duration::from_millis(100);
/// How long the probe may take to be let through before the drill.
const PROBE_FIRST: Duration = Duration::from_secs(2);

impl Control {
    /// Tries the kill switch on this node, with its log and its clock.
    ///
    /// # Errors
    /// When the actor may not, nothing is let through before the drill either,
    /// or the ledger refuses.
    pub async fn drill(&self, ctx: Ctx, scope: Scope, note: String) -> Result<Drill, Refusal> {
        let tenant = ctx.tenant;
        let after = self.next(&ctx);
        let passed_at = AtomicI64::new(-1);
        let measured = tokio::select! {
            measured = self.stop_probe(ctx, &scope, &note, &passed_at) => measured?,
            never = self.probe(tenant, &passed_at) => match never {},
        };
        let end = move |unit: &mut kernel::Unit<'_>| {
            kill::drill(unit, scope.clone(), &note, Some(measured))
        };
        let done = self.ledger().run(after, end).await?;
        self.look_again(tenant).await;
        Ok(done.answer)
    }

    /// Circumstances of a further command of the same actor.
    fn next(&self, ctx: &Ctx) -> Ctx {
        let bits = self.ports().entropy.bits();
        Ctx::new(ctx.tenant, self.now(), ctx.actor.clone(), ctx.trace, bits)
            .with_roles(ctx.roles.clone())
    }

    /// Asks to leave, and notes when it was last let through. Never ends.
    async fn probe(&self, tenant: TenantId, passed_at: &AtomicI64) -> Infallible {
        loop {
            if self.fence().lets_probe(tenant).await {
                passed_at.store(self.ticks(), Ordering::Relaxed);
            }
            tokio::time::sleep(PROBE_EVERY).await;
        }
    }

    fn ticks(&self) -> i64 {
        self.ports().act.clock.monotonic().as_micros()
    }

    async fn stop_probe(
        &self,
        ctx: Ctx,
        scope: &Scope,
        note: &str,
        passed_at: &AtomicI64,
    ) -> Result<Measured, Refusal> {
        let tenant = ctx.tenant;
        let first = async {
            while passed_at.load(Ordering::Relaxed) < 0 {
                tokio::time::sleep(PROBE_EVERY).await;
            }
        };
        tokio::time::timeout(PROBE_FIRST, first)
            .await
            .map_err(|_| Refusal::unavailable("the probe was not let through before the drill"))?;
        let (scope, note) = (scope.clone(), note.to_owned());
        let begun = self.ticks();
        let begin =
            move |unit: &mut kernel::Unit<'_>| kill::begin_drill(unit, scope.clone(), &note);
        self.ledger().run(ctx, begin).await?;
        self.uphold(tenant).await?;
        let acknowledged = self.ticks();
        tokio::time::sleep(PROBE_AFTER).await;
        let last = passed_at.load(Ordering::Relaxed);
        Ok(Measured {
            acknowledged_after: Span::from_micros(acknowledged - begun),
            stopped_after: Span::from_micros((last - begun).max(0)),
            held: last <= acknowledged,
        })
    }
}
