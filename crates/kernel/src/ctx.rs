//! What a decision may know of the world around it: time, actor, trace, and a
//! source of ids. All of it is brought in, so that the same command with the
//! same `Ctx` decides the same.

use crate::{Actor, EntryId, Role, TenantId, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use std::cell::Cell;
use std::fmt;
use uuid::Uuid;

/// A W3C trace id: 16 bytes, not all zero, 32 lowercase hex digits in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(u128);

impl TraceId {
    /// The trace id with these bytes; `None` for all zero.
    #[must_use]
    pub fn new(bits: u128) -> Option<Self> {
        (bits != 0).then_some(Self(bits))
    }
    /// The 16 bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
    /// Parses 32 lowercase hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.len() == 32
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        plain
            .then(|| u128::from_str_radix(text, 16).ok())
            .flatten()
            .and_then(Self::new)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for TraceId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a trace id")))
    }
}

/// How long a command may wait behind others under load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Haste {
    /// It waits its turn.
    #[default]
    None,
    /// It is decided before those that wait: people's decisions, and whatever
    /// stops something.
    Urgent,
}

/// The circumstances of one command.
#[derive(Clone, Debug)]
pub struct Ctx {
    /// Whose log the command writes.
    pub tenant: TenantId,
    /// The one time of the command.
    pub now: Timestamp,
    /// Who acts.
    pub actor: Actor,
    /// The actor's roles in the tenant.
    pub roles: Vec<Role>,
    /// The trace that the command belongs to.
    pub trace: TraceId,
    /// The entry that caused the command, where there is one.
    pub causation: Option<EntryId>,
    /// How long it may wait behind others. No decision reads it.
    pub haste: Haste,
    /// Where ids come from: unpredictable bits brought in from outside.
    seed: u128,
    drawn: Cell<u64>,
}

impl Ctx {
    /// Circumstances whose ids grow from `seed`, which must be unpredictable
    /// outside tests and never used twice.
    #[must_use]
    pub fn new(tenant: TenantId, now: Timestamp, actor: Actor, trace: TraceId, seed: u128) -> Self {
        Self {
            tenant,
            now,
            actor,
            roles: Vec::new(),
            trace,
            causation: None,
            haste: Haste::None,
            seed,
            drawn: Cell::new(0),
        }
    }

    /// The same with these roles.
    #[must_use]
    pub fn with_roles(mut self, roles: Vec<Role>) -> Self {
        self.roles = roles;
        self
    }

    /// The same, caused by this entry.
    #[must_use]
    pub fn caused_by(mut self, entry: EntryId) -> Self {
        self.causation = Some(entry);
        self
    }

    /// The same in this haste.
    #[must_use]
    pub fn with_haste(mut self, haste: Haste) -> Self {
        self.haste = haste;
        self
    }

    /// Starts the sequence of ids again, so that a command that is decided
    /// again draws the same ones.
    pub fn rewind(&self) {
        self.drawn.set(0);
    }

    /// The next id of this command: a UUIDv7 (RFC 9562) whose time is `now`.
    /// Within a command, ids rise in the order in which they are drawn.
    pub fn next_id<I: From<Uuid>>(&self) -> I {
        let count = self.drawn.get();
        self.drawn.set(count + 1);
        let mut hasher = Sha256::new();
        hasher.update(self.seed.to_be_bytes());
        hasher.update(count.to_be_bytes());
        let hash: [u8; 32] = hasher.finalize().into();
        let mut random = [0_u8; 10];
        random.copy_from_slice(hash.first_chunk::<10>().unwrap_or(&[0; 10]));
        // rand_a, 12 bits, holds the count: ids of one command sort as drawn.
        let [high, low] = u16::try_from(count & 0x0fff).unwrap_or(0).to_be_bytes();
        let [_, _, rest @ ..] = random;
        let [a, b, c, d, e, f, g, h] = rest;
        let bytes = [high, low, a, b, c, d, e, f, g, h];
        I::from(uuid::Builder::from_unix_timestamp_millis(self.now.as_millis(), &bytes).into_uuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DirectiveId;

    fn ctx(seed: u128) -> Ctx {
        Ctx::new(
            TenantId(Uuid::nil()),
            Timestamp::from_micros(1_700_000_000_000_000),
            Actor::system("test"),
            TraceId::new(1).unwrap(),
            seed,
        )
    }

    #[test]
    fn ids_are_v7_ordered_and_repeatable() {
        let c = ctx(42);
        let ids: Vec<DirectiveId> = (0..100).map(|_| c.next_id()).collect();
        assert!(ids.windows(2).all(|w| w[0] < w[1]));
        assert!(ids.iter().all(|i| i.0.get_version_num() == 7));
        c.rewind();
        assert_eq!(c.next_id::<DirectiveId>(), ids[0]);
        assert_ne!(ctx(43).next_id::<DirectiveId>(), ids[0]);
    }

    #[test]
    fn trace_ids() {
        assert_eq!(TraceId::parse(&"0".repeat(32)), None);
        assert_eq!(TraceId::parse(&"A".repeat(32)), None);
        assert_eq!(
            TraceId::parse(&"a".repeat(32)).unwrap().to_string(),
            "a".repeat(32)
        );
    }
}
