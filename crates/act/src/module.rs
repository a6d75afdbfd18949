//! The module contract: what a module declares, what it is given, and what it
//! answers. A module gets no store and no clock; it reaches the outside through
//! the ports in its [`ModuleCtx`] only.

use crate::limits;
use crate::permitted::PermittedHttp;
use crate::retry::RetryPolicy;
use async_trait::async_trait;
use gate::budget::Actual;
use gate::{ActionClass, Capability, CostClass, Permit, TraitsOf};
use kernel::port::Secrets;
use kernel::{Digest, Refusal, Span, Timestamp, TraceId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;

/// What a module declares of itself.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Its name, for example `http.request`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// JSON Schema (draft 2020-12) of its input.
    pub input_schema: Value,
    /// JSON Schema (draft 2020-12) of its output on success.
    pub output_schema: Value,
    /// How costly it is.
    pub cost_class: CostClass,
    /// The least action class that a step with it has.
    pub action_class: ActionClass,
    /// Whether it always needs a person.
    pub requires_approval: bool,
    /// Whether it writes outside writ.
    pub writes_outside: bool,
    /// Whether a compensation can be declared.
    pub reversible: bool,
    /// Whether the other side honours an idempotency key, so that a step whose
    /// result is unknown can be sent again under the same key. A module whose
    /// answer depends on its input says so in [`Module::idempotent`].
    pub idempotent: bool,
    /// How long one attempt may take.
    pub timeout: Span,
    /// When it is tried again.
    pub retry: RetryPolicy,
}

impl Manifest {
    /// What the gate needs to know of the module but what depends on a step's
    /// input.
    #[must_use]
    pub fn capability(&self) -> Capability {
        Capability {
            name: self.name.clone(),
            version: self.version.clone(),
            cost_class: self.cost_class,
            action_class: self.action_class,
            requires_approval: self.requires_approval,
            writes_outside: self.writes_outside,
            reversible: self.reversible,
            traits: TraitsOf::default(),
        }
    }
}

/// What undoes a step: a module and its input. It runs with a permit of its
/// own, under the approval that the step had.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compensation {
    /// The module.
    pub module: String,
    /// Its input.
    pub input: Map<String, Value>,
}

kernel::names! {
    /// How one attempt ended.
    pub enum OutcomeStatus {
        /// The effect happened.
        Success = "success",
        /// The other side said no.
        Failure = "failure",
        /// The fault is on our side, or the other side asked to come again:
        /// nothing happened outside.
        Error = "error",
        /// It was sent and no complete answer came: whether anything happened
        /// outside is unknown.
        Unknown = "unknown",
        /// The permit was not honoured at its use: no call left.
        NotBegun = "not_begun",
        /// It was cut off after a call had left: whether anything happened
        /// outside is unknown, and it is not made again.
        CutOff = "cut_off",
    }
}

/// A body that a module leaves behind; kept beside the ledger by its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Its name, unique within the attempt.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// The body, at most [`limits::ARTIFACT_BYTES_MAX`] bytes.
    pub bytes: Vec<u8>,
}

/// What came of one attempt.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub status: OutcomeStatus,
    /// The output; never a secret.
    pub output: Value,
    /// What it cost.
    pub cost: Actual,
    /// Bodies that it leaves behind.
    pub artifacts: Vec<Artifact>,
    /// What a read after the write showed, where one was declared.
    pub proof: Option<Value>,
    /// Why it did not succeed; public, without secrets.
    pub reason: Option<String>,
}

impl Outcome {
    /// The effect happened and cost what was set aside, as far as is known.
    #[must_use]
    pub fn success(output: Value) -> Self {
        Self {
            status: OutcomeStatus::Success,
            output,
            cost: Actual::Unknown,
            artifacts: Vec::new(),
            proof: None,
            reason: None,
        }
    }

    fn without(status: OutcomeStatus, cost: Actual, reason: impl Into<String>) -> Self {
        Self {
            status,
            cost,
            reason: Some(reason.into()),
            ..Self::success(Value::Null)
        }
    }

    /// The other side said no; what that cost is unknown.
    #[must_use]
    pub fn failure(reason: impl Into<String>) -> Self {
        Self::without(OutcomeStatus::Failure, Actual::Unknown, reason)
    }

    /// Nothing left, so nothing happened and nothing was spent.
    #[must_use]
    pub fn error(reason: impl Into<String>) -> Self {
        Self::without(OutcomeStatus::Error, Actual::Nothing, reason)
    }

    /// The permit was not honoured at its use, so nothing left. The step is not
    /// tried: it is put to the gate again.
    #[must_use]
    pub fn not_begun(reason: impl Into<String>) -> Self {
        Self::without(OutcomeStatus::NotBegun, Actual::Nothing, reason)
    }

    /// It was cut off after a call had left.
    #[must_use]
    pub fn cut_off(reason: impl Into<String>) -> Self {
        Self::without(OutcomeStatus::CutOff, Actual::Unknown, reason)
    }

    /// It was sent and no answer came.
    #[must_use]
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self::without(OutcomeStatus::Unknown, Actual::Unknown, reason)
    }

    /// The same at this cost.
    #[must_use]
    pub fn costing(mut self, cost: Actual) -> Self {
        self.cost = cost;
        self
    }

    /// The same with this output.
    #[must_use]
    pub fn with_output(mut self, output: Value) -> Self {
        self.output = output;
        self
    }
}

