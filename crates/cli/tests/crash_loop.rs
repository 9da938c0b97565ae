//! `kill -9` at random times, hundreds of times over, and at every system call that changes something: after each, the
//! next command settles what was under way and says so, nothing is lost, nothing of ours lies about, the log is sound,
//! and everything can still be undone to the first byte. (C2, C3, D1)

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests"
)]

#[path = "support/whole.rs"]
mod whole;

use std::collections::{BTreeSet, HashMap};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use raincoat_runtime::snapshot::Snapshot;
use serde_json::Value;
use whole::{Dice, Home, contents, leftovers, lines, messy, said, same};

/// Rounds in all, over two lanes.
const ROUNDS: usize = 500;
const LANES: usize = 2;
/// Files in a lane's folder, about.
const FILES: usize = 150;
/// Rounds after which everything is undone.
const CYCLE: usize = 25;

/// What is killed, and whether each file's content stands as often after it as before.
const COMMANDS: [(&[&str], bool); 8] = [
    (&["do", "tidy", "in", "--recursive", "--remove-empty"], true),
    (&["do", "tidy", "in", "--by", "date"], true),
    (&["do", "flatten", "in"], true),
    (&["do", "dedupe", "in"], false),
    (&["do", "rename", "in", "--from", "*", "--to", "{n:03} {name}", "--recursive"], true),
    (&["do", "archive-old", "in", "--older-than", "1y", "--recursive"], false),
    (&["undo"], false),
    (&["undo"], false),
];

#[test]
fn killed_at_random_times_hundreds_of_times_nothing_is_lost() {
    let seed = Dice::seed();
    println!("RAINCOAT_TEST_SEED={seed}");
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| {
            std::thread::Builder::new()
                .name(format!("lane {lane} of RAINCOAT_TEST_SEED={seed}"))
                .spawn(move || Lane::new(seed.wrapping_add(lane as u64)).run(ROUNDS / LANES))
                .unwrap()
        })
        .collect();
    let mut killed = 0;
    let mut recovered = 0;
    for lane in lanes {
        let (k, r) = lane.join().unwrap_or_else(|_| panic!("a lane failed; run it again: RAINCOAT_TEST_SEED={seed}"));
        killed += k;
        recovered += r;
    }
    println!("{killed} of {ROUNDS} commands were killed before their end, {recovered} runs were settled");
    // The delays are spread over the commands' whole time, so most of them hit.
    assert!(killed > ROUNDS / 2, "{killed} of {ROUNDS}");
    assert!(recovered > ROUNDS / 10, "{recovered} of {ROUNDS}");
}

struct Lane {
    home: Home,
    dir: PathBuf,
    dice: Dice,
    original: Snapshot,
    /// How long a command takes, by its words: the longest seen.
    takes: HashMap<&'static str, Duration>,
    known: BTreeSet<String>,
    /// The folder before each run of this cycle, by the run.
    before: HashMap<String, (Snapshot, String)>,
    /// The newest run before this cycle.
    mark: Option<String>,
    round: usize,
}

impl Lane {
    fn new(seed: u64) -> Lane {
        let mut dice = Dice(seed);
        let (home, dir) = Home::granted("in");
        messy(&dir, FILES, &mut dice);
        let original = Snapshot::take(&dir).unwrap();
        Lane {
            home,
            dir,
            dice,
            original,
            takes: HashMap::new(),
            known: BTreeSet::new(),
            before: HashMap::new(),
            mark: None,
            round: 0,
        }
    }

    fn run(mut self, rounds: usize) -> (usize, usize) {
        let (mut killed, mut recovered) = (0, 0);
        for round in 1..=rounds {
            self.round = round;
            let before = Snapshot::take(&self.dir).unwrap();
            let (words, conserves) = COMMANDS[self.dice.below(COMMANDS.len())];
            let by_kill = self.kill(words);
            killed += usize::from(by_kill);
            let (newest, settled) = self.settle(words);
            recovered += settled;
            if let Some(run) = newest {
                self.before.entry(run).or_insert_with(|| (before.clone(), format!("{words:?} killed: {by_kill}")));
            }
            let after = Snapshot::take(&self.dir).unwrap();
            assert_eq!(leftovers(&after), [""; 0], "round {round}, after {words:?}");
            if conserves {
                assert!(contents(&before) == contents(&after), "round {round}: {words:?} lost or made content");
            }
            if words[0] != "undo" && words[1] != "archive-old" {
                let distinct = |snapshot: &Snapshot| contents(snapshot).into_keys().collect::<Vec<_>>();
                assert!(distinct(&before) == distinct(&after), "round {round}: {words:?} lost content");
            }
            if round % 10 == 0 {
                self.home.log_is_sound();
            }
            if round % CYCLE == 0 || round == rounds {
                self.undo_everything();
            }
        }
        (killed, recovered)
    }

