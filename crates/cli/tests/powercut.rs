//! The power is cut between any two writes to the disk while a program runs in a draft, its draft is committed, and the
//! commit is undone; folder, draft, journal and log lie on that disk. Each state is mounted and recovered from: nothing
//! that was acknowledged is lost, a commit stands as a whole or not at all, and every before-image is there. (C2, C3)

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests"
)]

#[path = "support/blocks.rs"]
mod blocks;
#[path = "support/cut.rs"]
mod cut;
#[path = "support/drafted.rs"]
mod drafted;
#[path = "support/whole.rs"]
mod whole;

use cut::{Cut, LAG, Recording, lanes};
use drafted::{Drafted, Program, Tree};
use raincoat_runtime::snapshot::{Aspect, EntryKind, Snapshot};
use whole::same;

#[test]
fn whenever_the_power_is_cut_nothing_acknowledged_is_lost_and_no_commit_is_half() {
    lanes(&[Program::Plain, Program::Protected], |lane, program, dice| {
        let (mut cut, mut history) = History::record(lane, program);
        let start = history.acknowledged.start;
        let words = format!("({:?})", history.acknowledged);
        cut.each(start, dice, |n, at| history.judge(n, &format!("{program:?} {at} {words}")));
        println!("{program:?}: {} states, {} of them torn: {:?}", cut.states, cut.torn, history.counted);
    });
}

/// Where the record stood when a command had said that it was done.
#[derive(Clone, Copy, Debug)]
struct Acknowledged {
    start: u64,
    exec: u64,
    commit: u64,
    undo: u64,
}

struct History {
    drafted: Drafted,
    acknowledged: Acknowledged,
    /// The program's run, and the commit's.
    runs: (String, String),
    review: Vec<(String, String, bool)>,
    counted: Counted,
}

#[derive(Default, Debug)]
struct Counted {
    before: usize,
    after: usize,
    undoing: usize,
    /// Of these, a folder was left with another time.
    folder_times: usize,
    carried: usize,
}

impl History {
    fn record(lane: usize, program: Program) -> (Cut, History) {
        let recording = Recording::start(lane);
        let drafted = Drafted::at(recording.at(), program);
        let start = recording.settled();
        let run = drafted.exec();
        let exec = recording.entries();
        let review = drafted.review(&run);
        drafted.home.ok(&["commit", &run]);
        let commit = recording.entries();
        assert_eq!(drafted.tree("committed"), Tree::After);
        let commit_run = drafted.newest_run();
        drafted.home.ok(&["undo", &commit_run]);
        let undo = recording.entries();
        assert_eq!(drafted.tree("undone"), Tree::Before);
        let acknowledged = Acknowledged { start, exec, commit, undo };
        let runs = (run, commit_run);
        (recording.stop(), History { drafted, acknowledged, runs, review, counted: Counted::default() })
    }

    fn judge(&mut self, n: u64, at: &str) {
        let had = |acknowledged: u64| n >= acknowledged + LAG;
        let (drafted, (run, commit)) = (&self.drafted, &self.runs);
        let (newest, said) = drafted.settle(at);
        let known: Vec<_> = drafted.home.json(&["runs", "-n", "20"]);
        let status = |id: &str| known.iter().find(|one| one["run"] == id).map(|one| one["status"].clone());
        let undo_began = known.iter().any(|one| one["undo_of"] == commit.as_str());
        self.counted.carried += usize::from(said.err.contains("carried through"));
        // An undo goes back step by step; it is finished by another.
        if undo_began && newest["undo_of"] == commit.as_str() && newest["status"] == "interrupted" {
            self.counted.undoing += 1;
            assert!(!had(self.acknowledged.undo), "{at}: an acknowledged undo was lost");
            drafted.home.ok(&["undo", commit]);
            let left = drafted.before.differences(&Snapshot::take(&drafted.dir).unwrap());
            // A folder's time that only an outcome lost with the power would have told is not given back.
            let only_times = left.iter().all(|d| {
                d.what == Aspect::ModificationTime && drafted.before.entries()[&d.path].kind == EntryKind::Dir
            });
            assert!(only_times, "{at}, undone again: {left:?}");
            self.counted.folder_times += usize::from(!left.is_empty());
            drafted.home.log_is_sound();
            return;
        }
        let tree = drafted.tree(at);
        let done = status(commit).is_some_and(|status| status == "done");
        if had(self.acknowledged.commit) {
            assert!(done, "{at}: an acknowledged commit was lost: {known:?}");
            assert!(tree == Tree::After || undo_began, "{at}: an acknowledged commit is not in the folder");
        }
        if had(self.acknowledged.undo) {
            assert!(tree == Tree::Before && undo_began, "{at}: an acknowledged undo was lost: {known:?}");
        }
        if n <= self.acknowledged.exec {
            assert_eq!(tree, Tree::Before, "{at}: nothing was committed yet");
        }
        match tree {
            Tree::Before => self.counted.before += 1,
            Tree::After => self.counted.after += 1,
        }
        if tree == Tree::After {
            // Every before-image is there.
            drafted.home.ok(&["undo", commit]);
            same(&drafted.before, &drafted.dir, &format!("{at}, undone"));
        } else if had(self.acknowledged.exec) && !done {
            // The draft of an acknowledged run has all that the program wrote.
            assert_eq!(drafted.review(run), self.review, "{at}");
            drafted.home.ok(&["commit", run]);
            assert_eq!(drafted.tree(&format!("{at}, committed again")), Tree::After, "{at}");
            drafted.home.ok(&["undo", &drafted.newest_run()]);
            same(&drafted.before, &drafted.dir, &format!("{at}, committed again and undone"));
        }
        drafted.home.log_is_sound();
    }
}
