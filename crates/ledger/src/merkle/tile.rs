//! Tiles: the form in which the tree is stored and served.

use kernel::Digest;

/// Levels of the tree in one tile.
pub const TILE_HEIGHT: u32 = 8;
/// Hashes in a full tile.
pub const TILE_WIDTH: u64 = 1 << TILE_HEIGHT;

/// Hashes of one level of the tree that stand side by side. Tile level 0 holds
/// leaves, tile level 1 the roots of full tiles of level 0, and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// The level of the tile; its hashes stand on tree level `8 * level`.
    pub level: u8,
    /// Which tile of its level, from 0.
    pub index: u64,
    /// Its hashes from the left: [`TILE_WIDTH`] when it is full, at least one.
    pub hashes: Vec<Digest>,
}

impl Tile {
    /// The hashes as bytes, 32 each, as C2SP tlog-tiles serves them.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.hashes.iter().flat_map(|hash| hash.0).collect()
    }

    /// The hashes in these bytes; `None` when they are no tile's.
    #[must_use]
    pub fn hashes_of(bytes: &[u8]) -> Option<Vec<Digest>> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        let fits = rest.is_empty() && !hashes.is_empty() && hashes.len() as u64 <= TILE_WIDTH;
        fits.then(|| hashes.iter().map(|hash| Digest(*hash)).collect())
    }

    /// Whether nothing can be added.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.hashes.len() as u64 == TILE_WIDTH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_round_trip_and_others_are_refused() {
        let tile = Tile {
            level: 0,
            index: 0,
            hashes: vec![Digest::of(b"a"), Digest::of(b"b")],
        };
        let bytes = tile.to_bytes();
        assert_eq!(bytes.len(), 64);
        assert_eq!(Tile::hashes_of(&bytes), Some(tile.hashes));
        for bad in [&bytes[..63], &[], &vec![0; 32 * 257]] {
            assert_eq!(Tile::hashes_of(bad), None);
        }
    }
}
