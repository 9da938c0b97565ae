//! What the model has seen of each file: the ground on which it may overwrite one.

use std::collections::HashMap;

use raincoat_types::{Digest, Place, RawPath};
use serde::{Deserialize, Serialize};

use super::paths::is_within;

/// How much of a file the model has seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Seen {
    /// All of the content with this digest, or it wrote the content itself.
    Whole(Digest),
    /// The first `upto` bytes of the content with this digest.
    Part {
        /// The content.
        digest: Digest,
        /// How far.
        upto: u64,
    },
    /// Its text at most, taken out of a document; or that it is binary.
    Opaque,
}

/// What the model has seen, by place.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(Place, Seen)>", into = "Vec<(Place, Seen)>")]
pub(crate) struct Memory(HashMap<Place, Seen>);

impl From<Vec<(Place, Seen)>> for Memory {
    fn from(list: Vec<(Place, Seen)>) -> Self {
        Memory(list.into_iter().collect())
    }
}

impl From<Memory> for Vec<(Place, Seen)> {
    fn from(memory: Memory) -> Self {
        memory.0.into_iter().collect()
    }
}

impl Memory {
    /// What was seen of a file.
    pub(crate) fn get(&self, at: &Place) -> Option<Seen> {
        self.0.get(at).copied()
    }

    /// All of it has been seen, or written.
    pub(crate) fn whole(&mut self, at: Place, digest: Digest) {
        self.0.insert(at, Seen::Whole(digest));
    }

    /// No more than that it is a document, or binary.
    pub(crate) fn opaque(&mut self, at: Place) {
        self.0.insert(at, Seen::Opaque);
    }

    /// Bytes `from` to `to` of a file of `size` bytes. Windows add up where they follow each other in one content.
    pub(crate) fn window(&mut self, at: Place, digest: Digest, from: u64, to: u64, size: u64) {
        let before = match self.get(&at) {
            Some(Seen::Whole(seen)) if seen == digest => size,
            Some(Seen::Part { digest: seen, upto }) if seen == digest => upto,
            _ => 0,
        };
        let upto = if from <= before { before.max(to) } else { before };
        self.0.insert(at, if upto >= size { Seen::Whole(digest) } else { Seen::Part { digest, upto } });
    }

    /// Nothing is known of it and of what is beneath it any more.
    pub(crate) fn forget(&mut self, at: &Place) {
        self.0.retain(|place, _| !is_within(place, at));
    }

    /// A file or folder has another name now.
    pub(crate) fn moved(&mut self, from: &Place, to: &Place) {
        self.forget(to);
        let old: Vec<_> =
            self.0.iter().filter(|(place, _)| is_within(place, from)).map(|(p, s)| (p.clone(), *s)).collect();
        for (place, seen) in old {
            self.0.remove(&place);
            let mut path = to.path.0.clone();
            path.extend_from_slice(place.path.0.get(from.path.0.len()..).unwrap_or_default());
            self.0.insert(Place { root: to.root, path: RawPath(path) }, seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str) -> Place {
        Place { root: 0, path: path.into() }
    }

    #[test]
    fn windows_add_up_only_without_a_gap_and_within_one_content() {
        let mut memory = Memory::default();
        let (a, b) = (Digest([1; 32]), Digest([2; 32]));
        memory.window(at("f"), a, 0, 10, 30);
        memory.window(at("f"), a, 20, 30, 30);
        assert_eq!(memory.get(&at("f")), Some(Seen::Part { digest: a, upto: 10 }));
        memory.window(at("f"), a, 10, 20, 30);
        memory.window(at("f"), a, 20, 30, 30);
        assert_eq!(memory.get(&at("f")), Some(Seen::Whole(a)));
        memory.window(at("f"), b, 10, 30, 30);
        assert_eq!(memory.get(&at("f")), Some(Seen::Part { digest: b, upto: 0 }));
    }

    #[test]
    fn what_was_seen_moves_with_the_folder_and_goes_with_it() {
        let mut memory = Memory::default();
        memory.whole(at("d/f"), Digest([1; 32]));
        memory.whole(at("df"), Digest([2; 32]));
        memory.moved(&at("d"), &at("e/d"));
        assert_eq!(memory.get(&at("e/d/f")), Some(Seen::Whole(Digest([1; 32]))));
        assert_eq!(memory.get(&at("d/f")), None);
        let back: Memory = serde_json::from_slice(&serde_json::to_vec(&memory).unwrap()).unwrap();
        assert_eq!(back, memory);
        memory.forget(&at("e"));
        assert_eq!(memory.get(&at("e/d/f")), None);
        assert!(memory.get(&at("df")).is_some());
    }
}
