//! Any bytes as what the log seals, opened, and as a head kept apart: no panic, and no head that the log did not sign.
#![no_main]

use libfuzzer_sys::fuzz_target;
use raincoat_audit::note::Verifier;
use raincoat_audit::{Part, head_in, is_part};

fuzz_target!(|bytes: &[u8]| {
    for part in [Part::Inside, Part::Version1, Part::Slot, Part::Minimum] {
        is_part(part, bytes);
    }
    let log = Verifier::parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k").unwrap();
    assert_eq!(head_in(bytes, &log), None);
});
