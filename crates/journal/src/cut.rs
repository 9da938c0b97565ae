//! Where content is cut into chunks, and what the chunks are called. Large files are cut where their content says so
//! (FastCDC: Xia et al., "The Design of Fast Content-Defined Chunking", 2020), so that what is put into the middle of a
//! file, or behind its end, leaves most of its chunks as they were. Pure: bytes in, lengths and addresses out.

use std::fmt;
use std::sync::Arc;

use fastcdc::v2020::{MASKS, cut_gear, logarithm2};
use raincoat_seal::SealKey;
use raincoat_types::ChunkId;

use crate::JournalKeys;

/// The most bytes of content in one chunk.
pub const CHUNK_BYTES: usize = 1 << 20;
/// A file of up to so many bytes is one chunk: to cut it would cost more than it saves.
pub const WHOLE_BYTES: u64 = 64 << 10;
/// Files beyond this are cut into larger chunks, so that their lists stay short.
const HUGE_BYTES: u64 = 8 << 30;

/// Bytes of a chunk: least, usual, most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Sizes {
    least: usize,
    usual: usize,
    most: usize,
}

/// Files up to [`WHOLE_BYTES`].
const WHOLE: Sizes = Sizes { least: CHUNK_BYTES, usual: CHUNK_BYTES, most: CHUNK_BYTES };
/// Files up to [`HUGE_BYTES`]. (10 MB are 160 chunks: an edit costs one, and the list costs a part of itself.)
const USUAL: Sizes = Sizes { least: 16 << 10, usual: 64 << 10, most: 256 << 10 };
/// Larger ones.
const HUGE: Sizes = Sizes { least: 64 << 10, usual: 256 << 10, most: CHUNK_BYTES };

/// Cuts content and names the pieces as one store does. Clones are handles on the same keys, for any thread.
#[derive(Clone)]
pub struct Chunker(pub(crate) Arc<JournalKeys>);

/// A chunk on its way into the store, with its address.
#[derive(Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its address.
    pub id: ChunkId,
    /// At most [`CHUNK_BYTES`].
    pub bytes: Vec<u8>,
}

/// The random numbers that tell where to cut, one for each byte value: the store's own, so that the lengths of sealed
/// chunks do not match those that anybody else could work out for a known file.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Gear {
    plain: [u64; 256],
    shifted: [u64; 256],
}

impl Chunker {
    /// The length of the first chunk of `bytes`, which lie in a file of `size` bytes: at most [`Chunker::most`]. `bytes`
    /// are that many, or all that is left before a hole or the end of the file. 0 for none.
    pub fn cut(&self, bytes: &[u8], size: u64) -> usize {
        let sizes = sizes_of(size);
        if bytes.len() <= sizes.least {
            return bytes.len();
        }
        let bits = logarithm2(u32::try_from(sizes.usual).unwrap_or(u32::MAX)) as usize;
        // One bit more before the usual length, one fewer behind it: "normalized chunking", level 1.
        let (Some(hard), Some(easy)) = (MASKS.get(bits + 1), MASKS.get(bits - 1)) else { return bytes.len() };
        let Gear { plain, shifted } = &self.0.gear;
        let Sizes { least, usual, most } = sizes;
        let masks = (*hard, *easy, hard << 1, easy << 1);
        let (_, len) = cut_gear(bytes, least, usual, most, masks.0, masks.1, masks.2, masks.3, plain, shifted);
        len.clamp(1, bytes.len())
    }

    /// The most bytes in a chunk of a file of `size` bytes.
    pub fn most(size: u64) -> usize {
        sizes_of(size).most
    }

    /// The address of a chunk.
    pub fn address(&self, bytes: &[u8]) -> ChunkId {
        self.0.chunk_id(bytes)
    }

    /// A chunk with its address.
    pub fn piece(&self, bytes: Vec<u8>) -> Piece {
        Piece { id: self.address(&bytes), bytes }
    }
}

fn sizes_of(size: u64) -> Sizes {
    if size <= WHOLE_BYTES {
        WHOLE
    } else if size <= HUGE_BYTES {
        USUAL
    } else {
        HUGE
    }
}

impl Gear {
    pub(crate) fn new(key: &SealKey) -> Gear {
        let mut plain = [0; 256];
        for (n, four) in (0_u8..).zip(plain.chunks_mut(4)) {
            let mac = key.mac(&[n]);
            for (to, from) in four.iter_mut().zip(mac.chunks_exact(8)) {
                *to = from.first_chunk().copied().map_or(0, u64::from_le_bytes);
            }
        }
        Gear { plain, shifted: plain.map(|number| number << 1) }
    }
}

impl fmt::Debug for Gear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[gear]")
    }
}

impl fmt::Debug for Chunker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[chunker]")
    }
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn chunker(key: u8) -> Chunker {
        let key = SealKey::from_bytes([key; 32]);
        Chunker(Arc::new(JournalKeys::new(&key, &key)))
    }

    /// Bytes without a pattern.
    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let key = blake3::hash(&seed.to_le_bytes());
        let mut out = vec![0; len];
        blake3::Hasher::new_keyed(key.as_bytes()).finalize_xof().fill(&mut out);
        out
    }

    fn pieces(chunker: &Chunker, mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let (size, mut out) = (bytes.len() as u64, Vec::new());
        while !bytes.is_empty() {
            let window = &bytes[..bytes.len().min(Chunker::most(size))];
            let len = chunker.cut(window, size);
            out.push(window[..len].to_vec());
            bytes = &bytes[len..];
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn pieces_are_the_whole_and_keep_to_their_limits(seed: u64, len in 0..2_000_000_usize, flat: bool) {
            let bytes = if flat { vec![seed as u8; len] } else { noise(seed, len) };
            let pieces = pieces(&chunker(1), &bytes);
            prop_assert_eq!(pieces.concat(), bytes);
            if len as u64 <= WHOLE_BYTES {
                prop_assert_eq!(pieces.len(), usize::from(len > 0));
            } else if let Some((_, rest)) = pieces.split_last() {
                prop_assert!(rest.iter().all(|piece| (USUAL.least..=USUAL.most).contains(&piece.len())));
            }
        }

        #[test]
        fn an_insertion_leaves_nearly_all_chunks_as_they_were(
            seed: u64, at in any::<prop::sample::Index>(), what in prop::collection::vec(any::<u8>(), 1..5000)
        ) {
            let (chunker, before) = (chunker(1), noise(seed, 3_000_000));
            let mut after = before.clone();
            let at = at.index(before.len());
            after.splice(at..at, what);
            let old: HashSet<Vec<u8>> = pieces(&chunker, &before).into_iter().collect();
            let new: usize = pieces(&chunker, &after).iter().filter(|piece| !old.contains(*piece)).map(Vec::len).sum();
            prop_assert!(new <= 4 * USUAL.most, "{new}");
        }
    }

    #[test]
    fn each_store_cuts_in_places_of_its_own() {
        let bytes = noise(5, 1_000_000);
        let lengths = |key| pieces(&chunker(key), &bytes).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(1), lengths(1));
        assert_ne!(lengths(1), lengths(2));
    }
}
