//! Committing a draft: what stands in the folder afterwards is what the program left, undo gives back what was there,
//! and where anything stands in the way nothing is changed at all (B1, B3, C1).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests"
)]

mod common;

use std::os::unix::fs::MetadataExt;

use common::draft::*;
use common::*;
use raincoat_os::scratch;
use raincoat_os::snapshot::Snapshot;
use raincoat_types::*;

/// Something of everything that a program does.
fn work(draft: &mut Draft<'_>) {
    draft.write("docs/a.txt", b"another hello\n");
    draft.write("docs/words", &[7; 70_000]);
    draft.write("docs/new.txt", b"new");
    draft.write("made/in/depth/file", b"deep");
    draft.mkdir("made/empty");
    draft.symlink("made/link", "../docs/a.txt");
    draft.symlink("docs/dangling", "nowhere");
    draft.write("made/\u{fc}n\u{ef} \u{1f980}", b"unicode");
    draft.write("made/odd\nname", b"newline");
    draft.remove("docs/nothing");
    draft.remove("src");
    draft.remove("links/soft");
    draft.write("links/soft", b"a file where a link was");
    draft.remove("empty");
    draft.write("empty", b"a file where a folder was");
    draft.remove("docs/b.txt");
    draft.write("docs/b.txt/inside", b"a folder where a file was");
    draft.write("made/one", b"two names");
    std::fs::hard_link(draft.upper().join("made/one"), draft.up("docs/two")).unwrap();
    draft.write("made/script", b"#!/bin/sh\n");
    draft.chmod("made/script", 0o750);
    draft.chmod("made/in", 0o711);
    let _ = scratch::set_xattr(&draft.upper().join("made/script"), "user.note", b"kept");
    let _ = scratch::set_xattr(&draft.upper().join("made/in"), "user.dir", b"kept too");
    let sparse = std::fs::File::create(draft.up("made/sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"middle", 1 << 20).unwrap();
    drop(sparse);
    draft.chmod("docs", 0o705);
    // A program sets times as well.
    let past = Timestamp { secs: 1_234_567_890, nanos: 987_654_321 };
    scratch::set_times(&draft.upper().join("made/in/depth"), past, past).unwrap();
    scratch::set_times(&draft.upper().join("docs/new.txt"), past, past).unwrap();
}

#[test]
fn a_commit_leaves_what_the_program_left_and_undo_gives_back_what_was_there() {
    let home = Home::new();
    furnish(&home);
    let before = home.snapshot();
    let mut draft = Draft::new(&home);
    work(&mut draft);
    let meant = draft.meant();
    let store = home.open();
    let run = commit_whole(&store, &draft);
    let after = home.snapshot();
    assert_same(&meant, &after, "committed");
    assert!(leftovers(&home.tree()).is_empty());
    // Undo, redo, and undo again.
    let undo = store.undo_whole(run);
    assert_same(&before, &home.snapshot(), "undone");
    let redo = store.undo_whole(undo);
    assert_same(&after, &home.snapshot(), "redone");
    store.undo_whole(redo);
    assert_same(&before, &home.snapshot(), "undone again");
    drop(store);
    home.verify();
}

#[test]
fn while_the_program_runs_copies_are_committed_and_its_draft_stays_as_it_is() {
    let home = Home::new();
    furnish(&home);
    let before = home.snapshot();
    let mut draft = Draft::new(&home);
    work(&mut draft);
    let meant = draft.meant();
    let in_draft = Snapshot::take(&draft.upper()).unwrap();
    let store = home.open();
    let (run, applied, told) = commit_items(&store, &draft, &draft.items(), false, true);
    assert!(told.is_empty() && applied.failure.is_none() && applied.conflicts.is_empty(), "{told:?} {applied:?}");
    end(&store, run);
    assert_same(&meant, &home.snapshot(), "committed");
    assert_same(&in_draft, &Snapshot::take(&draft.upper()).unwrap(), "the draft");
    assert_eq!(std::fs::read_dir(draft.stage()).unwrap().count(), 0);
    store.undo_whole(run);
    assert_same(&before, &home.snapshot(), "undone");
}

#[test]
fn a_draft_on_another_file_system_is_copied() {
    let home = Home::new();
    let other = Home::quick();
    if std::fs::metadata(&home.dir).unwrap().dev() == std::fs::metadata(&other.dir).unwrap().dev() {
        panic!("/dev/shm is no file system of its own here; mount a tmpfs there to run this");
    }
    furnish(&home);
    let before = home.snapshot();
    let mut draft = Draft::at(&home, &other.dir.join("draft"));
    work(&mut draft);
    let meant = draft.meant();
    let store = home.open();
    let run = commit_whole(&store, &draft);
    assert_same(&meant, &home.snapshot(), "committed");
    assert!(leftovers(&home.tree()).is_empty());
    store.undo_whole(run);
    assert_same(&before, &home.snapshot(), "undone");
}
