//! What the bench writes: notes of every category, by common and rare actors,
//! about common and rare subjects, in many short streams; and the fill, which
//! goes through the ledger like everything else.

use kernel::unit::Refs;
use kernel::{
    Actor, Aggregate, Ctx, DirectiveId, Impossible, Refusal, Stamp, Subject, TenantId, Timestamp,
    TraceId, Unit,
};
use ledger::{Ledger, Registry, Settings, Store};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub(crate) const TENANT: TenantId = TenantId(uuid::Uuid::from_u128(
    0x0000_0000_0000_7000_8000_0000_0000_0001,
));
/// Bytes of text in each payload.
pub(crate) const TEXT_BYTES: usize = 150;
/// The first instant of the log, in microseconds.
const BEGAN: i64 = 1_770_000_000_000_000;
/// Entries of one command of the fill, and of one stream of such a command.
pub(crate) const FILL_ENTRIES: u64 = 64;
const STREAM_ENTRIES: u64 = 4;
/// Commands of the fill that wait together.
const FILL_COMMANDS: u64 = 64;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Noted {
    text: String,
    subject: String,
    directive: Option<DirectiveId>,
}
kernel::events! {
    /// What happens to a note: one kind of entry for each category, and a rare
    /// one.
    pub(crate) enum NoteEvent {
        Meant(Noted) = "note.meant" in Intent,
        Heard(Noted) = "note.heard" in Signal,
        Kept(Noted) = "note.kept" in Evidence,
        Judged(Noted) = "note.judged" in Decision,
        Checked(Noted) = "note.checked" in Validation,
        Paid(Noted) = "note.paid" in Budget,
        Agreed(Noted) = "note.agreed" in Approval,
        Acted(Noted) = "note.acted" in Action,
        Called(Noted) = "note.called" in ToolCall,
        Ended(Noted) = "note.ended" in Outcome,
        Noted(Noted) = "note.noted" in System,
        Lost(Noted) = "note.lost" in Outcome,
    }
}
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Note {
    count: u64,
    last: String,
    subject: String,
    directive: Option<DirectiveId>,
}
impl Aggregate for Note {
    const KIND: &'static str = "note";
    type Event = NoteEvent;
    fn evolve(state: Option<Self>, event: &NoteEvent, _: &Stamp) -> Result<Self, Impossible> {
        let (NoteEvent::Meant(noted)
        | NoteEvent::Heard(noted)
        | NoteEvent::Kept(noted)
        | NoteEvent::Judged(noted)
        | NoteEvent::Checked(noted)
        | NoteEvent::Paid(noted)
        | NoteEvent::Agreed(noted)
        | NoteEvent::Acted(noted)
        | NoteEvent::Called(noted)
        | NoteEvent::Ended(noted)
        | NoteEvent::Noted(noted)
        | NoteEvent::Lost(noted)) = event;
        Ok(Self {
            count: state.map_or(0, |s| s.count) + 1,
            last: noted.text.chars().take(16).collect(),
            subject: noted.subject.clone(),
            directive: noted.directive,
        })
    }
    fn status(&self) -> &'static str {
        "open"
    }
    fn refs(&self) -> Refs {
        Refs {
            subject: Subject::parse(&self.subject).ok(),
            directive: self.directive,
            snapshot: None,
        }
    }
}

pub(crate) fn registry() -> Registry {
    Registry::new([kernel::aggregate::Fold::of::<Note>()])
}

pub(crate) fn open(store: Arc<dyn Store>) -> Ledger {
    Ledger::open(store, registry(), Settings::default()).expect("a ledger")
}

/// The instant of this command of the fill: a second after the one before, but
/// for clocks that are set back now and then, and one that was wrong.
pub(crate) fn instant(command: u64) -> Timestamp {
    let back = if command % 97 == 96 { 30 } else { 0 };
    let wrong = if command == 77 { 2_300_000_000 } else { 0 };
    let seconds = i64::try_from(command).expect("small") - back + wrong;
    Timestamp::from_micros(BEGAN + seconds * 1_000_000)
}

