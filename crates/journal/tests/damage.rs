//! Damage is found, wherever it is and whoever made it; a torn tail is not taken for damage.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod common;

use std::ops::ControlFlow;
use std::path::Path;

use common::*;
use raincoat_journal::{JournalError, Order};
use raincoat_types::*;

/// One run that ended, and one whose process died after an acknowledged intent and an unacknowledged one.
fn dead_store() -> (Store, usize, usize) {
    let store = Store::new();
    let mut journal = store.open();
    whole_run(&mut journal, 1, &[b"one", b"two"]);
    journal.begin_run(&header(2)).unwrap();
    let image = common::store(&mut journal, b"three").unwrap();
    journal.intend(&[removal(op_id(2, 1), "a", image.clone())]).unwrap();
    let before = written(&store.segments()[0]);
    let more = common::store(&mut journal, b"four").unwrap();
    journal.intend(&[removal(op_id(2, 2), "b", image), removal(op_id(2, 3), "c", more)]).unwrap();
    let after = written(&store.segments()[0]);
    let copy = store.snapshot();
    drop(journal);
    (copy, before, after)
}

fn seqs(journal: &raincoat_journal::Journal, n: u64) -> Vec<u32> {
    let mut all = Vec::new();
    journal
        .for_each_op(run_id(n), Order::Forward, |op| {
            all.push(op.intent.op.seq);
            ControlFlow::Continue(())
        })
        .unwrap();
    all
}

/// The store opens, has what was acknowledged, and goes on.
fn check_torn(store: &Store, expected: &[u32]) {
    let (mut journal, interrupted) = store.try_open().unwrap();
    assert_eq!(journal.damage().unwrap(), []);
    assert_eq!(seqs(&journal, 1), [1, 2]);
    assert_eq!(interrupted.len(), 1);
    let pending: Vec<u32> = interrupted[0].pending.iter().map(|record| record.intent.op.seq).collect();
    assert_eq!(pending, expected);
    for seq in pending {
        journal.settle(op_id(2, seq), done()).unwrap();
    }
    journal.end_run(&end(2, RunStatus::Interrupted)).unwrap();
    whole_run(&mut journal, 3, &[b"five"]);
    drop(journal);
    store.drop_index();
    let journal = store.open();
    assert!(journal.verify().unwrap().is_whole(), "{:?}", journal.verify().unwrap());
    assert_eq!(seqs(&journal, 2), expected);
    assert_eq!(seqs(&journal, 3), [1]);
}

// C2: whatever the last write left behind, what was acknowledged before it is there.
#[test]
fn a_tail_torn_at_any_byte_is_dropped_and_nothing_else_is() {
    let (store, before, after) = dead_store();
    let starts: Vec<usize> = records(&store.segments()[0]).into_iter().filter(|at| *at >= before).collect();
    assert_eq!(starts.len(), 3, "a chunk and two intents");
    let ends = [starts[1], starts[2], after];
    for cut in (before..after).step_by(7).chain(starts.iter().map(|at| at + 1)).chain(ends.map(|at| at - 1)) {
        let torn = store.snapshot();
        patch(&torn.segments()[0], |bytes| bytes[cut..after].fill(0));
        // Padding is zero anyway, and a record may end in a zero.
        let kept = patched_records(&store.segments()[0], &torn.segments()[0], &ends);
        let expected: Vec<u32> = (1..=kept.saturating_sub(1) as u32 + 1).collect();
        check_torn(&torn, &expected);
    }
}

/// How many of the three records that end there are the same in both files.
fn patched_records(whole: &Path, torn: &Path, ends: &[usize]) -> usize {
    let (whole, torn) = (std::fs::read(whole).unwrap(), std::fs::read(torn).unwrap());
    ends.iter().take_while(|end| whole[..**end] == torn[..**end]).count()
}

#[test]
fn a_batch_whose_sectors_reached_the_disk_in_any_order_is_dropped() {
    let (store, before, after) = dead_store();
    let middle = (before + after) / 2;
    for lost in [before..before + 48, before..middle, before + 8..before + 16, before + 60..middle] {
        let torn = store.snapshot();
        patch(&torn.segments()[0], |bytes| bytes[lost].fill(0));
        check_torn(&torn, &[1]);
    }
    // Rubbish where the batch should be, and behind it.
    let torn = store.snapshot();
    patch(&torn.segments()[0], |bytes| bytes[before..after + 5000].fill(0xa7));
    check_torn(&torn, &[1]);
}

// D2: a single flipped bit anywhere in what was acknowledged is found, with the index and without it.
#[test]
fn a_flipped_bit_anywhere_is_found() {
    let store = Store::new();
    let mut journal = store.open();
    whole_run(&mut journal, 1, &[b"one", &vec![3; 5000], b"three"]);
    whole_run(&mut journal, 2, &[b"four"]);
    drop(journal);
    let path = store.segments()[0].clone();
    let mark = *records(&path).last().unwrap();
    let reader = store.open();
    assert!(reader.verify().unwrap().is_whole());
    let bytes = std::fs::read(&path).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    use std::os::unix::fs::FileExt;
    for at in (0..mark).filter(|at| *at < 700 || at % 5 == 0 || *at > mark - 300) {
        file.write_all_at(&[bytes[at] ^ (1 << (at % 8))], at as u64).unwrap();
        let report = reader.verify().unwrap();
        assert!(!report.is_whole(), "byte {at} of {mark}");
        let near = report.problems.iter().any(|p| p.offset as usize <= at && at < (p.offset + p.bytes) as usize);
        assert!(near, "byte {at} of {mark}: {:?}", report.problems);
        file.write_all_at(&bytes[at..=at], at as u64).unwrap();
    }
    assert!(reader.verify().unwrap().is_whole());
    drop(reader);
    for at in (0..mark).step_by(211) {
        let copy = store.snapshot();
        copy.drop_index();
        patch(&copy.segments()[0], |bytes| bytes[at] ^= 0x10);
        let journal = copy.open();
        assert!(!journal.damage().unwrap().is_empty(), "byte {at} of {mark}");
        assert!(!journal.verify().unwrap().is_whole());
    }
}

