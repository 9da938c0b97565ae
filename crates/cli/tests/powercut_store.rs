//! The power is cut between any two writes to the disk while files are moved and changed, put back as they were, taken
//! back in part and brought again, and while log and store are cared for: a subject is erased, old runs are pruned.
//! Folder, journal, log and keys lie on that disk. Each state is mounted and recovered from: what was acknowledged is
//! there, every before-image too, store and log hold, and what was erased stays unreadable. (C2, C3, A5)

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
#[path = "support/whole.rs"]
mod whole;

use std::fs;
use std::path::{Path, PathBuf};

use cut::{Cut, LAG, Recording, lanes};
use raincoat_runtime::snapshot::{Aspect, EntryKind, Snapshot};
use serde_json::Value;
use whole::{Dice, Home, contents, leftovers, lines, messy};

/// Files in the folder, about.
const FILES: usize = 14;
/// A name that only the log's entries about the second folder say.
const ERASED: &str = "peculiar";
const CHANGE: &str = "find . -name '*.txt' -exec sh -c 'echo more >>\"$1\"' _ {} ';'; echo new >new.txt";

#[test]
fn whenever_the_power_is_cut_while_looking_back_nothing_acknowledged_is_lost() {
    lanes(&[Care::TakingBack, Care::Pruning], |lane, care, dice| {
        let (mut cut, mut history) = History::record(lane, care);
        let words: Vec<_> = history.steps.iter().map(|step| (step.words.join(" "), step.by)).collect();
        println!("{care:?}: {words:#?}");
        let start = history.start;
        cut.each(start, dice, |n, at| history.judge(n, &format!("{care:?} {at}")));
        let History { settled, torn_apart, .. } = history;
        println!(
            "{care:?}: {} states, {} of them torn; {settled} runs were under way, {torn_apart} left a folder's time",
            cut.states, cut.torn
        );
    });
}

/// What the last steps are about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Care {
    TakingBack,
    Pruning,
}

/// A command that said that it was done.
struct Step {
    words: Vec<String>,
    /// Where the record stood then.
    by: u64,
    /// The folder afterwards.
    tree: Snapshot,
    /// The run, where it was one of its own.
    run: Option<String>,
}

struct History {
    home: Home,
    dir: PathBuf,
    start: u64,
    original: Snapshot,
    steps: Vec<Step>,
    settled: usize,
    torn_apart: usize,
}

impl History {
    fn record(lane: usize, care: Care) -> (Cut, History) {
        let recording = Recording::start(lane);
        let home = Home { dir: tempfile::tempdir_in(recording.at()).unwrap() };
        home.ok(&["init", "--no-input"]);
        let [dir, other] = ["in", "other"].map(|folder| {
            fs::create_dir(home.path(folder)).unwrap();
            home.ok(&["grant", folder]);
            home.path(folder)
        });
        if care == Care::Pruning {
            // The log's head is remembered in a folder of its own too.
            let memory = home.path("memory");
            fs::create_dir(&memory).unwrap();
            let config = format!("[log]\nmemory = {:?}\n", memory.to_str().unwrap());
            fs::write(home.path(".config/raincoat/config.toml"), config).unwrap();
        }
        messy(&dir, FILES, &mut Dice(4));
        fs::write(other.join("plain.txt"), "a person's").unwrap();
        let original = Snapshot::take(&dir).unwrap();
        let start = recording.settled();
        let mut history = History { home, dir, start, original, steps: Vec::new(), settled: 0, torn_apart: 0 };
        let first = history.step(&recording, &["do", "tidy", "in", "--recursive", "--remove-empty", "--yes"]);
        match care {
            Care::TakingBack => {
                let exec = ["exec", "--commit", "always", "--in", "in", "--", "/bin/sh", "-c", CHANGE];
                let changed = history.step(&recording, &exec);
                history.step(&recording, &["undo", &first, "--only", "*.pdf", "--only", "*.jpg"]);
                history.step(&recording, &["redo"]);
                history.step(&recording, &["restore", "in", "--before", &changed]);
                history.step(&recording, &["restore", "in", "--before", &first]);
            }
            Care::Pruning => {
                let rename = format!("{ERASED} {{name}}");
                history.step(&recording, &["do", "rename", "other", "--from", "*", "--to", &rename, "--yes"]);
                let subject = format!("folder:{}", other.display());
                history.step(&recording, &["audit", "erase", &subject, "--yes"]);
                history.step(&recording, &["undo", &first]);
                history.step(&recording, &["store", "prune", "--to", "1M", "--within-keep", "--yes"]);
                history.step(&recording, &["do", "flatten", "in", "--yes"]);
            }
        }
        (recording.stop(), history)
    }

    /// Does it, and writes down when that was acknowledged. Gives the newest run.
    fn step(&mut self, recording: &Recording, words: &[&str]) -> String {
        self.home.ok(words);
        let by = recording.entries();
        // All of them may have been pruned.
        let run = self.home.json(&["runs", "-n", "1"]).first().map(|run| run["run"].as_str().unwrap().to_owned());
        let own = run.clone().filter(|run| self.steps.iter().all(|step| step.run.as_ref() != Some(run)));
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let tree = Snapshot::take(&self.dir).unwrap();
        self.steps.push(Step { words, by, tree, run: own });
        run.unwrap_or_default()
    }

