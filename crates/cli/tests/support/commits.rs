//! Commits with a fault ordered, and what must be true of the folder and the draft afterwards.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests: not every file uses everything"
)]

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use crate::drafted::{Drafted, Program, Tree};
use crate::whole::{Dice, Said, said, same};

/// Each lane takes every `LANES`th call, in a home of its own.
pub const LANES: usize = 2;

/// The calls at which one lane orders its faults: all of its part, or (in the ordinary run of the tests) one in `step`,
/// other ones each time. `cargo xtask crash` takes all.
pub fn calls(lane: usize, step: usize) -> impl Iterator<Item = usize> {
    let all = std::env::var_os("RAINCOAT_TEST_ALL").is_some();
    let seed = Dice::seed();
    println!("RAINCOAT_TEST_SEED={seed}");
    let step = if all { 1 } else { step };
    let first = Dice(seed).below(step) * LANES;
    (1 + lane + first..).step_by(LANES * step)
}

/// What came of a command under a fault.
#[derive(Debug)]
pub enum Came {
    Killed,
    Ended(Said),
}

pub fn under(mut command: Command, fault: &str, n: usize) -> Came {
    let output = command.env("RAINCOAT_FAULT", format!("{fault}:{n}")).output().unwrap();
    if output.status.signal() == Some(9) { Came::Killed } else { Came::Ended(said(output)) }
}

/// Runs every lane's part. Gives how many faults there were in all.
pub fn lanes(lane: impl Fn(usize) -> usize + Send + Clone + 'static) -> usize {
    let all: Vec<_> = (0..LANES)
        .map(|n| {
            let lane = lane.clone();
            std::thread::spawn(move || lane(n))
        })
        .collect();
    let ended: Vec<_> = all.into_iter().map(std::thread::JoinHandle::join).collect();
    ended.into_iter().map(|lane| lane.expect("a lane failed")).sum()
}

/// One lane of a commit under a fault at each of its calls.
pub struct Commits {
    pub drafted: Drafted,
    pub draft: Option<String>,
    pub whole: Vec<(String, String, bool)>,
    /// A commit that was taken back moved files out of the folder and in again, which shows in their change times: what
    /// the draft deletes may then be told as changed meanwhile.
    pub taken_back: usize,
}

impl Commits {
    pub fn new(program: Program) -> Commits {
        let drafted = Drafted::new(program);
        let draft = drafted.exec();
        let whole = drafted.review(&draft);
        assert_eq!(whole.iter().any(|(.., protected)| *protected), program == Program::Protected, "{whole:?}");
        Commits { drafted, draft: Some(draft), whole, taken_back: 0 }
    }

    /// An open draft with all the changes.
    pub fn ready(&mut self) -> String {
        self.draft.get_or_insert_with(|| self.drafted.exec()).clone()
    }

    /// How many calls a commit makes that change something: it lives where the fault is ordered for a later one.
    pub fn calls_of_a_commit(&mut self) -> usize {
        let (mut killed, mut lived) = (0, 1024);
        while lived - killed > 1 {
            let n = usize::midpoint(killed, lived);
            let draft = self.ready();
            match under(self.drafted.command(&["commit", &draft]), "kill", n) {
                Came::Killed => killed = n,
                Came::Ended(_) => lived = n,
            }
            let at = format!("killed at call {n}");
            self.drafted.settle(&at);
            self.judge(&at);
        }
        killed
    }

    /// As [`Commits::judge`], after a commit that may have been taken back.
    pub fn judge_taken_back(&mut self, at: &str) -> Tree {
        if let (Tree::Before, Some(draft)) = (self.drafted.tree(at), &self.draft) {
            let (review, conflicts) = self.drafted.review_all(draft);
            assert_eq!(review, self.whole, "{at}");
            if !conflicts.is_empty() {
                self.taken_back += 1;
                self.drafted.discard_all();
                self.draft = None;
                return Tree::Before;
            }
        }
        self.judge(at)
    }

    /// The tree is before or after; the draft goes with it; what was committed can be undone.
    pub fn judge(&mut self, at: &str) -> Tree {
        let draft = self.draft.clone().unwrap();
        let tree = self.drafted.tree(at);
        let open = self.drafted.drafts();
        match tree {
            Tree::Before => {
                assert_eq!(open, std::slice::from_ref(&draft), "{at}: the draft is gone, and its changes with it");
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
