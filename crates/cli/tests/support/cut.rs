//! What happened on a disk, recorded once, and every state in which a power cut could have left it, mounted to be
//! recovered from.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests"
)]

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::blocks::{Entry, Log, Loop, Recorder, system};
use crate::whole::Dice;

/// Bytes of the disk.
const DISK: u64 = 64 << 20;
/// Of the states, one in so many is looked at, unless `RAINCOAT_TEST_ALL` asks for every one, as
/// `cargo xtask crash` does.
const SAMPLE: usize = 24;
/// Entries that the record may have more than it says.
pub const LAG: u64 = 2;

/// A disk at work, mounted.
pub struct Recording {
    // Unmounted before the directory is taken away.
    disk: Loop,
    at: PathBuf,
    recorder: Recorder,
    dir: tempfile::TempDir,
}

/// What was recorded, and the disk to put its states on.
pub struct Cut {
    disk: Loop,
    log: Log,
    dir: tempfile::TempDir,
    /// States looked at, and how many of these had lost some of what was not flushed.
    pub states: usize,
    pub torn: usize,
}

/// Fails where small disks cannot be mounted.
pub fn as_root() {
    let root = fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
    assert!(root, "this test mounts a small disk of its own: run it as root, or in the workflow's container");
}

/// Runs each lane in a thread of its own, with dice of its own.
pub fn lanes<T: Copy + Send + 'static>(all: &[T], run: fn(usize, T, &mut Dice)) {
    as_root();
    let seed = Dice::seed();
    println!("RAINCOAT_TEST_SEED={seed}");
    let all: Vec<_> = all
        .iter()
        .copied()
        .enumerate()
        .map(|(lane, what)| {
            let name = format!("lane {lane} of RAINCOAT_TEST_SEED={seed}");
            std::thread::Builder::new().name(name).spawn(move || run(lane, what, &mut Dice(seed))).unwrap()
        })
        .collect();
    // All of them end, and unmount their disks, before one's failure is told.
    let ended: Vec<_> = all.into_iter().map(std::thread::JoinHandle::join).collect();
    assert!(ended.iter().all(Result::is_ok), "a lane failed; run it again: RAINCOAT_TEST_SEED={seed}");
}

impl Recording {
    pub fn start(lane: usize) -> Recording {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join(format!("disk{lane}"));
        fs::create_dir(&at).unwrap();
        let recorder = Recorder::start(dir.path(), DISK);
        let mut disk = Loop::new(&at);
        disk.attach(&recorder.disk());
        disk.make_file_system();
        disk.mount();
        Recording { disk, at, recorder, dir }
    }

    /// Where it is mounted.
    pub fn at(&self) -> &Path {
        &self.at
    }

    /// Everything so far is on the disk. Where the record stands then, at most.
    pub fn settled(&self) -> u64 {
        system("sync", &["-f", self.at.to_str().unwrap()]);
        self.recorder.entries() + LAG
    }

    /// Where the record stands: what was acknowledged before is in it.
    pub fn entries(&self) -> u64 {
        self.recorder.entries()
    }

    pub fn stop(mut self) -> Cut {
        self.disk.unmount();
        Cut { disk: self.disk, log: self.recorder.stop(), dir: self.dir, states: 0, torn: 0 }
    }
}

impl Cut {
    /// Mounts every state from entry `start` on, or every flush and some of the writes between, and has it looked at:
    /// after how many entries it is, and in words.
    pub fn each(&mut self, start: u64, dice: &mut Dice, mut look: impl FnMut(u64, &str)) {
        let every = std::env::var_os("RAINCOAT_TEST_ALL").is_some();
        let entries = self.log.read();
        println!(
            "{} entries, {} of them from the start on",
            entries.len(),
            entries.len() as u64 - start.min(entries.len() as u64)
        );
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
            if entry.is_flush() || n == start {
                let settled = if entry.is_forced() { loose.len() } else { loose.len() - usize::from(entry.writes()) };
                for entry in loose.drain(..settled) {
                    self.log.apply(&entry, &safe);
                }
            }
            if n < start {
                continue;
            }
            if every || dice.below(SAMPLE) == 0 || (entry.is_flush() && dice.below(SAMPLE / 3) == 0) {
                self.state(&whole, n, &format!("after entry {n}"), &mut look);
            }
            if loose.len() > 1 && (every || dice.below(SAMPLE) == 0) {
                self.torn(&flushed, &loose, n, dice, &mut look);
            }
        }
    }

    /// A disk that wrote some of what was not flushed, in whatever order, and not the rest.
    fn torn(&mut self, flushed: &Path, loose: &[Entry], n: u64, dice: &mut Dice, look: &mut impl FnMut(u64, &str)) {
        let torn = self.image("torn.img");
        copy(flushed, &torn);
        let image = File::options().write(true).open(&torn).unwrap();
        let kept: Vec<bool> = loose.iter().map(|_| dice.below(2) == 0).collect();
        for (entry, _) in loose.iter().zip(&kept).filter(|(_, kept)| **kept) {
            self.log.apply(entry, &image);
        }
        self.torn += 1;
        self.state(&torn, n, &format!("after entry {n}, of the last {} those kept: {kept:?}", loose.len()), look);
    }

    fn state(&mut self, image: &Path, n: u64, at: &str, look: &mut impl FnMut(u64, &str)) {
        let state = self.image("state.img");
        copy(image, &state);
        self.disk.attach(&state);
        self.disk.mount();
        look(n, at);
        self.disk.unmount();
        self.states += 1;
    }

    fn image(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

fn copy(from: &Path, to: &Path) {
    system("cp", &["--sparse=always", "--reflink=never", from.to_str().unwrap(), to.to_str().unwrap()]);
}
