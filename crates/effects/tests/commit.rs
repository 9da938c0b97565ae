//! Committing a draft: what stands in the folder afterwards is what the program left, undo gives back what was there,
//! and where anything stands in the way nothing is changed at all (B1, B3, C1).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::type_complexity,
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

/// Nothing of a commit happened, and a later one works.
fn nothing_happened(home: &Home, before: &Snapshot, what: &str) {
    assert_same(before, &home.snapshot(), what);
    assert!(leftovers(&home.tree()).is_empty(), "{what}");
}

#[test]
fn five_thousand_files_are_committed_and_taken_back() {
    let home = Home::quick();
    for n in 0..25 {
        std::fs::create_dir(home.path(&format!("old-{n}"))).unwrap();
        for m in 0..100 {
            std::fs::write(home.path(&format!("old-{n}/{m}")), format!("before {n} {m}")).unwrap();
        }
    }
    age(&home.tree());
    let before = home.snapshot();
    let draft = Draft::new(&home);
    for n in 0..25 {
        for m in 0..100 {
            draft.write(&format!("old-{n}/{m}"), format!("after {n} {m}").as_bytes());
            draft.write(&format!("new/{n}/{m}"), format!("new {n} {m}").as_bytes());
        }
    }
    let store = home.open();
    let run = commit_whole(&store, &draft);
    for n in 0..25 {
        for m in 0..100 {
            let read = |path: String| std::fs::read_to_string(home.path(&path)).unwrap();
            assert_eq!(read(format!("old-{n}/{m}")), format!("after {n} {m}"));
            assert_eq!(read(format!("new/{n}/{m}")), format!("new {n} {m}"));
        }
    }
    store.undo_whole(run);
    assert_same(&before, &home.snapshot(), "undone");
}

#[test]
fn what_somebody_changed_since_the_review_keeps_all_of_it_from_being_committed() {
    let ways: [(&str, &dyn Fn(&Home)); 6] = [
        ("written", &|home| std::fs::write(home.path("docs/a.txt"), b"theirs").unwrap()),
        ("replaced", &|home| {
            std::fs::write(home.path("theirs"), b"hello\n").unwrap();
            std::fs::rename(home.path("theirs"), home.path("docs/a.txt")).unwrap();
        }),
        ("taken away", &|home| std::fs::remove_file(home.path("docs/words")).unwrap()),
        ("made", &|home| std::fs::write(home.path("docs/new.txt"), b"theirs").unwrap()),
        ("given another mode", &|home| assert!(sh("chmod 640 docs/a.txt", &home.tree()))),
        ("put into a folder that goes", &|home| std::fs::write(home.path("src/theirs"), b"theirs").unwrap()),
    ];
    for (what, change) in ways {
        let home = Home::quick();
        furnish(&home);
        let mut draft = Draft::new(&home);
        work(&mut draft);
        let items = draft.items();
        change(&home);
        let theirs = home.snapshot();
        let in_draft = Snapshot::take(&draft.upper()).unwrap();
        let store = home.open();
        let run = begin_commit(&store);
        let mut effects = raincoat_effects::Effects::new(store.start(run, &Actor::Person));
        effects.begin_commit(draft.begin(true, false));
        let refused = items.iter().filter(|item| propose_one(&mut effects, run, &store, item).is_err()).count();
        if refused == 0 {
            let applied = effects.apply();
            assert!(applied.changes == 0 && !applied.conflicts.is_empty(), "{what}: {applied:?}");
        } else {
            effects.abandon();
        }
        end(&store, run);
        nothing_happened(&home, &theirs, what);
        assert_same(&in_draft, &Snapshot::take(&draft.upper()).unwrap(), what);
    }
}

