//! Any bytes as what is remembered of the journal, sealed and opened, and as a piece of a long chunk list: no panic, and
//! nothing is remembered that we did not seal.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use raincoat_journal::{JournalKeys, is_memory, remembered_in, unfolds};
use raincoat_seal::SealKey;

static KEYS: LazyLock<JournalKeys> = LazyLock::new(|| {
    let key = SealKey::from_bytes([1; 32]);
    JournalKeys::new(&key, &key)
});

fuzz_target!(|bytes: &[u8]| {
    assert_eq!(remembered_in(&KEYS, bytes), None);
    is_memory(bytes);
    // A chunk takes 34 bytes and more: no list is longer than what names it.
    assert!(unfolds(bytes).unwrap_or(0) <= bytes.len() / 34);
});
