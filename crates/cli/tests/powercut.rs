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
#[path = "support/drafted.rs"]
mod drafted;
#[path = "support/whole.rs"]
mod whole;

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use blocks::{Entry, Log, Loop, Recorder, system};
use drafted::{Drafted, Program, Tree};
use raincoat_runtime::snapshot::{Aspect, EntryKind, Snapshot};
use whole::{Dice, same};

/// Bytes of the disk.
const DISK: u64 = 64 << 20;
/// Of the states, one in so many is looked at, unless `RAINCOAT_TEST_ALL` asks for every one, as
/// `cargo xtask crash` does.
const SAMPLE: usize = 12;
/// Entries that the record may have more than it says.
const LAG: u64 = 2;

#[test]
fn whenever_the_power_is_cut_nothing_acknowledged_is_lost_and_no_commit_is_half() {
    let seed = Dice::seed();
    println!("RAINCOAT_TEST_SEED={seed}");
    let root = fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
    assert!(root, "this test mounts a small disk of its own: run it as root, or in the workflow's container");
    let every = std::env::var_os("RAINCOAT_TEST_ALL").is_some();
    let all: Vec<_> = [Program::Plain, Program::Protected]
        .into_iter()
        .enumerate()
        .map(|(lane, program)| {
            let name = format!("lane {lane} of RAINCOAT_TEST_SEED={seed}");
            std::thread::Builder::new()
                .name(name)
                .spawn(move || Cut::new(lane, program).run(&mut Dice(seed), every))
                .unwrap()
        })
        .collect();
    // All of them end, and unmount their disks, before one's failure is told.
    let ended: Vec<_> = all.into_iter().map(std::thread::JoinHandle::join).collect();
    assert!(ended.iter().all(Result::is_ok), "a lane failed; run it again: RAINCOAT_TEST_SEED={seed}");
}

/// Where the record stood when a command had said that it was done.
#[derive(Clone, Copy, Debug)]
struct Acknowledged {
    start: u64,
    exec: u64,
    commit: u64,
    undo: u64,
}

struct Cut {
    // Unmounted before the directory is taken away.
    disk: Loop,
    drafted: Drafted,
    dir: tempfile::TempDir,
    log: Log,
    acknowledged: Acknowledged,
    /// The program's run, and the commit's.
    runs: (String, String),
    review: Vec<(String, String, bool)>,
    counted: Counted,
}

#[derive(Default, Debug)]
struct Counted {
    states: usize,
    torn: usize,
    before: usize,
    after: usize,
    undoing: usize,
    /// Of these, a folder was left with another time.
    folder_times: usize,
    carried: usize,
}

impl Cut {
    /// Records the whole history once.
    fn new(lane: usize, program: Program) -> Cut {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join(format!("disk{lane}"));
        fs::create_dir(&at).unwrap();
        let recorder = Recorder::start(dir.path(), DISK);
        let mut disk = Loop::new(&at);
        disk.attach(&recorder.disk());
        disk.make_file_system();
        disk.mount();
        let drafted = Drafted::at(&at, program);
        system("sync", &["-f", drafted.dir.to_str().unwrap()]);
        let start = recorder.entries() + LAG;
        let run = drafted.exec();
        let exec = recorder.entries();
        let review = drafted.review(&run);
        drafted.home.ok(&["commit", &run]);
        let commit = recorder.entries();
        assert_eq!(drafted.tree("committed"), Tree::After);
        let commit_run = drafted.newest_run();
        drafted.home.ok(&["undo", &commit_run]);
        let undo = recorder.entries();
        assert_eq!(drafted.tree("undone"), Tree::Before);
        disk.unmount();
        let log = recorder.stop();
        let acknowledged = Acknowledged { start, exec, commit, undo };
        println!("lane {lane}: {} entries, {acknowledged:?}", log.entries);
        let runs = (run, commit_run);
        Cut { dir, disk, drafted, log, acknowledged, runs, review, counted: Counted::default() }
    }

    fn image(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Every state, or every flush and some of the writes between.
    fn run(&mut self, dice: &mut Dice, every: bool) {
        let entries = self.log.read();
        let (whole, flushed) = (self.image("whole.img"), self.image("flushed.img"));
        let open = |path: &Path| {
            let file = File::options().read(true).write(true).create(true).truncate(true).open(path).unwrap();
            file.set_len(DISK).unwrap();
            file
        };
        let (image, safe) = (open(&whole), open(&flushed));
        // Written since the last flush: the disk may have any of these, or not.
        let mut loose: Vec<Entry> = Vec::new();
        for (n, entry) in (1..).zip(&entries) {
            if entry.writes() {
                self.log.apply(entry, &image);
                loose.push(*entry);
            }
            if entry.is_flush() || n == self.acknowledged.start {
                let settled = if entry.is_forced() { loose.len() } else { loose.len() - usize::from(entry.writes()) };
                for entry in loose.drain(..settled) {
                    self.log.apply(&entry, &safe);
                }
            }
            if n < self.acknowledged.start {
                continue;
            }
            if every || dice.below(SAMPLE) == 0 || (entry.is_flush() && dice.below(SAMPLE / 3) == 0) {
                self.state(&whole, n, &format!("after entry {n}"));
            }
            if loose.len() > 1 && (every || dice.below(SAMPLE) == 0) {
                self.torn(&flushed, &loose, n, dice);
            }
        }
        println!("{:?}: {:?}", self.drafted.program, self.counted);
    }

    /// A disk that wrote some of what was not flushed, in whatever order, and not the rest.
    fn torn(&mut self, flushed: &Path, loose: &[Entry], n: u64, dice: &mut Dice) {
        let torn = self.image("torn.img");
        copy(flushed, &torn);
        let image = File::options().write(true).open(&torn).unwrap();
        let kept: Vec<bool> = loose.iter().map(|_| dice.below(2) == 0).collect();
        for (entry, _) in loose.iter().zip(&kept).filter(|(_, kept)| **kept) {
            self.log.apply(entry, &image);
        }
        self.counted.torn += 1;
        self.state(&torn, n, &format!("after entry {n}, of the last {} those kept: {kept:?}", loose.len()));
    }

    fn state(&mut self, image: &Path, n: u64, at: &str) {
        let state = self.image("state.img");
        copy(image, &state);
        self.disk.attach(&state);
        self.disk.mount();
        self.judge(n, &format!("{:?} {at} ({:?})", self.drafted.program, self.acknowledged));
        self.disk.unmount();
        self.counted.states += 1;
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

fn copy(from: &Path, to: &Path) {
    system("cp", &["--sparse=always", "--reflink=never", from.to_str().unwrap(), to.to_str().unwrap()]);
}
