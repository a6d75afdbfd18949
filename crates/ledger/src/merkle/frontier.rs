//! The right edge of the tree: what must be in memory to append to it. Entries
//! go in one by one; tiles and spans come out as they fill.

use super::span::{Open, SPAN_LEVELS, Span};
use super::tile::{TILE_WIDTH, Tile};
use super::{leaf, node, root};
use crate::entry::Head;
use crate::store::{Store, StoreFault};
use kernel::{Digest, TenantId, Timestamp};

/// The right edge of a log's tree. Its size is bounded: at most 255 hashes for
/// each of the tile levels that the log has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// By tile level: the hashes of the tile that is not full.
    levels: Vec<Vec<Digest>>,
    /// Levels whose open tile has changed since [`Frontier::take_grown`].
    changed: Vec<bool>,
    open: [Open; SPAN_LEVELS as usize],
    grown: Grown,
}

/// What storage must keep of entries that went in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grown {
    /// Full tiles of every level, and the open tiles of the levels above 0
    /// that changed: each takes the place of a stored one with fewer hashes.
    /// The open tile of level 0 is not stored, for the entries hold its hashes.
    pub tiles: Vec<Tile>,
    /// Spans of tiles that have become full.
    pub spans: Vec<Span>,
}

impl Frontier {
    /// The frontier of a log with this head, read from storage.
    ///
    /// # Errors
    /// When storage does not answer, or a tile that it must hold is missing.
    pub async fn load(store: &dyn Store, tenant: TenantId, head: Head) -> Result<Self, StoreFault> {
        let mut frontier = Self::default();
        let full_tiles = head.seq / TILE_WIDTH;
        let mut level = 1_u8;
        let mut count = full_tiles;
        frontier.levels.push(Vec::new());
        while count > 0 {
            let open = open_tile(store, tenant, level, count).await?;
            frontier.levels.push(open);
            count /= TILE_WIDTH;
            level += 1;
        }
        frontier.changed = vec![false; frontier.levels.len()];
        frontier.size = full_tiles * TILE_WIDTH;
        let open_spans = full_tiles % TILE_WIDTH;
        let first = full_tiles - open_spans;
        let open_spans = usize::try_from(open_spans).unwrap_or(0);
        for span in store.spans(tenant, 0, first, open_spans).await? {
            let [_, above] = &mut frontier.open;
            above.widen(span.at_min, span.at_max);
        }
        let open = usize::try_from(head.seq % TILE_WIDTH).unwrap_or(0);
        let leaves = store.leaves(tenant, frontier.size, open).await?;
        if leaves.len() != open {
            return Err(StoreFault::Damaged(format!(
                "the log of {tenant} ends before its head at {}",
                head.seq
            )));
        }
        for stored in leaves {
            frontier.push(stored.hash, stored.at);
        }
        Ok(frontier)
    }

    /// Entries in the tree.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Takes in the next entry.
    pub fn push(&mut self, entry: Digest, at: Timestamp) {
        self.size += 1;
        let [open, _] = &mut self.open;
        open.widen(at, at);
        self.put(0, leaf(entry));
    }

    fn put(&mut self, level: usize, hash: Digest) {
        if self.levels.len() <= level {
            self.levels.push(Vec::new());
            self.changed.push(false);
        }
        let (Some(open), Some(changed)) = (self.levels.get_mut(level), self.changed.get_mut(level))
        else {
            return;
        };
        open.push(hash);
        *changed = true;
        if (open.len() as u64) < TILE_WIDTH {
            return;
        }
        *changed = false;
        let hashes = std::mem::take(open);
        let above = root(&hashes);
        let shift = TILE_WIDTH.pow(u32::try_from(level).unwrap_or(u32::MAX) + 1);
        let tile = Tile {
            level: u8::try_from(level).unwrap_or(u8::MAX),
            index: self.size / shift - 1,
            hashes,
        };
        self.close_span(tile.level, tile.index);
        self.grown.tiles.push(tile);
        self.put(level + 1, above);
    }

    fn close_span(&mut self, level: u8, index: u64) {
        let Some(open) = self.open.get_mut(usize::from(level)) else {
            return;
        };
        let Some(span) = open.close(level, index) else {
            return;
        };
        self.grown.spans.push(span);
        if let Some(above) = self.open.get_mut(usize::from(level) + 1) {
            above.widen(span.at_min, span.at_max);
        }
    }

