//! Two processes write to one store at once, each in a folder of its own, and both are killed at random times: what
//! either acknowledged is there, nothing of either is lost, and journal and log stay sound. (C2, C3, D1)

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

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use raincoat_runtime::snapshot::Snapshot;
use serde_json::Value;
use whole::{Dice, Home, Said, contents, leftovers, lines, messy, said, same};

/// Rounds in which both are killed: a sample, or as many as issue 4 asks for with `RAINCOAT_TEST_ALL`, as
/// `cargo xtask crash` does.
const SAMPLE: usize = 30;
const ALL: usize = 1000;
/// Rounds after which everything is undone.
const CYCLE: usize = 20;
const FOLDERS: [&str; 2] = ["here", "there"];
/// Files in each folder, about.
const FILES: usize = 80;
/// The longest that a command is let live at first, in microseconds. It is drawn nearer by each that lives to its end and
/// moved away by each that is killed, so that two in three are killed however fast the machine is.
const LONGEST: usize = 400_000;
const LEAST: usize = 2_000;

/// What is run in a folder (its name goes in the place of `DIR`), and whether each content stands as often afterwards.
const COMMANDS: [(&[&str], bool); 6] = [
    (&["do", "tidy", "DIR", "--recursive", "--remove-empty"], true),
    (&["do", "flatten", "DIR"], true),
    (&["do", "rename", "DIR", "--from", "*", "--to", "{n:03} {name}", "--recursive"], true),
    (&["do", "dedupe", "DIR"], false),
    (&["do", "archive-old", "DIR", "--older-than", "1y", "--recursive"], false),
    (&["do", "tidy", "DIR", "--by", "date"], true),
];

#[test]
fn two_at_once_killed_at_random_lose_nothing() {
    let seed = Dice::seed();
    println!("RAINCOAT_TEST_SEED={seed}");
    let rounds = if std::env::var_os("RAINCOAT_TEST_ALL").is_some() { ALL } else { SAMPLE };
    let mut pair = Pair::new(Dice(seed));
    for round in 1..=rounds {
        pair.round(round);
        if round % CYCLE == 0 || round == rounds {
            pair.undo_everything(round);
        }
    }
    println!(
        "{rounds} rounds: {} commands killed, {} runs settled, {} acknowledged",
        pair.killed, pair.settled, pair.acknowledged
    );
    // How many live to their end is the machine's business; some of each kind there are.
    assert!(pair.killed > rounds / 2, "{} of {}", pair.killed, 2 * rounds);
}

struct Pair {
    home: Home,
    dirs: [PathBuf; 2],
    originals: [Snapshot; 2],
    dice: Dice,
    known: BTreeSet<String>,
    /// The newest run before this cycle.
    mark: Option<String>,
    longest: usize,
    killed: usize,
    settled: usize,
    acknowledged: usize,
}

impl Pair {
    fn new(mut dice: Dice) -> Pair {
        let home = Home::new();
        home.ok(&["init", "--no-input"]);
        let dirs = FOLDERS.map(|folder| {
            let dir = home.path(folder);
            fs::create_dir(&dir).unwrap();
            home.ok(&["grant", folder]);
            messy(&dir, FILES, &mut dice);
            dir
        });
        let originals = [Snapshot::take(&dirs[0]).unwrap(), Snapshot::take(&dirs[1]).unwrap()];
        let known = BTreeSet::new();
        let longest = LONGEST;
        Pair { home, dirs, originals, dice, known, mark: None, longest, killed: 0, settled: 0, acknowledged: 0 }
    }

