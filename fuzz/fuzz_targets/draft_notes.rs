//! Any bytes as an overlay's note on a file's origin, and as a draft's record: no panic, nothing over its bounds, and a
//! record that reads is written as it was read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use raincoat_draft::{Origin, Record};

fuzz_target!(|data: &[u8]| {
    if let Origin::Handle(handle) = Origin::parse(data) {
        assert!(!handle.bytes.is_empty() && handle.bytes.len() <= 128);
    }
    if let Some(record) = Record::decode(data) {
        let again = record.encode().expect("a record that was read");
        assert_eq!(Record::decode(&again), Some(record));
    }
});