    /// Whether this step was acknowledged before the nth entry; or may have begun by then.
    fn had(&self, n: u64, first_word: &str, second: &str) -> (bool, bool) {
        let found = self.steps.iter().position(|step| step.words[0] == first_word && step.words[1] == second);
        let Some(at) = found else { return (false, false) };
        let begun = at.checked_sub(1).map_or(self.start, |before| self.steps[before].by);
        (n >= self.steps[at].by + LAG, n >= begun)
    }

    fn judge(&mut self, n: u64, at: &str) {
        let done = self.steps.iter().take_while(|step| n >= step.by + LAG).count();
        let at = format!("{at}, {done} steps were acknowledged");
        let said = self.home.run(&["runs", "-n", "20", "--json"]);
        assert_eq!(said.code, 0, "{at}: {said:?}");
        let runs = lines(&said.out);
        self.nothing_acknowledged_is_lost(&runs, done, n, &at);
        let mut tree = Snapshot::take(&self.dir).unwrap();
        assert_eq!(leftovers(&tree), [""; 0], "{at}");
        let at = format!("{at}: {}", runs.first().map(ToString::to_string).unwrap_or_default());
        let under_way = runs.first().filter(|run| run["status"] == "interrupted");
        if let Some(run) = under_way {
            let id = run["run"].as_str().unwrap();
            assert!(said.err.contains(id), "{at}: nobody was told of {run}");
            self.home.ok(&["undo", id]);
            tree = Snapshot::take(&self.dir).unwrap();
            self.settled += 1;
        }
        self.folder_is_as_it_was(&tree, done, &at);
        self.before_images_are_there(&runs, n, &at);
        self.erased_stays_erased(n, &at);
        let sound = self.home.run(&["store", "verify", "--deep"]);
        assert_eq!(sound.code, 0, "{at}: {sound:?}");
        self.home.log_is_sound();
    }

    fn nothing_acknowledged_is_lost(&self, runs: &[Value], done: usize, n: u64, at: &str) {
        let (_, pruning) = self.had(n, "store", "prune");
        for step in &self.steps[..done] {
            let Some(run) = &step.run else { continue };
            let there = runs.iter().find(|one| one["run"] == run.as_str());
            if there.is_none() && pruning {
                continue;
            }
            assert!(there.is_some_and(|one| one["status"] == "done"), "{at}: {:?} was lost: {there:?}", step.words);
        }
        for run in runs {
            assert_ne!(run["status"], "open", "{at}: {run}");
        }
    }

    /// As after the last acknowledged step, or as after the one that was under way.
    fn folder_is_as_it_was(&mut self, tree: &Snapshot, done: usize, at: &str) {
        let after = |steps: usize| match steps.checked_sub(1) {
            None => Some(&self.original),
            Some(last) => self.steps.get(last).map(|step| &step.tree),
        };
        let allowed: Vec<_> = [done, done + 1].into_iter().filter_map(after).collect();
        let differences: Vec<_> = allowed.iter().map(|was| was.differences(tree)).collect();
        if differences.iter().any(Vec::is_empty) {
            return;
        }
        // A folder's time that only an outcome lost with the power would have told is not given back.
        let only_times = |(was, differences): (&&Snapshot, &Vec<raincoat_runtime::snapshot::Difference>)| {
            differences.iter().all(|d| {
                d.what == Aspect::ModificationTime
                    && was.entries().get(&d.path).is_some_and(|entry| entry.kind == EntryKind::Dir)
            })
        };
        let told =
            || differences.iter().map(|of| of.iter().map(ToString::to_string).collect()).collect::<Vec<Vec<_>>>();
        assert!(allowed.iter().zip(&differences).any(only_times), "{at}: {:#?}", told());
        self.torn_apart += 1;
    }

    /// The folder of before the first run can be made from the store, unless its runs were pruned since.
    fn before_images_are_there(&self, runs: &[Value], n: u64, at: &str) {
        let first = self.steps[0].run.as_deref().unwrap();
        if runs.iter().all(|run| run["run"] != first) {
            return;
        }
        let (pruned, pruning) = self.had(n, "store", "prune");
        let restored = self.home.run(&["restore", "in", "--before", first, "--to", "then"]);
        let answer = self.home.run(&["can-undo", first, "--json"]);
        if pruned {
            assert!(answer.code == 1 && answer.out.contains("pruned"), "{at}: {answer:?}");
        }
        if !pruning {
            assert_eq!(restored.code, 0, "{at}: {restored:?}");
            let then = Snapshot::take(Path::new(&self.home.path("then"))).unwrap();
            assert!(contents(&then) == contents(&self.original), "{at}: not all of it came back");
        }
    }

    fn erased_stays_erased(&self, n: u64, at: &str) {
        let (erased, begun) = self.had(n, "audit", "erase");
        let found = self.home.run(&["audit", "search", ERASED, "--json"]);
        let told = found.out.contains(&format!("{ERASED} "));
        if erased {
            assert!(!told, "{at}: what was erased is told: {found:?}");
        }
        if begun && !erased {
            // The act that it tells of was acknowledged: it is told, or its erasure has come to an end.
            let (renamed, _) = self.had(n, "do", "rename");
            let log = self.home.ok(&["audit", "tail", "-n", "2000", "--json"]);
            assert!(!renamed || told || log.contains("erased"), "{at}: neither told nor erased: {found:?}");
        }
    }
}
