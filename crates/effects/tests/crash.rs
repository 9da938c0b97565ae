//! Dying, and failing disks, at every call that changes something: after a restart nothing is lost, nothing is half
//! done, and undo gives back what was there (A3, C1, C2).
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

use std::path::Path;
use std::process::{Command, Stdio};

use common::*;
use raincoat_os::fault::{self, Plan};
use raincoat_os::snapshot::{EntryKind, Snapshot};
use raincoat_types::*;

const CHILD: &str = "RAINCOAT_TEST_CHILD";
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// A small tree with the kinds that matter.
fn plant(home: &Home) {
    let tree = home.tree();
    std::fs::create_dir_all(tree.join("d/e/f")).unwrap();
    std::fs::create_dir_all(tree.join("other")).unwrap();
    std::fs::write(tree.join("a"), b"first content of a").unwrap();
    std::fs::write(tree.join("b"), b"content of b").unwrap();
    std::fs::write(tree.join("d/x"), vec![1; 300_000]).unwrap();
    std::fs::write(tree.join("d/e/y"), b"y").unwrap();
    std::fs::write(tree.join("d/e/f/z"), b"").unwrap();
    std::os::unix::fs::symlink("x", tree.join("d/link")).unwrap();
    std::fs::write(tree.join("h1"), b"a file with two names").unwrap();
    std::fs::hard_link(tree.join("h1"), tree.join("d/h2")).unwrap();
    let _ = raincoat_os::scratch::set_xattr(&tree.join("a"), "user.note", b"kept");
    let sparse = std::fs::File::create(tree.join("d/sparse")).unwrap();
    sparse.set_len(1 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"middle", 500_000).unwrap();
    drop(sparse);
    age(&tree);
}

/// What a child does, by name. What must be there before it is done by the parent.
fn changes(scenario: &str) -> Vec<FileChange> {
    match scenario {
        "write_new" => vec![write("d/new", b"new"), write("d/other", &[2; 200_000])],
        "write_over" => vec![write("a", b"second content of a"), write("d/sparse", b"no holes")],
        "write_in_place" => vec![write("h1", b"a longer content for a file with two names")],
        "write_in_place_large" => vec![write("d/h2", &[9; 1_500_000])],
        "edit" => vec![FileChange::Edit {
            at: place("a"),
            old: b"first".to_vec(),
            new: b"1st".to_vec(),
            all: false,
            expect: digest(b"first content of a"),
        }],
        "mkdir" => vec![mkdir_p("p/q/r"), mkdir("d/s")],
        "move" => vec![mv("a", "d/a"), mv("d/e", "other/e"), mv("d/link", "link"), mv("h1", "other/h1")],
        "move_onto" => vec![mv_onto("a", "b")],
        "copy" => vec![cp("d", "copy"), cp_onto("a", "b")],
        "delete" => vec![rm("a"), rm("h1"), rm("d/link")],
        "delete_tree" => vec![rm_r("d")],
        "archive" => vec![pack(&["d", "a"], "all.tgz", ArchiveFormat::TarGz)],
        "extract" => vec![unpack("given.tar", "out")],
        "batch" => vec![
            write("a", b"other a"),
            write("n1", b"1"),
            write("d/n2", b"2"),
            mv("b", "d/b"),
            rm("d/x"),
            rm("d/sparse"),
            write("d/h2", b"both names"),
            mkdir("m"),
            mv("d/e/y", "m/y"),
            cp("d/e", "m/e"),
        ],
        other => panic!("{other}"),
    }
}

fn prepare(home: &Home, scenario: &str) {
    plant(home);
    if scenario == "extract" {
        assert!(sh(
            "mkdir -p in/s; echo 1 > in/s/one; ln in/s/one in/two; ln -s s/one in/l; tar -C in -cf given.tar .; rm -r in",
            &home.tree()
        ));
        age(&home.tree());
    }
    if let Some(undone) = scenario.strip_prefix("undo_") {
        let store = home.open();
        let mut run = store.run();
        for change in changes(undone) {
            run.ok(change);
        }
        run.end();
    }
}