    fn round(&mut self, round: usize) {
        let before = self.look();
        let mut at_work = Vec::new();
        for folder in FOLDERS {
            let (words, conserves) = COMMANDS[self.dice.below(COMMANDS.len())];
            let mut words: Vec<&str> = words.iter().map(|word| if *word == "DIR" { folder } else { word }).collect();
            words.extend(["--yes", "--json"]);
            let child = self.home.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let delay = Duration::from_micros(self.dice.below(self.longest) as u64);
            at_work.push((child, Instant::now() + delay, words.join(" "), conserves));
        }
        let mut done = Vec::new();
        let mut all_conserve = [true; 2];
        // Each dies at its own time: whoever is due first is waited for first.
        let mut order = [0, 1];
        order.sort_by_key(|n| at_work[*n].1);
        let mut ended: [Option<Said>; 2] = [None, None];
        let mut children: Vec<Option<_>> = at_work.into_iter().map(Some).collect();
        for n in order {
            let (child, due, words, conserves) = children[n].take().unwrap();
            all_conserve[n] = conserves;
            let (killed, said) = until(child, due);
            self.killed += usize::from(killed);
            let next = if killed { self.longest * 21 / 20 } else { self.longest * 9 / 10 };
            self.longest = next.clamp(LEAST, LONGEST);
            if !killed {
                let well = matches!(said.code, 0 | 1) || said.err.contains("nothing has been done yet");
                assert!(well, "round {round}: {words}: {said:?}");
                if let Some(run) = lines(&said.out).pop().and_then(|report| report["run"].as_str().map(str::to_owned)) {
                    done.push((run, words));
                }
            }
            ended[n] = Some(said);
        }
        let runs = self.settle(round, &ended);
        for (run, words) in done {
            let there = runs.iter().find(|one| one["run"] == run.as_str());
            let there = there.unwrap_or_else(|| panic!("round {round}: {words} said it was done, and {run} is lost"));
            assert!(there["status"] == "done" || there["status"] == "failed", "round {round}: {words}: {there}");
            self.acknowledged += 1;
        }
        for (n, (before, after)) in before.iter().zip(self.look()).enumerate() {
            assert_eq!(leftovers(&after), [""; 0], "round {round}, `{}`: {:?}", FOLDERS[n], ended[n]);
            if all_conserve[n] {
                let same = contents(before) == contents(&after);
                assert!(same, "round {round}: content was lost or made in `{}`: {:?}", FOLDERS[n], ended[n]);
            }
        }
        if round.is_multiple_of(10) {
            self.home.log_is_sound();
        }
    }

    fn look(&self) -> [Snapshot; 2] {
        [Snapshot::take(&self.dirs[0]).unwrap(), Snapshot::take(&self.dirs[1]).unwrap()]
    }

    /// The next command settles what both left and says so. Gives the newest runs.
    fn settle(&mut self, round: usize, ended: &[Option<Said>; 2]) -> Vec<Value> {
        let said = self.home.run(&["runs", "-n", "16", "--json"]);
        assert_eq!(said.code, 0, "round {round}: {said:?}");
        let runs = lines(&said.out);
        for run in &runs {
            assert_ne!(run["status"], "open", "round {round}: {run}");
            let id = run["run"].as_str().unwrap().to_owned();
            if self.known.insert(id.clone()) && run["status"] == "interrupted" {
                // One that began when the other was dead already settles it, says so, and may be killed before it does.
                let told = said.err.contains(&id);
                let by_the_other = ended.iter().flatten().any(|one| one.err.contains(&id));
                let both_died = ended.iter().flatten().all(|one| one.code == -9);
                assert!(told || by_the_other || both_died, "round {round}: nobody was told of {run}: {said:?}");
                self.settled += 1;
            }
        }
        runs
    }

    /// Newest run first: in the end both folders are what they were.
    fn undo_everything(&mut self, round: usize) {
        let runs = self.home.json(&["runs", "-n", "500"]);
        let mark = self.mark.clone();
        for run in runs.into_iter().take_while(|run| run["run"].as_str() != mark.as_deref()) {
            let (code, report) = self.home.report(&["undo", run["run"].as_str().unwrap()]);
            assert!(code == 0 && report["left"] == 0, "round {round}: undo of {run} says {code}: {report}");
        }
        for (original, dir) in self.originals.iter().zip(&self.dirs) {
            same(original, dir, &format!("round {round}, everything undone in `{}`", dir.display()));
        }
        self.home.log_is_sound();
        self.mark = self.home.json(&["runs", "-n", "1"])[0]["run"].as_str().map(str::to_owned);
        self.known.extend(self.mark.clone());
    }
}

/// Waits for a command's end, and kills it when its time has come. Whether it was killed, and what it said.
fn until(mut child: Child, due: Instant) -> (bool, Said) {
    while Instant::now() < due && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_micros(200));
    }
    drop(child.kill());
    let output = child.wait_with_output().unwrap();
    (output.status.signal() == Some(9), said(output))
}
