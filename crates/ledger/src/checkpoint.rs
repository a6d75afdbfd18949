//! Checkpoints (C2SP tlog-checkpoint): the text of a signed note that says how
//! large a log is and what its root is. The origin of a tenant's log is
//! `LOG/TENANT`, and so is the name of the key that signs for it.

pub mod keys;
pub mod record;

mod audit;
mod proved;
mod signer;

pub use audit::{TreeReport, audit, kept};
pub use proved::{Consistency, Inclusion, extended, parse_proof, prove, prove_growth, shown};
pub use signer::{Outcome, Signer, checkpoints, has_news, log_keys};

use crate::merkle;
use crate::note::{KeyName, NoteFault};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kernel::{Digest, TenantId};
use std::fmt;

/// Extension lines of a checkpoint that are accepted.
const EXTENSIONS_MAX: usize = 32;

/// Why a text is no checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a checkpoint: {0}")]
pub struct CheckpointFault(pub &'static str);

/// The name of an installation's logs, a URL without its scheme, such as
/// `logs.example.com` or `writ`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogName(String);

impl LogName {
    /// This name.
    ///
    /// # Errors
    /// When it cannot begin a key's name, or is a URL with a scheme.
    pub fn new(name: impl Into<String>) -> Result<Self, NoteFault> {
        let name = name.into();
        // A tenant's id follows, so the name may not use up the whole length.
        let fits = name.len() <= 128 && !name.contains("://") && !name.ends_with('/');
        match KeyName::new(name.clone()) {
            Ok(_) if fits => Ok(Self(name)),
            Ok(_) => Err(NoteFault::Name(name)),
            Err(fault) => Err(fault),
        }
    }

    /// The origin of this tenant's log, which is the name of its key too.
    ///
    /// # Errors
    /// Never for a name that [`LogName::new`] accepted.
    pub fn origin(&self, tenant: TenantId) -> Result<KeyName, NoteFault> {
        KeyName::new(format!("{}/{tenant}", self.0))
    }
}

impl Default for LogName {
    fn default() -> Self {
        Self("writ".to_owned())
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How large a log is, and the root of its tree. The `Display` form is the
/// text that is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// Entries in the tree.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Digest,
    /// Lines that other logs may add; writ adds none.
    pub extensions: Vec<String>,
}

impl Checkpoint {
    /// The checkpoint of a log.
    #[must_use]
    pub fn new(origin: &KeyName, size: u64, root: Digest) -> Self {
        Self {
            origin: origin.to_string(),
            size,
            root,
            extensions: Vec::new(),
        }
    }

    /// Parses the text of a note: only the form that is written.
    ///
    /// # Errors
    /// When it is not a checkpoint to the letter.
    pub fn parse(text: &str) -> Result<Self, CheckpointFault> {
        let text = text
            .strip_suffix('\n')
            .ok_or(CheckpointFault("it does not end in a line feed"))?;
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointFault("it has fewer than three lines"));
        };
        if origin.is_empty() {
            return Err(CheckpointFault("its origin is empty"));
        }
        let checkpoint = Self {
            origin: origin.to_owned(),
            size: parse_size(size).ok_or(CheckpointFault("its second line is no size"))?,
            root: parse_hash(root).ok_or(CheckpointFault("its third line is no root"))?,
            extensions: lines.map(str::to_owned).collect(),
        };
        if checkpoint.extensions.len() > EXTENSIONS_MAX
            || checkpoint.extensions.iter().any(String::is_empty)
        {
            return Err(CheckpointFault("it has empty or too many further lines"));
        }
        if checkpoint.size == 0 && checkpoint.root != merkle::empty_root() {
            return Err(CheckpointFault("an empty log has another root"));
        }
        Ok(checkpoint)
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}", self.origin, self.size)?;
        writeln!(f, "{}", format_hash(self.root))?;
        for line in &self.extensions {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

/// A size in decimal, without leading zeros, below 2^63.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let plain = text == "0" || !text.starts_with('0');
    let size: u64 = (digits && plain).then(|| text.parse().ok()).flatten()?;
    i64::try_from(size).is_ok().then_some(size)
}

/// A hash in base64, as checkpoints and proofs on the wire have it.
#[must_use]
pub fn parse_hash(text: &str) -> Option<Digest> {
    let bytes = STANDARD.decode(text).ok()?;
    bytes.try_into().ok().map(Digest)
}

/// The base64 of a hash.
#[must_use]
pub fn format_hash(hash: Digest) -> String {
    STANDARD.encode(hash.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";

    #[test]
    fn the_example_of_the_specification_round_trips() {
        let text = format!("example.com/behind-the-sofa\n20852163\n{ROOT}\n");
        let checkpoint = Checkpoint::parse(&text).unwrap();
        assert_eq!(checkpoint.origin, "example.com/behind-the-sofa");
        assert_eq!(checkpoint.size, 20_852_163);
        assert_eq!(format_hash(checkpoint.root), ROOT);
        assert_eq!(checkpoint.to_string(), text);
        let extended = format!("{text}one\ntwo\n");
        let checkpoint = Checkpoint::parse(&extended).unwrap();
        assert_eq!(checkpoint.extensions, ["one", "two"]);
        assert_eq!(checkpoint.to_string(), extended);
        let empty = format!("a\n0\n{}\n", format_hash(merkle::empty_root()));
        assert_eq!(Checkpoint::parse(&empty).unwrap().size, 0);
    }

    #[test]
    fn what_is_not_a_checkpoint_to_the_letter_is_refused() {
        let bad = [
            String::new(),
            "a\n".to_owned(),
            "a\n1\n".to_owned(),
            format!("a\n1\n{ROOT}"),
            format!("\n1\n{ROOT}\n"),
            format!("a\n\n{ROOT}\n"),
            format!("a\n01\n{ROOT}\n"),
            format!("a\n+1\n{ROOT}\n"),
            format!("a\n-1\n{ROOT}\n"),
            format!("a\n 1\n{ROOT}\n"),
            format!("a\n9223372036854775808\n{ROOT}\n"),
            format!("a\n99999999999999999999\n{ROOT}\n"),
            format!("a\n0\n{ROOT}\n"),
            format!("a\n1\n{}\n", &ROOT[..40]),
            format!("a\n1\n{}\n", ROOT.trim_end_matches('=')),
            format!("a\n1\n{ROOT}\n\n"),
            format!("a\n1\n{ROOT}\n\nx\n"),
            format!("a\n1\n{ROOT}\n{}", "x\n".repeat(EXTENSIONS_MAX + 1)),
        ];
        for text in bad {
            assert!(Checkpoint::parse(&text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_origin_of_a_log_names_the_tenant() {
        let tenant: TenantId = "ten_00000000000070008000000000000001".parse().unwrap();
        let origin = LogName::default().origin(tenant).unwrap();
        assert_eq!(origin.as_str(), "writ/ten_00000000000070008000000000000001");
        let name = LogName::new("logs.example.com/writ").unwrap();
        assert_eq!(
            name.origin(tenant).unwrap().as_str(),
            format!("logs.example.com/writ/{tenant}")
        );
        for bad in [
            "",
            "a b",
            "a+b",
            "https://example.com",
            "example.com/",
            "a\n",
        ] {
            assert!(LogName::new(bad).is_err(), "{bad:?}");
        }
        assert!(LogName::new("x".repeat(129)).is_err());
    }
}
