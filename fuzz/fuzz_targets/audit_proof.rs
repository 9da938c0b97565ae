//! Any numbers and hashes as a proof: no panic, no end without one, and nothing is proved of a root that nobody can hash to.
#![no_main]

use libfuzzer_sys::fuzz_target;
use raincoat_audit::proof::{check_consistency, check_inclusion};

fuzz_target!(|bytes: &[u8]| {
    let Some((numbers, path)) = bytes.split_first_chunk::<16>() else { return };
    let [a, b] = [&numbers[..8], &numbers[8..]].map(|eight| u64::from_le_bytes(eight.try_into().unwrap()));
    let path = path.as_chunks::<32>().0;
    assert!(!check_inclusion(&[1; 32], a, b, path, &[0; 32]));
    assert!(!check_consistency(a, b, path, &[1; 32], &[0; 32]));
});
