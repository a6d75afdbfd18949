//! The load: what command `n` of a run does, which follows from the seed and
//! `n` alone, so that it can be sent again after a crash; and the two
//! aggregates that it works on.

use kernel::{
    Aggregate, Digest, EntryId, Impossible, Refusal, Stamp, Subject, TenantId, Timestamp, Unit,
};
use ledger::Registry;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use testkit::Dice;

/// Tenants of a run.
const TENANTS: usize = 3;
/// Accounts of each tenant.
const ACCOUNTS: usize = 12;
/// Bytes of the largest body that a note keeps beside the ledger.
const BODY_BYTES_MAX: usize = 24_000;

/// An account's balance moves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Moved {
    by: u64,
    command: u64,
}

kernel::events! {
    /// What happens to an account.
    pub(crate) enum AccountEvent {
        /// Money came.
        Deposited(Moved) = "account.deposited" in Budget,
        /// Money went.
        Withdrawn(Moved) = "account.withdrawn" in Budget,
    }
}

/// An account: its balance is never below zero.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Account {
    name: String,
    balance: u64,
    moves: u64,
    last: EntryId,
    at: Timestamp,
}

impl Aggregate for Account {
    const KIND: &'static str = "account";
    type Event = AccountEvent;

    fn evolve(
        state: Option<Self>,
        event: &AccountEvent,
        stamp: &Stamp,
    ) -> Result<Self, Impossible> {
        let (before, moves) = state.map_or((0, 0), |s| (s.balance, s.moves));
        let balance = match event {
            AccountEvent::Deposited(moved) => before.checked_add(moved.by),
            AccountEvent::Withdrawn(moved) => before.checked_sub(moved.by),
        };
        Ok(Self {
            name: "é \"quoted\"".to_owned(),
            balance: balance.ok_or_else(|| Impossible::new("the balance has a floor"))?,
            moves: moves + 1,
            last: stamp.entry,
            at: stamp.at,
        })
    }

    fn status(&self) -> &'static str {
        match self.balance {
            0 => "empty",
            _ => "funded",
        }
    }

    fn refs(&self) -> kernel::unit::Refs {
        kernel::unit::Refs {
            subject: Subject::parse("account/any").ok(),
            ..Default::default()
        }
    }

    fn due(&self) -> Option<Timestamp> {
        self.balance.is_multiple_of(7).then_some(self.at)
    }
}

/// A body was kept beside the ledger.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    body: Digest,
    command: u64,
}

kernel::events! {
    /// What happens to a note.
    pub(crate) enum NoteEvent {
        /// A body was kept.
        Kept(Kept) = "note.kept" in Evidence,
    }
}

/// A note: its bodies stand beside the ledger.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Note {
    bodies: u64,
    last: Digest,
}

impl Aggregate for Note {
    const KIND: &'static str = "note";
    type Event = NoteEvent;

    fn evolve(state: Option<Self>, event: &NoteEvent, _: &Stamp) -> Result<Self, Impossible> {
        let NoteEvent::Kept(kept) = event;
        Ok(Self {
            bodies: state.map_or(0, |s| s.bodies) + 1,
            last: kept.body,
        })
    }

    fn status(&self) -> &'static str {
        "kept"
    }
}

/// The aggregates of the load.
pub(crate) fn registry() -> Registry {
    Registry::new([
        kernel::aggregate::Fold::of::<Account>(),
        kernel::aggregate::Fold::of::<Note>(),
    ])
}

/// One step of a command.
#[derive(Clone, Debug)]
enum Step {
    Deposit(usize, u64),
    Withdraw(usize, u64),
    Keep(usize, Vec<u8>),
}

/// A command.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    /// Its number; the trace id of its entries.
    pub(crate) n: u64,
    /// Whose log it writes.
    pub(crate) tenant: TenantId,
    /// Its idempotency key, if it has one.
    pub(crate) key: Option<String>,
    steps: Vec<Step>,
    /// Whether it refuses when it has recorded everything.
    refuses: bool,
}

/// What a command answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// The entries that it recorded.
    pub(crate) entries: Vec<EntryId>,
    /// The balance of the account that it touched last.
    pub(crate) balance: u64,
}

