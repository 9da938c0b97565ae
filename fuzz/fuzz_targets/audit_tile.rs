//! Any bytes as a tile's name, a tile and a bundle: no panic, and what is read is written the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use raincoat_audit::tile::{TilePath, decode_entries, decode_hashes, encode_hashes, push_entry};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(path) = std::str::from_utf8(bytes)
        && let Some(tile) = TilePath::parse(path)
    {
        assert_eq!(tile.path(), path);
    }
    if let Some(hashes) = decode_hashes(bytes) {
        assert_eq!(encode_hashes(&hashes), bytes);
    }
    if let Some(entries) = decode_entries(bytes) {
        let mut out = Vec::new();
        for entry in entries {
            assert!(push_entry(&mut out, entry));
        }
        assert_eq!(out, bytes);
    }
});
