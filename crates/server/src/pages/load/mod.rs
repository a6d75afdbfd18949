//! From the ledger's current states to what pages show. Each handler reads
//! what its page needs in the visitor's own tenant, and no more.

mod common;

mod autonomy;
mod budgets;
mod bulk;
mod checkpoint;
mod delegations;
mod difference;
mod directive;
mod evidence;
mod explain;
mod history;
mod incident;
mod kill;
mod ledger;
mod lists;
mod login;
mod overview;
mod packs;
mod people;
mod policies;
mod run;
mod signing_keys;
mod why;

pub(super) use autonomy::autonomy;
pub(super) use budgets::budgets;
pub(super) use bulk::{bulk, decide as decide_in_bulk};
pub(super) use delegations::delegations;
pub(super) use difference::difference;
pub(super) use directive::directive;
pub(super) use evidence::{evidence, snapshot};
pub(super) use explain::{runbook, verdict};
pub(super) use history::history;
pub(super) use incident::incident;
pub(super) use kill::kill;
pub(super) use ledger::{entry, ledger, replay, verify};
pub(super) use lists::{approvals, candidates, directives, incidents, runs, signals};
pub(super) use login::login;
pub(super) use overview::overview;
pub(super) use packs::packs;
pub(super) use people::principals;
pub(super) use policies::policies_in_force;
pub(super) use run::run;
pub(super) use signing_keys::signing_keys;
pub(super) use why::why;
