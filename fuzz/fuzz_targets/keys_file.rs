//! Any bytes as a keys file: an error or a file, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use raincoat_seal::KeysFile;

fuzz_target!(|data: &[u8]| {
    let _ = KeysFile::parse(data);
});
