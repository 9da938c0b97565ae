//! Segments written by every version of the format so far are read as they were meant.
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
use std::path::PathBuf;

use common::*;
use raincoat_journal::{Journal, JournalError, NoteKind, Order};
use raincoat_types::*;

const VERSION_1: &str = "000000YGJ0W09Q6KVHR9VJG5HX.seg";
const VERSION_2: &str = "000000YGJ0F2T7RPTCQ4C2D1TF.seg";

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Every kind of record and of change.
fn record(journal: &mut Journal) -> Result<Vec<Intent>, JournalError> {
    journal.begin_run(&header(1))?;
    let kept = store(journal, b"kept")?;
    let (from, to, at) = (spot("a"), spot("b/c"), spot("d"));
    let link = Image { meta: meta(FileKind::Symlink, 2), content: Content::Symlink(b"up".to_vec()) };
    let after = meta(FileKind::File, 9);
    let changes = [
        Change::Create { at: at.clone(), after: dir_image() },
        Change::Replace { at: at.clone(), before: kept.clone(), after: link, in_place: true },
        Change::Remove { at: at.clone(), before: kept.clone() },
        Change::Move { from: from.clone(), to, image: kept.clone() },
        Change::Link { existing: from, at: at.clone(), image: kept.clone() },
        Change::SetMeta { at: at.clone(), before: after.clone(), after },
    ];
    let dirs = vec![DirTimes { at: at.clone(), mtime: stamp(-5), atime: stamp(6) }];
    let mut intents: Vec<Intent> = (1..).zip(changes).map(|(seq, change)| intent(op_id(1, seq), change)).collect();
    intents[1].temp = Some(at);
    intents[1].dirs = dirs.clone();
    journal.intend(&intents[..5])?;
    intents[5].undoes = Some(op_id(1, 1));
    journal.intend(&intents[5..])?;
    for seq in 1..=4 {
        let result = OpResult::Done { after: Some(kept.clone()), dirs: dirs.clone() };
        journal.conclude(&[(op_id(1, seq), result)])?;
    }
    journal.conclude(&[(op_id(1, 5), OpResult::NotDone("no".into()))])?;
    journal.settle(op_id(1, 6), OpResult::RolledBack("back".into()))?;
    for kind in [NoteKind::Text, NoteKind::Plan, NoteKind::Transcript] {
        journal.note(run_id(1), kind, format!("{kind:?}").as_bytes())?;
    }
    journal.end_run(&end(1, RunStatus::Stopped))?;
    Ok(intents)
}

/// What version 2 has beside: packed content, a long list of chunks, and a commit's point.
fn record_2(journal: &mut Journal) -> Result<Vec<Intent>, JournalError> {
    let intents = record(journal)?;
    journal.begin_run(&header(2))?;
    let large = large(journal);
    journal.intend(&[removal(op_id(2, 1), "large", large)])?;
    journal.conclude(&[(op_id(2, 1), done())])?;
    journal.note(run_id(2), NoteKind::CommitPoint, &[7; 3000])?;
    journal.end_run(&end(2, RunStatus::Done))?;
    Ok(intents)
}

/// A file of 200 chunks, with a hole between each two.
fn large(journal: &mut Journal) -> Image {
    let (mut chunks, mut all) = (Vec::new(), Vec::new());
    for n in 0..200_u64 {
        let bytes = format!("{n} ").repeat(100).into_bytes();
        all.extend_from_slice(&bytes);
        let id = journal.put_chunk(&bytes).unwrap();
        chunks.push(Chunk { offset: n * 8192, len: bytes.len() as u32, id });
    }
    image_of(&all, chunks, true)
}

/// How a golden file is made, once, when a version of the format is new.
#[test]
#[ignore = "makes a golden file"]
fn make() {
    let store = Store::new();
    let mut journal = store.open();
    record_2(&mut journal).unwrap();
    drop(journal);
    let path = &store.segments()[0];
    let bytes = std::fs::read(path).unwrap();
    std::fs::create_dir_all(golden("")).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    std::fs::write(golden(&name), &bytes[..written(path)]).unwrap();
    println!("{name}");
}

/// A store that holds one golden segment.
fn with(name: &str) -> Store {
    let store = Store::new();
    std::fs::create_dir(store.home.path().join("segments")).unwrap();
    std::fs::copy(golden(name), store.home.path().join("segments").join(name)).unwrap();
    store
}

