//! `kill -9`, a disk that fails once and a disk that is full, at every system call that changes something, of what takes
//! back and of what cares for store and log: restore, selective undo, redo, prunes of both, repair, erase, and what is
//! remembered of both outside them. The next command settles it; the folder is as before or as after or can be brought to
//! either; store and log hold. (A3, A5, C2, C3, D1)

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
#[path = "support/damage.rs"]
mod damage;
#[path = "support/drafted.rs"]
mod drafted;
#[path = "support/whole.rs"]
mod whole;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use commits::{Came, calls, lanes, under};
use damage::{DATA, STATE, patch, records, segments};
use raincoat_runtime::snapshot::{Aspect, EntryKind, Snapshot};
use serde_json::Value;
use whole::{Dice, Home, Said, leftovers, lines, messy, said};

/// Files in the folder, about.
const FILES: usize = 14;
/// Threads share waits, so that a command makes a few calls more at one time than at another.
const MORE: usize = 4;
const FAULTS: [&str; 3] = ["kill", "eio", "enospc"];
const CHANGE: &str = "find . -name '*.txt' -exec sh -c 'echo more >>\"$1\"' _ {} ';'; echo new >new.txt";
/// A name that only the entries about one folder say.
const PECULIAR: &str = "peculiar";

/// A home with two folders and two runs, which is put back as it was before each fault.
struct Scene {
    home: Home,
    dir: PathBuf,
    /// The home as it was.
    kept: tempfile::TempDir,
    /// A tidy of the first folder; a program's change of it.
    runs: [String; 2],
    /// The newest run of before.
    newest: String,
    words: Vec<String>,
    before: Snapshot,
}

impl Scene {
    /// `prepare` does what comes before, and gives the command that is to be killed.
    fn new(prepare: fn(&Home, &[String; 2]) -> Vec<String>) -> Scene {
        let (home, dir) = Home::granted("in");
        messy(&dir, FILES, &mut Dice(4));
        // Names of one file are known by its inode, which is another one in a copy.
        for name in ["one/linked.txt", "b link again", "other stuff/b"] {
            fs::remove_file(dir.join(name)).unwrap();
        }
        fs::create_dir(home.path("other")).unwrap();
        fs::write(home.path("other/plain.txt"), "a person's").unwrap();
        home.ok(&["grant", "other"]);
        let tidy = newest_after(&home, &["do", "tidy", "in", "--recursive", "--remove-empty", "--yes"]);
        let exec = newest_after(&home, &["exec", "--commit", "always", "--in", "in", "--", "/bin/sh", "-c", CHANGE]);
        let runs = [tidy, exec];
        let words = prepare(&home, &runs);
        // None where what `prepare` leaves has to be repaired first.
        let listed = lines(&home.run(&["runs", "-n", "1", "--json"]).out);
        let newest = listed.first().and_then(|run| Some(run["run"].as_str()?.to_owned())).unwrap_or_default();
        let kept = tempfile::tempdir().unwrap();
        copy(home.dir.path(), kept.path());
        let before = Snapshot::take(&dir).unwrap();
        Scene { home, dir, kept, runs, newest, words, before }
    }

    /// Everything as it was, in the very folders that were granted.
    fn again(&self) {
        let empty = |dir: &Path, but: &[PathBuf]| {
            let all = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
            all.filter(|path| !but.contains(path)).for_each(|path| remove(&path));
        };
        let granted = [self.dir.clone(), self.home.path("other")];
        empty(self.home.dir.path(), &granted);
        granted.iter().for_each(|dir| empty(dir, &[]));
        copy(self.kept.path(), self.home.dir.path());
    }

    fn command(&self) -> Command {
        self.home.command(&self.words)
    }

    /// The next command settles what was under way: no run is open. Gives the newest, and what was said.
    fn settle(&self, at: &str) -> (Value, Said) {
        let said = self.home.run(&["runs", "-n", "20", "--json"]);
        assert_eq!(said.code, 0, "{at}: {said:?}");
        let runs = lines(&said.out);
        for run in &runs {
            assert_ne!(run["status"], "open", "{at}: {run}");
        }
        // All of them may have been pruned.
        (runs.first().cloned().unwrap_or_default(), said)
    }

    fn tree(&self, at: &str) -> Snapshot {
        let tree = Snapshot::take(&self.dir).unwrap();
        assert_eq!(leftovers(&tree), [""; 0], "{at}");
        tree
    }

