//! `kill -9` at every system call of `raincoat commit` that changes something, and of the recovery after it; errors of the
//! disk at every call of a commit. The folder is exactly as before or exactly as after, the draft is there or what it
//! held stands in the folder, and all of it can be undone. (C2, C3)

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests"
)]

#[path = "support/commits.rs"]
mod commits;
#[path = "support/drafted.rs"]
mod drafted;
#[path = "support/whole.rs"]
mod whole;

use commits::{Came, Commits, LANES, calls, lanes, under};
use drafted::{Program, Tree};
use whole::same;

/// Faults between two checks of the whole log.
const CHECK: usize = 10;

#[test]
fn a_commit_is_what_the_program_does_bare_and_undone_it_leaves_no_difference() {
    for program in [Program::Plain, Program::Protected] {
        let mut commits = Commits::new(program);
        let draft = commits.ready();
        commits.drafted.home.ok(&["commit", &draft]);
        assert_eq!(commits.judge("committed"), Tree::After);
        commits.drafted.home.log_is_sound();
    }
}

#[test]
fn committed_name_by_name_a_draft_comes_to_the_same_and_never_asks_for_more() {
    let mut commits = Commits::new(Program::Plain);
    let draft = commits.ready();
    let drafted = &commits.drafted;
    let mut left = commits.whole.clone();
    let mut made = Vec::new();
    let mut n = 0;
    while !left.is_empty() {
        // What depends on another (a file in a folder that is new) is refused until that is there.
        let (path, change, _) = left[n % left.len()].clone();
        n += 1;
        assert!(n < 400, "{left:?}");
        if path.is_empty() {
            // The folder itself has no name that a pattern could give.
            if left.len() > 1 {
                continue;
            }
            drafted.home.run(&["commit", &draft]);
        } else if ["created.txt", "made", "made/hard"].contains(&path.as_str()) {
            // Two names of one file: one of them without the other would be a copy.
            let both = ["--only", "created.txt", "--only", "made", "--only", "made/hard"];
            drafted.home.run(&[&["commit", &draft], both.as_slice()].concat());
        } else {
            drafted.home.run(&["commit", &draft, "--only", &path]);
        }
        let open = drafted.drafts();
        let now = if open.is_empty() { Vec::new() } else { drafted.review(&draft) };
        let new: Vec<_> = now.iter().filter(|change| !left.contains(change)).collect();
        assert!(new.is_empty(), "after {path} ({change}): {new:?}");
        if now.len() < left.len() {
            made.push(drafted.newest_run());
        }
        left = now;
    }
    assert_eq!(drafted.tree("committed name by name"), Tree::After);
    assert!(made.len() > 10, "{made:?}");
    for run in made.iter().rev() {
        drafted.home.ok(&["undo", run]);
    }
    same(&drafted.before, &drafted.dir, "all of them undone");
    drafted.home.log_is_sound();
}

fn killed_at_every_call_of_a_commit(program: Program) {
    let kills = lanes(move |lane| {
        let mut commits = Commits::new(program);
        let (mut kills, mut trees) = (0, [0, 0]);
        for (round, n) in calls(lane, 4).enumerate() {
            let draft = commits.ready();
            let at = format!("{program:?} commit killed at call {n}");
            let came = under(commits.drafted.command(&["commit", &draft]), "kill", n);
            let (run, told) = commits.drafted.settle(&at);
            let interrupted = run["status"] == "interrupted";
            assert!(!interrupted || told.err.contains(run["run"].as_str().unwrap()), "{at}: nobody was told");
            let tree = commits.judge(&at);
            trees[usize::from(tree == Tree::After)] += 1;
            if round % CHECK == 0 {
                commits.drafted.home.log_is_sound();
            }
            if let Came::Ended(said) = came {
                assert_eq!((said.code, tree), (0, Tree::After), "{at}: {said:?}");
                break;
            }
            kills += 1;
        }
        commits.drafted.home.log_is_sound();
        println!("lane {lane}: {kills} kills; afterwards {} before, {} after", trees[0], trees[1]);
        assert!(trees[0] > 1 && trees[1] > 1, "{trees:?}");
        kills
    });
    println!("{program:?}: a commit was killed at {kills} of its calls");
    assert!(kills > 20, "{kills}");
}

