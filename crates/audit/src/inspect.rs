//! What is read out of the log's sealed parts once they are opened, and out of a head kept apart, without a log: for the
//! fuzzer. Pure; takes any bytes.

use crate::entry::{decode, decode_1};
use crate::memory::{Apart, judge};
use crate::note::{Checkpoint, Verifier};
use crate::{minimum, slots};

/// A part of the log's files that lies there sealed (`docs/formats/audit.md`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The inner part of an entry.
    Inside,
    /// An entry of version 1.
    Version1,
    /// A slot with a subject's key.
    Slot,
    /// The minimum index.
    Minimum,
}

/// Whether `plain` is such a part, opened.
pub fn is_part(part: Part, plain: &[u8]) -> bool {
    match part {
        Part::Inside => decode(plain).is_some(),
        Part::Version1 => decode_1(plain).is_some(),
        Part::Slot => slots::parse(plain).is_some(),
        Part::Minimum => minimum::parse(plain).is_some(),
    }
}

/// The head in the bytes of a place where one is kept; `None` where there is none that this key signed.
pub fn head_in(bytes: &[u8], verifier: &Verifier) -> Option<Checkpoint> {
    match judge(bytes, verifier) {
        Apart::Head(head) => Some(head),
        Apart::Missing | Apart::OtherKey | Apart::Damaged(_) | Apart::Unreadable(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use raincoat_types::Secret;

    use super::*;
    use crate::memory::NOTE_BYTES;
    use crate::note::Signer;

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..200), class in 0..7_u8, at: prop::sample::Index) {
            for part in [Part::Inside, Part::Version1, Part::Slot, Part::Minimum] {
                is_part(part, &bytes);
            }
            // What is nearly a slot.
            let mut slot = [&[1, 4, class, 0][..], &[9; 64]].concat();
            let place = at.index(slot.len());
            slot[place] = class;
            is_part(Part::Slot, &slot);
        }

        #[test]
        fn a_head_kept_apart_is_the_one_that_was_signed_or_none(size: u64, at: prop::sample::Index, bit in 0..8_u8) {
            let signer = Signer::new("log", &Secret::new([1; 32])).unwrap();
            let head = Checkpoint { origin: "log".to_owned(), size, root: [3; 32] };
            let mut bytes = signer.sign(&head.text()).into_bytes();
            bytes.resize(NOTE_BYTES, 0);
            prop_assert_eq!(head_in(&bytes, signer.verifier()), Some(head.clone()));
            let place = at.index(bytes.len());
            bytes[place] ^= 1 << bit;
            prop_assert!(head_in(&bytes, signer.verifier()).is_none_or(|found| found == head));
        }
    }
}