/// What a read after the write showed.
#[derive(Clone, Debug, PartialEq)]
pub enum Verification {
    /// The step declares none.
    NotDeclared,
    /// The effect is there; the value is the proof.
    Confirmed(Value),
    /// The effect is not there; the value is the proof.
    Denied(Value),
    /// It could not be read.
    Unread(String),
}

/// What a module is given beside its permit and its input.
#[derive(Clone)]
pub struct ModuleCtx {
    /// The same for every attempt of the step: 64 hex digits. Modules send it
    /// to the other side.
    pub idempotency_key: String,
    /// The trace that the attempt belongs to.
    pub trace: TraceId,
    /// The time at which the attempt was started.
    pub now: Timestamp,
    /// By then the attempt must have ended.
    pub deadline: Timestamp,
    /// The way to the network, under the attempt's permit.
    pub http: PermittedHttp,
    /// The way to secrets.
    pub secrets: Arc<dyn Secrets>,
}

impl ModuleCtx {
    /// How long the attempt may take.
    #[must_use]
    pub fn timeout(&self) -> Span {
        self.deadline.since(self.now)
    }
}

/// The executable unit behind a step. It is called with the permit of the
/// attempt, and is given no way to the network but the one under that permit:
///
/// ```
/// use act::{Module, ModuleCtx, Outcome};
/// use serde_json::{Map, Value};
///
/// async fn call(
///     module: &dyn Module,
///     permit: gate::Permit,
///     input: &Map<String, Value>,
///     ctx: &ModuleCtx,
/// ) -> Outcome {
///     module.execute(permit, input, ctx).await
/// }
/// ```
/// It is not called without one:
/// ```compile_fail,E0061
/// use act::{Module, ModuleCtx, Outcome};
/// use serde_json::{Map, Value};
///
/// async fn call(module: &dyn Module, input: &Map<String, Value>, ctx: &ModuleCtx) -> Outcome {
///     module.execute(input, ctx).await
/// }
/// ```
/// Nor with the id of one, nor with what is only borrowed:
/// ```compile_fail,E0308
/// use act::{Module, ModuleCtx, Outcome};
/// use serde_json::{Map, Value};
///
/// async fn call(
///     module: &dyn Module,
///     permit: &gate::Permit,
///     input: &Map<String, Value>,
///     ctx: &ModuleCtx,
/// ) -> Outcome {
///     module.execute(permit, input, ctx).await
/// }
/// ```
/// One permit serves one call:
/// ```compile_fail,E0382
/// use act::{Module, ModuleCtx, Outcome};
/// use serde_json::{Map, Value};
///
/// async fn call(
///     module: &dyn Module,
///     permit: gate::Permit,
///     input: &Map<String, Value>,
///     ctx: &ModuleCtx,
/// ) -> Outcome {
///     module.execute(permit, input, ctx).await;
///     module.execute(permit, input, ctx).await
/// }
/// ```
/// The bare port is no way to the network of a module, in `execute` or in
/// `verify`:
/// ```compile_fail,E0308
/// use act::ModuleCtx;
/// use kernel::port::Http;
/// use std::sync::Arc;
///
/// fn around(ctx: ModuleCtx, http: Arc<dyn Http>) -> ModuleCtx {
///     ModuleCtx { http, ..ctx }
/// }
/// ```
#[async_trait]
pub trait Module: Send + Sync {
    /// What it declares.
    fn manifest(&self) -> &Manifest;

    /// Does the step once. The permit is consumed: nothing can call this
    /// without one, and one permit serves one attempt.
    async fn execute(&self, permit: Permit, input: &Map<String, Value>, ctx: &ModuleCtx)
    -> Outcome;

    /// Checks what the schema cannot say, for example an allowed host.
    ///
    /// # Errors
    /// With the place and the fault.
    fn check(&self, _input: &Map<String, Value>) -> Result<(), Refusal> {
        Ok(())
    }

    /// Whether the other side honours the idempotency key for this input.
    fn idempotent(&self, _input: &Map<String, Value>) -> bool {
        self.manifest().idempotent
    }

    /// How long one attempt with this input may take.
    fn timeout(&self, _input: &Map<String, Value>) -> Span {
        self.manifest().timeout
    }

    /// What undoes the step, once it succeeded.
    fn compensation(&self, _input: &Map<String, Value>, _output: &Value) -> Option<Compensation> {
        None
    }

    /// Reads after the write whether the effect is there, where the input
    /// declares how.
    async fn verify(&self, _input: &Map<String, Value>, _ctx: &ModuleCtx) -> Verification {
        Verification::NotDeclared
    }
}

/// SHA-256 over `writ.arguments.v1`, a line feed and the canonical JSON of the
/// input: what a permit is bound to.
///
/// # Errors
/// When the input has no canonical form.
pub fn arguments(input: &Map<String, Value>) -> Result<Digest, Refusal> {
    Ok(Digest::of_value("writ.arguments.v1", input)?)
}

/// `text`, cut at a character boundary so that it has at most `bytes_max`
/// bytes.
#[must_use]
pub fn excerpt(text: &str, bytes_max: usize) -> &str {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or("")
}

/// A reason, cut to [`limits::REASON_BYTES_MAX`].
#[must_use]
pub fn bounded_reason(reason: &str) -> String {
    excerpt(reason, limits::REASON_BYTES_MAX).to_owned()
}
