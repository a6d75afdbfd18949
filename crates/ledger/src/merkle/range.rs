//! Range proofs: the roots of the parts of a tree beside a range of its
//! leaves, from left to right. With the leaves they give the root of the tree,
//! in one pass over both. For one leaf they are its inclusion proof in another
//! order; for all leaves there are none.

use super::proof::split;
use super::{leaf, node};
use kernel::Digest;
use std::ops::Range;

/// The parts of a tree of `size` leaves beside these leaves (from 0), from left
/// to right, each as the leaves under it.
#[must_use]
pub fn parts_beside(leaves: &Range<u64>, size: u64) -> Vec<Range<u64>> {
    let mut parts = Vec::new();
    let mut ahead: Vec<Range<u64>> = std::iter::once(0..size).collect();
    while let Some(part) = ahead.pop() {
        match place(&part, leaves) {
            Place::Beside if part.is_empty() => {}
            Place::Beside => parts.push(part),
            Place::Within => {}
            Place::Across => {
                let middle = split(&part);
                ahead.push(middle..part.end);
                ahead.push(part.start..middle);
            }
        }
    }
    parts
}

/// How a part of the tree lies to the range.
enum Place {
    Beside,
    Within,
    Across,
}

fn place(part: &Range<u64>, leaves: &Range<u64>) -> Place {
    if part.end <= leaves.start || leaves.end <= part.start {
        Place::Beside
    } else if leaves.start <= part.start && part.end <= leaves.end {
        Place::Within
    } else {
        Place::Across
    }
}

/// What is to be done next on the way through the tree.
enum Step {
    Visit(Range<u64>),
    Join,
}

/// The root of a tree from a range of its leaves, which come one by one, and
/// the range proof.
pub struct RangeRoot {
    leaves: Range<u64>,
    proof: std::vec::IntoIter<Digest>,
    ahead: Vec<Step>,
    done: Vec<Digest>,
}

impl RangeRoot {
    /// For these leaves (from 0) of a tree of `size`; `None` when the range is
    /// empty or reaches beyond the tree, or the proof has another number of
    /// hashes than it must.
    #[must_use]
    pub fn new(leaves: Range<u64>, size: u64, proof: Vec<Digest>) -> Option<Self> {
        let fits = !leaves.is_empty() && leaves.end <= size;
        if !fits || parts_beside(&leaves, size).len() != proof.len() {
            return None;
        }
        let mut root = Self {
            leaves,
            proof: proof.into_iter(),
            ahead: vec![Step::Visit(0..size)],
            done: Vec::new(),
        };
        root.advance();
        Some(root)
    }

    /// Takes in the next entry of the range; one too many is left aside.
    pub fn push(&mut self, entry: Digest) {
        if let Some(Step::Visit(_)) = self.ahead.pop() {
            self.done.push(leaf(entry));
            self.advance();
        }
    }

    /// The root; `None` while leaves are missing.
    #[must_use]
    pub fn root(&self) -> Option<Digest> {
        match (self.ahead.as_slice(), self.done.as_slice()) {
            ([], [root]) => Some(*root),
            _ => None,
        }
    }

    /// Goes on until a leaf is needed.
    fn advance(&mut self) {
        while let Some(step) = self.ahead.pop() {
            match step {
                Step::Join => {
                    if let (Some(right), Some(left)) = (self.done.pop(), self.done.pop()) {
                        self.done.push(node(left, right));
                    }
                }
                Step::Visit(part) => match place(&part, &self.leaves) {
                    Place::Beside => self.done.extend(self.proof.next()),
                    Place::Within if part.end - part.start == 1 => {
                        self.ahead.push(Step::Visit(part));
                        return;
                    }
                    Place::Within | Place::Across => {
                        let middle = split(&part);
                        self.ahead.push(Step::Join);
                        self.ahead.push(Step::Visit(middle..part.end));
                        self.ahead.push(Step::Visit(part.start..middle));
                    }
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::root;

    fn proof(leaves: &Range<u64>, hashes: &[Digest]) -> Vec<Digest> {
        let index = |n: u64| usize::try_from(n).unwrap();
        parts_beside(leaves, hashes.len() as u64)
            .into_iter()
            .map(|part| root(&hashes[index(part.start)..index(part.end)]))
            .collect()
    }

    #[test]
    fn every_range_of_small_trees_gives_the_root_and_nothing_else_does() {
        for size in 1..=33_u64 {
            let entries: Vec<Digest> = (0..size).map(|n| Digest::of(&n.to_be_bytes())).collect();
            let hashes: Vec<Digest> = entries.iter().map(|e| leaf(*e)).collect();
            for first in 0..size {
                for last in first + 1..=size {
                    let range = first..last;
                    let proof = proof(&range, &hashes);
                    let mut found = RangeRoot::new(range.clone(), size, proof.clone()).unwrap();
                    for n in range.clone() {
                        assert_eq!(found.root(), None);
                        found.push(entries[usize::try_from(n).unwrap()]);
                    }
                    found.push(Digest::ZERO);
                    assert_eq!(found.root(), Some(root(&hashes)), "{range:?} of {size}");
                    let mut long = proof.clone();
                    long.push(Digest::ZERO);
                    assert!(RangeRoot::new(range.clone(), size, long).is_none());
                    let mut other = RangeRoot::new(range.clone(), size, proof).unwrap();
                    for _ in range {
                        other.push(Digest::ZERO);
                    }
                    assert_ne!(other.root(), Some(root(&hashes)));
                }
            }
        }
        assert!(RangeRoot::new(1..1, 1, Vec::new()).is_none());
        assert!(RangeRoot::new(0..2, 1, Vec::new()).is_none());
    }
}
