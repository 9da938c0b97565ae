//! Dying, and failing disks, at every call of a commit and of its recovery: after a restart the folder is as it was or
//! as it was to be, never between, and undo gives back what was there (A3, C1, C2).
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

use common::draft::*;
use common::*;
use raincoat_os::fault::{self, Plan};
use raincoat_os::snapshot::Snapshot;

const CHILD: &str = "RAINCOAT_TEST_CHILD";
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// A small tree, and a draft with every sort of change.
fn plant(home: &Home, scenario: &str) {
    let tree = home.tree();
    std::fs::create_dir_all(tree.join("d/e")).unwrap();
    std::fs::create_dir_all(tree.join("gone/deep")).unwrap();
    std::fs::write(tree.join("a"), b"first content of a").unwrap();
    std::fs::write(tree.join("d/b"), b"content of b").unwrap();
    std::fs::write(tree.join("d/e/y"), b"y").unwrap();
    std::fs::write(tree.join("gone/deep/z"), b"z").unwrap();
    std::fs::write(tree.join("h1"), b"a file with two names").unwrap();
    std::fs::hard_link(tree.join("h1"), tree.join("d/h2")).unwrap();
    std::os::unix::fs::symlink("b", tree.join("d/link")).unwrap();
    age(&tree);
    let mut draft = Draft::new(home);
    draft.write("a", b"second content of a");
    draft.write("d/new", b"new");
    draft.write("n/m/file", b"in new folders");
    draft.remove("gone");
    draft.remove("d/link");
    draft.write("d/link", b"a file where a link was");
    draft.remove("d/e");
    draft.write("d/e", b"a file where a folder was");
    draft.chmod("d", 0o700);
    if scenario == "links" {
        draft.write_through("h1", b"both names get a longer content than before");
        draft.write("n/one", b"two new names");
        std::fs::hard_link(draft.upper().join("n/one"), draft.up("n/two")).unwrap();
    }
    draft.keep();
    let meant = draft.meant();
    assert!(!home.snapshot().differences(&meant).is_empty());
}

/// Not a test by itself: what the others start as another process.
#[test]
fn a_child_does_as_it_is_told() {
    let Ok(order) = std::env::var(CHILD) else { return };
    let mut parts = order.splitn(3, ' ');
    let (what, plan, dir) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let (verb, n) = plan.split_once(':').unwrap();
    let n: u64 = n.parse().unwrap();
    let plan = match verb {
        "kill" => Plan::Kill(n),
        "eio" => Plan::Fail(n, EIO),
        "full" => Plan::FailFrom(n, ENOSPC),
        _ => Plan::Count,
    };
    let home = Home::at(Path::new(dir));
    let failed = if what == "recover" {
        let (store, interrupted) = home.open_with_interrupted();
        fault::arm(plan);
        let failed = interrupted.iter().any(|one| recover_commit(&home, &store, one).is_err());
        fault::disarm();
        failed
    } else {
        let store = home.open();
        let draft = Draft::kept(&home);
        let items = draft.items();
        let run = begin_commit(&store);
        fault::arm(plan);
        let (applied, told) = commit_in(&store, run, &draft, &items, what != "copies", what == "stays");
        std::mem::forget(store);
        !told.is_empty() || !applied.conflicts.is_empty() || applied.failure.is_some()
    };
    // As if killed here: nothing is ended or closed.
    std::process::exit(match (fault::calls() >= n, failed) {
        (false, false) => 10,
        (true, false) => 11,
        (true, true) => 12,
        (false, true) => 13,
    });
}

fn child(home: &Home, what: &str, plan: &str) -> Option<i32> {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["a_child_does_as_it_is_told", "--exact", "--test-threads=1"])
        .env(CHILD, format!("{what} {plan} {}", home.dir.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    status.code()
}

/// Recovers, and tells whether the commit stands.
fn come_back(home: &Home, before: &Snapshot, meant: &Snapshot, what: &str) {
    let (store, interrupted) = home.open_with_interrupted();
    assert!(interrupted.len() <= 1);
    let mut run = None;
    for one in &interrupted {
        let forward = recover_commit(home, &store, one).unwrap_or_else(|failure| panic!("{what}: {failure:?}"));
        let now = home.snapshot();
        assert_same(if forward { meant } else { before }, &now, &format!("{what}: forward {forward}"));
        run = Some(one.header.run);
    }
    assert_eq!(leftovers(&home.tree()), Vec::<std::path::PathBuf>::new(), "{what}");
    drop(store);
    home.verify();
    if let Some(run) = run {
        home.open().undo_whole(run);
        assert_same(before, &home.snapshot(), &format!("{what}: undone"));
    }
}

fn homes(scenario: &str) -> (Home, Snapshot, Snapshot) {
    let home = Home::quick();
    plant(&home, scenario);
    let (before, meant) = (home.snapshot(), Draft::kept(&home).meant());
    (home, before, meant)
}

fn survive(scenario: &str, verb: &str) {
    let mut n = 1;
    loop {
        let (home, before, meant) = homes(scenario);
        let what = format!("{scenario} {verb}:{n}");
        match (verb, child(&home, scenario, &format!("{verb}:{n}"))) {
            ("kill", None) | ("eio" | "full", Some(11 | 12)) => come_back(&home, &before, &meant, &what),
            (_, Some(10)) => break,
            other => panic!("{what}: {other:?}"),
        }
        n += 1;
        assert!(n < 2000, "{what}: no end");
    }
    assert!(n > 20, "{scenario} {verb}: only {n} places to fail at");
}

/// Killed in the commit, then again and again in its recovery.
fn survive_twice(scenario: &str, every: usize) {
    let mut died = 0;
    for n in (1..).step_by(every) {
        let (home, before, meant) = homes(scenario);
        if child(&home, scenario, &format!("kill:{n}")).is_some() {
            break;
        }
        // Each recovery comes a little further than the one before it.
        for m in (1..).step_by(3) {
            match child(&home, "recover", &format!("kill:{m}")) {
                None => died += 1,
                Some(10) => break,
                other => panic!("{scenario} kill:{n}, recovery kill:{m}: {other:?}"),
            }
        }
        let now = home.snapshot();
        let what = format!("{scenario} kill:{n}, then killed in recovery");
        let (to_before, to_meant) = (before.differences(&now), meant.differences(&now));
        assert!(to_before.is_empty() || to_meant.is_empty(), "{what}: {to_before:?}\n{to_meant:?}");
        come_back(&home, &before, &meant, &what);
    }
    assert!(died > 20, "{scenario}: died only {died} times in recovery");
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
    a_kill_at_any_call_of_a_commit: "all", "kill";
    a_kill_at_any_call_of_a_commit_with_hard_links: "links", "kill";
    a_kill_at_any_call_of_a_commit_of_copies: "copies", "kill";
    a_kill_at_any_call_of_a_commit_of_a_part: "stays", "kill";
    a_failing_disk_at_any_call_of_a_commit: "links", "eio";
    a_full_disk_from_any_call_of_a_commit_on: "links", "full";
}

#[test]
fn a_kill_in_recovery_is_recovered_from() {
    survive_twice("links", 4);
}
