//! The registry of ids: one newtype per kind, one prefix each. Two families:
//! UUIDv7 ids (`dir_` and 32 hex digits), made by [`crate::Ctx`], and derived
//! ids (`sig_` and 64 hex digits), the SHA-256 of a documented canonical form.

use crate::{Digest, Refusal};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use uuid::Uuid;

macro_rules! common {
    ($name:ident, $prefix:literal, $digits:literal) => {
        impl $name {
            /// What stands before the underscore in the text form.
            pub const PREFIX: &'static str = $prefix;
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl std::str::FromStr for $name {
            type Err = Refusal;
            fn from_str(text: &str) -> Result<Self, Refusal> {
                Self::parse(text).ok_or_else(|| {
                    Refusal::invalid(format!(
                        "`{text}` is not {}: expected `{}_` and {} lower-case hex digits",
                        noun(stringify!($name)),
                        $prefix,
                        $digits
                    ))
                })
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
                text.parse()
                    .map_err(|e: Refusal| serde::de::Error::custom(e.message))
            }
        }
    };
}

macro_rules! uuid_ids {
    ($($(#[$meta:meta])* $name:ident = $prefix:literal),+ $(,)?) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);
        impl $name {
            /// The id whose text form this is.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let hex = text.strip_prefix(concat!($prefix, "_"))?;
                let plain = hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
                if !plain { return None; }
                Uuid::try_parse(hex).ok().map(Self)
            }
        }
        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self { Self(uuid) }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($prefix, "_"))?;
                f.write_str(self.0.as_simple().encode_lower(&mut Uuid::encode_buffer()))
            }
        }
        common!($name, $prefix, 32);
    )+
    /// Prefix and name of every UUID id, for documents and tests.
    pub const UUID_IDS: &[(&str, &str)] = &[$(($prefix, stringify!($name))),+];
    };
}

macro_rules! derived_ids {
    ($($(#[$meta:meta])* $name:ident = $prefix:literal),+ $(,)?) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Digest);
        impl $name {
            /// The id whose text form this is.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Digest::parse(text.strip_prefix(concat!($prefix, "_"))?).map(Self)
            }
        }
        impl From<Digest> for $name {
            fn from(digest: Digest) -> Self { Self(digest) }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($prefix, "_"))?;
                fmt::Display::fmt(&self.0, f)
            }
        }
        common!($name, $prefix, 64);
    )+
    /// Prefix and name of every derived id, for documents and tests.
    pub const DERIVED_IDS: &[(&str, &str)] = &[$(($prefix, stringify!($name))),+];
    };
}

uuid_ids! {
    /// A tenant.
    TenantId = "ten",
    /// A principal.
    PrincipalId = "prn",
    /// An API key of a principal (its public half).
    KeyId = "key",
    /// An entry of a ledger.
    EntryId = "ent",
    /// A directive.
    DirectiveId = "dir",
    /// An approval request on a directive.
    ApprovalId = "apr",
    /// A delegation of a person's decisions to another.
    DelegationId = "dlg",
    /// A run of a directive.
    RunId = "run",
    /// A reservation of budget.
    ReservationId = "rsv",
    /// A permit given by the gate.
    PermitId = "prm",
    /// A candidate for promotion.
    CandidateId = "cnd",
    /// A key that a subject's personal values are sealed under.
    DataKeyId = "dky",
}

derived_ids! {
    /// A record of evidence, by its content.
    EvidenceId = "evd",
    /// A signal, by its identity.
    SignalId = "sig",
    /// A detection, by rule version and inputs.
    DetectionId = "det",
    /// An evidence bundle, by its content.
    BundleId = "bun",
    /// An incident, by service and evidence bundle.
    IncidentId = "inc",
    /// A snapshot, by its content.
    SnapshotId = "snp",
    /// A verdict, by directive, choke point, target and snapshot.
    VerdictId = "vrd",
    /// A person's signing key, by its public half.
    SigningKeyId = "sgk",
}

/// What an id of this type is called in a message: `DataKeyId`, `a data key id`.
fn noun(type_name: &str) -> String {
    let words = crate::names::words(type_name);
    let article = match words.starts_with(['a', 'e', 'i', 'o', 'u']) {
        true => "an",
        false => "a",
    };
    format!("{article} {words}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_unique() {
        let mut all: Vec<_> = UUID_IDS.iter().chain(DERIVED_IDS).map(|(p, _)| p).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[track_caller]
    fn refused<I: std::str::FromStr<Err = Refusal>>(text: &str, expected: &str) {
        let refusal = text.parse::<I>().err().map(|refusal| refusal.message);
        assert_eq!(refusal.as_deref(), Some(expected));
    }

    #[test]
    fn what_is_no_id_is_told_what_one_looks_like() {
        refused::<TenantId>(
            "ten_1",
            "`ten_1` is not a tenant id: expected `ten_` and 32 lower-case hex digits",
        );
        refused::<DataKeyId>(
            "",
            "`` is not a data key id: expected `dky_` and 32 lower-case hex digits",
        );
        refused::<IncidentId>(
            "inc_AB",
            "`inc_AB` is not an incident id: expected `inc_` and 64 lower-case hex digits",
        );
    }

    #[test]
    fn text_forms_round_trip_and_are_strict() {
        let id = DirectiveId(Uuid::from_u128(7));
        let text = "dir_00000000000000000000000000000007";
        assert_eq!(id.to_string(), text);
        assert_eq!(text.parse::<DirectiveId>().unwrap(), id);
        assert!(
            "run_00000000000000000000000000000007"
                .parse::<DirectiveId>()
                .is_err()
        );
        assert!(
            "dir_0000000000000000000000000000000G"
                .parse::<DirectiveId>()
                .is_err()
        );
        assert!(
            "dir_00000000-0000-0000-0000-000000000007"
                .parse::<DirectiveId>()
                .is_err()
        );
        let derived = IncidentId(Digest::of(b"x"));
        assert_eq!(derived.to_string().parse::<IncidentId>().unwrap(), derived);
        let json = serde_json::to_string(&derived).unwrap();
        assert_eq!(serde_json::from_str::<IncidentId>(&json).unwrap(), derived);
    }
}