/// Not a test by itself: what the others start as another process.
#[test]
fn a_child_does_as_it_is_told() {
    let Ok(order) = std::env::var(CHILD) else { return };
    let mut parts = order.splitn(3, ' ');
    let (scenario, plan, dir) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let (verb, n) = plan.split_once(':').unwrap();
    let n: u64 = n.parse().unwrap();
    let home = Home::at(Path::new(dir));
    let store = home.open();
    let plan = match verb {
        "kill" => Plan::Kill(n),
        "eio" => Plan::Fail(n, EIO),
        "full" => Plan::FailFrom(n, ENOSPC),
        _ => Plan::Count,
    };
    let failed = if scenario.starts_with("undo_") {
        let of = store.recorder().journal(|j| j.runs(None, 1).unwrap()[0].header.run).unwrap();
        fault::arm(plan);
        !store.undo_unended(of)
    } else {
        let mut run = store.run();
        fault::arm(plan);
        let mut failed = false;
        for change in changes(scenario) {
            failed |= run.propose(change).is_err();
        }
        failed |= run.settle().iter().any(|changed| changed.failure.is_some());
        failed |= run.effects().finish().is_err();
        std::mem::forget(run);
        failed
    };
    let reached = fault::calls() >= n;
    // As if killed here: nothing is ended or closed.
    std::process::exit(match (reached, failed) {
        (false, false) => 10,
        (true, false) => 11,
        (true, true) => 12,
        (false, true) => 13,
    });
}

