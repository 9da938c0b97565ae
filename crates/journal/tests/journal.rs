//! What is recorded comes back: in this process, in the next one, from the index and without it.
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

use common::*;
use raincoat_journal::{CHUNK_BYTES, Journal, JournalError, NoteKind, Order, Selection, Skipped};
use raincoat_types::*;

fn ops(journal: &Journal, n: u64, order: Order) -> Vec<OpRecord> {
    let mut all = Vec::new();
    journal
        .for_each_op(run_id(n), order, |op| {
            all.push(op);
            ControlFlow::Continue(())
        })
        .unwrap();
    all
}

fn check_runs(journal: &Journal, images: &[Image], files: &[&[u8]]) {
    let runs = journal.runs(None, 10).unwrap();
    assert_eq!(runs.iter().map(|run| run.header.clone()).collect::<Vec<_>>(), [header(2), header(1)]);
    assert_eq!(journal.runs(Some(run_id(2)), 10).unwrap().len(), 1);
    assert_eq!(journal.runs(None, 1).unwrap()[0].header, header(2));
    let view = journal.run(run_id(2)).unwrap();
    assert_eq!(view.end, Some(end(2, RunStatus::Done)));
    assert_eq!(view.ops as usize, files.len());
    let forward = ops(journal, 2, Order::Forward);
    let mut reverse = ops(journal, 2, Order::Reverse);
    reverse.reverse();
    assert_eq!(forward, reverse);
    for ((record, image), file) in forward.iter().zip(images).zip(files) {
        assert_eq!(record.intent.change.before(), Some(image));
        assert_eq!(record.result, Some(done()));
        assert_eq!(read_back(journal, image), *file);
        assert_eq!(journal.op(record.intent.op).unwrap(), *record);
    }
}

// C1: what a run did, and the bytes that it replaced, come back whole.
#[test]
fn what_is_recorded_comes_back_here_later_and_without_the_index() {
    let store = Store::new();
    let big: Vec<u8> = (0..3_000_000_u32).map(|n| (n * 7 % 251) as u8).collect();
    let files: [&[u8]; 4] = [b"one", &big, b"", b"three"];
    let mut journal = store.open();
    whole_run(&mut journal, 1, &[b"first"]);
    let images = whole_run(&mut journal, 2, &files);
    check_runs(&journal, &images, &files);
    assert!(journal.verify().unwrap().is_whole());
    drop(journal);
    let (journal, interrupted) = store.try_open().unwrap();
    assert_eq!(interrupted, []);
    check_runs(&journal, &images, &files);
    drop(journal);
    store.drop_index();
    let (journal, interrupted) = store.try_open().unwrap();
    assert_eq!(interrupted, []);
    check_runs(&journal, &images, &files);
    let report = journal.verify().unwrap();
    assert!(report.is_whole(), "{report:?}");
    assert_eq!((report.chunks, report.torn), (6, 0));
}

#[test]
fn a_rubbish_index_is_made_anew() {
    let store = Store::new();
    let files: [&[u8]; 2] = [b"one", b"two"];
    let mut journal = store.open();
    whole_run(&mut journal, 1, &[b"first"]);
    let images = whole_run(&mut journal, 2, &files);
    drop(journal);
    store.drop_index();
    for rubbish in [&b"this is no database, not even a little, however long it may go on ......"[..], &[0; 9000]] {
        std::fs::write(store.home.path().join("index.db"), rubbish).unwrap();
        check_runs(&store.open(), &images, &files);
    }
    // Pages overwritten in the middle.
    store.drop_index();
    drop(store.open());
    let path = store.home.path().join("index.db");
    let _ = std::fs::remove_file(store.home.path().join("index.db-wal"));
    let mut bytes = std::fs::read(&path).unwrap();
    let len = bytes.len();
    bytes[100..len].fill(0x5a);
    std::fs::write(&path, &bytes).unwrap();
    check_runs(&store.open(), &images, &files);
}

#[test]
fn the_same_content_is_stored_once() {
    let store = Store::new();
    let mut journal = store.open();
    let big = vec![0x42; 900_000];
    whole_run(&mut journal, 1, &[&big, &big]);
    drop(journal);
    let mut journal = store.open();
    let images = whole_run(&mut journal, 2, &[&big]);
    assert_eq!(journal.verify().unwrap().chunks, 1);
    let Content::File(content) = &images[0].content else { panic!() };
    assert_eq!(journal.lookup(&digest(&big)).unwrap().as_ref(), Some(content));
    assert_eq!(journal.lookup(&digest(b"other")).unwrap(), None);
}

