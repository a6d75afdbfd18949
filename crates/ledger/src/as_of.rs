//! Time travel: which position of a log a question is about.
//!
//! As of a position is after the entry there. As of an instant is as of the
//! last entry of the log that is not later than the instant, wherever it
//! stands: the order of the log rules. Clocks can be set back, so an entry
//! before that one may bear a later instant; it was recorded before, and
//! counts. The answer never goes back when the instant goes on.

use crate::query::{EntryQuery, Order};
use crate::store::Store;
use kernel::{Refusal, Span, TenantId, Timestamp};

/// When something is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// After the entry at this position; 0 is before the first.
    Seq(u64),
    /// After the last entry that is not later than this.
    Instant(Timestamp),
}

impl std::str::FromStr for AsOf {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            let seq = text.parse().map_err(|_| {
                Refusal::invalid(format!("`{text}` is no position: it is too large"))
            })?;
            return Ok(Self::Seq(seq));
        }
        let instant = Timestamp::parse(text).map_err(|_| {
            Refusal::invalid(format!("`{}` is no position and no instant", text.escape_debug())).hint(
                "give a position in the log, for example `120`, or an instant, for example `2026-03-01T04:05:06Z`",
            )
        })?;
        Ok(Self::Instant(instant))
    }
}

/// The position in this tenant's log that `as_of` means; 0 when it is before
/// the first entry.
///
/// # Errors
/// `invalid` when the log does not reach the position yet; storage that does
/// not answer.
pub async fn seq_of(store: &dyn Store, tenant: TenantId, as_of: AsOf) -> Result<u64, Refusal> {
    match as_of {
        AsOf::Seq(seq) => {
            let head = store.head(tenant).await?;
            if seq > head.seq {
                return Err(Refusal::invalid(format!(
                    "the log ends at {}, it has no position {seq} yet",
                    head.seq
                ))
                .hint("give a position that the log has, or an instant"));
            }
            Ok(seq)
        }
        AsOf::Instant(instant) => {
            let query = EntryQuery {
                until: Some(instant.plus(Span::from_micros(1))),
                order: Order::Descending,
                limit: 1,
                ..EntryQuery::default()
            };
            let last = store.entries(tenant, &query).await?;
            Ok(last.first().map_or(0, |entry| entry.seq))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_and_instants_are_told_apart() {
        let instant = Timestamp::parse("2026-03-01T04:05:06Z").unwrap();
        for (text, expected) in [
            ("0", AsOf::Seq(0)),
            ("120", AsOf::Seq(120)),
            ("2026-03-01T04:05:06Z", AsOf::Instant(instant)),
            ("2026-03-01T06:05:06+02:00", AsOf::Instant(instant)),
        ] {
            assert_eq!(text.parse::<AsOf>().unwrap(), expected, "{text}");
        }
        for bad in ["", "-1", "yesterday", "99999999999999999999", "12 "] {
            assert!(bad.parse::<AsOf>().is_err(), "{bad}");
        }
    }
}