impl Command {
    /// Command `n` of the run with this seed.
    pub(crate) fn new(seed: u64, n: u64) -> Self {
        let mut dice = Dice::new(seed ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let tenant = dice.roll(TENANTS) as u128 + 1;
        let uuid = uuid::Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0000 | tenant);
        let mut any = |sides: usize| dice.roll(sides);
        let amount = any(90) as u64 + 10;
        let steps = match any(10) {
            0..=2 => vec![Step::Deposit(any(ACCOUNTS), amount)],
            // The deposit comes first, so that a refusal leaves something to undo.
            3..=6 => vec![
                Step::Deposit(any(ACCOUNTS), amount),
                Step::Withdraw(any(ACCOUNTS), amount),
            ],
            7..=8 => {
                let steps = any(10) + 3;
                let step = |_| Step::Deposit(any(ACCOUNTS), amount);
                (0..steps).map(step).collect()
            }
            _ => {
                let bytes = any(BODY_BYTES_MAX);
                let body = (0..bytes).map(|_| b'a' + u8::try_from(any(26)).unwrap_or(0));
                vec![Step::Keep(0, body.collect())]
            }
        };
        Self {
            n,
            tenant: TenantId(uuid),
            key: (any(2) == 0).then(|| format!("key-{n}")),
            steps,
            refuses: any(16) == 0,
        }
    }

    /// The digest of the request, as the idempotency key is bound to it.
    pub(crate) fn request(&self) -> Digest {
        Digest::of(self.intent().to_string().as_bytes())
    }

    /// What the command intends, as it is told to the harness before it is
    /// sent: exactly what it appends if it appends anything.
    pub(crate) fn intent(&self) -> Value {
        let steps: Vec<Value> = self.steps.iter().map(|step| self.step(step)).collect();
        json!({
            "say": "intent", "n": self.n, "tenant": self.tenant.to_string(), "key": self.key,
            "steps": steps, "refuses": self.refuses,
        })
    }

    fn step(&self, step: &Step) -> Value {
        match step {
            Step::Deposit(account, by) => json!({
                "stream": format!("account/{account}"), "kind": "account.deposited",
                "payload": {"by": by, "command": self.n},
            }),
            Step::Withdraw(account, by) => json!({
                "stream": format!("account/{account}"), "kind": "account.withdrawn",
                "payload": {"by": by, "command": self.n},
            }),
            Step::Keep(note, body) => json!({
                "stream": format!("note/{note}"), "kind": "note.kept",
                "payload": {"body": Digest::of(body).to_string(), "command": self.n},
            }),
        }
    }

    /// Decides.
    pub(crate) fn decide(&self, unit: &mut Unit<'_>) -> Result<Answer, Refusal> {
        let mut entries = Vec::with_capacity(self.steps.len());
        let mut balance = 0;
        for step in &self.steps {
            let entry = match step {
                Step::Deposit(account, by) => {
                    let moved = self.moved(*by);
                    let done = unit.record::<Account>(account, AccountEvent::Deposited(moved))?;
                    balance = done.1.balance;
                    done.0
                }
                Step::Withdraw(account, by) => {
                    let held = unit.find::<Account>(account)?.map_or(0, |a| a.balance);
                    if held < *by {
                        return Err(Refusal::blocked(format!("the account holds `{held}`")));
                    }
                    let moved = self.moved(*by);
                    let done = unit.record::<Account>(account, AccountEvent::Withdrawn(moved))?;
                    balance = done.1.balance;
                    done.0
                }
                Step::Keep(note, body) => {
                    let body = unit.keep_object(body.clone());
                    let command = self.n;
                    let kept = NoteEvent::Kept(Kept { body, command });
                    unit.record::<Note>(note, kept)?.0
                }
            };
            // What follows in the unit was caused by its first entry.
            if entries.is_empty() {
                unit.caused_by(Some(entry));
            }
            entries.push(entry);
        }
        match self.refuses {
            true => Err(Refusal::blocked("this command is refused on purpose")),
            false => Ok(Answer { entries, balance }),
        }
    }

    fn moved(&self, by: u64) -> Moved {
        let command = self.n;
        Moved { by, command }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_follows_from_seed_and_number() {
        for n in 0..200 {
            let of = |seed| Command::new(seed, n).intent();
            assert_eq!(of(1), of(1), "{n}");
            assert_ne!(of(1), of(2), "{n}");
        }
        let kinds = |wanted: fn(&Command) -> bool| (0..200).any(|n| wanted(&Command::new(1, n)));
        assert!(kinds(|c| c.refuses) && kinds(|c| c.key.is_some()) && kinds(|c| c.steps.len() > 9));
    }
}
