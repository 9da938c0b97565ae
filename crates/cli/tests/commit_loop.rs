//! Five hundred commands on drafts, each killed (`kill -9`) at a random time: exec, commit, undo, discard. Never a
//! half-committed tree, nothing lost, the log sound. (C2, C3)

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

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use commits::{Commits, LANES, lanes};
use drafted::{Program, Tree};
use whole::{Dice, same};

/// Rounds in all.
const ROUNDS: usize = 500;
/// Rounds between two checks of the whole log.
const CHECK: usize = 10;

#[test]
fn killed_at_random_times_hundreds_of_times_no_commit_is_half_and_nothing_is_lost() {
    let seed = Dice::seed();
    println!("RAINCOAT_TEST_SEED={seed}");
    let killed = lanes(move |lane| {
        let dice = Dice(seed.wrapping_add(lane as u64));
        let program = [Program::Plain, Program::Protected][lane % 2];
        Lane { commits: Commits::new(program), dice, takes: HashMap::new(), committed: None }.run(ROUNDS / LANES)
    });
    println!("{killed} of {ROUNDS} commands were killed before their end");
    assert!(killed > ROUNDS / 3, "{killed} of {ROUNDS}");
}

struct Lane {
    commits: Commits,
    dice: Dice,
    /// How long a command takes: the longest seen.
    takes: HashMap<&'static str, Duration>,
    /// The commit that stands in the folder.
    committed: Option<String>,
}

impl Lane {
    fn run(mut self, rounds: usize) -> usize {
        let mut killed = 0;
        for round in 1..=rounds {
            killed += usize::from(self.round(round));
            if round % CHECK == 0 {
                self.commits.drafted.home.log_is_sound();
            }
        }
        killed
    }

    /// One command. Says whether it was killed.
    fn round(&mut self, round: usize) -> bool {
        let program = self.commits.drafted.program;
        let at = |what: &str| format!("{program:?} round {round}: {what}");
        match (self.committed.clone(), self.commits.draft.clone(), self.dice.below(4)) {
            (Some(run), ..) => {
                let command = self.commits.drafted.command(&["undo", &run]);
                let (killed, _) = self.kill("undo", command);
                self.commits.drafted.settle(&at("undo"));
                if killed {
                    self.commits.drafted.home.ok(&["undo", &run]);
                }
                same(&self.commits.drafted.before, &self.commits.drafted.dir, &at("undone"));
                self.committed = None;
                // What was left out of the commit.
                self.commits.drafted.discard_all();
                self.commits.draft = None;
                killed
            }
            (None, Some(draft), 0) => {
                let command = self.commits.drafted.command(&["discard", &draft, "--yes"]);
                let (killed, _) = self.kill("discard", command);
                self.look(&at("discard"), killed, None);
                killed
            }
            (None, Some(draft), _) => {
                let command = self.commits.drafted.command(&["commit", &draft]);
                let (killed, _) = self.kill("commit", command);
                let tree = self.look(&at("commit"), true, Some(true));
                assert!(killed || tree == Tree::After, "{}", at("commit"));
                killed
            }
            (None, None, n) => {
                let (name, commit) = if n == 0 { ("exec and commit", "always") } else { ("exec", "never") };
                let command = self.commits.drafted.exec_command(commit);
                let (killed, said) = self.kill(name, command);
                let tree = self.look(&at(name), true, Some(said.contains("all-done")));
                assert!(n == 0 || tree == Tree::Before, "{}", at(name));
                killed
            }
        }
    }

    /// The tree is before or after; an open draft is whole, where it must be (`whole`: it must be there, too, unless it
    /// was committed).
    fn look(&mut self, at: &str, killed: bool, whole: Option<bool>) -> Tree {
        let drafted = &self.commits.drafted;
        drafted.settle(at);
        let tree = drafted.tree(at);
        let open = drafted.drafts();
        assert!(open.len() <= 1, "{at}: {open:?}");
        self.commits.draft = None;
        if tree == Tree::After {
            self.committed = Some(drafted.newest_run());
            let left: Vec<_> = self.commits.whole.iter().filter(|(.., protected)| *protected).cloned().collect();
            assert_eq!(open.is_empty(), left.is_empty(), "{at}");
            for run in &open {
                assert_eq!(drafted.review(run), left, "{at}: what was committed is in the draft still");
            }
            return tree;
        }
        assert!(whole != Some(true) || open.len() == 1, "{at}: what the program did is gone");
        assert!(killed || open.is_empty(), "{at}");
        if whole == Some(false) {
            drafted.discard_all();
            return tree;
        }
        for run in open {
            assert_eq!(drafted.review(&run), self.commits.whole, "{at}");
            self.commits.draft = Some(run);
        }
        tree
    }

    /// Runs a command and kills it at a random time. Says whether it was still at work, and what was said.
    fn kill(&mut self, name: &'static str, mut command: Command) -> (bool, String) {
        let words = self.commits.drafted.home.path("said");
        let mut child = command.stdout(File::create(&words).unwrap()).stderr(Stdio::null()).spawn().unwrap();
        let most = self.takes.get(name).copied().unwrap_or(Duration::from_millis(100));
        let delay = most.mul_f64(self.dice.below(1200) as f64 / 1000.0);
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success(), "{name}: {status}: {}", fs::read_to_string(&words).unwrap());
                let took = self.takes.entry(name).or_default();
                *took = (*took).max(start.elapsed());
                break status;
            }
            if start.elapsed() >= delay {
                child.kill().unwrap();
                break child.wait().unwrap();
            }
            std::thread::sleep(Duration::from_micros(200));
        };
        if status.signal() == Some(9) && delay >= most {
            let took = self.takes.entry(name).or_insert(most);
            *took = took.mul_f64(1.1);
        }
        (status.signal() == Some(9), fs::read_to_string(&words).unwrap())
    }
}
