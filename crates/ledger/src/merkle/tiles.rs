//! Reading the tree from its stored tiles: roots and proofs of any size that
//! the log has had, each from a few tiles, never by building the tree anew.

use super::proof::{consistency_nodes, inclusion_nodes, split};
use super::{TILE_HEIGHT, TILE_WIDTH, leaf, node, parts_beside, root};
use crate::store::{Store, StoreFault};
use async_trait::async_trait;
use kernel::{Digest, Refusal, TenantId};
use std::collections::BTreeMap;
use std::ops::Range;

/// Where tiles come from.
#[async_trait]
pub trait TileSource: Send + Sync {
    /// The first `width` hashes of a tile, or fewer when it has fewer.
    ///
    /// # Errors
    /// When the source does not answer.
    async fn hashes(&self, level: u8, index: u64, width: usize) -> Result<Vec<Digest>, StoreFault>;
}

/// The stored tiles of a tenant's log.
#[derive(Clone, Copy)]
pub struct Stored<'a> {
    /// Storage.
    pub store: &'a dyn Store,
    /// Whose log.
    pub tenant: TenantId,
}

#[async_trait]
impl TileSource for Stored<'_> {
    async fn hashes(&self, level: u8, index: u64, width: usize) -> Result<Vec<Digest>, StoreFault> {
        // The open tile of level 0 is not stored; the entries hold its hashes.
        if level == 0 && (width as u64) < TILE_WIDTH {
            let beyond = index * TILE_WIDTH;
            let leaves = self.store.leaves(self.tenant, beyond, width).await?;
            return Ok(leaves.into_iter().map(|l| leaf(l.hash)).collect());
        }
        let tile = self.store.tile(self.tenant, level, index).await?;
        let mut hashes = tile.map_or_else(Vec::new, |tile| tile.hashes);
        hashes.truncate(width);
        Ok(hashes)
    }
}

/// A tree of one size, read tile by tile; a tile is read once.
pub struct Tiles<S> {
    source: S,
    size: u64,
    read: BTreeMap<(u8, u64), Vec<Digest>>,
}

/// How many hashes the tile has in a tree of `size`.
#[must_use]
pub fn width(level: u8, index: u64, size: u64) -> usize {
    let shift = TILE_HEIGHT * u32::from(level);
    let hashes = size.checked_shr(shift).unwrap_or(0);
    let before = index.saturating_mul(TILE_WIDTH);
    usize::try_from(hashes.saturating_sub(before).min(TILE_WIDTH)).unwrap_or(0)
}

impl<S: TileSource> Tiles<S> {
    /// The tree of the first `size` entries.
    #[must_use]
    pub fn new(source: S, size: u64) -> Self {
        Self {
            source,
            size,
            read: BTreeMap::new(),
        }
    }

    /// Entries in the tree.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Tiles read so far.
    #[must_use]
    pub fn tiles_read(&self) -> usize {
        self.read.len()
    }

    /// The root of the tree.
    ///
    /// # Errors
    /// When a tile is missing or storage does not answer.
    pub async fn root(&mut self) -> Result<Digest, StoreFault> {
        self.root_at(self.size).await
    }

    /// The root that the tree had when it held `size` entries.
    ///
    /// # Errors
    /// When a tile is missing or storage does not answer.
    pub async fn root_at(&mut self, size: u64) -> Result<Digest, StoreFault> {
        if size == 0 {
            return Ok(super::empty_root());
        }
        self.over(0..size).await
    }

    /// The hash of the leaf at `index`, from 0.
    ///
    /// # Errors
    /// When a tile is missing or storage does not answer.
    pub async fn leaf(&mut self, index: u64) -> Result<Digest, StoreFault> {
        self.over(index..index + 1).await
    }