fn ops_of(journal: &Journal, run: RunId) -> Vec<OpRecord> {
    let mut read = Vec::new();
    journal
        .for_each_op(run, Order::Forward, |op| {
            read.push(op);
            ControlFlow::Continue(())
        })
        .unwrap();
    read
}

fn check_first_run(journal: &Journal) {
    let view = journal.run(run_id(1)).unwrap();
    assert_eq!((view.header, view.end), (header(1), Some(end(1, RunStatus::Stopped))));
    assert_eq!((view.plan, view.notes), (Some(b"Plan".to_vec()), vec!["Text".to_owned()]));
    let read = ops_of(journal, run_id(1));
    // What this version would write is what that file says.
    let expected = record(&mut Store::new().open()).unwrap();
    assert_eq!(read.iter().map(|op| op.intent.clone()).collect::<Vec<_>>(), expected);
    let before = expected[2].change.before().unwrap();
    assert_eq!(read_back(journal, before), b"kept");
    assert!(
        matches!(&read[0].result, Some(OpResult::Done { after: Some(image), dirs }) if image == before && dirs.len() == 1)
    );
    assert_eq!(read[4].result, Some(OpResult::NotDone("no".into())));
    assert_eq!(read[5].result, Some(OpResult::RolledBack("back".into())));
}

#[test]
fn a_segment_of_version_1_is_read() {
    let store = with(VERSION_1);
    let (journal, interrupted) = store.try_open().unwrap();
    assert_eq!(interrupted, []);
    assert!(journal.verify().unwrap().is_whole());
    check_first_run(&journal);
}

#[test]
fn a_segment_of_version_2_is_read() {
    let store = with(VERSION_2);
    let (journal, interrupted) = store.try_open().unwrap();
    assert_eq!(interrupted, []);
    assert!(journal.verify().unwrap().is_whole());
    check_first_run(&journal);
    let op = journal.op(op_id(2, 1)).unwrap();
    let expected = large(&mut Store::new().open());
    assert_eq!(op.intent, removal(op_id(2, 1), "large", expected.clone()));
    assert_eq!(read_back(&journal, &expected).len(), expected.meta.size as usize);
    let mut points = Vec::new();
    journal.for_each_note(run_id(2), NoteKind::CommitPoint, |bytes| points.push(bytes.to_vec())).unwrap();
    assert_eq!(points, [vec![7; 3000]]);
}

// A store goes on from version to version: what it held is there, what is new goes into a segment of its own.
#[test]
fn a_store_of_version_1_is_gone_on_with_in_a_new_segment() {
    let store = with(VERSION_1);
    let old = std::fs::read(golden(VERSION_1)).unwrap();
    let mut journal = store.open();
    whole_run(&mut journal, 2, &[b"kept", b"new"]);
    // What was done under version 1 is taken back under version 2.
    let step = journal.undo_step(op_id(1, 3)).unwrap();
    let header = RunHeader { kind: RunKind::Undo { of: run_id(1), ops: vec![] }, ..header(3) };
    journal.begin_run(&header).unwrap();
    let mut undoing = intent(op_id(3, 1), step.change);
    undoing.undoes = Some(step.op);
    journal.intend(&[undoing]).unwrap();
    journal.conclude(&[(op_id(3, 1), done())]).unwrap();
    journal.end_run(&end(3, RunStatus::Done)).unwrap();
    drop(journal);
    let (first, second): (Vec<_>, Vec<_>) = store.segments().into_iter().partition(|path| path.ends_with(VERSION_1));
    assert_eq!((first.len(), second.len()), (1, 1));
    assert!(std::fs::read(&first[0]).unwrap().starts_with(&old));
    store.drop_index();
    let mut journal = store.open();
    assert!(journal.verify().unwrap().is_whole());
    check_first_run(&journal);
    assert_eq!(journal.undone_by(op_id(1, 3)).unwrap(), Some(op_id(3, 1)));
    // Content of version 1 is not stored again.
    let before = written(&second[0]);
    whole_run(&mut journal, 4, &[b"kept"]);
    assert!(written(&second[0]) - before < 2000);
    assert_eq!(store.segments().len(), 2);
}

// A version that nobody here knows is said, and is no damage; a version's byte that was damaged is.
#[test]
fn a_newer_version_is_told_from_a_damaged_one() {
    let store = with(VERSION_2);
    patch(&store.segments()[0], |bytes| bytes[8] = 3);
    let (journal, _) = store.try_open().unwrap();
    assert_eq!(journal.damage().unwrap().len(), 1);
    check_first_run(&journal);
}
