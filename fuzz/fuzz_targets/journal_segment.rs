//! A segment of the journal, damaged in any way: reading it ends, finds no record that was not written, and takes no
//! body for what it is not.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use raincoat_journal::{CHUNK_BYTES, Journal, JournalKeys, NoteKind, inspect, is_body, unpack};
use raincoat_os::{PrivateDir, SystemClock};
use raincoat_seal::SealKey;
use raincoat_types::{Actor, RunEnd, RunHeader, RunId, RunKind, RunStatus, Timestamp, Ulid};

struct Segment {
    keys: JournalKeys,
    id: Ulid,
    bytes: Vec<u8>,
    records: u64,
}

fn keys() -> JournalKeys {
    let key = SealKey::from_bytes([1; 32]);
    JournalKeys::new(&key, &key)
}

/// A whole segment, made once.
fn whole() -> &'static Segment {
    static SEGMENT: OnceLock<Segment> = OnceLock::new();
    SEGMENT.get_or_init(|| {
        let home = tempfile::tempdir().expect("a scratch folder");
        let dir = PrivateDir::open(home.path()).expect("a store");
        let (mut journal, _) = Journal::open(dir, keys(), &SystemClock).expect("a journal");
        let (run, at) = (RunId(Ulid::from_parts(1, 1)), Timestamp::default());
        let (goal, kind) = (String::from("fuzz"), RunKind::Task);
        journal.begin_run(&RunHeader { run, at, actor: Actor::Person, goal, kind, roots: vec![] }).expect("a run");
        for n in 0..6 {
            // The longer ones are packed.
            journal.put_chunk(&vec![n; 100 * usize::from(n)]).expect("a chunk");
            journal.note(run, NoteKind::Text, &[n; 40]).expect("a note");
        }
        let (status, summary) = (RunStatus::Done, String::new());
        journal.end_run(&RunEnd { run, at, status, summary }).expect("an end");
        drop(journal);
        let entry = std::fs::read_dir(home.path().join("segments")).expect("segments").next().expect("one");
        let path = entry.expect("an entry").path();
        let id = Ulid::from_string(path.file_stem().and_then(|name| name.to_str()).expect("a name")).expect("an id");
        let mut bytes = std::fs::read(&path).expect("its bytes");
        bytes.truncate(8192);
        let records = inspect(&keys(), id, &bytes).records;
        Segment { keys: keys(), id, bytes, records }
    })
}

// Each eight bytes of input are an edit: a place, a length, what to do and with what.
fuzz_target!(|data: &[u8]| {
    let segment = whole();
    let mut bytes = segment.bytes.clone();
    for edit in data.chunks_exact(8) {
        let len = bytes.len().max(1);
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % len;
        let to = usize::from(u16::from_le_bytes([edit[2], edit[3]])) % len;
        let end = (at + usize::from(edit[4])).min(bytes.len());
        let to = to.min(bytes.len() - (end - at));
        match edit[5] % 5 {
            0 => bytes[at..end].iter_mut().for_each(|b| *b ^= edit[6]),
            1 => bytes[at..end].fill(edit[6]),
            2 => bytes.truncate(at),
            3 => bytes.copy_within(at..end, to),
            _ => drop(bytes.drain(at..end)),
        }
    }
    let found = inspect(&segment.keys, segment.id, &bytes);
    assert!(found.records <= segment.records);
    inspect(&segment.keys, segment.id, data);
    if let Some((code, body)) = data.split_first() {
        is_body(*code, body);
        // Whatever a packed body claims, it gets the room of its kind at most.
        let unpacked = unpack(*code, body).unwrap_or_default();
        assert!(unpacked.len() <= if *code == 2 { CHUNK_BYTES } else { 64 << 20 });
    }
});
