//! Storage: the only crate that speaks SQL. SQLite is the embedded store.

pub mod sqlite;

pub use sqlite::Sqlite;
