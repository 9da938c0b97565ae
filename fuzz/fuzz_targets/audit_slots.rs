//! Any bytes as the header of the subjects' keys and as the outer part of an entry: no panic, and what is read is
//! written as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use raincoat_audit::Outer;
use raincoat_audit::slots::{HEADER, Header};

fuzz_target!(|bytes: &[u8]| {
    if let Some(header) = Header::parse(bytes) {
        assert_eq!(header.encode(), bytes[..HEADER]);
    }
    if let Some(outer) = Outer::parse(bytes) {
        assert_eq!(outer.encode(), bytes);
    }
});