#[test]
fn killed_at_every_call_a_commit_is_all_or_nothing() {
    killed_at_every_call_of_a_commit(Program::Plain);
}

#[test]
fn killed_at_every_call_a_commit_that_leaves_something_out_is_all_or_nothing() {
    killed_at_every_call_of_a_commit(Program::Protected);
}

#[test]
fn killed_at_every_call_a_recovery_is_made_good_by_the_next() {
    let kills = lanes(|lane| {
        let program = [Program::Plain, Program::Protected][lane % 2];
        let mut commits = Commits::new(program);
        let all = commits.calls_of_a_commit();
        let mut kills = 0;
        // Before the commit point, amid the swaps, and after them.
        for commit_at in [all / 3, all / 2, all * 3 / 4] {
            for n in calls(0, 8) {
                let draft = commits.ready();
                let at = format!("{program:?} commit killed at call {commit_at}, its recovery at call {n}");
                let came = under(commits.drafted.command(&["commit", &draft]), "kill", commit_at);
                assert!(matches!(came, Came::Killed), "{at}");
                let came = under(commits.drafted.command(&["runs"]), "kill", n);
                commits.drafted.settle(&at);
                commits.judge(&at);
                if let Came::Ended(said) = came {
                    assert_eq!(said.code, 0, "{at}: {said:?}");
                    break;
                }
                kills += 1;
            }
        }
        // One commit, one recovery after the other killed a call later.
        let draft = commits.ready();
        under(commits.drafted.command(&["commit", &draft]), "kill", all / 2);
        for n in 1.. {
            if let Came::Ended(_) = under(commits.drafted.command(&["runs"]), "kill", n) {
                break;
            }
            kills += 1;
        }
        commits.drafted.settle("recoveries killed in a row");
        commits.judge("recoveries killed in a row");
        commits.drafted.home.log_is_sound();
        kills
    });
    println!("{kills} recoveries were killed");
    assert!(kills > 10, "{kills}");
}

fn errors_at_every_call_of_a_commit(fault: &'static str) {
    let faults = lanes(move |lane| {
        let program = [Program::Plain, Program::Protected][lane % 2];
        let mut commits = Commits::new(program);
        let all = commits.calls_of_a_commit();
        let mut faults = 0;
        // Each lane has a program of its own, so it takes the calls of both.
        for n in calls(0, 8).flat_map(|n| [n, n + 1]).take_while(|n| *n <= all + LANES) {
            let draft = commits.ready();
            let at = format!("{program:?} commit with {fault} at call {n}");
            let Came::Ended(said) = under(commits.drafted.command(&["commit", &draft]), fault, n) else {
                panic!("{at}: it was killed");
            };
            let at = format!("{at}: {said:?}");
            commits.drafted.settle(&at);
            let tree = commits.judge_taken_back(&at);
            assert!(said.code != 0 || tree == Tree::After, "{at}: nothing was committed, and nobody was told");
            faults += 1;
        }
        commits.drafted.home.log_is_sound();
        println!("{program:?}: {faults} faults, {} commits taken back that show in change times", commits.taken_back);
        faults
    });
    println!("{fault} at {faults} calls of a commit");
    assert!(faults > 20, "{faults}");
}

#[test]
fn a_disk_that_fails_at_any_call_leaves_all_of_a_commit_or_nothing() {
    errors_at_every_call_of_a_commit("eio");
}

#[test]
fn a_disk_that_is_full_from_any_call_on_leaves_all_of_a_commit_or_nothing() {
    errors_at_every_call_of_a_commit("enospc");
}