    fn store_and_log_hold(&self, at: &str) {
        let sound = self.home.run(&["store", "verify", "--deep"]);
        assert_eq!(sound.code, 0, "{at}: {sound:?}");
        self.home.log_is_sound();
    }
}

fn newest_after(home: &Home, words: &[&str]) -> String {
    home.ok(words);
    newest(home)
}

fn newest(home: &Home) -> String {
    home.json(&["runs", "-n", "1"])[0]["run"].as_str().unwrap().to_owned()
}

fn copy(from: &Path, to: &Path) {
    let said = said(Command::new("cp").arg("-a").arg(from.join(".")).arg(to).output().unwrap());
    assert_eq!(said.code, 0, "{said:?}");
}

fn remove(path: &Path) {
    let said = said(Command::new("rm").arg("-rf").arg("--").arg(path).output().unwrap());
    assert_eq!(said.code, 0, "{said:?}");
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Differences, but for the times of folders: doing something again gives them the time of doing it.
fn but_folder_times(was: &Snapshot, is: &Snapshot) -> Vec<String> {
    let folder = |path: &Vec<u8>| was.entries().get(path).is_some_and(|entry| entry.kind == EntryKind::Dir);
    let differs = was.differences(is).into_iter();
    differs.filter(|d| d.what != Aspect::ModificationTime || !folder(&d.path)).map(|d| d.to_string()).collect()
}

/// A fault at every call (in the ordinary run of the tests, at one in `step`); `look` is told which, and what came of it.
fn at_every_call(
    prepare: fn(&Home, &[String; 2]) -> Vec<String>,
    step: usize,
    look: fn(&Scene, &Snapshot, &str, &Came),
) {
    let met = lanes(move |lane| {
        let scene = Scene::new(prepare);
        let said = said(scene.command().output().unwrap());
        assert_eq!(said.code, 0, "{:?}: {said:?}", scene.words);
        let after = scene.tree("without a fault");
        let all = calls_of(&scene);
        let mut met = 0;
        for fault in FAULTS {
            for n in calls(lane, step).take_while(|n| *n <= all + MORE) {
                scene.again();
                let came = under(scene.command(), fault, n);
                let at = format!("{:?} with {fault} at call {n} of {all}: {came:?}", scene.words);
                look(&scene, &after, &at, &came);
                met += usize::from(n <= all);
            }
        }
        met
    });
    println!("{met} faults were met");
    assert!(met > 10, "{met}");
}

/// How many calls the command makes that change something.
fn calls_of(scene: &Scene) -> usize {
    let (mut killed, mut lived) = (0, 4096);
    while lived - killed > 1 {
        let n = usize::midpoint(killed, lived);
        scene.again();
        match under(scene.command(), "kill", n) {
            Came::Killed => killed = n,
            Came::Ended(_) => lived = n,
        }
    }
    killed
}

/// What takes back: the folder is as before, as after, or the run that was cut off takes it back to before; and the same
/// command, given again, comes to its end.
fn takes_back(scene: &Scene, after: &Snapshot, at: &str, came: &Came) {
    let (newest, told) = scene.settle(at);
    let id = newest["run"].as_str().unwrap();
    let of_its_own = id != scene.newest;
    let tree = scene.tree(at);
    if let Came::Ended(said) = came {
        assert!(said.code >= 0, "{at}: {said:?}");
        let as_after = but_folder_times(after, &tree);
        assert!(said.code != 0 || as_after.is_empty(), "{at}: nobody was told: {as_after:?} {said:?}");
    }
    if newest["status"] == "interrupted" {
        assert!(told.err.contains(id), "{at}: nobody was told of {newest}");
    }
    // A redo given again would take itself back; of the others one way or the other is tried, as the run's id falls.
    if of_its_own && (scene.words[0] == "redo" || id.bytes().last().is_some_and(|last| last % 2 == 0)) {
        let undone = scene.home.run(&["undo", id]);
        assert_eq!(undone.code, 0, "{at}: {newest}: {undone:?}");
        let left = but_folder_times(&scene.before, &scene.tree(at));
        assert!(left.is_empty(), "{at}: undone, {newest}: {left:?}");
    } else if scene.words[0] != "redo" {
        let again = scene.home.run(&scene.words);
        // Nothing is left to do where all of it was done.
        assert!(matches!(again.code, 0 | 1), "{at}: again: {again:?}");
        let left = but_folder_times(after, &scene.tree(at));
        assert!(left.is_empty(), "{at}: again, {newest}: {left:?}");
    }
    scene.store_and_log_hold(at);
}

#[test]
fn faults_at_every_call_of_a_folders_restore() {
    at_every_call(|_, [tidy, _]| strings(&["restore", "in", "--before", tidy]), 12, takes_back);
}

#[test]
fn faults_at_every_call_of_a_restore_of_what_a_program_changed() {
    at_every_call(|_, [_, exec]| strings(&["restore", "in", "--before", exec]), 8, takes_back);
}

#[test]
fn faults_at_every_call_of_a_selective_undo() {
    at_every_call(|_, [tidy, _]| strings(&["undo", tidy, "--only", "*.pdf", "--only", "*.jpg"]), 8, takes_back);
}

#[test]
fn faults_at_every_call_of_an_undo_of_single_operations() {
    at_every_call(|_, [_, exec]| strings(&["undo", &format!("{exec}/1"), &format!("{exec}/2")]), 8, takes_back);
}

#[test]
fn faults_at_every_call_of_a_redo() {
    at_every_call(
        |home, [_, exec]| {
            home.ok(&["undo", exec]);
            strings(&["redo"])
        },
        8,
        takes_back,
    );
}

/// Whether a run can be taken back, wholly; or was let go, wholly.
fn whole_or_pruned(scene: &Scene, at: &str) -> [bool; 2] {
    [0, 1].map(|n| {
        let answer = scene.home.run(&["can-undo", &scene.runs[n], "--json"]);
        let pruned = answer.code == 1 && answer.out.contains("pruned");
        // The first run's files were changed by the second: a part of it is in the way.
        assert!(pruned || matches!(answer.code, 0 | 5), "{at}: {answer:?}");
        pruned
    })
}

#[test]
fn faults_at_every_call_of_a_prune() {
    at_every_call(
        |_, _| strings(&["store", "prune", "--to", "1M", "--within-keep", "--yes"]),
        6,
        |scene, _, at, came| {
            scene.settle(at);
            assert_eq!(scene.before.differences(&scene.tree(at)), [], "{at}: the folder is not its business");
            scene.store_and_log_hold(at);
            let pruned = whole_or_pruned(scene, at);
            if let Came::Ended(said) = came {
                assert!(said.code != 0 || pruned == [true; 2], "{at}: it said that all was well: {said:?}");
            }
            scene.home.ok(&scene.words);
            assert_eq!(whole_or_pruned(scene, at), [true; 2], "{at}: pruned again");
            // What is done now can be taken back as ever.
            let run = newest_after(&scene.home, &["do", "flatten", "in", "--yes"]);
            scene.home.ok(&["undo", &run]);
            assert_eq!(scene.before.differences(&scene.tree(at)), [], "{at}: a run after it, undone");
            scene.store_and_log_hold(at);
        },
    );
}

#[test]
fn faults_at_every_call_of_an_erasure() {
    at_every_call(
        |home, _| {
            let to = format!("{PECULIAR} {{name}}");
            home.ok(&["do", "rename", "other", "--from", "*", "--to", &to, "--yes"]);
            assert!(told_of_peculiar(home));
            strings(&["audit", "erase", &format!("folder:{}", home.path("other").display()), "--yes"])
        },
        4,
        |scene, _, at, came| {
            scene.settle(at);
            scene.store_and_log_hold(at);
            if let Came::Ended(said) = came {
                assert!(said.code != 0 || !told_of_peculiar(&scene.home), "{at}: it said that all was well: {said:?}");
            }
            let again = scene.home.run(&scene.words);
            assert!(again.code == 0 || again.err.contains("erased already"), "{at}: {again:?}");
            assert!(!told_of_peculiar(&scene.home), "{at}: erased again, and told still");
            let kept = scene.home.ok(&["audit", "timeline", &scene.runs[0]]);
            assert!(kept.contains("file "), "{at}: of others nothing was erased: {kept}");
            scene.store_and_log_hold(at);
        },
    );
}

/// Whether the log says the peculiar name.
fn told_of_peculiar(home: &Home) -> bool {
    home.ok(&["audit", "search", PECULIAR]).contains(&format!("{PECULIAR} "))
}

/// Renames the files of the other folder, and gives the run.
fn rename_other(home: &Home, to: &str) -> String {
    newest_after(home, &["do", "rename", "other", "--from", "*", "--to", to, "--yes"])
}

#[test]
fn faults_at_every_call_of_a_runs_erasure() {
    at_every_call(
        |home, _| {
            let run = rename_other(home, &format!("{PECULIAR} {{name}}"));
            strings(&["audit", "erase", &format!("run:{run}"), "--yes"])
        },
        8,
        |scene, _, at, came| {
            scene.settle(at);
            scene.store_and_log_hold(at);
            if let Came::Ended(said) = came {
                assert!(said.code != 0 || !told_of_peculiar(&scene.home), "{at}: it said that all was well: {said:?}");
            }
            let again = scene.home.run(&scene.words);
            assert!(again.code == 0 || again.err.contains("erased already"), "{at}: {again:?}");
            assert!(!told_of_peculiar(&scene.home), "{at}: erased again, and told still");
            // What the log says no more, the journal takes back all the same.
            scene.home.ok(&["undo"]);
            assert!(scene.home.path("other/plain.txt").exists(), "{at}");
            scene.store_and_log_hold(at);
        },
    );
}

#[test]
fn faults_at_every_call_of_a_command_after_an_erasure() {
    at_every_call(
        |home, _| {
            rename_other(home, &format!("{PECULIAR} {{name}}"));
            home.ok(&["undo"]);
            home.ok(&["audit", "erase", &format!("folder:{}", home.path("other").display()), "--yes"]);
            strings(&["do", "rename", "other", "--from", "*", "--to", "later {name}", "--yes"])
        },
        16,
        |scene, _, at, _| {
            let (newest, _) = scene.settle(at);
            assert!(!told_of_peculiar(&scene.home), "{at}: what was erased is told again");
            let id = newest["run"].as_str().unwrap();
            if id != scene.newest {
                scene.home.ok(&["undo", id]);
                assert!(scene.home.ok(&["audit", "timeline", id]).contains("later "), "{at}: what came after is told");
            }
            assert!(scene.home.path("other/plain.txt").exists(), "{at}");
            assert!(!told_of_peculiar(&scene.home), "{at}: what was erased is told again");
            scene.store_and_log_hold(at);
        },
    );
}

#[test]
fn faults_at_every_call_of_a_prune_of_the_log() {
    at_every_call(
        |home, _| {
            let many = home.path("many");
            fs::create_dir(&many).unwrap();
            for n in 0..90 {
                fs::write(many.join(format!("{n}.txt")), n.to_string()).unwrap();
            }
            home.ok(&["grant", "many"]);
            home.ok(&["do", "rename", "many", "--from", "*", "--to", "r{name}", "--yes"]);
            let held = rename_other(home, &format!("{PECULIAR} {{name}}"));
            home.ok(&["audit", "retention", "set", "all", "0d"]);
            home.ok(&["audit", "retention", "hold", &format!("run:{held}"), "--because", "a court asked"]);
            strings(&["audit", "retention", "prune", "--yes"])
        },
        12,
        |scene, _, at, came| {
            scene.settle(at);
            scene.store_and_log_hold(at);
            assert!(told_of_peculiar(&scene.home), "{at}: what is held is gone");
            let pruned = || scene.home.ok(&["audit", "retention"]).contains("entries before 256 were pruned");
            if let Came::Ended(said) = came {
                assert!(said.code != 0 || pruned(), "{at}: it said that all was well: {said:?}");
            }
            scene.home.ok(&scene.words);
            assert!(pruned(), "{at}: pruned again");
            assert_ne!(scene.home.run(&["audit", "show", "0"]).code, 0, "{at}: pruned, and there still");
            let kept = scene.home.ok(&["audit", "retention"]);
            assert!(
                kept.contains("a court asked") && told_of_peculiar(&scene.home),
                "{at}: what is held is gone: {kept}"
            );
            // What the log says no more, the journal takes back all the same.
            scene.home.ok(&["undo", &scene.runs[1]]);
            scene.store_and_log_hold(at);
        },
    );
}

#[test]
fn faults_at_every_call_of_a_repair() {
    at_every_call(
        |home, _| {
            let segment = &segments(home)[0];
            let at = records(segment);
            // Of the first run: its other operations and the second run are whole.
            patch(segment, |bytes| bytes[at[3] + 60] ^= 1);
            assert_eq!(home.run(&["store", "verify"]).code, 8);
            strings(&["store", "repair"])
        },
        16,
        |scene, _, at, came| {
            let listed = scene.home.run(&["runs"]);
            assert!(listed.code == 0 || listed.err.contains("store repair"), "{at}: {listed:?}");
            assert_eq!(scene.before.differences(&scene.tree(at)), [], "{at}: the folder is not its business");
            if let Came::Ended(said) = came {
                assert!(said.code != 0 || sound(scene), "{at}: it said that all was well: {said:?}");
            }
            let again = scene.home.run(&scene.words);
            assert_eq!(again.code, 0, "{at}: {again:?}");
            scene.settle(at);
            scene.store_and_log_hold(at);
            assert_eq!(whole_or_pruned(scene, at), [false; 2], "{at}: what is saved can be taken back");
            let told = scene.home.run(&["can-undo", &scene.runs[0]]);
            assert!(told.code == 5 && told.out.contains("a repair could not save it"), "{at}: {told:?}");
            scene.home.ok(&["undo", &scene.runs[1]]);
            scene.home.ok(&["redo"]);
            let left = but_folder_times(&scene.before, &scene.tree(at));
            assert!(left.is_empty(), "{at}: undone and redone: {left:?}");
            scene.store_and_log_hold(at);
        },
    );
}

fn sound(scene: &Scene) -> bool {
    scene.home.run(&["store", "verify", "--deep"]).code == 0
}

/// What is remembered of log and journal outside them is gone, and is to be kept in one more folder: the command makes
/// all of it.
#[test]
fn faults_at_every_call_of_a_command_that_finds_nothing_remembered() {
    at_every_call(
        |home, _| {
            remove(&home.path(STATE).join("head"));
            let apart = home.path("apart");
            fs::create_dir(&apart).unwrap();
            let config = format!("[log]\nmemory = \"{}\"\n", apart.display());
            fs::write(home.path(".config/raincoat/config.toml"), config).unwrap();
            strings(&["do", "rename", "other", "--from", "*", "--to", "later {name}", "--yes"])
        },
        16,
        |scene, _, at, _| {
            let (newest, _) = scene.settle(at);
            let id = newest["run"].as_str().unwrap();
            if id != scene.newest {
                scene.home.ok(&["undo", id]);
            }
            assert!(scene.home.path("other/plain.txt").exists(), "{at}");
            scene.store_and_log_hold(at);
        },
    );
}

/// Puts a part of what raincoat keeps back to how it was before something was done, which is refused.
fn put_back_older(home: &Home, part: &str, something: impl FnOnce()) {
    let (part, older) = (home.path(DATA).join(part), tempfile::tempdir().unwrap());
    copy(&part, older.path());
    something();
    remove(&part);
    fs::create_dir(&part).unwrap();
    copy(older.path(), &part);
    assert_eq!(home.run(&["undo"]).code, 8);
}

/// What was put back is taken as it is or refused, and taken where that is done again.
fn taken_or_refused(scene: &Scene, at: &str, came: &Came) {
    let works = scene.home.run(&["undo", "--dry-run"]).code;
    if let Came::Ended(said) = came {
        assert!(said.code != 0 || works == 0, "{at}: it said that all was well: {said:?}");
    }
    assert!(matches!(works, 0 | 8), "{at}: neither taken nor refused");
    let again = scene.home.run(&scene.words);
    assert_eq!(again.code, 0, "{at}: {again:?}");
}

/// A journal that was put back to an older copy is refused until the person takes it as it is.
#[test]
fn faults_at_every_call_of_taking_an_older_journal() {
    at_every_call(
        |home, _| {
            put_back_older(home, "journal", || {
                home.ok(&["grant", "other"]);
                rename_other(home, "later {name}");
            });
            strings(&["store", "repair", "--accept-older"])
        },
        6,
        |scene, _, at, came| {
            taken_or_refused(scene, at, came);
            scene.home.ok(&["undo", &scene.runs[1]]);
            scene.home.ok(&["redo"]);
            let left = but_folder_times(&scene.before, &scene.tree(at));
            assert!(left.is_empty(), "{at}: undone and redone: {left:?}");
            scene.store_and_log_hold(at);
        },
    );
}

/// The same of the log.
#[test]
fn faults_at_every_call_of_taking_an_older_log() {
    at_every_call(
        |home, _| {
            put_back_older(home, "audit", || drop(home.ok(&["grant", "other"])));
            strings(&["audit", "accept", "--yes"])
        },
        4,
        |scene, _, at, came| {
            taken_or_refused(scene, at, came);
            assert!(
                scene.home.ok(&["audit", "search", "--kind", "log.head-accepted"]).contains("accepted the log"),
                "{at}"
            );
            scene.home.ok(&["undo", &scene.runs[1]]);
            scene.store_and_log_hold(at);
        },
    );
}
