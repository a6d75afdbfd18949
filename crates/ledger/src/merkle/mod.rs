//! The Merkle tree over a log's entry hashes, by RFC 6962, section 2.1: a leaf
//! is SHA-256 of `0x00` and the 32 bytes of an entry's hash, an inner node is
//! SHA-256 of `0x01` and its two children. The tree is kept in tiles of eight
//! levels (C2SP tlog-tiles): 256 hashes of one level that stand side by side.

mod frontier;
mod path;
mod proof;
mod range;
mod span;
mod tile;
mod tiles;

pub use frontier::{Frontier, Grown};
pub use path::TilePath;
pub use proof::{ProofFault, verify_consistency, verify_inclusion};
pub use range::{RangeRoot, parts_beside};
pub use span::{SPAN_LEVELS, Span};
pub use tile::{TILE_HEIGHT, TILE_WIDTH, Tile};
pub use tiles::{Stored, TileSource, Tiles, width};

use kernel::Digest;
use sha2::{Digest as _, Sha256};

/// The root of the tree without leaves: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Digest {
    Digest::of(b"")
}

/// The hash of the leaf of an entry with this hash.
#[must_use]
pub fn leaf(entry: Digest) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update([0]);
    hasher.update(entry.0);
    Digest(hasher.finalize().into())
}

/// The hash of the node over these two.
#[must_use]
pub fn node(left: Digest, right: Digest) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update([1]);
    hasher.update(left.0);
    hasher.update(right.0);
    Digest(hasher.finalize().into())
}

/// The root of the tree over these hashes, which are nodes of one level (or
/// leaves), by the recursion of RFC 6962.
#[must_use]
pub fn root(hashes: &[Digest]) -> Digest {
    match hashes {
        [] => empty_root(),
        [only] => *only,
        _ => {
            let left = hashes.len().next_power_of_two() / 2;
            let (left, right) = hashes.split_at(left);
            node(root(left), root(right))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_roots() {
        // From the test vectors of the Certificate Transparency reference
        // implementation: the roots over its eight leaves.
        assert_eq!(
            empty_root().to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        let leaves: Vec<Digest> = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ]
        .iter()
        .map(|data| {
            let mut bytes = vec![0];
            bytes.extend(hex(data));
            Digest::of(&bytes)
        })
        .collect();
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        for (count, expected) in (1..).zip(roots) {
            assert_eq!(root(&leaves[..count]).to_string(), expected, "{count}");
        }
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect()
    }
}