/// Who acts in this command: a few parts of writ, and one in a thousand times a
/// person.
pub(crate) fn actor(command: u64) -> Actor {
    match command % 1_000 {
        999 => "human:ann".parse().expect("an actor"),
        other => Actor::system(&format!("part-{}", other % 8)),
    }
}

pub(crate) fn subject(command: u64) -> Subject {
    let text = match command % 4 {
        0 => "service/common".to_owned(),
        _ => format!("service/s-{}", command % 1_009),
    };
    Subject::parse(&text).expect("a subject")
}

pub(crate) fn directive(command: u64) -> Option<DirectiveId> {
    let id = uuid::Uuid::from_u128(0x0000_0000_0000_7000_8000 << 48 | u128::from(command / 4));
    command.is_multiple_of(2).then_some(DirectiveId(id))
}

pub(crate) fn trace(command: u64) -> TraceId {
    let digest = kernel::Digest::of(&command.to_be_bytes());
    let (bits, _) = digest.0.split_at(16);
    TraceId::new(u128::from_be_bytes(bits.try_into().expect("16 bytes")) | 1).expect("not zero")
}

/// The circumstances of this command, at the instant of that one.
fn ctx(command: u64, at: u64) -> Ctx {
    Ctx::new(
        TENANT,
        instant(at),
        actor(command),
        trace(command),
        u128::from(command) << 64 | 1,
    )
}

fn event(n: u64, command: u64) -> NoteEvent {
    let noted = Noted {
        text: format!("{n:0>width$}", width = TEXT_BYTES),
        subject: subject(command).to_string(),
        directive: directive(command),
    };
    if n % 5_003 == 5_002 {
        return NoteEvent::Lost(noted);
    }
    match n % 11 {
        0 => NoteEvent::Meant(noted),
        1 => NoteEvent::Heard(noted),
        2 => NoteEvent::Kept(noted),
        3 => NoteEvent::Judged(noted),
        4 => NoteEvent::Checked(noted),
        5 => NoteEvent::Paid(noted),
        // People agree, and the parts of writ never do.
        6 if actor(command).id == "ann" => NoteEvent::Agreed(noted),
        7 => NoteEvent::Acted(noted),
        8 => NoteEvent::Called(noted),
        9 => NoteEvent::Ended(noted),
        _ => NoteEvent::Noted(noted),
    }
}

/// Records entry `n` of this command of the fill.
fn record(unit: &mut Unit<'_>, command: u64, n: u64) -> Result<(), Refusal> {
    let stream = format!("{command}-{}", n / STREAM_ENTRIES);
    let event = event(command * FILL_ENTRIES + n, command);
    unit.record::<Note>(stream, event).map(|_| ())
}

/// Appends entries until the log has this many.
pub(crate) async fn fill(ledger: &Ledger, entries: u64) {
    let mut head = ledger.store().head(TENANT).await.expect("a head").seq;
    while head < entries {
        let first = head / FILL_ENTRIES;
        let wanted = (entries - head).div_ceil(FILL_ENTRIES).min(FILL_COMMANDS);
        let tasks: Vec<_> = (first..first + wanted)
            .map(|command| {
                let ledger = ledger.clone();
                tokio::spawn(async move {
                    let all = move |unit: &mut Unit<'_>| {
                        (0..FILL_ENTRIES).try_for_each(|n| record(unit, command, n))
                    };
                    ledger
                        .run(ctx(command, command), all)
                        .await
                        .expect("an append");
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("a client");
        }
        head += wanted * FILL_ENTRIES;
    }
}

/// One producer of commands of one entry, which keeps to a stream.
#[derive(Clone, Copy)]
pub(crate) struct Producer {
    /// Its number, never used before.
    pub(crate) number: u64,
    /// The command of the fill at whose instant it begins.
    pub(crate) began: u64,
}

impl Producer {
    /// Runs its command `k`.
    pub(crate) async fn append(self, ledger: &Ledger, k: u64) {
        let number = self.number;
        let command = (number + 1_000) * 1_000_000 + k;
        let done = ledger.run(ctx(command, self.began + k / 64), move |unit| {
            let event = event(k, command);
            let recorded = unit.record::<Note>(format!("producer-{number}"), event);
            recorded.map(|_| ())
        });
        done.await.expect("an append");
    }
}
