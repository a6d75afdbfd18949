//! Spans of time: between which instants the entries of a full tile lie. A
//! query by time leaves out the tiles that cannot hold an answer. The instants
//! of a log rise, but for clocks that were set back, so spans may overlap.

use super::TILE_WIDTH;
use kernel::Timestamp;

/// Levels of tiles that have spans.
pub const SPAN_LEVELS: u8 = 2;

/// The instants of the entries under one full tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The level of the tile.
    pub level: u8,
    /// Which tile of its level, from 0.
    pub index: u64,
    /// The earliest instant.
    pub at_min: Timestamp,
    /// The latest instant.
    pub at_max: Timestamp,
}

impl Span {
    /// The first and the last position of the entries under the tile.
    #[must_use]
    pub fn seqs(&self) -> (u64, u64) {
        let entries = TILE_WIDTH.pow(u32::from(self.level) + 1);
        (self.index * entries + 1, (self.index + 1) * entries)
    }
}

/// The instants of entries that do not fill a tile yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Open {
    range: Option<(Timestamp, Timestamp)>,
}

impl Open {
    /// Takes in entries between these instants.
    pub(super) fn widen(&mut self, at_min: Timestamp, at_max: Timestamp) {
        let (low, high) = self.range.unwrap_or((at_min, at_max));
        self.range = Some((low.min(at_min), high.max(at_max)));
    }

    /// The span of the tile that is full now; starts the next one.
    pub(super) fn close(&mut self, level: u8, index: u64) -> Option<Span> {
        let (at_min, at_max) = self.range.take()?;
        Some(Span {
            level,
            index,
            at_min,
            at_max,
        })
    }
}
