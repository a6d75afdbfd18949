//! What a fault of PostgreSQL's means here. A message never holds the rows:
//! the server's details, which may quote them, are left out.

use deadpool_postgres::{PoolError, TimeoutType};
use ledger::store::StoreFault;
use std::error::Error as _;
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity, SqlState};

/// The head of a log stands elsewhere; see `schema_1.sql`.
const HEAD_MOVED: &str = "WR001";

/// Whether the server said that a head stands elsewhere, or that it ended the
/// transaction in favour of another one.
pub(super) fn is_stale(error: &Error) -> bool {
    error.code().is_some_and(|code| {
        code.code() == HEAD_MOVED
            || *code == SqlState::T_R_DEADLOCK_DETECTED
            || *code == SqlState::T_R_SERIALIZATION_FAILURE
    })
}

/// Whether the server refused one statement and the connection goes on. Any
/// other fault leaves open what the server did.
pub(super) fn is_answer(error: &Error) -> bool {
    // A server that goes away, and a proxy that lost its server.
    const GONE: [&str; 2] = ["57P", "08"];
    let refused_one_statement = |error: &DbError| {
        error.parsed_severity() == Some(Severity::Error)
            && !GONE
                .iter()
                .any(|class| error.code().code().starts_with(class))
    };
    error.as_db_error().is_some_and(refused_one_statement)
}

/// Whether it is only an echo of an earlier fault of the same transaction.
pub(super) fn is_echo(error: &Error) -> bool {
    error.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION)
}

/// The fault in writ's words.
pub(super) fn fault(error: &Error) -> StoreFault {
    const DAMAGED: &str = "XX0";
    let damaged = |code: &SqlState| {
        let code = code.code();
        code.starts_with(DAMAGED) && code != SqlState::INTERNAL_ERROR.code()
    };
    match error.code() {
        Some(code) if damaged(code) => StoreFault::Damaged(describe(error)),
        _ => StoreFault::Unavailable(describe(error)),
    }
}

/// The message of a fault, with its cause.
pub(super) fn describe(error: &Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(db), _) => format!("postgresql: {} ({})", db.message(), db.code().code()),
        (None, Some(cause)) => format!("postgresql: {error}: {cause}"),
        (None, None) => format!("postgresql: {error}"),
    }
}

/// Why the pool gave no connection.
pub(super) fn no_connection(error: &PoolError) -> StoreFault {
    let what = match error {
        PoolError::Backend(error) => describe(error),
        PoolError::Timeout(TimeoutType::Wait) => {
            "postgresql: every connection is in use".to_owned()
        }
        PoolError::Timeout(_) => "postgresql: the server does not answer".to_owned(),
        error => format!("postgresql: {error}"),
    };
    StoreFault::Unavailable(what)
}
