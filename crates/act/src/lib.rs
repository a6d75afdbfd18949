//! Execution: the module contract, the built-in modules, runs, and the pure
//! engine that decides what a run does next. Nothing here reads a clock, the
//! network, a file or a store: modules reach outside through the ports of
//! `kernel::port` only, and the shell that performs what is decided here lives
//! elsewhere. No module can be executed without a permit from the gate.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod limits;

pub mod module;
pub mod registry;
pub mod retry;

pub mod builtin;

pub mod run;

pub mod plan;

pub mod engine;

pub mod fence;
pub mod permitted;

pub mod execute;

pub use engine::{Assignment, Begun, Creation, Report};
pub use execute::{Ports, execute};
pub use fence::{Fence, Lookout};
pub use module::{
    Artifact, Compensation, Manifest, Module, ModuleCtx, Outcome, OutcomeStatus, Verification,
};
pub use permitted::PermittedHttp;
pub use plan::Next;
pub use registry::Registry;
pub use retry::RetryPolicy;
pub use run::{Phase, Run, RunStatus, TaskStatus};
