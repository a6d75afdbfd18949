//! What the pages look like: one view struct per page and one pure function
//! from it to markup. Nothing here reads a store, a clock or a request.

pub mod chip;
pub mod diff;
pub mod json;
pub mod layout;
pub mod meter;
pub mod part;
pub mod text;

pub mod approvals;
pub mod autonomy;
pub mod budgets;
pub mod bulk;
pub mod checkpoint;
pub mod delegations;
pub mod difference;
pub mod directive;
pub mod directives;
pub mod edit;
pub mod error;
pub mod evidence;
pub mod explain;
pub mod gate;
pub mod history;
pub mod incident;
pub mod incidents;
pub mod kill;
pub mod ledger;
pub mod login;
pub mod overview;
pub mod packs;
pub mod people;
pub mod policies;
pub mod run;
pub mod sensed;
pub mod signing_keys;
pub mod why;

pub use layout::{Flash, Frame, Section, Theme, Viewer};

#[cfg(test)]
mod tests;