    /// Runs a command and kills it at a random time. Says whether it was still at work.
    fn kill(&mut self, words: &[&'static str]) -> bool {
        let mut all = words.to_vec();
        all.push("--yes");
        let key = words[words.len().min(2) - 1];
        // At first nobody knows how long it takes.
        let most = self.takes.get(key).copied().unwrap_or(Duration::from_millis(120));
        let delay = most.mul_f64(self.dice.below(1100) as f64 / 1000.0);
        let start = Instant::now();
        let mut child = self.home.command(&all).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                let said = said(child.wait_with_output().unwrap());
                // 5: an undo left what a later run changed, as it must. 1: steps met what an earlier kill left.
                assert!(
                    matches!(status.code(), Some(0 | 1 | 5)) || said.err.contains("nothing has been done yet"),
                    "round {}: {words:?}: {said:?}",
                    self.round
                );
                let took = self.takes.entry(key).or_default();
                *took = (*took).max(start.elapsed());
                return false;
            }
            if start.elapsed() >= delay {
                child.kill().unwrap();
                let status = child.wait().unwrap();
                self.takes.entry(key).or_insert(most);
                if delay >= most {
                    let took = self.takes.entry(key).or_default();
                    *took = took.mul_f64(1.1);
                }
                return status.signal() == Some(9);
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// The next command settles what was under way and says so. Gives the newest run, and how many were settled.
    fn settle(&mut self, words: &[&str]) -> (Option<String>, usize) {
        let said = self.home.run(&["runs", "-n", "12", "--json"]);
        assert_eq!(said.code, 0, "round {}, after {words:?}: {said:?}", self.round);
        let mut settled = 0;
        let runs = lines(&said.out);
        let newest = runs.first().and_then(|run| run["run"].as_str()).map(str::to_owned);
        for run in runs {
            assert_ne!(run["status"], "open", "round {}, after {words:?}: {run}", self.round);
            let id = run["run"].as_str().unwrap().to_owned();
            if self.known.insert(id.clone()) && run["status"] == "interrupted" {
                assert!(said.err.contains(&id), "round {}: nobody was told of {run}: {said:?}", self.round);
                settled += 1;
            }
        }
        (newest, settled)
    }

    /// Newest run first, undos like any other: in the end the folder is what it was.
    fn undo_everything(&mut self) {
        let runs = self.home.json(&["runs", "-n", "500"]);
        let newer: Vec<Value> =
            runs.into_iter().take_while(|run| run["run"].as_str() != self.mark.as_deref()).collect();
        for run in &newer {
            let id = run["run"].as_str().unwrap();
            let (code, report) = self.home.report(&["undo", id]);
            assert!(code == 0 && report["left"] == 0, "round {}: undo of {run} says {code}: {report}", self.round);
            if let Some((before, words)) = self.before.get(id) {
                same(before, &self.dir, &format!("round {}: undone {words}, {run}: {report}", self.round));
            }
        }
        self.before.clear();
        same(&self.original, &self.dir, &format!("round {}, everything undone", self.round));
        // On a machine with much else to do, all of a cycle may have been killed before they began.
        let newest = self.home.json(&["runs", "-n", "1"]);
        self.mark = newest.first().and_then(|run| run["run"].as_str()).map(str::to_owned);
        self.known.extend(self.mark.clone());
    }
}

#[test]
fn killed_at_every_call_of_a_tidy_it_recovers_and_is_undone() {
    every_call_of(&["tidy", "in", "--recursive", "--remove-empty"], 24, true, 4);
}

#[test]
fn killed_throughout_the_other_recipes_they_recover_and_are_undone() {
    // The rooms beneath have tests of every call of every change.
    every_call_of(&["flatten", "in"], 12, true, 6);
    every_call_of(&["rename", "in", "--from", "*", "--to", "{n:03} {name}", "--recursive"], 8, true, 6);
    every_call_of(&["dedupe", "in"], 16, false, 6);
    every_call_of(&["archive-old", "in", "--older-than", "1y", "--recursive"], 10, false, 6);
}

fn every_call_of(recipe: &[&str], files: usize, conserves: bool, step: usize) {
    let (home, dir) = Home::granted("in");
    messy(&dir, files, &mut Dice(30));
    let original = Snapshot::take(&dir).unwrap();
    let words = [&["do"], recipe, &["--yes", "--json"]].concat();
    let kills = at_every_call(&home, &words, step, |n| {
        let (newest, told) = newest_run(&home);
        let between = Snapshot::take(&dir).unwrap();
        let at = format!("{recipe:?} killed at call {n}");
        assert_eq!(leftovers(&between), [""; 0], "{at}");
        if conserves {
            assert!(contents(&original) == contents(&between), "{at}: content was lost or made");
        }
        if let Some(run) = newest {
            assert_ne!(run["status"], "open", "{at}");
            assert!(run["status"] != "interrupted" || told, "{at}: nobody was told of {run}");
            home.ok(&["undo", run["run"].as_str().unwrap()]);
        }
        same(&original, &dir, &format!("{at}, undone"));
    });
    println!("{recipe:?} was killed at {kills} calls");
    assert!(kills * step > 50, "{kills}");
    home.log_is_sound();
}

#[test]
fn killed_at_every_call_of_an_undo_it_recovers_and_can_be_finished() {
    let (home, dir) = Home::granted("in");
    messy(&dir, 24, &mut Dice(31));
    let original = Snapshot::take(&dir).unwrap();
    let tidy = || {
        let (code, report) = home.report(&["do", "tidy", "in", "--recursive", "--remove-empty", "--yes"]);
        assert_eq!(code, 0, "{report}");
        report["run"].as_str().unwrap().to_owned()
    };
    let (mut run, mut again) = (tidy(), false);
    let tidied = Snapshot::take(&dir).unwrap();
    let kills = at_every_call_of(
        &home,
        &mut |_| {
            if std::mem::replace(&mut again, true) {
                run = tidy();
            }
            vec!["undo".to_owned(), run.clone(), "--json".to_owned()]
        },
        4,
        |n, arguments| {
            let (_, _) = newest_run(&home);
            let between = Snapshot::take(&dir).unwrap();
            assert_eq!(leftovers(&between), [""; 0], "killed at call {n}");
            assert!(contents(&tidied) == contents(&between), "killed at call {n}: content was lost or made");
            home.ok(&["undo", &arguments[1]]);
            same(&original, &dir, &format!("killed at call {n}, undone again"));
        },
    );
    println!("killed at {kills} calls");
    assert!(kills > 20, "{kills}");
    home.log_is_sound();
}

fn at_every_call(home: &Home, arguments: &[&str], step: usize, mut look: impl FnMut(usize)) -> usize {
    let words: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
    at_every_call_of(home, &mut |_| words.clone(), step, |n, _| look(n))
}

/// Runs the command again and again, killed at its first, second, nth system call that changes something, until it lives to
/// its end; in the ordinary run of the tests at every `step`th, other ones each time. Gives how often it was killed.
fn at_every_call_of(
    home: &Home,
    arguments: &mut dyn FnMut(usize) -> Vec<String>,
    step: usize,
    mut look: impl FnMut(usize, &[String]),
) -> usize {
    let all = std::env::var_os("RAINCOAT_TEST_ALL").is_some();
    let step = if all { 1 } else { step };
    let mut n = 1 + Dice(Dice::seed()).below(step);
    let mut kills = 0;
    loop {
        let arguments = arguments(n);
        let output = home.command(&arguments).env("RAINCOAT_FAULT", format!("kill:{n}")).output().unwrap();
        let by_kill = output.status.signal() == Some(9);
        if !by_kill {
            let said = said(output);
            assert_eq!(said.code, 0, "at call {n}: {said:?}");
            assert!(kills > 0, "the binary has no faults: build it with the feature `fault` of raincoat-runtime");
        }
        look(n, &arguments);
        if !by_kill {
            return kills;
        }
        kills += 1;
        n += step;
    }
}

/// The newest run after recovery, and whether recovery said its name.
fn newest_run(home: &Home) -> (Option<Value>, bool) {
    let said = home.run(&["runs", "-n", "1", "--json"]);
    assert_eq!(said.code, 0, "{said:?}");
    let run = lines(&said.out).pop();
    let told = run.as_ref().is_some_and(|run| said.err.contains(run["run"].as_str().unwrap()));
    (run, told)
}
