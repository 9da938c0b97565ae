//! Bodies made smaller before they are sealed (Zstandard, RFC 8878). A packed body is the length of what it holds (4
//! bytes) and one frame; a flag in the record's header says so. Pure: bytes in, bytes out.

use std::fmt;

use zstd_safe::{CCtx, CParameter, DCtx};

use crate::CHUNK_BYTES;
use crate::format::{Kind, MAX_BODY};

/// Shorter bodies are left as they are: they gain nothing.
const LEAST: usize = 256;
/// Records other than content: as good as all are shorter than this, and wait for a sync.
const LEAST_OTHER: usize = 2048;
/// Of longer content, the first so many bytes are tried. If they do not shrink, nor will the rest.
const SAMPLE: usize = 8 << 10;
/// Measured on text, source code and pictures: the next levels take 1.5 and 2.5 times as long and save 1 % more.
const LEVEL: i32 = 1;

/// Packs bodies. It keeps its working memory from one to the next.
#[derive(Default)]
pub(crate) struct Packer {
    context: Option<CCtx<'static>>,
    scratch: Vec<u8>,
}

/// Unpacks them.
#[derive(Default)]
pub(crate) struct Unpacker(Option<DCtx<'static>>);

impl Packer {
    /// The packed body; `None` where it does not shrink by a sixteenth at least.
    pub(crate) fn pack(&mut self, kind: Kind, plain: &[u8]) -> Option<Vec<u8>> {
        let least = if kind == Kind::Chunk { LEAST } else { LEAST_OTHER };
        if plain.len() < least {
            return None;
        }
        if let Some(sample) = plain.get(..SAMPLE).filter(|_| plain.len() >= 4 * SAMPLE) {
            self.shrink(sample)?;
        }
        let frame = self.shrink(plain)?;
        let mut out = Vec::with_capacity(4 + frame.len());
        out.extend_from_slice(&u32::try_from(plain.len()).ok()?.to_le_bytes());
        out.extend_from_slice(frame);
        Some(out)
    }

    fn shrink(&mut self, plain: &[u8]) -> Option<&[u8]> {
        let context = match &mut self.context {
            Some(context) => context,
            none => {
                let mut context = CCtx::try_create()?;
                context.set_parameter(CParameter::CompressionLevel(LEVEL)).ok()?;
                none.insert(context)
            }
        };
        let scratch = &mut self.scratch;
        scratch.clear();
        scratch.reserve(zstd_safe::compress_bound(plain.len()));
        context.compress2(scratch, plain).ok()?;
        (scratch.len() + 4 <= plain.len() - plain.len() / 16).then_some(scratch)
    }
}

impl Unpacker {
    /// What a packed body holds. `None` where it is no such thing, or would be longer than its kind may be.
    pub(crate) fn unpack(&mut self, kind: Kind, packed: &[u8]) -> Option<Vec<u8>> {
        let (len, frame) = packed.split_first_chunk::<4>()?;
        let len = u32::from_le_bytes(*len) as usize;
        if len > if kind == Kind::Chunk { CHUNK_BYTES } else { MAX_BODY } {
            return None;
        }
        let context = match &mut self.0 {
            Some(context) => context,
            none => none.insert(DCtx::try_create()?),
        };
        // The frame may say what it likes: this is all the room it gets.
        let mut out = Vec::with_capacity(len);
        context.decompress(&mut out, frame).ok()?;
        (out.len() == len).then_some(out)
    }
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[packer]")
    }
}

impl fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[unpacker]")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn what_is_packed_comes_back(words in prop::collection::vec("[a-f]{1,6}", 1..9), times in 0..20_000_usize) {
            let plain = words.join(" ").repeat(times).into_bytes();
            for kind in [Kind::Chunk, Kind::Note] {
                if let Some(packed) = Packer::default().pack(kind, &plain) {
                    prop_assert!(packed.len() < plain.len());
                    prop_assert_eq!(Unpacker::default().unpack(kind, &packed), Some(plain.clone()));
                }
            }
        }

        #[test]
        fn any_bytes_are_taken(bytes: Vec<u8>, flip: prop::sample::Index) {
            let mut unpacker = Unpacker::default();
            unpacker.unpack(Kind::Chunk, &bytes);
            let mut packed = Packer::default().pack(Kind::Chunk, &[7; 5000]).unwrap();
            let at = flip.index(packed.len());
            packed[at] ^= 1;
            // (Zstandard has bits that mean nothing; the seal is what finds a flipped one.)
            unpacker.unpack(Kind::Chunk, &packed);
        }
    }

    #[test]
    fn noise_and_short_bodies_stay_as_they_are() {
        let mut noise = vec![0; 100_000];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        assert_eq!(Packer::default().pack(Kind::Chunk, &noise), None);
        assert_eq!(Packer::default().pack(Kind::Chunk, &[0; LEAST - 1]), None);
        assert_eq!(Packer::default().pack(Kind::Intent, &[0; LEAST_OTHER - 1]), None);
    }

    #[test]
    fn a_bomb_gets_no_more_room_than_it_declares_and_may_declare_no_more_than_a_chunk() {
        let bomb = |declared: u32, real: usize| {
            let mut packer = Packer::default();
            let frame = packer.shrink(&vec![0; real]).unwrap();
            [&declared.to_le_bytes()[..], frame].concat()
        };
        let unpack = |packed: &[u8]| Unpacker::default().unpack(Kind::Chunk, packed).map(|bytes| bytes.len());
        assert_eq!(unpack(&bomb(1 << 20, 1 << 20)), Some(1 << 20));
        assert_eq!(unpack(&bomb(1000, 50 << 20)), None);
        assert_eq!(unpack(&bomb((1 << 20) + 1, (1 << 20) + 1)), None);
        assert_eq!(unpack(&bomb(u32::MAX, 50 << 20)), None);
        assert_eq!(unpack(&bomb(1 << 20, 1000)), None);
    }
}
