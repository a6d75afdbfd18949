//! What is done with sessions, as operations over a unit of work.

use super::lifecycle::{SESSION, SessionMove, SessionStatus};
use super::record::{Deleted, Finding, Read, Reading, ReadingEvent, Saved, Verified};
use super::record::{Session, SessionEvent};
use kernel::{Digest, Refusal, Unit, json, limits};
use serde_json::Value;

/// Longest name of a session, in bytes.
pub const NAME_BYTES_MAX: usize = 128;
/// Longest state of a session, in bytes of canonical JSON.
pub const STATE_BYTES_MAX: usize = limits::JSON_BYTES_MAX;

/// Checks the name of a session: letters, digits, and `-`, `_`, `.`, `:`.
///
/// # Errors
/// `invalid` for anything else.
pub fn check_name(name: &str) -> Result<(), Refusal> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
    if !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(plain) {
        return Ok(());
    }
    Err(
        Refusal::invalid(format!("`{}` is no name of a session", name.escape_debug()))
            .at("name")
            .hint(format!(
                "use 1 to {NAME_BYTES_MAX} letters, digits, `-`, `_`, `.` and `:`"
            )),
    )
}

/// The bytes of a state: its canonical JSON.
///
/// # Errors
/// A state that has none, or is too long.
pub fn bytes(state: &Value) -> Result<Vec<u8>, Refusal> {
    let bytes = json::canonical(state)?.into_bytes();
    if bytes.len() > STATE_BYTES_MAX {
        return Err(Refusal::limit(format!(
            "the state has {} bytes, allowed are {STATE_BYTES_MAX}",
            bytes.len()
        )));
    }
    Ok(bytes)
}

/// Saves the state of a session.
///
/// # Errors
/// A name that is none.
pub fn save(unit: &mut Unit<'_>, name: &str, bytes: &[u8]) -> Result<Session, Refusal> {
    check_name(name)?;
    let digest = unit.keep_object(bytes.to_vec());
    let saved = Saved {
        digest,
        bytes: bytes.len() as u64,
    };
    let (_, session) = unit.record::<Session>(name, SessionEvent::Saved(saved))?;
    Ok(session.as_ref().clone())
}

/// Deletes a session. Its history stays; it can be saved again.
///
/// # Errors
/// `not_found`; an illegal move when it is deleted already.
pub fn delete(unit: &mut Unit<'_>, name: &str, reason: &str) -> Result<Session, Refusal> {
    check_name(name)?;
    if reason.len() > limits::TEXT_BYTES_MAX {
        return Err(Refusal::limit(format!(
            "the reason has {} bytes, allowed are {}",
            reason.len(),
            limits::TEXT_BYTES_MAX
        )));
    }
    let session = unit.get::<Session>(name)?;
    SESSION.next(session.status, SessionMove::Delete)?;
    let deleted = Deleted {
        reason: reason.to_owned(),
    };
    let (_, session) = unit.record::<Session>(name, SessionEvent::Deleted(deleted))?;
    Ok(session.as_ref().clone())
}

/// Records that the state of a session is given out. Returns the session and
/// its version.
///
/// # Errors
/// `not_found`, also when it was deleted.
pub fn read(unit: &mut Unit<'_>, name: &str) -> Result<(Session, u64), Refusal> {
    let session = live(unit, name)?;
    let read = Read {
        digest: session.digest,
    };
    unit.record::<Reading>(name, ReadingEvent::Read(read))?;
    let version = unit.version::<Session>(name)?;
    Ok((session, version))
}

/// Records what a comparison of the stored state with this digest found.
///
/// # Errors
/// `not_found`.
pub fn verified(
    unit: &mut Unit<'_>,
    name: &str,
    digest: Digest,
    finding: Finding,
) -> Result<(), Refusal> {
    check_name(name)?;
    unit.get::<Session>(name)?;
    let verified = Verified { digest, finding };
    unit.record::<Reading>(name, ReadingEvent::Verified(verified))?;
    Ok(())
}

fn live(unit: &mut Unit<'_>, name: &str) -> Result<Session, Refusal> {
    check_name(name)?;
    let session = unit.get::<Session>(name)?;
    if session.status == SessionStatus::Deleted {
        return Err(
            Refusal::not_found(format!("the session `{name}` was deleted"))
                .hint("save it again to use its name"),
        );
    }
    Ok(session.as_ref().clone())
}
