//! Any bytes as a signed note: no panic, and what reads as a checkpoint reads back the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use raincoat_audit::note::{Checkpoint, Note, Verifier};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(note) = Note::parse(bytes) {
        assert!(note.text.ends_with('\n') && !note.signatures.is_empty());
        if let Ok(head) = Checkpoint::parse(note.text) {
            assert_eq!(Checkpoint::parse(&head.text()), Ok(head));
        }
    }
    if let Some(verifier) = std::str::from_utf8(bytes).ok().and_then(Verifier::parse) {
        assert_eq!(Verifier::parse(&verifier.vkey()), Some(verifier));
    }
});
