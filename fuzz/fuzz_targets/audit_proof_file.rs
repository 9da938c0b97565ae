//! Any bytes as a proof file: no panic, what reads is written back to the byte, and nothing is proved by it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use raincoat_audit::ProofFile;
use raincoat_audit::note::Verifier;

fuzz_target!(|bytes: &[u8]| {
    let Ok(proof) = ProofFile::parse(bytes) else { return };
    assert_eq!(proof.encode().as_bytes(), bytes);
    let log = Verifier::parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k").unwrap();
    assert!(proof.check(&[0; 32], &log, &[]).is_err());
});
