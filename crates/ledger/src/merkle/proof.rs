//! Inclusion and consistency proofs (RFC 9162, sections 2.1.3 and 2.1.4; the
//! same as those of RFC 6962). Which nodes a proof has is arithmetic alone;
//! their hashes come from tiles ([`super::Tiles`]).

use super::node;
use kernel::Digest;
use std::ops::Range;

/// Why a proof does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofFault {
    /// The entry lies beyond the tree.
    #[error("the entry at index {index} is not in a tree of {size}")]
    Beyond {
        /// The entry's index, from 0.
        index: u64,
        /// Entries in the tree.
        size: u64,
    },
    /// The tree has become smaller.
    #[error("a tree of {size} cannot extend one of {old}")]
    Shrunk {
        /// Entries in the older tree.
        old: u64,
        /// Entries in the newer tree.
        size: u64,
    },
    /// The proof has too few or too many hashes.
    #[error("the proof has not as many hashes as the tree has levels")]
    Length,
    /// The hashes do not lead to the root.
    #[error("the proof does not lead to the root")]
    Root,
    /// The hashes do not lead to the older root.
    #[error("the proof does not lead to the older root: the log was rewritten")]
    OldRoot,
}

/// The nodes of the proof that the entry at `index` (from 0) is in the tree of
/// `size`, each as the range of entries under it, from the leaf upwards.
///
/// # Errors
/// When the entry is not in the tree.
pub(super) fn inclusion_nodes(index: u64, size: u64) -> Result<Vec<Range<u64>>, ProofFault> {
    if index >= size {
        return Err(ProofFault::Beyond { index, size });
    }
    let mut nodes = Vec::new();
    let mut tree = 0..size;
    while tree.end - tree.start > 1 {
        let middle = split(&tree);
        let (down, beside) = if index < middle {
            (tree.start..middle, middle..tree.end)
        } else {
            (middle..tree.end, tree.start..middle)
        };
        nodes.push(beside);
        tree = down;
    }
    nodes.reverse();
    Ok(nodes)
}

/// The nodes of the proof that the tree of `size` extends the one of `old`, in
/// the order in which they stand in the proof.
///
/// # Errors
/// When the tree has become smaller.
pub(super) fn consistency_nodes(old: u64, size: u64) -> Result<Vec<Range<u64>>, ProofFault> {
    if old > size {
        return Err(ProofFault::Shrunk { old, size });
    }
    let mut nodes = Vec::new();
    if old == 0 || old == size {
        return Ok(nodes);
    }
    let mut tree = 0..size;
    while tree.end != old {
        let middle = split(&tree);
        if old <= middle {
            nodes.push(middle..tree.end);
            tree = tree.start..middle;
        } else {
            nodes.push(tree.start..middle);
            tree = middle..tree.end;
        }
    }
    // The verifier has the older root; only a part of it must be told.
    if tree.start != 0 {
        nodes.push(tree);
    }
    nodes.reverse();
    Ok(nodes)
}

/// Where the tree over these entries divides: at the largest power of two that
/// is smaller than their number.
pub(super) fn split(tree: &Range<u64>) -> u64 {
    let entries = tree.end - tree.start;
    tree.start + (1 << (entries - 1).ilog2())
}

/// Checks that the leaf stands at `index` (from 0) in the tree of `size` with
/// this root.
///
/// # Errors
/// When the proof does not show it.
pub fn verify_inclusion(
    leaf: Digest,
    index: u64,
    (size, root): (u64, Digest),
    proof: &[Digest],
) -> Result<(), ProofFault> {
    if index >= size {
        return Err(ProofFault::Beyond { index, size });
    }
    let (mut at, mut last) = (index, size - 1);
    let mut hash = leaf;
    for beside in proof {
        if last == 0 {
            return Err(ProofFault::Length);
        }
        if at % 2 == 1 || at == last {
            hash = node(*beside, hash);
            while at % 2 == 0 && at != 0 {
                at /= 2;
                last /= 2;
            }
        } else {
            hash = node(hash, *beside);
        }
        at /= 2;
        last /= 2;
    }
    match (last, hash == root) {
        (0, true) => Ok(()),
        (0, false) => Err(ProofFault::Root),
        _ => Err(ProofFault::Length),
    }
}

