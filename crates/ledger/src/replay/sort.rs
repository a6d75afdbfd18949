//! Brings the entries of a log into the order of their streams, within a bound
//! of memory: runs are sorted in memory, those that do not fit are written to
//! a scratch file without a name, and all of them are merged.

use crate::row::{Row, Rows};
use crate::store::StoreFault;
use crate::verify::blocking;
use kernel::{EntryId, Timestamp};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

/// Bytes of rows that are read, and of merged records, at a time, at least and
/// at most.
const BATCH_BYTES: (usize, usize) = (4 * 1024, 1024 * 1024);
/// Bytes of a run that are read at a time, at least and at most.
const WINDOW_BYTES: (usize, usize) = (4 * 1024, 512 * 1024);
/// Bytes that the place of a record takes beside it.
const PLACE_BYTES: usize = size_of::<usize>();

/// What a fold needs of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) seq: u64,
    pub(super) stream_version: u64,
    pub(super) at: Timestamp,
    pub(super) id: EntryId,
    pub(super) stream: &'a str,
    pub(super) kind: &'a str,
    pub(super) actor: &'a str,
    pub(super) payload: &'a str,
}

/// Bytes before the texts: three numbers, the id, and how long each text is.
const HEAD_BYTES: usize = 3 * 8 + 16 + TEXTS * 4;
const TEXTS: usize = 4;

impl<'a> Record<'a> {
    pub(super) fn of(row: &Row<'a>) -> Self {
        Self {
            seq: row.seq,
            stream_version: row.stream_version,
            at: row.at,
            id: row.id,
            stream: row.stream,
            kind: row.kind,
            actor: row.actor,
            payload: row.payload,
        }
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        let texts = [self.stream, self.kind, self.actor, self.payload];
        bytes.extend_from_slice(&self.seq.to_le_bytes());
        bytes.extend_from_slice(&self.stream_version.to_le_bytes());
        bytes.extend_from_slice(&self.at.as_micros().to_le_bytes());
        bytes.extend_from_slice(self.id.0.as_bytes());
        for text in texts {
            // Texts of rows are counted in 32 bits too.
            let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&len.to_le_bytes());
        }
        for text in texts {
            bytes.extend_from_slice(text.as_bytes());
        }
    }

    /// The record at the start of these bytes, and how many it takes.
    fn read(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let shape = Shape::read(bytes)?;
        let [stream, kind, actor, payload] = shape.texts();
        let text = |range: Range<usize>| std::str::from_utf8(bytes.get(range)?).ok();
        let record = Self {
            seq: u64::from_le_bytes(array(bytes, 0)?),
            stream_version: u64::from_le_bytes(array(bytes, 8)?),
            at: Timestamp::from_micros(i64::from_le_bytes(array(bytes, 16)?)),
            id: EntryId(uuid::Uuid::from_bytes(array(bytes, 24)?)),
            stream: text(stream)?,
            kind: text(kind)?,
            actor: text(actor)?,
            payload: text(payload)?,
        };
        Some((record, shape.bytes()))
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// How long each text of a record is.
struct Shape([usize; TEXTS]);

impl Shape {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut lens = [0; TEXTS];
        for (nth, len) in lens.iter_mut().enumerate() {
            let stored = u32::from_le_bytes(array(bytes, 40 + nth * 4)?);
            *len = usize::try_from(stored).ok()?;
        }
        Some(Self(lens))
    }

    fn bytes(&self) -> usize {
        HEAD_BYTES + self.0.iter().sum::<usize>()
    }

    fn texts(&self) -> [Range<usize>; TEXTS] {
        let mut at = HEAD_BYTES;
        self.0.map(|len| {
            at += len;
            at - len..at
        })
    }
}

/// The name of the stream of the record at the start of these bytes.
fn stream_of(bytes: &[u8]) -> &[u8] {
    let Some([stream, ..]) = Shape::read(bytes).map(|shape| shape.texts()) else {
        return &[];
    };
    bytes.get(stream).unwrap_or_default()
}

/// Bytes that are worked on at a time when this much memory is allowed.
pub(super) fn batch_bytes(memory_bytes: usize) -> usize {
    (memory_bytes / 16).clamp(BATCH_BYTES.0, BATCH_BYTES.1)
}

/// Records as they came.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    /// Where each record begins.
    places: Vec<usize>,
}

impl Buffer {
    fn push(&mut self, record: &Record<'_>) {
        self.places.push(self.bytes.len());
        record.write(&mut self.bytes);
    }

    fn weight(&self) -> usize {
        self.bytes.len() + self.places.len() * PLACE_BYTES
    }

    /// The records of each stream after one another, in the order in which
    /// they came.
    fn sort(&mut self) {
        let bytes = &self.bytes;
        let name = |place: &usize| stream_of(bytes.get(*place..).unwrap_or_default());
        self.places
            .sort_unstable_by(|a, b| name(a).cmp(name(b)).then(a.cmp(b)));
    }
}

