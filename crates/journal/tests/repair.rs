//! A repair saves everything that can still be read, says what cannot, and makes nothing worse.
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
use raincoat_journal::{Journal, Order, RepairReport, Unrecorded};
use raincoat_types::*;

const CHILD: &str = "RAINCOAT_REPAIR_CHILD";

/// Three runs of three files each.
fn three() -> Store {
    let store = Store::new();
    let mut journal = store.open();
    for n in 1..=3 {
        let files: Vec<Vec<u8>> = (0..3).map(|file| format!("run {n} file {file}").repeat(90).into_bytes()).collect();
        whole_run(&mut journal, n, &[&files[0], &files[1], &files[2]]);
    }
    drop(journal);
    store
}

fn repair(store: &Store) -> RepairReport {
    let (mut journal, _) = store.try_open().unwrap();
    journal.repair(stamp(7), &Unrecorded::default(), &mut |_, _, _| None).unwrap()
}

/// What can be taken back of a run: its operations with whole before-images.
fn usable(journal: &Journal, n: u64) -> Vec<u32> {
    let mut all = Vec::new();
    let read = journal.for_each_op(run_id(n), Order::Forward, |op| {
        let Some(Image { content: Content::File(file), .. }) = op.intent.change.before() else { panic!() };
        if file.chunks.iter().all(|chunk| journal.read_chunk(chunk.id).is_ok()) && op.result.is_some() {
            all.push(op.intent.op.seq);
        }
        ControlFlow::Continue(())
    });
    read.unwrap();
    all
}

#[test]
fn the_rest_of_a_damaged_segment_is_saved_and_the_loss_is_known() {
    let store = three();
    let all = records(&store.segments()[0]);
    // Run 1's second content; run 2's first intent, and the outcome of its second.
    let (chunk, intent, outcome) = (all[4], all[14], all[18]);
    patch(&store.segments()[0], |bytes| {
        for at in [chunk, intent, outcome] {
            bytes[at + 60] ^= 1;
        }
    });
    let before = store.open().verify().unwrap();
    assert_eq!(before.lost_ops, [op_id(1, 2), op_id(2, 1)]);
    // Of the one whose intent is whole it is said which file that is.
    let lost = &before.lost[0];
    assert_eq!(
        (lost.at.clone(), lost.root.clone()),
        (Some(spot("papers/2.txt")), Some(b"/home/mira/zebrafish".to_vec()))
    );
    assert_eq!((lost.when, lost.size), (Some(stamp(500)), Some(12 * 90)));
    let report = repair(&store);
    assert_eq!((report.segments.len(), report.lost.len()), (1, 2));
    for index in [true, false] {
        if !index {
            store.drop_index();
        }
        let mut journal = store.open();
        let after = journal.verify().unwrap();
        assert!(after.is_whole(), "{after:?}");
        assert!(after.notes.iter().any(|note| note.contains("kept aside")), "{after:?}");
        assert_eq!(
            (usable(&journal, 1), usable(&journal, 2), usable(&journal, 3)),
            (vec![1, 3], vec![3], vec![1, 2, 3])
        );
        assert_eq!(journal.damage().unwrap(), []);
        // Work goes on.
        whole_run(&mut journal, if index { 4 } else { 5 }, &[b"more"]);
    }
    let journal = store.open();
    assert!(journal.discard_damaged().unwrap() > 0);
    assert!(journal.verify().unwrap().notes.iter().all(|note| !note.contains("kept aside")));
    assert_eq!(repair(&store).segments, []);
}

#[test]
fn a_segment_that_is_missing_is_given_up_by_word() {
    let store = three();
    let mut journal = store.open();
    let mut other = store.open();
    other.begin_run(&header(8)).unwrap();
    whole_run(&mut journal, 9, &[b"nine"]);
    other.end_run(&end(8, RunStatus::Done)).unwrap();
    drop((journal, other));
    std::fs::remove_file(&store.segments()[0]).unwrap();
    assert!(!store.open().verify().unwrap().is_whole());
    assert_eq!(repair(&store).missing.len(), 1);
    store.drop_index();
    let journal = store.open();
    assert!(journal.verify().unwrap().is_whole(), "{:?}", journal.verify().unwrap());
}

#[test]
fn a_segment_of_which_nothing_is_left_does_not_keep_the_rest_from_being_used() {
    let store = three();
    let first = store.segments()[0].clone();
    let one = store.open();
    let mut two = store.open();
    let mut holds = store.open();
    holds.begin_run(&header(8)).unwrap();
    whole_run(&mut two, 9, &[b"nine"]);
    drop((one, two, holds));
    // (Segments of the same millisecond come in any order.)
    let other = store.segments().into_iter().find(|path| *path != first).unwrap();
    patch(&other, |bytes| bytes.fill(0xee));
    let report = repair(&store);
    assert_eq!(report.segments.len(), 1);
    let journal = store.open();
    assert!(journal.verify().unwrap().is_whole());
    assert_eq!(usable(&journal, 3), [1, 2, 3]);
}

#[test]
fn a_run_whose_beginning_is_lost_begins_again_where_its_folders_are_known() {
    let store = three();
    let at = records(&store.segments()[0])[0];
    patch(&store.segments()[0], |bytes| bytes[at + 60] ^= 1);
    let copy = store.snapshot();
    let (mut journal, _) = store.try_open().unwrap();
    let report = journal
        .repair(stamp(7), &Unrecorded::default(), &mut |run, grants, first| {
            assert_eq!((grants.len(), first), (1, stamp(500)));
            Some(RunHeader { run, ..header(1) })
        })
        .unwrap();
    assert_eq!(report.begun_again, [run_id(1)]);
    drop(journal);
    let journal = store.open();
    assert_eq!((journal.run(run_id(1)).unwrap().ops, journal.verify().unwrap().is_whole()), (3, true));
    assert_eq!(repair(&copy).headless, [run_id(1)]);
    assert!(copy.open().verify().unwrap().is_whole());
}

#[test]
fn child() {
    if let Ok(home) = std::env::var(CHILD) {
        let (mut journal, _) = open_at(Path::new(&home)).unwrap();
        journal.repair(stamp(7), &Unrecorded::default(), &mut |_, _, _| None).unwrap();
    }
}

#[test]
fn a_repair_killed_at_any_call_can_be_done_again() {
    let store = three();
    let all = records(&store.segments()[0]);
    patch(&store.segments()[0], |bytes| bytes[all[4] + 60] ^= 1);
    for at in 1.. {
        let copy = store.snapshot();
        let finished = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture", "--test-threads=1"])
            .env(CHILD, copy.home.path())
            .env("RAINCOAT_FAULT", format!("kill:{at}"))
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap()
            .success();
        // What could be read before can be read after, whether it came to its end or not.
        let damaged = copy.open();
        assert_eq!((usable(&damaged, 1), usable(&damaged, 3)), (vec![1, 3], vec![1, 2, 3]), "{at}");
        drop(damaged);
        repair(&copy);
        copy.drop_index();
        let journal = copy.open();
        assert!(journal.verify().unwrap().is_whole(), "{at}: {:?}", journal.verify().unwrap());
        assert_eq!((usable(&journal, 1), usable(&journal, 3)), (vec![1, 3], vec![1, 2, 3]), "{at}");
        if finished {
            assert!(at > 10, "{at}");
            break;
        }
    }
}