    /// What has grown since the last call.
    pub fn take_grown(&mut self) -> Grown {
        let mut grown = std::mem::take(&mut self.grown);
        let levels = self.levels.iter().zip(&mut self.changed);
        for (level, (open, changed)) in levels.enumerate().skip(1) {
            if !std::mem::take(changed) || open.is_empty() {
                continue;
            }
            let shift = TILE_WIDTH.pow(u32::try_from(level).unwrap_or(u32::MAX) + 1);
            grown.tiles.push(Tile {
                level: u8::try_from(level).unwrap_or(u8::MAX),
                index: self.size / shift,
                hashes: open.clone(),
            });
        }
        grown
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Digest {
        let mut right: Option<Digest> = None;
        for open in &self.levels {
            for peak in peaks(open).into_iter().rev() {
                right = Some(right.map_or(peak, |right| node(peak, right)));
            }
        }
        right.unwrap_or_else(super::empty_root)
    }
}

/// The roots of the perfect trees that these hashes make, from the left.
fn peaks(mut hashes: &[Digest]) -> Vec<Digest> {
    let mut peaks = Vec::new();
    while !hashes.is_empty() {
        let perfect = 1_usize << hashes.len().ilog2();
        let (left, right) = hashes.split_at(perfect);
        peaks.push(root(left));
        hashes = right;
    }
    peaks
}

/// The hashes of the open tile of a level on which `count` hashes stand.
async fn open_tile(
    store: &dyn Store,
    tenant: TenantId,
    level: u8,
    count: u64,
) -> Result<Vec<Digest>, StoreFault> {
    let open = usize::try_from(count % TILE_WIDTH).unwrap_or(0);
    if open == 0 {
        return Ok(Vec::new());
    }
    let index = count / TILE_WIDTH;
    let tile = store.tile(tenant, level, index).await?;
    let mut hashes = tile.map_or_else(Vec::new, |tile| tile.hashes);
    if hashes.len() < open {
        return Err(StoreFault::Damaged(format!(
            "tile {index} of level {level} of the log of {tenant} is missing"
        )));
    }
    hashes.truncate(open);
    Ok(hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_that_of_the_whole_tree_at_every_size() {
        let mut frontier = Frontier::default();
        let mut leaves = Vec::new();
        let mut tiles = std::collections::BTreeMap::new();
        let mut spans = Vec::new();
        for n in 0..70_000_u64 {
            if n < 1_100 || n % 4_099 == 0 || n > 69_990 || n.is_multiple_of(65_536) {
                assert_eq!(frontier.root(), root(&leaves), "{n}");
                assert_eq!(frontier.size(), n);
            }
            if n % 7 == 0 {
                let grown = frontier.take_grown();
                spans.extend(grown.spans);
                for tile in grown.tiles {
                    tiles.insert((tile.level, tile.index), tile);
                }
            }
            let entry = Digest::of(&n.to_be_bytes());
            leaves.push(leaf(entry));
            frontier.push(entry, Timestamp::from_micros(i64::try_from(n).unwrap()));
        }
        let grown = frontier.take_grown();
        assert_eq!(frontier.take_grown(), Grown::default());
        spans.extend(grown.spans);
        for tile in grown.tiles {
            tiles.insert((tile.level, tile.index), tile);
        }
        for (index, full) in (0..).zip(leaves.chunks_exact(256)) {
            assert_eq!(tiles[&(0, index)].hashes, full);
            let above = &tiles[&(1, index / 256)].hashes;
            assert_eq!(above[usize::try_from(index % 256).unwrap()], root(full));
        }
        assert_eq!(tiles[&(2, 0)].hashes, [root(&leaves[..65_536])]);
        assert_eq!(tiles.len(), 273 + 2 + 1);
        assert_eq!(spans.len(), 273 + 1);
        for span in spans {
            let (first, last) = span.seqs();
            let micros = |seq: u64| Timestamp::from_micros(i64::try_from(seq - 1).unwrap());
            assert_eq!((span.at_min, span.at_max), (micros(first), micros(last)));
        }
    }
}