#[test]
fn what_is_planted_in_the_draft_is_neither_followed_nor_opened() {
    let outside = |home: &Home| {
        std::fs::write(home.dir.join("outside/secret"), b"a secret").unwrap();
        home.dir.join("outside")
    };
    let ways: [(&str, &dyn Fn(&Home, &Draft<'_>)); 5] = [
        ("a symlink in a file's place", &|home, draft| {
            let secret = outside(home).join("secret");
            std::fs::remove_file(draft.upper().join("docs/a.txt")).unwrap();
            std::os::unix::fs::symlink(secret, draft.upper().join("docs/a.txt")).unwrap();
        }),
        ("a FIFO in a file's place", &|_, draft| {
            assert!(sh("rm docs/a.txt; mkfifo docs/a.txt", &draft.upper()));
        }),
        ("a symlink in a folder's place", &|home, draft| {
            let outside = outside(home);
            std::fs::write(outside.join("a.txt"), b"theirs").unwrap();
            std::fs::rename(draft.upper().join("docs"), draft.upper().join("docs-2")).unwrap();
            std::os::unix::fs::symlink(outside, draft.upper().join("docs")).unwrap();
        }),
        ("another file", &|_, draft| {
            assert!(sh("cp -a docs/a.txt x; mv x docs/a.txt", &draft.upper()));
        }),
        ("other content with the same times", &|_, draft| {
            assert!(sh(
                "touch -r docs/a.txt t; printf 'another HELLO\\n' > docs/a.txt; touch -r t docs/a.txt; rm t",
                &draft.upper()
            ));
        }),
    ];
    for (what, plant) in ways {
        let home = Home::quick();
        furnish(&home);
        let mut draft = Draft::new(&home);
        work(&mut draft);
        let items = draft.items();
        let before = home.snapshot();
        plant(&home, &draft);
        let store = home.open();
        let run = begin_commit(&store);
        let mut effects = raincoat_effects::Effects::new(store.start(run, &Actor::Person));
        effects.begin_commit(draft.begin(true, false));
        let mut no = 0;
        for item in &items {
            no += usize::from(propose_one(&mut effects, run, &store, item).is_err());
        }
        if no == 0 {
            let applied = effects.apply();
            assert!(applied.changes == 0 && !applied.conflicts.is_empty(), "{what}: {applied:?}");
        } else {
            effects.abandon();
        }
        end(&store, run);
        nothing_happened(&home, &before, what);
    }
}

#[test]
fn what_is_planted_after_it_was_sealed_takes_all_of_it_back() {
    let ways: [(&str, &dyn Fn(&Home, &Draft<'_>)); 6] = [
        ("the file in the folder is replaced", &|home, _| {
            assert!(sh("printf theirs > x; mv x docs/words", &home.tree()));
        }),
        ("the file in the folder is written", &|home, _| std::fs::write(home.path("docs/words"), b"theirs").unwrap()),
        ("a name is taken", &|home, _| std::fs::write(home.path("made"), b"theirs").unwrap()),
        ("the folder becomes a symlink", &|home, _| {
            let outside = home.dir.join("outside");
            assert!(sh(&format!("mv docs docs-2; ln -s {} docs", outside.display()), &home.tree()));
        }),
        ("the draft's folder becomes a symlink", &|home, draft| {
            let outside = home.dir.join("outside");
            assert!(sh(&format!("mv docs docs-2; ln -s {} docs", outside.display()), &draft.upper()));
        }),
        ("the draft's file becomes a symlink", &|_, draft| {
            assert!(sh("rm docs/words; ln -s /etc/passwd docs/words", &draft.upper()));
        }),
    ];
    for (what, plant) in ways {
        let home = Home::quick();
        furnish(&home);
        let mut draft = Draft::new(&home);
        work(&mut draft);
        let items = draft.items();
        let store = home.open();
        let run = begin_commit(&store);
        let mut effects = raincoat_effects::Effects::new(store.start(run, &Actor::Person));
        effects.begin_commit(draft.begin(true, false));
        for item in &items {
            propose_one(&mut effects, run, &store, item).unwrap();
        }
        plant(&home, &draft);
        let theirs = home.snapshot();
        let applied = effects.apply();
        assert_eq!(applied.changes, 0, "{what}: {applied:?}");
        assert!(!applied.conflicts.is_empty() || applied.failure.is_some(), "{what}: {applied:?}");
        assert!(applied.failure.as_ref().is_none_or(|f| f.kind != FailureKind::Broken), "{what}: {applied:?}");
        end(&store, run);
        // Times of folders that somebody else touched are not ours to know.
        assert_same_but_folder_times(&theirs, &home.snapshot(), what);
        assert!(leftovers(&home.tree()).is_empty(), "{what}");
        assert_eq!(std::fs::read_dir(home.dir.join("outside")).unwrap().count(), 0, "{what}");
        drop(effects);
        drop(store);
        home.verify();
    }
}

#[test]
fn a_file_that_another_program_has_open_to_write_is_a_conflict() {
    let home = Home::new();
    furnish(&home);
    let before = home.snapshot();
    let mut draft = Draft::new(&home);
    work(&mut draft);
    let items = draft.items();
    let open = std::fs::OpenOptions::new().write(true).open(home.path("docs/words")).unwrap();
    let store = home.open();
    let (run, applied, _) = commit_items(&store, &draft, &items, true, false);
    assert_eq!(applied.conflicts.len(), 1, "{applied:?}");
    drop(open);
    end(&store, run);
    nothing_happened(&home, &before, "open elsewhere");
    // Nothing of the draft was lost by the attempt.
    let meant = draft.meant();
    commit_whole(&store, &draft);
    assert_same(&meant, &home.snapshot(), "committed after all");
}

#[test]
fn a_file_with_other_names_changes_under_each_of_them_or_loses_one_as_the_program_left_it() {
    let home = Home::new();
    furnish(&home);
    let before = home.snapshot();
    let mut draft = Draft::new(&home);
    draft.write_through("links/one", b"written through one of its names");
    draft.write("links/beside", b"x");
    let meant = draft.meant();
    let store = home.open();
    let run = commit_whole(&store, &draft);
    assert_same(&meant, &home.snapshot(), "written through");
    assert_eq!(std::fs::read(home.path("docs/three")).unwrap(), b"written through one of its names");
    store.undo_whole(run);
    assert_same(&before, &home.snapshot(), "undone");
    // Replaced under one name only.
    let other = Draft::at(&home, &home.dir.join("draft-2"));
    other.write("links/one", b"another file");
    let meant = other.meant();
    let run = commit_whole(&store, &other);
    // What came out lies in the draft until that is wiped.
    std::fs::remove_dir_all(&other.place).unwrap();
    assert_same(&meant, &home.snapshot(), "replaced");
    assert_eq!(std::fs::read(home.path("docs/three")).unwrap(), b"linked");
    store.undo_whole(run);
    assert_same(&before, &home.snapshot(), "undone again");
}

#[test]
fn a_file_that_keeps_a_name_in_the_draft_is_copied() {
    let home = Home::new();
    furnish(&home);
    let draft = Draft::new(&home);
    draft.write("docs/one", b"two names");
    std::fs::hard_link(draft.upper().join("docs/one"), draft.up("docs/other")).unwrap();
    let store = home.open();
    let items: Vec<Item> = draft.items().into_iter().filter(|item| !item.path.ends_with("other")).collect();
    let (run, applied, told) = commit_items(&store, &draft, &items, true, true);
    assert!(told.is_empty() && applied.failure.is_none() && applied.conflicts.is_empty(), "{told:?} {applied:?}");
    end(&store, run);
    std::fs::write(draft.upper().join("docs/other"), b"written in the draft").unwrap();
    assert_eq!(std::fs::read(home.path("docs/one")).unwrap(), b"two names");
}

#[test]
fn a_part_is_committed_and_then_the_rest() {
    let home = Home::new();
    furnish(&home);
    let before = home.snapshot();
    let mut draft = Draft::new(&home);
    work(&mut draft);
    let meant = draft.meant();
    let store = home.open();
    let part: Vec<Item> = draft.items().into_iter().filter(|item| item.path.starts_with("docs/a.txt")).collect();
    assert_eq!(part.len(), 1);
    let (first, applied, _) = commit_items(&store, &draft, &part, true, true);
    assert_eq!(applied.changes, 1, "{applied:?}");
    end(&store, first);
    assert!(!draft.upper().join("docs/a.txt").exists(), "the old version is not a change of the draft");
    let second = commit_whole(&store, &draft);
    assert_same(&meant, &home.snapshot(), "both");
    store.undo_whole(second);
    store.undo_whole(first);
    assert_same_but_folder_times(&before, &home.snapshot(), "both undone");
}

#[test]
fn protected_names_come_along_only_where_the_person_named_them_and_secrets_never() {
    let home = Home::new();
    furnish(&home);
    let draft = Draft::new(&home);
    draft.write(".git/hooks/pre-commit", b"#!/bin/sh\n");
    draft.write(".env", b"KEY=1");
    let store = home.open();
    let run = begin_commit(&store);
    let mut effects = raincoat_effects::Effects::new(store.start(run, &Actor::Person));
    effects.begin_commit(draft.begin(true, false));
    let hook = draft.item(".git/hooks/pre-commit", Take::FromDraft);
    for folder in [".git", ".git/hooks"] {
        let item = Item { named: true, ..draft.item(folder, Take::FromDraft) };
        propose_one(&mut effects, run, &store, &item).unwrap();
    }
    assert_eq!(propose_one(&mut effects, run, &store, &hook), Err("protected-name".to_owned()));
    propose_one(&mut effects, run, &store, &Item { named: true, ..hook }).unwrap();
    let secret = Item { named: true, ..draft.item(".env", Take::FromDraft) };
    assert_eq!(propose_one(&mut effects, run, &store, &secret), Err("protected-name".to_owned()));
    let applied = effects.apply();
    assert_eq!(applied.changes, 3, "{applied:?}");
    end(&store, run);
    assert!(home.path(".git/hooks/pre-commit").exists() && !home.path(".env").exists());
}

#[test]
fn outside_a_commit_nothing_is_adopted() {
    let home = Home::quick();
    furnish(&home);
    let draft = Draft::new(&home);
    draft.write("docs/a.txt", b"x");
    let store = home.open();
    let mut run = store.run();
    let item = draft.item("docs/a.txt", Take::FromDraft);
    let action = FileChange::Adopt {
        at: place("docs/a.txt"),
        take: item.take,
        expect: item.expect,
        new: item.new.map(Box::new),
        meta: None,
        named: true,
    };
    assert!(run.propose(action).is_err());
    run.end();
}

#[test]
fn a_commit_that_reads_beside_leaves_the_same_and_finds_what_is_not_as_it_was_reviewed() {
    let spoils: [(&str, &dyn Fn(&Home, &Draft<'_>, &mut Vec<Item>)); 4] = [
        ("nothing", &|_, _, _| {}),
        ("another digest than was reviewed", &|_, draft, items| {
            let seen = |item: &&mut Item| item.path.ends_with("file-77");
            let item = items.iter_mut().find(seen).unwrap();
            // The change time moves, so that the digest that was seen does not stand for the content any more.
            assert!(sh("touch -c -r made/file-77 made/file-77", &draft.upper()));
            item.new.as_mut().unwrap().digest = Some(Digest([7; 32]));
        }),
        ("written to after the review", &|_, draft, _| {
            std::fs::write(draft.upper().join("made/file-99"), b"something else").unwrap();
        }),
        ("a FIFO in a file's place", &|_, draft, _| {
            assert!(sh("rm made/file-42; mkfifo made/file-42", &draft.upper()));
        }),
    ];
    for (what, spoil) in spoils {
        let home = Home::quick();
        furnish(&home);
        let before = home.snapshot();
        let mut draft = Draft::new(&home);
        work(&mut draft);
        // More than are under way at once, one with attributes of its own and one with the layering's.
        for n in 0..200 {
            draft.write(&format!("made/file-{n}"), &vec![n as u8; n * 397]);
        }
        let _ = scratch::set_xattr(&draft.upper().join("made/file-3"), "user.note", b"kept");
        let _ = scratch::set_xattr(&draft.upper().join("made/file-4"), "user.overlay.impure", b"y");
        let meant = draft.meant();
        let mut items = draft.items();
        spoil(&home, &draft, &mut items);
        let store = home.open();
        let run = begin_commit(&store);
        let mut effects = raincoat_effects::Effects::new(store.start(run, &Actor::Person));
        effects.begin_commit(draft.begin(true, false));
        effects.read_beside(raincoat_effects::commit::Reader::start().unwrap());
        let (applied, told) = propose_all(&mut effects, run, &store, &items);
        drop(effects);
        end(&store, run);
        if what == "nothing" {
            assert!(
                told.is_empty() && applied.failure.is_none() && applied.conflicts.is_empty(),
                "{told:?} {applied:?}"
            );
            assert_same(&meant, &home.snapshot(), what);
            store.undo_whole(run);
            assert_same(&before, &home.snapshot(), "undone");
        } else if told.is_empty() {
            assert!(applied.changes == 0 && applied.conflicts.len() == 1, "{what}: {applied:?}");
            nothing_happened(&home, &before, what);
        } else {
            // What was not taken in at all is its caller's to stop for.
            assert_eq!(told.len(), 1, "{what}: {told:?}");
        }
    }
}
