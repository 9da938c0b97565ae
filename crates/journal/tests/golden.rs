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

/// How a golden file is made, once, when a version of the format is new.
#[test]
#[ignore = "makes a golden file"]
fn make() {
    let store = Store::new();
    let mut journal = store.open();
    record(&mut journal).unwrap();
    drop(journal);
    let path = &store.segments()[0];
    let bytes = std::fs::read(path).unwrap();
    std::fs::create_dir_all(golden("")).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    std::fs::write(golden(&name), &bytes[..written(path)]).unwrap();
    println!("{name}");
}

#[test]
fn a_segment_of_version_1_is_read() {
    let store = Store::new();
    std::fs::create_dir(store.home.path().join("segments")).unwrap();
    std::fs::copy(golden(VERSION_1), store.home.path().join("segments").join(VERSION_1)).unwrap();
    let (journal, interrupted) = store.try_open().unwrap();
    assert_eq!(interrupted, []);
    assert!(journal.verify().unwrap().is_whole());
    let view = journal.run(run_id(1)).unwrap();
    assert_eq!((view.header, view.end), (header(1), Some(end(1, RunStatus::Stopped))));
    assert_eq!((view.plan, view.notes), (Some(b"Plan".to_vec()), vec!["Text".to_owned()]));
    let mut read = Vec::new();
    journal
        .for_each_op(run_id(1), Order::Forward, |op| {
            read.push(op);
            ControlFlow::Continue(())
        })
        .unwrap();
    // What this version would write is what that file says.
    let expected = record(&mut Store::new().open()).unwrap();
    assert_eq!(read.iter().map(|op| op.intent.clone()).collect::<Vec<_>>(), expected);
    let before = expected[2].change.before().unwrap();
    assert_eq!(read_back(&journal, before), b"kept");
    assert!(
        matches!(&read[0].result, Some(OpResult::Done { after: Some(image), dirs }) if image == before && dirs.len() == 1)
    );
    assert_eq!(read[4].result, Some(OpResult::NotDone("no".into())));
    assert_eq!(read[5].result, Some(OpResult::RolledBack("back".into())));
}
