//! The gate: the one place where a verdict is given. Directive contract,
//! policy, validators, budgets, approvals, kill switch, and the permit that
//! execution needs. Pure: no clock, no network, no store.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod access;
pub mod budget;
pub mod conflict;
pub mod contract;
pub mod difference;
pub mod directive;
pub mod explain;
pub mod history;
pub mod policy;
pub mod residency;
pub mod validate;

pub mod approval;
pub mod autonomy;
pub mod delegation;
pub mod kill;
pub mod permit;
pub mod signing_key;
pub mod verdict;

mod admit;
mod choke;
pub mod operations;
mod rules;

pub use admit::{Admission, AdmitRequest, CompensationRequest, admit, admit_compensation};
pub use approval::Approval;
pub use autonomy::Autonomy;
pub use contract::{
    ActionClass, Capabilities, Capability, Contract, CostClass, Grounding, Step, Traits, TraitsOf,
};
pub use delegation::Delegations;
pub use directive::Directive;
pub use kill::KillSwitch;
pub use permit::{Permit, PermitRecord};
pub use rules::{Conditions, GateEnv, Rules, RulesSource};
pub use signing_key::SigningKey;
pub use verdict::{ChokePoint, VerdictRecord};

#[cfg(test)]
mod tests;
