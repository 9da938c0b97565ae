//! A disk whose every write and flush is recorded, so that each state that a power cut could have left can be made
//! again: an ext4 image behind `qemu-storage-daemon`, whose record has the form of the kernel's dm-log-writes
//! (`Documentation/admin-guide/device-mapper/log-writes.rst`).

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What a recorded entry did, bit by bit.
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;

/// Runs a system's program, and wants it to end well.
pub fn system(program: &str, arguments: &[&str]) {
    let out = Command::new(program).args(arguments).output();
    let out = out.unwrap_or_else(|e| {
        panic!("`{program}` is missing ({e}): install util-linux, e2fsprogs, qemu-utils and fuse3")
    });
    assert!(out.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// A loop device of a fixed number, so that the file system on it is the same device each time it is mounted.
pub struct Loop {
    device: String,
    at: PathBuf,
    mounted: bool,
}

impl Loop {
    /// Finds a free number far from those that are given out first.
    pub fn new(at: &Path) -> Loop {
        let first = 1000 + std::process::id() % 1000 * 4;
        let free = (first..first + 400).find(|n| !Path::new(&format!("/sys/block/loop{n}/loop/backing_file")).exists());
        // Somebody may be as quick as we are: each lane tries a number of its own first.
        let n = free.unwrap() + u32::from(at.to_string_lossy().ends_with('1'));
        Loop { device: format!("/dev/loop{n}"), at: at.to_owned(), mounted: false }
    }

    pub fn attach(&self, image: &Path) {
        system("losetup", &["--direct-io=off", &self.device, image.to_str().unwrap()]);
    }

    /// Mounts what is attached; it is let go of with the mount.
    pub fn mount(&mut self) {
        system("mount", &["-t", "ext4", "-o", "nodiscard", &self.device, self.at.to_str().unwrap()]);
        self.mounted = true;
        system("losetup", &["-d", &self.device]);
    }

    pub fn make_file_system(&self) {
        system(
            "mkfs.ext4",
            &[
                "-q",
                "-F",
                "-b",
                "4096",
                "-J",
                "size=4",
                "-E",
                "lazy_itable_init=0,lazy_journal_init=0,nodiscard",
                &self.device,
            ],
        );
    }

    pub fn unmount(&mut self) {
        // Whoever looked in at that moment (an indexer) is waited for.
        let start = Instant::now();
        while !Command::new("umount").arg(&self.at).stderr(Stdio::null()).status().unwrap().success() {
            assert!(start.elapsed() < Duration::from_secs(10), "`{}` stays busy", self.at.display());
            std::thread::sleep(Duration::from_millis(20));
        }
        self.mounted = false;
        let backing = format!("/sys/block/{}/loop/backing_file", self.device.trim_start_matches("/dev/"));
        while Path::new(&backing).exists() {
            assert!(start.elapsed() < Duration::from_secs(10), "`{}` stays attached", self.device);
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg("-l").arg(&self.at).status();
        }
        let backing = format!("/sys/block/{}/loop/backing_file", self.device.trim_start_matches("/dev/"));
        if Path::new(&backing).exists() {
            let _ = Command::new("losetup").args(["-d", &self.device]).status();
        }
    }
}

/// The recorder at work.
pub struct Recorder {
    dir: PathBuf,
    daemon: Child,
}

impl Recorder {
    pub fn start(dir: &Path, bytes: u64) -> Recorder {
        for (name, len) in [("disk.img", bytes), ("log.img", 4 << 30), ("exp.img", 0)] {
            File::create(dir.join(name)).unwrap().set_len(len).unwrap();
        }
        let export = dir.join("exp.img");
        let daemon = Command::new("qemu-storage-daemon")
            .current_dir(dir)
            .args(["--blockdev", "driver=file,filename=disk.img,node-name=f0,discard=unmap"])
            .args(["--blockdev", "driver=raw,file=f0,node-name=d0,discard=unmap"])
            .args(["--blockdev", "driver=file,filename=log.img,node-name=lf0"])
            .args(["--blockdev", "driver=raw,file=lf0,node-name=l0"])
            .args(["--blockdev", "driver=blklogwrites,file=d0,log=l0,node-name=bl0,log-super-update-interval=1"])
            .arg("--export")
            .arg(format!("type=fuse,id=e0,node-name=bl0,mountpoint={},writable=on", export.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(dir.join("daemon.log")).unwrap())
            .spawn()
            .unwrap_or_else(|e| panic!("`qemu-storage-daemon` is missing ({e}): install qemu-utils and fuse3"));
        let recorder = Recorder { dir: dir.to_owned(), daemon };
        let start = Instant::now();
        while fs::metadata(&export).map_or(0, |meta| meta.len()) == 0 {
            let words = || fs::read_to_string(dir.join("daemon.log")).unwrap_or_default();
            assert!(start.elapsed() < Duration::from_secs(10), "the disk does not come (needs fuse3): {}", words());
            std::thread::sleep(Duration::from_millis(10));
        }
        recorder
    }

    /// The disk as a file.
    pub fn disk(&self) -> PathBuf {
        self.dir.join("exp.img")
    }

    /// Entries recorded so far; one or two may not be counted yet.
    pub fn entries(&self) -> u64 {
        Log::open(&self.dir).entries
    }

    /// Ends the recording. Gives what was recorded.
    pub fn stop(mut self) -> Log {
        self.end();
        Log::open(&self.dir)
    }

    fn end(&mut self) {
        if self.daemon.try_wait().unwrap().is_some() {
            return;
        }
        let pid = self.daemon.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let start = Instant::now();
        while self.daemon.try_wait().unwrap().is_none() {
            if start.elapsed() > Duration::from_secs(10) {
                let _ = self.daemon.kill();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.end();
    }
}

/// What was recorded.
pub struct Log {
    file: File,
    sector: u64,
    pub entries: u64,
}

/// One recorded write or flush.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Where on the disk, in bytes.
    to: u64,
    len: u64,
    flags: u64,
    /// Where its data lies in the record.
    data: u64,
}

impl Entry {
    /// All that was written before is on the disk once this is.
    pub fn is_flush(&self) -> bool {
        self.flags & FLUSH != 0
    }

    /// It is on the disk itself as soon as it is acknowledged.
    pub fn is_forced(&self) -> bool {
        self.flags & FUA != 0
    }

    pub fn writes(&self) -> bool {
        self.len > 0
    }
}

impl Log {
    fn open(dir: &Path) -> Log {
        let file = File::open(dir.join("log.img")).unwrap();
        let mut head = [0_u8; 28];
        file.read_exact_at(&mut head, 0).unwrap();
        let word = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap());
        assert_eq!(word(0), 0x006a_7366_7773_6872, "this is no record");
        let sector = u64::from(u32::from_le_bytes(head[24..28].try_into().unwrap()));
        Log { file, sector, entries: word(16) }
    }

    pub fn read(&self) -> Vec<Entry> {
        let mut at = self.sector;
        let mut out = Vec::new();
        for _ in 0..self.entries {
            let mut head = [0_u8; 32];
            self.file.read_exact_at(&mut head, at).unwrap();
            let word = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap());
            let (to, len, flags) = (word(0) * self.sector, word(8) * self.sector, word(16));
            let data = at + self.sector;
            out.push(Entry { to, len, flags, data });
            at = data + if flags & DISCARD == 0 { len } else { 0 };
        }
        out
    }

    /// Does to an image what was done to the disk.
    pub fn apply(&self, entry: &Entry, image: &File) {
        let mut bytes = vec![0; entry.len as usize];
        if entry.flags & DISCARD == 0 {
            self.file.read_exact_at(&mut bytes, entry.data).unwrap();
        }
        image.write_all_at(&bytes, entry.to).unwrap();
    }
}
