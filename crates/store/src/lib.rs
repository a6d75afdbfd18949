//! Storage: the only crate that speaks SQL. SQLite is the embedded store;
//! PostgreSQL holds the logs of several nodes.

pub mod postgres;
pub mod sqlite;

pub use postgres::Postgres;
pub use sqlite::Sqlite;
