//! Names of tiles and entry bundles, and how they are filled, as C2SP tlog-tiles says (c2sp.org/tlog-tiles).

use crate::hash::Hash;

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: u64 = 256;

/// Bytes that one entry may have, because its length is written in 16 bits.
pub const MAX_ENTRY: usize = 65_535;

/// Levels that a tree of 64-bit size can have.
pub const LEVELS: u8 = 8;

/// What a resource under `tile/` holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// Hashes of entries (level 0) or roots of the full tiles one level down. 0 to 63 in a path.
    Hashes(u8),
    /// The entries themselves.
    Entries,
}

/// A resource under `tile/`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TilePath {
    /// What it holds.
    pub level: Level,
    /// Which one in its level, from 0.
    pub index: u64,
    /// How many hashes or entries: 256, or 1 to 255 for a partial one.
    pub width: u16,
}

impl TilePath {
    /// The full resource.
    pub fn full(level: Level, index: u64) -> TilePath {
        TilePath { level, index, width: 256 }
    }

    /// Whether it is full.
    pub fn is_full(&self) -> bool {
        self.width == 256
    }

    /// Its name: `tile/0/x001/x234/067`, `tile/entries/000.p/17`.
    pub fn path(&self) -> String {
        let mut out = match self.level {
            Level::Hashes(level) => format!("tile/{level}/"),
            Level::Entries => "tile/entries/".to_owned(),
        };
        let mut groups = vec![self.index % 1000];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        let last = groups.len() - 1;
        for (at, group) in groups.iter().rev().enumerate() {
            out.push_str(&if at == last { format!("{group:03}") } else { format!("x{group:03}/") });
        }
        if !self.is_full() {
            out.push_str(&format!(".p/{}", self.width));
        }
        out
    }

    /// Reads a name; `None` for anything that [`TilePath::path`] does not write.
    pub fn parse(path: &str) -> Option<TilePath> {
        let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let level = match level {
            "entries" => Level::Entries,
            number => Level::Hashes(decimal(number).and_then(|n| u8::try_from(n).ok()).filter(|n| *n < 64)?),
        };
        let (number, width) = match rest.split_once(".p/") {
            None => (rest, 256),
            Some((number, width)) => {
                (number, decimal(width).and_then(|w| u16::try_from(w).ok()).filter(|w| (1..256).contains(w))?)
            }
        };
        let mut index = 0_u64;
        let mut groups = number.split('/').peekable();
        while let Some(group) = groups.next() {
            let digits = if groups.peek().is_some() { group.strip_prefix('x')? } else { group };
            if digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
        }
        // Only one way to write a number: no leading group of zeroes.
        Some(TilePath { level, index, width }).filter(|tile| tile.path() == path)
    }
}

/// The partial (or absent: width 0) hash tile at `level` of a tree of `size` entries: its index and width.
pub fn edge_of(size: u64, level: u8) -> (u64, u16) {
    let nodes = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
    (nodes / TILE_WIDTH, (nodes % TILE_WIDTH) as u16)
}

/// A tile's bytes: its hashes one after the other.
pub fn encode_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.concat()
}

/// A tile's hashes; `None` where the bytes are no whole number of hashes, or none or more than 256.
pub fn decode_hashes(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    (rest.is_empty() && (1..=256).contains(&hashes.len())).then(|| hashes.to_vec())
}

/// Adds an entry to a bundle: its length in 16 bits, big-endian, and its bytes. `false` where it is too long.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> bool {
    let Ok(len) = u16::try_from(entry.len()) else { return false };
    bundle.extend_from_slice(&len.to_be_bytes());
    bundle.extend_from_slice(entry);
    true
}

/// The entries of a bundle; `None` where the bytes do not divide into 1 to 256 entries.
pub fn decode_entries(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    split_entries(bytes, TILE_WIDTH as usize)
}

/// The same with another number of entries at most, to see what is wrong with a bundle.
pub(crate) fn split_entries(mut bytes: &[u8], most: usize) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let (len, rest) = bytes.split_first_chunk::<2>()?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        entries.push(entry);
        bytes = rest;
        if entries.len() > most {
            return None;
        }
    }
    (!entries.is_empty()).then_some(entries)
}

fn decimal(digits: &str) -> Option<u64> {
    let canonical = digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if canonical { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_those_of_the_specification() {
        let tile = |level, index, width| TilePath { level, index, width }.path();
        assert_eq!(tile(Level::Hashes(0), 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(tile(Level::Entries, 0, 256), "tile/entries/000");
        assert_eq!(tile(Level::Hashes(1), 1, 17), "tile/1/001.p/17");
        assert_eq!(tile(Level::Entries, 273, 112), "tile/entries/273.p/112");
        assert_eq!(tile(Level::Hashes(0), 1000, 256), "tile/0/x001/000");
    }

    #[test]
    fn other_names_are_nothing() {
        for bad in [
            "",
            "tile",
            "tile/0",
            "tile/0/",
            "tile/64/000",
            "tile/00/000",
            "tile/0/0",
            "tile/0/0000",
            "tile/0/x001",
            "tile/0/001/002",
            "tile/0/x000/001",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p",
            "tile/0/000.p/",
            "tile/0/../000",
            "tile/entries/x1/000",
            "/tile/0/000",
            "tile/+1/000",
            "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
            "tile/0/0\u{663}0",
        ] {
            assert_eq!(TilePath::parse(bad), None, "{bad}");
        }
    }

    /// The example of the specification: 70,000 entries.
    #[test]
    fn the_edge_is_that_of_the_specification() {
        assert_eq!(edge_of(70_000, 0), (273, 112));
        assert_eq!(edge_of(70_000, 1), (1, 17));
        assert_eq!(edge_of(70_000, 2), (0, 1));
        assert_eq!(edge_of(256, 0), (1, 0));
        assert_eq!(edge_of(256, 1), (0, 1));
        assert_eq!(edge_of(u64::MAX, 8), (0, 0));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, name in "[0-9x/.p]{0,30}") {
            let _ = (TilePath::parse(&name), TilePath::parse(&format!("tile/{name}")), decode_hashes(&bytes));
            if let Some(entries) = decode_entries(&bytes) {
                let mut again = Vec::new();
                prop_assert!(entries.into_iter().all(|entry| push_entry(&mut again, entry)));
                prop_assert_eq!(again, bytes);
            }
        }

        #[test]
        fn names_read_back(level in 0_u8..65, index: u64, width in 1_u16..257) {
            let level = if level == 64 { Level::Entries } else { Level::Hashes(level) };
            let tile = TilePath { level, index, width };
            prop_assert_eq!(TilePath::parse(&tile.path()), Some(tile));
        }

        #[test]
        fn bundles_read_back(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..257)) {
            let mut bytes = Vec::new();
            for entry in &entries {
                prop_assert!(push_entry(&mut bytes, entry));
            }
            prop_assert_eq!(decode_entries(&bytes).unwrap(), entries);
            bytes.push(0);
            prop_assert_eq!(decode_entries(&bytes), None);
        }
    }

    #[test]
    fn what_is_too_long_or_too_many_is_refused() {
        let mut bundle = Vec::new();
        assert!(!push_entry(&mut bundle, &[0; MAX_ENTRY + 1]));
        assert!(push_entry(&mut bundle, &[0; MAX_ENTRY]));
        assert_eq!(decode_entries(&[0; 2 * 257]), None);
        assert_eq!(decode_entries(&[]), None);
        assert_eq!(decode_hashes(&[0; 31]), None);
        assert_eq!(decode_hashes(&[0; 32 * 257]), None);
    }
}
