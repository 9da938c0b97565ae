//! `kill -9` at every system call of `raincoat commit` that changes something, and of the recovery after it, of the undo
//! of a commit, of a discard and of an exec; errors of the disk at every call of a commit. The folder is exactly as before
//! or exactly as after, the draft is there or what it held stands in the folder, and all of it can be undone. (C2, C3)

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests"
)]

#[path = "support/drafted.rs"]
mod drafted;
#[path = "support/whole.rs"]
mod whole;

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use drafted::{Drafted, Program, Tree};
use whole::{Said, same, said};

/// Each lane takes every `LANES`th call, in a home of its own.
const LANES: usize = 2;
/// Calls between two checks of the whole log.
const CHECK: usize = 10;

/// What came of a command under a fault.
enum Came {
    Killed,
    Ended(Said),
}

fn under(mut command: Command, fault: &str, n: usize) -> Came {
    let output = command.env("RAINCOAT_FAULT", format!("{fault}:{n}")).output().unwrap();
    if output.status.signal() == Some(9) { Came::Killed } else { Came::Ended(said(output)) }
}

/// Runs every lane's part. Gives how many faults there were in all.
fn lanes(lane: impl Fn(usize) -> usize + Send + Clone + 'static) -> usize {
    let all: Vec<_> = (0..LANES)
        .map(|n| {
            let lane = lane.clone();
            std::thread::spawn(move || lane(n))
        })
        .collect();
    all.into_iter().map(|lane| lane.join().unwrap()).sum()
}

/// One lane of a commit under a fault at each of its calls.
struct Commits {
    drafted: Drafted,
    draft: Option<String>,
    whole: Vec<(String, String, bool)>,
}

impl Commits {
    fn new(program: Program) -> Commits {
        let drafted = Drafted::new(program);
        let draft = drafted.exec();
        let whole = drafted.review(&draft);
        assert_eq!(whole.iter().any(|(.., protected)| *protected), program == Program::Protected, "{whole:?}");
        Commits { drafted, draft: Some(draft), whole }
    }

    /// An open draft with all the changes.
    fn ready(&mut self) -> String {
        self.draft.get_or_insert_with(|| self.drafted.exec()).clone()
    }

    /// The tree is before or after; the draft goes with it; what was committed can be undone.
    fn judge(&mut self, at: &str) -> Tree {
        let draft = self.draft.clone().unwrap();
        let tree = self.drafted.tree(at);
        let open = self.drafted.drafts();
        match tree {
            Tree::Before => {
                assert_eq!(open, [draft.clone()], "{at}: the draft is gone, and its changes with it");
                assert_eq!(self.drafted.review(&draft), self.whole, "{at}");
            }
            Tree::After => {
                let left: Vec<_> = self.whole.iter().filter(|(.., protected)| *protected).cloned().collect();
                for run in &open {
                    assert_eq!(self.drafted.review(run), left, "{at}: what was committed is in the draft still");
                }
                assert!(!open.is_empty() || left.is_empty(), "{at}: what was not committed is gone");
                let run = self.drafted.newest_run();
                self.drafted.home.ok(&["undo", &run]);
                same(&self.drafted.before, &self.drafted.dir, &format!("{at}, undone"));
                self.drafted.discard_all();
                self.draft = None;
            }
        }
        tree
    }
}

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

fn killed_at_every_call_of_a_commit(program: Program) {
    let kills = lanes(move |lane| {
        let mut commits = Commits::new(program);
        let (mut kills, mut trees) = (0, [0, 0]);
        for n in (1 + lane..).step_by(LANES) {
            let draft = commits.ready();
            let at = format!("{program:?} commit killed at call {n}");
            let came = under(commits.drafted.command(&["commit", &draft]), "kill", n);
            let (run, told) = commits.drafted.settle(&at);
            let interrupted = run["status"] == "interrupted";
            assert!(!interrupted || told.err.contains(run["run"].as_str().unwrap()), "{at}: nobody was told");
            let tree = commits.judge(&at);
            trees[usize::from(tree == Tree::After)] += 1;
            if n / LANES % CHECK == 0 {
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
        assert!(trees[0] > 10 && trees[1] > 10, "{trees:?}");
        kills
    });
    println!("{program:?}: a commit was killed at each of its {kills} calls");
    assert!(kills > 100, "{kills}");
}

#[test]
fn killed_at_every_call_a_commit_is_all_or_nothing() {
    killed_at_every_call_of_a_commit(Program::Plain);
}

#[test]
fn killed_at_every_call_a_commit_that_leaves_something_out_is_all_or_nothing() {
    killed_at_every_call_of_a_commit(Program::Protected);
}
