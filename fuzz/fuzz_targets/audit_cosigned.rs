//! Any bytes as a note with the signatures of many: lines that a key owns are checked, others are passed over, and no line
//! counts that nobody signed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use raincoat_audit::note::Note;
use raincoat_audit::{Cosigned, Cosigner, WitnessKey};
use raincoat_types::Secret;

fuzz_target!(|bytes: &[u8]| {
    let cosigner = Cosigner::new("w", Secret::new([7; 32])).unwrap();
    if let Ok(note) = Note::parse(bytes) {
        assert!(!matches!(cosigner.key().check(&note), Ok(Cosigned::At(_))));
        let lines: String = note.signatures.iter().map(|line| line.line()).collect();
        if note.signatures.len() < raincoat_audit::note::MAX_SIGNATURES {
            let more = format!("{}\n{lines}{}", note.text, cosigner.cosign(note.text, 5));
            if let Ok(more) = Note::parse(more.as_bytes()) {
                let ours_before = note.signatures.iter().any(|line| cosigner.key().owns(line));
                assert!(ours_before || cosigner.key().check(&more) == Ok(Cosigned::At(5)));
            }
        }
    }
    if let Some(key) = std::str::from_utf8(bytes).ok().and_then(WitnessKey::parse) {
        assert_eq!(WitnessKey::parse(&key.vkey()), Some(key));
    }
});
