//! The keys of a log as facts: the public half of each, since when it signs
//! and until when. The private half is a file that only writ may read.

use crate::note::VerifierKey;
use kernel::{Aggregate, EntryId, Impossible, Refusal, Stamp, Timestamp, Unit};
use serde::{Deserialize, Serialize};

/// The id of the one stream of keys that a log has.
pub const STREAM: &str = "log";
/// Keys of a log at most; rotating is rare.
const KEYS_MAX: usize = 1_000;

kernel::names! {
    /// Whether a key signs.
    pub enum LogKeyStatus {
        /// It signs.
        Active = "active",
        /// It signs no more; what it signed before still counts.
        Retired = "retired",
    }
}

/// A key was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Generated {
    /// Its public half, `NAME+ID+BASE64`.
    pub key: String,
}

/// A key signs no more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Retired {
    /// Its public half.
    pub key: String,
    /// Why.
    pub reason: String,
}

kernel::events! {
    /// What happens to the keys of a log.
    pub enum LogKeyEvent {
        /// One was made.
        Generated(Generated) = "log_key.generated" in System,
        /// One signs no more.
        Retired(Retired) = "log_key.retired" in System,
    }
}

/// A key of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogKey {
    /// Its public half, `NAME+ID+BASE64`.
    pub key: String,
    /// Whether it signs.
    pub status: LogKeyStatus,
    /// Since when.
    pub generated_at: Timestamp,
    /// The entry that says so.
    pub entry: EntryId,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<Timestamp>,
    /// Why no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Every key that a log has had, in the order in which they were made.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LogKeys {
    /// The keys.
    pub keys: Vec<LogKey>,
}

impl LogKeys {
    /// The key that signs.
    ///
    /// # Errors
    /// `integrity` when what is recorded is no key.
    pub fn active(&self) -> Result<Option<VerifierKey>, Refusal> {
        let active = self.keys.iter().find(|k| k.status == LogKeyStatus::Active);
        active.map(|key| parse(&key.key)).transpose()
    }

    /// Every key, for verifying what each signed in its time.
    ///
    /// # Errors
    /// `integrity` when what is recorded is no key.
    pub fn all(&self) -> Result<Vec<VerifierKey>, Refusal> {
        self.keys.iter().map(|key| parse(&key.key)).collect()
    }
}

fn parse(text: &str) -> Result<VerifierKey, Refusal> {
    VerifierKey::parse(text).map_err(|e| Refusal::integrity(format!("log key `{text}`: {e}")))
}

impl Aggregate for LogKeys {
    const KIND: &'static str = "log_keys";
    type Event = LogKeyEvent;

    fn evolve(state: Option<Self>, event: &LogKeyEvent, stamp: &Stamp) -> Result<Self, Impossible> {
        let mut state = state.unwrap_or_default();
        let active = |state: &Self| state.keys.iter().any(|k| k.status == LogKeyStatus::Active);
        match event {
            LogKeyEvent::Generated(generated) => {
                if active(&state) {
                    return Err(Impossible::new("a log has one key that signs"));
                }
                if state.keys.iter().any(|k| k.key == generated.key) {
                    return Err(Impossible::new("a key is made once"));
                }
                state.keys.push(LogKey {
                    key: generated.key.clone(),
                    status: LogKeyStatus::Active,
                    generated_at: stamp.at,
                    entry: stamp.entry,
                    retired_at: None,
                    reason: None,
                });
            }
            LogKeyEvent::Retired(retired) => {
                let key = state
                    .keys
                    .iter_mut()
                    .find(|k| k.key == retired.key && k.status == LogKeyStatus::Active)
                    .ok_or_else(|| Impossible::new("only a key that signs can be retired"))?;
                key.status = LogKeyStatus::Retired;
                key.retired_at = Some(stamp.at);
                key.reason = Some(retired.reason.clone());
            }
        }
        Ok(state)
    }

    fn status(&self) -> &'static str {
        match self.keys.last() {
            Some(key) if key.status == LogKeyStatus::Active => "active",
            _ => "retired",
        }
    }
}

/// Records that this key signs from now on; the one that signed until now is
/// retired for this reason.
///
/// # Errors
/// `conflict` when the key that signs is not `expected` any more.
pub fn install(
    unit: &mut Unit<'_>,
    new: &VerifierKey,
    expected: Option<&VerifierKey>,
    reason: &str,
) -> Result<(), Refusal> {
    let keys = unit.find::<LogKeys>(STREAM)?;
    let active = match &keys {
        Some(keys) => keys.active()?,
        None => None,
    };
    if active.as_ref() != expected {
        return Err(Refusal::conflict("the log has another key by now")
            .hint("look at `writ ledger key list`, then try again"));
    }
    if keys.is_some_and(|keys| keys.keys.len() >= KEYS_MAX) {
        return Err(Refusal::limit(format!("a log has at most {KEYS_MAX} keys")));
    }
    if let Some(active) = active {
        let retired = Retired {
            key: active.to_string(),
            reason: reason.to_owned(),
        };
        unit.record::<LogKeys>(STREAM, LogKeyEvent::Retired(retired))?;
    }
    let generated = Generated {
        key: new.to_string(),
    };
    unit.record::<LogKeys>(STREAM, LogKeyEvent::Generated(generated))?;
    Ok(())
}
