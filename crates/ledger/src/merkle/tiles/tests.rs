//! Roots and proofs from tiles against the whole tree, and how many tiles they
//! read.

use super::super::{Frontier, verify_consistency, verify_inclusion};
use super::*;
use kernel::Timestamp;
use std::sync::Mutex;

/// What the append path would have stored, and what was asked of it.
#[derive(Default)]
struct Kept {
    leaves: Vec<Digest>,
    tiles: BTreeMap<(u8, u64), Vec<Digest>>,
    asked: Mutex<Vec<(u8, u64)>>,
    roots: Mutex<BTreeMap<(u64, u64), Digest>>,
}

impl Kept {
    fn grown_to(size: u64) -> Self {
        let mut kept = Self::default();
        let mut frontier = Frontier::default();
        for n in 0..size {
            let entry = Digest::of(&n.to_be_bytes());
            kept.leaves.push(leaf(entry));
            frontier.push(entry, Timestamp::EPOCH);
        }
        for tile in frontier.take_grown().tiles {
            kept.tiles.insert((tile.level, tile.index), tile.hashes);
        }
        kept
    }

    fn root(&self, size: u64) -> Digest {
        self.mth(0..size)
    }

    /// The recursion of RFC 6962, each subtree worked out once.
    fn mth(&self, entries: Range<u64>) -> Digest {
        if entries.end - entries.start == 1 {
            return self.leaves[usize::try_from(entries.start).unwrap()];
        }
        let place = (entries.start, entries.end);
        if let Some(known) = self.roots.lock().unwrap().get(&place) {
            return *known;
        }
        let middle = split(&entries);
        let hash = node(
            self.mth(entries.start..middle),
            self.mth(middle..entries.end),
        );
        self.roots.lock().unwrap().insert(place, hash);
        hash
    }
}

#[async_trait]
impl TileSource for &Kept {
    async fn hashes(&self, level: u8, index: u64, width: usize) -> Result<Vec<Digest>, StoreFault> {
        self.asked.lock().unwrap().push((level, index));
        if level == 0 && width < 256 {
            let from = usize::try_from(index * 256).unwrap();
            return Ok(self.leaves[from..from + width].to_vec());
        }
        let hashes = self.tiles.get(&(level, index)).cloned().unwrap_or_default();
        Ok(hashes.into_iter().take(width).collect())
    }
}

/// Levels of tiles that a tree of this size has.
fn levels(size: u64) -> usize {
    (0..8).take_while(|l| width(*l, 0, size) > 0).count()
}

/// Checks both proofs of this index and older size in a tree of this size, and
/// that each read no more than the tiles on the entry's way up and on the right
/// edge.
async fn check(kept: &Kept, index: u64, old: u64, size: u64) {
    let said = format!("index {index}, old {old}, size {size}");
    let tree = (size, kept.root(size));
    let mut tiles = Tiles::new(kept, size);
    assert_eq!(tiles.root().await.unwrap(), tree.1, "{said}");
    assert!(tiles.tiles_read() <= levels(size), "{said}");

    let mut tiles = Tiles::new(kept, size);
    let proof = tiles.inclusion(index).await.unwrap();
    let at = usize::try_from(index).unwrap();
    verify_inclusion(kept.leaves[at], index, tree, &proof).unwrap();
    assert!(tiles.tiles_read() <= 2 * levels(size), "{said}");

    let mut tiles = Tiles::new(kept, size);
    let proof = tiles.consistency(old).await.unwrap();
    let before = (old, tiles.root_at(old).await.unwrap());
    assert_eq!(before.1, kept.root(old), "{said}");
    verify_consistency(before, tree, &proof).unwrap();
    assert!(tiles.tiles_read() <= 2 * levels(size), "{said}");

    let mut asked = std::mem::take(&mut *kept.asked.lock().unwrap());
    let count = asked.len();
    asked.sort_unstable();
    asked.dedup();
    assert!(count <= 3 * asked.len(), "a tile is read once for a tree");
}

#[tokio::test]
async fn every_proof_of_a_small_tree_comes_from_its_tiles() {
    let kept = Kept::grown_to(300);
    for size in 1..=300 {
        for index in
            (0..size).filter(|n| size % 32 == 0 || n % 32 == 0 || (255..259).contains(&size))
        {
            check(&kept, index, index + 1, size).await;
        }
    }
}

#[tokio::test]
async fn proofs_over_the_borders_of_tiles_hold() {
    let kept = Kept::grown_to(66_200);
    let borders = [0, 1, 255, 256, 257, 511, 512, 4_096, 65_279, 65_280];
    let edges = [65_535, 65_536, 65_537, 65_791, 65_792, 66_200];
    for size in borders.into_iter().chain(edges).filter(|size| *size > 0) {
        for index in borders.into_iter().chain(edges).filter(|n| *n < size) {
            check(&kept, index, index + 1, size).await;
        }
    }
    // A failure names the index and the sizes, which repeat it without a seed.
    let mut seed = 20_261_125_u64;
    for _ in 0..40 {
        let mut roll = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        let size = 1 + roll(66_200);
        let (index, old) = (roll(size), 1 + roll(size));
        check(&kept, index, old, size).await;
    }
}

#[tokio::test]
async fn a_tile_that_is_missing_or_short_is_damage_and_not_a_guess() {
    let mut kept = Kept::grown_to(1_000);
    for (size, index) in [(0, 0), (10, 10)] {
        let refused = Tiles::new(&kept, size).inclusion(index).await;
        assert_eq!(refused.unwrap_err().code, kernel::Code::NotFound);
    }
    let shrunk = Tiles::new(&kept, 10).consistency(11).await;
    assert_eq!(shrunk.unwrap_err().code, kernel::Code::Invalid);
    let tile = kept.tiles.remove(&(0, 2)).unwrap();
    let fault = Tiles::new(&kept, 1_000).inclusion(600).await.unwrap_err();
    assert_eq!(fault.code, kernel::Code::Integrity, "{fault}");
    kept.tiles.insert((0, 2), tile[..255].to_vec());
    let fault = Tiles::new(&kept, 1_000).inclusion(600).await.unwrap_err();
    assert_eq!(fault.code, kernel::Code::Integrity, "{fault}");
}