/// Takes entries in the order of the log.
pub(super) struct Sorter {
    /// Bytes that a run may take in memory.
    run_bytes: usize,
    memory_bytes: usize,
    filling: Buffer,
    spilling: Option<tokio::task::JoinHandle<io::Result<Scratch>>>,
    scratch: Option<Scratch>,
}

/// The scratch file and the runs in it. It has no name: it is gone when the
/// process is.
#[derive(Default)]
struct Scratch {
    file: Option<File>,
    runs: Vec<Range<u64>>,
}

impl Scratch {
    fn write(mut self, mut buffer: Buffer) -> io::Result<Self> {
        buffer.sort();
        let from = self.runs.last().map_or(0, |run| run.end);
        let mut until = from;
        let file = match self.file.take() {
            Some(file) => file,
            None => tempfile::tempfile()?,
        };
        let mut window = Vec::with_capacity(WINDOW_BYTES.1);
        for place in &buffer.places {
            let record = buffer.bytes.get(*place..).unwrap_or_default();
            let len = Shape::read(record).map_or(0, |shape| shape.bytes());
            window.extend_from_slice(record.get(..len).unwrap_or_default());
            if window.len() >= WINDOW_BYTES.1 {
                until = put(&file, &mut window, until)?;
            }
        }
        until = put(&file, &mut window, until)?;
        self.runs.push(from..until);
        self.file = Some(file);
        Ok(self)
    }
}

fn put(file: &File, window: &mut Vec<u8>, at: u64) -> io::Result<u64> {
    file.write_all_at(window, at)?;
    let until = at + window.len() as u64;
    window.clear();
    Ok(until)
}

fn fault(error: &io::Error) -> StoreFault {
    let place = std::env::temp_dir();
    StoreFault::Unavailable(format!(
        "the scratch file in {} for a log that does not fit into memory: {error}; \
         set TMPDIR to a directory with as much room as the log takes",
        place.display()
    ))
}

impl Sorter {
    /// Within this memory, about: two runs, one that is filled and one that
    /// is written, are half of it.
    pub(super) fn new(memory_bytes: usize) -> Self {
        Self {
            run_bytes: memory_bytes / 4,
            memory_bytes,
            filling: Buffer::default(),
            spilling: None,
            scratch: None,
        }
    }

    pub(super) fn push(&mut self, rows: &Rows) {
        for row in rows.iter() {
            self.filling.push(&Record::of(&row));
        }
    }

    /// Writes what was taken to the scratch file when it fills the memory, and
    /// does not wait for it.
    ///
    /// # Errors
    /// When the scratch file cannot be written.
    pub(super) async fn make_room(&mut self) -> Result<(), StoreFault> {
        if self.filling.weight() < self.run_bytes {
            return Ok(());
        }
        self.settle().await?;
        let full = std::mem::take(&mut self.filling);
        let scratch = self.scratch.take().unwrap_or_default();
        let write = tokio::task::spawn_blocking(move || scratch.write(full));
        self.spilling = Some(write);
        Ok(())
    }

    async fn settle(&mut self) -> Result<(), StoreFault> {
        if let Some(spilling) = self.spilling.take() {
            let written = spilling
                .await
                .map_err(|e| StoreFault::Unavailable(e.to_string()))?;
            self.scratch = Some(written.map_err(|e| fault(&e))?);
        }
        Ok(())
    }

    /// The records in the order of their streams, and of the log within each.
    ///
    /// # Errors
    /// When the scratch file cannot be written or read.
    pub(super) async fn sorted(mut self) -> Result<Merge, StoreFault> {
        self.settle().await?;
        let Scratch { file, runs } = self.scratch.take().unwrap_or_default();
        let spilled_bytes = runs.last().map_or(0, |run| run.end);
        let batch_bytes = batch_bytes(self.memory_bytes);
        let window = self.memory_bytes / 4 / runs.len().max(1);
        let window = window.clamp(WINDOW_BYTES.0, WINDOW_BYTES.1);
        let mut buffer = self.filling;
        blocking(move || {
            buffer.sort();
            let mut heads = vec![Run::in_memory(buffer)];
            if let Some(file) = file.map(Arc::new) {
                heads.extend(runs.into_iter().map(|at| Run::on_disk(&file, at, window)));
            }
            Merge::new(heads, batch_bytes, spilled_bytes)
        })
        .await?
        .map_err(|e| fault(&e))
    }
}

/// A sorted run and its next record.
struct Run {
    bytes: Vec<u8>,
    /// The next record; empty at the end.
    next: Range<usize>,
    seq: u64,
    rest: Rest,
}

