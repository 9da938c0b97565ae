//! No document, however broken or hostile, may hang the extraction, make it grow without bound, or take the process
//! down: text comes out, or an error.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use raincoat_agent::extract::{ExtractLimits, Media, metadata, text};

fuzz_target!(|bytes: &[u8]| {
    let limits = ExtractLimits { unpacked_bytes: 16 << 20, steps: 100_000, ..ExtractLimits::default() };
    // The name only tells HTML from plain text: its first byte chooses.
    let name: &[u8] = if bytes.first().is_some_and(|b| b & 1 == 1) { b"x.html" } else { b"x" };
    if let Ok(extracted) = text(name, bytes, &limits) {
        assert!(extracted.text.len() <= limits.text_bytes);
    }
    let _ = metadata(Cursor::new(bytes), Media::Picture);
    let _ = metadata(Cursor::new(bytes), Media::Music);
});
