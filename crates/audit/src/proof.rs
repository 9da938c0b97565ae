//! Inclusion and consistency proofs, made and checked as RFC 6962, sections 2.1.1 and 2.1.2 (made) and RFC 9162,
//! sections 2.1.3.2 and 2.1.4.2 (checked) say.

use crate::hash::{Hash, node_hash};

/// Whoever knows the roots of full subtrees: the entries from `index * 2^height` on, `2^height` of them.
pub trait Nodes {
    /// Why a node could not be had.
    type Error;

    /// The root of one full subtree.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn node(&self, height: u32, index: u64) -> Result<Hash, Self::Error>;
}

/// The root of the tree of the first `size` entries, which must not be none.
///
/// # Errors
/// Where a node cannot be read.
pub fn root<N: Nodes>(nodes: &N, size: u64) -> Result<Hash, N::Error> {
    subtree(nodes, 0, size)
}

/// The hashes that lead from entry `index` to the root of the first `size` entries, from the leaf up. Empty where
/// `index` is not below `size`.
///
/// # Errors
/// Where a node cannot be read.
pub fn inclusion<N: Nodes>(nodes: &N, index: u64, size: u64) -> Result<Vec<Hash>, N::Error> {
    let (mut low, mut high) = (0, size);
    let mut path = Vec::new();
    while index < size && high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            path.push(subtree(nodes, middle, high)?);
            high = middle;
        } else {
            path.push(subtree(nodes, low, middle)?);
            low = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The hashes that prove that the first `old` entries of the tree of `new` entries are a tree of their own. Empty
/// where `old` is 0 or not below `new`.
///
/// # Errors
/// Where a node cannot be read.
pub fn consistency<N: Nodes>(nodes: &N, old: u64, new: u64) -> Result<Vec<Hash>, N::Error> {
    let mut path = Vec::new();
    if old == 0 || old >= new {
        return Ok(path);
    }
    let (mut low, mut high, mut old_is_whole) = (0, new, true);
    while high > old {
        let middle = low + split(high - low);
        if old <= middle {
            path.push(subtree(nodes, middle, high)?);
            high = middle;
        } else {
            path.push(subtree(nodes, low, middle)?);
            low = middle;
            old_is_whole = false;
        }
    }
    if !old_is_whole {
        path.push(subtree(nodes, low, high)?);
    }
    path.reverse();
    Ok(path)
}

/// Whether `path` leads from the leaf `leaf` at `index` to `root`, the root of `size` entries.
pub fn check_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether `path` proves that the tree of `old` entries with root `old_root` is the start of the tree of `new`
/// entries with root `new_root`.
pub fn check_consistency(old: u64, new: u64, path: &[Hash], old_root: &Hash, new_root: &Hash) -> bool {
    if old == new {
        return path.is_empty() && old_root == new_root;
    }
    if old == 0 || old > new {
        return false;
    }
    let mut rest = path.iter();
    let (mut node, mut last) = (old - 1, new - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    // A full old tree is its own first node, and is left out of the path.
    let Some(first) = (if old.is_power_of_two() { Some(old_root) } else { rest.next() }) else { return false };
    let (mut as_old, mut as_new) = (*first, *first);
    for hash in rest {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            as_old = node_hash(hash, &as_old);
            as_new = node_hash(hash, &as_new);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            as_new = node_hash(&as_new, hash);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && as_old == *old_root && as_new == *new_root
}

/// The root of the entries `low..high`, where `low` is a multiple of the smallest power of two not below the count.
fn subtree<N: Nodes>(nodes: &N, low: u64, high: u64) -> Result<Hash, N::Error> {
    let count = high - low;
    if count.is_power_of_two() {
        return nodes.node(count.trailing_zeros(), low / count);
    }
    let middle = low + split(count);
    Ok(node_hash(&subtree(nodes, low, middle)?, &subtree(nodes, middle, high)?))
}

/// The largest power of two smaller than `count`, which is at least 2.
fn split(count: u64) -> u64 {
    1 << (u64::BITS - 1 - (count - 1).leading_zeros())
}

/// The definitions of RFC 6962 word for word, to hold the rest against.
#[cfg(test)]
pub(crate) mod naive {
    use super::{Hash, node_hash};
    use crate::hash::empty_root;

    fn k(n: usize) -> usize {
        let mut k = 1;
        while k * 2 < n {
            k *= 2;
        }
        k
    }

    pub(crate) fn root(d: &[Hash]) -> Hash {
        match d {
            [] => empty_root(),
            [one] => *one,
            _ => node_hash(&root(&d[..k(d.len())]), &root(&d[k(d.len())..])),
        }
    }

    pub(crate) fn path(m: usize, d: &[Hash]) -> Vec<Hash> {
        if d.len() <= 1 {
            return Vec::new();
        }
        let k = k(d.len());
        let (mut out, last) =
            if m < k { (path(m, &d[..k]), root(&d[k..])) } else { (path(m - k, &d[k..]), root(&d[..k])) };
        out.push(last);
        out
    }

    pub(crate) fn proof(m: usize, d: &[Hash]) -> Vec<Hash> {
        subproof(m, d, true)
    }

    fn subproof(m: usize, d: &[Hash], whole: bool) -> Vec<Hash> {
        if m == d.len() {
            return if whole { Vec::new() } else { vec![root(d)] };
        }
        let k = k(d.len());
        let (mut out, last) = if m <= k {
            (subproof(m, &d[..k], whole), root(&d[k..]))
        } else {
            (subproof(m - k, &d[k..], false), root(&d[..k]))
        };
        out.push(last);
        out
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;
    use crate::hash::leaf_hash;

    struct Leaves(Vec<Hash>);

    impl Nodes for Leaves {
        type Error = Infallible;
        fn node(&self, height: u32, index: u64) -> Result<Hash, Infallible> {
            let width = 1_usize << height;
            let from = index as usize * width;
            Ok(naive::root(&self.0[from..from + width]))
        }
    }

    fn leaves(count: usize) -> Leaves {
        Leaves((0..count).map(|n| leaf_hash(&n.to_le_bytes())).collect())
    }

    proptest! {
        #[test]
        fn proofs_are_those_of_the_definition_and_hold(size in 1_usize..300, a in 0_usize..300, b in 1_usize..300) {
            let tree = leaves(size);
            let root = naive::root(&tree.0);
            let index = a % size;
            let path = inclusion(&tree, index as u64, size as u64).unwrap();
            prop_assert_eq!(&path, &naive::path(index, &tree.0));
            prop_assert!(check_inclusion(&tree.0[index], index as u64, size as u64, &path, &root));

            let old = b % size + 1;
            let old_root = naive::root(&tree.0[..old]);
            let path = consistency(&tree, old as u64, size as u64).unwrap();
            prop_assert_eq!(&path, &naive::proof(old, &tree.0));
            prop_assert!(check_consistency(old as u64, size as u64, &path, &old_root, &root));
        }

        #[test]
        fn no_numbers_make_a_check_panic_or_hold(a: u64, b: u64, near in 0..3_u64, path in prop::collection::vec(any::<Hash>(), 0..70)) {
            for (a, b) in [(a, b), (a, a.saturating_add(near)), (u64::MAX - near, u64::MAX), (near, b)] {
                prop_assert!(!check_inclusion(&[1; 32], a, b, &path, &[0; 32]));
                prop_assert!(!check_consistency(a, b, &path, &[1; 32], &[0; 32]));
            }
        }

        #[test]
        fn a_proof_for_anything_else_does_not_hold(
            size in 2_usize..300, a in 0_usize..300, other in 0_u64..400, flip in 0_usize..4096
        ) {
            let tree = leaves(size);
            let root = naive::root(&tree.0);
            let index = a % size;
            let mut path = inclusion(&tree, index as u64, size as u64).unwrap();
            if other != index as u64 {
                prop_assert!(!check_inclusion(&tree.0[index], other, size as u64, &path, &root));
            }
            let at = flip % path.len();
            path[at][flip % 32] ^= 1 << (flip % 8);
            prop_assert!(!check_inclusion(&tree.0[index], index as u64, size as u64, &path, &root));
            path.pop();
            prop_assert!(!check_inclusion(&tree.0[index], index as u64, size as u64, &path, &root));

            let old = index.max(1);
            let old_root = naive::root(&tree.0[..old]);
            let mut path = consistency(&tree, old as u64, size as u64).unwrap();
            prop_assert!(!check_consistency(old as u64, size as u64, &path, &[7; 32], &root));
            prop_assert!(!check_consistency(old as u64, size as u64, &path, &old_root, &[7; 32]));
            path.push([0; 32]);
            prop_assert!(!check_consistency(old as u64, size as u64, &path, &old_root, &root));
        }
    }

    #[test]
    fn what_is_not_in_the_tree_has_no_proof() {
        let tree = leaves(5);
        assert!(inclusion(&tree, 5, 5).unwrap().is_empty());
        assert!(!check_inclusion(&tree.0[0], 5, 5, &[], &tree.0[0]));
        assert!(!check_inclusion(&tree.0[0], 0, 0, &[], &tree.0[0]));
        assert!(consistency(&tree, 0, 5).unwrap().is_empty());
        assert!(!check_consistency(0, 5, &[], &[0; 32], &[0; 32]));
        assert!(!check_consistency(6, 5, &[], &[0; 32], &[0; 32]));
        assert!(!check_consistency(3, 5, &[], &[0; 32], &[0; 32]));
    }
}