#[test]
fn what_damage_costs_is_said_and_the_rest_still_reads() {
    let store = Store::new();
    let mut journal = store.open();
    whole_run(&mut journal, 1, &[b"one", b"two", b"three"]);
    drop(journal);
    let path = store.segments()[0].clone();
    let all = records(&path);
    // Begin, then chunk, intent, outcome for each file: hit the second file's chunk, and the third's intent.
    let (chunk, third) = (all[4], all[8]);
    patch(&path, |bytes| bytes[chunk + 60] ^= 1);
    let report = store.open().verify().unwrap();
    assert_eq!(report.lost_ops, [op_id(1, 2)]);
    assert_eq!(report.problems[0].offset as usize, chunk);
    patch(&path, |bytes| bytes[third + 60] ^= 1);
    store.drop_index();
    let mut journal = store.open();
    assert_eq!(journal.damage().unwrap().len(), 2);
    assert_eq!(journal.verify().unwrap().lost_ops, [op_id(1, 2), op_id(1, 3)]);
    let record = journal.op(op_id(1, 1)).unwrap();
    assert_eq!(read_back(&journal, record.intent.change.before().unwrap()), b"one");
    let lost = journal.for_each_op(run_id(1), Order::Forward, |_| ControlFlow::Continue(()));
    assert!(matches!(lost, Err(JournalError::Corrupt { .. })), "{lost:?}");
    // New work goes elsewhere.
    whole_run(&mut journal, 2, &[b"two"]);
    assert_eq!(store.segments().len(), 2);
    drop(journal);
    assert_eq!(seqs(&store.open(), 2), [1]);
}

// D2: what somebody who can write every file but has no key may try.
#[test]
fn records_cannot_be_swapped_replayed_cut_out_or_cut_off() {
    let store = Store::new();
    let mut journal = store.open();
    for n in 1..=3 {
        whole_run(&mut journal, n, &[b"same length 1", b"same length 2"]);
    }
    drop(journal);
    let path = store.segments()[0].clone();
    let all = records(&path);
    let end = written(&path);
    let attack = |what: &str, change: &dyn Fn(&mut Vec<u8>)| {
        for index in [true, false] {
            let copy = store.snapshot();
            if !index {
                copy.drop_index();
            }
            patch(&copy.segments()[0], change);
            let found = copy.try_open().and_then(|(journal, _)| journal.verify()).map(|report| !report.is_whole());
            // Without the index, and nothing outside, a tail that is gone was never there: the audit log knows it.
            assert!(found.unwrap_or(true) || (!index && what == "cut off"), "{what}, index {index}");
        }
    };
    attack("swap", &|bytes| {
        let len = all[2] - all[1];
        let (one, two) = (bytes[all[1]..all[2]].to_vec(), bytes[all[4]..all[4] + len].to_vec());
        bytes[all[1]..all[2]].copy_from_slice(&two);
        bytes[all[4]..all[4] + len].copy_from_slice(&one);
    });
    attack("replay", &|bytes| {
        let (from, to) = (all[3], all[4]);
        bytes.copy_within(from..to, all[6]);
    });
    attack("cut out", &|bytes| {
        bytes.copy_within(all[5].., all[3]);
        let len = bytes.len();
        bytes[len - (all[5] - all[3])..].fill(0);
    });
    attack("blanked", &|bytes| bytes[all[3]..all[6]].fill(0));
    attack("length", &|bytes| bytes[all[3]] ^= 8);
    attack("cut off", &|bytes| bytes[all[4]..end].fill(0));
    attack("cut off", &|bytes| bytes.truncate(all[6]));
}

#[test]
fn a_segment_that_is_gone_is_missed() {
    let store = Store::new();
    let mut journal = store.open();
    let mut other = store.open();
    other.begin_run(&header(9)).unwrap();
    whole_run(&mut journal, 1, &[b"one"]);
    let home = store.segments();
    drop((journal, other));
    assert_eq!(home.len(), 2);
    let first = home.iter().find(|path| written(path) > 1000).unwrap();
    std::fs::remove_file(first).unwrap();
    for _ in 0..2 {
        let journal = store.open();
        let report = journal.verify().unwrap();
        assert_eq!(report.problems[0].what, "the segment is missing");
        assert!(matches!(journal.run(run_id(1)), Err(JournalError::UnknownRun(_))));
    }
}

#[test]
fn another_stores_key_opens_nothing() {
    let store = Store::new();
    whole_run(&mut store.open(), 1, &[b"one"]);
    let key = raincoat_seal::SealKey::from_bytes([8; 32]);
    let dir = raincoat_os::PrivateDir::open(store.home.path()).unwrap();
    let opened = raincoat_journal::Journal::open(dir, raincoat_journal::JournalKeys::new(&key, &key), &At(1));
    assert!(matches!(opened, Err(JournalError::Corrupt { offset: 0, .. })));
    // And does no harm.
    assert_eq!(seqs(&store.open(), 1), [1]);
}
