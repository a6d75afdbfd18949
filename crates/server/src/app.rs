//! What every handler holds: the control loop, the permissions, sessions,
//! bounds in use, metrics, and the word to stop.

use crate::auth::{Caller, Rates, Sessions};
use crate::http::trace::Trace;
use crate::lanes::Lanes;
use crate::limits::{self, Bounds};
use crate::metrics::Metrics;
use crate::streams::{Places, Shares};
use flow::Control;
use gate::access::Access;
use kernel::port::{Entropy, Secrets};
use kernel::{Ctx, KeyId, Refusal, Timestamp};
use ledger::Ledger;
use std::sync::{Arc, OnceLock};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// Whether cookies go over TLS only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookies {
    /// They do: writ stands behind TLS.
    Secure,
    /// They do not: writ is used on its own machine.
    Plain,
}

/// What the operator decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether cookies go over TLS only.
    pub cookies: Cookies,
    /// The version of writ.
    pub version: &'static str,
    /// Where ordinary requests are worked.
    pub ordinary: Handle,
}

struct Inner {
    control: Arc<Control>,
    settings: Settings,
    scheduler: OnceLock<AbortHandle>,
    access: Access,
    sessions: Sessions,
    rates: Rates,
    lanes: Lanes,
    streams: Places,
    under_way: Shares<KeyId>,
    bounds: Bounds,
    metrics: Metrics,
    stop: watch::Sender<bool>,
}

/// The application. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

impl App {
    /// Puts the application together.
    ///
    /// # Errors
    /// `unavailable` when the permissions or the metrics cannot be loaded.
    pub fn new(control: Arc<Control>, settings: Settings) -> Result<Self, Refusal> {
        Self::bounded(control, settings, Bounds::default())
    }

    /// The same with bounds of the operator's.
    ///
    /// # Errors
    /// As [`App::new`].
    pub fn bounded(
        control: Arc<Control>,
        settings: Settings,
        bounds: Bounds,
    ) -> Result<Self, Refusal> {
        Ok(Self(Arc::new(Inner {
            access: Access::builtin()?,
            metrics: Metrics::new()?,
            control,
            settings,
            scheduler: OnceLock::new(),
            sessions: Sessions::default(),
            rates: Rates::default(),
            lanes: Lanes::new(bounds.requests),
            streams: Places::new(bounds.streams_per_tenant, bounds.streams),
            under_way: Shares::new(limits::KEY_REQUESTS_MAX, usize::MAX),
            bounds,
            stop: watch::Sender::new(false),
        })))
    }

    /// Names the task of the scheduler: without one that is alive, writ is not
    /// ready. Only the first one counts.
    pub fn watch_scheduler(&self, task: AbortHandle) {
        if self.0.scheduler.set(task).is_err() {
            tracing::warn!("a second scheduler was named and is not watched");
        }
    }

    /// The control loop.
    #[must_use]
    pub fn control(&self) -> &Arc<Control> {
        &self.0.control
    }
    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        self.0.control.ledger()
    }
    /// The current instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.control.now()
    }
    /// Unpredictable bits.
    #[must_use]
    pub fn entropy(&self) -> &dyn Entropy {
        self.0.control.ports().entropy.as_ref()
    }
    /// Secrets that prove where a delivery comes from, by reference.
    #[must_use]
    pub fn secrets(&self) -> &dyn Secrets {
        self.0.control.ports().source_secrets.as_ref()
    }
    /// What the operator decides.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }
    /// Where ordinary requests are worked.
    #[must_use]
    pub fn ordinary(&self) -> &Handle {
        &self.0.settings.ordinary
    }
    /// Who may do what through the API.
    #[must_use]
    pub fn access(&self) -> &Access {
        &self.0.access
    }
    /// The sessions of people.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }
    /// How fast keys may ask.
    #[must_use]
    pub fn rates(&self) -> &Rates {
        &self.0.rates
    }
    /// The places for requests.
    #[must_use]
    pub fn lanes(&self) -> &Lanes {
        &self.0.lanes
    }
    /// The places for event streams.
    #[must_use]
    pub fn streams(&self) -> &Places {
        &self.0.streams
    }
    /// Ordinary requests under way, by key.
    #[must_use]
    pub fn under_way(&self) -> &Shares<KeyId> {
        &self.0.under_way
    }
    /// The bounds that the operator may set.
    #[must_use]
    pub fn bounds(&self) -> &Bounds {
        &self.0.bounds
    }
    /// The metrics.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The circumstances of a command of this caller in this trace.
    #[must_use]
    pub fn ctx(&self, caller: &Caller, trace: Trace) -> Ctx {
        let ctx = self.control().ctx(caller.identity(), trace.id);
        ctx.with_haste(caller.haste())
    }

    /// Whether writ can do its work.
    ///
    /// # Errors
    /// `unavailable`, naming what is missing.
    pub async fn readiness(&self) -> Result<(), Refusal> {
        self.ledger().readiness().await?;
        self.control().may_keep_data()?;
        let alive = self.0.scheduler.get().is_some_and(|s| !s.is_finished());
        if !alive {
            return Err(Refusal::unavailable("the scheduler does not run").hint("restart writ"));
        }
        match *self.stopping().borrow() {
            true => Err(Refusal::unavailable("writ is stopping")),
            false => Ok(()),
        }
    }

    /// Ends event streams; nothing new is accepted by then.
    pub fn stop(&self) {
        self.0.stop.send_replace(true);
    }
    /// Becomes `true` when the server stops.
    #[must_use]
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.0.stop.subscribe()
    }
}
