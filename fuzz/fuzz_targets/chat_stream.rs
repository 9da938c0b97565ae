//! Any bytes as a model's reply, in any split: never a panic, and always the same events.
#![no_main]

use libfuzzer_sys::fuzz_target;
use raincoat_model::{Decoder, Event, Reply, ReplyError, ReplyLimits, read_models};

fn read(body: &[u8], step: usize, status: u16) -> (Vec<Event>, Result<Reply, ReplyError>) {
    let mut events = Vec::new();
    let limits = ReplyLimits { total_bytes: 64 << 10, line_bytes: 4 << 10, events: 500, ..ReplyLimits::default() };
    let mut decoder = Decoder::new(limits);
    for piece in body.chunks(step) {
        if let Err(error) = decoder.feed(piece, &mut events) {
            return (events, Err(error));
        }
    }
    let reply = decoder.finish(status, &mut events);
    (events, reply)
}

fuzz_target!(|data: &[u8]| {
    let Some((first, body)) = data.split_first() else { return };
    let status = if first & 1 == 0 { 200 } else { 500 };
    assert_eq!(read(body, usize::from(first >> 1) + 1, status), read(body, body.len().max(1), status));
    let _ = read_models(status, body);
});