#[test]
fn an_after_image_that_was_stored_is_found_by_its_digest() {
    let store = Store::new();
    let mut journal = store.open();
    journal.begin_run(&header(1)).unwrap();
    let after = common::store(&mut journal, b"what is written").unwrap();
    let wished = image_of(b"what is written", vec![], false);
    journal.intend(&[intent(op_id(1, 1), Change::Create { at: spot("x"), after: wished })]).unwrap();
    journal.conclude(&[(op_id(1, 1), OpResult::Done { after: Some(after.clone()), dirs: vec![] })]).unwrap();
    let found = journal.lookup(&digest(b"what is written")).unwrap().unwrap();
    assert_eq!(Content::File(found), after.content);
    journal.end_run(&end(1, RunStatus::Done)).unwrap();
    drop(journal);
    assert!(store.open().lookup(&digest(b"what is written")).unwrap().is_some());
}

#[test]
fn a_reader_leaves_no_segment() {
    let store = Store::new();
    let journal = store.open();
    assert_eq!(journal.runs(None, 10).unwrap(), []);
    assert!(matches!(journal.run(run_id(1)), Err(JournalError::UnknownRun(_))));
    drop(journal);
    assert!(store.segments().is_empty());
    assert!(!store.home.path().join("reserve").exists());
}

#[test]
fn commands_in_a_row_go_on_with_the_same_segment() {
    let store = Store::new();
    for n in 1..=20 {
        whole_run(&mut store.open(), n, &[format!("file {n}").as_bytes()]);
    }
    assert_eq!(store.segments().len(), 1);
    assert!(store.open().verify().unwrap().is_whole());
}

#[test]
fn two_processes_write_segments_of_their_own() {
    let store = Store::new();
    let (mut one, mut two) = (store.open(), store.open());
    one.begin_run(&header(1)).unwrap();
    two.begin_run(&header(2)).unwrap();
    for seq in 1..=50 {
        let image = common::store(&mut one, format!("one {seq}").as_bytes()).unwrap();
        one.intend(&[removal(op_id(1, seq), "a", image)]).unwrap();
        let image = common::store(&mut two, format!("two {seq}").as_bytes()).unwrap();
        two.intend(&[removal(op_id(2, seq), "b", image)]).unwrap();
        one.conclude(&[(op_id(1, seq), done())]).unwrap();
        two.conclude(&[(op_id(2, seq), done())]).unwrap();
    }
    // A third looks on: it sees both runs, and takes neither over.
    let (third, interrupted) = store.try_open().unwrap();
    assert_eq!(interrupted, []);
    assert_eq!(ops(&third, 1, Order::Forward).len(), 50);
    assert!(third.verify().unwrap().is_whole());
    one.end_run(&end(1, RunStatus::Done)).unwrap();
    two.end_run(&end(2, RunStatus::Done)).unwrap();
    drop((one, two, third));
    let journal = store.open();
    assert_eq!(store.segments().len(), 2);
    for n in [1, 2] {
        assert_eq!(ops(&journal, n, Order::Forward).len(), 50);
        assert!(journal.run(run_id(n)).unwrap().end.is_some());
    }
    assert!(journal.verify().unwrap().is_whole());
}

// C2: an interrupted run is found once, by one, with what was pending.
#[test]
fn an_interrupted_run_is_found_by_one_process_and_settled() {
    let store = Store::new();
    let mut journal = store.open();
    journal.begin_run(&header(1)).unwrap();
    let image = common::store(&mut journal, b"content").unwrap();
    let intents: Vec<Intent> = (1..=3).map(|seq| removal(op_id(1, seq), "x", image.clone())).collect();
    journal.intend(&intents).unwrap();
    journal.conclude(&[(op_id(1, 2), done())]).unwrap();
    drop(journal);
    let (mut first, interrupted) = store.try_open().unwrap();
    assert_eq!(interrupted.len(), 1);
    assert_eq!(interrupted[0].header, header(1));
    let pending: Vec<Intent> = interrupted[0].pending.iter().map(|record| record.intent.clone()).collect();
    assert_eq!(pending, [intents[0].clone(), intents[2].clone()]);
    assert_eq!(store.try_open().unwrap().1, [], "another process must not take it over too");
    assert!(matches!(first.end_run(&end(1, RunStatus::Interrupted)), Err(JournalError::StillPending(_, 2))));
    first.settle(op_id(1, 1), done()).unwrap();
    drop(first);
    let (mut second, interrupted) = store.try_open().unwrap();
    assert_eq!(interrupted[0].pending.len(), 1);
    second.settle(op_id(1, 3), OpResult::RolledBack("the file was as before".into())).unwrap();
    second.end_run(&end(1, RunStatus::Interrupted)).unwrap();
    drop(second);
    let (journal, interrupted) = store.try_open().unwrap();
    assert_eq!(interrupted, []);
    assert_eq!(journal.run(run_id(1)).unwrap().end.unwrap().status, RunStatus::Interrupted);
    assert_eq!(journal.plan_undo(&Selection::Run(run_id(1))).unwrap().ops, [op_id(1, 2), op_id(1, 1)]);
}