    /// The proof that the entry at `index` (from 0) is in the tree.
    ///
    /// # Errors
    /// When it is not, a tile is missing, or storage does not answer.
    pub async fn inclusion(&mut self, index: u64) -> Result<Vec<Digest>, Refusal> {
        let nodes = inclusion_nodes(index, self.size)
            .map_err(|fault| Refusal::not_found(fault.to_string()))?;
        Ok(self.all(nodes).await?)
    }

    /// The proof that the tree extends the one that it was at `old` entries.
    ///
    /// # Errors
    /// When `old` is larger, a tile is missing, or storage does not answer.
    pub async fn consistency(&mut self, old: u64) -> Result<Vec<Digest>, Refusal> {
        let nodes = consistency_nodes(old, self.size)
            .map_err(|fault| Refusal::invalid(fault.to_string()))?;
        Ok(self.all(nodes).await?)
    }

    /// The range proof of these leaves (from 0): see [`super::RangeRoot`].
    ///
    /// # Errors
    /// When they are not all in the tree, a tile is missing, or storage does
    /// not answer.
    pub async fn beside(&mut self, leaves: &Range<u64>) -> Result<Vec<Digest>, Refusal> {
        if leaves.is_empty() || leaves.end > self.size {
            return Err(Refusal::not_found(format!(
                "the entries {} to {} are not all in a tree of {}",
                leaves.start + 1,
                leaves.end,
                self.size
            )));
        }
        Ok(self.all(parts_beside(leaves, self.size)).await?)
    }

    async fn all(&mut self, nodes: Vec<Range<u64>>) -> Result<Vec<Digest>, StoreFault> {
        let mut hashes = Vec::with_capacity(nodes.len());
        for entries in nodes {
            hashes.push(self.over(entries).await?);
        }
        Ok(hashes)
    }

    /// The hash of the subtree over these entries: the perfect trees that it
    /// is made of, joined from the right.
    async fn over(&mut self, entries: Range<u64>) -> Result<Digest, StoreFault> {
        let mut perfect = Vec::new();
        let mut rest = entries;
        while !(rest.end - rest.start).is_power_of_two() {
            let middle = split(&rest);
            perfect.push(self.perfect(rest.start..middle).await?);
            rest = middle..rest.end;
        }
        let mut hash = self.perfect(rest).await?;
        while let Some(left) = perfect.pop() {
            hash = node(left, hash);
        }
        Ok(hash)
    }

    /// The hash of a perfect subtree; it lies in one tile.
    async fn perfect(&mut self, entries: Range<u64>) -> Result<Digest, StoreFault> {
        let height = (entries.end - entries.start).ilog2();
        let level = u8::try_from(height / TILE_HEIGHT).unwrap_or(u8::MAX);
        let shift = TILE_HEIGHT * u32::from(level);
        let first = entries.start >> shift;
        let index = first / TILE_WIDTH;
        let hashes = self.tile(level, index).await?;
        let from = usize::try_from(first % TILE_WIDTH).unwrap_or(usize::MAX);
        let count = 1_usize << (height % TILE_HEIGHT);
        match hashes.get(from..from.saturating_add(count)) {
            Some(hashes) => Ok(root(hashes)),
            None => Err(missing(level, index)),
        }
    }

    async fn tile(&mut self, level: u8, index: u64) -> Result<&[Digest], StoreFault> {
        let width = width(level, index, self.size);
        if !self.read.contains_key(&(level, index)) {
            let hashes = self.source.hashes(level, index, width).await?;
            if hashes.len() < width || width == 0 {
                return Err(missing(level, index));
            }
            self.read.insert((level, index), hashes);
        }
        match self.read.get(&(level, index)) {
            Some(hashes) => Ok(hashes),
            None => Err(missing(level, index)),
        }
    }
}

fn missing(level: u8, index: u64) -> StoreFault {
    StoreFault::Damaged(format!(
        "tile {index} of level {level} of the Merkle tree is missing or too short"
    ))
}

#[cfg(test)]
mod tests;
