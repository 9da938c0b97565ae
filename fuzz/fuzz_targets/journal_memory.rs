//! Any bytes as what is remembered of the journal, sealed and opened, and as a piece of a long chunk list: no panic, and
//! nothing is remembered that we did not seal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use raincoat_journal::{JournalKeys, is_memory, remembered_in, unfolds};
use raincoat_seal::SealKey;

fuzz_target!(|bytes: &[u8]| {
    let key = SealKey::from_bytes([1; 32]);
    assert_eq!(remembered_in(&JournalKeys::new(&key, &key), bytes), None);
    is_memory(bytes);
    // A chunk takes 34 bytes and more: no list is longer than what names it.
    assert!(unfolds(bytes).unwrap_or(0) <= bytes.len() / 34);
});