#[test]
fn what_the_caller_gets_wrong_is_refused() {
    let store = Store::new();
    let mut journal = store.open();
    let kept = image_of(b"x", vec![], false);
    let move_it = |op| intent(op, Change::Move { from: spot("a"), to: spot("b"), image: kept.clone() });
    assert!(matches!(journal.intend(&[move_it(op_id(1, 1))]), Err(JournalError::NotOpen(_))));
    journal.begin_run(&header(1)).unwrap();
    assert!(matches!(journal.begin_run(&header(1)), Err(JournalError::BegunBefore(_))));
    assert!(matches!(journal.intend(&[move_it(op_id(1, 2))]), Err(JournalError::OutOfOrder(_))));
    // Invariant 4: nothing is destroyed whose content is not in the store.
    assert!(matches!(journal.intend(&[removal(op_id(1, 1), "a", kept.clone())]), Err(JournalError::NotStored(_))));
    let invented = vec![Chunk { offset: 0, len: 1, id: ChunkId([9; 32]) }];
    let invented = image_of(b"x", invented, true);
    assert!(matches!(journal.intend(&[removal(op_id(1, 1), "a", invented)]), Err(JournalError::NotStored(_))));
    let mut undo = move_it(op_id(1, 1));
    undo.undoes = Some(op_id(8, 1));
    assert!(matches!(journal.intend(&[undo]), Err(JournalError::UnknownOp(_))));
    assert!(matches!(journal.conclude(&[(op_id(1, 1), done())]), Err(JournalError::NotPending(_))));
    journal.intend(&[move_it(op_id(1, 1))]).unwrap();
    journal.conclude(&[(op_id(1, 1), done())]).unwrap();
    assert!(matches!(journal.conclude(&[(op_id(1, 1), done())]), Err(JournalError::NotPending(_))));
    assert!(matches!(journal.put_chunk(&vec![0; (1 << 20) + 1]), Err(JournalError::TooLarge(_))));
    assert!(matches!(journal.read_chunk(ChunkId([9; 32])), Err(JournalError::UnknownChunk(_))));
}

#[test]
fn runs_are_found_by_the_beginning_or_the_end_of_their_id() {
    let store = Store::new();
    let mut journal = store.open();
    for n in 1..=3 {
        whole_run(&mut journal, n, &[b"x"]);
    }
    let text = run_id(2).to_string();
    assert_eq!(journal.find_run_prefix(&text).unwrap(), run_id(2));
    assert_eq!(journal.find_run_prefix(&text.split_at(18).1.to_lowercase()).unwrap(), run_id(2));
    assert!(matches!(journal.find_run_prefix(text.split_at(4).0), Err(JournalError::Ambiguous(_, 3))));
    for nothing in ["", "zzz", "not an id", &run_id(9).to_string()] {
        assert!(journal.find_run_prefix(nothing).is_err(), "{nothing}");
    }
}

#[test]
fn notes_plans_and_transcripts_come_back_in_order_and_whole() {
    let store = Store::new();
    let mut journal = store.open();
    journal.begin_run(&header(1)).unwrap();
    let plan: Vec<u8> = (0..2_500_000_u32).map(|n| (n % 253) as u8).collect();
    journal.note(run_id(1), NoteKind::Text, "moved nothing yet".as_bytes()).unwrap();
    journal.note(run_id(1), NoteKind::Plan, &plan).unwrap();
    journal.note(run_id(1), NoteKind::Transcript, b"{1}").unwrap();
    journal.note(run_id(1), NoteKind::Transcript, b"").unwrap();
    drop(journal);
    // The note goes on where a dead process left off.
    let (mut journal, _) = store.try_open().unwrap();
    journal.note(run_id(1), NoteKind::Text, b"recovered").unwrap();
    journal.end_run(&end(1, RunStatus::Interrupted)).unwrap();
    let view = journal.run(run_id(1)).unwrap();
    assert_eq!(view.notes, ["moved nothing yet", "recovered"]);
    assert_eq!(view.plan.as_deref(), Some(&plan[..]));
    let mut pieces = Vec::new();
    journal.for_each_note(run_id(1), NoteKind::Transcript, |bytes| pieces.push(bytes.to_vec())).unwrap();
    assert_eq!(pieces, [b"{1}".to_vec(), vec![]]);
}