/// What comes after the next record.
enum Rest {
    Memory(std::vec::IntoIter<usize>),
    Disk {
        file: Arc<File>,
        at: Range<u64>,
        window: usize,
    },
}

impl Run {
    fn in_memory(buffer: Buffer) -> Self {
        Self {
            bytes: buffer.bytes,
            next: 0..0,
            seq: 0,
            rest: Rest::Memory(buffer.places.into_iter()),
        }
    }

    fn on_disk(file: &Arc<File>, at: Range<u64>, window: usize) -> Self {
        let file = file.clone();
        Self {
            bytes: Vec::with_capacity(window),
            next: 0..0,
            seq: 0,
            rest: Rest::Disk { file, at, window },
        }
    }

    fn record(&self) -> &[u8] {
        self.bytes.get(self.next.clone()).unwrap_or_default()
    }

    /// Goes to the next record; false at the end.
    fn advance(&mut self) -> io::Result<bool> {
        let from = match &mut self.rest {
            Rest::Memory(places) => match places.next() {
                Some(place) => place,
                None => return Ok(false),
            },
            Rest::Disk { .. } => self.next.end,
        };
        let Some(from) = self.filled(from)? else {
            return Ok(false);
        };
        let bytes = self.bytes.get(from..).unwrap_or_default();
        let (Some(shape), Some(seq)) = (Shape::read(bytes), array(bytes, 0)) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        self.seq = u64::from_le_bytes(seq);
        self.next = from..from + shape.bytes();
        Ok(true)
    }

    /// Reads on until the record at `from` is there whole; returns where it is
    /// then, or `None` at the end of the run.
    fn filled(&mut self, from: usize) -> io::Result<Option<usize>> {
        let Rest::Disk { file, at, window } = &mut self.rest else {
            return Ok(Some(from));
        };
        let held = self.bytes.get(from..).unwrap_or_default();
        let whole = Shape::read(held).map(|shape| shape.bytes());
        if whole.is_some_and(|whole| whole <= held.len()) {
            return Ok(Some(from));
        }
        let left = usize::try_from(at.end - at.start).unwrap_or(usize::MAX);
        if left == 0 && held.is_empty() {
            return Ok(None);
        }
        let wanted = whole.map_or(*window, |whole| whole.saturating_sub(held.len()));
        let more = wanted.max(*window).min(left);
        self.bytes.drain(..from);
        let had = self.bytes.len();
        self.bytes.resize(had + more, 0);
        let room = self.bytes.get_mut(had..).unwrap_or_default();
        file.read_exact_at(room, at.start)?;
        at.start += more as u64;
        match Shape::read(&self.bytes) {
            Some(shape) if shape.bytes() <= self.bytes.len() => Ok(Some(0)),
            Some(_) if at.start < at.end => self.filled(0),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Ord for Run {
    /// The greatest is the one whose record comes first, as a heap wants it.
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (stream_of(self.record()), stream_of(other.record()));
        b.cmp(a).then(other.seq.cmp(&self.seq))
    }
}
impl PartialOrd for Run {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Run {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Run {}

/// All runs as one.
pub(super) struct Merge {
    runs: BinaryHeap<Run>,
    batch_bytes: usize,
    /// Bytes that were written to disk.
    pub(super) spilled_bytes: u64,
}

impl Merge {
    fn new(heads: Vec<Run>, batch_bytes: usize, spilled_bytes: u64) -> io::Result<Self> {
        let mut runs = BinaryHeap::with_capacity(heads.len());
        for mut run in heads {
            if run.advance()? {
                runs.push(run);
            }
        }
        Ok(Self {
            runs,
            batch_bytes,
            spilled_bytes,
        })
    }

    /// The next records; none at the end.
    ///
    /// # Errors
    /// When the scratch file cannot be read.
    pub(super) async fn batch(mut self) -> Result<(Self, Batch), StoreFault> {
        blocking(move || {
            let mut bytes = Vec::with_capacity(self.batch_bytes * 5 / 4);
            while bytes.len() < self.batch_bytes {
                let Some(mut first) = self.runs.peek_mut() else {
                    break;
                };
                bytes.extend_from_slice(first.record());
                if !first.advance()? {
                    PeekMut::pop(first);
                }
            }
            Ok((self, Batch { bytes }))
        })
        .await?
        .map_err(|e: io::Error| fault(&e))
    }
}

/// Records after one another.
pub(super) struct Batch {
    bytes: Vec<u8>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The records; `None` stands for one that the scratch file garbled.
    pub(super) fn records(&self) -> impl Iterator<Item = Option<Record<'_>>> {
        let mut rest = &self.bytes[..];
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let Some((record, len)) = Record::read(rest) else {
                rest = &[];
                return Some(None);
            };
            rest = rest.get(len..).unwrap_or_default();
            Some(Some(record))
        })
    }
}

#[cfg(test)]
mod tests;
