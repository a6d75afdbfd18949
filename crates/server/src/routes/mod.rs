//! Every route of the API, area by area. [`rows`] is the whole table.

pub mod documents;
pub mod table;

mod approvals;
mod archive;
pub(crate) mod autonomy;
mod budgets;
pub(crate) mod bulk;
mod checkpoints;
mod conflicts;
mod delegations;
mod directives;
mod events;
mod export;
pub(crate) mod facts;
mod history;
mod identity;
mod ingest;
mod kill;
mod ledger;
mod packs;
mod personal;
mod policies;
pub(crate) mod residency;
mod runs;
mod sensing;
mod sessions;
mod signed;
mod signing_keys;
mod system;
mod templates;
mod tiles;

pub(crate) use delegations::active;
pub use table::{Facts, Gives, Guard, Parameter, Posting, Repeating, Route, Verb, mount};

/// Every row of the API.
#[must_use]
pub fn rows() -> Vec<Route> {
    [
        system::rows(),
        identity::rows(),
        ingest::rows(),
        sensing::rows(),
        directives::rows(),
        templates::rows(),
        conflicts::rows(),
        facts::rows(),
        approvals::rows(),
        signing_keys::rows(),
        delegations::rows(),
        runs::rows(),
        budgets::rows(),
        kill::rows(),
        autonomy::rows(),
        ledger::rows(),
        checkpoints::rows(),
        tiles::rows(),
        history::rows(),
        archive::rows(),
        events::rows(),
        export::rows(),
        packs::rows(),
        policies::rows(),
        residency::rows(),
        sessions::rows(),
        personal::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
