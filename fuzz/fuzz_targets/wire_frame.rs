//! Any bytes as a frame from a worker: an error or a message, never a panic, never more memory than the bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use raincoat_types::wire::{FromWorker, ToWorker, receive, send};

fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    while let Ok(Some(message)) = receive::<FromWorker>(&mut rest, 1 << 20) {
        let mut again = Vec::new();
        if send(&mut again, &message, 1 << 20).is_ok() {
            let back: FromWorker = receive(&mut again.as_slice(), 1 << 20).expect("decodes").expect("is whole");
            assert_eq!(back, message);
        }
    }
    let _ = receive::<ToWorker>(&mut &*data, 1 << 20);
});