/// Checks that the tree of `size` with this root extends the older one.
///
/// # Errors
/// When the proof does not show it.
pub fn verify_consistency(
    (old, old_root): (u64, Digest),
    (size, root): (u64, Digest),
    proof: &[Digest],
) -> Result<(), ProofFault> {
    if old > size {
        return Err(ProofFault::Shrunk { old, size });
    }
    if old == 0 || old == size {
        if !proof.is_empty() {
            return Err(ProofFault::Length);
        }
        let same = old == 0 && old_root == super::empty_root() || old != 0 && old_root == root;
        let whole = size != 0 || root == super::empty_root();
        return if same && whole {
            Ok(())
        } else {
            Err(ProofFault::OldRoot)
        };
    }
    let (first, rest) = if old.is_power_of_two() {
        (&old_root, proof)
    } else {
        proof.split_first().ok_or(ProofFault::Length)?
    };
    let (mut at, mut last) = (old - 1, size - 1);
    while at % 2 == 1 {
        at /= 2;
        last /= 2;
    }
    let (mut old_hash, mut hash) = (*first, *first);
    for beside in rest {
        if last == 0 {
            return Err(ProofFault::Length);
        }
        if at % 2 == 1 || at == last {
            old_hash = node(*beside, old_hash);
            hash = node(*beside, hash);
            while at % 2 == 0 && at != 0 {
                at /= 2;
                last /= 2;
            }
        } else {
            hash = node(hash, *beside);
        }
        at /= 2;
        last /= 2;
    }
    if last != 0 {
        Err(ProofFault::Length)
    } else if old_hash != old_root {
        Err(ProofFault::OldRoot)
    } else if hash != root {
        Err(ProofFault::Root)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{leaf, root};
    use super::*;

    /// PATH of RFC 6962, section 2.1.1, to the letter.
    fn path(m: usize, hashes: &[Digest]) -> Vec<Digest> {
        if hashes.len() < 2 {
            return Vec::new();
        }
        let k = hashes.len().next_power_of_two() / 2;
        let (left, right) = hashes.split_at(k);
        let (mut proof, beside) = if m < k {
            (path(m, left), root(right))
        } else {
            (path(m - k, right), root(left))
        };
        proof.push(beside);
        proof
    }

    /// SUBPROOF of RFC 6962, section 2.1.2, to the letter.
    fn subproof(m: usize, hashes: &[Digest], whole: bool) -> Vec<Digest> {
        if m == hashes.len() {
            return if whole { vec![] } else { vec![root(hashes)] };
        }
        let k = hashes.len().next_power_of_two() / 2;
        let (left, right) = hashes.split_at(k);
        let (mut proof, beside) = if m <= k {
            (subproof(m, left, whole), root(right))
        } else {
            (subproof(m - k, right, false), root(left))
        };
        proof.push(beside);
        proof
    }

    fn leaves(count: usize) -> Vec<Digest> {
        (0..count)
            .map(|n| leaf(Digest::of(&n.to_be_bytes())))
            .collect()
    }

    fn hashes(nodes: Vec<Range<u64>>, leaves: &[Digest]) -> Vec<Digest> {
        let at = |n: u64| usize::try_from(n).unwrap();
        nodes
            .into_iter()
            .map(|range| root(&leaves[at(range.start)..at(range.end)]))
            .collect()
    }

    #[test]
    fn every_inclusion_proof_is_that_of_the_recursion_and_holds() {
        let leaves = leaves(130);
        for size in 1..=leaves.len() {
            let tree = &leaves[..size];
            let (count, root) = (size as u64, root(tree));
            for index in 0..size {
                let proof = hashes(inclusion_nodes(index as u64, count).unwrap(), tree);
                assert_eq!(proof, path(index, tree), "{index} of {size}");
                verify_inclusion(tree[index], index as u64, (count, root), &proof).unwrap();
            }
            assert!(inclusion_nodes(count, count).is_err());
        }
    }

    #[test]
    fn every_consistency_proof_is_that_of_the_recursion_and_holds() {
        let leaves = leaves(130);
        for size in 0..=leaves.len() {
            let new = (size as u64, root(&leaves[..size]));
            for old in 0..=size {
                let before = (old as u64, root(&leaves[..old]));
                let proof = hashes(consistency_nodes(before.0, new.0).unwrap(), &leaves);
                if old > 0 {
                    assert_eq!(proof, subproof(old, &leaves[..size], true), "{old} {size}");
                }
                verify_consistency(before, new, &proof).unwrap();
            }
        }
        assert!(consistency_nodes(2, 1).is_err());
    }

    #[test]
    fn no_inclusion_proof_holds_for_anything_else() {
        let leaves = leaves(40);
        for size in 1..=leaves.len() {
            let tree = &leaves[..size];
            let (count, root) = (size as u64, root(tree));
            for index in 0..size {
                let good = path(index, tree);
                let at = index as u64;
                let holds = |leaf, at, tree, proof: &[Digest]| {
                    verify_inclusion(leaf, at, tree, proof).is_ok()
                };
                assert!(!holds(Digest::ZERO, at, (count, root), &good));
                assert!(!holds(tree[index], at, (count, Digest::ZERO), &good));
                for other in (0..=count).filter(|other| *other != at) {
                    assert!(!holds(tree[index], other, (count, root), &good), "{other}");
                }
                for (place, hash) in good.iter().enumerate() {
                    let mut bad = good.clone();
                    bad[place] = Digest::of(&hash.0);
                    assert!(!holds(tree[index], at, (count, root), &bad));
                    bad.remove(place);
                    assert!(!holds(tree[index], at, (count, root), &bad));
                }
                let mut long = good.clone();
                long.push(root);
                assert!(!holds(tree[index], at, (count, root), &long));
            }
        }
    }

    #[test]
    fn no_consistency_proof_holds_for_a_rewritten_log() {
        let leaves = leaves(40);
        for size in 1..=leaves.len() {
            let new = (size as u64, root(&leaves[..size]));
            for old in 1..=size {
                let before = (old as u64, root(&leaves[..old]));
                let good = subproof(old, &leaves[..size], true);
                let holds =
                    |before, new, proof: &[Digest]| verify_consistency(before, new, proof).is_ok();
                for rewritten in 0..old {
                    let mut other = leaves[..size].to_vec();
                    other[rewritten] = Digest::ZERO;
                    let forged = subproof(old, &other, true);
                    assert!(!holds(before, (new.0, root(&other)), &forged));
                    assert!(!holds((before.0, root(&other[..old])), new, &good));
                }
                assert!(!holds(before, (new.0, Digest::ZERO), &good));
                assert!(!holds((before.0, Digest::ZERO), new, &good));
                assert!(old == size || !holds((new.0, new.1), before, &good));
                for place in 0..good.len() {
                    let mut bad = good.clone();
                    bad[place] = Digest::ZERO;
                    assert!(!holds(before, new, &bad));
                    bad.remove(place);
                    assert!(!holds(before, new, &bad));
                }
                let mut long = good.clone();
                long.push(new.1);
                assert!(!holds(before, new, &long));
            }
            let empty = (0, super::super::empty_root());
            assert!(verify_consistency((0, Digest::ZERO), new, &[]).is_err());
            assert!(verify_consistency(empty, new, &[new.1]).is_err());
            assert!(verify_consistency(empty, (0, Digest::ZERO), &[]).is_err());
        }
    }
}