// Invariant 6: no plaintext of ours at rest.
#[test]
fn nothing_readable_lies_on_the_disk() {
    let store = Store::new();
    let mut journal = store.open();
    journal.begin_run(&header(1)).unwrap();
    for seq in 1..=5 {
        let image = common::store(&mut journal, b"the zebrafish is striped and its name is Quixotl").unwrap();
        journal.intend(&[removal(op_id(1, seq), "zebrafish/Quixotl.txt", image)]).unwrap();
        journal.conclude(&[(op_id(1, seq), OpResult::NotDone("Quixotl swam away".into()))]).unwrap();
    }
    journal.note(run_id(1), NoteKind::Text, b"Quixotl is a zebrafish").unwrap();
    journal.end_run(&end(1, RunStatus::Done)).unwrap();
    let mut seen = 0;
    let mut folders = vec![store.home.path().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            seen += 1;
            let bytes = std::fs::read(&path).unwrap();
            for word in [&b"zebrafish"[..], b"Quixotl", b"papers", b"mira", b"tidy", b"striped"] {
                assert!(!bytes.windows(word.len()).any(|part| part == word), "{path:?}");
            }
            let digest = digest(b"the zebrafish is striped and its name is Quixotl").0;
            assert!(!bytes.windows(32).any(|part| part == digest), "{path:?} tells a digest");
        }
    }
    assert!(seen >= 3);
}

#[test]
fn undo_of_undo_of_undo_is_seen_as_what_it_is() {
    let store = Store::new();
    let mut journal = store.open();
    whole_run(&mut journal, 1, &[b"x", b"y"]);
    let target = op_id(1, 1);
    let mut undone = target;
    for n in 2..=9 {
        journal.begin_run(&header(n)).unwrap();
        let create = Change::Create { at: spot("a"), after: dir_image() };
        let mut step = intent(op_id(n, 1), create.clone());
        step.undoes = Some(undone);
        journal.intend(&[step]).unwrap();
        // One that failed, and one that did something else, change nothing.
        let mut failed = intent(op_id(n, 2), create);
        failed.undoes = Some(undone);
        journal.intend(&[failed]).unwrap();
        journal.conclude(&[(op_id(n, 1), done()), (op_id(n, 2), OpResult::NotDone("no".into()))]).unwrap();
        if n % 3 == 0 {
            journal.end_run(&end(n, RunStatus::Done)).unwrap();
        }
        undone = op_id(n, 1);
        let expected = (n % 2 == 0).then(|| op_id(2, 1));
        assert_eq!(journal.undone_by(target).unwrap(), expected, "after {n}");
    }
    assert_eq!(journal.undone_by(op_id(1, 2)).unwrap(), None);
    let plan = journal.plan_undo(&Selection::Run(run_id(1))).unwrap();
    assert_eq!(plan.ops, [op_id(1, 2), op_id(1, 1)]);
    let plan = journal.plan_undo(&Selection::Ops(vec![op_id(8, 1), op_id(1, 2), op_id(1, 2)])).unwrap();
    assert_eq!(plan.ops, [op_id(1, 2)]);
    assert_eq!(plan.skipped, [(op_id(8, 1), Skipped::Undone(op_id(9, 1)))]);
}

#[test]
fn a_hard_link_that_went_is_looked_for_by_its_inode() {
    let store = Store::new();
    let mut journal = store.open();
    journal.begin_run(&header(1)).unwrap();
    let mut image = common::store(&mut journal, b"linked").unwrap();
    image.meta.nlink = 2;
    journal.intend(&[removal(op_id(1, 1), "a", image.clone())]).unwrap();
    assert!(matches!(journal.undo_step(op_id(1, 1)), Err(JournalError::NothingToUndo(_))));
    journal.conclude(&[(op_id(1, 1), done())]).unwrap();
    let step = journal.undo_step(op_id(1, 1)).unwrap();
    let link = step.link.unwrap();
    assert_eq!((link.identity, link.nlink), (image.meta.identity, 2));
    assert_eq!(step.change, Change::Create { at: spot("a"), after: image });
}

