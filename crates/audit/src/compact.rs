//! A tree of any size in at most 64 hashes: the roots of its full subtrees, from left to right. It is all that is
//! needed to append and to know the root (RFC 6962 calls the same the "frontier" of a tree).

use crate::hash::{Hash, empty_root, node_hash};

/// The roots of the full subtrees that a tree is made of, one for each bit set in its size.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CompactRange {
    size: u64,
    roots: Vec<Hash>,
}

impl CompactRange {
    /// A tree without entries.
    pub fn new() -> CompactRange {
        CompactRange::default()
    }

    /// How many entries it has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a full subtree of `2^height` entries by its root (height 0: one entry by its hash). The size must be a
    /// multiple of `2^height`; anything else is left as it was and `false` comes back.
    pub fn push(&mut self, height: u32, root: Hash) -> bool {
        let Some(grown) = 1_u64.checked_shl(height).and_then(|leaves| self.size.checked_add(leaves)) else {
            return false;
        };
        if self.size & ((1 << height) - 1) != 0 {
            return false;
        }
        let (mut root, mut bits) = (root, self.size >> height);
        while bits & 1 == 1 {
            let Some(left) = self.roots.pop() else { break };
            root = node_hash(&left, &root);
            bits >>= 1;
        }
        self.roots.push(root);
        self.size = grown;
        true
    }

    /// The root of the whole.
    pub fn root(&self) -> Hash {
        let mut from_right = self.roots.iter().rev();
        let Some(last) = from_right.next() else { return empty_root() };
        from_right.fold(*last, |right, left| node_hash(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hash::leaf_hash;
    use crate::proof::naive;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// The inputs and roots of the RFC 6962 reference implementation (certificate-transparency, `merkletree` tests).
    #[test]
    fn roots_are_those_of_the_reference_implementation() {
        let inputs: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
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
        let mut tree = CompactRange::new();
        assert_eq!(hex(&tree.root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        for (input, root) in inputs.iter().zip(roots) {
            assert!(tree.push(0, leaf_hash(input)));
            assert_eq!(hex(&tree.root()), root);
        }
    }

    #[test]
    fn a_subtree_that_does_not_fit_is_not_taken() {
        let mut tree = CompactRange::new();
        assert!(tree.push(0, [1; 32]));
        assert!(!tree.push(1, [2; 32]));
        assert!(!tree.push(64, [2; 32]));
        assert_eq!(tree.size(), 1);
    }

    proptest! {
        #[test]
        fn the_root_is_that_of_the_definition(count in 0_usize..700) {
            let leaves: Vec<Hash> = (0..count).map(|n| leaf_hash(&n.to_le_bytes())).collect();
            let mut tree = CompactRange::new();
            for leaf in &leaves {
                tree.push(0, *leaf);
            }
            prop_assert_eq!(tree.root(), naive::root(&leaves));
            prop_assert_eq!(tree.roots.len(), tree.size().count_ones() as usize);
        }

        #[test]
        fn whole_subtrees_count_like_their_leaves(count in 0_usize..2000) {
            let leaves: Vec<Hash> = (0..count).map(|n| leaf_hash(&n.to_le_bytes())).collect();
            let mut by_tile = CompactRange::new();
            let full = leaves.chunks_exact(256);
            for leaf in full.remainder() {
                prop_assert!(leaf.len() == 32);
            }
            for tile in full.clone() {
                prop_assert!(by_tile.push(8, naive::root(tile)));
            }
            for leaf in full.remainder() {
                prop_assert!(by_tile.push(0, *leaf));
            }
            prop_assert_eq!(by_tile.root(), naive::root(&leaves));
        }
    }
}
