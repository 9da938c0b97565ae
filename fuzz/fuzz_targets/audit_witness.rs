//! Any bytes as a request to a witness and as its state: no panic, nothing is cosigned that the log did not sign, and a
//! state that reads is written back to the byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use raincoat_audit::Cosigner;
use raincoat_audit::note::Verifier;
use raincoat_audit::witness::{State, Submission, read_answer, submission};
use raincoat_types::Secret;

fuzz_target!(|bytes: &[u8]| {
    let cosigner = Cosigner::new("w", Secret::new([7; 32])).unwrap();
    let mut state = State::default();
    let log = Verifier::parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k").unwrap();
    state.trust(&log);
    let before = state.clone();
    assert_ne!(state.judge(bytes, &cosigner, 9).status(), 200);
    assert_eq!(state, before);
    if let Some(request) = Submission::parse(bytes) {
        let (_, note) = std::str::from_utf8(bytes).unwrap().split_once("\n\n").unwrap();
        assert_eq!(submission(request.old, &request.proof, note).as_bytes(), bytes);
    }
    if let Ok(read) = State::parse(bytes, cosigner.key()) {
        assert_eq!(read.encode(cosigner.key()), bytes);
    }
    let _ = read_answer(200, bytes, "a\n\n\u{2014} w AAAAAAA=\n", cosigner.key());
    let _ = read_answer(409, bytes, "", cosigner.key());
});
