//! Every route of the API, area by area. [`rows`] is the whole table.

pub mod documents;
pub mod table;

mod events;
mod identity;
mod ledger;
mod system;

pub use table::{Facts, Gives, Guard, Parameter, Posting, Route, Verb, mount};

/// Every row of the API.
#[must_use]
pub fn rows() -> Vec<Route> {
    [
        system::rows(),
        identity::rows(),
        ledger::rows(),
        events::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
