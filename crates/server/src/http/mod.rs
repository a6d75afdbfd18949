//! What every route shares: problem details, strict bodies, traces, pages of
//! listings, preconditions, the order of the layers, and the listener.

pub mod command;
pub mod cursor;
pub mod json;
pub mod listen;
pub mod place;
pub mod problem;
pub mod query;
mod seats;
mod stall;
pub(crate) mod told;
pub mod trace;

pub use command::{Command, IfMatch};
pub use json::StrictJson;
pub use place::Place;
pub use problem::{Answer, Problem};
pub use query::Query;
pub use trace::Trace;
