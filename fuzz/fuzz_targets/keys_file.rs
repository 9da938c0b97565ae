//! Any bytes as a keys file and as the counter of wrong passphrases beside it: an error or what it is, never a panic; and
//! as anything sealed: it does not open.
#![no_main]

use libfuzzer_sys::fuzz_target;
use raincoat_seal::{KeysFile, SealKey, failures_in};

fuzz_target!(|data: &[u8]| {
    let _ = KeysFile::parse(data);
    failures_in(data);
    assert!(SealKey::from_bytes([1; 32]).open(b"", data).is_err());
});
