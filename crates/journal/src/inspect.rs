//! Reading the bytes of a segment and of what its records hold without a store: for tools that look at a copy, and for
//! the fuzzer.

use std::convert::Infallible;

use raincoat_types::{Chunk, ChunkId, Digest, FileContent, Intent, RunHeader, Ulid};

use crate::JournalKeys;
use crate::dropped::Dropped;
use crate::format::{End, HEAD_BYTES, HeadFound, Kind, Note, Outcome, Position, decode, read_head};
use crate::lists::unfold;
use crate::pack::Unpacker;
use crate::walk::{Step, Walk};

/// What the bytes of one segment hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Inspection {
    /// Whether the head is what was written.
    pub head: bool,
    /// Records that are what was written.
    pub records: u64,
    /// Where the damage is, and how many bytes of it.
    pub damage: Vec<(u64, u64)>,
    /// Bytes of a torn tail.
    pub torn: u64,
}

/// Reads the bytes of segment `id` as [`crate::Journal::verify`] would. Pure; takes any bytes.
pub fn inspect(keys: &JournalKeys, id: Ulid, bytes: &[u8]) -> Inspection {
    let mut found = Inspection::default();
    let from = match read_head(keys, id, bytes) {
        HeadFound::Ours { first, .. } => {
            found.head = true;
            first
        }
        HeadFound::Newer(_) | HeadFound::Damaged => Position { offset: HEAD_BYTES, seq: 0, prev: [0; 16] },
    };
    // Reading from memory does not fail.
    let Ok(walk) = Walk::new(&bytes, keys, id, from, 0) else { return found };
    let mut walk = if found.head { walk } else { walk.loose() };
    while let Ok(step) = walk.step() {
        match step {
            Step::Record { .. } => found.records += 1,
            Step::Damage { offset, bytes, .. } => found.damage.push((offset, bytes)),
            Step::End { torn } => {
                found.torn = torn;
                break;
            }
        }
    }
    found
}

/// Whether `bytes` are the opened body of a record of the kind with this code (`docs/formats/journal.md`).
pub fn is_body(code: u8, bytes: &[u8]) -> bool {
    match Kind::of(code) {
        Some(Kind::Begin) => decode::<RunHeader>(bytes).is_some(),
        Some(Kind::Chunk) => bytes.len() <= crate::CHUNK_BYTES,
        Some(Kind::Intent) => decode::<Intent>(bytes).is_some(),
        Some(Kind::Outcome | Kind::Settle) => decode::<Outcome>(bytes).is_some(),
        Some(Kind::Note) => decode::<Note>(bytes).is_some(),
        Some(Kind::End) => decode::<End>(bytes).is_some(),
        Some(Kind::Mark | Kind::Final) => bytes.is_empty(),
        Some(Kind::Dropped) => decode::<Dropped>(bytes).is_some(),
        None => false,
    }
}

/// What `bytes` hold as the opened, packed body of a record of the kind with this code; `None` where they are none.
pub fn unpack(code: u8, bytes: &[u8]) -> Option<Vec<u8>> {
    Unpacker::default().unpack(Kind::of(code)?, bytes)
}

/// How many chunks a list names whose one piece is `piece` (which may name pieces in turn, and none is there); `None`
/// where that is none.
pub fn unfolds(piece: &[u8]) -> Option<usize> {
    let top = Chunk { offset: 0, len: 0, id: ChunkId([0; 32]) };
    let mut content = FileContent { digest: Digest([0; 32]), chunks: vec![top], stored: true };
    let mut pieces = std::iter::once(piece.to_vec());
    match unfold(&mut content, &mut |_| Ok::<_, Infallible>(pieces.next().unwrap_or_default())) {
        Ok(whole) => whole.map(|()| content.chunks.len()),
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use raincoat_seal::SealKey;
    use raincoat_types::Timestamp;

    use super::*;
    use crate::format::{Body, Head, push_record, write_head};
    use crate::pack::Packer;
    use crate::{is_memory, remembered_in};

    fn keys() -> JournalKeys {
        let key = SealKey::from_bytes([3; 32]);
        JournalKeys::new(&key, &key)
    }

    const ID: Ulid = Ulid(77);

    /// A segment of content of these lengths, some of it packed, synced after each, with room behind.
    fn segment(keys: &JournalKeys, lengths: &[u16]) -> Vec<u8> {
        let head = Head { created: Timestamp::default(), after: None };
        let (mut bytes, mut position) = write_head(keys, ID, &head).unwrap();
        for len in lengths {
            let synced = position.offset;
            let body = vec![*len as u8; usize::from(*len)];
            let packed = Packer::default().pack(Kind::Chunk, &body);
            let bytes_of = packed.as_ref().unwrap_or(&body);
            let body = Body { kind: Kind::Chunk, packed: packed.is_some(), bytes: bytes_of };
            push_record(keys, ID, &mut position, synced, body, &mut bytes).unwrap();
        }
        bytes.extend([0; 4096]);
        bytes
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..2000), code in any::<u8>()) {
            let found = inspect(&keys(), ID, &bytes);
            prop_assert_eq!(found.records, 0);
            is_body(code, &bytes);
            unpack(code, &bytes);
            unfolds(&bytes);
            is_memory(&bytes);
            prop_assert_eq!(remembered_in(&keys(), &bytes), None);
        }

        #[test]
        fn whatever_is_done_to_a_segment_is_read_to_its_end_and_shows(
            lengths in prop::collection::vec(any::<u16>(), 1..12),
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 1..200_usize), 0..6),
            cut in any::<prop::sample::Index>(), cuts in any::<bool>(),
        ) {
            let keys = keys();
            let whole = segment(&keys, &lengths);
            let mut bytes = whole.clone();
            for (at, value, len) in edits {
                let at = at.index(bytes.len());
                let end = (at + len).min(bytes.len());
                bytes[at..end].fill(value);
            }
            if cuts {
                bytes.truncate(cut.index(bytes.len()));
            }
            let found = inspect(&keys, ID, &bytes);
            let total = lengths.len() as u64;
            prop_assert!(found.records <= total);
            if bytes == whole {
                prop_assert_eq!(found, Inspection { head: true, records: total, damage: vec![], torn: 0 });
            } else if found.records < total && !cuts {
                // Lost records show, but for the last: what nobody acknowledged cannot be told from a torn tail.
                prop_assert!(!found.damage.is_empty() || found.records + 1 >= total || found.torn > 0);
            }
        }
    }

    #[test]
    fn a_tail_is_torn_and_a_middle_is_damaged() {
        let keys = keys();
        let whole = segment(&keys, &[100, 100, 100]);
        let span = (48 + 128_usize).next_multiple_of(8);
        let mut torn = whole.clone();
        torn[256 + 2 * span + 50] ^= 1;
        assert_eq!(inspect(&keys, ID, &torn), Inspection { head: true, records: 2, damage: vec![], torn: span as u64 });
        let mut damaged = whole.clone();
        damaged[256 + span + 50] ^= 1;
        let place = ((256 + span) as u64, span as u64);
        assert_eq!(inspect(&keys, ID, &damaged), Inspection { head: true, records: 2, damage: vec![place], torn: 0 });
    }
}
