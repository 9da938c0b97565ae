//! Any bytes as a live file, alone and after a sound start: no panic, and records lie one after the other.
#![no_main]

use libfuzzer_sys::fuzz_target;
use raincoat_audit::live::{Kind, Live, Preamble, Start, push_frame};

fuzz_target!(|bytes: &[u8]| {
    let _ = Live::parse(bytes);
    let _ = Start::parse(bytes);
    let mut file = Preamble { generation: [0; 16], suspect: false }.encode().to_vec();
    let start = Start { size: 0, edge: vec![Vec::new(); 7], note: String::new() };
    push_frame(&mut file, Kind::Start, &start.encode());
    push_frame(&mut file, Kind::Entry, bytes);
    let sound = file.len();
    file.extend_from_slice(bytes);
    let live = Live::parse(&file).expect("the start is sound");
    assert!(live.end >= sound && live.end <= file.len());
    assert!(live.records.windows(2).all(|two| two[0].body.end == two[1].at));
});
