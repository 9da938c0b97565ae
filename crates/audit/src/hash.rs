//! The hashes of a Merkle tree, as RFC 6962, section 2.1 defines them.

use aws_lc_rs::digest::{Context, SHA256, digest};

/// A SHA-256 value.
pub type Hash = [u8; 32];

/// The hash of an entry: SHA-256 of a zero byte and the entry.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    finish([&[0_u8], entry])
}

/// The hash of a node: SHA-256 of a byte 1 and its two children.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1_u8; 65];
    let (_, children) = bytes.split_at_mut(1);
    // Two copies of 32 bytes: one loop over both would go byte by byte.
    let (to_left, to_right) = children.split_at_mut(32);
    to_left.copy_from_slice(left);
    to_right.copy_from_slice(right);
    to_hash(digest(&SHA256, &bytes).as_ref())
}

/// The root of a tree without entries: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    to_hash(digest(&SHA256, &[]).as_ref())
}

/// SHA-256 of some bytes, for key ids.
pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    to_hash(digest(&SHA256, bytes).as_ref())
}

/// The root above a row of hashes (of entries, or of full subtrees of one height).
pub fn root_of(row: &[Hash]) -> Hash {
    let mut tree = crate::compact::CompactRange::new();
    for hash in row {
        tree.push(0, *hash);
    }
    tree.root()
}

fn finish(parts: [&[u8]; 2]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    to_hash(context.finish().as_ref())
}

fn to_hash(bytes: &[u8]) -> Hash {
    bytes.first_chunk().copied().unwrap_or_default()
}