fn child(home: &Home, scenario: &str, plan: &str) -> Option<i32> {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["a_child_does_as_it_is_told", "--exact", "--test-threads=1"])
        .env(CHILD, format!("{scenario} {plan} {}", home.dir.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    status.code()
}

/// Each file is entirely one or the other.
fn assert_one_or_the_other(now: &Snapshot, before: &Snapshot, after: &Snapshot, what: &str) {
    let state = |of: &Snapshot, path: &Vec<u8>| {
        of.entries().get(path).map(|e| {
            let mtime = (e.kind != EntryKind::Dir).then_some(e.mtime.secs < 1_200_000_000);
            (e.kind, e.mode, e.uid, e.size, e.digest, e.target.clone(), e.xattrs.clone(), mtime)
        })
    };
    for path in before.entries().keys().chain(after.entries().keys()).chain(now.entries().keys()) {
        let is = state(now, path);
        // A file that is replaced by another is taken away first, by an operation of its own.
        let away = is.is_none() && path == b"b";
        assert!(
            away || is == state(before, path) || is == state(after, path),
            "{what}: {} is {is:?}",
            display_bytes(path)
        );
    }
}

/// Opens the store again, settles what was interrupted, and gives the interrupted run.
fn come_back(home: &Home) -> Option<RunId> {
    let (store, interrupted) = home.open_with_interrupted();
    assert!(interrupted.len() <= 1);
    interrupted.first().map(|one| {
        store.recover(one);
        one.header.run
    })
}

fn survive(scenario: &str, verb: &str) {
    let after = {
        let home = Home::quick();
        prepare(&home, scenario);
        assert_eq!(child(&home, scenario, "count:1000000"), Some(10), "{scenario} by itself");
        home.snapshot()
    };
    let mut n = 1;
    loop {
        let home = Home::quick();
        prepare(&home, scenario);
        let before = home.snapshot();
        let what = format!("{scenario} {verb}:{n}");
        let code = child(&home, scenario, &format!("{verb}:{n}"));
        match (verb, code) {
            ("kill", None) | ("eio" | "full", Some(11 | 12)) => {}
            (_, Some(10)) => break,
            other => panic!("{what}: {other:?}"),
        }
        let run = come_back(&home);
        let now = home.snapshot();
        assert_one_or_the_other(&now, &before, &after, &what);
        assert_eq!(leftovers(&home.tree()), Vec::<std::path::PathBuf>::new(), "{what}");
        home.verify();
        if let Some(run) = run {
            home.open().undo_whole(run);
        }
        let now = home.snapshot();
        if verb != "kill" {
            assert_same_but_folder_times(&before, &now, &what);
        } else {
            assert_same(&before, &now, &what);
        }
        n += 1;
        assert!(n < 2000, "{what}: no end");
    }
    assert!(n > 5, "{scenario} {verb}: only {n} places to fail at");
}

/// Somebody works on after the crash, before raincoat is started again: what they wrote stays theirs.
fn leave_theirs(scenario: &str, path: &str, rename: bool) {
    let mut n = 1;
    loop {
        let home = Home::quick();
        prepare(&home, scenario);
        if child(&home, scenario, &format!("kill:{n}")).is_some() {
            break;
        }
        let what = format!("{scenario} kill:{n}");
        let theirs = format!("written after the crash, {n}").into_bytes();
        let at = home.path(path);
        if rename {
            std::fs::write(home.path("theirs"), &theirs).unwrap();
            std::fs::rename(home.path("theirs"), &at).unwrap();
        } else {
            std::fs::write(&at, &theirs).unwrap();
        }
        let run = come_back(&home);
        assert_eq!(std::fs::read(&at).unwrap(), theirs, "{what}: after recovery");
        assert_eq!(leftovers(&home.tree()), Vec::<std::path::PathBuf>::new(), "{what}");
        if let Some(run) = run {
            home.open().undo(run);
        }
        let all = home.snapshot();
        assert!(all.entries().values().any(|e| e.digest == Some(digest(&theirs))), "{what}: after undo");
        home.verify();
        n += 1;
    }
    assert!(n > 5);
}

#[test]
fn what_is_written_after_a_crash_is_left_alone() {
    for rename in [false, true] {
        leave_theirs("edit", "a", rename);
        leave_theirs("write_new", "d/new", rename);
        leave_theirs("delete", "a", rename);
    }
    leave_theirs("write_in_place", "h1", false);
    leave_theirs("write_in_place", "d/h2", true);
    leave_theirs("move_onto", "b", false);
}

macro_rules! survives {
    ($($name:ident: $scenario:literal, $verb:literal;)*) => {
        $(#[test]
        fn $name() {
            survive($scenario, $verb);
        })*
    };
}

survives! {
    a_kill_while_writing_new_files: "write_new", "kill";
    a_kill_while_writing_over_files: "write_over", "kill";
    a_kill_while_writing_in_place: "write_in_place", "kill";
    a_kill_while_writing_much_in_place: "write_in_place_large", "kill";
    a_kill_while_editing: "edit", "kill";
    a_kill_while_making_folders: "mkdir", "kill";
    a_kill_while_moving: "move", "kill";
    a_kill_while_moving_onto: "move_onto", "kill";
    a_kill_while_copying: "copy", "kill";
    a_kill_while_deleting: "delete", "kill";
    a_kill_while_deleting_a_tree: "delete_tree", "kill";
    a_kill_while_archiving: "archive", "kill";
    a_kill_while_extracting: "extract", "kill";
    a_kill_in_a_batch: "batch", "kill";
    a_kill_while_undoing_a_batch: "undo_batch", "kill";
    a_kill_while_undoing_a_deletion: "undo_delete_tree", "kill";
    a_kill_while_undoing_a_copy: "undo_copy", "kill";
    a_kill_while_undoing_a_write_in_place: "undo_write_in_place", "kill";
    a_failing_disk_while_writing_over_files: "write_over", "eio";
    a_failing_disk_while_writing_in_place: "write_in_place", "eio";
    a_failing_disk_in_a_batch: "batch", "eio";
    a_failing_disk_while_deleting_a_tree: "delete_tree", "eio";
    a_full_disk_while_writing_over_files: "write_over", "full";
    a_full_disk_while_writing_in_place: "write_in_place", "full";
    a_full_disk_in_a_batch: "batch", "full";
    a_full_disk_while_extracting: "extract", "full";
}