#[test]
fn a_long_run_flows_through_segments_and_the_index_in_small_memory() {
    let store = Store::new();
    let mut journal = store.open();
    journal.begin_run(&header(1)).unwrap();
    let image = image_of(b"x", vec![], false);
    let total = 20_000;
    for base in (1..=total).step_by(100) {
        let intents: Vec<Intent> = (base..base + 100)
            .map(|seq| {
                let change = Change::Move { from: spot(&format!("a/{seq}")), to: spot("b"), image: image.clone() };
                intent(op_id(1, seq), change)
            })
            .collect();
        journal.intend(&intents).unwrap();
        let outcomes: Vec<_> = intents.iter().map(|intent| (intent.op, done())).collect();
        journal.conclude(&outcomes).unwrap();
    }
    let mut next = total;
    journal
        .for_each_op(run_id(1), Order::Reverse, |op| {
            assert_eq!(op.intent.op.seq, next);
            assert_eq!(op.result, Some(done()));
            next -= 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(next, 0);
    journal.end_run(&end(1, RunStatus::Done)).unwrap();
    let plan = journal.plan_undo(&Selection::Run(run_id(1))).unwrap();
    assert_eq!(plan.ops.len(), total as usize);
}

#[test]
fn a_full_segment_is_followed_by_another_that_names_it() {
    let store = Store::new();
    let mut journal = store.open();
    journal.begin_run(&header(1)).unwrap();
    let mut images = Vec::new();
    for seq in 1..=5_u32 {
        // Without a pattern: what shrinks would not fill a segment.
        let mut bytes = vec![0; 60 * CHUNK_BYTES];
        blake3::Hasher::new().update(&[seq as u8]).finalize_xof().fill(&mut bytes);
        let image = common::store(&mut journal, &bytes).unwrap();
        journal.intend(&[removal(op_id(1, seq), "x", image.clone())]).unwrap();
        journal.conclude(&[(op_id(1, seq), done())]).unwrap();
        images.push((image, bytes));
    }
    assert_eq!(store.segments().len(), 2);
    // The run is still owned by its process, though it writes elsewhere now.
    assert_eq!(store.try_open().unwrap().1, []);
    journal.end_run(&end(1, RunStatus::Done)).unwrap();
    drop(journal);
    store.drop_index();
    let journal = store.open();
    assert!(journal.verify().unwrap().is_whole());
    let (image, bytes) = &images[4];
    assert!(read_back(&journal, image) == *bytes);
    drop(journal);
    std::fs::remove_file(&store.segments()[0]).unwrap();
    store.drop_index();
    let report = store.open().verify().unwrap();
    assert!(report.problems.iter().any(|problem| problem.what == "the segment is missing"), "{report:?}");
}

#[test]
fn the_index_can_be_made_anew_in_the_middle_of_a_run() {
    let store = Store::new();
    let mut journal = store.open();
    whole_run(&mut journal, 1, &[b"one", b"two"]);
    journal.begin_run(&header(2)).unwrap();
    let image = common::store(&mut journal, b"three").unwrap();
    journal.intend(&[removal(op_id(2, 1), "a", image.clone())]).unwrap();
    journal.conclude(&[(op_id(2, 1), done())]).unwrap();
    journal.rebuild_index().unwrap();
    journal.intend(&[removal(op_id(2, 2), "a", image)]).unwrap();
    journal.rebuild_index().unwrap();
    journal.conclude(&[(op_id(2, 2), done())]).unwrap();
    journal.end_run(&end(2, RunStatus::Done)).unwrap();
    for n in [1, 2] {
        assert_eq!(ops(&journal, n, Order::Forward).len(), 2);
    }
    drop(journal);
    let (journal, interrupted) = store.try_open().unwrap();
    assert_eq!(interrupted, []);
    for n in [1, 2] {
        assert!(ops(&journal, n, Order::Forward).iter().all(|op| op.result == Some(done())));
    }
}

mod histories {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// Random work, with the process ended, killed or the index lost in between, against a plain list.
        #[test]
        fn what_is_read_is_what_was_recorded(steps in prop::collection::vec((0..8_u8, any::<u8>()), 1..60)) {
            let mut store = Store::new();
            let mut journal = store.open();
            let mut expected: Vec<(RunHeader, Vec<OpRecord>, bool)> = Vec::new();
            let mut contents: Vec<(Image, Vec<u8>)> = Vec::new();
            for (step, value) in steps {
                let n = expected.len() as u64;
                let open = expected.last().is_some_and(|(_, _, ended)| !ended);
                match step {
                    0 if !open => {
                        journal.begin_run(&header(n + 1)).unwrap();
                        expected.push((header(n + 1), vec![], false));
                    }
                    1..=3 if open => {
                        let (_, ops, _) = expected.last_mut().unwrap();
                        let bytes = vec![value % 5; usize::from(value) * 40];
                        let image = common::store(&mut journal, &bytes).unwrap();
                        contents.push((image.clone(), bytes));
                        let intent = removal(op_id(n, ops.len() as u32 + 1), "x", image);
                        journal.intend(std::slice::from_ref(&intent)).unwrap();
                        ops.push(OpRecord { intent, result: None });
                    }
                    4 | 5 if open => {
                        let (_, ops, _) = expected.last_mut().unwrap();
                        for op in ops.iter_mut().filter(|op| op.result.is_none()) {
                            let result = if value % 2 == 0 { done() } else { OpResult::NotDone("no".into()) };
                            journal.conclude(&[(op.intent.op, result.clone())]).unwrap();
                            op.result = Some(result);
                        }
                        if step == 5 {
                            journal.end_run(&end(n, RunStatus::Done)).unwrap();
                            expected.last_mut().unwrap().2 = true;
                        }
                    }
                    6 | 7 => {
                        if value % 3 == 0 {
                            store = store.snapshot();
                        }
                        drop(journal);
                        if step == 7 {
                            store.drop_index();
                        }
                        let (opened, interrupted) = store.try_open().unwrap();
                        journal = opened;
                        prop_assert_eq!(interrupted.len(), usize::from(open));
                    }
                    _ => {}
                }
                for (n, (header, records, ended)) in expected.iter().enumerate() {
                    let n = n as u64 + 1;
                    prop_assert_eq!(&ops(&journal, n, Order::Forward), records);
                    let view = journal.run(run_id(n)).unwrap();
                    prop_assert_eq!((&view.header, view.end.is_some()), (header, *ended));
                    let plan = journal.plan_undo(&Selection::Run(run_id(n))).unwrap();
                    let done: Vec<OpId> = records.iter().rev()
                        .filter(|op| matches!(op.result, Some(OpResult::Done { .. })))
                        .map(|op| op.intent.op).collect();
                    prop_assert_eq!(plan.ops, done);
                }
                for (image, bytes) in contents.iter().rev().take(3) {
                    prop_assert_eq!(&read_back(&journal, image), bytes);
                    let Content::File(content) = &image.content else { panic!() };
                    let found = journal.lookup(&digest(bytes)).unwrap();
                    prop_assert_eq!(found.as_ref(), Some(content));
                }
            }
            prop_assert!(journal.verify().unwrap().is_whole());
        }
    }
}

/// Not a test of correctness: `cargo test -p raincoat-journal --test journal -- --ignored --nocapture`.
#[test]
#[ignore = "measures"]
fn what_it_costs() {
    let home = tempfile::tempdir_in(std::env::temp_dir()).unwrap();
    for on in [Store::new(), Store { home }] {
        let mut journal = on.open();
        journal.begin_run(&header(1)).unwrap();
        let mut took: Vec<_> = (1..=2000_u32)
            .map(|seq| {
                let bytes: Vec<u8> = (0..1024_u32).flat_map(|n| (n ^ seq << 12).to_le_bytes()).collect();
                let start = std::time::Instant::now();
                let image = store(&mut journal, &bytes).unwrap();
                journal.intend(&[removal(op_id(1, seq), "a/b", image)]).unwrap();
                journal.conclude(&[(op_id(1, seq), done())]).unwrap();
                start.elapsed()
            })
            .collect();
        took.sort();
        let start = std::time::Instant::now();
        journal.end_run(&end(1, RunStatus::Done)).unwrap();
        println!("4 KiB: median {:?}, 90% {:?}; end {:?}", took[1000], took[1800], start.elapsed());
        drop(journal);
        for _ in 0..3 {
            let start = std::time::Instant::now();
            let journal = on.open();
            let opened = start.elapsed();
            drop(journal);
            println!("open {opened:?}, close {:?}", start.elapsed() - opened);
        }
        let start = std::time::Instant::now();
        let journal = on.open();
        println!("plan of 2000: {:?}", {
            journal.plan_undo(&Selection::Run(run_id(1))).unwrap();
            start.elapsed()
        });
    }
}
